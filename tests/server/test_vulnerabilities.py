"""Vulnerabilities and fixes that clients write: merged, beside feeds, listed by pages, whatever else goes on."""
import json
import threading
import time

import expected
import golden as recorded
import helpers
import make_images as mi
import pytest

BASE = "/v1/namespaces/debian:12/vulnerabilities"
KEY = "    paginationkey: XxoPtCUzrUv4JV5dS+yQ+MdW7yLEJnRMwigVY/bpgtQ=\n"


class Client:
    """What a client of Clair does; errors are (status, message)."""

    def __init__(self, server):
        self.server = server

    def send(self, method, path, value=None):
        body = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        a = self.server.request(method, path, body)
        if a.status >= 400:
            return a.status, a.json()["Error"]["Message"]
        return a.json() if a.body else a.status

    def post(self, name, namespace="debian:12", severity="High", fixes=None, **more):
        value = {"Name": name, "NamespaceName": namespace, "Severity": severity, **more}
        if fixes:
            value["FixedIn"] = [fix(*f, namespace=namespace) for f in fixes.items()]
        a = self.send("POST", f"/v1/namespaces/{namespace}/vulnerabilities", {"Vulnerability": value})
        assert not isinstance(a, tuple), a
        assert a == {"Vulnerability": value}
        return a

    def get(self, name, base=BASE):
        a = self.send("GET", f"{base}/{name}?fixedIn")
        return a["Vulnerability"] if isinstance(a, dict) else a[0]

    def fixes(self, name, base=BASE):
        v = self.get(name, base)
        return {f["Name"]: f["Version"] for f in v.get("FixedIn", [])}

    def pages(self, limit, base=BASE):
        token = ""
        while True:
            a = self.send("GET", f"{base}?limit={limit}{token}")
            yield a["Vulnerabilities"] or []
            if "NextPage" not in a:
                return
            token = f"&page={a['NextPage']}"

    def listed(self, limit=100, base=BASE):
        return [v["Name"] for page in self.pages(limit, base) for v in page]


def fix(name, version, namespace="debian:12", form="dpkg"):
    return {"Name": name, "NamespaceName": namespace, "VersionFormat": form, "Version": version}


def entry(fixed, description="of a feed", urgency="medium", release="bookworm"):
    row = {"status": "resolved", "urgency": urgency, "fixed_version": fixed} if fixed else {"status": "open", "urgency": urgency}
    return {"description": description, "releases": {release: row}}


def load(database, folder, debian):
    helpers.update(database, helpers.write_mirror(folder, debian), "debian")


@pytest.fixture
def client(serve):
    return Client(serve())


@pytest.fixture
def layer(files):
    """Of debian:12 with a package "demo" 1.0-1 and a package "other" 1.0-1; to be posted."""
    path = files.folder / "layer"
    path.write_bytes(mi.tar([("etc/os-release", mi.os_release()),
                             ("var/lib/dpkg/status", mi.dpkg_status([("demo", "1.0-1", None), ("other", "1.0-1", None)]))]))
    return path


def found(client, name="l"):
    return {(f["Name"], v["Name"]): v for f in client.server.layer(name)["Features"] for v in f.get("Vulnerabilities", [])}


def test_merging(client):
    client.post("C-1", fixes={"a": "1", "b": "None", "c": "#MAXV#", "d": "#MINV#"}, Description="x", Link="l")
    assert client.fixes("C-1") == {"a": "1", "b": "None", "c": "None"}
    client.post("C-1", severity="dEFCON1", fixes={"a": "2", "b": "#MINV#", "e": "3"}, Metadata={"z": {"y": 1, "b": [1, {"d": None, "c": 1.50}]}, "a": "<"})
    v = client.get("C-1")
    assert (v["Severity"], "Description" in v, "Link" in v) == ("Defcon1", False, False)
    assert client.fixes("C-1") == {"a": "2", "c": "None", "e": "3"}
    raw = client.server.get(f"{BASE}/C-1").body
    assert b'"Metadata":{"a":"\\u003c","z":{"b":[1,{"c":1.5,"d":null}],"y":1}}' in raw, raw
    put = {"Vulnerability": {"severity": "low", "DESCRIPTION": "new", "unknown": [{}], "Metadata": {}}}
    assert client.send("PUT", f"{BASE}/C-1", put) == {"Vulnerability": {"Description": "new", "Severity": "low"}}
    v = client.get("C-1")
    assert (v["Severity"], v["Description"], "Metadata" in v) == ("Low", "new", False)
    assert client.fixes("C-1") == {"a": "2", "c": "None", "e": "3"}

    path = f"{BASE}/C-1/fixes"
    assert client.send("PUT", f"{path}/a", {"Feature": fix("a", "None")}) == {"Feature": fix("a", "None")}
    assert client.send("PUT", f"{path}/n", {"Feature": {"Name": "n", "VersionFormat": "dpkg", "Version": "7"}})["Feature"]["Name"] == "n"
    assert client.send("DELETE", f"{path}/c") == 200
    assert client.send("DELETE", f"{path}/c") == 200  # it is not there: as it should be
    assert client.fixes("C-1") == {"a": "None", "e": "3", "n": "7"}
    assert client.get("C-1")["Description"] == "new"
    assert client.send("PUT", f"{BASE}/C-2/fixes/a", {"Feature": fix("a", "1")})[0] == 404
    assert client.send("DELETE", f"{BASE}/C-2/fixes/a")[0] == 404

    assert client.send("DELETE", f"{BASE}/C-1") == 200
    assert client.send("DELETE", f"{BASE}/C-1")[0] == 404 and client.get("C-1") == 404
    client.post("C-1", fixes={"q": "1"})  # anew: nothing of before is left
    assert client.fixes("C-1") == {"q": "1"}


def test_unchanged(client, database):
    """The change log tells nothing, and the list keeps its order."""
    def changes():
        return recorded.rows(database, "SELECT count(*) FROM change")[0][0]
    for name in ("C-1", "C-2"):
        client.post(name, fixes={"a": "1", "b": "None"}, Metadata={"b": 1, "a": 2})
    assert changes() == 2
    client.post("C-1", fixes={"b": "None"}, Metadata={"a": 2, "b": 1})
    assert client.send("PUT", f"{BASE}/C-1/fixes/a", {"Feature": fix("a", "1")})
    assert client.send("DELETE", f"{BASE}/C-1/fixes/z") == 200
    assert (changes(), client.listed()) == (2, ["C-1", "C-2"])
    client.post("C-1", Metadata={"a": 3})
    assert (changes(), client.listed()) == (3, ["C-2", "C-1"])


def test_namespaces(client):
    """Versions of alpine are those of apk, whatever a client calls them; a format that comes later holds."""
    client.post("C-1", namespace="alpine:v3.20", fixes={"musl": "1.2.5-r1"})
    client.post("C-1", namespace="brand:new")
    client.post("C-2", namespace="brand:new", fixes={"x": "1.0"})
    client.post("C-3", namespace="centos:7", FixedIn=[fix("bash", "4.2-1.el7", "centos:7", "rpm")])
    assert client.send("GET", "/v1/namespaces") == {"Namespaces": [
        {"Name": "alpine:v3.20", "VersionFormat": "dpkg"}, {"Name": "brand:new", "VersionFormat": "dpkg"},
        {"Name": "centos:7", "VersionFormat": "rpm"}]}
    assert client.send("GET", "/v1/namespaces/alpine:v3.20/vulnerabilities/C-1/fixes") == {"Features": [
        fix("musl", "1.2.5-r1", "alpine:v3.20")]}
    assert client.send("GET", "/v1/namespaces/centos:7/vulnerabilities/C-3/fixes") == {"Features": [
        fix("bash", "4.2-1.el7", "centos:7", "rpm")]}
    assert client.send("POST", BASE, {"Vulnerability": {"Name": "C", "NamespaceName": "brand:new", "Severity": "Low", "FixedIn": [
        fix("x", "not a version", "brand:new")]}}) == (400, "invalid version")


def vulnerability(**more):
    return {"Vulnerability": {"Name": "C-1", "NamespaceName": "debian:12", "Severity": "Low", **more}}


BAD = [
    (b"", "EOF"), (b"{", "unexpected EOF"), (b"[]", None), (b'{"Vulnerability": 1}', None), (b"nul", None),
    (b'{"Vulnerability": null}', "failed to provide vulnerability"),
    (vulnerability(Name=7), None), (vulnerability(FixedIn={}), None), (vulnerability(FixedIn=[7]), None),
    (vulnerability(Metadata=[]), None),
    (vulnerability(FixedIn=[None]), "unknown version format"),
    (vulnerability(FixedIn=[fix("x", "1", form="deb")]), "unknown version format"),
    (vulnerability(FixedIn=[fix("x", "")]), "invalid version"),
    (vulnerability(FixedIn=[fix("x", "1" * 513)]), "invalid version"),
    (vulnerability(FixedIn=[fix("", "1")]), "could not find/insert invalid Feature"),
    (vulnerability(FixedIn=[fix("x" * 513, "1")]), None),
    (vulnerability(FixedIn=[fix("x", "1")] * 8193), None),
    (vulnerability(Name="n" * 1025), None), (vulnerability(NamespaceName="n" * 1025), None),
    (vulnerability(NamespaceName="a/b"), None),
    (vulnerability(Name=""), "insertVulnerability needs at least the Name and the Namespace"),
    (vulnerability(Description="a\0b"), None), (vulnerability(Name="a\0b"), None), (vulnerability(Metadata={"a": ["\0"]}), None),
    (vulnerability(Metadata={"a\0": 1}), None), (vulnerability(FixedIn=[fix("a\0", "1")]), None),
    (b'{"Vulnerability": {"Metadata": {"a": ' + b"[" * 100000 + b"]" * 100000 + b"}}}", None),
]


def test_hostile_bodies(client):
    for body, message in BAD:
        a = client.send("POST", BASE, body)
        assert isinstance(a, tuple) and a[0] == 400 and message in (None, a[1]), (str(body)[:200], a)
    assert client.send("GET", "/v1/namespaces") == {"Namespaces": None}  # nothing of it was written
    large = vulnerability(Description="d" * (1 << 20))
    assert client.send("POST", BASE, large) == (400, "unexpected EOF")
    client.post("C-" + "n" * 1022, FixedIn=[fix(f"f{i}", "1") for i in range(5000)], Description="\ufffd\U0001f600",
                Metadata={str(i): {"k": i} for i in range(5000)})
    assert len(client.fixes("C-" + "n" * 1022)) == 5000
    assert client.listed() == ["C-" + "n" * 1022]
    deep = {}
    for _ in range(500):
        deep = {"b": 1, "a": deep}
    client.post("deep", Metadata=deep)
    assert client.get("deep")["Metadata"]["a"]["b"] == 1


def test_bad_pages(serve):
    client = Client(serve(api=KEY))
    client.post("C-1")
    expired = "gAAAAABrAx2_Ld4RybQvcwtIB-BEgwScRKLdNF5s_PVTPBUMMTgmf5fZRNrmlF2tbjIjYAi2Pksan_nFrRZjKrJKmjrK9cI-LA=="
    other = next(iter([client.send("GET", f"{BASE}?limit=0")["NextPage"]]))
    for page in ("", "gA==", "x", expired, "%zz", other[:-2], other + "A", other.replace("A", "B", 1), "=" * 5000):
        assert client.send("GET", f"{BASE}?limit=1&page={page}") == \
            (400, "invalid page format: invalid or expired pagination token"), page
    assert len(client.send("GET", f"{BASE}?limit=1&page={other}")["Vulnerabilities"]) == 1
    for limit, message in (("", '"": invalid syntax'), ("99999999999999999999", '"99999999999999999999": value out of range')):
        assert client.send("GET", f"{BASE}?limit={limit}") == (400, f"invalid limit format: strconv.Atoi: parsing {message}")
    assert len(client.send("GET", f"{BASE}?limit=9223372036854775807")["Vulnerabilities"]) == 1


def test_pagination_key(serve):
    """The same key is the same token everywhere; a bad one is refused at the start."""
    first, second = Client(serve(api=KEY)), Client(serve(api=KEY))
    first.post("C-1"), first.post("C-2")
    token = first.send("GET", f"{BASE}?limit=1")["NextPage"]
    assert [v["Name"] for v in second.send("GET", f"{BASE}?limit=1&page={token}")["Vulnerabilities"]] == ["C-2"]


def test_beside_feed(client, layer, database, tmp_path):
    mirror = tmp_path / "mirror"
    load(database, mirror, {"demo": {"CVE-1": entry("2.0-1"), "CVE-2": entry("2.0-1"), "CVE-3": entry(None)},
                            "other": {"CVE-2": entry("3.0-1"), "TEMP-1": entry("9")}})
    assert client.server.post("l", layer).status == 201
    assert set(found(client)) == {("demo", "CVE-1"), ("demo", "CVE-2"), ("demo", "CVE-3"), ("other", "CVE-2")}
    assert client.listed(1) == ["CVE-1", "CVE-3", "CVE-2"]  # both of CVE-2 are one
    assert client.fixes("CVE-2") == {"demo": "2.0-1", "other": "3.0-1"}
    assert client.get("CVE-3")["FixedIn"] == [fix("demo", "None")]
    assert client.get("TEMP-1") == 404

    # a client's word replaces a feed's, also where it says nothing
    assert client.send("DELETE", f"{BASE}/CVE-2/fixes/other") == 200
    assert client.get("CVE-2") == {"Name": "CVE-2", "NamespaceName": "debian:12", "Description": "of a feed", "Severity": "Medium",
                                   "Link": client.get("CVE-1")["Link"].replace("CVE-1", "CVE-2"), "FixedIn": [fix("demo", "2.0-1")]}
    assert set(found(client)) == {("demo", "CVE-1"), ("demo", "CVE-2"), ("demo", "CVE-3")}
    client.post("CVE-1", severity="Low", fixes={"demo": "1.5-1"}, Metadata={"mine": True})
    assert found(client)["demo", "CVE-1"] == {"Name": "CVE-1", "NamespaceName": "debian:12", "Severity": "Low",
                                              "Metadata": {"mine": True}, "FixedBy": "1.5-1"}
    client.post("MINE-1", fixes={"demo": "None"})
    assert "FixedBy" not in found(client)["demo", "MINE-1"]
    assert client.listed(2) == ["CVE-3", "CVE-2", "CVE-1", "MINE-1"]

    # deleted is what the feed said then
    assert client.send("DELETE", f"{BASE}/CVE-3") == 200
    assert client.get("CVE-3") == 404 and ("demo", "CVE-3") not in found(client)
    load(database, mirror, {"demo": {"CVE-1": entry("2.0-2"), "CVE-2": entry("2.0-1"), "CVE-3": entry(None), "CVE-4": entry("1.1-1")},
                            "other": {"CVE-2": entry("3.0-1")}})
    assert client.get("CVE-3") == 404 and ("demo", "CVE-3") not in found(client)
    assert found(client)["demo", "CVE-1"]["FixedBy"] == "1.5-1"
    load(database, mirror, {"demo": {"CVE-1": entry("2.0-2"), "CVE-3": entry("4.0-1"), "CVE-4": entry("1.1-1")}})
    assert client.fixes("CVE-3") == {"demo": "4.0-1"} and found(client)["demo", "CVE-3"]["FixedBy"] == "4.0-1"
    assert client.fixes("CVE-2") == {"demo": "2.0-1"}  # what a client wrote stays

    # and what a client deletes of its own goes with what it hid
    assert client.send("DELETE", f"{BASE}/CVE-1") == 200
    assert client.get("CVE-1") == 404 and client.listed() == ["CVE-2", "MINE-1", "CVE-4", "CVE-3"]
    assert helpers.eclair("db", "check", "--full", "--db", database).code == 0


def test_feed_after_client(client, layer, database, tmp_path):
    """A client names a namespace first, without a format, or with another one: the feed is loaded all the same."""
    client.post("C-1", namespace="debian:12")
    client.send("PUT", "/v1/namespaces/debian:11/vulnerabilities/C-1", {"Vulnerability": {"Severity": "Low"}})
    a = client.send("POST", BASE, {"Vulnerability": {"Name": "C-2", "NamespaceName": "debian:13", "Severity": "Low", "FixedIn": [
        fix("demo", "1.0-2", "debian:13", "rpm")]}})
    assert a["Vulnerability"]["FixedIn"][0]["VersionFormat"] == "rpm"
    load(database, tmp_path / "mirror", {"demo": {f"CVE-{r}": entry("2", release=r) for r in ("bookworm", "bullseye", "trixie")}})
    assert client.server.post("l", layer).status == 201
    assert set(found(client)) == {("demo", "CVE-bookworm")}
    names = {n["Name"]: n.get("VersionFormat") for n in client.send("GET", "/v1/namespaces")["Namespaces"]}
    assert names == {"debian:12": "dpkg", "debian:11": "dpkg", "debian:13": "dpkg"}


def test_paging_while_writes_go_on(client):
    for i in range(60):
        client.post(f"C-{i}", fixes={"x": "1"})
    seen, changed = [], 0
    for page in client.pages(7):
        seen += [v["Name"] for v in page]
        if changed < 20:  # one that was seen, one that was not
            for i in (changed, 59 - changed):
                client.post(f"C-{i}", fixes={"x": f"2.{changed}"})
            client.send("DELETE", f"{BASE}/C-{30 + changed % 5}")
            changed += 1
    gone = {f"C-{i}" for i in range(30, 35)}
    assert set(seen) | gone >= {f"C-{i}" for i in range(60)}
    assert sorted(client.listed(11)) == sorted(f"C-{i}" for i in range(60) if f"C-{i}" not in gone)


def hold_update(database):
    """As a process on another machine that loads a feed."""
    if recorded.is_server(database):
        recorded.execute(database, "INSERT INTO lease VALUES ('update', 'somebody else', clock_timestamp() + interval '300 s', 300)")
    else:
        up = int(time.clock_gettime(time.CLOCK_BOOTTIME))
        recorded.execute(database, "INSERT INTO lease VALUES ('update', 'somebody else', ?, 300)", up + 300)


def test_write_while_a_feed_is_loaded(serve, database):
    client = Client(serve(api="    timeout: 3s\n"))
    client.post("C-1")
    hold_update(database)
    a = client.server.request("POST", BASE, json.dumps(vulnerability(Name="C-2")).encode())
    assert (a.status, a.header("Retry-After")) == (503, "10")
    assert "try again" in a.json()["Error"]["Message"]
    assert client.listed() == ["C-1"]  # reading does not wait
    answers = []
    threads = [threading.Thread(target=lambda i=i: answers.append(client.post(f"W-{i}"))) for i in range(3)]
    for t in threads:
        t.start()
    time.sleep(0.3)  # some of them wait by now, as a rule
    recorded.execute(database, "DELETE FROM lease WHERE name = 'update'")
    for t in threads:
        t.join()
    assert len(answers) == 3 and sorted(client.listed()) == ["C-1", "W-0", "W-1", "W-2"]


def test_kill_during_writes(serve, database):
    """What was answered is there, and nothing is half there."""
    server = serve()
    known, stop = {}, threading.Event()

    def write(number):
        client = Client(server)
        for turn in range(10000):
            name = f"C-{number}-{turn % 5}"
            try:
                client.post(name, fixes={"a": f"{turn}", "b": f"{turn}"})
            except (OSError, ValueError, AssertionError):
                assert stop.is_set()
                return
            known[name] = turn

    threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    end = time.monotonic() + 60
    while len(known) < 15 and time.monotonic() < end:
        time.sleep(0.01)
    stop.set()
    server.kill()
    for t in threads:
        t.join()
    assert len(known) == 15
    client = Client(serve())
    client.post("after")
    for name, turn in known.items():
        fixes = client.fixes(name)
        assert set(fixes) == {"a", "b"} and fixes["a"] == fixes["b"] and int(fixes["a"]) >= turn
    assert sorted(client.listed(4)) == sorted([*known, "after"])
    assert helpers.eclair("db", "check", "--full", "--db", database).code == 0


def spoken_of(tracker, release):
    """What the tracker says of a release as (CVE -> {package: version}), read the way feeds.md says."""
    all_of = {}
    for package, entries in tracker.items():
        for name, e in entries.items():
            row = e.get("releases", {}).get(release)
            if not row or name.startswith("TEMP-") or row["status"] == "undetermined":
                continue
            fixed = row.get("fixed_version", "") if row["status"] == "resolved" else ""
            if row["status"] == "resolved" and fixed in ("0", ""):
                continue
            all_of.setdefault(name, {})[package] = fixed or "None"
    return all_of


def test_real_feed(serve, database):
    """Every page of the list beside the tracker's own words."""
    mirror = helpers.need_data("feeds")
    tracker = expected.read_json(mirror / "debian/tracker/data/json")
    helpers.update(database, mirror, "debian")
    client = Client(serve())
    want = spoken_of(tracker, "bookworm")
    names = client.listed(2000)
    assert len(names) == len(set(names)) and set(names) == set(want)
    for name in list(want)[::len(want) // 50]:
        assert client.fixes(name) == want[name], name
    name = next(n for n, packages in want.items() if len(packages) > 1)
    gone = sorted(want[name])[0]
    assert client.send("DELETE", f"{BASE}/{name}/fixes/{gone}") == 200
    assert client.fixes(name) == {p: v for p, v in want[name].items() if p != gone}
    assert client.send("DELETE", f"{BASE}/{name}") == 200
    assert client.get(name) == 404
    assert set(client.listed(5000)) == set(want) - {name}
    assert client.fixes(name, "/v1/namespaces/debian:11/vulnerabilities") == spoken_of(tracker, "bullseye")[name]
