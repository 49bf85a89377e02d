"""Feeds, mirrors and databases that are right, but not what one expects."""
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import helpers
import make_images as mi
import pytest
from helpers import eclair, scan, update

HERE = Path(__file__).parent


def feed_error(db, name):
    r = eclair("db", "status", "--db", db, "--format", "json")
    return {f["name"]: f["error"] for f in r.json()["feeds"]}[name]


@pytest.fixture
def small_alpine_image(tmp_path):
    path = tmp_path / "alpine.tar"
    path.write_bytes(mi.archive(mi.alpine_layers()))
    return path


@contextlib.contextmanager
def served(root, scratch):
    """The folder over HTTP, with faults on demand: its URL."""
    port_file = scratch / "port"
    p = subprocess.Popen([sys.executable, HERE / "feedserver.py", "--root", root, "--port-file", port_file])
    try:
        while not port_file.exists():
            assert p.poll() is None
            time.sleep(0.01)
        yield f"http://127.0.0.1:{int(port_file.read_text())}"
    finally:
        p.terminate()
        p.wait()


def get(url):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        return answer.read().decode()


# ---- mirrors over HTTP ----

def test_one_connection_for_all_documents(small_mirror, small_alpine_image, tmp_path):
    """A mirror is asked for some fifty documents under four names each: not over a connection each."""
    with served(small_mirror, tmp_path) as url:
        update(tmp_path / "db", url, "alpine")
        assert len(get(url + "/control/log").splitlines()) > 150
        assert int(get(url + "/control/connections")) == 1
    assert helpers.ids(scan(tmp_path / "db", small_alpine_image).json()) == helpers.SMALL_ALPINE_IDS


def test_compressed_mirror_over_http(small_mirror, small_alpine_image, tmp_path):
    """The ending that was found is asked for first from then on."""
    for document in ("main", "community"):
        path = tmp_path / f"mirror/alpine/v3.20/{document}.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mi.pack((small_mirror / f"alpine/v3.20/{document}.json").read_bytes(), "gzip"))
    with served(tmp_path / "mirror", tmp_path) as url:
        update(tmp_path / "db", url, "alpine")
        asked = [line.split("\t")[0] for line in get(url + "/control/log").splitlines() if "v3.20/" in line]
        assert asked == ["/alpine/v3.20/main.json", "/alpine/v3.20/main.json.zst", "/alpine/v3.20/main.json.gz",
                         "/alpine/v3.20/community.json.gz"]
    assert helpers.ids(scan(tmp_path / "db", small_alpine_image).json()) == helpers.SMALL_ALPINE_IDS


def test_mirror_that_forbids_what_it_lacks(small_image, small_alpine_image, tmp_path):
    """As S3 does without the right to list: 403 for the branches that are not there."""
    db, mirror = tmp_path / "db", helpers.write_mirror(tmp_path / "mirror", alpine=helpers.small_alpine())
    packed = mirror / "debian/tracker/data/json.zst"
    packed.parent.mkdir(parents=True)
    packed.write_bytes(mi.pack(mi.dump(helpers.small_debian()), "zstd"))
    with served(mirror, tmp_path) as url:
        update(db, url + "/fault/s3", "alpine", "debian")
    assert helpers.ids(scan(db, small_alpine_image).json()) == helpers.SMALL_ALPINE_IDS
    assert helpers.ids(scan(db, small_image).json()) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("source", ["alpine", "debian"])
def test_mirror_that_forbids_everything(source, tmp_path):
    """Then it is no mirror that lacks the source, but one that refuses us."""
    (tmp_path / "empty").mkdir()
    with served(tmp_path / "empty", tmp_path) as url:
        r = update(tmp_path / "db", url + "/fault/s3", source, check=False)
        helpers.assert_refused(r, source, "127.0.0.1", "answered 403 for every document")
        assert "403" in feed_error(tmp_path / "db", source)
        assert b"not mirrored" in update(tmp_path / "db", url, source).out  # 404 is another matter


# ---- the same name, size and time ----

def test_changed_file_of_the_same_size_and_time(small_image, tmp_path):
    """Mirror tools set times back; the file is another one all the same."""
    db, feed = tmp_path / "db", helpers.small_debian()
    update(db, helpers.write_mirror(tmp_path / "mirror", feed), "debian")
    path = tmp_path / "mirror/debian/tracker/data/json"
    before = path.stat()
    feed["openssl"]["CVE-2024-0001"]["releases"]["bookworm"]["fixed_version"] = "3.0.11-1~deb12u1"
    helpers.write_mirror(tmp_path / "mirror", feed)
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    update(db, tmp_path / "mirror", "debian")
    assert ("openssl", "CVE-2024-0001") not in helpers.ids(scan(db, small_image).json())


# ---- another update at work ----

def test_busy_is_no_failure_of_the_feed(db, tmp_path):
    feed = helpers.small_debian()
    feed["zlib"] = {"CVE-2025-1": helpers.entry("open")}
    mirror = helpers.write_mirror(tmp_path / "mirror", feed)
    with contextlib.closing(sqlite3.connect(db)) as c:
        until = int(time.clock_gettime(time.CLOCK_BOOTTIME)) + 250  # leases in a file go by the time since the start
        c.execute("INSERT INTO lease VALUES ('update', 'elsewhere 1 2 3', ?, 300)", (until,))
        c.commit()
    helpers.assert_refused(update(db, mirror, "debian", check=False), "debian", "another update is running")
    assert feed_error(db, "debian") is None


def test_documents_of_another_parser_are_read_again(db, small_mirror):
    """What an older parser made of the same bytes does not stay for ever."""
    with contextlib.closing(sqlite3.connect(db)) as c:
        c.execute("UPDATE document SET validator = CAST('v0 ' || substr(CAST(validator AS TEXT), 4) AS BLOB)"
                  " WHERE name = CAST('tracker/data/json' AS BLOB) AND CAST(validator AS TEXT) LIKE 'v1 file %'")
        assert c.execute("SELECT changes()").fetchone() == (1,)
        c.commit()
    assert b"12 as before" in update(db, small_mirror, "debian").out
    assert b"nothing new" in update(db, small_mirror, "debian").out


# ---- one source of hundreds of packages ----

def kernel_image(path, packages):
    status = mi.dpkg_status([(f"linux-{i}", "1", "linux (0)") for i in range(packages)])
    path.write_bytes(mi.archive([[("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", status)]]))
    return path


def kernel_mirror(folder, advisories, size):
    return helpers.write_mirror(folder, {"linux": {f"CVE-2024-{i}": helpers.entry("open", description="x" * size)
                                                   for i in range(advisories)}})


def test_texts_are_kept_once(tmp_path):
    """400 packages with 200 advisories of 30 KB: 2.4 GB, if each finding had its own copy."""
    update(tmp_path / "db", kernel_mirror(tmp_path / "mirror", 200, 30000), "debian")
    image = kernel_image(tmp_path / "image.tar", 400)
    r = helpers.eclair_measured("scan", image, "--db", tmp_path / "db", files=tmp_path)
    assert (r.code, r.err) == (0, b"")
    assert r.out.count(b"CVE-2024-") >= 80000
    assert r.peak < (1200 if helpers.SANITIZED else 300) * helpers.MIB


def test_too_many_findings(tmp_path):
    update(tmp_path / "db", kernel_mirror(tmp_path / "mirror", 501, 10), "debian")
    helpers.assert_refused(scan(tmp_path / "db", kernel_image(tmp_path / "image.tar", 500)), "more than 250000 findings")


# ---- Alpine ----

def alpine_findings(tmp_path, secfixes, packages):
    mirror = helpers.write_mirror(tmp_path / "feeds", alpine={"v3.20/main": helpers.secdb("v3.20", "main", secfixes)})
    update(tmp_path / "db", mirror, "alpine")
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive(mi.alpine_layers(packages)))
    return sorted((f["package"], f["id"], f["uncertain"]) for f in scan(tmp_path / "db", image).json()["findings"])


def test_one_problem_with_two_names(tmp_path):
    fixes = {"2-r0": ["CVE-2017-2616 XSA-1", "XSA-2 GHSA-a-b-c"]}
    assert alpine_findings(tmp_path, {"demo": fixes}, [("demo", "1-r0", "demo")]) == [
        ("demo", "CVE-2017-2616", False), ("demo", "GHSA-a-b-c", False), ("demo", "XSA-2", False)]


def test_versions_outside_the_grammar(tmp_path):
    """Where "1.7.5.-r1" stands among versions that begin alike is a guess, and "foo" anywhere: findings marked as such."""
    fixes = {"typo": {"1.7.5.-r1": ["CVE-2024-1"]}, "sound": {"1.0-r0": ["CVE-2024-2"]}}
    packages = [("a", "1.7.5-r0", "typo"), ("b", "1.7.6-r0", "typo"), ("c", "foo", "sound"), ("d", "2-r0", "sound"),
                ("e", "0.9-r0", "sound")]
    assert alpine_findings(tmp_path, fixes, packages) == [
        ("a", "CVE-2024-1", True), ("c", "CVE-2024-2", True), ("e", "CVE-2024-2", False)]
