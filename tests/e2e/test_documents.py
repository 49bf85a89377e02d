"""Documents that stand for each other, and those that lead to others: what a source says is what its documents say now."""
import gzip
import hashlib
import json
import sqlite3

from helpers import eclair, update

GROUP = {"name": "AVG-1", "packages": ["demo"], "status": "Fixed", "severity": "High", "type": "x", "affected": "1-1", "fixed": "1-2",
         "ticket": None, "issues": ["CVE-2099-1"], "advisories": []}


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())


def documents(db):
    with sqlite3.connect(db) as c:
        return {bytes(name).decode(): count for name, count in c.execute("SELECT name, advisories FROM document")}


def ids(db):
    with sqlite3.connect(db) as c:
        return sorted(bytes(name).decode() for name, in c.execute("SELECT name FROM advisory WHERE gen_to IS NULL"))


def test_one_stands_for_the_other(tmp_path):
    """Arch's list lies in one of two places: the first that is there counts, and what the other one said goes."""
    mirror, db = tmp_path / "mirror", tmp_path / "db"
    write(mirror / "arch/all.json", [GROUP, GROUP | {"name": "AVG-2", "issues": ["CVE-2099-2"]}])
    update(db, mirror, "arch")
    assert documents(db) == {"all.json": 2} and ids(db) == ["CVE-2099-1", "CVE-2099-2"]
    write(mirror / "arch/issues/all.json", [GROUP])
    update(db, mirror, "arch")
    assert documents(db) == {"issues/all.json": 1} and ids(db) == ["CVE-2099-1"]
    assert b"nothing new" in update(db, mirror, "arch").out
    (mirror / "arch/issues/all.json").unlink()
    update(db, mirror, "arch")
    assert documents(db) == {"all.json": 2} and ids(db) == ["CVE-2099-1", "CVE-2099-2"]


def updateinfo(number, packages="b"):
    rows = "".join(f"<package name='{p}' epoch='0' version='1' release='{number}.amzn2' arch='x86_64'/>" for p in packages)
    return (f"<updates><update type='security'><id>ALAS2-2099-{number}</id><severity>low</severity><references>"
            f"<reference id='CVE-2099-{number}' type='cve'/></references><pkglist><collection>{rows}</collection></pkglist></update></updates>").encode()


def publish(mirror, place, body, base):
    """A repository as it is at `place`, and the list that leads there."""
    write(mirror / f"amazon/{place}/repodata/updateinfo.xml.gz", gzip.compress(body))
    write(mirror / f"amazon/{place}/repodata/repomd.xml",
          (f"<repomd><data type='updateinfo'><checksum type='sha256'>{hashlib.sha256(body).hexdigest()}</checksum>"
           "<location href='repodata/updateinfo.xml.gz'/></data></repomd>").encode())
    write(mirror / "amazon/2/core/latest/x86_64/mirror.list", f"{base}/{place}\n".encode())


def test_lists_that_lead_on(tmp_path):
    """Amazon's list leads to the newest repository, wherever that is: by the mirror's word for itself, or by an address of somewhere else."""
    mirror, db = tmp_path / "mirror", tmp_path / "db"
    publish(mirror, "2/core/2.0/x86_64/one", updateinfo(1), "@BASE@/amazon")
    update(db, mirror, "amazon")
    names = {"2/core/latest/x86_64/mirror.list": 0, "2/x86_64/repomd.xml": 0, "2/x86_64/updateinfo.xml": 1}
    assert documents(db) == names and ids(db) == ["ALAS2-2099-1"]
    # an unchanged list: what it leads to is asked all the same
    publish(mirror, "2/core/2.0/x86_64/one", updateinfo(2), "@BASE@/amazon")
    update(db, mirror, "amazon")
    assert documents(db) == names and ids(db) == ["ALAS2-2099-2"]
    publish(mirror, "2/core/2.0/x86_64/two", updateinfo(3, "bc"), "https://cdn.example")
    update(db, mirror, "amazon")
    assert documents(db) == names and ids(db) == ["ALAS2-2099-3"]
    assert b"nothing new" in update(db, mirror, "amazon").out


def test_what_is_led_to_is_missing(tmp_path):
    """It must be there, and what was loaded stays."""
    mirror, db = tmp_path / "mirror", tmp_path / "db"
    publish(mirror, "2/core/2.0/x86_64/one", updateinfo(1), "@BASE@")
    update(db, mirror, "amazon")
    write(mirror / "amazon/2/core/latest/x86_64/mirror.list", b"https://cdn.example/gone\n")
    r = update(db, mirror, "amazon", check=False)
    assert r.code == 1 and r.err == f"eclair: amazon: 2/x86_64/repomd.xml: not found at {mirror}/amazon\n".encode()
    assert ids(db) == ["ALAS2-2099-1"]


def test_what_only_mirrors_have(tmp_path):
    """A source without a place of its own asks nobody: that is no failure of an update."""
    db = tmp_path / "db"
    r = eclair("update", "ubuntu-tracker", "--db", db)
    assert (r.code, r.out, r.err) == (0, b"ubuntu-tracker: not mirrored\n", b"")
    assert documents(db) == {}
