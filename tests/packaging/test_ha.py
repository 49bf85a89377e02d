"""examples/ha and examples/compose as their compose files say, without a runtime of containers: each service in a network namespace of its own on one
bridge, found by its name; HAProxy and PostgreSQL are this machine's, the servers those of the image."""
import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from boxes import ROOT, call

sys.path.insert(0, str(ROOT / "tests/e2e"))
import make_images  # noqa: E402

EXAMPLES = ROOT / "examples"
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
NET = "192.0.2."


def ip(*argv):
    call("ip", *argv)


class Network:
    """A bridge in a namespace that only this test sees, and one namespace for each service."""

    def __init__(self, tag, names):
        self.tag, self.names = tag, list(names)
        self.addresses = {name: f"{NET}{i + 10}" for i, name in enumerate(self.names)}
        self.hub = f"{tag}-hub"
        ip("netns", "add", self.hub)
        ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
        ip("-n", self.hub, "addr", "add", f"{NET}1/24", "dev", "br0")
        ip("-n", self.hub, "link", "set", "br0", "up")
        for i, name in enumerate(self.names):
            space = f"{tag}-{name}"
            ip("netns", "add", space)
            ip("link", "add", f"{tag}{i}", "netns", self.hub, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("-n", self.hub, "link", "set", f"{tag}{i}", "master", "br0", "up")
            ip("-n", space, "addr", "add", f"{self.addresses[name]}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")

    def hosts(self):
        return "127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for n, a in self.addresses.items())

    def into(self, name):
        return ["nsenter", f"--net=/run/netns/{self.tag}-{name}"]

    def curl(self, url, *more):
        r = subprocess.run(["nsenter", f"--net=/run/netns/{self.hub}", "curl", "-s", "-m", "20", "-w", "\n%{http_code}", *more, url], capture_output=True, text=True)
        body, _, status = r.stdout.rpartition("\n")
        return int(status), body

    def remove(self):
        for name in [*self.names, "hub"]:
            subprocess.run(["ip", "netns", "del", f"{self.tag}-{name}"])


class Compose:
    def __init__(self, image, folder, path, tag):
        self.image, self.folder, self.path = image, folder, path
        self.services = yaml.safe_load(path.read_text())["services"]
        self.net = Network(tag, self.services)
        self.processes, self.boxes = {}, {}
        (folder / "hosts").write_text(self.net.hosts())

    def spawn(self, name, argv, **more):
        with (self.folder / f"{name}.log").open("a") as out:
            self.processes[name] = subprocess.Popen([*self.net.into(name), *map(str, argv)], stdout=out, stderr=out, start_new_session=True, **more)

    def clair(self, name, config, **env):
        """The image, with the volumes and the command of its service."""
        service, volumes = self.services[name], {"/etc/hosts": self.folder / "hosts"}
        for v in service["volumes"]:
            source, target = v.split(":")[:2]
            volumes[target] = config if (self.path.parent / source).is_dir() else self.path.parent / source
        place = self.folder / name
        place.mkdir(exist_ok=True)
        box = self.boxes.setdefault(name, self.image.box(place, volumes, **env))
        argv = box.argv(self.image.command(*service.get("command", [])), network=True)
        self.spawn(name, argv)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def kill(self, name):
        subprocess.run(["kill", "-KILL", "--", f"-{self.processes[name].pid}"])
        self.processes[name].wait()

    def eventually(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            logs = "\n".join(f"== {n}\n{self.log(n)[-1500:]}" for n in self.processes)
            assert time.monotonic() < end, logs
            time.sleep(0.1)

    def url(self, name, rest):
        return f"http://{self.net.addresses[name]}:{rest}"

    def healthy(self, name):
        return self.net.curl(self.url(name, "6061/health"))[0] == 200

    def haproxy(self, name, config):
        """Of this machine, with the names of the services."""
        self.spawn(name, ["unshare", "-m", "sh", "-c", 'mount --make-rprivate / && mount --bind "$0" /etc/hosts && exec haproxy -db -f "$1"', self.folder / "hosts", config])

    def remove(self):
        for name in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.processes[name].pid, 9)
            self.processes[name].wait()
        self.net.remove()


class Postgres:
    """What the image of PostgreSQL does at its first start: a database, a user, the scripts of initdb.d, passwords from the network."""

    def __init__(self, compose, name):
        self.compose, self.name = compose, name
        self.folder = Path(f"/var/tmp/{compose.net.tag}-{name}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        shutil.chown(self.folder, "postgres", "postgres")
        self.data = self.folder / "data"
        given = {k: v.split(":-")[1].rstrip("}") if ":-" in v else v for k, v in compose.services[name]["environment"].items()}
        self.env = {"PATH": f"{POSTGRES}:/usr/bin:/bin", "PGDATA": str(self.data), "PGHOST": str(self.folder), "LC_ALL": "C.UTF-8",
                    "POSTGRES_USER": "postgres", "POSTGRES_DB": "postgres", "PRIMARY": compose.net.addresses.get(given.get("PRIMARY"), "")} | \
            {k: v for k, v in given.items() if k not in ("PRIMARY", "PGDATA")}

    def as_postgres(self):
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": self.folder, "env": self.env}

    def run(self, *argv, **more):
        return call(*argv, **self.as_postgres(), **more)

    OPTIONS = ["-c", "listen_addresses=*", "-c", "max_connections=100", "-c", "dynamic_shared_memory_type=mmap"]

    def primary(self, script=None):
        (self.folder / "password").write_text(self.env["POSTGRES_PASSWORD"])
        shutil.chown(self.folder / "password", "postgres")
        self.run("initdb", "-U", self.env["POSTGRES_USER"], "--pwfile", self.folder / "password", "--auth-host=scram-sha-256", "--auth-local=trust", "-D", self.data)
        with (self.data / "pg_hba.conf").open("a") as f:
            f.write("host all all all scram-sha-256\n")
        quick = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "-l", self.folder / "log", "-o", quick, "start")
        if self.env["POSTGRES_DB"] != "postgres":
            self.run("createdb", "-U", self.env["POSTGRES_USER"], self.env["POSTGRES_DB"])
        if script:
            self.run("bash", script)
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "-m", "fast", "stop")
        self.start("postgres")
        self.compose.eventually(lambda: subprocess.run([POSTGRES / "pg_isready", "-q", "-h", self.folder]).returncode == 0)

    def start(self, *argv):
        user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        self.compose.spawn(self.name, [*user, *argv, *self.OPTIONS, "-c", f"unix_socket_directories={self.folder}"], env=self.env, cwd=self.folder)

    def ask(self, sql):
        return self.run("psql", "-U", self.env["POSTGRES_USER"], "-d", self.env["POSTGRES_DB"], "-At", "-c", sql).strip()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def started(image, folder):
    """started(FOLDER OF EXAMPLES, TAG) → Compose, and what ends all of it."""
    with contextlib.ExitStack() as stack:
        def start(name, tag):
            compose = Compose(image, folder, EXAMPLES / name / "docker-compose.yml", tag)
            stack.callback(compose.remove)
            return compose

        def postgres(compose, name):
            server = Postgres(compose, name)
            stack.callback(server.remove)
            return server

        start.postgres = postgres
        yield start


def test_compose(started):
    """The founding document's files: nothing in them is changed but the images' names. The server is up before its database."""
    compose = started("compose", "ecc")
    compose.clair("clair", EXAMPLES / "compose/config")
    compose.eventually(lambda: compose.net.curl(compose.url("clair", "6061/health"))[0] == 500)
    started.postgres(compose, "postgres").primary()
    compose.eventually(lambda: compose.healthy("clair"))
    status, body = compose.net.curl(compose.url("clair", "6060/v1/status"))
    assert status == 200 and "postgres" in body.lower(), body
    assert "password=password" not in compose.log("clair")


class Load:
    """Posts of layers through the load balancer: what was acknowledged, and what was not."""

    def __init__(self, compose):
        self.compose, self.stop = compose, threading.Event()
        self.done, self.failed = [], []
        (compose.folder / "files").mkdir()
        (compose.folder / "files/layer.tar").write_bytes(make_images.tar([("etc/os-release", make_images.os_release()),
                                                                           ("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))]))
        compose.processes["files"] = subprocess.Popen(["nsenter", f"--net=/run/netns/{compose.net.hub}", sys.executable, "-m", "http.server", "8000", "-d",
                                                       compose.folder / "files"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        (compose.folder / "files.log").touch()
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(3)]
        for t in self.threads:
            t.start()

    def post(self, name):
        layer = json.dumps({"Layer": {"Name": name, "Path": f"http://{NET}1:8000/layer.tar", "Format": "Docker"}})
        return self.compose.net.curl(self.compose.url("haproxy", "6060/v1/layers"), "-d", layer)[0]

    def work(self, i):
        n = 0
        while not self.stop.is_set():
            name, n = f"layer-{i}-{n}", n + 1
            status = self.post(name)
            (self.done if status == 201 else self.failed).append((name, status))

    def more(self, count):
        want = len(self.done) + count
        self.compose.eventually(lambda: len(self.done) >= want)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


def test_high_availability(started):
    """An instance dies, then the primary: clients go on, and what was acknowledged is there. Without tokens, for which Quay is wanted."""
    compose = started("ha", "eha")
    given = yaml.safe_load((EXAMPLES / "ha/config/config.yaml").read_text())
    del given["jwtproxy"], given["clair"]["notifier"]
    given["clair"]["api"]["addr"] = ":6060"
    given["clair"]["updater"]["interval"] = 0
    config = compose.folder / "config"
    config.mkdir()
    (config / "config.yaml").write_text(yaml.safe_dump(given))
    haproxy = compose.folder / "haproxy.cfg"
    haproxy.write_text((EXAMPLES / "ha/haproxy.cfg").read_text().replace(" resolvers system\n", "\n"))  # nobody answers for names here

    one, two = (started.postgres(compose, f"postgres-{i}") for i in (1, 2))
    two.start("bash", EXAMPLES / "ha/postgres/standby.sh")  # it waits for the first
    one.primary(EXAMPLES / "ha/postgres/primary.sh")
    compose.eventually(lambda: one.ask("SELECT sync_state FROM pg_stat_replication") == "sync")
    compose.haproxy("haproxy", haproxy)
    compose.clair("clair-1", config)
    compose.clair("clair-2", config)
    compose.eventually(lambda: compose.healthy("haproxy") and compose.healthy("clair-1") and compose.healthy("clair-2"))

    load = Load(compose)
    try:
        load.more(20)
        compose.kill("clair-1")
        assert compose.net.curl(compose.url("clair-1", "6061/health"))[0] == 0
        load.more(20)
        assert compose.healthy("haproxy")
        compose.clair("clair-1", config)
        compose.eventually(lambda: compose.healthy("clair-1"))
        cut_by_instance = len(load.failed)
        load.more(20)
        compose.kill("postgres-1")
        compose.eventually(lambda: not compose.healthy("haproxy"))
        began = time.monotonic()
        two.run("pg_ctl", "promote", "-w", "-s", "-D", two.data)
        compose.eventually(lambda: compose.healthy("haproxy"))
        back = time.monotonic() - began
        load.more(20)
    finally:
        load.end()
    lost = [name for name, _ in load.done if compose.net.curl(compose.url("haproxy", f"6060/v1/layers/{name}"))[0] != 200]
    print(f"\n{len(load.done)} posts acknowledged, {cut_by_instance} cut by the instance that died, {len(load.failed) - cut_by_instance} while no primary was there; "
          f"healthy {back:.1f} s after the promotion")
    assert not lost
    assert {status for _, status in load.failed} <= {0, 500, 502, 503, 504}, load.failed
