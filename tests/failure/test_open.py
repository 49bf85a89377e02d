"""Many processes open a database at once, an empty one or one of an older schema: all succeed, and there is one schema."""
import json
import re
import sqlite3
import subprocess
from pathlib import Path

import helpers
import make_dump
import make_images
import psycopg2
import pytest
import world

HERE = Path(__file__).resolve().parent
TURNS = max(1, world.ROUNDS // 20)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(make_images.archive(make_images.debian_layers()))
    return path


def fresh(store, postgres_of, folder):
    return folder / "eclair.db" if store == "sqlite" else postgres_of("postgres").new_database()


def shape(database):
    """Tables, columns and indexes."""
    if not world.is_server(database):
        return world.rows(database, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2")
    # places, not numbers: a dump has forgotten columns that were dropped
    return world.rows(database, "SELECT table_name, column_name, row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position), data_type, is_nullable, column_default, is_identity"
                      " FROM information_schema.columns WHERE table_schema = 'eclair' ORDER BY 1, 3") + \
        world.rows(database, "SELECT tablename, indexdef, '' FROM pg_indexes WHERE schemaname = 'eclair' ORDER BY 1, 2")


def open_at_once(database, count, serve, image):
    """Half of them scan the same image, half are servers."""
    scans = [subprocess.Popen([helpers.ECLAIR, "scan", image, "--db", str(database), "--format", "json"], env=helpers.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(count // 2)]
    servers = [serve(database, wait=False) for _ in range(count - count // 2)]
    results = []
    for p in scans:
        out, err = p.communicate(timeout=120)
        assert p.returncode in (0, 3) and b"database" not in err and b"stored" not in err, (p.returncode, err)
        results.append(json.loads(out))
    for s in servers:
        s.wait()
        world.eventually(lambda s=s: s.health().status == 200)
        assert not [line for line in s.lines() if line["Level"] in ("error", "warning") and "database" in line.get("error", "")], s.text()
    return servers, results


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.whole), 8])
def test_empty(count, store, serve, image, tmp_path, request):
    alone = fresh(store, request.getfixturevalue, tmp_path)
    assert helpers.scan(alone, image).code == 3
    for turn in range(TURNS):
        folder = tmp_path / f"turn{turn}"
        folder.mkdir()
        database = fresh(store, request.getfixturevalue, folder)
        servers, results = open_at_once(database, count, serve, image)
        assert shape(database) == shape(alone)
        assert all(r["packages"] == results[0]["packages"] and r["packages"] for r in results)
        assert sizeless(database) == sizeless(alone)
        world.check_database(database)
        for s in servers:
            s.stop()


def sizeless(database):
    """Pages are taken in the order of the writes, and servers have written more than a scan."""
    return {k: v for k, v in world.status(database).items() if k != "size_bytes"}


def dumps():
    return sorted(int(re.fullmatch(r"schema(\d+)", p.stem)[1]) for p in HERE.glob("schema*.json"))


def load(database, path):
    if not world.is_server(database):
        with sqlite3.connect(database) as c:
            c.executescript(path.read_text())
        c.close()
        return
    with psycopg2.connect(str(database)) as c, c.cursor() as cursor:
        cursor.execute(path.read_text())
    c.close()


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.whole), 8])
@pytest.mark.parametrize("schema", dumps())
def test_older_schema(schema, count, store, serve, image, tmp_path, request):
    """What an older program left is opened by many at once; its reports are as they were, and work goes on."""
    told = json.loads((HERE / f"schema{schema}.json").read_text())
    alone = fresh(store, request.getfixturevalue, tmp_path)
    assert helpers.scan(alone, image).code == 3
    for turn in range(TURNS):
        folder = tmp_path / f"turn{turn}"
        folder.mkdir()
        database = fresh(store, request.getfixturevalue, folder)
        load(database, HERE / f"schema{schema}.{store}.sql")
        servers, results = open_at_once(database, count, serve, image)
        assert shape(database) == shape(alone)
        status = world.status(database)
        assert (status["schema"], status["counts"], status["generation"]) == \
            (world.status(alone)["schema"], told["counts"], told["generation"])  # the image that is scanned was known
        for s in servers:
            assert {name: s.layer(name) for name in told["reports"]} == told["reports"]
        world.check_database(database)
        go_on(database, servers[0], folder)
        for s in servers:
            s.stop()


def go_on(database, server, folder):
    """A layer without packages on the old chain, an update that changes the old feed, and the end of the old chain."""
    before = world.status(database)
    path = folder / "child.tar"
    path.write_bytes(make_images.tar([("etc/mark", b"child")]))
    assert server.post("child", path, make_dump.NAMES[-1]).status == 201
    helpers.update(database, make_dump.feed(folder / "mirror", 0), "debian")
    fixed = {v["FixedBy"] for f in server.layer("child")["Features"] for v in f.get("Vulnerabilities", [])}
    assert fixed == {"1.0-2"}
    after = world.status(database)
    assert after["generation"] == before["generation"] + 1
    assert after["counts"] == before["counts"] | {"layers": before["counts"]["layers"] + 1, "advisories": 18, "ranges": 18,
                                                  "changes": before["counts"]["changes"] + 18}
    assert server.request("DELETE", f"/v1/layers/{make_dump.NAMES[0]}").status == 200
    assert server.get("/v1/layers/child").status == 404
