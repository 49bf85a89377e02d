#!/usr/bin/python3
"""Notifications, on both engines: how fast they are made of what changed, the pages of names that an advisory hits, and how fast they are told.

    bench/notify.py                 0.1 million layers of REST v1, and as many ancestries
    bench/notify.py making pages    only these parts
    ECLAIR_BENCH_SIZES=1 bench/notify.py pages      a million: some five minutes to fill

SQLite is filled by plain SQL, PostgreSQL gets the same rows by COPY. Every tenth name is hit, in four ways: `top` by the last layer of each
chain of ten, `base` by the first layer of each tenth chain, on which nine stand that inherit, `old` by the first layer of those that came
first, and `few` is one chain of a thousand. What SQLite takes is the process's own time.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import measure
from ancestries import ancestries
from delivery import delivery
from measure import ECLAIR, MIB, ROOT, WORK

sys.path.insert(0, str(ROOT / "tests"))
import pg  # noqa: E402

PROGRAM = Path(os.environ.get("ECLAIR_BENCH_NOTIFY", ECLAIR.parent / "bench_notify"))
STORE = Path(os.environ.get("ECLAIR_BENCH_STORE", ECLAIR.parent / "bench_store"))
SIZES = [float(s) for s in os.environ.get("ECLAIR_BENCH_SIZES", "0.1").split(",")]
CHANGES = 10_000


def bench(*words, program=PROGRAM):
    p = subprocess.run([program, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if p.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {p.stderr.strip()}")
    return json.loads(p.stdout or "{}")


def fresh(name):
    path = WORK / f"notify-{name}.db"
    measure.remove_database(path)
    return path


def making(servers):
    table = measure.Table(f"making: {CHANGES:,} advisories change at once, in four namespaces each")
    local = fresh("making")
    for name, place in (("SQLite", local), ("PostgreSQL", servers.new_database())):
        bench("load", place, CHANGES, 1)
        bench("make", place)
        bench("load", place, CHANGES, 2)
        r = bench("make", place)
        assert r["changes"] == CHANGES, r
        table.row(f"{name}: changes a second", r["changes"] / r["s"], "/s", at_least=2000)
        bench("load", place, CHANGES, 3)
        most, _ = measure.peak([PROGRAM, "make", place], place)
        table.row(f"{name}: memory", most, "MiB", 32 * MIB)
    measure.remove_database(local)
    return table


def pages(servers):
    table = measure.Table("pages of 100 names that an advisory hits")
    for millions in SIZES:
        local = fresh("pages")
        bench("fill", local, int(millions * 1_000_000))
        server = servers.new_database()
        bench("copy", local, server, program=STORE)
        for name, place in (("SQLite", local), ("PostgreSQL", server)):
            bench("feed", place)
            for kind in ("layers", "ancestries"):
                for hit in ("top", "base", "old", "few"):
                    r = bench("pages", place, kind, hit)
                    label = f"{name}, {millions:g} M: {kind}, {hit}"
                    for part in ("first", "middle", "last"):
                        table.row(f"{label}, {part}", r[f"{part}_ms"], "ms", 10)
                    table.row(f"{label}, behind the last", r["end_ms"], "ms")
        measure.remove_database(local)
    return table


def main():
    measure.prepare()
    measure.need(PROGRAM)
    measure.need(STORE)
    measure.parts(pg.start(WORK), (making, pages, delivery, ancestries))


if __name__ == "__main__":
    main()
