"""Red Hat's documents as they change: which are read one by one, which from the archive, and what becomes of those that are deleted."""
import io
import json
import subprocess
import tarfile

import helpers
import pytest
from helpers import update

DUMP = helpers.ECLAIR.parent / "tests/unit/feed_dump"


class RedHat:
    def __init__(self, folder):
        self.root, self.db = folder / "mirror", folder / "x.db"
        self.vex = self.root / "redhat/data/csaf/v2/vex"
        (self.vex / "2024").mkdir(parents=True)

    @staticmethod
    def document(number, package, status="final"):
        cve = f"CVE-2024-{number}"
        return json.dumps({
            "document": {"tracking": {"id": cve, "status": status}},
            "product_tree": {
                "branches": [{"product": {"product_id": "R", "product_identification_helper": {"cpe": "cpe:/o:redhat:enterprise_linux:9"}}},
                             {"product": {"product_id": "p", "product_identification_helper": {"purl": f"pkg:rpm/redhat/{package}?arch=src"}}}],
                "relationships": [{"full_product_name": {"product_id": "R:p"}, "product_reference": "p", "relates_to_product_reference": "R"}]},
            "vulnerabilities": [{"cve": cve, "product_status": {"known_affected": ["R:p"]}}]}).encode()

    def single(self, number, package, status="final"):
        (self.vex / f"2024/cve-2024-{number}.json").write_bytes(self.document(number, package, status))

    def archive(self, date, packages):
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for number, package in packages.items():
                info = tarfile.TarInfo(f"2024/cve-2024-{number}.json")
                body = self.document(number, package)
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
        name = f"csaf_vex_{date}.tar.zst"
        (self.vex / name).write_bytes(subprocess.run(["zstd", "-qc"], input=plain.getvalue(), stdout=subprocess.PIPE, check=True).stdout)
        (self.vex / "archive_latest.txt").write_text(name)

    def rows(self, name, *rows):
        (self.vex / f"{name}.csv").write_text("".join(f'"2024/cve-2024-{n}.json","{time}"\n' for n, time in rows))

    def load(self):
        update(self.db, self.root, "redhat")
        p = subprocess.run([DUMP, self.db, "redhat"], stdout=subprocess.PIPE, check=True)
        rows = (line.split("\t") for line in p.stdout.decode().splitlines())
        return {int(row[1].rsplit("-", 1)[1]): row[4] for row in rows}


@pytest.fixture
def redhat(tmp_path):
    assert DUMP.exists(), f"{DUMP} is not built"
    r = RedHat(tmp_path)
    r.archive("2025-08-01", {1: "old", 2: "old", 3: "old"})
    r.single(2, "new")
    r.rows("changes", (2, "2025-08-02T10:00:00+00:00"), (9, "2025-08-01T10:00:00+00:00"), (1, "2025-07-01T10:00:00+00:00"))
    r.rows("deletions", (3, "2025-08-01T12:00:00+00:00"))
    return r


def test_first_load(redhat):
    # what is newer than the archive counts; a document that is listed and not there (9) is no error
    assert redhat.load() == {1: "old", 2: "new", 3: "old"}
    assert redhat.load() == {1: "old", 2: "new", 3: "old"}


def test_changes_and_deletions(redhat):
    redhat.load()
    redhat.single(1, "newer")
    redhat.single(4, "four")
    redhat.rows("changes", (4, "2025-08-03T10:00:00+00:00"), (1, "2025-08-03T09:00:00Z"), (2, "2025-08-02T10:00:00+00:00"))
    # 3 was deleted after the archive was made
    assert redhat.load() == {1: "newer", 2: "new", 4: "four"}
    redhat.rows("deletions", (2, "2025-08-04T10:00:00+00:00"), (3, "2025-08-01T12:00:00+00:00"))
    assert redhat.load() == {1: "newer", 4: "four"}
    redhat.single(4, "four", "deleted")
    redhat.rows("changes", (4, "2025-08-05T10:00:00+00:00"), (1, "2025-08-03T09:00:00Z"))
    assert redhat.load() == {1: "newer"}


def test_new_archive_changes_nothing(redhat):
    redhat.load()
    redhat.archive("2025-08-05", {7: "seven"})
    assert redhat.load() == {1: "old", 2: "new"}  # the list is read anew, and so is that of deletions
    assert redhat.load() == {1: "old", 2: "new"}


def test_many_changes_come_from_the_archive(redhat):
    redhat.load()
    many = {n: "many" for n in range(5000, 7001)}
    redhat.archive("2025-08-10", many | {1: "old", 2: "later"})
    redhat.single(5000, "single")
    redhat.rows("changes", (5000, "2025-08-11T00:00:00Z"), *((n, "2025-08-08T00:00:00Z") for n in many))
    assert redhat.load() == many | {1: "old", 2: "later", 5000: "single"}


def test_no_list_of_changes(redhat):
    (redhat.vex / "changes.csv").unlink()
    r = update(redhat.db, redhat.root, "redhat", check=False)
    assert r.code == 1
    assert b"redhat: data/csaf/v2/vex/changes.csv@csaf_vex_2025-08-01.tar.zst: not found" in r.err
