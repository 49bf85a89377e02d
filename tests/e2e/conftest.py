"""Fixtures shared by the end-to-end tests. The program under test is $ECLAIR (default: build/eclair)."""
import shutil

import helpers
import make_images
import pytest


def pytest_sessionstart(session):
    if not helpers.ECLAIR.exists():
        raise pytest.UsageError(f"{helpers.ECLAIR} does not exist: build it, or set ECLAIR")


def pytest_terminal_summary(terminalreporter):
    helpers.report_not_run(terminalreporter)


@pytest.fixture(autouse=True)
def no_temporary_files(tmp_path_factory, monkeypatch):
    """Nothing may be left behind, whatever happened."""
    folder = tmp_path_factory.mktemp("TMPDIR")
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A command that forgets --db must not find, or make, the database of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def small_mirror(tmp_path_factory):
    return helpers.write_mirror(tmp_path_factory.mktemp("mirror"), helpers.small_debian(), helpers.small_alpine())


@pytest.fixture(scope="session")
def small_db_master(tmp_path_factory, small_mirror):
    db = tmp_path_factory.mktemp("db") / "small.db"
    helpers.update(db, small_mirror, "debian", "alpine")
    return db


@pytest.fixture
def db(small_db_master, tmp_path):
    """A database of the small feeds for this test alone."""
    return shutil.copy(small_db_master, tmp_path / "eclair.db")


@pytest.fixture(scope="session")
def small_image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "small.tar"
    path.write_bytes(make_images.archive(make_images.debian_layers()))
    return path
