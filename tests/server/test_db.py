"""`eclair db` on both stores: what it says, what it mends, and what must come through it unchanged."""
import helpers
import make_images
import pytest
from golden import execute


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
    assert "made, schema 3" in good(db("migrate", database))
    assert "nothing to do: schema 3" in good(db("migrate", database))


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
