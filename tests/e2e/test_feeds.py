"""All sources of the real data from a loopback mirror: conditional requests, and failures that stay where they are."""
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import helpers
import pytest
from helpers import eclair, update

HERE = Path(__file__).resolve().parent
# Of the data, what each source has there.
SOURCES = {"almalinux", "alpine", "amazon", "arch", "debian", "epss", "go", "kev", "maven", "npm", "nvd", "photon", "pypi", "redhat", "redhat-osv",
           "rocky",
           "rubygems", "ubuntu", "ubuntu-tracker"}
TIMEOUT = 600
# Three loads of everything: with the program that people run, where it is built. What sanitizers see in the same files, accuracy's readings load.
RELEASE = helpers.ROOT / "build/eclair"
PROGRAM = {"program": RELEASE} if RELEASE.exists() else {}


class Mirror:
    def __init__(self, folder):
        port_file = folder / "port"
        self.process = subprocess.Popen([sys.executable, HERE / "feedserver.py", "--root", helpers.need_data("feeds"), "--port-file", port_file])
        while not port_file.exists():
            assert self.process.poll() is None
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{int(port_file.read_text())}"

    def control(self, path):
        return urllib.request.urlopen(f"{self.url}/control/{path}", timeout=30).read().decode()

    def answers(self):
        return {int(line.split()[0]): int(line.split()[1]) for line in self.control("answers").splitlines()}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    m = Mirror(tmp_path_factory.mktemp("mirror"))
    yield m
    m.process.kill()
    m.process.wait()


@pytest.fixture(scope="module")
def loaded(mirror, tmp_path_factory):
    db = tmp_path_factory.mktemp("loaded") / "all.db"
    update(db, mirror.url, timeout=TIMEOUT, **PROGRAM)
    return db


def feeds(db):
    r = eclair("db", "status", "--db", db, "--format", "json")
    assert (r.code, r.err) == (0, b"")
    return {f["name"]: f for f in json.loads(r.out)["feeds"]}


def test_all_sources(loaded):
    found = feeds(loaded)
    assert {n for n, f in found.items() if f["last_success"] and not f["error"]} == SOURCES
    assert all(f["entries"] > 0 for n, f in found.items() if n in SOURCES - {"nvd", "epss", "kev"})
    assert all(f["error"] == "not mirrored" for n, f in found.items() if n not in SOURCES)


def test_nothing_is_transferred_twice(mirror, loaded):
    before = feeds(loaded)
    mirror.control("reset")
    later = helpers.environment(ECLAIR_NOW="2026-01-02T04:00:00Z")
    r = update(loaded, mirror.url, env=later, timeout=TIMEOUT, **PROGRAM)
    assert set(mirror.answers()) <= {304, 404}, mirror.answers()  # 404: what the mirror does not have
    asked = mirror.control("log")
    assert "m/repodata/repomd.xml" in asked and "updateinfo" not in asked  # its checksum says that it is the same
    lines = dict(line.split(": ", 1) for line in r.out.decode().splitlines())
    assert all("nothing new" in lines[n] for n in SOURCES), lines
    after = feeds(loaded)
    assert all(after[n]["last_success"] == "2026-01-02T04:00:00Z" and after[n]["entries"] == before[n]["entries"] for n in SOURCES)


FAULTS = {"arch": ("500-1000", "/arch/", "answered 500"), "photon": ("hang", "/photon/", "no byte for 1.0 s"), "epss": ("truncate-5000", "/epss/", "bytes"), "kev": ("dribble", "/cisa/", "less than 1024 bytes a second")}


def test_failures_stay_where_they_are(mirror, loaded):
    """One source answers 500, one hangs, one breaks off, one gives a byte now and then: all others are fresh, and the status says so."""
    before = feeds(loaded)
    try:
        for mode, prefix, _ in FAULTS.values():
            mirror.control(f"fault/{mode}{prefix}")
        env = helpers.environment(ECLAIR_NOW="2026-01-03T00:00:00Z")
        # what they had was another file: else a 304 would say that nothing is to be transferred
        r = eclair("update", "--mirror", mirror.url, "--db", loaded, "--idle-timeout", "1s", env=env, timeout=TIMEOUT, **PROGRAM)
    finally:
        mirror.control("fault/none")
    assert r.code == 1, (r.out, r.err)
    after = feeds(loaded)
    for name, (_, _, said) in FAULTS.items():
        assert said in after[name]["error"] and name + ":" in r.err.decode(), (name, after[name], r.err)
        assert {k: after[name][k] for k in ("last_success", "entries")} == \
            {k: before[name][k] for k in ("last_success", "entries")}
        assert after[name]["last_try"] == "2026-01-03T00:00:00Z"
    for name in SOURCES - set(FAULTS):
        assert after[name]["last_success"] == "2026-01-03T00:00:00Z" and not after[name]["error"], after[name]
