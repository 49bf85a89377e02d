#!/usr/bin/python3
"""Writes schemaN.{sqlite,postgres}.sql and schemaN.json for the schema that the program under test makes: a named chain, an image that was
scanned, and a small feed in its second state, as text that later programs have to open. To be run before the schema is raised:

    ECLAIR=build/eclair tests/failure/make_dump.py
"""
import json
import re
import sqlite3
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e"), str(HERE.parent / "server")]

import helpers  # noqa: E402
import make_images  # noqa: E402
import pg  # noqa: E402
import world  # noqa: E402
from serving import Server  # noqa: E402

SEEN = b"v1 file 1:1 1 1767225600.000000000 1767225600.000000000"  # instead of the inode that the mirror's file had here
NAMES = [f"old-{depth}" for depth in range(world.DEPTH)]


def feed(folder, state):
    some = {f"source{i}": {f"CVE-2024-{i}-{j}": helpers.entry(fixed=f"1.0-{2 + state}", urgency="high") for j in range(3 - state)}
            for i in range(6)}
    helpers.write_mirror(folder, some)
    return folder


def fill(database, folder):
    """What the database holds; the reports of the named layers and of the image."""
    layers = [[("etc/os-release", make_images.os_release())] * (depth == 0) +
              [("var/lib/dpkg/status", make_images.dpkg_status([(f"p{i}", "1.0-1", f"source{i}") for i in range(2 * depth + 2)]))]
              for depth in range(world.DEPTH)]
    paths = []
    for depth, members in enumerate(layers):
        paths.append(folder / f"{depth}.tar")
        paths[-1].write_bytes(make_images.tar(members))
    image = folder / "image.tar"
    image.write_bytes(make_images.archive(make_images.debian_layers()))
    for state in (0, 1):
        helpers.update(database, feed(folder / "mirror", state), "debian")
    assert helpers.scan(database, image).code == 0
    server = Server(folder, database).start()
    server.post_chain(NAMES, paths)
    reports = {name: server.layer(name) for name in NAMES}
    server.stop()
    status = world.status(database)
    return {"schema": status["schema"], "counts": status["counts"], "generation": status["generation"], "reports": reports}


def dump_sqlite(database):
    with sqlite3.connect(database) as c:
        c.execute("UPDATE document SET validator = ?", (SEEN,))
        marks = [f"PRAGMA {name} = {c.execute(f'PRAGMA {name}').fetchone()[0]};" for name in ("page_size", "application_id", "user_version")]
        return "\n".join([*marks, *c.iterdump()]) + "\n"


def dump_postgres(server, url):
    name = url.rpartition("/")[2]
    server.sql(f"UPDATE eclair.document SET validator = '\\x{SEEN.hex()}'", name)
    text = pg.call(server.folder, "pg_dump", "-h", server.folder, "-p", server.port, "-U", "eclair", "--inserts", "--no-owner",
                   "--no-privileges", "--no-comments", "-n", "eclair", name)
    kept = [line for line in text.splitlines() if line and not re.match(r"--|\\|SET (?!default)|SELECT pg_catalog.set_config", line)]
    return "SET standard_conforming_strings = on;\n" + "\n".join(kept) + "\n"


def main():
    server = pg.start()
    with tempfile.TemporaryDirectory() as made:
        folders = [Path(made, name) for name in ("sqlite", "postgres")]
        for folder in folders:
            folder.mkdir()
        database, url = folders[0] / "db", server.new_database()
        told = fill(database, folders[0])
        assert fill(url, folders[1]) == told
        base = HERE / f"schema{told['schema']}"
        base.with_suffix(".sqlite.sql").write_text(dump_sqlite(database))
        base.with_suffix(".postgres.sql").write_text(dump_postgres(server, url))
        base.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    server.remove()


if __name__ == "__main__":
    main()
