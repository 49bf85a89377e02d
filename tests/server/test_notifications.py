"""Notifications of REST v1: what changed, and which layers brought it; page by page, read, deleted."""
import json
import sqlite3
import time
import urllib.parse
import uuid

import helpers
import make_images as mi
import pytest

VULNERABILITY = {"Name": "CVE-2999-7", "NamespaceName": "debian:9", "Severity": "High", "Description": "a test", "FixedIn": [
    {"Name": "demo", "NamespaceName": "debian:9", "VersionFormat": "dpkg", "Version": "2.0-1"}]}


def column(database, statement):
    """Of a query, with {} before each table; the first column."""
    if "=" in str(database) or "://" in str(database):
        import psycopg2
        with psycopg2.connect(str(database)) as db, db.cursor() as c:
            c.execute(statement.format("eclair."))
            return [row[0] for row in c.fetchall()]
    db = sqlite3.connect(database)
    found = [row[0] for row in db.execute(statement.format(""))]
    db.close()
    return found


def names(database):
    """Of all notifications, the oldest first, as the webhook would tell them."""
    return column(database, "SELECT name FROM {}notification ORDER BY id")


def wait_wanted(database):
    """A server has said that it tells them: of changes from before that none may be made."""
    end = time.monotonic() + 30
    while not column(database, "SELECT 1 FROM {}keyvalue WHERE key IN ('notify/wanted')"):
        assert time.monotonic() < end
        time.sleep(0.05)


def wait_names(database, count):
    until = time.monotonic() + 60
    while len(found := names(database)) < count:
        assert time.monotonic() < until, found
        time.sleep(0.05)
    assert len(found) == count
    return found


def write(server, method, path, body=None):
    data = json.dumps({"Vulnerability": body}).encode() if body else b""
    answer = server.request(method, f"/v1/namespaces/debian:9/vulnerabilities{path}", data)
    assert answer.status in (200, 201), answer.body


def layer(files, name, version, more=()):
    path = files.folder / name
    path.write_bytes(mi.tar([("etc/os-release", mi.os_release("debian", "9")),
                             ("var/lib/dpkg/status", mi.dpkg_status([("demo", version, None), *more]))]))
    return path


def get(server, name, limit, page=None):
    query = f"limit={limit}" + (f"&page={urllib.parse.quote(page)}" if page else "")
    answer = server.get(f"/v1/notifications/{name}?{query}")
    assert answer.status == 200, answer.body
    return answer.json()["Notification"]


@pytest.fixture
def server(serve, files):
    """Three layers with the package, one that inherits it, one with a version that is fixed."""
    started = serve()
    for name in ("a", "b", "c"):
        assert started.post(name, layer(files, name, "1.0-1", [(f"other-{name}", "1", None)])).status == 201
    assert started.post("child", layer(files, "child", "1.0-1", [("other-a", "1", None), ("new", "1", None)]), "a").status == 201
    assert started.post("fixed", layer(files, "fixed", "2.0-1")).status == 201
    return started


def test_life(server, database):
    """Created, changed, deleted: New, Old and New, Old."""
    write(server, "POST", "", VULNERABILITY)
    (created,) = wait_names(database, 1)
    assert uuid.UUID(created).version == 4
    n = get(server, created, 10)
    assert n["Name"] == created and n["Limit"] == 10 and int(n["Created"]) > 0
    assert "Old" not in n and "NextPage" not in n and "Notified" not in n and "Deleted" not in n
    assert n["New"]["Vulnerability"] == VULNERABILITY
    ordered = n["New"]["OrderedLayersIntroducingVulnerability"]
    assert [x["LayerName"] for x in ordered] == ["a", "b", "c"] == n["New"]["LayersIntroducingVulnerability"]
    assert [x["Index"] for x in ordered] == sorted({x["Index"] for x in ordered})

    write(server, "PUT", "/CVE-2999-7", {"Severity": "Low"})
    changed = wait_names(database, 2)[1]
    n = get(server, changed, 10)
    assert n["Old"]["Vulnerability"] == VULNERABILITY and n["New"]["Vulnerability"]["Severity"] == "Low"

    write(server, "DELETE", "/CVE-2999-7")
    gone = wait_names(database, 3)[2]
    n = get(server, gone, 10)
    assert "New" not in n and n["Old"]["Vulnerability"]["Severity"] == "Low"
    assert "New" in get(server, created, 10)  # it tells what was


def test_pages(server, database, files):
    """One by one, while layers come and what is told about changes."""
    write(server, "POST", "", VULNERABILITY)
    (name,) = wait_names(database, 1)
    seen, page, steps = [], None, 0
    while True:
        n = get(server, name, 1, page)
        if page:
            assert n["Page"] == page
        seen += n["New"].get("LayersIntroducingVulnerability", [])
        page, steps = n.get("NextPage"), steps + 1
        if not page:
            break
        if steps == 1:
            assert server.post("late", layer(files, "late", "1.1-1")).status == 201
            write(server, "PUT", "/CVE-2999-7", {"Severity": "Low"})
            wait_names(database, 2)
    assert seen == ["a", "b", "c", "late"]
    both = get(server, names(database)[1], 3)
    for side in ("Old", "New"):
        assert both[side]["LayersIntroducingVulnerability"] == ["a", "b", "c"]
    both = get(server, names(database)[1], 3, both["NextPage"])
    for side in ("Old", "New"):
        assert both[side]["LayersIntroducingVulnerability"] == ["late"]


def test_limits(server, database):
    write(server, "POST", "", VULNERABILITY)
    (name,) = wait_names(database, 1)
    n = get(server, name, 0)
    assert "Limit" not in n and "NextPage" in n and set(n["New"]) == {"Vulnerability"}
    n = get(server, name, -1)
    assert n["Limit"] == -1 and "NextPage" not in n and set(n["New"]) == {"Vulnerability"}
    assert server.get(f"/v1/notifications/{name}?limit=-2").status == 400


def test_delete(server, database):
    write(server, "POST", "", VULNERABILITY)
    (name,) = wait_names(database, 1)
    for _ in range(2):
        answer = server.request("DELETE", f"/v1/notifications/{name}")
        assert (answer.status, answer.body) == (200, b"")
    assert int(get(server, name, 1)["Deleted"]) > 0
    assert server.request("DELETE", f"/v1/notifications/{uuid.uuid4()}").status == 404
    assert server.get("/v1/notifications/no-such-name?limit=1").status == 404


def test_bad_questions(server, database):
    write(server, "POST", "", VULNERABILITY)
    (name,) = wait_names(database, 1)
    page = get(server, name, 1)["NextPage"]
    listed = server.get("/v1/namespaces/debian:9/vulnerabilities?limit=0").json()["NextPage"]  # a number in it, not our object
    assert server.get(f"/v1/notifications/{name}").json()["Error"]["Message"] == "must provide limit query parameter"
    for bad in ("", "gA==", "zzz", page[:-4], page[:-8] + "AAAA" + page[-4:], page.rstrip("=")[:-1], listed, "%00", "A" * 10000):
        answer = server.get(f"/v1/notifications/{name}?limit=1&page={bad if '%' in bad else urllib.parse.quote(bad)}")
        assert answer.status == 400, bad
        assert answer.json()["Error"]["Message"] == "invalid page format: invalid or expired pagination token"


def tracker(buster):
    rows = {"stretch": {"status": "open", "urgency": "low"}, "buster": {"status": "resolved", "urgency": "low", "fixed_version": buster}}
    return {"demo": {"CVE-2024-1": {"description": "one", "releases": {
        name: {"repositories": {name: "1.0-1"}, **row} for name, row in rows.items()}}}}


def test_feed(serve, database, tmp_path):
    """The first load of a source is no news; later what changed is told in the namespace in which it did."""
    mirror = helpers.write_mirror(tmp_path / "mirror", tracker("2.0-1"))
    update = ("update", "debian", "--mirror", mirror, "--db", database)
    assert helpers.eclair(*update).code == 0
    server = serve()
    assert names(database) == []
    helpers.write_mirror(mirror, tracker("3.0-1"))
    assert helpers.eclair(*update).code == 0
    (name,) = wait_names(database, 1)
    n = get(server, name, 5)
    fixes = [n[side]["Vulnerability"]["FixedIn"] for side in ("Old", "New")]
    assert [[(f["NamespaceName"], f["Version"]) for f in some] for some in fixes] == [[("debian:10", "2.0-1")], [("debian:10", "3.0-1")]]
