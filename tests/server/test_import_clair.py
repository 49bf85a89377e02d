"""`eclair db import-clair`: from a PostgreSQL with the tables of Clair 2, made and filled here, into either store."""
import json
import re
import signal
import subprocess
import time

import golden as recorded
import helpers
import make_images as mi
import psycopg2
import pytest
from test_notifications import column

# As migrations 2 to 6 of Clair 2.0 leave it (spec/server.md 11).
SCHEMA = """
CREATE TABLE schema_migrations (version integer PRIMARY KEY);
INSERT INTO schema_migrations SELECT generate_series(1, 6);
CREATE TYPE modification AS ENUM ('add', 'del');
CREATE TYPE severity AS ENUM ('Unknown', 'Negligible', 'Low', 'Medium', 'High', 'Critical', 'Defcon1');
CREATE TABLE namespace (id serial PRIMARY KEY, name varchar(128) UNIQUE, version_format varchar(128));
CREATE TABLE layer (id serial PRIMARY KEY, name varchar(128) NOT NULL UNIQUE, engineversion smallint NOT NULL,
  parent_id int REFERENCES layer ON DELETE CASCADE, namespace_id int REFERENCES namespace, created_at timestamptz);
CREATE TABLE feature (id serial PRIMARY KEY, namespace_id int NOT NULL REFERENCES namespace, name varchar(128) NOT NULL,
  UNIQUE (namespace_id, name));
CREATE TABLE featureversion (id serial PRIMARY KEY, feature_id int NOT NULL REFERENCES feature, version varchar(128) NOT NULL,
  UNIQUE (feature_id, version));
CREATE TABLE layer_diff_featureversion (id serial PRIMARY KEY, layer_id int NOT NULL REFERENCES layer ON DELETE CASCADE,
  featureversion_id int NOT NULL REFERENCES featureversion, modification modification NOT NULL, UNIQUE (layer_id, featureversion_id));
CREATE TABLE vulnerability (id serial PRIMARY KEY, namespace_id int NOT NULL REFERENCES namespace, name varchar(128) NOT NULL,
  description text, link varchar(128), severity severity NOT NULL, metadata text, created_at timestamptz, deleted_at timestamptz);
CREATE TABLE vulnerability_fixedin_feature (id serial PRIMARY KEY,
  vulnerability_id int NOT NULL REFERENCES vulnerability ON DELETE CASCADE, feature_id int NOT NULL REFERENCES feature,
  version varchar(128) NOT NULL, UNIQUE (vulnerability_id, feature_id));
CREATE TABLE vulnerability_affects_featureversion (id serial PRIMARY KEY, vulnerability_id int NOT NULL REFERENCES vulnerability,
  featureversion_id int NOT NULL REFERENCES featureversion, fixedin_id int NOT NULL REFERENCES vulnerability_fixedin_feature);
CREATE TABLE keyvalue (id serial PRIMARY KEY, key varchar(128) NOT NULL UNIQUE, value text);
CREATE TABLE lock (id serial PRIMARY KEY, name varchar(64) NOT NULL UNIQUE, owner varchar(64) NOT NULL, until timestamptz);
CREATE TABLE vulnerability_notification (id serial PRIMARY KEY, name varchar(64) NOT NULL UNIQUE, created_at timestamptz,
  notified_at timestamptz, deleted_at timestamptz, old_vulnerability_id int REFERENCES vulnerability ON DELETE CASCADE,
  new_vulnerability_id int REFERENCES vulnerability ON DELETE CASCADE);
"""


class Clair:
    def __init__(self, url):
        self.url = url
        self.db = psycopg2.connect(url)
        self.db.autocommit = True
        self.run("SET search_path TO public")  # the user is called as our schema is
        self.run(SCHEMA)

    def run(self, statement, *values):
        with self.db.cursor() as c:
            c.execute(statement, values or None)
            return c.fetchone()[0] if c.description and c.rowcount else None

    def namespace(self, name):
        if name is None:
            return None
        form = "rpm" if name.startswith(("centos", "amzn", "oracle")) else "dpkg"
        return self.run("INSERT INTO namespace(name, version_format) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET name ="
                        " excluded.name RETURNING id", name, form)

    def feature(self, namespace, name):
        return self.run("INSERT INTO feature(namespace_id, name) VALUES (%s, %s) ON CONFLICT (namespace_id, name) DO UPDATE SET"
                        " name = excluded.name RETURNING id", self.namespace(namespace), name)

    def layer(self, name, parent=None, namespace="debian:12", add=(), remove=(), engine=3):
        """`add`, `remove`: (name, version), or with a namespace of its own (name, version, namespace)."""
        parent = self.run("SELECT id FROM layer WHERE name = %s", parent) if parent else None
        layer = self.run("INSERT INTO layer(name, engineversion, parent_id, namespace_id, created_at) VALUES (%s, %s, %s, %s, now())"
                         " RETURNING id", name, engine, parent, self.namespace(namespace))
        for how, features in (("add", add), ("del", remove)):
            for feature, version, *other in features:
                version = self.run("INSERT INTO featureversion(feature_id, version) VALUES (%s, %s) ON CONFLICT (feature_id, version)"
                                   " DO UPDATE SET version = excluded.version RETURNING id",
                                   self.feature(other[0] if other else namespace, feature), version)
                self.run("INSERT INTO layer_diff_featureversion(layer_id, featureversion_id, modification) VALUES (%s, %s, %s)",
                         layer, version, how)
        return layer

    def vulnerability(self, namespace, name, fixes=(), severity="High", metadata=None, deleted=False, description="what it is",
                      link="https://example.test/"):
        number = self.run("INSERT INTO vulnerability(namespace_id, name, description, link, severity, metadata, created_at, deleted_at)"
                          " VALUES (%s, %s, %s, %s, %s, %s, now(), CASE WHEN %s THEN now() END) RETURNING id",
                          self.namespace(namespace), name, description, link, severity, metadata, deleted)
        for feature, version in fixes:
            self.run("INSERT INTO vulnerability_fixedin_feature(vulnerability_id, feature_id, version) VALUES (%s, %s, %s)",
                     number, self.feature(namespace, feature), version)
        return number

    def notification(self, name, old=None, new=None, age="1 hour", deleted=False):
        self.run("INSERT INTO vulnerability_notification(name, created_at, deleted_at, old_vulnerability_id, new_vulnerability_id)"
                 " VALUES (%s, now() - %s::interval, CASE WHEN %s THEN now() END, %s, %s)", name, age, deleted, old, new)

    def close(self):
        self.db.close()


@pytest.fixture
def clair(postgres):
    c = Clair(postgres.new_database())
    yield c
    c.close()


def bring(clair, database, *more):
    env = helpers.environment(ECLAIR_NOW=None)
    env.pop("ECLAIR_NOW", None)  # notifications are young by the real clock
    return helpers.eclair("db", "import-clair", getattr(clair, "url", clair), "--db", database, *more, env=env)


def good(r, warnings=False):
    assert r.code == 0 and (warnings or r.err == b""), (r.code, r.out, r.err)
    return r.out.decode()


def load(database, tmp_path):
    mirror = helpers.write_mirror(tmp_path / "mirror", helpers.small_debian(), helpers.small_alpine())
    helpers.update(database, mirror, "debian", "alpine")


def check(database):
    assert good(helpers.eclair("db", "check", "--full", "--db", database)) == "ok\n"


def features(layer):
    return sorted((f["Name"], f["Version"], f["NamespaceName"], f["VersionFormat"], f["AddedBy"]) for f in layer.get("Features", ()))


def ids(layer, feature):
    return sorted(v["Name"] for f in layer["Features"] if f["Name"] == feature for v in f.get("Vulnerabilities", ()))


OPENSSL, GLIBC, UTIL = ("openssl", "3.0.11-1~deb12u2"), ("glibc", "2.36-9+deb12u3"), ("util-linux", "2.38.1-5")


def fill(clair):
    """Three layers of Debian, the third of which only removes; one without a change; one of Alpine, one of CentOS; one of nothing."""
    clair.layer("base", add=[OPENSSL, GLIBC, ("gone", "1.0-1")])
    clair.layer("middle", "base", add=[UTIL, ("glibc", "2.36-9+deb12u4")], remove=[GLIBC, ("gone", "1.0-1")])
    clair.layer("top", "middle", remove=[UTIL])
    clair.layer("empty", "top")
    clair.layer("heir", "empty")
    clair.layer("apk", namespace="alpine:v3.20", add=[("musl", "1.2.4-r0"), ("busybox", "1.36.1-r2")])
    clair.layer("rpm", namespace="centos:7", add=[("bash", "0:4.2.46-34.el7")], engine=2)
    clair.layer("scratch", namespace=None)
    clair.layer("upgraded", "top", namespace="debian:13", add=[("dpkg", "1.22-1")])


def test_layers(clair, database, serve, tmp_path):
    fill(clair)
    clair.run("INSERT INTO keyvalue(key, value) VALUES ('debianUpdater', 'abc'), ('updater/last', '1')")
    load(database, tmp_path)
    dry = good(bring(clair, database, "--dry-run"))
    assert "nothing is written" in dry and "layers: 9 to import, 0 imported before" in dry, dry
    assert column(database, "SELECT name FROM {}named_layer") == []
    out = good(bring(clair, database))
    assert "layers: 9 imported, 0 imported before, 0 kept as they are here, 0 left out" in out, out
    assert "found: debianUpdater, updater/last" in out, out
    server = serve()
    base, middle, top = (server.layer(name) for name in ("base", "middle", "top"))
    assert {k: v for k, v in base.items() if k != "Features"} == {"Name": "base", "NamespaceName": "debian:12", "IndexedByVersion": 3}
    d12 = ("debian:12", "dpkg")
    assert features(base) == [("glibc", GLIBC[1], *d12, "base"), ("gone", "1.0-1", *d12, "base"), (*OPENSSL, *d12, "base")]
    assert features(middle) == [("glibc", "2.36-9+deb12u4", *d12, "middle"), (*OPENSSL, *d12, "base"), (*UTIL, *d12, "middle")]
    left = [("glibc", "2.36-9+deb12u4", *d12, "middle"), (*OPENSSL, *d12, "base")]
    assert features(top) == left and top["ParentName"] == "middle"
    heir = server.layer("heir")
    assert features(heir) == left and heir["ParentName"] == "empty"
    assert ids(top, "openssl") == ["CVE-2024-0001", "CVE-2024-0002"] and ids(middle, "util-linux") == ["CVE-2024-0008"]
    apk, rpm = server.layer("apk"), server.layer("rpm")
    assert features(apk)[1] == ("musl", "1.2.4-r0", "alpine:v3.20", "dpkg", "apk") and ids(apk, "musl") == ["CVE-2024-1004"]
    assert features(rpm) == [("bash", "0:4.2.46-34.el7", "centos:7", "rpm", "rpm")] and rpm["IndexedByVersion"] == 2
    assert server.layer("scratch") == {"Name": "scratch", "IndexedByVersion": 3}
    upgraded = server.layer("upgraded")
    assert features(upgraded) == sorted([("dpkg", "1.22-1", "debian:13", "dpkg", "upgraded"), *left])
    assert upgraded["NamespaceName"] == "debian:13"
    assert "layers: 0 imported, 9 imported before" in good(bring(clair, database))
    check(database)
    good(helpers.eclair("db", "export", tmp_path / "file.db", "--db", database))
    good(helpers.eclair("db", "vacuum", "--unused", "0", "--db", tmp_path / "file.db"))
    assert serve(database=tmp_path / "file.db").layer("upgraded") == upgraded


@pytest.mark.parametrize("store", ["postgres"])
def test_recorded(clair, database, serve, golden):
    """What was in the real Clair when its answers were recorded gives these answers."""
    d9 = "debian:9"
    zlib, lib, src, gone = ("zlib", "1:1.2.8.dfsg-5"), ("demo-lib", "1.0-1"), ("demo-src", "2.5-3"), ("gone", "0.9-1")
    clair.layer("base", namespace=d9, add=[zlib, lib, src, gone])
    clair.layer("child", "base", d9, add=[("extra", "3.1~rc1-2")], remove=[lib, gone])
    clair.layer("nopkg", "child", d9)
    clair.layer("bad3", namespace=None)
    clair.vulnerability(d9, "CVE-2999-0001", [("zlib", "1:1.2.11-1"), ("demo-src", "#MAXV#")], "High",
                        '{"NVD":{"CVSSv2":{"Score":7.5,"Vectors":"AV:N/AC:L/Au:N/C:P/I:P/A:P"}}}', description="first demo issue",
                        link="https://tracker.example/CVE-2999-0001")
    clair.vulnerability(d9, "CVE-2999-0002", [("demo-lib", "1.0-2"), ("zlib", "1:1.0")], "Medium", "null", description="changed",
                        link="https://tracker.example/2")
    clair.vulnerability(d9, "CVE-2999-0003", [("extra", "3.1-1")], "Critical", description=None, link=None)
    assert "layers: 4 imported" in good(bring(clair, database, "--vulnerabilities", d9))
    server = serve()
    compared = 0
    for x in recorded.read(golden, 40, 1):
        answer = recorded.send(x, server)
        assert (answer.status, recorded.content(answer)) == (x.answer.status, recorded.content(x.answer)), x
        compared += 1
    for x in recorded.read(golden, 20, 1):  # from before there were vulnerabilities
        if b"vulnerabilities" not in x.request:
            assert recorded.content(recorded.send(x, server)) == recorded.content(x.answer), x
            compared += 1
    assert compared >= 7


@pytest.mark.parametrize("store", ["postgres"])
def test_posted_again(clair, database, serve, files):
    """What is posted again is read; until its parents are, they are as good as unknown. Another import leaves it so."""
    fill(clair)
    good(bring(clair, database))
    server = serve()
    path = files.folder / "layer"
    path.write_bytes(mi.tar([("etc/os-release", mi.os_release("debian", "12")),
                             ("var/lib/dpkg/status", mi.dpkg_status([("new", "1-1", None)]))]))
    assert server.post("middle", files.url + "/layer").status == 400
    for name, parent in (("base", None), ("middle", "base")):
        assert server.post(name, files.url + "/layer", parent).status == 201
        assert features(server.layer(name)) == [("new", "1-1", "debian:12", "dpkg", "base")]
    assert features(server.layer("heir"))[1][0] == "openssl"  # not posted yet
    clair.layer("late", "middle", add=[("late", "1-1")])
    out = good(bring(clair, database))
    assert "layers: 1 imported, 7 imported before, 2 kept as they are here" in out, out
    assert [f[0] for f in features(server.layer("late"))] == ["glibc", "late", "openssl", "util-linux"]
    assert server.request("DELETE", "/v1/layers/top").status == 200
    out = good(bring(clair, database))
    assert "layers: 4 imported, 4 imported before" in out, out
    check(database)


def test_vulnerabilities(clair, database, serve, tmp_path):
    fill(clair)
    meta = '{"NVD":{"CVSSv2":{"Score":7.5}}}'
    clair.vulnerability("debian:12", "ACME-1", [("openssl", "3.1-1"), ("glibc", "#MAXV#"), ("gone", "no version!"), ("bad", "#MINV#")],
                        "Critical", meta)
    clair.vulnerability("debian:12", "ACME-2", [("openssl", "3.1-1")], deleted=True)
    clair.vulnerability("debian:12", "CVE-2024-0001", [("openssl", "9.9-1")])  # Debian's
    clair.vulnerability("centos:7", "SITE-1", [("bash", "0:4.3-1.el7")], metadata="null")
    clair.vulnerability("own:1", "CVE-1999-1", metadata="{broken")
    clair.vulnerability("a/b", "SITE-2")
    clair.run("ALTER TABLE vulnerability ALTER name TYPE text")
    clair.vulnerability("own:1", "x" * 1100)
    big = clair.vulnerability("own:1", "BIG")
    clair.run("UPDATE vulnerability SET description = repeat('x', 1100000) WHERE id = %s", big)
    load(database, tmp_path)
    for options, taken in ((["--vulnerabilities", "none"], 0), (["--vulnerabilities", "own:1"], 1), (["--vulnerabilities", "all"], 4)):
        assert f"vulnerabilities: {taken} to import" in good(bring(clair, database, "--dry-run", *options), warnings=True)
    r = bring(clair, database)
    out = good(r, warnings=True)
    assert "vulnerabilities: 3 imported, 0 kept as they are here, 3 left out, 1 taken for" in out, out
    assert "fixes of these vulnerabilities: 1 left out" in out and r.err.count(b"is left out") == 3, r
    server = serve()
    v = server.get("/v1/namespaces/debian:12/vulnerabilities/ACME-1?fixedIn").json()["Vulnerability"]
    assert (v["Severity"], v["Description"], v["Link"], v["Metadata"]) == ("Critical", "what it is", "https://example.test/",
                                                                          json.loads(meta))
    assert sorted((f["Name"], f["Version"]) for f in v["FixedIn"]) == [("glibc", "None"), ("openssl", "3.1-1")]
    assert ids(server.layer("base"), "openssl") == ["ACME-1", "CVE-2024-0001", "CVE-2024-0002"]
    assert ids(server.layer("rpm"), "bash") == ["SITE-1"]
    assert "Metadata" not in server.get("/v1/namespaces/own:1/vulnerabilities/CVE-1999-1").json()["Vulnerability"]
    assert server.get("/v1/namespaces/debian:12/vulnerabilities/ACME-2").status == 404
    assert column(database, "SELECT count(*) FROM {}notification") == [0], "an import is no news"
    # What clients write here afterwards stays.
    body = {"Name": "ACME-1", "NamespaceName": "debian:12", "Severity": "Low"}
    assert server.request("PUT", "/v1/namespaces/debian:12/vulnerabilities/ACME-1",
                          json.dumps({"Vulnerability": body}).encode()).status == 200
    assert "vulnerabilities: 0 imported, 3 kept as they are here" in good(bring(clair, database), warnings=True)
    assert server.get("/v1/namespaces/debian:12/vulnerabilities/ACME-1").json()["Vulnerability"]["Severity"] == "Low"
    assert server.request("DELETE", "/v1/namespaces/debian:12/vulnerabilities/CVE-2024-0001").status == 200  # a feed's
    assert "vulnerabilities: 0 imported, 2 kept as they are here" in good(bring(clair, database, "--vulnerabilities", "debian:12"))
    assert ids(server.layer("base"), "openssl") == ["ACME-1", "CVE-2024-0002"]
    check(database)


UUID = "0d2a4b5e-0000-4000-8000-00000000000{}".format


def test_notifications(clair, database, serve, tmp_path):
    fill(clair)
    old = clair.vulnerability("debian:12", "CVE-2024-0001", deleted=True)
    new = clair.vulnerability("debian:12", "CVE-2024-0001")
    nobodys = clair.vulnerability("debian:12", "CVE-2024-9999")
    clair.notification(UUID(1), old, new)
    clair.notification(UUID(2), old)                     # it has gone, but not here
    clair.notification(UUID(3), None, nobodys)           # of which no feed says anything
    clair.notification(UUID(4), None, new, "31 days")
    clair.notification(UUID(5), None, new, deleted=True)
    clair.notification("Not-A-UUID", None, new)
    before = bring(clair, database)
    assert "notifications: 0 imported" in good(before, warnings=True) and b"eclair update" in before.err
    load(database, tmp_path)
    out = good(bring(clair, database), warnings=True)
    counts = "0 imported before, 1 older than 30 days, 2 of which nothing is known here, 1 left out"
    assert f"notifications: 1 imported, {counts}" in out, out
    server = serve()
    n = server.get(f"/v1/notifications/{UUID(1)}?limit=5").json()["Notification"]
    assert "Old" not in n and n["New"]["Vulnerability"]["Name"] == "CVE-2024-0001", n
    assert n["New"]["LayersIntroducingVulnerability"] == ["base"] and 3590 < time.time() - int(n["Created"]) < 3700, n
    assert [server.get(f"/v1/notifications/{UUID(i)}?limit=5").status for i in (2, 3, 4, 5)] == [404] * 4
    assert server.request("DELETE", f"/v1/notifications/{UUID(1)}").status == 200
    assert "notifications: 0 imported, 1 imported before" in good(bring(clair, database), warnings=True)
    assert column(database, "SELECT count(*) FROM {}notification WHERE deleted > 0") == [1]
    check(database)


@pytest.mark.parametrize("store", ["sqlite"])
def test_broken_rows(clair, database, serve):
    clair.layer("child", clair.layer("parent", add=[OPENSSL]) and "parent", add=[GLIBC])
    clair.layer("fine", add=[UTIL, ("lost", "1-1")])
    clair.run("ALTER TABLE layer DROP CONSTRAINT layer_parent_id_fkey, ALTER name TYPE text;"
              "ALTER TABLE layer_diff_featureversion DROP CONSTRAINT layer_diff_featureversion_featureversion_id_fkey,"
              " DROP CONSTRAINT layer_diff_featureversion_layer_id_fkey; ALTER TABLE feature ALTER name TYPE text")
    clair.run("DELETE FROM featureversion WHERE feature_id = (SELECT id FROM feature WHERE name = 'lost')")
    clair.layer("long-feature", add=[("f" * 600, "1-1"), UTIL])
    clair.layer("n" * 1100)
    clair.layer("on-long", "n" * 1100)
    clair.layer("dangling", "parent")
    clair.layer("on-dangling", "dangling")
    clair.run("UPDATE layer SET parent_id = 999999 WHERE name = 'dangling'")
    clair.layer("circle")
    clair.run("UPDATE layer SET parent_id = id WHERE name = 'circle'")
    clair.run("UPDATE layer SET id = 5000 WHERE name = 'parent'")  # younger than its child
    clair.run("UPDATE layer SET parent_id = 5000 WHERE name = 'child'; UPDATE layer_diff_featureversion SET layer_id = 5000 WHERE id = 1")
    r = bring(clair, database)
    out = good(r, warnings=True)
    assert "layers: 4 imported, 0 imported before, 0 kept as they are here, 5 left out" in out, (out, r.err)
    assert "packages of these layers: 2 left out" in out and r.err.count(b"is left out") == 5, r
    server = serve()
    assert [f[0] for f in features(server.layer("child"))] == ["glibc", "openssl"]
    assert [f[0] for f in features(server.layer("fine"))] == [f[0] for f in features(server.layer("long-feature"))] == ["util-linux"]
    assert "layers: 0 imported, 4 imported before" in good(bring(clair, database), warnings=True)
    check(database)


def test_other_databases(postgres, clair, tmp_path):
    ours = tmp_path / "eclair.db"

    def refused(clair, *words):
        helpers.assert_refused(bring(clair, ours), *words)

    refused(postgres.new_database(), "no database of Clair 2")
    refused(clair.url.replace("eclair@", "locked:secret@"), "permission denied")
    clair.run("DELETE FROM schema_migrations WHERE version = 6")
    refused(clair, "too old", "2.0.9")
    clair.run("INSERT INTO schema_migrations VALUES (7); ALTER TABLE namespace RENAME version_format TO f; ALTER TABLE layer RENAME name TO n")
    refused(clair, "public.layer.name is missing")
    clair.run("CREATE TABLE ancestry_layer ()")
    refused(clair, "Clair 3")
    clair.run("CREATE TABLE goose_db_version ()")
    refused(clair, "Clair 1")
    refused("postgresql://eclair@127.0.0.1:1/none", "connection refused")
    refused(clair.url.rpartition("/")[0] + "/none", "does not exist")
    helpers.assert_refused(bring(tmp_path / "clair.db", ours), "connection string", code=2)
    helpers.assert_refused(helpers.eclair("db", "import-clair"), "SOURCE", code=2)
    assert not ours.exists()


@pytest.mark.parametrize("store", ["postgres"])
def test_beside_ours(clair, serve):
    """The same database, as Clair's config.yaml names it. Clair's tables stay as they are, also while they are read."""
    fill(clair)
    server = serve(database=clair.url)
    lines = [line for line in server.lines() if "database of Clair 2" in line["Event"]]
    assert len(lines) == 1 and "eclair db import-clair" in json.dumps(lines), server.text()
    dry = good(bring(clair, clair.url, "--dry-run"))
    assert "layers: 9 to import" in dry
    good(bring(clair, clair.url))
    assert [f[0] for f in features(server.layer("top"))] == ["glibc", "openssl"]
    assert clair.run("SELECT count(*) FROM layer") == 9
    assert clair.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 12


def test_not_there(clair, database, serve):
    """A source without one says nothing; a dry run makes nothing."""
    dry = good(bring(clair, database, "--dry-run"))
    assert "layers: 0 to import" in dry
    if "://" not in str(database):
        assert not database.exists()
    assert "Clair 2" not in serve().text()


@pytest.mark.parametrize("store", ["postgres"])
def test_at_once(clair, database):
    """Two at a time: each thing is taken by one of them."""
    for i in range(60):
        clair.layer(f"l{i}", f"l{i - 1}" if i % 5 else None, add=[(f"p{i % 5}", "1-1")])
        clair.vulnerability("own:1", f"V{i}")
    good(helpers.eclair("db", "migrate", "--db", database))
    both = [subprocess.Popen([helpers.ECLAIR, "db", "import-clair", clair.url, "--db", database], env=helpers.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    taken = {"layers": 0, "vulnerabilities": 0}
    for p in both:
        out, err = p.communicate(timeout=120)
        assert (p.returncode, err) == (0, b""), (out, err)
        for what in taken:
            taken[what] += int(re.search(rf"^{what}: (\d+) imported", out.decode(), re.M)[1])
    assert taken == {"layers": 60, "vulnerabilities": 60}
    check(database)


def test_killed(clair, database, serve):
    """Clair's PostgreSQL hangs up in the middle, then SIGKILL: what is there is whole, and another run brings the rest."""
    clair.run("""
        INSERT INTO namespace(name, version_format) VALUES ('debian:12', 'dpkg');
        INSERT INTO feature(namespace_id, name) SELECT 1, 'p' || i FROM generate_series(1, 40) i;
        INSERT INTO featureversion(feature_id, version) SELECT i, '1-1' FROM generate_series(1, 40) i;
        INSERT INTO layer(name, engineversion, parent_id, namespace_id) SELECT 'l' || i, 3, CASE WHEN i % 4 <> 1 THEN i - 1 END, 1
          FROM generate_series(1, 240) i;
        INSERT INTO layer_diff_featureversion(layer_id, featureversion_id, modification) SELECT l, (l - 1) % 4 * 10 + i, 'add'
          FROM generate_series(1, 240) l, generate_series(1, 10) i""")
    good(helpers.eclair("db", "migrate", "--db", database))

    def there():
        return column(database, "SELECT count(*) FROM {}named_layer")[0]

    def bring_until(layers):
        p = subprocess.Popen([helpers.ECLAIR, "db", "import-clair", clair.url, "--db", str(database)], env=helpers.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while there() < layers:
            assert p.poll() is None and time.monotonic() < end, p.communicate()
        return p

    p = bring_until(10)
    clair.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    out, err = p.communicate(timeout=60)
    helpers.assert_refused(helpers.Result(p.returncode, out, err, 0), "layer l", "connection")
    p = bring_until(there() + 10)
    p.send_signal(signal.SIGKILL)
    p.communicate()
    left = there()
    assert 20 <= left < 240
    server = serve()

    def whole(*numbers):
        for i in numbers:
            assert len(server.layer(f"l{i}")["Features"]) == ((i - 1) % 4 + 1) * 10

    whole(left - 1, left)
    out = good(bring(clair, database))
    assert f"layers: {240 - left} imported, {left} imported before, 0 kept as they are here, 0 left out" in out, out
    whole(left - 1, left, left + 1, 237, 238, 239, 240)
    check(database)
