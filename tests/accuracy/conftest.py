"""Prints the table of the accuracy tests at the end of the run, also when everything agrees."""
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "accuracy"), str(TESTS / "e2e"), str(TESTS / "server"), str(TESTS)]

import helpers  # noqa: E402
import pytest  # noqa: E402

table = []  # (image, packages, findings, missed, extra)


def pytest_terminal_summary(terminalreporter):
    if table:
        terminalreporter.section("accuracy: against the raw feeds and the native version tools")
        terminalreporter.write_line(f"{'image':<44}{'packages':>10}{'findings':>10}{'missed':>8}{'extra':>8}")
        for row in table:
            terminalreporter.write_line(f"{row[0]:<44}{row[1]:>10}{row[2]:>10}{row[3]:>8}{row[4]:>8}")
    helpers.report_not_run(terminalreporter)


@pytest.fixture(scope="session")
def record():
    return table.append


@pytest.fixture(scope="session")
def real_db(tmp_path_factory):
    """A database of the real Debian and Alpine feeds."""
    feeds = helpers.need_data("feeds")
    db = tmp_path_factory.mktemp("real") / "real.db"
    helpers.update(db, feeds, "debian", "alpine", timeout=300)
    return db
