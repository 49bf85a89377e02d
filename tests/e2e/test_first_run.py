"""`eclair scan` on a machine that never loaded anything, and with data that is old. Nothing here leaves the machine."""
import json
import shutil
import subprocess

import helpers
import make_images as mi
import pytest
from helpers import ECLAIR, assert_refused, eclair, environment, small_alpine, small_debian, update, write_mirror

AUTO = {"ECLAIR_UPDATE": ""}  # as if nobody had said anything
NOWHERE = "http://127.0.0.1:9"  # a port where nobody listens


def scan(db, image, *more, **variables):
    return eclair("scan", image, "--db", db, "--format", "json", *more, env=environment(**AUTO | variables))


def loaded(db):
    told = json.loads(eclair("db", "status", "--db", db, "--format", "json").out)
    return sorted(f["name"] for f in told["feeds"] if f["last_success"])


@pytest.fixture
def mirror(tmp_path):
    return write_mirror(tmp_path / "mirror", small_debian(), small_alpine())


@pytest.fixture
def alpine_image(tmp_path):
    path = tmp_path / "alpine.tar"
    path.write_bytes(mi.archive(mi.alpine_layers()))
    return path


def test_first_scan(tmp_path, mirror, small_image):
    """It fetches what the image needs, says so, and finds what an update before it would have found; once."""
    db = tmp_path / "a.db"
    r = scan(db, small_image, "--mirror", mirror)
    assert r.code == 0
    lines = r.err.decode().splitlines()
    assert lines[0].startswith("eclair: no data for debian:12 yet: fetching debian (8 MB)")
    assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS
    assert "debian" in loaded(db) and "alpine" not in loaded(db)
    update(tmp_path / "b.db", mirror, "debian")
    assert scan(tmp_path / "b.db", small_image).json()["findings"] == r.json()["findings"]
    shutil.rmtree(mirror)
    again = scan(db, small_image, "--mirror", mirror)
    assert (again.code, again.err) == (0, b"") and again.json()["findings"] == r.json()["findings"]


def test_another_distribution(tmp_path, mirror, small_image, alpine_image):
    db = tmp_path / "db"
    assert scan(db, small_image, "--mirror", mirror).code == 0
    r = scan(db, alpine_image, "--mirror", mirror)
    assert b"no data for alpine:v3.20 yet: fetching alpine (" in r.err and b"debian" not in r.err
    assert helpers.ids(r.json()) == helpers.SMALL_ALPINE_IDS
    assert {"alpine", "debian"} <= set(loaded(db))


def test_quiet(tmp_path, mirror, small_image):
    r = scan(tmp_path / "db", small_image, "--mirror", mirror, "--quiet")
    assert (r.code, r.err) == (0, b"") and helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("more, variables", [(["--update", "never"], {}), ([], {"ECLAIR_UPDATE": "never"})])
def test_never(tmp_path, mirror, small_image, more, variables):
    r = scan(tmp_path / "db", small_image, "--mirror", mirror, *more, **variables)
    assert r.code == 3 and r.json()["coverage"] == "none" and b"fetching" not in r.err and loaded(tmp_path / "db") == []
    r = scan(tmp_path / "db", small_image, "--mirror", mirror, "--update", "auto", **variables)
    assert r.code == 0, "the option wins over the variable"


def test_it_fails(tmp_path, small_image):
    """A warning, and the report that it would have been."""
    never = scan(tmp_path / "a", small_image, "--update", "never")
    r = scan(tmp_path / "b", small_image, "--mirror", tmp_path / "absent")
    assert r.code == 3 and r.json() == never.json()
    assert b"warning: debian: mirror: " in r.err and b"No such file" in r.err
    broken = write_mirror(tmp_path / "m", debian=b'{"openssl": ')
    r = scan(tmp_path / "c", small_image, "--mirror", broken)
    assert r.code == 3 and b"warning: debian: tracker/data/json: " in r.err
    r = scan(tmp_path / "d", small_image, "--mirror", broken, "--quiet")
    assert (r.code, r.err) == (3, b"")


def test_it_is_not_tried_again_at_once(tmp_path, small_image):
    """A machine without a network waits once an hour, not in every scan."""
    db, proxies = tmp_path / "db", {"https_proxy": NOWHERE, "http_proxy": NOWHERE, "ALL_PROXY": NOWHERE}
    r = scan(db, small_image, **proxies)
    assert r.code == 3 and b"yet: fetching debian" in r.err and b"warning: debian: tracker/data/json: " in r.err
    r = scan(db, small_image, ECLAIR_NOW="2026-01-02T04:04:04Z", **proxies)
    assert r.code == 3 and b"fetching" not in r.err and b"not covered" in r.err
    r = scan(db, small_image, ECLAIR_NOW="2026-01-02T04:04:06Z", **proxies)
    assert b"fetching debian" in r.err


@pytest.mark.parametrize("release", [b"ID=nosuch\nVERSION_ID=1\n", None])
def test_nothing_to_fetch(tmp_path, release):
    """Of a distribution that no feed covers, or of none, there is nothing to ask for."""
    files = [("var/lib/dpkg/status", mi.dpkg_status())] + ([("etc/os-release", release)] if release else [])
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([files]))
    r = scan(tmp_path / "db", image, "--mirror", tmp_path / "absent")
    assert r.code == 3 and b"fetching" not in r.err and b"absent" not in r.err


def test_always(tmp_path, mirror, small_image):
    db = tmp_path / "db"
    update(db, mirror, "debian")
    fixed = {"openssl": {"CVE-2024-9999": helpers.entry("open")}}
    write_mirror(mirror, debian=fixed)
    assert helpers.ids(scan(db, small_image, "--mirror", mirror).json()) == helpers.SMALL_DEBIAN_IDS
    r = scan(db, small_image, "--mirror", mirror, "--update", "always")
    assert b"looking for newer data for debian:12: debian" in r.err
    assert {x for _, x in helpers.ids(r.json())} == {"CVE-2024-9999"}


def test_several_at_once(tmp_path, mirror, small_image):
    """One loads, the others wait for it: all have the same answer."""
    args = [ECLAIR, "scan", small_image, "--db", tmp_path / "db", "--mirror", mirror, "--format", "json"]
    runs = [subprocess.Popen(args, env=environment(**AUTO), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for p in runs:
        out, err = p.communicate(timeout=120)
        assert p.returncode == 0, err
        assert helpers.ids(json.loads(out)) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("args", [["--update", "often"], ["--update", ""], ["--max-age", "long"], ["--max-age", "-1h"]])
def test_usage(small_image, args):
    assert_refused(eclair("scan", small_image, *args), args[0], code=2)


def test_bad_variable(small_image):
    assert_refused(eclair("scan", small_image, env=environment(ECLAIR_UPDATE="often")), "ECLAIR_UPDATE", "often", code=2)


@pytest.mark.parametrize("now, more, days", [
    ("2026-01-09T03:04:05Z", [], None),  # just a week
    ("2026-01-09T03:04:06Z", [], 7),
    ("2026-01-29T03:04:05Z", [], 27),
    ("2026-01-29T03:04:05Z", ["--max-age", "0"], None),
    ("2026-01-29T03:04:05Z", ["--max-age", "1000h"], None),
    ("2026-01-02T05:04:05Z", ["--max-age", "1h"], 0),
    ("2025-12-01T00:00:00Z", [], None),  # a clock that was wrong
])
def test_age(db, small_image, now, more, days):
    r = scan(db, small_image, *more, ECLAIR_NOW=now)
    assert r.code == 0
    told = [w for w in r.json()["warnings"] if "days old" in w]
    want = [] if days is None else [f"debian: data of 2026-01-02, {days} days old (eclair update brings it up to date)"]
    assert told == want
    assert (b"days old" in r.err) == bool(want)
    table = eclair("scan", small_image, "--db", db, *more, env=environment(ECLAIR_NOW=now))
    assert (b"days old" in table.out) == bool(want)
