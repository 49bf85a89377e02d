"""`eclair db` on both stores: what it says, what it mends, and what must come through it unchanged."""
import json
import threading
import time

import expected
import helpers
import make_images
import pytest
from golden import execute
from serving import Server


def db(action, database, *more, **options):
    return helpers.eclair("db", *action.split(), *more, "--db", database, **options)


def good(r):
    assert (r.code, r.err) == (0, b""), (r.code, r.out, r.err)
    return r.out.decode()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "small.tar"
    path.write_bytes(make_images.archive(make_images.debian_layers()))
    return path


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    return helpers.write_mirror(tmp_path_factory.mktemp("mirror"), helpers.small_debian(), helpers.small_alpine())


@pytest.fixture
def full(database, image, mirror):
    helpers.update(database, mirror, "debian", "alpine")
    assert helpers.scan(database, image).code == 0
    return database


def test_migrate(database):
    assert "made, schema 7" in good(db("migrate", database))
    assert "nothing to do: schema 7" in good(db("migrate", database))


def status(database):
    return json.loads(good(db("status", database, "--format", "json")))


def test_status(full, mirror):
    """How large, what waits, and who is at it."""
    s = status(full)
    assert s["size_bytes"] > 65536 and s["waiting_sets"] == 1 and s["segments"] == 0 and s["leases"] == []
    assert (s["generation"], s["oldest_generation"]) == (2, 1)
    good(db("vacuum", full))
    s = status(full)
    assert (s["waiting_sets"], s["segments"]) == (0, 1)
    end = "now() + interval '90 s'" if "://" in str(full) else f"{int(time.clock_gettime(time.CLOCK_BOOTTIME))} + 90"
    execute(full, f"INSERT INTO lease(name, owner, expires, seconds) VALUES ('updater', 'host 1', {end}, 100)")
    execute(full, f"INSERT INTO lease(name, owner, expires, seconds) VALUES ('over', 'host 1', {end.replace('+', '-')}, 100)")
    lease, = status(full)["leases"]
    assert (lease["name"], lease["owner"]) == ("updater", "host 1") and 60 < lease["seconds_left"] <= 91
    table = good(db("status", full))
    assert "lease 'updater'" in table and "1 segments" in table and "debian" in table


def test_vacuum(full, image):
    report = helpers.scan(full, image).out
    assert "images 0," in good(db("vacuum", full))
    execute(full, "UPDATE image SET used = 0")
    execute(full, "UPDATE layer SET used = 0")
    assert "images 0," in good(db("vacuum", full, "--unused", "36500"))  # more than its age
    out = good(db("vacuum", full))
    assert "images 1, layers" in out and "packages 0" not in out, out
    helpers.assert_refused(db("vacuum", full, "--unused", "soon"), "--unused", code=2)
    assert helpers.scan(full, image).out == report


def test_check(full):
    assert good(db("check", full)) == good(db("check", full, "--full")) == "ok\n"
    execute(full, "DELETE FROM image_layer")
    execute(full, "UPDATE feed SET ranges = 0 WHERE name = 'debian'")
    r = db("check", full)
    lines = r.out.decode().splitlines()
    assert r.code == 1 and r.err == b"" and len(lines) == 2, lines
    assert "damaged origins" in lines[0] and "feed debian counts" in lines[1]


# ---- one file ----

def counts(database):
    return status(database)["counts"]


def walk(tmp_path, postgres, database):
    """Databases that each have all of the one before: by way of a file into the other engine, and back."""
    other = tmp_path / "back.db" if "://" in str(database) else postgres.new_database()
    last = postgres.new_database() if "://" in str(database) else tmp_path / "back.db"
    for number, (source, target) in enumerate([(database, other), (other, last)]):
        file = tmp_path / f"export{number}.db"
        assert "images" in good(db("export", source, file))
        assert sorted(p.name for p in tmp_path.glob("export*")) == [f"export{i}.db" for i in range(number + 1)]
        assert good(db("check", file, "--full")) == "ok\n"
        good(db("import", target, file))
        good(db("import", target, file))  # nothing is doubled
        assert good(db("check", target, "--full")) == "ok\n"
        yield file
        yield target


IMAGES = ["alpine-3.10-vuln-image-310.docker.tar.gz", "debian-bookworm-12.0-pinned.docker.tar.zst", "debian-bookworm-current.oci.tar",
          "debian-bullseye-layers.docker.tar.zst", "distroless-like-go.oci.tar", "edge-alpine-whiteouts.docker.tar.zst",
          "apps-polyglot-layers.docker.tar.zst", "debian-trixie-full.docker.tar.zst", "rpm-amazonlinux2-bdb.docker.tar.zst",
          "rpm-photon3.docker.tar.zst", "rpm-sle15-bci-ndb.docker.tar.zst", "rpm-ubi8-bdb.docker.tar.zst",
          "rpm-ubi9-layers.oci.tar", "ubuntu-18.04-pkglist.docker.tar.zst"]


def test_reports_survive(database, postgres, tmp_path):
    """All real images and feeds: every report is what it was, from what was copied and not from a new look at the image."""
    feeds, images = helpers.ROOT / "examples/feeds", [helpers.need_data("images") / name for name in IMAGES]
    helpers.update(database, feeds, "alpine", "debian")
    reports = [helpers.scan(database, image).out for image in images]
    assert sum(len(r) > 1000 for r in reports) == len(images)
    had = counts(database)
    for copy in walk(tmp_path, postgres, database):
        assert counts(copy) == had
        for image, report in zip(images, reports):
            assert helpers.scan(copy, image).out == report, (copy, image.name)
        assert counts(copy) == had
        assert b"alpine: nothing new\ndebian: nothing new\n" in helpers.update(copy, feeds, "alpine", "debian").out  # the validators came along


def test_history_is_no_part_of_a_copy(full, mirror, tmp_path):
    """Feeds become what they are in the file, whatever the target had."""
    file, other = tmp_path / "file.db", tmp_path / "other.db"
    good(db("export", full, file))
    changed = helpers.write_mirror(tmp_path / "mirror", {"openssl": {"CVE-1": helpers.entry("open")}}, {
        "v3.20/main": helpers.secdb("v3.20", "main", {"musl": {"9-r0": ["CVE-2"]}}),
        "v3.19/main": helpers.secdb("v3.19", "main", {"musl": {"9-r0": ["CVE-2"]}})})
    helpers.update(other, changed, "alpine", "debian")
    good(db("import", other, file))
    assert good(db("check", other, "--full")) == "ok\n"
    had, got = status(full), status(other)
    assert got["feeds"] == had["feeds"] and got["counts"]["ranges"] == had["counts"]["ranges"]


def test_named_layers_survive(database, postgres, tmp_path):
    feeds = helpers.ROOT / "examples/feeds"
    helpers.update(database, feeds)
    names, paths = [], []
    for i, data in enumerate(expected.image_layers(helpers.need_data("images/debian-bullseye-layers.docker.tar.zst"))):
        names.append(f"layer{i}")
        paths.append(tmp_path / f"{i}.tar")
        paths[-1].write_bytes(data)

    def answers(where, post=False):
        folder = tmp_path / f"server{len(list(tmp_path.glob('server*')))}"
        folder.mkdir()
        server = Server(folder, where, None, "").start(True)
        try:
            if post:
                server.post_chain(names, paths)
            got = [server.get(f"/v1/layers/{n}?features&vulnerabilities").json() for n in names]
        finally:
            server.stop()
        return got

    want = answers(database, post=True)
    assert "Vulnerabilities" in json.dumps(want[-1]) and want[-1]["Layer"]["ParentName"] == names[-2]
    for copy in walk(tmp_path, postgres, database):
        assert answers(copy) == want


def test_a_name_for_something_else(database, tmp_path):
    """Two databases whose layers have one name: that of the target stays, and it is said."""
    other, file = tmp_path / "other.db", tmp_path / "file.db"
    layers = list(expected.image_layers(helpers.need_data("images/debian-bullseye-layers.docker.tar.zst")))
    for number, (where, content) in enumerate([(database, layers[:2]), (other, layers[::2][:2])]):
        folder = tmp_path / f"server{number}"
        folder.mkdir()
        server = Server(folder, where, None, "").start(True)
        for name, data in zip("ab", content):
            (folder / name).write_bytes(data)
            assert server.post(name, folder / name, "a" if name == "b" else None).status == 201
        server.stop()
    good(db("export", other, file))
    r = db("import", database, file)
    assert r.code == 0 and b" 1 named layers" in r.out and b"1 named layers or ancestries are left out" in r.err, (r.out, r.err)
    assert good(db("check", database, "--full")) == "ok\n"


def test_files_are_not_lost(full, tmp_path):
    file = tmp_path / "file.db"
    file.write_bytes(b"dear")
    helpers.assert_refused(db("export", full, file), file, "--force", code=2)
    assert file.read_bytes() == b"dear"
    good(db("export", full, file, "--force"))
    assert good(db("check", file)) == "ok\n"
    helpers.assert_refused(db("import", file, file), "the database itself", code=2)
    helpers.assert_refused(db("export", file, file, "--force"), "the database itself", code=2)
    (tmp_path / "empty").write_bytes(b"")
    helpers.assert_refused(db("import", full, tmp_path / "empty"), "must be made or migrated")
    helpers.assert_refused(db("import", full, tmp_path / "absent"), "absent")
    helpers.assert_refused(db("export", full, tmp_path / "no/folder"), "no/folder")
    helpers.assert_refused(db("export", full), "FILE", code=2)
    assert sorted(p.name for p in tmp_path.iterdir() if "eclair.db" not in p.name) == ["empty", "file.db"]


# ---- backup ----

def test_backup(full, image, tmp_path):
    file = tmp_path / "backup.db"
    if "://" in str(full):
        helpers.assert_refused(db("backup", full, file), "pg_dump --schema=eclair")
        assert list(tmp_path.glob("backup*")) == []
        return
    good(db("backup", full, file))
    assert good(db("check", file, "--full")) == "ok\n"
    assert helpers.scan(file, image).out == helpers.scan(full, image).out
    helpers.assert_refused(db("backup", full, file), "--force", code=2)
    good(db("backup", full, file, "--force"))
    assert [p.name for p in tmp_path.glob("backup*")] == ["backup.db"]


def test_check_and_backup_while_others_write(database, image, tmp_path):
    """A backup ends, and is whole, though a writer never rests; and there is nothing wrong with what is half done."""
    stop, rounds, is_file = threading.Event(), [], "://" not in str(database)
    feeds = [helpers.write_mirror(tmp_path / f"mirror{i}", {f"package{n}": {
        f"CVE-{c}": helpers.entry(fixed=f"{i + n}") for c in range(3)} for n in range(1500)}) for i in range(2)]
    helpers.update(database, feeds[0], "debian")

    def write():
        while not stop.is_set():
            for feed in feeds[::-1]:
                rounds.append(helpers.update(database, feed, "debian", check=False))
                rounds.append(helpers.scan(database, image))
                rounds.append(db("vacuum", database, "--unused", "0"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for i in range(8):
            assert good(db("check", database)) == "ok\n"
            file = tmp_path / f"{i}.db"
            if is_file:
                good(db("backup", database, file))
            else:
                assert good(db("export", database, file)).startswith("4500 advisories")
            assert good(db("check", file, "--full")) == "ok\n"
        assert good(db("export", database, tmp_path / "export.db")).startswith("4500 advisories")
    finally:
        stop.set()
        writer.join()
    assert len(rounds) > 6 and [r for r in rounds if r.code] == []


def test_bundle(full, image, mirror, tmp_path, postgres):
    """From either engine into either: the same bytes, and the same reports."""
    bundle, again = tmp_path / "bundle", tmp_path / "again"
    good(db("export", full, bundle, "--feeds"))
    report = helpers.scan(full, image).json()
    for target in (tmp_path / "to.db", postgres.new_database()):
        out = good(db("import", target, bundle))
        assert out.startswith("alpine: 8 advisories new, 0 changed") and "debian: " in out
        assert helpers.scan(target, image).json()["findings"] == report["findings"]
        assert good(db("check", target, "--full")) == "ok\n"
        assert helpers.update(target, mirror, "debian").out == b"debian: nothing new\n"
        good(db("export", target, again, "--feeds", "--force"))
        assert good(db("export", target, tmp_path / "none", "--since", bundle, "--force")) == "alpine: as before\ndebian: as before\n"
