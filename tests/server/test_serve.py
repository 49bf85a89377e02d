"""The server's own life: configuration, logs, health, updater, databases that go and come, a graceful end."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import helpers
import make_images
import pg
import pytest
from serving import Server, free_ports, request

LAYER = make_images.tar([("etc/os-release", make_images.os_release()),
                         ("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))])


@pytest.fixture
def layer(tmp_path):
    path = tmp_path / "layer.tar"
    path.write_bytes(LAYER)
    return path


def eventually(condition, seconds=30, every=0.02):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(every)


def test_log(serve, layer):
    """One JSON object a line, keys sorted, Clair's fields (spec/server.md 5)."""
    server = serve()
    server.post("a", layer)
    server.get("/v1/layers/nothing?features")
    server.stop()
    for line in server.text().splitlines():
        value = json.loads(line)
        assert list(value) == sorted(value) and {"Event", "Level", "Location", "Time"} <= set(value)
        assert re.fullmatch(r"[a-z0-9_]+\.c:\d+", value["Location"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", value["Time"])
    handled = [v for v in server.lines() if v["Event"] == "Handled HTTP request"]
    assert [(v["method"], v["request uri"], v["status"]) for v in handled] == [
        ("POST", "/v1/layers", "201"), ("GET", "/v1/layers/nothing?features", "404")]
    assert all(v["remote addr"].startswith("127.0.0.1:") and isinstance(v["elapsed time"], int) for v in handled)
    events = server.events()
    for event in ("starting main API", "starting health API", "Received interruption, gracefully stopping ...", "main API stopped"):
        assert event in events


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("text,words", [
    ("clair:\n  api:\n    timeout: soon\n", ("line 3", "clair.api.timeout", "'soon'")),
    ("clair:\n  database:\n    type: mysql\n", ("unknown Driver",)),
    ("clair:\n  database:\n    type: pgsql\n    options:\n      source: /a/path\n", ("database.type",)),
    ("clair:\n  api: {addr: 'nowhere.invalid:99999'}\n  database: {type: sqlite, options: {source: DB}}\n", ("99999", "invalid port")),
    ("a: b: c\n", ("line 1",)),
    ("", ("no section 'clair'",)),
    (None, ("No such file",)),
])
def test_bad_configuration(text, words, tmp_path, store):
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text.replace("DB", str(tmp_path / "x.db")))
    r = helpers.eclair("serve", "-config", path)
    assert r.code in (1, 2) and r.err.count(b"\n") == 1, r
    for word in words:
        assert word in r.err.decode(), r.err


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_as_clair(tmp_path, database, store, layer):
    """Called `clair`, with Clair's flags; arguments are ignored, an unknown flag is usage on standard error and 2."""
    clair = tmp_path / "clair"
    clair.symlink_to(helpers.ECLAIR)
    server = Server(tmp_path, database)
    process = subprocess.Popen([clair, "-config", server.config(), "-log-level=debug", "-insecure-tls", "ignored"],
                               stdout=subprocess.DEVNULL, env=helpers.environment())
    server.process = process
    server.wait()
    assert server.post("a", layer).status == 201
    server.stop()
    r = helpers.eclair("-colour", program=clair)
    assert r.code == 2 and b"-config" in r.err and r.out == b""


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_without_configuration(tmp_path, store):
    """The documented defaults, with the database named by --db; the ports may be taken on this machine, which is then said."""
    busy = []
    for port in (6060, 6061):
        try:
            busy.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            pass  # somebody else has it: just as good
    r = helpers.eclair("serve", "--db", tmp_path / "eclair.db", timeout=30)
    for s in busy:
        s.close()
    assert r.code == 1 and b"listen tcp :6060: bind: address already in use" in r.err


def test_graceful_stop(serve, tmp_path):
    """A request that runs is answered; new ones are refused at once."""
    gate, asked = threading.Event(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def give():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            asked.set()
            gate.wait(30)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LAYER) + LAYER)

    threading.Thread(target=give, daemon=True).start()
    server, answers = serve(), []
    poster = threading.Thread(target=lambda: answers.append(server.post("late", f"http://127.0.0.1:{listener.getsockname()[1]}/x").status))
    poster.start()
    assert asked.wait(30)
    server.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        except (ConnectionRefusedError, ConnectionResetError):  # the latter: it was in the backlog
            return True
        return False

    eventually(refused)
    gate.set()
    poster.join()
    listener.close()
    assert answers == [201]
    assert server.process.wait(30) == 0
    assert helpers.gone(server.process.pid)


def test_stop_reaches_no_worker(serve, layer, tmp_path):
    """A service manager signals all processes of a service: the ones that read layers leave it to their parent."""
    server = serve()
    os.killpg(server.process.pid, signal.SIGTERM)
    assert server.process.wait(30) == 0


def dribble():
    """A server of layers that gives a byte every 20 ms, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while True:
                    connection.sendall(b"\0" * 100)
                    time.sleep(0.02)
            except OSError:
                pass

    def accept():
        while True:
            try:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}/layer"


def test_stop_waits_for_no_dribble(serve):
    """Posts whose clients were told that it takes too long keep no server alive."""
    server = serve(api="    timeout: 1s\n")
    listener, url = dribble()
    answers = []
    threads = [threading.Thread(target=lambda i=i: answers.append(server.post(f"l{i}", url).status)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [503] * 4
    begin = time.monotonic()
    server.stop()
    assert server.process.returncode == 0 and time.monotonic() - begin < 30
    assert "layers that were being read abandoned" in server.text()
    listener.close()


def test_log_that_nobody_reads(tmp_path, database, layer):
    """A reader of standard output that stands still stops the log, and nothing else."""
    config = tmp_path / "config.yaml"
    config.write_text(f"clair:\n  database: {{type: {'sqlite' if '/' in str(database) and '=' not in str(database) and '://' not in str(database) else 'pgsql'}, "
                      f"options: {{source: '{database}'}}}}\n  api: {{addr: '127.0.0.1:0', healthaddr: '127.0.0.1:0'}}\n"
                      "  updater: {interval: 0}\n")
    p = subprocess.Popen([helpers.ECLAIR, "serve", "-c", config], stdout=subprocess.PIPE, env=helpers.environment())
    try:
        port = None
        while port is None:
            event = json.loads(p.stdout.readline())
            port = event["port"] if event["Event"] == "starting main API" else None
        begin = time.monotonic()
        for i in range(600):  # each is a line of the log
            assert request(port, "GET", f"/v1/layers/{'x' * 1000}{i}").status == 404
        assert time.monotonic() - begin < 60
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 0
    finally:
        p.kill()


def test_second_signal(serve):
    """Who does not want to wait."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = serve()
    threading.Thread(target=lambda: swallow(server, f"http://127.0.0.1:{listener.getsockname()[1]}/x"), daemon=True).start()
    connection, _ = listener.accept()
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: "gracefully" in server.text())
    time.sleep(0.1)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) in (0, -signal.SIGTERM)
    connection.close()
    listener.close()


def swallow(server, path):
    try:
        server.post("x", path)
    except (OSError, ValueError):
        pass


# ---- the updater ----

@pytest.fixture
def mirror(tmp_path):
    return helpers.write_mirror(tmp_path / "mirror", helpers.small_debian(), helpers.small_alpine())


def entries(database, feed):
    r = helpers.eclair("db", "status", "--format", "json", "--db", database)
    return next((f["entries"] for f in json.loads(r.out)["feeds"] if f["name"] == feed), 0)


def test_updater(serve, database, mirror, layer):
    """Loads at start and at its interval, by differences; a layer that was there before is judged anew."""
    server = serve(more=f"  feeds:\n    mirror: {mirror}\n  updater:\n    interval: 1s\n")
    server.post("a", layer)
    eventually(lambda: "update finished" in server.events())
    before = entries(database, "debian")
    assert before and entries(database, "alpine")
    assert [v["Name"] for v in server.layer("a")["Features"][0].get("Vulnerabilities", [])] == []
    helpers.write_mirror(mirror, helpers.small_debian() | {"demo": {"CVE-2026-1": helpers.entry("open", urgency="high")}})
    eventually(lambda: entries(database, "debian") == before + 1)
    found = server.layer("a")["Features"][0]["Vulnerabilities"]
    assert [(v["Name"], v["Severity"], v.get("FixedBy")) for v in found] == [("CVE-2026-1", "High", None)]


def test_one_server_updates(serve, database, mirror):
    """Of two servers on one database one does a cycle, the other finds it done."""
    more = f"  feeds:\n    mirror: {mirror}\n  updater:\n    interval: 1h\n"
    servers = [serve(more=more), serve(more=more)]
    eventually(lambda: sum("update finished" in s.events() for s in servers) >= 1)
    time.sleep(1)
    assert sum(s.events().count("update finished") for s in servers) == 1
    assert not [v for s in servers for v in s.lines() if v["Level"] == "error"]


def test_enabled_updaters(serve, database, mirror):
    """Clair's names; one that is not there is a warning."""
    server = serve(more=f"  feeds:\n    mirror: {mirror}\n  updater:\n    interval: 1h\n    enabledupdaters: [rhell, alpine]\n")
    eventually(lambda: "update finished" in server.events())
    assert entries(database, "alpine") and not entries(database, "debian")
    assert [v["updater name"] for v in server.lines() if v["Level"] == "warning" and "updater name" in v] == ["rhell"]


def test_source_that_fails(serve, database, mirror):
    """It leaves the others alone and the server up."""
    (mirror / "debian/tracker/data/json").write_bytes(b'{"demo": {')
    server = serve(more=f"  feeds:\n    mirror: {mirror}\n  updater:\n    interval: 1h\n")
    eventually(lambda: "update finished" in server.events())
    assert entries(database, "alpine") and not entries(database, "debian")
    failed = [v for v in server.lines() if v["Level"] == "error"]
    assert [v["updater name"] for v in failed] == ["debian"] and "json" in failed[0]["error"]
    assert server.health().status == 200


# ---- databases that go and come ----

@pytest.fixture
def own_postgres(tmp_path):
    server = pg.start(tmp_path)
    yield server
    server.remove()


def message(answer):
    return answer.json()["Error"]["Message"]


def test_database_goes_and_comes(tmp_path, own_postgres, layer):
    """As golden-v1/70 and 71, but health tells the truth at once; posts meanwhile fail clearly and leave nothing."""
    server = Server(tmp_path, own_postgres.new_database()).start()
    assert server.post("before", layer).status == 201
    own_postgres.stop()
    refused = f"dial tcp 127.0.0.1:{own_postgres.port}: connect: connection refused"
    for _ in range(3):
        a = server.get("/v1/layers/before?features")
        assert (a.status, message(a)) == (500, refused)
        a = server.post("during", layer)
        assert (a.status, message(a)) == (500, refused)
    eventually(lambda: server.health().status == 500, 5)
    own_postgres.start_again()
    eventually(lambda: server.health().status == 200)
    assert server.get("/v1/layers/during").status == 404
    assert server.post("during", layer, "before").status == 201
    assert len(server.layer("during")["Features"]) == 1
    server.stop()


def test_database_crashes_during_posts(tmp_path, own_postgres, layer):
    """Posts go on while PostgreSQL is killed and started again, several times: 201 or 500, and what is 201 is there, whole."""
    server = Server(tmp_path, own_postgres.new_database()).start()
    stop, answers = threading.Event(), {}

    def post(k):
        for i in range(10000):
            if stop.is_set():
                return
            answers[f"{k}-{i}"] = server.post(f"{k}-{i}", layer).status

    threads = [threading.Thread(target=post, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for _ in range(3):
        time.sleep(0.3)
        own_postgres.kill()
        time.sleep(0.2)
        own_postgres.start_again()
    time.sleep(0.3)
    stop.set()
    for t in threads:
        t.join()
    assert set(answers.values()) == {201, 500}
    eventually(lambda: server.health().status == 200)
    for name, status in answers.items():
        a = server.get(f"/v1/layers/{name}?features")
        assert a.status == 200 if status == 201 else a.status in (200, 404), name
        assert a.status == 404 or len(a.json()["Layer"]["Features"]) == 1, name
    server.stop()


def test_database_comes_late(tmp_path, own_postgres, layer):
    """The server starts before PostgreSQL does, as in a compose file: health says no, then yes."""
    database = own_postgres.new_database()
    own_postgres.stop()
    server = Server(tmp_path, database).start()
    assert server.health().status == 500
    assert server.post("a", layer).status == 500
    own_postgres.start_again()
    eventually(lambda: server.health().status == 200)
    assert server.post("a", layer).status == 201
    server.stop()


def test_wrong_password(tmp_path, own_postgres):
    """Never to be had by waiting: a clear end, without the password."""
    url = own_postgres.url.replace("eclair@", "locked:wrong-word@")
    r = helpers.eclair("serve", "-config", Server(tmp_path, url).config())
    assert r.code == 1 and b"password authentication failed" in r.err and b"wrong-word" not in r.err + r.out


def test_keyword_string(tmp_path, own_postgres, layer):
    """The form of the seed's config.yaml, with a setting that libpq does not know."""
    server = Server(tmp_path, own_postgres.keywords(own_postgres.new_database()) + " sslmode=disable statement_timeout=60000").start()
    assert server.post("a", layer).status == 201
    server.stop()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_full_disk(serve, database, store, layer):
    """SQLite on a full device: 500 and nothing half there; afterwards it goes on."""
    server = serve()
    assert server.post("a", layer).status == 201
    subprocess.run(["prlimit", "--fsize=1:unlimited", "--pid", str(server.process.pid)], check=True)
    a = server.post("b", layer, "a")
    assert a.status == 500
    assert server.get("/v1/layers/b").status == 404
    subprocess.run(["prlimit", "--fsize=unlimited:unlimited", "--pid", str(server.process.pid)], check=True)
    assert server.post("b", layer, "a").status == 201


def test_ports(tmp_path, store, database, serve):
    """IPv6, all addresses, a port of its own each."""
    ports = free_ports(2)
    server = serve()
    assert request(server.port, "GET", "/v1/layers/x").status == 404
    path = tmp_path / "six.yaml"
    path.write_text(server.config().read_text().replace(f"127.0.0.1:{server.port}", f'"[::1]:{ports[0]}"')
                    .replace(f"127.0.0.1:{server.health_port}", f'":{ports[1]}"'))
    p = subprocess.Popen([helpers.ECLAIR, "serve", "-c", path], stdout=subprocess.DEVNULL)

    def answers():
        try:
            with socket.create_connection(("::1", ports[0]), timeout=5) as s, socket.create_connection(("127.0.0.1", ports[1]), timeout=5):
                s.sendall(b"GET /v1/layers/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return s.recv(100).startswith(b"HTTP/1.1 404")
        except ConnectionRefusedError:
            return False

    eventually(answers)
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 0
