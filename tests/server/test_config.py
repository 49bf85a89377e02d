"""Configuration as a whole: the file of the founding document, the environment, what is told of it, reload, and who may write."""
import errno
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import helpers
import make_images
import pg
import psycopg2
import pytest
from serving import Server, request

ROOT = Path(__file__).resolve().parents[2]
LAYER = make_images.tar([("etc/os-release", make_images.os_release()),
                         ("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))])

# As printed there (spec/seeds.md A).
HIDDEN_KEY = "hidden" * 7 + "A="  # 32 bytes as base64
SEED = """clair:
  database:
    type: pgsql
    options:
      source: host=postgres port=5432 user=postgres password=password sslmode=disable statement_timeout=60000
      cachesize: 16384
      paginationkey:
  api:
    addr: "0.0.0.0:6060"
    healthaddr: "0.0.0.0:6061"
    timeout: 900s
    servername:
    cafile:
    keyfile:
    certfile:
  updater:
    interval: 2h
    enabledupdaters:
      - rhel
      - alpine
  notifier:
    attempts: 3
    renotifyinterval: 2h
    http:
      endpoint:
      servername:
      cafile:
      keyfile:
      certfile:
      proxy:
"""


@pytest.fixture
def layer(tmp_path):
    path = tmp_path / "layer.tar"
    path.write_bytes(LAYER)
    return path


@pytest.fixture
def one_store(tmp_path):
    """For what has nothing to do with the store."""
    return tmp_path / "eclair.db"


def eventually(condition, seconds=60, every=0.02):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(every)


def check(*args, env=None):
    r = helpers.eclair("config", "check", *args, env=helpers.environment(**env or {}))
    return r, r.out.decode(), r.err.decode()


# ---- the founding document ----

def wait_for_ports(*ports):
    """Somebody else's test may have them for a while."""
    def free():
        try:
            for port in ports:
                socket.create_server(("", port)).close()
            return True
        except OSError as e:
            assert e.errno == errno.EADDRINUSE
            return False
    try:
        eventually(free, every=0.5)
    except AssertionError:
        pytest.skip("a port of the founding document is taken on this machine")


def test_seed_word_for_word(tmp_path, layer):
    """As `clair -config /config/config.yaml`, against a real PostgreSQL with that user and password."""
    server = pg.start(tmp_path)
    try:
        connection = psycopg2.connect(server.url)
        connection.autocommit = True
        connection.cursor().execute("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'password'")
        connection.close()
        assert SEED.count("host=postgres port=5432") == 1
        folder = tmp_path / "config"
        folder.mkdir()
        (folder / "config.yaml").write_text(SEED.replace("host=postgres port=5432", f"host=127.0.0.1 port={server.port}"))
        clair = tmp_path / "clair"
        clair.symlink_to(helpers.ECLAIR)
        wait_for_ports(6060, 6061)
        process = Server(tmp_path, "unused")
        process.port, process.health_port = 6060, 6061
        env = helpers.environment(CONFIG_FOLDER=str(folder), http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
        with process.log.open("ab") as log:
            process.process = subprocess.Popen([clair, "-config", "$CONFIG_FOLDER/config.yaml"], stdout=log, stderr=log, env=env)
        process.wait()
        assert process.health().status == 200
        assert process.post("a", layer).status == 201
        assert [f["Name"] for f in process.layer("a")["Features"]] == ["demo"]
        process.stop()
        warnings = [v for v in process.lines() if v["Level"] == "warning" and "an enabled updater" in v["Event"] or v["Event"] == "configuration"]
        assert not warnings
        assert "password=password" not in process.text()
    finally:
        server.remove()


def test_example_compose():
    assert (ROOT / "examples/compose/config/config.yaml").read_text() == SEED


def test_state_directory(tmp_path):
    """Where a service manager says that its data lie."""
    server = Server(tmp_path, "", env={"STATE_DIRECTORY": str(tmp_path)})
    path = server.config()
    path.write_text(re.sub(r"  database:\n.*?(?=  api:)", "", path.read_text(), flags=re.S))
    server.config = lambda: path
    server.start()
    server.stop()
    assert (tmp_path / "eclair.db").exists()


# ---- the environment, and what is told ----

def test_environment_wins(one_store, tmp_path, layer):
    """Over the file; without a file it is enough."""
    server = Server(tmp_path, "/nowhere/at/all.db", api="    readonly: true\n",
                    env={"ECLAIR_DATABASE_OPTIONS_SOURCE": str(one_store), "ECLAIR_API_READONLY": "false", "ECLAIR_TEST_DATA": "x"}).start()
    assert server.post("a", layer).status == 201
    server.stop()
    assert one_store.exists() and not [v for v in server.lines() if v["Event"] == "configuration"]


def test_only_environment(one_store, tmp_path):
    port, health = Server(tmp_path, "").port, Server(tmp_path, "").health_port
    env = helpers.environment(ECLAIR_DATABASE_TYPE="sqlite", ECLAIR_DATABASE_OPTIONS_SOURCE=str(one_store), ECLAIR_API_ADDR=f"127.0.0.1:{port}",
                              ECLAIR_API_HEALTHADDR=f"127.0.0.1:{health}", ECLAIR_UPDATER_INTERVAL="0", ECLAIR_API_PROT="1")
    p = subprocess.Popen([helpers.ECLAIR, "serve", "-config="], env=env, stdout=subprocess.PIPE, text=True)
    try:
        seen = [json.loads(p.stdout.readline()) for _ in range(2)]
        while seen[-1]["Event"] != "starting health API":
            seen.append(json.loads(p.stdout.readline()))
        assert request(port, "GET", "/v1/layers/x").status == 404
        assert [v["note"] for v in seen if v["Event"] == "configuration"] == ["ECLAIR_API_PROT: no such key: ignored (eclair help config lists them)"]
    finally:
        p.send_signal(signal.SIGTERM)
        assert p.wait(60) == 0


def test_file_of_the_environment(one_store, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("clair: {api: {timeout: 7s}}\n")
    other = tmp_path / "other.yaml"
    other.write_text("clair: {api: {timeout: 8s}}\n")
    assert "7s" in check(env={"ECLAIR_CONFIG": str(path)})[1]
    assert "8s" in check(other, env={"ECLAIR_CONFIG": str(path)})[1]
    r, _, err = check(env={"ECLAIR_CONFIG": str(tmp_path / "none")})
    assert r.code == 1 and "No such file" in err




def test_pagination_key(tmp_path):
    """One that is none names its place, and is not shown."""
    path = tmp_path / "config.yaml"
    path.write_text(SEED.replace("paginationkey:", "paginationkey: hidden"))
    r, out, err = check(path)
    assert r.code == 1 and "hidden" not in out + err
    assert f"{path}: line 7: clair.database.options.paginationkey: Invalid Pagination key; must be 32-bit URL-safe base64" in err
    path.write_text(SEED)
    r, out, err = check(path, env={"ECLAIR_API_PAGINATIONKEY": "hidden"})
    assert r.code == 1 and "ECLAIR_API_PAGINATIONKEY: Invalid Pagination key" in err and "hidden" not in out + err


def test_check(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(SEED.replace("paginationkey:", f"paginationkey: {HIDDEN_KEY}").replace("timeout: 900s", "timout: 900s") + "jwtproxy: {a: b, signer_proxy: {enabled: false}}\n")
    r, out, err = check(path, "--log-level=debug", env={"ECLAIR_API_TOKEN": "hidden", "ECLAIR_FEEDS_MIRROR": "https://u:hidden@h/x?sig=hidden"})
    assert r.code == 0 and not err and "hidden" not in out and "=password" not in out
    rows = {line.split()[0]: re.split(r"  +", line.strip()) for line in out.splitlines() if line.startswith("  ")}
    assert rows["api.addr"][1:] == ["0.0.0.0:6060", "line 9"]
    assert rows["api.timeout"][1:] == ["900s", "default"]
    assert rows["api.token"][1:] == ["***", "ECLAIR_API_TOKEN"]
    assert rows["log.level"][1:] == ["debug", "--log-level"]
    assert rows["updater.enabledupdaters"][1:] == ["rhel, alpine", "line 19"]
    assert rows["database.options.source"][1] == "host=postgres port=5432 user=postgres password=*** sslmode=disable statement_timeout=60000"
    assert "api.port" not in rows
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2 and any("line 11: unknown key clair.api.timout: ignored; did you mean api.timeout?" in w for w in warnings)
    assert any("jwtproxy" in w for w in warnings)


def test_check_json(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(SEED)
    r, out, _ = check(path, "--format", "json", env={"ECLAIR_API_PORT": "7000"})
    told = json.loads(out)
    values = {v["key"]: v for v in told["values"]}
    assert r.code == 0 and told["error"] is None and told["file"] == str(path)
    assert values["api.port"] == {"key": "api.port", "value": "7000", "from": "environment", "name": "ECLAIR_API_PORT", "line": None, "in_force": True}
    assert values["api.addr"] == {"key": "api.addr", "value": "0.0.0.0:6060", "from": "file", "name": str(path), "line": 9, "in_force": False}
    path.write_text(SEED.replace("900s", "soon"))
    r, out, _ = check(path, "--format", "json")
    assert r.code == 1 and "line 11: clair.api.timeout: 'soon' is no duration" in json.loads(out)["error"]


@pytest.mark.parametrize("text,words", [
    (SEED.replace("900s", "soon"), "line 11: clair.api.timeout: 'soon' is no duration (900s, 2h, 1h30m)"),
    (SEED.replace("type: pgsql", "type: sqlite"), "database.type is sqlite"),
    (SEED.replace("servername:\n    cafile", "tokenfile: /nowhere/token\n    cafile"), "api.tokenfile: /nowhere/token: No such file"),
    ("clair:\n  database: {type: sqlite, options: {readsource: 'host=a', source: b}}\n", "readsource"),
])
def test_check_refuses(tmp_path, text, words):
    """1, as a server would end with."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    r, out, err = check(path)
    assert r.code == 1 and not out and words in err
    served = helpers.eclair("serve", "-config", path)
    assert served.code == 1 and not served.out
    line = served.err.decode()
    assert re.fullmatch(r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ" level=fatal msg="failed to load configuration" error=".*"\n', line)
    assert words in line


def test_reference_is_current():
    assert helpers.eclair("config", "reference").out.decode() == (ROOT / "docs/configuration.md").read_text(), "eclair config reference > docs/configuration.md"


@pytest.mark.parametrize("args,code", [
    (["-config"], 2), (["-no-such"], 2), (["-config", "/nowhere/x"], 1), (["--config=/nowhere/x"], 1), (["--config", "/nowhere/x"], 1),
    (["-log-level=loud"], 1), (["-insecure-tls=perhaps"], 2), (["-insecure-tls=false", "--loglevel=debug", "-cpu-profile", "x", "-config=/nowhere/x", "more"], 1),
])
def test_flags(args, code, tmp_path):
    """Go's forms; errors of usage are 2, the rest 1."""
    clair = tmp_path / "clair"
    clair.symlink_to(helpers.ECLAIR)
    r = helpers.eclair(*args, program=clair, env=helpers.environment(HOME=str(tmp_path)))
    assert r.code == code and r.out == b"", r


# ---- reload ----

class Running(Server):
    """One whose file is rewritten."""

    def reload(self):
        before = len(self.lines())
        self.config()
        self.process.send_signal(signal.SIGHUP)
        ends = ("configuration read again", "the configuration stays as it was")
        eventually(lambda: any(v["Event"] in ends for v in self.lines()[before:]))
        return self.lines()[before:]


def entries(database, feed):
    r = helpers.eclair("db", "status", "--format", "json", "--db", database)
    return next((f["entries"] for f in json.loads(r.out)["feeds"] if f["name"] == feed), 0)


def test_reload(one_store, tmp_path, layer):
    mirror = helpers.write_mirror(tmp_path / "mirror", helpers.small_debian(), helpers.small_alpine())
    server = Running(tmp_path, one_store).start()
    try:
        assert server.post("a", layer).status == 201
        # what a running server takes over
        server.api = "    readonly: true\n    localpaths: [/nowhere]\n"
        server.more = f"  updater: {{interval: 1h, enabledupdaters: [alpine]}}\n  feeds: {{mirror: {mirror}}}\n"
        told = server.reload()
        assert {v["key"] for v in told if v["Event"] == "configuration changed"} == {
            "api.readonly", "api.localpaths", "updater.interval", "updater.enabledupdaters", "feeds.mirror"}
        assert server.post("b", layer).status == 403
        eventually(lambda: "update finished" in server.events())
        assert entries(one_store, "alpine") and not entries(one_store, "debian")
        # what it does not
        server.api = "    timeout: 1s\n"
        told = server.reload()
        assert {v["key"] for v in told if "after a restart" in v["Event"]} == {"api.timeout"}
        assert server.post("b", layer).status == 201
        assert "api.timeout" in [v.get("key") for v in server.reload()], "it is told until the restart"
        # what is wrong changes nothing
        server.api = "    readonly: true\n    timeout: soon\n"
        told = server.reload()
        assert [v["Event"] for v in told] == ["the configuration stays as it was"] and "line 10: clair.api.timeout" in told[0]["error"]
        assert server.post("c", layer).status == 201
        # logs
        server.api, server.more = "", server.more + "  log: {level: error}\n"
        server.config()
        count = len(server.lines())
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: not logs_a_request(server))
        assert len(server.lines()) >= count
    finally:
        server.stop()


def test_reload_while_a_transfer_hangs(one_store, tmp_path, files):
    """The old updater ends when it can; then the new one begins. Signals and requests do not wait for it."""
    mirror = helpers.write_mirror(tmp_path / "mirror", helpers.small_debian(), helpers.small_alpine())
    gate, asked = threading.Event(), threading.Event()

    def answer(handler):
        asked.set()
        gate.wait(60)
        handler.send_error(404)

    files.answer = answer
    updates = "  updater: {interval: 1h, enabledupdaters: [alpine]}\n"
    server = Running(tmp_path, one_store, more=updates + f"  feeds: {{mirror: '{files.url}'}}\n").start()
    assert asked.wait(60)
    server.more = updates + f"  feeds: {{mirror: {mirror}}}\n"
    told = server.reload()
    assert [v["key"] for v in told if v["Event"] == "configuration changed"] == ["feeds.mirror"]
    assert server.get("/v1/layers/x").status == 404
    assert server.events().count("updater service started") == 1
    gate.set()
    eventually(lambda: server.events().count("updater service started") == 2)
    eventually(lambda: entries(one_store, "alpine"))
    server.stop()


def test_stop_while_a_reload_waits(one_store, tmp_path, files):
    gate, asked = threading.Event(), threading.Event()

    def answer(handler):
        asked.set()
        gate.wait(60)

    files.answer = answer
    server = Running(tmp_path, one_store, more=f"  updater: {{interval: 1h}}\n  feeds: {{mirror: '{files.url}'}}\n").start()
    assert asked.wait(60)
    server.more = server.more.replace("1h", "2h")
    server.reload()
    server.stop()
    gate.set()


def logs_a_request(server):
    before = len(server.lines())
    server.get("/v1/layers/nothing")
    time.sleep(0.05)
    return len(server.lines()) > before


def test_reload_under_load(serve, layer):
    """Requests that run meanwhile are answered, by the rules of before or after; nothing is lost."""
    server = serve()
    assert server.post("a", layer).status == 201
    stop, statuses = threading.Event(), set()

    def work(i):
        while not stop.is_set():
            statuses.add(server.get("/v1/layers/a?features").status)
            statuses.add(server.post(f"a{i}", layer).status)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for i in range(20):
        server.api = "    readonly: true\n" if i % 2 else "    token: a-token\n"
        server.config()
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    eventually(lambda: "configuration read again" in server.events())
    eventually(lambda: {200, 403} <= statuses)  # the last of the configurations
    stop.set()
    for t in threads:
        t.join()
    assert statuses <= {200, 201, 401, 403}
    server.api = ""


# ---- who may write ----

def routes():
    """All rows of the table of routes: (method, a path that fits); but of the registry of keys, which has rules of its own (test_keys.py)."""
    rows = re.findall(r'\{ "([A-Z]+)", "(/[^"]*)"', (ROOT / "src/api/routes.c").read_text())
    assert len(rows) > 2
    return [(method, pattern.replace("{}", "x")) for method, pattern in rows if not pattern.startswith("/keys/")]


def test_readonly(serve, layer):
    server = serve(api="    readonly: true\n    token: a-token\n")
    for method, path in routes():
        a = server.request(method, path, b"{}" if method in ("POST", "PUT") else b"", ["Authorization: Bearer a-token"])
        if method == "GET":
            assert a.status not in (401, 403), path
        else:
            assert (a.status, a.json()) == (403, {"Error": {"Message": "this server is read-only"}}), (method, path)
            assert a.header("Content-Type") == "application/json;charset=utf-8"
    assert server.health().status == 200


@pytest.mark.parametrize("api", ["    token: a-token\n", "    tokenfile: TOKENFILE\n"])
def test_token(serve, layer, tmp_path, api):
    path = tmp_path / "token"
    path.write_text("a-token\n")
    server = serve(api=api.replace("TOKENFILE", str(path)))
    for method, path in routes():
        for header in ([], ["Authorization: Bearer a-toke"], ["Authorization: Bearer a-token2"], ["Authorization: Basic a-token"], ["Authorization: a-token"],
                       ["Authorization: Bearer"]):
            a = server.request(method, path, b"{}" if method in ("POST", "PUT") else b"", header)
            if method == "GET":
                assert a.status not in (401, 403), path
            else:
                assert (a.status, a.header("WWW-Authenticate")) == (401, "Bearer"), (method, path, header)
                assert list(a.json()) == ["Error"]
    body = json.dumps({"Layer": {"Name": "a", "Path": str(layer), "Format": "Docker"}}).encode()
    for good in ("Bearer a-token", "bearer  a-token"):
        assert server.request("POST", "/v1/layers", body, [f"Authorization: {good}"]).status == 201
    assert server.get("/v1/layers/a").status == 200
    assert server.request("DELETE", "/v1/layers/a", headers=["Authorization: Bearer a-token"]).status == 200
    assert "a-token" not in server.text()


def test_token_file_is_read_again(one_store, tmp_path):
    token = tmp_path / "token"
    token.write_text("one")
    server = Running(tmp_path, one_store, api=f"    tokenfile: {token}\n").start()
    try:
        def delete(word):
            return server.request("DELETE", "/v1/layers/x", headers=[f"Authorization: Bearer {word}"]).status
        assert (delete("one"), delete("two")) == (404, 401)
        token.write_text("two\n")
        server.reload()
        assert (delete("one"), delete("two")) == (401, 404)
        token.unlink()
        assert server.reload()[-1]["Event"] == "the configuration stays as it was"
        assert (delete("one"), delete("two")) == (401, 404)
    finally:
        server.stop()


# ---- logs ----

def test_no_secret_in_the_log(store, database, tmp_path, files, layer):
    """Everything that a server says at level debug, of a run in which everything secret is used."""
    (files.folder / "layer.tar").write_bytes(LAYER)
    url = str(database)
    if store == "postgres":
        database = url + ("&" if "?" in url else "?") + "password=hidden-1"
    server = Server(tmp_path, database, api=f"    token: hidden-2\n    paginationkey: {HIDDEN_KEY}\n",
                    more="  feeds: {mirror: 'http://me:hidden-4@127.0.0.1:9/x?sig=hidden-5'}\n  updater: {interval: 1h, enabledupdaters: [debian]}\n"
                         "  notifier: {http: {endpoint: 'http://me:hidden-6@127.0.0.1:9/'}}\n  log: {level: debug}\n  prot: hidden-7\n").start()
    bearer = "Authorization: Bearer hidden-2"
    for i, path in enumerate((f"http://me:hidden-8@127.0.0.1:{files.port}/layer.tar?sig=hidden-9", f"http://me:hidden-8@127.0.0.1:{files.port}/none?sig=hidden-9",
                 "http://me:hidden-8@127.0.0.1:9/?sig=hidden-9", "ftp://me:hidden-8@127.0.0.1/?sig=hidden-9", "http://169.254.169.254/?sig=hidden-9")):
        body = {"Layer": {"Name": f"l{i}", "Path": path, "Format": "Docker",
                          "Headers": {"Authorization": "Bearer hidden-10", "Cookie": "hidden-11"}}}
        server.request("POST", "/v1/layers", json.dumps(body).encode(), [bearer])
    server.request("DELETE", "/v1/layers/x", headers=["Authorization: Bearer hidden-12"])
    eventually(lambda: "update finished" in server.events())
    server.config()
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration read again" in server.events())
    server.stop()
    assert "hidden" not in server.text(), [line for line in server.text().splitlines() if "hidden" in line]


def test_request_ids(serve, layer):
    server = serve()
    assert server.get("/v1/layers/x").header("X-Request-Id") is None
    assert server.get("/v1/layers/x", headers=["X-Request-Id: my-own.1"]).header("X-Request-Id") == "my-own.1"
    for bad in ("with space", "x" * 129, 'a"b', "<a>"):
        assert server.get("/v1/layers/x", headers=[f"X-Request-Id: {bad}"]).header("X-Request-Id") is None
    server.request("POST", "/v1/layers", json.dumps({"Layer": {"Name": "a", "Path": "/nowhere", "Format": "Docker"}}).encode(), ["X-Request-Id: posted"])
    server.stop()
    handled = [v for v in server.lines() if v["Event"] == "Handled HTTP request"]
    ids = [v["request id"] for v in handled]
    assert len(ids) == len(set(ids)) == 7 and ids[1] == "my-own.1"
    assert all(re.fullmatch(r"[0-9a-f]{16}", i) for i in [ids[0], *ids[2:6]])
    assert [v["request id"] for v in server.lines() if v["Event"] == "could not process layer"] == ["posted"]


def on_terminal(config, env):
    """What a server prints on a terminal until it is told to stop."""
    master, slave = pty.openpty()
    p = subprocess.Popen([helpers.ECLAIR, "serve", "-c", config], stdout=slave, env=helpers.environment(TERM="xterm", **env))
    os.close(slave)
    seen, told = b"", False
    try:
        while True:
            seen += os.read(master, 65536)
            if b"updater service" in seen and not told:
                told = True
                p.send_signal(signal.SIGTERM)
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert p.wait(60) == 0
    return seen.decode()


@pytest.mark.parametrize("env,more,form", [
    ({}, "", r"\x1b\[2m\d\d:\d\d:\d\d\.\d{3}\x1b\[0m \x1b\[32mINFO \x1b\[0m starting main API"),
    ({"NO_COLOR": "1"}, "", r"^\d\d:\d\d:\d\d\.\d{3} INFO  starting main API  addr=127\.0\.0\.1:\d+ port=\d+"),
    ({}, "  log: {format: json}\n", r'^\{"Event":"starting main API"'),
])
def test_terminal(one_store, tmp_path, env, more, form):
    seen = on_terminal(Server(tmp_path, one_store, more=more).config(), env).replace("\r\n", "\n")
    assert re.search(form, seen, re.M), seen


def test_text_in_a_file(one_store, tmp_path):
    server = Server(tmp_path, one_store, more="  log: {format: text}\n").start()
    server.stop()
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3} INFO  starting main API  addr=", server.text(), re.M)


# ---- a service manager ----

class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(60)

    def wait(self, word):
        while True:
            message = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            if word in message:
                return message


@pytest.mark.parametrize("abstract", [False, True])
def test_service_manager(one_store, tmp_path, abstract):
    name = f"\0eclair-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    manager = Manager(name)
    server = Server(tmp_path, one_store, env={"NOTIFY_SOCKET": name.replace("\0", "@"), "WATCHDOG_USEC": "200000"}).start(wait=False)
    assert manager.wait("READY")["READY"] == "1"
    assert request(server.port, "GET", "/v1/layers/x").status == 404 and server.health().status == 200
    for _ in range(3):
        assert manager.wait("WATCHDOG")["WATCHDOG"] == "1"
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server.process.send_signal(signal.SIGHUP)
    told = manager.wait("RELOADING")
    assert told["RELOADING"] == "1" and int(told["MONOTONIC_USEC"]) >= before
    assert manager.wait("READY")["READY"] == "1"
    server.process.send_signal(signal.SIGTERM)
    assert manager.wait("STOPPING")["STOPPING"] == "1"
    assert server.process.wait(60) == 0
    manager.socket.close()


def test_places_of_sources(one_store, tmp_path):
    """A source of its own place, and by a variable; the others are asked at the mirror. Unknown names are told."""
    folder = helpers.write_mirror(tmp_path / "own", helpers.small_debian()) / "debian"
    mirror = helpers.write_mirror(tmp_path / "mirror", None, helpers.small_alpine())
    more = (f"  updater: {{interval: 1h, enabledupdaters: [debian, alpine]}}\n"
            f"  feeds: {{mirror: {mirror}, debian: {{url: {folder}, interval: 30m}}, debiam: {{url: /x}}}}\n")
    server = Running(tmp_path, one_store)
    server.more = more
    server.start()
    try:
        eventually(lambda: "update finished" in server.events())
        assert entries(one_store, "debian") and entries(one_store, "alpine")
        assert any("clair.feeds.debiam.url: no such source" in v.get("note", "") for v in server.lines())
        count = len(server.lines())
        server.more = more.replace(str(folder), str(tmp_path / "absent"))
        told = server.reload()
        assert [v["value"] for v in told if v.get("key") == "feeds.<source>.url"] == [
            f"debian: {tmp_path / 'absent'}, debiam: /x"]
        assert len(server.lines()) > count
    finally:
        server.stop()


METADATA = {f["name"] for f in json.loads(helpers.eclair("feed", "list", "--format", "json").out) if not f["covers"]}
SOURCES = {f["name"] for f in json.loads(helpers.eclair("feed", "list", "--format", "json").out)}


@pytest.mark.parametrize("updater, more, wanted, unknown", [
    ("interval: 2h", "", SOURCES, []),
    ("enabledupdaters: [alpine]", "", {"alpine"}, []),
    ("enabledupdaters: [debian, windows, alpine, debian]", "", {"debian", "alpine"}, ["windows"]),
    ("enabledupdaters: [debian, alpine]", "alpine: {interval: 0}", {"debian"}, []),
    # what Clair called otherwise (spec/updaters-legacy.md 1), once there is such a source
    ("enabledupdaters: [rhel, RHEL]", "", SOURCES & {"redhat"}, [] if "redhat" in SOURCES else ["rhel", "RHEL"]),
    ("enabledupdaters: [amzn1, amzn2]", "", SOURCES & {"amazon"}, [] if "amazon" in SOURCES else ["amzn1", "amzn2"]),
    ("enabledupdaters: [suse, opensuse]", "", SOURCES & {"suse"}, [] if "suse" in SOURCES else ["suse", "opensuse"]),
])
def test_enabled_updaters(tmp_path, updater, more, wanted, unknown):
    file = tmp_path / "config.yaml"
    file.write_text(f"clair:\n  updater:\n    {updater}\n  feeds: {{{more}}}\n")
    told = json.loads(helpers.eclair("config", "check", file, "--format", "json").out)
    assert told["error"] is None
    names = [s["name"] for s in told["sources"]]
    assert set(names) == wanted | METADATA and len(names) == len(set(names))
    assert {s["interval"] for s in told["sources"]} <= {7200}
    assert told["warnings"] == [f"updater {name} is not there" for name in unknown]
