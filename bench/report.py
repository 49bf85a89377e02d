#!/usr/bin/python3
"""How long does a report of a stored image take: 400 packages against the whole Debian tracker?

`bench_report DB DIGEST N` makes N reports in one process, as a server would, and prints a line "MILLISECONDS ms, …" for
each. The scan of the same image from a new process stands beside it for scale.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import measure
from measure import ECLAIR, ROOT, WORK

sys.path.insert(0, str(ROOT / "tests/e2e"))
import make_images  # noqa: E402
from update import make_mirror  # noqa: E402

PROGRAM = Path(os.environ.get("ECLAIR_BENCH_REPORT", ECLAIR.parent / "bench_report"))
PACKAGES = 400


def installed_sources(document):
    """{name: version} of the sources that have fixes for bookworm, each just below one of its later fixes."""
    installed = {}
    for source, entries in json.loads(document.read_bytes()).items():
        rows = [e["releases"]["bookworm"] for e in entries.values() if "bookworm" in e["releases"]]
        fixes = sorted(r["fixed_version"] for r in rows if r.get("fixed_version", "0") != "0")
        if fixes and source != "linux":  # its thousands of rows would hide all others
            installed[source] = fixes[len(fixes) * 3 // 4] + "~"
    return installed


def make_image(document):
    """Every so many of the sources."""
    installed = installed_sources(document)
    names = sorted(installed)
    status = make_images.dpkg_status([(name, installed[name], None) for name in
                                      (names[len(names) * i // PACKAGES] for i in range(PACKAGES))])
    image = WORK / "packages.tar"
    image.write_bytes(make_images.archive([[("etc/os-release", make_images.os_release()), ("var/lib/dpkg/status", status)]]))
    return image


def main():
    measure.prepare()
    measure.need(PROGRAM)
    document, db = make_mirror(), WORK / "report.db"
    measure.remove_database(db)
    measure.run([ECLAIR, "update", "debian", "--mirror", WORK / "mirror", "--db", db])
    scan = [ECLAIR, "scan", make_image(document), "--db", db, "--format", "json"]
    report = json.loads(subprocess.run(scan, stdout=subprocess.PIPE, check=True).stdout)
    assert len(report["packages"]) == PACKAGES, len(report["packages"])

    table = measure.Table(f"report: {PACKAGES} packages, {len(report['findings'])} findings, whole Debian tracker")
    out = subprocess.run([PROGRAM, db, report["image"]["digest"], "200"], stdout=subprocess.PIPE, check=True, text=True).stdout
    times = sorted(float(line.split()[0]) for line in out.splitlines())
    table.row("one report of a stored image, median", times[len(times) // 2], "ms", 10)
    table.row("the slowest of 200", times[-1], "ms")
    wall, cpu = measure.median(scan, 9)
    table.row("eclair scan of the same image again, wall", wall * 1000, "ms")
    table.row("eclair scan of the same image again, CPU", cpu * 1000, "ms")
    measure.remove_database(db)
    table.exit()


if __name__ == "__main__":
    main()
