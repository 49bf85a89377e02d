"""Feeds: only the difference is written, a failure changes nothing, and a kill at any moment leaves the old or the new state."""
import http.server
import json
import os
import random
import re
import signal
import sqlite3
import ssl
import subprocess
import threading
import time

import helpers
import make_images as mi
import pytest
from helpers import eclair, scan, update


def dump(db):
    """Every row of every table, but for when a feed was last tried: {table: sorted rows}."""
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as c:
        tables = [r[0] for r in c.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        content = {}
        for table in tables:
            columns = [r[1] for r in c.execute(f'PRAGMA table_info("{table}")')]
            wanted = [x for x in columns if x not in ("last_try", "last_success")]
            names = ", ".join(f'"{x}"' for x in wanted)
            content[table] = sorted(c.execute(f'SELECT {names} FROM "{table}"'), key=repr)
    c.close()
    return content


def status(db):
    r = eclair("db", "status", "--db", db, "--format", "json")
    assert (r.code, r.err) == (0, b"")
    return r.json()


def summary(r):
    """{source: the rest of its line}"""
    return dict(line.split(": ", 1) for line in r.out.decode().splitlines())


def number(text, word):
    m = re.search(r"([\d,]+) (?:advisories )?" + word, text)
    assert m, f"no count of {word!r} in {text!r}"
    return int(m[1].replace(",", ""))


def rows_changed(before, after):
    return sum(len(set(map(repr, before.get(t, []))) ^ set(map(repr, after.get(t, [])))) for t in before | after)


def test_first_load(small_mirror, tmp_path):
    db = tmp_path / "new/eclair.db"
    r = update(db, small_mirror, "debian", "alpine")
    lines = r.out.decode().splitlines()
    assert sorted(summary(r)) == ["alpine", "debian"] and len(lines) == 2
    # openssl: 6 that speak of a release we know (undetermined says nothing); glibc 2; util-linux 2; two more.
    assert number(summary(r)["debian"], "new") == 12
    s = status(db)
    assert s["generation"] >= 1
    assert all(f["last_success"] == helpers.NOW and not f["error"] and f["age_seconds"] == 0 for f in s["feeds"]
               if f["name"] in ("debian", "alpine"))
    with sqlite3.connect(db) as c:
        assert c.execute("PRAGMA application_id").fetchone() == (0x65636c72,)
        assert c.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_all_sources_by_default(small_mirror, tmp_path):
    r = update(tmp_path / "db", small_mirror)
    assert set(summary(r)) >= {"debian", "alpine"}


def test_nothing_new_touches_no_row(db, small_mirror):
    before, generation = dump(db), status(db)["generation"]
    later = helpers.environment(ECLAIR_NOW="2026-01-03T03:04:05Z")
    r = update(db, small_mirror, "debian", "alpine", env=later)
    assert all("nothing new" in text for text in summary(r).values()), r.out
    assert dump(db) == before
    assert status(db)["generation"] == generation
    ages = {f["name"]: f["last_success"] for f in status(db)["feeds"]}
    assert ages["debian"] == ages["alpine"] == "2026-01-03T03:04:05Z"


def test_same_content_in_new_files(db, small_mirror, tmp_path):
    """The files are newer, the content is not: no advisory is written."""
    before, generation = dump(db), status(db)["generation"]
    mirror = helpers.write_mirror(tmp_path / "again", helpers.small_debian(), helpers.small_alpine())
    update(db, mirror, "debian", "alpine")
    after = dump(db)
    changed = {t for t in before | after if before.get(t) != after.get(t)}
    assert all("document" in t for t in changed), changed  # at most what the file looked like
    assert status(db)["generation"] == generation


def big_feed(count=3000):
    return {f"source{i % 300}": {f"CVE-2024-{j}": helpers.entry(fixed="1.0-2", description=f"number {j}")
                                 for j in range(i, count, 300)} for i in range(300)}


def test_only_the_difference_is_written(tmp_path):
    db, feed = tmp_path / "db", big_feed()
    update(db, helpers.write_mirror(tmp_path / "mirror", feed), "debian")
    before, generation = dump(db), status(db)["generation"]

    feed["source1"]["CVE-2024-1"]["releases"]["bookworm"]["fixed_version"] = "1.0-3"
    feed["source2"]["CVE-2024-2"]["description"] = "another text"
    feed["source3"]["CVE-2024-99999"] = helpers.entry("open")
    del feed["source4"]["CVE-2024-4"]
    text = summary(update(db, helpers.write_mirror(tmp_path / "mirror", feed), "debian"))["debian"]
    assert (number(text, "new"), number(text, "changed"), number(text, "withdrawn")) == (1, 2, 1)
    assert status(db)["generation"] == generation + 1
    assert 4 <= rows_changed(before, dump(db)) <= 60  # of some 10,000

    # and back again: what was withdrawn is there once more
    update(db, helpers.write_mirror(tmp_path / "mirror", big_feed()), "debian")
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([[("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", mi.dpkg_status(
        [(f"p{i}", "1.0-1", f"source{i}") for i in (1, 3, 4)]))]]))
    found = {(f["source"], f["id"]): f["fixed_version"] for f in scan(db, image).json()["findings"]}
    assert found[("source1", "CVE-2024-1")] == "1.0-2"
    assert found[("source4", "CVE-2024-4")] == "1.0-2"
    assert ("source3", "CVE-2024-99999") not in found
    assert len(found) == 30


def test_answers_follow_the_feed(tmp_path, small_image):
    """A scan after an update sees it, although the image was indexed before."""
    db, feed = tmp_path / "db", helpers.small_debian()
    update(db, helpers.write_mirror(tmp_path / "mirror", feed), "debian")
    assert ("zlib1g", "CVE-2025-1") not in helpers.ids(scan(db, small_image).json())
    feed["zlib"] = {"CVE-2025-1": helpers.entry("open")}
    del feed["glibc"]
    update(db, helpers.write_mirror(tmp_path / "mirror", feed), "debian")
    found = helpers.ids(scan(db, small_image).json())
    assert ("zlib1g", "CVE-2025-1") in found
    assert not [f for f in found if f[0] == "libc6"]


@pytest.mark.parametrize("codec,suffix", [("zstd", ".zst"), ("gzip", ".gz"), ("xz", ".xz")])
def test_compressed_mirror(codec, suffix, tmp_path, small_image):
    path = tmp_path / "mirror/debian/tracker/data" / ("json" + suffix)
    path.parent.mkdir(parents=True)
    path.write_bytes(mi.pack(mi.dump(helpers.small_debian()), codec))
    update(tmp_path / "db", tmp_path / "mirror", "debian")
    assert helpers.ids(scan(tmp_path / "db", small_image).json()) == helpers.SMALL_DEBIAN_IDS


def test_source_that_is_not_mirrored(tmp_path):
    mirror = helpers.write_mirror(tmp_path / "mirror", helpers.small_debian())
    r = update(tmp_path / "db", mirror, "debian", "alpine")
    assert "not mirrored" in summary(r)["alpine"]


def test_alpine_branch_that_vanished_is_kept(db, tmp_path):
    """A branch that is no longer served keeps what it had."""
    documents = {"v3.21/main": helpers.secdb("v3.21", "main", {"musl": {"9-r0": ["CVE-2024-2"]}})}
    update(db, helpers.write_mirror(tmp_path / "mirror", alpine=documents), "alpine")
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive(mi.alpine_layers()))
    assert helpers.ids(scan(db, image).json()) == helpers.SMALL_ALPINE_IDS


def test_quiet(db, small_mirror):
    r = update(db, small_mirror, "debian", "--quiet")
    assert (r.out, r.err) == (b"", b"")


def test_failure_is_remembered_and_forgotten(db, small_mirror, tmp_path):
    """A failed try shows in the status with the time of the last success; the next good one clears it."""
    bad = helpers.write_mirror(tmp_path / "bad", b"{")
    later = helpers.environment(ECLAIR_NOW="2026-01-05T03:04:05Z")
    before = dump(db)
    assert update(db, bad, "debian", check=False, env=later).code == 1
    after = dump(db)
    assert {t for t in before if before[t] != after[t]} <= {"feed"}
    feed = next(f for f in status(db)["feeds"] if f["name"] == "debian")
    assert feed["last_success"] == helpers.NOW and "byte" in feed["error"]
    update(db, small_mirror, "debian", env=later)
    feed = next(f for f in status(db)["feeds"] if f["name"] == "debian")
    assert (feed["last_success"], feed["error"]) == ("2026-01-05T03:04:05Z", None)


def test_unknown_source(db, small_mirror):
    helpers.assert_refused(update(db, small_mirror, "windows", check=False), "windows", code=2)


# ---- killed ----

def start(db, mirror):
    return subprocess.Popen([helpers.ECLAIR, "update", "debian", "--mirror", mirror, "--db", db], env=helpers.environment(),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def versions(db, image):
    return {f["fixed_version"] for f in scan(db, image).json()["findings"]}


def test_kill_at_any_moment(tmp_path):
    """20 times: kill -9 somewhere in the work. The database is whole, shows one state or the other, and goes on."""
    def feed(fixed, count=8000):
        return {f"source{i}": {f"CVE-2024-{i}-{j}": helpers.entry(fixed=fixed, description="x" * 100) for j in range(10)}
                for i in range(count // 10)}

    random.seed(int(os.environ.get("ECLAIR_SEED", "1")))
    mirrors = [helpers.write_mirror(tmp_path / f"m{v}", feed(f"1.0-{v}")) for v in (2, 3)]
    db, image = tmp_path / "db", tmp_path / "image.tar"
    status_file = mi.dpkg_status([(f"p{i}", "1.0-1", f"source{i}") for i in range(0, 800, 8)])
    image.write_bytes(mi.archive([[("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", status_file)]]))
    update(db, mirrors[0], "debian")
    began = time.monotonic()
    update(db, mirrors[1], "debian")
    took = time.monotonic() - began
    assert versions(db, image) == {"1.0-3"}

    killed = 0
    for _ in range(20):
        p = start(db, mirrors[versions(db, image) == {"1.0-2"}])  # always something to do
        time.sleep(random.uniform(0, took))
        p.send_signal(signal.SIGKILL)
        killed += p.wait() == -signal.SIGKILL
        assert helpers.gone(p.pid), "a process went on after its parent was killed"

        report = scan(db, image).json()
        assert len(report["findings"]) == 1000
        assert {f["fixed_version"] for f in report["findings"]} in ({"1.0-2"}, {"1.0-3"})
        with sqlite3.connect(db) as c:
            assert c.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        c.close()
    assert killed >= 10
    update(db, mirrors[0], "debian")
    assert versions(db, image) == {"1.0-2"}
    update(db, mirrors[1], "debian")
    assert versions(db, image) == {"1.0-3"}


def test_kill_during_the_first_load(tmp_path, small_image):
    """Nothing is half visible: either no feed at all, or the whole one."""
    mirror = helpers.write_mirror(tmp_path / "mirror", helpers.small_debian() | big_feed(20000))
    began = time.monotonic()
    update(tmp_path / "timing", mirror, "debian")
    took = time.monotonic() - began
    for turn in range(5):
        db = tmp_path / f"db{turn}"
        p = start(db, mirror)
        time.sleep(took * (turn + 1) / 7)
        p.kill()
        p.wait()
        assert helpers.gone(p.pid)
        r = scan(db, small_image)
        if r.code == 0:
            assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS
        else:
            assert (r.code, r.json()["coverage"], r.json()["findings"]) == (3, "none", [])
        update(db, mirror, "debian")
        assert helpers.ids(scan(db, small_image).json()) == helpers.SMALL_DEBIAN_IDS


def test_scans_during_an_update(tmp_path):
    """Readers are never refused and never see a mixture."""
    def feed(fixed):
        return {f"s{i}": {f"CVE-2024-{i}-{j}": helpers.entry(fixed=fixed) for j in range(20)} for i in range(500)}

    mirrors = [helpers.write_mirror(tmp_path / f"m{v}", feed(f"1.0-{v}")) for v in (2, 3)]
    db, image = tmp_path / "db", tmp_path / "image.tar"
    image.write_bytes(mi.archive([[("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", mi.dpkg_status(
        [(f"p{i}", "1.0-1", f"s{i}") for i in range(0, 500, 50)]))]]))
    update(db, mirrors[0], "debian")
    seen = 0
    for turn in range(1, 4):
        p = start(db, mirrors[turn % 2])
        while p.poll() is None:
            report = scan(db, image).json()
            assert len(report["findings"]) == 200
            assert len({f["fixed_version"] for f in report["findings"]}) == 1
            seen += 1
        assert p.returncode == 0
    assert seen >= 3


def test_two_updates_at_once(tmp_path, small_image):
    """Both end, one after the other or one refused as busy; the state is right."""
    mirror = helpers.write_mirror(tmp_path / "mirror", helpers.small_debian() | big_feed())
    db = tmp_path / "db"
    update(db, mirror, "alpine")
    running = [start(db, mirror) for _ in range(3)]
    codes = sorted(p.wait() for p in running)
    assert codes[0] == 0 and set(codes) <= {0, 1}
    update(db, mirror, "debian")
    assert helpers.ids(scan(db, small_image).json()) == helpers.SMALL_DEBIAN_IDS
    assert status(db)["generation"] == 1


def test_shrunk(tmp_path):
    """A source that says less than half of what it said is refused twice, then believed; or at once when a person says so."""
    def many(count):
        return {f"p{i}": {f"CVE-2024-{i}": helpers.entry("open")} for i in range(count)}

    def entries(db):
        return helpers.eclair("db", "status", "--db", db, "--format", "json").json()["feeds"][0]["entries"]

    mirror = helpers.write_mirror(tmp_path / "m", debian=many(300))
    db, accepted = tmp_path / "a.db", tmp_path / "b.db"
    helpers.update(db, mirror, "debian")
    helpers.update(accepted, mirror, "debian")
    helpers.write_mirror(tmp_path / "m", debian=many(149))
    for _ in range(2):
        r = helpers.update(db, mirror, "debian", check=False)
        helpers.assert_refused(r, "debian: 149 advisories instead of 300", "the old data stays", "--accept-shrunk")
        assert entries(db) == 300
    r = helpers.update(db, mirror, "debian", check=False)
    assert r.code == 0 and b"less than half" in r.err and entries(db) == 149
    assert helpers.update(db, mirror, "debian").out == b"debian: nothing new\n"
    r = helpers.update(accepted, mirror, "debian", "--accept-shrunk", check=False)
    assert r.code == 0 and entries(accepted) == 149
    helpers.write_mirror(tmp_path / "m", debian=many(75))  # not less than half
    helpers.update(db, mirror, "debian")
    helpers.write_mirror(tmp_path / "m", debian=many(1))  # of fewer than a hundred nothing is said
    helpers.update(db, mirror, "debian")


class Leaves(http.server.BaseHTTPRequestHandler):
    """Over TLS: /to/URL leads there, all else is the tracker."""

    def do_GET(self):
        leads = self.path.startswith("/plain/")
        body = b"" if leads else json.dumps(helpers.small_debian()).encode()
        self.send_response(302 if leads else 200)
        if leads:
            self.send_header("Location", self.server.plain + self.path.removeprefix("/plain"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_https_stays_https(tmp_path):
    """Whoever listens on the way must not hand out another document: a redirect to plain http is refused."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=test", "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Leaves) as secure, \
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), Leaves) as plain:
        secure.plain = f"http://localhost:{plain.server_port}"
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        for server in (secure, plain):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        env, base = helpers.environment(SSL_CERT_FILE=str(tmp_path / "cert")), f"https://localhost:{secure.server_port}"
        good = update(tmp_path / "a", base, "debian", env=env)
        r = update(tmp_path / "b", base + "/plain", "debian", env=env, check=False)
        also = update(tmp_path / "c", secure.plain, "debian", env=env)  # what somebody configured
        for server in (secure, plain):
            server.shutdown()
    assert b"12 advisories new" in good.out and b"12 advisories new" in also.out
    helpers.assert_refused(r, "debian: tracker/data/json: localhost:", "a redirect from https to something else is refused")
