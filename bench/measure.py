"""What the benches share: CPU time and memory of whole process trees, and the table of goals."""
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ECLAIR = Path(os.environ.get("ECLAIR", ROOT / "build/eclair")).resolve()
DATA = Path(os.environ.get("ECLAIR_TEST_DATA", ROOT / "../shared/data")).resolve()
WORK = Path(os.environ.get("ECLAIR_BENCH_DIR", ROOT / "build/bench"))
MIB = 1 << 20
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h: processes that lost their parent come to us, so their time is counted


def children():
    return {int(pid) for task in os.listdir("/proc/self/task")
            for pid in Path(f"/proc/self/task/{task}/children").read_text().split()}


def run(command, ok=(0,), **options):
    others = children()  # servers that a bench has started
    p = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       check=False, **options)
    if p.returncode not in ok:
        sys.exit(f"{' '.join(map(str, command))}: exit code {p.returncode}: {p.stderr.decode().strip()}")
    while (left := children() - others):  # wait for what was left behind
        os.waitpid(left.pop(), 0)
    return p


def timed(command, ok=(0,)):
    """(wall, user + system) seconds of a command and everything it started."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(command, ok)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def median(command, times=3, ok=(0,), before=lambda: None):
    walls, cpus = [], []
    for _ in range(times):
        before()
        wall, cpu = timed(command, ok)
        walls.append(wall)
        cpus.append(cpu)
    return statistics.median(walls), statistics.median(cpus)


def tree(pid):
    """A process and all below it."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                todo += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            pass
    return found


def pss(pid, without):
    """Bytes of proportional set size, less the mappings of one file."""
    try:
        if not without or without not in Path(f"/proc/{pid}/maps").read_text():
            return field(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:")
        total, counted = 0, True
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            if "-" in line.split()[0]:
                counted = without not in line
            elif counted and line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
        return total
    except PermissionError:
        sys.exit(f"the memory of process {pid} cannot be read: run the bench as root")
    except (OSError, IndexError):
        return 0  # it has just ended


def field(text, name):
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(name)), 0)


def scratch_bytes(pid, known):
    """Sizes of regular files open for writing that are none of the known ones; {inode: bytes}."""
    found = {}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            name, info = os.readlink(f"/proc/{pid}/fd/{fd}"), os.stat(f"/proc/{pid}/fd/{fd}")
            flags = int(Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0], 8)
            if os.path.isabs(name) and info.st_mode & 0o170000 == 0o100000 and flags & 3 and not name.startswith(known):
                found[info.st_dev, info.st_ino] = info.st_blocks * 512
    except OSError:
        pass
    return found


def peak(command, database=None, ok=(0,), every=0.005, feed=None):
    """(largest sum of PSS, largest sum of scratch files) of a run, sampled; in bytes. `feed` writes its standard input."""
    p = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if feed:
        threading.Thread(target=feed, args=(p.stdin,), daemon=True).start()
    most = [0, 0]
    known = str(database) if database else "\0"
    errors = []
    reader = threading.Thread(target=lambda: errors.append(p.stderr.read()))
    reader.start()
    while p.poll() is None:
        pids = tree(p.pid)
        most[0] = max(most[0], sum(pss(pid, known) for pid in pids))
        files = {}
        for pid in pids:
            files |= scratch_bytes(pid, known)
        most[1] = max(most[1], sum(files.values()))
        time.sleep(every)
    reader.join()
    error = errors[0]
    if p.returncode not in ok:
        sys.exit(f"{' '.join(map(str, command))}: exit code {p.returncode}: {error.decode().strip()}")
    return most


def remove_database(path):
    for end in ("", "-wal", "-shm", "-journal"):
        Path(str(path) + end).unlink(missing_ok=True)


def show(value, unit):
    return {"/s": f"{value:.0f} /s", "s": f"{value:.3f} s", "ms": f"{value:.2f} ms", "MiB": f"{value / MIB:.1f} MiB", "B": f"{value:.0f} B"}[unit]


class Table:
    """measure, value, reference, ratio, goal, ok or over. A goal is on the ratio where there is a reference, or `at_least` on the
    value."""

    def __init__(self, title):
        self.over = 0
        print(f"{title}\n{'measure':<44}{'value':>12}{'reference':>12}{'ratio':>8}{'goal':>12}  ")

    def row(self, measure, value, unit, goal=None, reference=None, at_least=None):
        ratio = value / reference if reference else None
        bad = goal is not None and (value if ratio is None else ratio) > goal
        text = "" if goal is None else f"<= {goal:.2f}" if ratio is not None else f"<= {show(goal, unit)}"
        if at_least is not None:
            goal, bad, text = at_least, value < at_least, f">= {show(at_least, unit)}"
        self.over += bad
        print(f"{measure:<44}{show(value, unit):>12}{show(reference, unit) if reference else '':>12}"
              f"{f'{ratio:.2f}' if reference else '':>8}{text:>12}  {'' if goal is None else 'over' if bad else 'ok'}", flush=True)

    def exit(self):
        print()
        sys.exit(1 if self.over else 0)


def need(path):
    if not Path(path).exists():
        sys.exit(f"{path} is missing")
    return path


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(value).encode())


def prepare():
    need(ECLAIR)
    if b"__asan_init" in ECLAIR.read_bytes():
        print("warning: this is a sanitizer build; its numbers mean nothing", file=sys.stderr)
    WORK.mkdir(parents=True, exist_ok=True)


def parts(servers, functions):
    """Runs those that the command line names, or all, each with a Table; removes the servers and ends with 1 if a goal was missed."""
    tables = []
    try:
        for part in functions:
            if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
                tables.append(part(servers))
            print()
    finally:
        servers.remove()
    sys.exit(1 if any(t.over for t in tables) else 0)
