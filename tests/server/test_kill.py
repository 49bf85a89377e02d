"""kill -9 of the server during posts and updates: after a restart there is no half layer and no half feed."""
import json
import random
import threading
import time

import expected
import helpers
import pytest
from serving import Server

ROUNDS = 50


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    paths = []
    for i, data in enumerate(expected.image_layers(helpers.need_data("images/debian-bullseye-layers.docker.tar.zst"))):
        paths.append(folder / f"{i}.tar")
        paths[-1].write_bytes(data)
    return paths


@pytest.fixture(scope="module")
def feeds(tmp_path_factory):
    """Two states of a feed: 40 packages of the tracker with all their entries, and the same with every second one gone."""
    tracker = expected.read_json(helpers.need_data("feeds") / "debian/tracker/data/json")
    some = {name: tracker[name] for name in sorted(tracker)[:400]}
    half = {name: some[name] for i, name in enumerate(some) if i % 2}
    folder = tmp_path_factory.mktemp("feeds")
    for name, content in (("all", some), ("half", half)):
        helpers.write_mirror(folder / name, content)
    return folder


def names(round_):
    return [f"r{round_}-{i}" for i in range(4)]


def counts(server):
    """Ranges that the store says are visible."""
    r = helpers.eclair("db", "status", "--format", "json", "--db", server.database)
    assert r.code == 0, r.err
    feed = next((f for f in json.loads(r.out)["feeds"] if f["name"] == "debian"), None)
    return feed["entries"] if feed else 0


def features(server, name):
    """What is stored of a layer; None when nothing is."""
    a = server.get(f"/v1/layers/{name}?features")
    assert a.status in (200, 404), (a, server.text())
    return None if a.status == 404 else sorted((f["Name"], f["Version"], f["NamespaceName"], f["AddedBy"].split("-")[1])
                                                for f in a.json()["Layer"].get("Features", []))


def post_all(server, round_, layers):
    try:
        for i, name in enumerate(names(round_)):
            server.post(name, layers[i], names(round_)[i - 1] if i else None)
    except (OSError, ValueError):
        pass  # the server was killed


def update(database, mirror):
    return helpers.eclair("update", "debian", "--mirror", mirror, "--db", database)


def test_kill(store, database, layers, feeds, tmp_path):
    chance = random.Random(4)
    mirrors = [feeds / "all", feeds / "half"]
    more = "  updater:\n    interval: 1s\n  feeds:\n    mirror: %s\n"
    current = tmp_path / "mirror"
    current.symlink_to(mirrors[0])
    server = Server(tmp_path, database, more=more % current).start()
    began = time.monotonic()
    server.post_chain(names("whole"), layers)
    took = time.monotonic() - began
    whole = [features(server, name) for name in names("whole")]
    assert all(whole)
    server.stop()

    sizes = set()
    for mirror in mirrors:
        assert update(database, mirror).code == 0
        sizes.add(counts(server))
    assert len(sizes) == 2 and min(sizes) > 100

    partly, done = 0, 0
    for round_ in range(ROUNDS):
        current.unlink()
        current.symlink_to(mirrors[round_ % 2])
        server = Server(tmp_path, database, more=more % current).start()
        poster = threading.Thread(target=post_all, args=(server, round_, layers))
        poster.start()
        time.sleep(chance.random() * 1.5 * took)
        server.kill()
        poster.join()

        server = Server(tmp_path, database).start()  # no updater: what is there is what was left
        stored = [features(server, name) for name in names(round_)]
        for got, want in zip(stored, whole):
            assert got is None or got == want, f"round {round_}: half a layer"
        count = sum(got is not None for got in stored)
        assert all(got is not None for got in stored[:count]), "a child without its parent"
        partly += 0 < count < 4
        done += count == 4
        assert counts(server) in sizes, f"round {round_}: half a feed"
        server.post_chain(names(round_), layers)  # and it goes on
        assert [features(server, name) for name in names(round_)] == whole
        server.stop()
    assert partly, "no kill hit a chain in the middle"
    assert update(database, mirrors[0]).code == 0
    assert counts(server) == max(sizes)
