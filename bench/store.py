#!/usr/bin/python3
"""The store at the size of a registry, on both engines: reports against the bare key range query, who is hit, appending, loading, and what
is left after a hundred updates.

    bench/store.py                  0.1 and 1 million layers of 200 packages out of a pool of 200,000, each layer an image
    bench/store.py reports loading  only these parts; there is also: registry
    ECLAIR_BENCH_SIZES=0.1,1,10 bench/store.py

SQLite is filled layer by layer through the store; PostgreSQL gets the same rows by COPY, and then both take more layers one by one, which is
what is measured. One source of the pool is in every layer: the worst advisory hits nearly all images.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import measure
from measure import ECLAIR, MIB, ROOT, WORK

sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import make_images  # noqa: E402
import pg  # noqa: E402

PROGRAM = Path(os.environ.get("ECLAIR_BENCH_STORE", ECLAIR.parent / "bench_store"))
SIZES = [float(s) for s in os.environ.get("ECLAIR_BENCH_SIZES", "0.1,1").split(",")]
PACKAGES, FINDINGS = 400, 1000
APPENDED = 4096
FEED_ROWS = 1_000_000
UPDATES = 100


def bench(*words):
    p = subprocess.run([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if p.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {p.stderr.strip()}")
    return json.loads(p.stdout)


def size(database):
    """Bytes on disk."""
    if "://" in str(database):
        import psycopg2
        with psycopg2.connect(database) as c, c.cursor() as cursor:
            cursor.execute("SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND"
                           " relnamespace = 'eclair'::regnamespace")
            return int(cursor.fetchone()[0])
    return Path(database).stat().st_size


def make_image():
    """PACKAGES sources of bookworm, each installed below so many of its fixes that about FINDINGS are left."""
    fixes = {}
    document = measure.DATA / "feeds/debian/tracker/data/json.zst"
    for source, entries in json.loads(subprocess.run(["zstd", "-dc", document], stdout=subprocess.PIPE, check=True).stdout).items():
        rows = [e["releases"]["bookworm"] for e in entries.values() if "bookworm" in e["releases"]]
        found = sorted(r["fixed_version"] for r in rows if r.get("fixed_version", "0") != "0")
        if found and len(rows) < 40:  # a few sources have thousands, which would hide all others
            fixes[source] = found
    names = sorted(fixes)
    chosen = [names[len(names) * i // PACKAGES] for i in range(PACKAGES)]
    status = make_images.dpkg_status([(name, fixes[name][len(fixes[name]) // 2] + "~", None) for name in chosen])
    image = WORK / "store-packages.tar"
    image.write_bytes(make_images.archive([[("etc/os-release", make_images.os_release()), ("var/lib/dpkg/status", status)]]))
    return image


def reports(servers):
    table = measure.Table("reports: a stored image of 400 packages, all feeds of the mirror, texts and JSON included")
    image, local = make_image(), WORK / "store-report.db"
    measure.remove_database(local)
    for name, place, goal in (("SQLite", local, 3), ("PostgreSQL", servers.new_database(), 4)):
        measure.run([ECLAIR, "update", "--mirror", measure.DATA / "feeds", "--db", place])
        scan = subprocess.run([ECLAIR, "scan", image, "--db", place, "--format", "json"], stdout=subprocess.PIPE, check=True).stdout
        r = bench("report", place, json.loads(scan)["image"]["digest"], 300)
        table.row(f"{name}: report, {r['findings']} findings, {r['bytes'] // 1024} KiB", r["report_ms"], "ms", goal, r["keys_ms"])
        table.row(f"{name}: of it the image", r["read_ms"], "ms")
        table.row(f"{name}: of it matching and texts", r["match_ms"], "ms")
    measure.remove_database(local)
    return table


def loading(servers):
    table = measure.Table(f"loading: {FEED_ROWS:,} affected rows, four of each advisory; then {UPDATES} updates of 100,000 rows, a quarter changed")
    local = WORK / "store-feed.db"
    for name, place, goal in (("SQLite", local, 100_000), ("PostgreSQL", servers.new_database(), 60_000)):
        if name == "SQLite":
            measure.remove_database(local)
        r = bench("feed", place, "big", FEED_ROWS, 1)
        table.row(f"{name}: rows a second", r["rows"] / r["s"], "/s", at_least=goal)
        most, _ = measure.peak([PROGRAM, "feed", place, "big", FEED_ROWS, 2], place)
        table.row(f"{name}: memory while every third is replaced", most, "MiB", 128 * MIB)
    local = WORK / "store-updates.db"
    for name, place in (("SQLite", local), ("PostgreSQL", servers.new_database())):
        if name == "SQLite":
            measure.remove_database(local)
        bench("feed", place, "small", 100_000, 1)
        first = size(place)
        bench("updates", place, "small", 100_000, UPDATES)
        table.row(f"{name}: size after {UPDATES} updates", size(place), "MiB", 2, first)
    for path in ("store-feed.db", "store-updates.db"):
        measure.remove_database(WORK / path)
    return table


def registry(servers):
    table = measure.Table("a registry: layers of 200 packages, each an image; who is hit")
    local = WORK / "store-registry.db"
    measure.remove_database(local)
    bench("feed", local, "f", 100_000, 1)
    pages, sizes, filled = {}, {}, 0
    for millions in SIZES:
        count = int(millions * 1_000_000)
        bench("fill", local, filled, count - APPENDED - filled)
        server = servers.new_database()
        bench("copy", local, server)
        bench("feed", server, "f", 100_000, 1)
        filled = count
        for name, place, limit in (("SQLite", local, 1.5), ("PostgreSQL", server, 4)):
            label = f"{name}, {millions:g} M"
            r = bench("fill", place, count - APPENDED, APPENDED)
            table.row(f"{label}: a layer more, merging included", r["layer_ms"], "ms", 2)
            table.row(f"{label}: and its image", r["image_ms"], "ms")
            worst, typical = bench("hits", place, "f", "K0"), bench("hits", place, "f", "K1")
            table.row(f"{label}: first page, {typical['images']} images hit", typical["page_ms"], "ms", 10)
            table.row(f"{label}: first page, {worst['images']} images hit", worst["page_ms"], "ms", 10)
            table.row(f"{label}: all of {typical['images']}", typical["all_ms"] / 1000, "s", 1)
            table.row(f"{label}: all of {worst['images']}", worst["all_ms"] / 1000, "s", 1)
            sizes[name, millions], pages[name, millions] = size(place), worst["page_ms"]
            table.row(f"{label}: database", sizes[name, millions], "MiB", limit * 1e9 if millions == 1 else None)
            if (name, millions / 10) in sizes:
                table.row(f"{label}: size, to a tenth of the layers", sizes[name, millions], "MiB", 11, sizes[name, millions / 10])
                table.row(f"{label}: first page, to a tenth", pages[name, millions], "ms", 2, pages[name, millions / 10])
    measure.remove_database(local)
    return table


def main():
    measure.prepare()
    measure.need(PROGRAM)
    measure.parts(pg.start(WORK), (reports, loading, registry))


if __name__ == "__main__":
    main()
