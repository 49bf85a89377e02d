"""GET of layers reads from a hot standby, and from the primary what the standby cannot tell."""
import time

import helpers
import make_images as mi
import pg
import pytest
from serving import Server

AGAIN = 10  # seconds; a replica that failed is left alone for so long
SHORT = "connect_timeout=2 response_timeout=2"


@pytest.fixture
def cluster(tmp_path):
    primary = pg.start(tmp_path)
    (tmp_path / "standby").mkdir()
    standby = primary.standby(tmp_path / "standby", synchronous=False)
    yield primary, standby
    standby.remove()
    primary.remove()


@pytest.fixture
def layer(tmp_path):
    path = tmp_path / "layer.tar"
    path.write_bytes(mi.tar([("etc/os-release", mi.os_release("debian", "12")),
                             ("var/lib/dpkg/status", mi.dpkg_status([("demo", "1.0-1", None)]))]))
    return path


def place(cluster_member, database):
    return f"host=127.0.0.1 port={cluster_member.port} user=eclair dbname={database} {SHORT}"


@pytest.fixture
def served(cluster, tmp_path):
    primary, standby = cluster
    database = primary.new_database().rpartition("/")[2]
    server = Server(tmp_path, place(primary, database), replica=place(standby, database)).start()
    yield server, primary, standby
    for member in cluster:
        if member.pid:
            member.go_on()
    server.stop()
    assert "ERROR: AddressSanitizer" not in server.text() and "runtime error" not in server.text(), server.text()


def get(server, name, within=1):
    """Its status, and that it took no longer."""
    began = time.monotonic()
    a = server.get(f"/v1/layers/{name}?vulnerabilities")
    assert time.monotonic() - began < within, (name, time.monotonic() - began, server.text())
    if a.status == 200:
        assert a.json()["Layer"]["Name"] == name and a.json()["Layer"]["Features"][0]["Name"] == "demo"
    return a.status


def notes(server):
    return [e for e in server.events() if "replica" in e]


def test_reads_there(served, layer):
    server, primary, standby = served
    assert server.post("a", layer).status == 201
    standby.catch_up()
    assert get(server, "a") == 200
    primary.pause()  # nobody else can have answered
    assert get(server, "a") == 200
    assert get(server, "b", within=5) == 500  # only the primary can say that there is none
    assert server.health().status == 500
    primary.go_on()
    assert get(server, "b") == 404
    assert server.request("DELETE", "/v1/layers/a").status == 200
    standby.catch_up()
    assert get(server, "a") == 404
    assert not [n for n in notes(server) if "could not open" not in n]


def test_behind(served, layer):
    server, primary, standby = served
    server.post("a", layer)
    standby.catch_up()
    assert get(server, "a") == 200
    standby.sql("SELECT pg_wal_replay_pause()")
    assert server.post("b", layer, parent="a").status == 201
    assert get(server, "b") == 200
    assert get(server, "a") == 200
    standby.sql("SELECT pg_wal_replay_resume()")
    standby.catch_up()
    primary.pause()
    assert get(server, "b") == 200


@pytest.mark.parametrize("way", ["pause", "stop", "crash"])
def test_gone(served, layer, way):
    server, primary, standby = served
    server.post("a", layer)
    standby.catch_up()
    assert get(server, "a") == 200
    assert get(server, "a") == 200
    getattr(standby, way)()
    assert get(server, "a", within=5) == 200  # that one waited
    for _ in range(20):
        assert get(server, "a") == 200
    assert notes(server)[-1] == "the read replica fails: the primary is asked"
    server.post("b", layer)
    assert get(server, "b") == 200

    standby.go_on() if way == "pause" else standby.start_again()
    time.sleep(AGAIN + 0.5)
    standby.catch_up()
    assert get(server, "b") == 200
    assert notes(server)[-1] == "the read replica answers again"
    primary.pause()
    assert get(server, "b") == 200


def test_not_there_yet(cluster, layer, tmp_path):
    """The schema is made by the server, and then takes its way; and a string that is none is refused."""
    primary, standby = cluster
    standby.sql("SELECT pg_wal_replay_pause()")
    database = primary.new_database().rpartition("/")[2]
    server = Server(tmp_path, place(primary, database), replica=place(standby, database)).start()
    assert "could not open the read replica" in notes(server)[0]
    assert server.post("a", layer).status == 201
    assert get(server, "a", within=5) == 200
    standby.sql("SELECT pg_wal_replay_resume()")
    standby.catch_up()
    server.stop()
    for wrong in ("/a/path", place(standby, database) + " no_such_setting=1"):
        refused = Server(tmp_path, place(primary, database), replica=wrong)
        r = helpers.eclair("serve", "-config", refused.config())
        assert r.code == 1 and b"database.options.readsource" in r.err + r.out, r
