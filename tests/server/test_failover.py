"""The primary of a PostgreSQL cluster dies, its standby takes over: the same running server goes on, and nothing acknowledged is lost."""
import threading
import time

import expected
import helpers
import pg
import pytest
from serving import Server

CHAIN = 4


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    paths = []
    for i, data in enumerate(expected.image_layers(helpers.need_data("images/debian-bullseye-layers.docker.tar.zst"))):
        paths.append(folder / f"{i}.tar")
        paths[-1].write_bytes(data)
    assert len(paths) >= CHAIN
    return paths[:CHAIN]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    tracker = expected.read_json(helpers.need_data("feeds") / "debian/tracker/data/json")
    folder = tmp_path_factory.mktemp("feeds")
    helpers.write_mirror(folder / "some", {name: tracker[name] for name in sorted(tracker)[:200]})
    helpers.write_mirror(folder / "more", {name: tracker[name] for name in sorted(tracker)[:300]})
    return folder


@pytest.fixture
def cluster(tmp_path):
    primary = pg.start(tmp_path)
    (tmp_path / "standby").mkdir()
    standby = primary.standby(tmp_path / "standby")
    yield primary, standby
    standby.remove()
    primary.remove()


def both(primary, standby, database, form):
    """One connection string for the two."""
    if form == "url":
        return (f"postgresql://eclair@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{database}"
                "?target_session_attrs=read-write&connect_timeout=2&response_timeout=2")
    return (f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=eclair dbname={database} "
            "target_session_attrs=read-write connect_timeout=2 response_timeout=2")


class Poster(threading.Thread):
    """Posts one chain after the other until it is told to stop; `acknowledged` has the names with 201."""

    def __init__(self, server, layers):
        super().__init__(daemon=True)
        self.server, self.layers, self.acknowledged, self.refused, self.done = server, layers, [], 0, False
        self.start()

    def run(self):
        round_ = 0
        while not self.done:
            for i, path in enumerate(self.layers):
                answer = self.server.post(f"c{round_}-{i}", path, f"c{round_}-{i - 1}" if i else None)
                if answer.status != 201:
                    self.refused += 1
                    time.sleep(0.05)
                    break
                self.acknowledged.append(f"c{round_}-{i}")
            round_ += 1

    def wait_for(self, count):
        end = time.monotonic() + 60
        while len(self.acknowledged) < count:
            assert self.is_alive() and time.monotonic() < end, self.server.text()
            time.sleep(0.01)

    def stop(self):
        self.done = True
        self.join(60)
        assert not self.is_alive()


def features(server, name):
    a = server.get(f"/v1/layers/{name}?features")
    assert a.status == 200, (name, a, server.text())
    return sorted((f["Name"], f["Version"], f["AddedBy"].split("-")[-1]) for f in a.json()["Layer"].get("Features", []))


def update(where, mirror):
    r = helpers.eclair("update", "debian", "--mirror", mirror, "--db", where)
    assert r.code == 0, r.err


@pytest.mark.parametrize("form,way", [("keywords", "crash"), ("url", "pause")])
def test_failover(cluster, layers, mirror, tmp_path, form, way):
    """A primary that hangs keeps its connections; response_timeout tells."""
    primary, standby = cluster
    where = both(primary, standby, primary.new_database().rpartition("/")[2], form)
    server = Server(tmp_path, where).start()
    try:
        server.post_chain([f"whole-{i}" for i in range(CHAIN)], layers)
        whole = [features(server, f"whole-{i}") for i in range(CHAIN)]
        assert whole[-1]
        update(where, mirror / "some")

        poster = Poster(server, layers)
        poster.wait_for(CHAIN + 2)
        primary.crash() if way == "crash" else primary.pause()
        time.sleep(0.5)
        began = time.monotonic()
        assert server.health().status == 500  # nobody takes writes, and that is told at once
        assert time.monotonic() - began < 5
        before = len(poster.acknowledged)
        standby.promote()
        poster.wait_for(before + CHAIN + 2)
        poster.stop()

        assert poster.refused  # else the crash hit nothing
        for name in poster.acknowledged:
            assert features(server, name) == whole[int(name.split("-")[1])], name
        server.post_chain([f"new-{i}" for i in range(CHAIN)], layers)
        time.sleep(1.1)  # an answer of the health port holds for a second
        assert server.health().status == 200
        update(where, mirror / "more")
        status = helpers.eclair("db", "status", "--format", "json", "--db", where)
        assert status.json()["generation"] == 2
    finally:
        server.stop()
