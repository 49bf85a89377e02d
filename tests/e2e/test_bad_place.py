"""Places that fail: a database that is not ours, folders that cannot be written, full disks, half-written reports."""
import os
import random
import resource
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import helpers
import pytest
from helpers import assert_refused, eclair, scan, update


# ---- the database ----

def sql(path, *statements):
    with sqlite3.connect(path) as c:
        for s in statements:
            c.execute(s)
    c.close()


def damage(path, how):
    if how == "text":
        path.write_bytes(b"this is no database, but long enough to be one\n" * 200)
    elif how == "empty folder":
        path.unlink()
        path.mkdir()
    elif how == "other program's":
        path.unlink()
        sql(path, "CREATE TABLE t (x)", "PRAGMA application_id = 1234")
    elif how == "foreign without a mark":
        path.unlink()
        sql(path, "CREATE TABLE layer (x)")
    elif how == "newer":
        sql(path, "PRAGMA user_version = 1000000")
    elif how.startswith("cut"):
        data = path.read_bytes()
        path.write_bytes(data[:{"cut to 50 bytes": 50, "cut to one page": 4096}.get(how, len(data) // 2)])
    elif how == "overwritten":
        data = bytearray(path.read_bytes())
        data[4096:] = random.Random(2).randbytes(len(data) - 4096)
        path.write_bytes(data)


DAMAGES = ["text", "empty folder", "other program's", "foreign without a mark", "newer", "cut to 50 bytes", "cut to one page",
           "cut in half", "overwritten"]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("command", ["scan", "update", "db status"])
def test_database_that_is_not_ours(how, command, db, tmp_path, small_image, small_mirror):
    damage(Path(db), how)
    before = Path(db).read_bytes() if Path(db).is_file() else None
    args = {"scan": ["scan", small_image], "update": ["update", "debian", "--mirror", small_mirror],
            "db status": ["db", "status"]}[command]
    assert_refused(eclair(*args, "--db", db), db)
    if before is not None:
        assert Path(db).read_bytes() == before, "somebody else's file was changed"


def test_database_folder_is_missing(tmp_path, small_mirror):
    """It is made; a file in its place is not overwritten."""
    update(tmp_path / "a/b/c.db", small_mirror, "debian")
    (tmp_path / "file").write_bytes(b"x")
    assert_refused(update(tmp_path / "file/c.db", small_mirror, "debian", check=False), tmp_path / "file/c.db")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_no_server_there(small_image):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    for place in (f"postgresql://eclair:hunter2@127.0.0.1:{port}/eclair", f"host=127.0.0.1 port={port} user=eclair password=hunter2"):
        r = scan(place, small_image)
        assert_refused(r, f"127.0.0.1:{port}: connect: connection refused")
        assert b"hunter2" not in r.err


# ---- a place that cannot be written ----

@pytest.fixture
def elsewhere():
    """A folder that also another user can reach, with a copy of the program: permissions do not bind root."""
    folder = Path(tempfile.mkdtemp(prefix="eclair-test-", dir="/tmp"))
    folder.chmod(0o755)
    shutil.copy(helpers.ECLAIR, folder / "eclair")
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


def somebody():
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def snapshot(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.fixture
def readonly(elsewhere, db, small_image, small_mirror):
    """A folder with a database and an image, where nobody may write."""
    folder = elsewhere / "readonly"
    folder.mkdir()
    shutil.copy(db, folder / "eclair.db")
    shutil.copy(small_image, folder / "image.tar")
    shutil.copytree(small_mirror, elsewhere / "mirror")
    for path in [folder / "eclair.db", folder / "image.tar", folder]:
        path.chmod(0o555)
    return folder


def test_readonly_scan_still_reports(readonly, elsewhere, small_image, db):
    before = snapshot(readonly)
    r = eclair("scan", readonly / "image.tar", "--db", readonly / "eclair.db", "--format", "json",
               program=elsewhere / "eclair", cwd="/", **somebody())
    assert (r.code, helpers.ids(r.json())) == (0, helpers.SMALL_DEBIAN_IDS)
    assert snapshot(readonly) == before


def test_readonly_scan_without_database(readonly, elsewhere):
    """No feed and no way to store: the packages are still listed, as not covered."""
    r = eclair("scan", readonly / "image.tar", "--db", readonly / "absent.db", "--format", "json",
               program=elsewhere / "eclair", cwd="/", **somebody())
    assert (r.code, r.json()["coverage"]) == (3, "none")
    assert len(r.json()["packages"]) == 6


def test_readonly_update(readonly, elsewhere):
    before = snapshot(readonly)
    for name in ("eclair.db", "absent.db"):
        r = eclair("update", "debian", "--mirror", elsewhere / "mirror", "--db", readonly / name,
                   program=elsewhere / "eclair", cwd="/", **somebody())
        assert_refused(r, readonly / name)
    assert snapshot(readonly) == before


def test_readonly_status(readonly, elsewhere):
    r = eclair("db", "status", "--format", "json", "--db", readonly / "eclair.db",
               program=elsewhere / "eclair", cwd="/", **somebody())
    assert r.code == 0 and {f["name"] for f in r.json()["feeds"]} >= {"debian", "alpine"}


def test_readonly_output(readonly, elsewhere):
    r = eclair("scan", readonly / "image.tar", "--db", readonly / "eclair.db", "--output", readonly / "report", "--quiet",
               program=elsewhere / "eclair", cwd="/", **somebody())
    assert_refused(r, readonly / "report")


# ---- a full disk ----

def big_mirror(folder, count=20000):
    return helpers.write_mirror(folder, {"demo": {f"CVE-2024-{i}": helpers.entry(fixed="1.0-2", description="x" * 200)
                                                  for i in range(count)}})


def test_full_standard_output(db, small_image):
    for arguments in (["scan", small_image, "--db", db], ["db", "status", "--db", db], ["help"]):
        with open("/dev/full", "wb") as full:
            r = eclair(*arguments, stdout=full)
        assert_refused(r, "No space left on device")


def test_full_disk_by_limit(db, tmp_path, small_image):
    """No file may grow any more: the old state stands, and a scan still reports."""
    room = Path(db).stat().st_size + 65536
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
             "restore_signals": False}  # Python ignores SIGXFSZ, and so does its child then: writes fail with EFBIG
    big = big_mirror(tmp_path / "big")
    r = eclair("update", "debian", "--mirror", big, "--db", db, **limit)
    assert_refused(r, db)
    report = scan(db, small_image, **limit).json()
    assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS
    update(db, big, "debian")
    assert scan(db, small_image).json()["findings"] == []


def mount_tmpfs():
    """A command prefix that runs in a mount namespace of its own; None where the system forbids it."""
    for prefix in (["unshare", "-m"], ["unshare", "-rm"]):
        script = ["sh", "-c", "mount -t tmpfs none /mnt"]
        if shutil.which("unshare") and subprocess.run(prefix + script, capture_output=True, check=False).returncode == 0:
            return prefix
    return None


def test_full_disk(db, tmp_path, small_image):
    """The real thing, on a small tmpfs."""
    prefix = mount_tmpfs()
    if prefix is None and os.environ.get("CI"):
        pytest.fail("no tmpfs may be mounted here")
    if prefix is None:
        pytest.skip("no tmpfs may be mounted here: only the limit on file sizes was tried")
    big = big_mirror(tmp_path / "big")
    script = f"""
        set -e
        mount -t tmpfs -o size=1536k none /mnt
        cp {db} /mnt/eclair.db
        set +e
        {helpers.ECLAIR} update debian --mirror {big} --db /mnt/eclair.db >out 2>err; echo $? >code
        {helpers.ECLAIR} scan {small_image} --db /mnt/eclair.db --format json >report
        cat /dev/zero >/mnt/fill 2>/dev/null
        {helpers.ECLAIR} scan {small_image} --db /mnt/eclair.db --format json >report2
        {helpers.ECLAIR} scan {small_image} --db /mnt/eclair.db --output /mnt/report >out3 2>err3; echo $? >code3
        ls -A /mnt >left
    """
    subprocess.run(prefix + ["sh", "-c", script], cwd=tmp_path, env=helpers.environment(), check=True)

    def result(code, out, err):
        return helpers.Result(int((tmp_path / code).read_text()), (tmp_path / out).read_bytes(), (tmp_path / err).read_bytes(), 0)

    assert_refused(result("code", "out", "err"), "/mnt/eclair.db")
    for name in ("report", "report2"):
        report = helpers.Result(0, (tmp_path / name).read_bytes(), b"", 0).json()
        assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS
    last = result("code3", "out3", "err3")
    # whether what was read could be stored, or it is told that it could not, is a matter of pages
    last.err = b"".join(line for line in last.err.splitlines(True) if not line.startswith(b"eclair: warning:"))
    assert_refused(last, "/mnt/report")
    left = {n for n in (tmp_path / "left").read_text().split() if not n.startswith("eclair.db")}
    assert left == {"fill"}


# ---- reports are whole or absent ----

def test_output_file_is_atomic(db, tmp_path, small_image):
    out = tmp_path / "out/report.json"
    out.parent.mkdir()
    r = eclair("scan", small_image, "--db", db, "--format", "json", "--output", out)
    assert (r.code, r.out, r.err) == (0, b"", b"")
    good = out.read_bytes()
    assert good == scan(db, small_image).out
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"no image")
    assert_refused(eclair("scan", bad, "--db", db, "--format", "json", "--output", out), bad)
    assert out.read_bytes() == good
    assert [p.name for p in out.parent.iterdir()] == ["report.json"]


def test_output_folder_is_missing(db, tmp_path, small_image):
    out = tmp_path / "absent/report.json"
    assert_refused(eclair("scan", small_image, "--db", db, "--output", out), out)
    assert_refused(eclair("scan", small_image, "--db", db, "--output", tmp_path), tmp_path, code=2)
