"""How a command behaves while it works: progress, --verbose, --timeout, signals, closed pipes, colours."""
import fcntl
import itertools
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import helpers
import pytest
from helpers import ECLAIR, assert_refused, eclair, environment, gone, update

HERE = Path(__file__).resolve().parent
SOON = 1.0 * (3 if helpers.SANITIZED else 1)


class Running:
    """A command in a process group and on a terminal (standard error) of its own, whose input is a pipe that stays open."""

    def __init__(self, *arguments, columns=100, before=(), **variables):
        self.screen, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.process = subprocess.Popen([*before, ECLAIR, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave,
                                        env=environment(TERM="xterm", **variables), start_new_session=True)
        os.close(slave)
        self.seen = b""

    def look(self, until=None, seconds=30):
        """All that was written to the terminal, until it has these bytes or is closed."""
        end = time.monotonic() + seconds
        while until is None or until not in self.seen:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.screen], [], [], left)[0], (until, self.seen)
            try:
                more = os.read(self.screen, 65536)
            except OSError:  # EIO: the other end is closed
                more = b""
            if not more:
                break
            self.seen += more
        assert until is None or until in self.seen, self.seen
        return self.seen

    def columns(self, n):
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, n, 0, 0))

    def give(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self, number=None, given=False):
        """The code; sends the signal first, and is not patient then. given: it has all of its input."""
        begin = time.monotonic()
        if number:
            self.process.send_signal(number)
        if given:
            self.process.stdin.close()
        out = self.process.stdout.read()
        self.process.wait(timeout=60)
        assert not number or time.monotonic() - begin < SOON
        self.look()
        os.close(self.screen)
        assert gone(self.process.pid, 2), "processes of the cage are left"
        self.out = out
        return self.process.returncode


def wiped(seen):
    """What stays on a screen of which lines were drawn over."""
    return [line.rpartition(b"\r")[2].replace(b"\x1b[K", b"") for line in seen.replace(b"\r\n", b"\n").split(b"\n")]


@pytest.fixture
def half_image(small_image):
    data = small_image.read_bytes()
    return data[:len(data) // 2], data[len(data) // 2:]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The URL of a mirror."""
    folder = tmp_path_factory.mktemp("stalling")
    debian = {f"package{i}": {"CVE-2024-%d" % (1000 + i): helpers.entry(fixed="1-1")} for i in range(3000)}
    helpers.write_mirror(folder / "mirror", debian, helpers.small_alpine())
    port = folder / "port"
    p = subprocess.Popen([sys.executable, HERE / "feedserver.py", "--root", folder / "mirror", "--port-file", port])
    while not port.exists():
        assert p.poll() is None
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port.read_text().strip()}"
    p.kill()
    p.wait()


numbers = itertools.count(100000)  # a fault happens once for each URL


@pytest.fixture
def stalling(server):
    """The URL of a mirror that falls silent in the middle of Debian's document."""
    return f"{server}/fault/stall-{next(numbers)}"


# ---- progress ----

def test_progress_of_a_scan(db, half_image):
    first, second = half_image
    r = Running("scan", "-", "--db", db, "-f", "json")
    r.give(first)
    r.look(b"/s")  # a rate is told when there is one
    r.give(second)
    assert r.end(given=True) == 0 and b'"findings"' in r.out
    assert re.search(rb"\r- (\[=* *>? *\] )?[^\r]*\d\.\d [kM]B, \d+\.\d [kM]B/s\x1b\[K", r.seen), r.seen
    assert wiped(r.seen) == [b""], "gone when the report comes"


def test_progress_is_drawn_ten_times_a_second_at_most_and_as_wide_as_the_terminal(stalling, tmp_path):
    r = Running("update", "debian", "--mirror", stalling, "--db", tmp_path / "x.db", columns=60)
    r.look(b"B/s")
    begin, before = time.monotonic(), r.seen.count(b"\r")
    while r.seen.count(b"\r") < before + 10:
        r.look(r.seen + b"\r")
    assert time.monotonic() - begin > 0.8
    r.columns(24)
    at = len(r.seen)
    while r.seen.count(b"\r", at) < 4:
        r.look(r.seen + b"\r")
    narrow = r.seen[at:]
    assert r.end(signal.SIGTERM) == -signal.SIGTERM
    lines = [re.sub(rb"\x1b\[K", b"", line) for line in r.seen[:at].split(b"\r")]
    assert 40 < max(map(len, lines)) < 60
    assert len(re.sub(rb"\x1b\[K", b"", narrow.split(b"\r")[2])) < 24


@pytest.mark.parametrize("option, variables", [("--quiet", {}), ("--no-progress", {}), (None, {"ECLAIR_NO_PROGRESS": "1"})])
def test_no_progress(option, variables, db, half_image):
    first, second = half_image
    r = Running("scan", "-", "--db", db, "-f", "json", *([option] if option else []), **variables)
    r.give(first)
    time.sleep(0.5)  # a line would have been drawn by now
    r.give(second)
    assert r.end(given=True) == 0 and r.seen == b""


def test_progress_of_an_update(stalling, tmp_path):
    r = Running("update", "debian", "--mirror", stalling, "--db", tmp_path / "x.db")
    r.look(b"/s")
    assert re.search(rb"\rdebian: tracker/data/json \[=*> *\] 100\.\d kB of \d+\.\d kB, \d+\.\d kB/s\x1b\[K", r.seen), r.seen
    assert r.end(signal.SIGINT) == -signal.SIGINT
    assert wiped(r.seen) == [b""]


# ---- --verbose ----

def test_verbose(db, small_image, tmp_path):
    (tmp_path / ".eclair.yaml").write_text("verbose: true\n")
    r = eclair("scan", small_image, "--db", db, cwd=tmp_path)
    lines = r.err.decode().splitlines()
    assert r.code == 0 and lines[0] == "eclair: options of .eclair.yaml"
    assert [line for line in lines[1:] if not re.fullmatch(r"eclair: .*: \d+\.\d{3} s", line)] == []
    assert any("2 layers, " in line for line in lines) and any("findings" in line for line in lines)
    assert r.out == eclair("scan", small_image, "--db", db).out


def test_verbose_update_names_no_secrets(server, tmp_path):
    url = server.replace("http://", "http://user:secret@")
    r = eclair("update", "alpine", "--mirror", url, "--db", tmp_path / "x.db", "--verbose")
    assert r.code == 0 and re.search(rb"eclair: alpine: \d documents read: \d", r.err)
    assert b"secret" not in r.err + r.out


# ---- --timeout ----

def test_timeout_of_a_scan(db, half_image):
    r = Running("scan", "-", "--db", db, "--timeout", "700ms")
    r.give(half_image[0])
    assert r.end() == 1 and r.out == b""
    assert wiped(r.seen) == [b"eclair: -: not done within 0.7 s (--timeout)", b""]


def test_timeout_of_an_update_keeps_what_was_loaded(server, stalling, tmp_path):
    db = tmp_path / "x.db"
    update(db, server, "alpine")
    begin = time.monotonic()
    r = eclair("update", "debian", "--mirror", stalling, "--db", db, "--timeout", "500ms")
    assert_refused(r, "update", "not done within 0.5 s", code=1)
    assert time.monotonic() - begin < 0.5 + SOON
    assert b"2026" in eclair("db", "status", "--db", db).out
    assert update(db, server, "debian").out.startswith(b"debian: 3000 advisories new")


@pytest.mark.parametrize("text", ["0", "5", "soon", "-1s", ""])
def test_bad_timeout(text, small_image, db):
    assert_refused(eclair("scan", small_image, "--db", db, "--timeout", text), "--timeout", code=2)


# ---- signals ----

COMMANDS = {"scan": ["scan", "-"], "explain": ["explain", "CVE-2024-1", "-"], "packages": ["packages", "-"], "diff": ["diff", "-", "x"]}


@pytest.mark.parametrize("command, number", [*((c, n) for c in COMMANDS for n in (signal.SIGINT, signal.SIGTERM)),
                                             ("scan", signal.SIGHUP), ("scan", signal.SIGKILL)])
def test_a_signal_ends_it(command, number, db, half_image):
    """No temporary files: conftest.py looks."""
    r = Running(*COMMANDS[command], "--db", db)
    r.give(half_image[0])
    r.look(b"B")
    assert r.end(number) == -number and r.out == b""
    assert number == signal.SIGKILL or wiped(r.seen) == [b""]
    assert eclair("scan", "-", "--db", db, stdin=b"".join(half_image)).code == 0
    assert sorted(p.name for p in db.parent.iterdir() if not p.name.endswith(("-wal", "-shm"))) == ["eclair.db"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_update_that_is_ended_lets_the_next_one_begin(number, server, stalling, tmp_path):
    db = tmp_path / "x.db"
    r = Running("update", "debian", "--mirror", stalling, "--db", db)
    r.look(b"kB")
    assert r.end(number) == -number
    begin = time.monotonic()
    assert update(db, server, "debian").out.startswith(b"debian: 3000 advisories new")
    assert time.monotonic() - begin < 3 * SOON


def test_what_was_ignored_stays_ignored(db, half_image):
    """As "nohup" and a shell's "&" want it."""
    r = Running("scan", "-", "--db", db, before=["sh", "-c", 'trap "" INT; exec "$@"', "sh"])
    r.give(half_image[0])
    r.look(b"B")
    r.process.send_signal(signal.SIGINT)
    at = r.seen.count(b"\r")
    while r.seen.count(b"\r") < at + 3:
        r.look(r.seen + b"\r")
    assert r.process.poll() is None
    r.give(half_image[1])
    assert r.end(given=True) == 0


@pytest.mark.parametrize("action", ["export", "backup"])
def test_an_export_that_is_ended_leaves_no_file(action, server, tmp_path):
    db = tmp_path / "x.db"
    update(db, server, "debian")
    for delay in (0, 0.001, 0.01, 0.05):
        p = subprocess.Popen([ECLAIR, "db", action, tmp_path / "copy.db", "--db", db, "--force"], env=environment(),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while p.poll() is None and not list(tmp_path.glob("copy.db.*")):
            pass
        time.sleep(delay)
        p.terminate()
        assert p.wait(timeout=60) in (0, -signal.SIGTERM)
        assert [f.name for f in tmp_path.glob("copy.db.*")] == []


def test_a_report_that_is_being_written_is_whole_or_not_there(db, small_image, tmp_path):
    """At any moment its folder has the report, or nothing of that name."""
    out = tmp_path / "out" / "report.json"
    out.parent.mkdir()
    p = subprocess.Popen([ECLAIR, "scan", small_image, "--db", db, "-f", f"json={out}"], env=environment(), stdout=subprocess.DEVNULL)
    while p.poll() is None and not out.exists():
        names = [f.name for f in out.parent.iterdir()]
        assert all(n == out.name or n.startswith(".eclair.") for n in names)
    assert p.wait(timeout=60) == 0 and [f.name for f in out.parent.iterdir()] == [out.name]


# ---- pipes ----

@pytest.mark.parametrize("arguments", [["scan", "IMAGE", "-f", "html"], ["scan", "IMAGE"], ["help", "config"], ["packages", "IMAGE"],
                                       ["explain", "CVE-2024-1001", "IMAGE"], ["db", "status"], ["feed", "list"], ["help", "--man", "eclair-scan.1"]])
def test_a_closed_pipe_is_quiet(arguments, db, small_image):
    arguments = [small_image if a == "IMAGE" else a for a in arguments]
    there = ["--db", db] if arguments[0] not in ("help", "feed") else []
    for before in ((), ("sh", "-c", 'trap "" PIPE; exec "$@"', "sh")):
        read, write = os.pipe()
        os.close(read)
        p = subprocess.Popen([*before, ECLAIR, *arguments, *there], stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE,
                             env=environment())
        os.close(write)
        _, err = p.communicate(timeout=60)
        assert (p.returncode, err) == (-signal.SIGPIPE, b"")


# ---- colours ----

@pytest.mark.parametrize("options, variables, coloured", [
    ([], {}, False), (["--color", "always"], {}, True), (["--color", "always"], {"NO_COLOR": "1", "TERM": "dumb"}, True),
    ([], {"CLICOLOR_FORCE": "1"}, True), ([], {"CLICOLOR_FORCE": "0"}, False), ([], {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
    (["--color=never"], {"CLICOLOR_FORCE": "1"}, False), (["--color", "auto"], {"CLICOLOR_FORCE": "1"}, True),
    ([], {"ECLAIR_COLOR": "always"}, True)])
def test_colour_without_a_terminal(options, variables, coloured, db, small_image):
    out = eclair("scan", small_image, "--db", db, *options, env=environment(**variables)).out
    assert (b"\x1b[" in out) == coloured
    assert not coloured or b"In the base image's lowest layer" in out
