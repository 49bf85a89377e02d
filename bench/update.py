#!/usr/bin/python3
"""How long does the whole Debian tracker take from disk into a new database, and how long when nothing is new?

The reference is Python's json.load() of the same file in the same run, which only parses.
"""
import os
import subprocess
import sys

import measure
from measure import DATA, ECLAIR, MIB, WORK


def make_mirror():
    """The tracker decompressed: the time to inflate it is not ours to measure."""
    path = WORK / "mirror/debian/tracker/data/json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = measure.need(DATA / "feeds/debian/tracker/data/json.zst")
        subprocess.run(["zstd", "-q", "-d", packed, "-o", path], check=True)
    return path


def main():
    measure.prepare()
    document, db = make_mirror(), WORK / "update.db"
    update = [ECLAIR, "update", "debian", "--mirror", WORK / "mirror", "--db", db]
    load = [sys.executable, "-c", "import json, sys; json.load(open(sys.argv[1], 'rb'))", document]

    def fresh():
        measure.remove_database(db)

    size = document.stat().st_size / 1e6
    table = measure.Table(f"update: Debian's tracker, {size:.1f} MB, against Python's json.load (median of 5)")
    python_wall, python_cpu = measure.median(load, 5)
    wall, cpu = measure.median(update, 5, before=fresh)
    table.row("first load, wall", wall, "s", 2, python_wall)
    table.row("first load, CPU", cpu, "s", 2, python_cpu)
    same_wall, same_cpu = measure.median(update, 5)
    table.row("nothing new, wall, against the first load", same_wall, "s", 0.05, wall)
    table.row("nothing new, CPU, against the first load", same_cpu, "s", 0.05, cpu)
    touched_wall, touched_cpu = measure.median(update, 3, before=lambda: os.utime(document))
    table.row("a newer file with the same content, wall", touched_wall, "s", None, wall)
    table.row("a newer file with the same content, CPU", touched_cpu, "s", None, cpu)
    table.row("database", sum(p.stat().st_size for p in WORK.glob("update.db*")), "MiB")
    fresh()
    memory, scratch = measure.peak(update, db)
    table.row("peak memory (PSS), first load", memory, "MiB", 64 * MIB)
    table.row("temporary disk, first load", scratch, "B", 0)
    fresh()
    table.exit()


if __name__ == "__main__":
    main()
