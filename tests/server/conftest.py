"""A server on each store. PostgreSQL is a real one, started for the run."""
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e"), str(TESTS / "accuracy"), str(TESTS / "server")]

import helpers  # noqa: E402
import pg  # noqa: E402
import pytest  # noqa: E402
from serving import Files, Server  # noqa: E402

SPEC = helpers.DATA.parent / "spec"


def pytest_terminal_summary(terminalreporter):
    helpers.report_not_run(terminalreporter)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    server = pg.start(tmp_path_factory.mktemp("postgres"))
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request):
    return request.param


@pytest.fixture
def database(store, request, tmp_path):
    """An empty database."""
    if store == "sqlite":
        yield tmp_path / "eclair.db"
    else:
        yield request.getfixturevalue("postgres").new_database()


@pytest.fixture
def serve(tmp_path, database):
    """serve(more="yaml", cwd=…) starts a server that is stopped at the end, and must then stop well."""
    servers = []

    def start(more="", cwd=None, wait=True, **options):
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        servers.append(Server(folder, options.pop("database", database), cwd, more, **options))
        return servers[-1].start(wait)

    yield start
    for s in servers:
        if s.process.poll() is None:
            s.stop()
        assert "ERROR: AddressSanitizer" not in s.text() and "runtime error" not in s.text(), s.text()


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    f = Files(folder)
    f.folder = folder
    yield f
    f.close()


@pytest.fixture
def golden():
    folder = SPEC / "golden-v1"
    if not folder.exists():
        (pytest.fail if "CI" in __import__("os").environ else pytest.skip)(f"{helpers.NO_DATA} {folder}")
    return folder
