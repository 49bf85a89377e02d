"""`eclair feed`: what sources there are, and what one makes of a file."""
import collections
import gzip
import json
import os
import pty
import sqlite3
import subprocess

import pytest
from helpers import (ECLAIR, assert_refused, eclair, entry, environment, need_data, secdb, small_alpine, small_debian, update,
                     write_mirror)


def lines(r):
    return [json.loads(line) for line in r.out.decode().splitlines()]


def test_list():
    r = eclair("feed", "list")
    assert (r.code, r.err) == (0, b"")
    rows = r.out.decode().splitlines()
    assert rows[0].split() == ["SOURCE", "SIZE", "WHAT", "FROM", "COVERS"]
    debian = [row for row in rows if row.startswith("debian ")]
    assert len(debian) == 1
    assert " MB " in debian[0] and "https://security-tracker.debian.org" in debian[0] and debian[0].endswith(" debian")
    as_json = json.loads(eclair("feed", "list", "--format", "json").out)
    assert [f["name"] for f in as_json] == [row.split()[0] for row in rows[1:]]
    by_name = {f["name"]: f for f in as_json}
    assert by_name["debian"]["covers"] == ["debian"] and by_name["debian"]["documents"] == ["tracker/data/json"]
    only_mirrors = [f for f in as_json if f["url"] is None]
    assert [f["name"] for f in only_mirrors] == ["ubuntu-tracker"]
    assert all(f in only_mirrors or f["url"].startswith("https://") for f in as_json) and all(f["megabytes"] > 0 for f in as_json)


def test_small_debian(tmp_path):
    file = tmp_path / "json"
    file.write_text(json.dumps({"openssl": small_debian()["openssl"]}))
    r = eclair("feed", "test", "debian", file, "--format", "json")
    assert (r.code, r.err) == (0, b"")
    *advisories, end = lines(r)
    assert end == {"type": "end", "source": "debian", "document": "tracker/data/json", "bytes": file.stat().st_size,
                   "advisories": 6, "affected": 5, "not_affected": 1, "leads": 0, "parts": 0, "withdrawn": 0, "skipped": 0}
    found = {a["id"]: a["ranges"] for a in advisories}
    assert sorted(found) == ["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003", "CVE-2024-0004", "CVE-2024-0009",
                             "TEMP-0000000-ABCDEF"]
    assert found["CVE-2024-0001"] == [{
        "namespace": "debian:12", "scheme": "dpkg", "package": "openssl", "kind": "source", "negative": False,
        "introduced": None, "fixed_version": "3.0.11-1~deb12u3", "last_affected": None, "arch": None, "module": None, "cpe": None,
        "severity": "High", "state": "fixed"}]
    assert [x["negative"] for x in found["CVE-2024-0004"]] == [True]


def test_table(tmp_path):
    file = tmp_path / "x"
    file.write_text(json.dumps({"openssl": {
        "CVE-2024-0001": entry(fixed="1.2", urgency="high"), "CVE-2024-0002": entry("open"), "CVE-2024-0003": entry(fixed="0")}}))
    r = eclair("feed", "test", "debian", file)
    assert (r.code, r.err) == (0, b"")
    text = r.out.decode()
    assert "debian:12 source openssl: fixed in 1.2, High (dpkg)\n" in text
    assert "debian:12 source openssl: affected (dpkg)\n" in text
    assert "debian:12 source openssl: not affected (dpkg)\n" in text
    assert text.splitlines()[-1].startswith("tracker/data/json: ")
    assert "advisories 3, affected 2, not affected 1;" in text


def test_terminal_is_safe(tmp_path):
    file = tmp_path / "x"
    file.write_text(json.dumps({"open\x1b[2Jssl": {"CVE-2024-0001": entry("open")}, "a\0b": {"CVE-2024-0002": entry("open")}}))
    r = eclair("feed", "test", "debian", file)
    assert r.code == 0
    assert b"\x1b" not in r.out and b"\0" not in r.out and b"open\\x1b[2Jssl" in r.out


@pytest.mark.parametrize("name, document", [
    ("v3.20/main.json", "v3.20/main.json"),
    ("deep/alpine/v3.20/community.json", "v3.20/community.json"),
    ("v3.20/main.json.gz", "v3.20/main.json"),
    ("elsewhere", "v3.2/main.json"),  # the first of the table
])
def test_document_by_name(tmp_path, name, document):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = json.dumps(secdb(document.split("/")[0], "main", {"musl": {"1-r0": ["CVE-2024-1"]}})).encode()
    file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    r = eclair("feed", "test", "alpine", file, "--format", "json")
    assert r.code == 0, r.err
    assert lines(r)[-1]["document"] == document
    assert_refused(eclair("feed", "test", "alpine", file, "--document", "v3.21/main.json"), "alpine: v3.21/main.json: distroversion")


def test_standard_input():
    raw = json.dumps(small_alpine()["v3.20/main"]).encode()
    r = eclair("feed", "test", "alpine", "-", "--format", "json", "--document", "v3.20/main.json", stdin=gzip.compress(raw))
    assert r.code == 0, r.err
    assert lines(r)[-1]["advisories"] > 3 and lines(r)[-1]["bytes"] == len(gzip.compress(raw))


@pytest.mark.parametrize("raw, words", [
    (b"", ["tracker/data/json", "byte 0"]),
    (b'{"openssl": [', ["openssl", "byte"]),
    (b'{"openssl": {"CVE-2024-0001": {"releases": {"bookworm": {"status": 1}}}}}', ["openssl: CVE-2024-0001"]),
    (b"\x1f\x8b\x08", ["gzip: truncated"]),
])
def test_broken(tmp_path, raw, words):
    file = tmp_path / "f"
    file.write_bytes(raw)
    assert_refused(eclair("feed", "test", "debian", file), file, "debian", *words)


def test_what_came_before_the_fault(tmp_path):
    file = tmp_path / "f"
    whole = json.dumps({"a": {"CVE-2024-0001": entry("open")}, "b": {"CVE-2024-0002": entry("open")}})
    file.write_text(whole[:-20])
    r = eclair("feed", "test", "debian", file, "--format", "json")
    assert r.code == 1
    assert [a["id"] for a in lines(r)] == ["CVE-2024-0001"]
    assert b"byte" in r.err


@pytest.mark.parametrize("args", [
    ["feed"], ["feed", "frobnicate"], ["feed", "list", "debian"], ["feed", "test", "debian"],
    ["feed", "test", "nosuch", "/dev/null"], ["feed", "list", "--format", "xml"], ["feed", "test", "debian", "/dev/null", "--document", ""],
])
def test_usage(args):
    r = eclair(*args)
    assert r.code == 2 and r.out == b"" and r.err.count(b"\n") == 1


def test_no_such_file(tmp_path):
    assert_refused(eclair("feed", "test", "debian", tmp_path / "absent"), tmp_path / "absent", "No such file")
    assert_refused(eclair("feed", "test", "debian", tmp_path), tmp_path, "directory")


@pytest.mark.parametrize("source, name", [("debian", "debian/tracker/data"), ("alpine", "alpine/v3.20/main.json")])
def test_as_an_update(tmp_path, source, name):
    """What it prints of real data is what an update loads."""
    place = need_data("feeds/" + name)
    file = next(place.glob("json*")) if place.is_dir() else place
    r = eclair("feed", "test", source, file, "--format", "json", timeout=300)
    assert r.code == 0, r.err
    *advisories, end = lines(r)
    assert end["advisories"] == len(advisories) > 100
    mirror = tmp_path / "mirror"
    target = mirror / source / ("tracker/data" if source == "debian" else "v3.20") / file.name
    target.parent.mkdir(parents=True)
    target.symlink_to(file)
    update(tmp_path / "db", mirror, source, timeout=300)
    db = sqlite3.connect(tmp_path / "db")
    assert db.execute("select count(*) from advisory").fetchone()[0] == len(advisories)
    counts = collections.Counter(x["negative"] for a in advisories for x in a["ranges"])
    assert (counts[False], counts[True]) == (end["affected"], end["not_affected"])


def test_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = write_mirror(tmp_path / "m", debian=small_debian())
    assert eclair("feed", "test", "debian", mirror / "debian/tracker/data/json").code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_help_of_update_names_all():
    names = [f["name"] for f in json.loads(eclair("feed", "list", "--format", "json").out)]
    shown = eclair("update", "--help").out.decode().split("sources, ")[1].splitlines()[1:]
    assert [row.split()[0] for row in shown] == names


def on_terminal(*args):
    """What a person sees on standard error, and the exit code."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen([ECLAIR, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
                         env=environment())
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return seen.decode(), p.wait(60)


def test_progress(tmp_path):
    """A line, if there is time for one, that is gone at the end (test_manners.py reads it); none without a terminal, or with --quiet."""
    mirror = write_mirror(tmp_path / "m", debian=small_debian(), alpine=small_alpine())
    seen, code = on_terminal("update", "--db", tmp_path / "a", "--mirror", mirror, "debian", "alpine")
    assert code == 0
    assert "\n" not in seen and (not seen or seen.endswith("\r\x1b[K"))
    assert on_terminal("update", "--db", tmp_path / "b", "--mirror", mirror, "--quiet") == ("", 0)
    assert on_terminal("update", "--db", tmp_path / "a", "--mirror", mirror) == ("", 0)  # nothing to be read
    assert update(tmp_path / "c", mirror).err == b""
