"""PostAncestry and GetAncestry over REST: which layers are fetched, how often, and what is told of them, whatever clients and networks do."""
import hashlib
import json
import socket
import threading
import time

import golden as golden_tools
import make_images as mi
import pytest
from test_posts import FAULTS, faulty, gated, head  # noqa: F401 (a fixture)

DOWNLOAD = "clair error reason: 'failed to download layer blob.'"
EXTRACT = "clair error reason: 'failed to extract files from layer blob.'"
DATABASE = "clair error reason: 'failed to query the database.'"
CODES = {400: 3, 404: 5, 500: 13, 503: 14}


def debian(*packages):
    """Of (name, version, source)."""
    return mi.tar([("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", mi.dpkg_status(packages))])


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def post(server, name, *layers, form="Docker", headers=(), **more):
    """Layers are (hash, path) or dictionaries; (status, message) or 200."""
    value = {"ancestry_name": name, "format": form,
             "layers": [one if isinstance(one, dict) else {"hash": one[0], "path": str(one[1])} for one in layers]} | more
    a = server.request("POST", "/ancestry", json.dumps(value).encode(), headers)
    if a.status == 200:
        assert a.json()["status"]["detectors"]
        return 200
    assert a.json()["code"] == CODES[a.status] or (a.status, a.json()["code"]) == (500, 2), a
    return a.status, a.json()["error"]


def get(server, name):
    a = server.get(f"/ancestry/{name}")
    assert a.status == 200, (a, server.text())
    return a.json()["ancestry"]


def features(server, name):
    """Of each layer: {"name=version": ids}; "*" is a source."""
    return [{f"{f['name']}={f['version']}" + "*" * (f["feature_type"] == "source"): [v["name"] for v in f.get("vulnerabilities", [])]
             for f in layer.get("detected_features", [])} for layer in get(server, name).get("layers", [])]


def write(files, **contents):
    for name, content in contents.items():
        (files.folder / name).write_bytes(content)


def fetched(files):
    return sorted(path.strip("/") for path, _ in files.requests)


def at_once(calls):
    answers = []
    threads = [threading.Thread(target=lambda c=c: answers.append(c())) for c in calls]
    for t in threads:
        t.start()
    return threads, answers


BASE = debian(("libssl3", "3.0.1-1", "openssl (3.0.1-1)"), ("openssl", "3.0.1-1", None), ("zlib1g", "1:1.2-1", "zlib"))
CHILD = mi.tar([("var/lib/dpkg/status", mi.dpkg_status([("libssl3", "3.0.1-1", "openssl"), ("openssl", "3.0.1-1", None),
                                                        ("new", "2.0-1", None)]))])


def write_vulnerability(server, name, package, fixed=None, namespace="debian:12", **more):
    fix = {"Name": package, "NamespaceName": namespace, "VersionFormat": "dpkg", "Version": fixed or "None"}
    value = {"Name": name, "NamespaceName": namespace, "Severity": "High", "FixedIn": [fix]} | more
    a = server.request("POST", f"/v1/namespaces/{namespace}/vulnerabilities", json.dumps({"Vulnerability": value}).encode())
    assert a.status == 201, a


def test_features(serve, files):
    """What a layer brought, and what is wrong with it: once for a source, however many packages and layers are made of it; anew when feeds or
    clients say something else."""
    server = serve()
    write(files, base=BASE, child=CHILD, alpine=mi.tar([("etc/alpine-release", b"3.20.1\n"), ("lib/apk/db/installed", mi.apk_installed([
        ("libcrypto3", "3.3.0-r0", "openssl"), ("openssl", "3.3.0-r0", "openssl")]))]))
    assert post(server, "i", ("h0", f"{files.url}/base"), ("h1", f"{files.url}/child"), ("h0", "again")) == 200
    want = [{"libssl3=3.0.1-1": [], "openssl=3.0.1-1": [], "openssl=3.0.1-1*": []}, {"new=2.0-1": [], "new=2.0-1*": []}, {}]
    kept = {"libssl3=3.0.1-1": [], "openssl=3.0.1-1": [], "openssl=3.0.1-1*": [], "zlib1g=1:1.2-1": [], "zlib=1:1.2-1*": []}
    # the base on top puts its package list back: zlib comes with it, and "new" goes
    assert features(server, "i") == [{k: v for k, v in kept.items() if "zlib" not in k}, {},
                                     {k: v for k, v in kept.items() if "zlib" in k}]
    assert post(server, "j", ("h0", "known"), ("h1", "known")) == 200 and len(files.requests) == 2
    assert features(server, "j") == want[:2]
    assert [la["layer"]["hash"] for la in get(server, "i")["layers"]] == ["h0", "h1", "h0"]

    write_vulnerability(server, "CVE-2999-1", "openssl", "3.0.2-1", Description="d", Link="https://l.example/", Metadata={"NVD": {"x": 1}})
    write_vulnerability(server, "CVE-2999-2", "new")
    want[0]["openssl=3.0.1-1*"], want[1]["new=2.0-1*"] = ["CVE-2999-1"], ["CVE-2999-2"]
    assert features(server, "j") == want[:2]
    by_name = {f["name"]: f for f in get(server, "j")["layers"][0]["detected_features"] if f["feature_type"] == "source"}
    assert by_name["openssl"] == {
        "name": "openssl", "version": "3.0.1-1", "version_format": "dpkg", "feature_type": "source",
        "detector": {"name": "dpkg", "version": "1.0", "dtype": "DETECTOR_D_TYPE_FEATURE"},
        "namespace": {"name": "debian:12", "detector": {"name": "os-release", "version": "1.0", "dtype": "DETECTOR_D_TYPE_NAMESPACE"}},
        "vulnerabilities": [{"name": "CVE-2999-1", "namespace_name": "debian:12", "description": "d", "link": "https://l.example/",
                             "severity": "High", "metadata": '{"NVD":{"x":1}}', "fixed_by": "3.0.2-1"}]}
    order = [(f["name"], f["feature_type"]) for f in get(server, "j")["layers"][0]["detected_features"]]
    assert order == sorted(order)

    assert post(server, "alpine", ("h2", f"{files.url}/alpine")) == 200
    write_vulnerability(server, "CVE-2999-3", "openssl", "3.3.1-r0", "alpine:v3.20")
    assert features(server, "alpine") == [{"libcrypto3=3.3.0-r0": [], "openssl=3.3.0-r0": ["CVE-2999-3"]}]
    f = get(server, "alpine")["layers"][0]["detected_features"][0]
    assert (f["version_format"], f["namespace"]["detector"]["name"]) == ("dpkg", "alpine-release")


def test_at_once(serve, faulty):  # noqa: F811
    """Six posts of one new ancestry, and six others that have a layer in common with it: all are well, and its layers are fetched once."""
    gate = threading.Event()
    base, child, server = faulty(gated(BASE, gate)), faulty(gated(CHILD, gate)), serve()
    own = [faulty(lambda c, r, i=i: c.sendall(head(None) + debian((f"p{i}", "1-1", None)))) for i in range(6)]
    threads, answers = at_once([lambda: post(server, "one", ("b", base.url), ("c", child.url))] * 6 + [
        lambda i=i: post(server, f"other{i}", ("b", base.url), (f"own{i}", own[i].url)) for i in range(6)])
    while not all(s.asked for s in (base, child, *own)):
        time.sleep(0.01)
    gate.set()
    for t in threads:
        t.join()
    assert answers == [200] * 12, (answers, server.text())
    assert [s.asked for s in (base, child, *own)] == [1] * 8
    assert [len(layer) for layer in features(server, "one")] == [3, 2]
    assert [list(layer) for layer in features(server, "other3")] == [[], ["p3=1-1", "p3=1-1*"]]


def test_two_servers(serve, files):
    """Of several servers with one database each does what it is asked for, and all tell the same."""
    first, second = serve(), serve()
    write(files, base=BASE, child=CHILD)
    threads, answers = at_once([lambda s=s: post(s, "one", ("b", f"{files.url}/base"), ("c", f"{files.url}/child"))
                                for s in (first, second) * 3])
    for t in threads:
        t.join()
    assert answers == [200] * 6, first.text() + second.text()
    assert get(first, "one") == get(second, "one") and [len(layer) for layer in features(first, "one")] == [3, 2]


def test_clients_that_vanish(serve, faulty):  # noqa: F811
    """What was begun for them is done all the same."""
    gate = threading.Event()
    server, source = serve(), faulty(gated(BASE, gate))
    body = json.dumps({"ancestry_name": "gone", "format": "docker", "layers": [{"hash": "h", "path": source.url}]}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(b"POST /ancestry HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while not source.asked:
            time.sleep(0.01)
    gate.set()
    end = time.monotonic() + 30
    while server.get("/ancestry/gone").status != 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert post(server, "gone", ("h", source.url)) == 200 and source.asked == 1


def test_kept_replies(serve, files, database):
    """They are told from memory, and never when something in them has changed: layers, vulnerabilities, the time of the newest update."""
    server = serve()
    write(files, base=BASE, child=CHILD)

    def told():
        return server.get("/ancestry/i").json()

    assert post(server, "i", ("b", f"{files.url}/base")) == 200
    first = told()
    assert told() == first and "last_update_time" not in first["status"]
    assert golden_tools.execute(database, "INSERT INTO keyvalue(key, value) VALUES ('updater/last', '1600000000')") == 1
    second = told()
    assert second == first | {"status": first["status"] | {"last_update_time": "2020-09-13T12:26:40Z"}}
    write_vulnerability(server, "CVE-2999-1", "openssl")
    assert told() != second and features(server, "i")[0]["openssl=3.0.1-1*"] == ["CVE-2999-1"]
    assert post(server, "i", ("c", f"{files.url}/child")) == 200 and told()["ancestry"]["layers"][0]["layer"] == {"hash": "c"}
    assert 'eclair_reports_total{kept="yes"} ' in server.get("/metrics").body.decode()


def test_known_layers(serve, files):
    """What is stored is not fetched, whoever brought it; what is called by its digest stands for nothing else."""
    server = serve()
    write(files, base=BASE, child=CHILD)
    assert server.post(sha256(BASE), f"{files.url}/base").status == 201
    assert post(server, "i", (sha256(BASE), f"{files.url}/absent"), ("c", f"{files.url}/child")) == 200
    assert fetched(files) == ["base", "child"]
    assert [len(layer) for layer in features(server, "i")] == [3, 2]

    assert post(server, "k", (sha256(CHILD), f"{files.url}/absent")) == 200  # though nobody has called it so
    assert post(server, "lie", (sha256(b""), f"{files.url}/base")) == (
        400, f"content is {sha256(BASE)}, but it is named {sha256(b'')}")
    # nor can an opaque hash be taken for a digest of the other format
    assert post(server, "aci", ("aci:" + sha256(BASE), f"{files.url}/child")) == 200
    files.requests.clear()
    assert post(server, "same", (sha256(BASE), f"{files.url}/base"), form="ACI") == 200 and fetched(files) == ["base"]
    assert features(server, "same") == [{}]
    assert server.get("/ancestry/lie").status == 404


def test_changed_layers(serve, files):
    """The same layers are not looked at again; others under the same name replace them. Clair 3 kept what it had."""
    server = serve()
    write(files, base=BASE, child=CHILD)
    assert post(server, "i", ("b", f"{files.url}/base")) == 200
    files.requests.clear()
    assert post(server, "i", ("b", "/absent")) == 200 and not files.requests
    assert post(server, "i", ("c", "/absent"), ("b", "/absent")) == (500, DOWNLOAD)
    assert [len(layer) for layer in features(server, "i")] == [5]
    assert post(server, "i", ("b", "/absent"), ("c", f"{files.url}/child")) == 200 and fetched(files) == ["child"]
    assert [len(layer) for layer in features(server, "i")] == [3, 2]
    assert post(server, "i") == 200 and get(server, "i") == {"name": "i"}


def test_no_name(serve, files):
    """An ancestry without a name is called by its layers, and its client is told."""
    server = serve()
    write(files, base=BASE)
    for layers in ([], [{"hash": "a", "path": f"{files.url}/base"}, {"hash": "b", "path": f"{files.url}/base"}]):
        a = server.request("POST", "/ancestry", json.dumps({"format": "docker", "layers": layers}).encode())
        name = hashlib.sha256(",".join(la["hash"] for la in layers).encode()).hexdigest()
        assert (a.status, a.header("Clair-Ancestry-Name")) == (200, name)
        assert len(get(server, name).get("layers", [])) == len(layers)
    assert "an ancestry was posted without a name: it is called by its layers" in server.events()


def test_bad_requests(serve):
    server = serve()
    layer = ("h", "/absent")
    for text, args, more in (
            ("image blob format is not supported", ["a", layer], {"form": "rkt"}),
            ("image blob format is not supported", ["a", layer], {"form": ""}),
            ("ancestry layer hash should not be empty", ["a", ("", ""), layer], {}),
            ("ancestry layer path should not be empty", ["a", ("h", ""), ("", "p")], {}),
            ("an ancestry has at most 1024 layers", ["a"] + [layer] * 1025, {}),
            ("the name of an ancestry has at most 1024 bytes", ["a" * 1025, layer], {}),
            ("the hash of an ancestry layer has at most 1024 bytes", ["a", ("h" * 1025, "p")], {}),
            ("the hash of an ancestry layer should not begin with a control character", ["a", ("\1h", "p")], {}),
            ("an ancestry layer has at most 256 headers",
             ["a", {"hash": "h", "path": "p", "headers": {f"X{i}": "" for i in range(257)}}], {})):
        assert post(server, *args, **more) == (400, text)
    a = server.get("/ancestry/absent")
    assert (a.status, a.json()) == (404, {"error": "requested ancestry 'absent' is not found", "code": 5})


def test_many_layers(serve, files):
    """1,024 of them, the most there may be, of one content under many hashes: each is fetched once, all at once within bounds."""
    server = serve()
    write(files, small=debian(("a", "1-1", None)))
    assert post(server, "many", *[(f"h{i % 100}", f"{files.url}/small") for i in range(1024)]) == 200
    assert len(files.requests) == 100
    found = features(server, "many")
    assert len(found) == 1024 and found[0] == {"a=1-1": [], "a=1-1*": []} and not any(found[1:])


def test_hostile_layers(serve, faulty):  # noqa: F811
    server = serve()
    good = faulty(lambda c, r: c.sendall(head(None) + BASE))
    for i, (what, (behave, status, _)) in enumerate(FAULTS.items()):
        answer = post(server, f"i{i}", ("good", good.url), (f"h{i}", faulty(behave).url))
        assert answer == {201: 200, 400: (500, DOWNLOAD), 422: (500, EXTRACT)}[status], what
        assert server.get(f"/ancestry/i{i}").status == (200 if status == 201 else 404), what
    assert good.asked == 1  # a layer that was read is kept, whatever became of the others
    assert post(server, "folder", ("folder", "/")) == (500, EXTRACT)
    assert post(server, "device", ("device", "/dev/zero")) == (500, DOWNLOAD)
    assert post(server, "metadata", ("metadata", "http://169.254.169.254/latest")) == (500, DOWNLOAD)


def test_first_error_stops_the_rest(serve, faulty):  # noqa: F811
    """Layers that say nothing for a minute are not waited for once another one has failed; whoever else wants them fetches them himself."""
    server, gate, asked = serve(), threading.Event(), threading.Event()

    def slow(connection, request):
        asked.set()
        connection.sendall(head(len(BASE)) + BASE[:100])
        gate.wait(30)
        connection.sendall(BASE[100:])

    def fail(connection, request):
        asked.wait(30)
        connection.sendall(head(0, "404 Not Found"))

    stuck, absent = faulty(slow), faulty(fail)
    threads, answers = at_once([lambda: post(server, "i", *[(f"h{i}", stuck.url) for i in range(5)], ("absent", absent.url))])
    asked.wait(30)
    more, good = at_once([lambda: post(server, "j", ("h0", stuck.url))])
    began = time.monotonic()
    threads[0].join()
    assert answers == [(500, DOWNLOAD)] and time.monotonic() - began < 10
    gate.set()
    more[0].join()
    assert good == [200], server.text()


def test_headers(serve, faulty, files):  # noqa: F811
    """As they were given, letter for letter; what is none is refused."""
    server, seen = serve(), []

    def behave(connection, request):
        seen.append(request)
        connection.sendall(head(None) + BASE)

    given = {"authorization": "Bearer hunter2", "X-oDD": "a b", "X-Empty": ""}
    assert post(server, "i", {"hash": "h", "path": faulty(behave).url, "headers": given}) == 200
    for name, value in given.items():
        assert f"\r\n{name}:{' ' + value if value else ''}\r\n".encode() in seen[0].replace(b": \r\n", b":\r\n")
    for i, headers in enumerate(({"X\r\nY": "1"}, {"X": "1\r\nY: 2"}, {"a b": "1"})):
        assert post(server, "odd", {"hash": f"odd{i}", "path": f"{files.url}/a", "headers": headers}) == (500, DOWNLOAD)
    assert not files.requests and "hunter2" not in server.text()


def test_local_paths(serve, files):
    """Only for clients of this machine, as for REST v1."""
    server = serve()
    write(files, base=BASE)
    assert post(server, "far", ("h", files.folder / "base"), headers=["X-Forwarded-For: 192.0.2.1"]) == (500, DOWNLOAD)
    assert post(server, "near", ("h", files.folder / "base")) == 200


def test_aci(serve, files):
    server = serve()
    write(files, aci=mi.tar([("rootfs/etc/os-release", mi.os_release()),
                             ("rootfs/var/lib/dpkg/status", mi.dpkg_status([("a", "1-1", None)]))]))
    for name, form in (("one", "ACI"), ("two", "docker"), ("three", "aci")):
        assert post(server, name, ("h", f"{files.url}/aci"), form=form) == 200
    assert [len(features(server, n)[0]) for n in ("one", "two", "three")] == [2, 0, 2]
    assert fetched(files) == ["aci", "aci"]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_database_goes(serve, faulty, postgres):  # noqa: F811
    """It fails, tells why in Clair's words, and the same post is well once the database is back."""
    server, gate = serve(), threading.Event()
    source = faulty(gated(BASE, gate))
    threads, answers = at_once([lambda: post(server, "i", ("h", source.url))])
    while not source.asked:
        time.sleep(0.01)
    postgres.stop()
    try:
        gate.set()
        threads[0].join()
        assert answers[0][0] == 500 and "hunter" not in answers[0][1]
        assert post(server, "i", ("h", source.url))[0] == 500
        a = server.get("/ancestry/i")
        assert (a.status, a.json()) == (500, {"error": DATABASE, "code": 13})
    finally:
        postgres.start_again()
    assert post(server, "i", ("h", source.url)) == 200 and len(features(server, "i")[0]) == 5
