#!/usr/bin/python3
"""A real PostgreSQL for tests: one that is made empty, listens on loopback only, and leaves nothing behind.

    server = pg.start(tmp_path)           # its log is in tmp_path/postgres.log afterwards
    server.url                            # postgresql://eclair@127.0.0.1:PORT/postgres, no password
    server.new_database()                 # the same for an empty database: t1, t2, ...
    server.stop(), server.kill(), server.start_again(), server.remove()
    server.crash()                        # SIGKILL for all of its processes
    standby = server.standby(tmp_path)    # a hot one that follows it; what was committed is there, too
    standby.promote()
    server.pause(), server.go_on()        # all of its processes: connections stay, and nothing answers

    tests/pg.py run COMMAND...            # COMMAND with ECLAIR_TEST_POSTGRES, ECLAIR_TEST_PG_PID and ECLAIR_TEST_PG_CTL
    $ECLAIR_TEST_PG_CTL stop|start|kill|pause|continue   # inside of it

The user `eclair` is let in without a password; `locked` has the password `secret`.
"""
import atexit
import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = os.geteuid() == 0
TIMEOUT = 60  # seconds; for what takes one

HBA = """local all,replication eclair trust
host all,replication eclair 127.0.0.1/32 trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""
CONF = """listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 100
shared_buffers = 64MB
dynamic_shared_memory_type = mmap
fsync = off
full_page_writes = off
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
"""

# Ends the server and removes its folder when the pipe to it closes: on remove(), and also when this process is killed.
# A postmaster that was started again has another number.
GUARD = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
case $pid in ''|*[!0-9]*) ;; *)
    kill -QUIT "$pid" 2>/dev/null
    kill -CONT "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null
    tries=100
    while [ "$tries" -gt 0 ] && kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do
        tries=$((tries - 1))
        sleep 0.05
    done
esac
rm -rf "$1"
"""


def programs():
    """The folder of the newest server."""
    found = sorted((int(p.parents[1].name), p.parent) for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")
                   if p.parents[1].name.isdigit())
    if not found:
        raise RuntimeError("no /usr/lib/postgresql/*/bin/initdb: install the package postgresql")
    return found[-1][1]


def environment():
    """Ours, without what libpq and the server read from it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PG") and k not in ("LANG", "LANGUAGE")}
    return {k: v for k, v in kept.items() if not k.startswith("LC_")} | {"LC_ALL": "C.UTF-8"}


def call(folder, name, *words, check=True):
    """A program of the server, as the server's user (it refuses to run as root). Its output."""
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if ROOT else []
    done = subprocess.run([*become, str(programs() / name), *map(str, words)], cwd=folder, env=environment(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=TIMEOUT, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{name}: {done.stdout.strip()}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def gone(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"  # nobody may be there to collect it


def wait_gone(pid):
    end = time.monotonic() + TIMEOUT
    while not gone(pid):
        if time.monotonic() > end:
            raise RuntimeError(f"process {pid} does not end")
        time.sleep(0.01)


class Cluster:
    """What can be done to a server by whoever knows its folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.log = self.folder / "log"

    @property
    def pid(self):
        """Of the postmaster; None when it does not run."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return None
        return None if gone(pid) else pid

    @property
    def port(self):
        """The last one in the file counts."""
        return int(re.findall(r"(?m)^port = '?(\d+)", (self.data / "postgresql.auto.conf").read_text())[-1])

    @property
    def url(self):
        return self.url_of("postgres")

    def url_of(self, database, user="eclair"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start_again(self):
        call(self.folder, "pg_ctl", "start", "-s", "-w", "-D", self.data, "-l", self.log)

    def stop(self):
        """Clients are thrown out. Nothing when it does not run."""
        if self.pid:
            call(self.folder, "pg_ctl", "stop", "-s", "-w", "-m", "fast", "-D", self.data)

    def kill(self):
        """As a crash: no farewell to clients, and the log is replayed at the next start."""
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGQUIT)  # of its children it takes care itself, which it can't after SIGKILL
            wait_gone(pid)

    def crash(self):
        """All at once, so that nobody tidies up; nor is the segment removed that says whether it runs (postmaster.pid, line 7)."""
        segment = (self.data / "postmaster.pid").read_text().split("\n")[6].split()[1]
        pids = [self.pid, *self.children()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            wait_gone(pid)
        subprocess.run(["ipcrm", "-m", segment], check=False)
        for lock in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            lock.unlink()  # a dead process that nobody collects would pass for a running server

    def children(self):
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def pause(self):
        """As a machine that hangs. The postmaster first, which makes new ones."""
        os.kill(self.pid, signal.SIGSTOP)
        for pid in self.children():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self):
        for pid in [*self.children(), self.pid]:
            with contextlib.suppress(ProcessLookupError):  # of a server that runs some end at any moment
                os.kill(pid, signal.SIGCONT)

    def sql(self, text, database="postgres"):
        return call(self.folder, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", self.port,
                    "-U", "eclair", "-d", database, "-c", text)


class Owned(Cluster):
    """In a folder of its own, until remove() or the end of this process."""

    def __init__(self, keep_log_in=None):
        super().__init__(tempfile.mkdtemp(prefix="eclair-pg-", dir="/var/tmp"))
        self.keep_log_in = keep_log_in
        if ROOT:
            shutil.chown(self.folder, "postgres", "postgres")
        self.guard = subprocess.Popen(["/bin/sh", "-c", GUARD, "sh", str(self.folder)], stdin=subprocess.PIPE, cwd="/",
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        atexit.register(self.remove)
        try:
            self.make()
        except BaseException:
            self.remove()
            raise

    def make(self):
        raise NotImplementedError

    def start_somewhere(self, conf):
        """`conf` makes its settings of a port."""
        for tries in range(10):
            self.write("postgresql.auto.conf", conf(free_port()))
            try:
                self.start_again()
                return
            except RuntimeError as error:
                log = self.log.read_text(errors="replace") if self.log.exists() else ""
                if tries == 9 or "Address already in use" not in log:  # somebody was faster
                    raise RuntimeError(f"{error}\n{log}") from None

    def write(self, name, text):
        path = self.data / name
        path.write_text(text)
        if ROOT:
            shutil.chown(path, "postgres", "postgres")

    def remove(self):
        """Ends it and removes all of it, except for the log."""
        if self.guard is None:
            return
        guard, self.guard = self.guard, None
        atexit.unregister(self.remove)
        if self.keep_log_in and self.log.exists():
            shutil.copyfile(self.log, Path(self.keep_log_in) / "postgres.log")
        guard.stdin.close()
        guard.wait(TIMEOUT)


class Server(Owned):
    def __init__(self, keep_log_in=None):
        self.databases = 0
        super().__init__(keep_log_in)

    def make(self):
        call(self.folder, "initdb", "-D", self.data, "-U", "eclair", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        self.write("pg_hba.conf", HBA)
        self.start_somewhere(lambda port: CONF.format(port=port, folder=self.folder))
        self.sql("CREATE ROLE locked LOGIN PASSWORD 'secret'")

    def new_database(self):
        self.databases += 1
        self.sql(f"CREATE DATABASE t{self.databases} STRATEGY file_copy")  # the quick one without fsync
        return self.url_of(f"t{self.databases}")

    @staticmethod
    def keywords(url):
        user, host, port, name = re.fullmatch(r"postgresql://(\w+)@([\d.]+):(\d+)/(\w+)", url).groups()
        return f"host={host} port={port} user={user} dbname={name}"

    def standby(self, folder=None, synchronous=True):
        """Its log goes to `folder`. Synchronous: from now on a commit waits until the standby has it on its disk."""
        return Standby(self, folder, synchronous)


class Standby(Owned):
    def __init__(self, primary, keep_log_in=None, synchronous=True):
        self.primary, self.synchronous = primary, synchronous
        super().__init__(keep_log_in)

    def make(self):
        name = self.folder.name.replace("-", "_").lower()
        call(self.folder, "pg_basebackup", "-D", self.data, "-h", self.primary.folder, "-p", self.primary.port, "-U", "eclair",
             "-R", "-C", "-S", name, "-X", "stream", "-c", "fast", "--no-sync")
        copied = (self.data / "postgresql.auto.conf").read_text()
        self.start_somewhere(lambda port: f"{copied}port = {port}\nunix_socket_directories = '{self.folder}'\n")
        if self.synchronous:
            self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.primary.sql("ALTER SYSTEM SET synchronous_commit = on")
            self.primary.sql("SELECT pg_reload_conf()")
        self.wait_for("sync" if self.synchronous else "async")

    def wait_for(self, state):
        end = time.monotonic() + TIMEOUT
        while state not in self.primary.sql("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'").split():
            if time.monotonic() > end:
                raise RuntimeError(f"the standby does not follow: {self.log.read_text(errors='replace')}")
            time.sleep(0.02)

    def catch_up(self):
        """Until what the primary has committed by now can be read here."""
        position = self.primary.sql("SELECT pg_current_wal_lsn()").strip()
        end = time.monotonic() + TIMEOUT
        while self.sql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'").strip() != "t":
            if time.monotonic() > end:
                raise RuntimeError("the standby does not catch up")
            time.sleep(0.01)

    def promote(self):
        call(self.folder, "pg_ctl", "promote", "-s", "-w", "-D", self.data)


def start(folder=None):
    """The server's log is copied to `folder` when it ends. Its data has a folder of its own, which its user can reach."""
    return Server(folder)


def run(command):
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    server = start()
    try:
        me = shlex.join([sys.executable, str(Path(__file__).resolve()), "ctl", str(server.folder)])
        ours = {"ECLAIR_TEST_POSTGRES": server.url, "ECLAIR_TEST_PG_PID": str(server.pid), "ECLAIR_TEST_PG_CTL": me}
        code = subprocess.call(command, env=os.environ | ours)
        return code if code >= 0 else 128 - code
    finally:
        server.remove()


def main(words):
    if len(words) > 1 and words[0] == "run":
        return run(words[1:])
    if len(words) == 3 and words[0] == "ctl":
        cluster = Cluster(words[1])
        orders = {"stop": cluster.stop, "start": cluster.start_again, "kill": cluster.kill, "pause": cluster.pause,
                  "continue": cluster.go_on}
        if words[2] in orders:
            orders[words[2]]()
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
