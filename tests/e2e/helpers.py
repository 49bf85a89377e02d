"""How tests call éclair, what a failure has to look like, and small feeds with known answers."""
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ECLAIR = Path(os.environ.get("ECLAIR", ROOT / "build/eclair")).resolve()
DATA = Path(os.environ.get("ECLAIR_TEST_DATA", ROOT / "../shared/data")).resolve()
NOW = "2026-01-02T03:04:05Z"
SANITIZED = ECLAIR.exists() and b"__asan_init" in ECLAIR.read_bytes()
MIB = 1 << 20

NO_DATA = "there is no data at"


def need_data(path=""):
    """The path below the data folder; without it the case fails under CI, and is counted elsewhere."""
    if (DATA / path).exists():
        return DATA / path
    if os.environ.get("CI"):
        pytest.fail(f"{NO_DATA} {DATA / path}")
    pytest.skip(f"{NO_DATA} {DATA / path}")


def report_not_run(terminalreporter):
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if NO_DATA in str(r.longrepr)]
    if skipped and not getattr(terminalreporter.config, "told_not_run", False):
        terminalreporter.config.told_not_run = True  # two conftest.py ask for it
        terminalreporter.write_line(f"{len(skipped)} cases did not run: {NO_DATA} {DATA}")


@dataclass
class Result:
    code: int  # as subprocess has it: negative for a signal
    out: bytes
    err: bytes
    peak: int  # bytes: the largest resident set of any process of the run

    def json(self):
        assert self.code in (0, 3), (self.code, self.err)
        return json.loads(self.out.decode("utf-8", "strict"))


def environment(**more):
    keep = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
    env = {k: os.environ[k] for k in keep if k in os.environ}
    return env | {"ECLAIR_NOW": NOW, "ECLAIR_UPDATE": "never"} | {k: v for k, v in more.items() if v is not None}


def eclair(*args, stdin=b"", env=None, timeout=120, program=ECLAIR, **popen):
    """Runs to the end; the rusage of the whole process tree comes from wait4()."""
    feed = stdin if hasattr(stdin, "fileno") else None
    p = subprocess.Popen([program, *map(str, args)], stdin=feed or subprocess.PIPE, env=env or environment(),
                         **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen)
    try:
        out, err = p.communicate(None if feed else stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        pytest.fail(f"{args}: not done after {timeout} s")
    return Result(p.returncode, out or b"", err or b"", 0)


# What a process had before exec() counts for its maximum, and pytest is large: so a small process starts éclair.
WAIT = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, file=open(sys.argv[1], "w"))
"""


def eclair_measured(*args, timeout=300, files=None):
    """As eclair(), with the peak of memory of any one process."""
    out, err, usage = (Path(files, name) for name in ("stdout", "stderr", "usage"))
    with out.open("wb") as o, err.open("wb") as e:
        subprocess.run([sys.executable, "-S", "-c", WAIT, usage, ECLAIR, *map(str, args)], stdin=subprocess.DEVNULL,
                       stdout=o, stderr=e, env=environment(), timeout=timeout, check=True)
    code, peak = map(int, usage.read_text().split())
    return Result(code, out.read_bytes(), err.read_bytes(), peak)


def scan(db, image, *more, **options):
    return eclair("scan", image, "--db", db, "--format", "json", *more, **options)


def alive(group):
    """Processes of a process group that still run; the dead ones that nobody has waited for do not count."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        state, _, pgrp = rest.split()[:3]
        if int(pgrp) == group and state not in "ZX":
            found.append(name)
    return found


def gone(group, seconds=5):
    """Has every process of this group ended, or does so soon?"""
    end = time.monotonic() + seconds
    while alive(group):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def assert_refused(r, *words, code=1):
    """The promise for every failure: documented code, one line "eclair: OBJECT: …: REASON", nothing on stdout."""
    err = r.err.decode("utf-8", "strict")
    assert r.code == code, (r.code, err)
    assert r.out == b""
    assert err.startswith("eclair: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert len(err) > len("eclair: ") + 5, err
    assert "worker" not in err, f"bad input must be refused, not kill who reads it: {err}"
    for word in words:
        assert str(word) in err, f"{word!r} is not in {err!r}"


def rows(report):
    """Findings without what depends on the layout (digests): comparable between layouts."""
    index = {layer["digest"]: i for i, layer in enumerate(report["layers"])}
    return sorted((f["package"], f["version"], f["source"], f["source_version"], f["id"], f["fixed_version"] or "",
                   f["fix_state"], f["severity"], index[f["layer"]]) for f in report["findings"])


def ids(report):
    return sorted((f["package"], f["id"]) for f in report["findings"])


def packages(report):
    return sorted((p["name"], p["version"], p["arch"]) for p in report["packages"])


# ---- small feeds ----

def entry(status="resolved", fixed=None, urgency="not yet assigned", description="text", release="bookworm", **more):
    body = {"status": status, "repositories": {release: "1.0"}, "urgency": urgency, **more}
    if fixed is not None:
        body["fixed_version"] = fixed
    return {"description": description, "releases": {release: body}}


def small_debian():
    """Rows for make_images.DPKG; the comment says what a scan of that image must answer."""
    return {
        "openssl": {
            "CVE-2024-0001": entry(fixed="3.0.11-1~deb12u3", urgency="high"),  # fixed above: found
            "CVE-2024-0002": entry("open", urgency="medium"),  # open: found, no fix
            "CVE-2024-0003": entry(fixed="3.0.11-1~deb12u2"),  # fixed in exactly what is there: no
            "CVE-2024-0004": entry(fixed="0"),  # never affected: no
            "CVE-2024-0005": entry("undetermined"),  # says nothing: no
            "CVE-2024-0009": entry(fixed="3.0.11-2", release="trixie"),  # another release: no
            "TEMP-0000000-ABCDEF": entry("open", urgency="low"),  # no CVE yet: found
        },
        "glibc": {
            "CVE-2024-0006": entry("open", urgency="end-of-life"),  # found: Negligible, end_of_life
            "CVE-2024-0007": entry("open", urgency="unimportant", nodsa="Minor issue", nodsa_reason="ignored"),
        },
        "util-linux": {
            "CVE-2024-0008": entry(fixed="2.38.1-5+deb12u1", urgency="low"),  # the source version decides: found
            "CVE-2024-0010": entry(fixed="2.38.1-5"),  # no, although the binary 1:2.38.1-5+b1 differs
        },
        "libssl3": {"CVE-2024-0011": entry("open")},  # names a binary, no source: no
        "removed": {"CVE-2024-0012": entry("open")},  # only its configuration is left: no
    }


SMALL_DEBIAN_IDS = [("bsdutils", "CVE-2024-0008"), ("libc6", "CVE-2024-0006"), ("libc6", "CVE-2024-0007"),
                    ("libssl3", "CVE-2024-0001"), ("libssl3", "CVE-2024-0002"), ("libssl3", "TEMP-0000000-ABCDEF"),
                    ("openssl", "CVE-2024-0001"), ("openssl", "CVE-2024-0002"), ("openssl", "TEMP-0000000-ABCDEF")]


def secdb(branch, repository, secfixes):
    return {"distroversion": branch, "reponame": repository, "urlprefix": "https://mirror.example.test",
            "apkurl": "{{urlprefix}}/{{distroversion}}/{{reponame}}/{{arch}}/{{pkg.name}}-{{pkg.ver}}.apk",
            "archs": ["x86_64"], "packages": [{"pkg": {"name": n, "secfixes": s}} for n, s in secfixes.items()]}


def small_alpine():
    return {"v3.20/main": secdb("v3.20", "main", {
        "busybox": {"1.36.1-r3": ["CVE-2024-1001"], "1.36.1-r1": ["CVE-2024-1002"], "0": ["CVE-2024-1003"]},
        # Fixed twice, the second time after a regression: the highest version counts.
        "musl": {"1.2.4-r9": ["CVE-2024-1004"], "1.2.5-r1": ["CVE-2024-1004 (+ regression fix)"]},
        # "0" and a real version for one id: the real one counts.
        "openssl": {"0": ["CVE-2024-1005"], "3.3.1-r0": ["CVE-2024-1005", "CVE_2024-1006 GHSA-an-other-name", "GHSA-aaaa-bbbb-cccc"]},
    }), "v3.20/community": secdb("v3.20", "community", {"absent": {"9-r0": ["CVE-2024-1007"]}})}


SMALL_ALPINE_IDS = [("busybox", "CVE-2024-1001"), ("libcrypto3", "CVE-2024-1005"), ("libcrypto3", "CVE-2024-1006"),
                    ("libcrypto3", "GHSA-aaaa-bbbb-cccc"), ("musl", "CVE-2024-1004"), ("ssl_client", "CVE-2024-1001")]


def write_mirror(folder, debian=None, alpine=None):
    """A mirror folder as `--mirror` wants it. Strings and bytes are written as they are (for broken feeds)."""
    documents = {"alpine/" + k + ".json": v for k, v in (alpine or {}).items()}
    if debian is not None:
        documents["debian/tracker/data/json"] = debian
    for name, content in documents.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        fresh = path.with_name(path.name + ".new")  # another inode, another mtime: as a mirror tool does it
        fresh.write_bytes(raw)
        fresh.replace(path)
    return Path(folder)


def update(db, mirror, *sources, check=True, **options):
    r = eclair("update", *sources, "--mirror", mirror, "--db", db, **options)
    if check:
        assert r.code == 0, (r.code, r.out, r.err)
        assert r.err == b"", r.err
    return r
