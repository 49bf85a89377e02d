#!/usr/bin/python3
"""All feeds of the data from disk into a new database, and how long it takes when nothing, or one entry, is new.

The reference reads the same files in the same run: decompressed to nothing, and JSON and XML passed once through Python's json and expat.

    bench/feeds.py                 all sources, on SQLite and PostgreSQL
    bench/feeds.py debian npm      these, on SQLite, each by itself
"""
import json
import os
import shutil
import subprocess
import sys

import measure
from measure import DATA, ECLAIR, MIB, ROOT, WORK

sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import pg  # noqa: E402

FEEDS = DATA / "feeds"
# Not read by any source: samples, generations of before, and what says the same in another form.
LEFT_OUT = ("samples/", "alpine/alpine-secdb-git", "epss/epss_scores-2021", "cisa/sites/default/files/csv", "_schema.json", "csaf/v2/advisories/",
            "osv/ecosystems.txt", ".meta", ".csv", ".txt", "mirror.list")

READ = r"""
import gzip, io, json, subprocess, sys, tarfile, xml.parsers.expat, zipfile

def parse(name, data):
    if name.endswith(".json") or name.endswith("/json"):
        json.loads(data)
    elif name.endswith(".xml"):
        xml.parsers.expat.ParserCreate().Parse(data, True)

for path in sys.argv[1:]:
    name = path
    if name.endswith(".zst"):
        data, name = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout, name[:-4]
    elif name.endswith(".gz"):
        data, name = gzip.decompress(open(path, "rb").read()), name[:-3]
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path) as z:
            for member in z.namelist():
                parse(member, z.read(member))
        continue
    else:
        data = open(path, "rb").read()
    if name.endswith(".tar"):
        with tarfile.open(fileobj=io.BytesIO(data)) as t:
            for member in t:
                if member.isfile():
                    parse(member.name, t.extractfile(member).read())
        continue
    parse(name, data)
"""


def files():
    found = [p for p in sorted(FEEDS.rglob("*")) if p.is_file()]
    return [p for p in found if not any(x in str(p.relative_to(FEEDS)) for x in LEFT_OUT)]


def status(db):
    out = subprocess.run([ECLAIR, "db", "status", "--db", db, "--format", "json"], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def one_entry_mirror():
    """The data, but for one entry of Debian's that is another."""
    mirror = WORK / "feeds-changed"
    shutil.rmtree(mirror, ignore_errors=True)
    shutil.copytree(FEEDS, mirror, ignore=shutil.ignore_patterns("samples", "tracker"), copy_function=os.symlink)
    tracker = json.loads(subprocess.run(["zstd", "-dcq", FEEDS / "debian/tracker/data/json.zst"], stdout=subprocess.PIPE, check=True).stdout)
    entry = next(e for e in tracker["openssl"].values() if e["releases"].get("bookworm", {}).get("status") == "resolved")
    entry["releases"]["bookworm"]["fixed_version"] += ".1"
    measure.write_json(mirror / "debian/tracker/data/json", tracker)
    return mirror


def each(names):
    table = measure.Table("feeds: first loads, one source at a time")
    for name in names:
        db = WORK / "feeds.db"
        wall, cpu = measure.median([ECLAIR, "update", name, "--mirror", FEEDS, "--db", db], 3, before=lambda: measure.remove_database(db))
        table.row(f"{name}, wall", wall, "s", None, cpu)
        feed = next(f for f in status(db)["feeds"] if f["name"] == name)
        print(f"{'':<44}{feed['entries']:>12,} ranges, {db.stat().st_size / max(feed['entries'], 1):.0f} bytes each")
    table.exit()


def main():
    measure.prepare()
    if sys.argv[1:]:
        each(sys.argv[1:])
    db, names = WORK / "feeds.db", files()
    update = [ECLAIR, "update", "--mirror", FEEDS, "--db", db]
    table = measure.Table(f"feeds: {len(names)} files, {sum(p.stat().st_size for p in names) / 1e6:.0f} MB as they lie there, against Python")
    reference, _ = measure.median([sys.executable, "-c", READ, *names], 3)

    def fresh():
        measure.remove_database(db)

    wall, cpu = measure.median(update, 3, before=fresh)
    table.row("SQLite: first load, wall", wall, "s", 1, reference)
    table.row("SQLite: first load, CPU", cpu, "s", None, reference)
    same, _ = measure.median(update, 5)
    table.row("SQLite: nothing new, against the first load", same, "s", 0.01, wall)
    entries = sum(f["entries"] for f in status(db)["feeds"])
    table.row("SQLite: database for each affected range", db.stat().st_size / entries, "B", 250)
    print(f"{'':<44}{entries:>12,} ranges")
    changed, _ = measure.timed([ECLAIR, "update", "--mirror", one_entry_mirror(), "--db", db])
    table.row("SQLite: one entry is another, files are new", changed, "s", None, wall)
    fresh()
    memory, scratch = measure.peak(update, db)
    table.row("SQLite: peak memory (PSS)", memory, "MiB", 96 * MIB)
    table.row("SQLite: temporary disk", scratch, "B", 0)
    fresh()

    (WORK / "feeds-pg").mkdir(exist_ok=True)
    server = pg.start(WORK / "feeds-pg")
    try:
        wall, cpu = measure.timed([ECLAIR, "update", "--mirror", FEEDS, "--db", server.new_database()])
        table.row("PostgreSQL: first load, wall", wall, "s", 2, reference)
        memory, _ = measure.peak([ECLAIR, "update", "--mirror", FEEDS, "--db", server.new_database()])
        table.row("PostgreSQL: peak memory (PSS)", memory, "MiB", 96 * MIB)
    finally:
        server.remove()
    table.exit()


if __name__ == "__main__":
    main()
