"""Two instances whose clocks differ by an hour: who lives keeps its lease, who is dead loses it when it says, and nothing is doubled."""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import helpers
import pytest
import test_kill
import world

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
ROUNDS = max(2, world.ROUNDS // 10)
LEASE_S = 300  # of an update, as store.h says


def clock(offset):
    """The environment of a program whose clock is off; None: right."""
    if not offset:
        return {}
    if not LIBRARY:
        world.cannot("needs the package faketime")
    env = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    if helpers.SANITIZED:  # which wants to be the first library
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return env


def environment(offset):
    env = helpers.environment(**clock(offset))
    env.pop("ECLAIR_NOW", None)
    return env


@pytest.fixture
def slow(feed):
    mirror = world.Slow((feed.folders[1] / "debian/tracker/data/json").read_bytes())
    yield mirror
    mirror.close()


def hold(database, slow, offset, before=()):
    """An update that holds the lease until it is told to go on."""
    p = subprocess.Popen([*before, helpers.ECLAIR, "update", "debian", "--mirror", slow.url, "--db", str(database)], env=environment(offset),
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    assert slow.asked.wait(30)
    world.eventually(lambda: "update" in [lease[0] for lease in world.leases(database)])
    return p


def update(database, feed, offset, state):
    """From a fresh file: it is looked at, and so wants the lease."""
    place = feed.folders[state] / "debian/tracker/data/json"
    shutil.copyfile(place, place.with_name("fresh"))
    place.with_name("fresh").replace(place)
    return helpers.eclair("update", "debian", "--mirror", feed.folders[state], "--db", database, env=environment(offset))


WHOLE = pytest.mark.whole
OFFSETS = [(None, "+1h"), *[pytest.param(*pair, marks=WHOLE) for pair in (("+1h", None), (None, "-1h"), ("-1h", None))]]


@pytest.mark.parametrize("holder, other", OFFSETS)
def test_living_holder(holder, other, database, feed, slow):
    """It keeps its lease, whatever the other one thinks the time is."""
    feed.update(database)
    p = hold(database, slow, holder)
    r = update(database, feed, other, 0)
    assert r.code == 1 and b"another update is running" in r.err, (r.code, r.out, r.err)
    slow.go.set()
    _, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    assert feed.check(world.status(database)) == 1
    assert update(database, feed, other, 0).code == 0
    assert feed.check(world.status(database)) == 0
    assert world.status(database)["generation"] == 3


@pytest.mark.parametrize("holder, other", OFFSETS)
def test_dead_holder(holder, other, database, feed, slow):
    """Its end is seen at once on the same machine."""
    feed.update(database)
    p = hold(database, slow, holder)
    os.killpg(p.pid, signal.SIGKILL)
    p.communicate()
    assert update(database, feed, other, 1).code == 0
    assert world.leases(database) == []
    assert feed.check(world.status(database)) == 1


@pytest.mark.parametrize("other", [pytest.param(None, marks=WHOLE), "+1h", pytest.param("-1h", marks=WHOLE)])
def test_dead_holder_elsewhere(other, store, database, feed, slow):
    """Where nobody can see whether it lives (another pid namespace), its lease ends when it says: not before, and not later."""
    world.root_only()
    feed.update(database)
    p = hold(database, slow, None, ("unshare", "--fork", "--pid", "--kill-child"))
    p.kill()
    p.communicate()
    (lease,) = world.leases(database)
    assert LEASE_S - 30 < lease[2] <= LEASE_S == lease[3], lease
    assert update(database, feed, other, 1).code == 1
    soon = "clock_timestamp() + interval '3 seconds'" if store == "postgres" else world.up() + 3
    world.write(database, f"UPDATE lease SET expires = {soon}")  # instead of five minutes
    began = time.monotonic()
    while (r := update(database, feed, other, 1)).code:
        assert b"another update is running" in r.err and time.monotonic() - began < 10, r.err
        time.sleep(0.1)
    assert time.monotonic() - began > 1
    assert feed.check(world.status(database)) == 1 and world.leases(database) == []


@pytest.mark.parametrize("offset", ["+1h", pytest.param("-1h", marks=WHOLE)])
def test_rounds(offset, store, database, serve, feed, layers_folder):
    """One of two servers is off by an hour, and either is killed: updates go on, no row is doubled."""
    first = serve(database)
    book = world.Book(database, layers_folder, feed)
    book.learn(first)
    first.stop()
    servers = [serve(database, feed.config()), serve(database, feed.config(), env=clock(offset))]
    rounds = test_kill.Rounds(database, servers, feed, book, f"{store}, clocks an hour apart")
    for _ in range(ROUNDS):
        rounds.check(rounds.run())
    for s in servers:
        s.stop()
    for s in servers[::-1]:  # each alone, after the other one: what that one took for the time keeps it from nothing
        feed.flip()
        s.start()
        world.eventually(lambda: book.check_counts() == feed.shown)
        s.stop()
    servers[1].start()
    book.finish(servers[1])
    servers[1].stop()
