"""Two PostgreSQL servers of which one follows the other synchronously: what the first acknowledges, the second has.

    pair = standby.Pair()
    pair.where(name)        # a connection string with both, that finds the one which can be written
    pair.new_database()
    pair.primary.crash(), pair.promote(), pair.remove()
"""
import os
import re
import signal
import time
from pathlib import Path

import pg


def crash(cluster):
    """SIGKILL of the postmaster: it says nothing to anybody, and its children notice by themselves."""
    pid = cluster.pid
    children = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    os.kill(pid, signal.SIGKILL)
    for p in [pid, *children]:
        pg.wait_gone(p)


def immediate(cluster):
    pg.call(cluster.folder, "pg_ctl", "stop", "-s", "-w", "-m", "immediate", "-D", cluster.data)


class Standby(pg.Server):
    """Made from the server it follows, which must not yet wait for it."""

    def __init__(self, primary):
        self.primary = primary
        super().__init__()

    def make(self):
        """As a DBA would: pg_basebackup -R; then a port of its own."""
        pg.call(self.folder, "pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-D", self.data, "-h", self.primary.folder,
                "-p", self.primary.port, "-U", "eclair", "-d", "application_name=standby")
        path = self.data / "postgresql.auto.conf"
        text = re.sub(r"(?m)^unix_socket_directories = .*$", f"unix_socket_directories = '{self.folder}'", path.read_text())
        self.write(path.name, re.sub(r"(?m)^port = .*$", f"port = {pg.free_port()}", text))
        self.start_again()


class Pair:
    def __init__(self):
        self.primary = pg.Server()
        self.standby = None
        try:
            self.configure("pg_hba.conf", "local replication eclair trust\n")
            self.standby = Standby(self.primary)
            self.configure("postgresql.auto.conf", "synchronous_commit = on\nsynchronous_standby_names = '*'\n")
            self.wait_synchronous()
        except BaseException:
            self.remove()
            raise

    def configure(self, name, text):
        self.primary.write(name, (self.primary.data / name).read_text() + text)
        self.primary.sql("SELECT pg_reload_conf()")

    def wait_synchronous(self):
        end = time.monotonic() + pg.TIMEOUT
        while "sync" not in self.primary.sql("SELECT sync_state FROM pg_stat_replication").split():
            assert time.monotonic() < end, "the standby does not follow"
            time.sleep(0.05)

    def new_database(self):
        """Its name."""
        return self.primary.new_database().rpartition("/")[2]

    def where(self, name):
        return (f"host=127.0.0.1,127.0.0.1 port={self.primary.port},{self.standby.port} user=eclair dbname={name} "
                "target_session_attrs=read-write")

    def promote(self):
        pg.call(self.standby.folder, "pg_ctl", "promote", "-s", "-w", "-D", self.standby.data)

    def remove(self):
        for server in (self.standby, self.primary):
            if server:
                server.remove()
