"""The store survives everything: `./dev test failure`. ECLAIR_FAILURE_ROUNDS says how many rounds of kills."""
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e"), str(TESTS / "server"), str(TESTS / "failure")]

import helpers  # noqa: E402
import pg  # noqa: E402
import pytest  # noqa: E402
import world  # noqa: E402
from serving import Server  # noqa: E402


def pytest_sessionstart(session):
    if not helpers.ECLAIR.exists():
        raise pytest.UsageError(f"{helpers.ECLAIR} does not exist: build it, or set ECLAIR")


def pytest_configure(config):
    config.addinivalue_line("markers", "whole: only with 50 rounds or more")


def pytest_collection_modifyitems(config, items):
    left_out = [i for i in items if world.FEW and i.get_closest_marker("whole")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [i for i in items if i not in left_out]


def pytest_terminal_summary(terminalreporter):
    for name, count in sorted(world.TALLY.items()):
        terminalreporter.write_line(f"{name}: {count}")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    server = pg.start(tmp_path_factory.mktemp("postgres"))
    yield server
    server.remove()


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory):
    """One that may be stopped and broken."""
    server = pg.start(tmp_path_factory.mktemp("own"))
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request):
    return request.param


@pytest.fixture
def database(store, request, tmp_path):
    """An empty database."""
    return tmp_path / "eclair.db" if store == "sqlite" else request.getfixturevalue("postgres").new_database()


@pytest.fixture
def serve(tmp_path):
    """serve(database, more) starts a server; at the end it is killed if it still runs."""
    servers = []

    def start(database, more="", wait=True, **options):
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        servers.append(Server(folder, database, more=more, **options))
        return servers[-1].start(wait)

    yield start
    for s in servers:
        if s.process.poll() is None:
            s.kill()
        text = s.text()
        assert "ERROR: AddressSanitizer" not in text and "runtime error" not in text, text[-8000:]


@pytest.fixture
def feed(tmp_path):
    return world.Feed(tmp_path, 300 if world.FEW else 800)


@pytest.fixture
def layers_folder(tmp_path):
    folder = tmp_path / "layers"
    folder.mkdir()
    return folder
