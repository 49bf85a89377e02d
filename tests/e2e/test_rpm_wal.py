"""An rpm database of SQLite whose last changes are still in the file beside it."""
import shutil
import sqlite3
import subprocess

import make_images as mi
import pytest
from helpers import need_data, scan

PATH = "var/lib/rpm/rpmdb.sqlite"
OS = ("etc/os-release", mi.os_release("rhel", "9", "RHEL 9"))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """(database, its changes, names before, names after): made by SQLite, copied before they are written back."""
    folder = tmp_path_factory.mktemp("wal")
    path = folder / "rpmdb.sqlite"
    path.write_bytes(subprocess.run(["zstd", "-dc", need_data("rpmdb/ubi9.rpmdb.sqlite.zst")], stdout=subprocess.PIPE,
                                    check=True).stdout)
    expected = need_data("rpmdb/ubi9.expected.tsv").read_text().splitlines()
    before = sorted(line.split("\t")[0] for line in expected if "\t" in line and not line.startswith("gpg-pubkey\t"))
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    gone = db.execute("SELECT hnum, blob FROM Packages ORDER BY hnum LIMIT 7 OFFSET 20").fetchall()
    for number, _ in gone:
        db.execute("DELETE FROM Packages WHERE hnum = ?", (number,))
    db.commit()
    content, changes = path.read_bytes(), (folder / "rpmdb.sqlite-wal").read_bytes()
    db.close()
    after = sorted(p["name"] for p in packages(folder, content))  # of the file with all written back
    assert len(changes) > 4096 and len(after) == len(before) - 7
    return content, changes, before, after


def packages(folder, content):
    closed = folder / "rpmdb.sqlite"
    image = folder / "closed.tar"
    image.write_bytes(mi.archive([[OS, (PATH, closed.read_bytes())]]))
    return scan(folder / "closed.db", image).json()["packages"]


def names(report):
    return sorted(p["name"] for p in report["packages"])


def image_of(tmp_path, *layers):
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([[OS], *layers]))
    return image


@pytest.mark.parametrize("order", [1, -1])
def test_changes_beside(order, pieces, tmp_path):
    content, changes, before, after = pieces
    both = [(PATH, content), (PATH + "-wal", changes)][::order]
    assert names(scan(tmp_path / "a.db", image_of(tmp_path, both)).json()) == after
    assert names(scan(tmp_path / "b.db", image_of(tmp_path, [(PATH, content)])).json()) == before


def test_changes_through_a_link(pieces, tmp_path):
    content, changes, _, after = pieces
    layer = [("opt/db/rpmdb.sqlite", content), ("opt/db/rpmdb.sqlite-wal", changes), ("var/lib/rpm", ("symlink", "/opt/db"))]
    assert names(scan(tmp_path / "a.db", image_of(tmp_path, layer)).json()) == after


def test_folder(pieces, tmp_path):
    content, changes, _, after = pieces
    root = mi.rootfs(tmp_path / "root", [[OS, (PATH, content), (PATH + "-wal", changes)]])
    assert names(scan(tmp_path / "a.db", root).json()) == after
    shutil.rmtree(root)


def test_changes_alone(pieces, tmp_path):
    """What they change is in another layer: the old list, and not covered."""
    content, changes, before, _ = pieces
    r = scan(tmp_path / "a.db", image_of(tmp_path, [(PATH, content)], [(PATH + "-wal", changes)]))
    assert names(r.json()) == before
    assert b"rpmdb.sqlite-wal: holds changes of a database that is not in this layer" in r.err
    r = scan(tmp_path / "b.db", image_of(tmp_path, [(PATH, content)], [(PATH + "-wal", b"")]))
    assert names(r.json()) == before and b"-wal" not in r.err
