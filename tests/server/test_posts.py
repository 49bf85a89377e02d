"""POST /v1/layers with what clients and their networks do wrong: the recorded status and message, never a hang, never a half-stored layer."""
import gzip
import hashlib
import json
import socket
import threading
import time

import golden as golden_tools
import make_images
import pytest
from serving import Listener, exchange

EXTRACT = "tarutil: could not extract the archive"
NOT_FOUND = "could not find layer"
TIMEOUT = "Clair failed to respond within the configured timeout window."


def message(answer):
    return answer.json()["Error"]["Message"]


def debian(names=("demo", "other")):
    return make_images.tar([("etc/os-release", make_images.os_release()),
                            ("var/lib/dpkg/status", make_images.dpkg_status([(n, "1.0-1", None) for n in names]))])


class Faulty(Listener):
    """A server of layers that speaks HTTP/1.1 as badly as a test says: `behave(connection, request bytes)`."""

    def __init__(self, behave):
        self.behave, self.asked = behave, 0
        super().__init__()
        self.url += "/layer"

    def carry(self, connection):
        with connection:
            try:
                self.asked += 1
                self.behave(connection, connection.recv(65536))
            except OSError:
                pass  # the client has enough


@pytest.fixture
def faulty():
    made = []

    def make(behave):
        made.append(Faulty(behave))
        return made[-1]

    yield make
    for f in made:
        f.close()


def head(length=None, status="200 OK"):
    return (f"HTTP/1.1 {status}\r\n" + (f"Content-Length: {length}\r\n" if length is not None else "Connection: close\r\n")
            + "\r\n").encode()


LAYER = debian()
FAULTS = {  # what the other end does -> (status, message)
    "hangs up at once": (lambda c, r: None, 400, NOT_FOUND),
    "no HTTP": (lambda c, r: c.sendall(b"220 ftp.example ready\r\n"), 400, NOT_FOUND),
    "500": (lambda c, r: c.sendall(head(0, "500 Internal Server Error")), 400, NOT_FOUND),
    "204": (lambda c, r: c.sendall(head(None, "204 No Content")), 201, None),
    "promises more than it sends": (lambda c, r: c.sendall(head(len(LAYER) + 99999) + LAYER[:5000]), 422, EXTRACT),
    "sends another thing": (lambda c, r: c.sendall(head(None) + b"<html>" * 1000), 422, EXTRACT),
    "a broken gzip": (lambda c, r: c.sendall(head(None) + gzip.compress(LAYER)[:-9]), 422, EXTRACT),
    "a gzip bomb": (lambda c, r: c.sendall(head(None) + gzip.compress(make_images.tar([("x", b"\0" * 50_000_000)]))), 201, None),
    "redirects for ever": (lambda c, r: c.sendall(head(0, "302 Found").replace(b"\r\n\r\n", b"\r\nLocation: /again\r\n\r\n")),
                           400, NOT_FOUND),
    "redirects to a file": (lambda c, r: c.sendall(head(0, "302 Found").replace(b"\r\n\r\n", b"\r\nLocation: file:///etc/passwd\r\n\r\n")),
                            400, NOT_FOUND),
    "headers without end": (lambda c, r: [c.sendall(b"HTTP/1.1 200 OK\r\n")] + [c.sendall(b"X: " + b"x" * 1000 + b"\r\n")
                                                                             for _ in range(1000)], 400, NOT_FOUND),
}


def test_faults(serve, faulty):
    server = serve()
    for i, (name, (behave, status, text)) in enumerate(FAULTS.items()):
        a = server.post(f"fault{i}", faulty(behave).url)
        assert a.status == status, (name, a)
        assert text is None or message(a) == text, name
        found = server.get(f"/v1/layers/fault{i}").status
        assert found == (200 if status == 201 else 404), name
    assert server.post("good", faulty(lambda c, r: c.sendall(head(len(LAYER)) + LAYER)).url).status == 201
    assert [f["Name"] for f in server.layer("good")["Features"]] == ["demo", "other"]


def test_timeout_and_retry(serve, faulty):
    """Past api.timeout the client is told so; the work goes on, and an identical retry joins it."""
    gate = threading.Event()

    def behave(connection, request):
        connection.sendall(head(len(LAYER)) + LAYER[:1000])
        gate.wait(60)
        connection.sendall(LAYER[1000:])

    slow = faulty(behave)
    server = serve(api="    timeout: 1s\n")
    a = server.post("slow", slow.url)
    assert (a.status, a.json()) == (503, {"Error": {"Message": TIMEOUT, "Type": "Timeout"}})
    assert a.header("Server") is None and not a.body.endswith(b"\n")
    assert server.health().status == 200
    assert server.get("/v1/layers/slow").status == 404  # reads do not wait, and nothing is half there
    threading.Timer(0.3, gate.set).start()
    assert server.post("slow", slow.url).status == 201
    assert slow.asked == 1
    assert [f["Name"] for f in server.layer("slow")["Features"]] == ["demo", "other"]


def test_endless(serve, faulty):
    """An archive that never ends costs one slot of the pool, not the server."""
    stop = threading.Event()

    def behave(connection, request):
        connection.sendall(head(None) + LAYER)
        while not stop.is_set():
            connection.sendall(b"\0" * 65536)
            time.sleep(0.01)

    server = serve(api="    timeout: 1s\n")
    try:
        assert server.post("endless", faulty(behave).url).status == 503
        for i in range(20):
            assert server.get("/v1/layers/x").status == 404
        assert server.health().status == 200
        assert server.get("/v1/layers/endless").status == 404
    finally:
        stop.set()


def test_lying_names(serve, files):
    """A name that is a digest is believed only of the bytes that have it."""
    server = serve()
    (files.folder / "layer.tar").write_bytes(LAYER)
    right = "sha256:" + hashlib.sha256(LAYER).hexdigest()
    a = server.post("sha256:" + "0" * 64, files.url + "/layer.tar")
    assert a.status == 422 and right in message(a) and "named" in message(a)
    assert server.get("/v1/layers/sha256:" + "0" * 64).status == 404
    assert server.post(right, files.url + "/layer.tar").status == 201
    assert server.layer(right.replace(":", "%3A"))["Name"] == right


def gated(content, gate):
    def behave(connection, request):
        gate.wait(30)
        connection.sendall(head(len(content)) + content)
    return behave


def test_same_layer_at_once(serve, faulty):
    """Twenty clients with one new layer: all get 201, the bytes are asked for once."""
    gate = threading.Event()
    source, server, answers = faulty(gated(LAYER, gate)), serve(), []
    threads = [threading.Thread(target=lambda: answers.append(server.post("one", source.url).status)) for _ in range(20)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    gate.set()
    for t in threads:
        t.join()
    assert answers == [201] * 20 and source.asked == 1
    assert len(server.layer("one")["Features"]) == 2


def test_parent_is_replaced_meanwhile(serve, faulty, files):
    """While a layer is fetched its parent is deleted and posted anew with other content: it stands on the new one, and what others
    made of the old one stays as it was."""
    server, gate = serve(), threading.Event()
    old = make_images.tar([("etc/os-release", make_images.os_release()),
                           ("var/lib/dpkg/status.d/old", make_images.dpkg_status([("old", "1.0-1", None)]))])
    new = make_images.tar([("etc/os-release", make_images.os_release()),
                           ("var/lib/dpkg/status.d/new", make_images.dpkg_status([("new", "2.0-1", None)]))])
    child = make_images.tar([("var/lib/dpkg/status.d/child", make_images.dpkg_status([("child", "1.0-1", None)]))])
    for name, content in (("old", old), ("new", new), ("child", child)):
        (files.folder / f"{name}.tar").write_bytes(content)
    server.post_chain(["mine", "mine-child"], [f"{files.url}/old.tar", f"{files.url}/child.tar"])
    assert server.post("base", f"{files.url}/old.tar").status == 201
    source, answers = faulty(gated(child, gate)), []
    t = threading.Thread(target=lambda: answers.append(server.post("late", source.url, "base").status))
    t.start()
    while not source.asked:
        time.sleep(0.01)
    assert server.request("DELETE", "/v1/layers/base").status == 200
    assert server.post("base", f"{files.url}/new.tar").status == 201
    gate.set()
    t.join()
    assert answers == [201]
    names = {n: [f["Name"] for f in server.layer(n)["Features"]] for n in ("late", "mine-child", "mine", "base")}
    assert names == {"late": ["child", "new"], "mine-child": ["child", "old"], "mine": ["old"], "base": ["new"]}


def test_parent_goes_meanwhile(serve, faulty, files):
    server, gate = serve(), threading.Event()
    (files.folder / "a.tar").write_bytes(LAYER)
    assert server.post("base", f"{files.url}/a.tar").status == 201
    source, answers = faulty(gated(LAYER, gate)), []
    t = threading.Thread(target=lambda: answers.append(server.post("late", source.url, "base")))
    t.start()
    while not source.asked:
        time.sleep(0.01)
    assert server.request("DELETE", "/v1/layers/base").status == 200
    gate.set()
    t.join()
    assert (answers[0].status, message(answers[0])) == (400, "worker: parent layer is unknown, it must be processed first")
    assert server.get("/v1/layers/late").status == 404


def test_engine_upgrade_keeps_its_parent(serve, files, database):
    """A layer of an older engine is made anew where it stands, whatever parent the new request names."""
    server = serve()
    for name in ("one", "two", "child"):
        (files.folder / f"{name}.tar").write_bytes(make_images.tar(
            [("etc/os-release", make_images.os_release()),
             (f"var/lib/dpkg/status.d/{name}", make_images.dpkg_status([(name, "1.0-1", None)]))]))
    server.post_chain(["one", "child"], [f"{files.url}/one.tar", f"{files.url}/child.tar"])
    assert server.post("two", f"{files.url}/two.tar").status == 201
    golden_tools.make_old(database, "child")
    assert server.post("child", f"{files.url}/child.tar", "two").status == 201
    layer = server.layer("child")
    assert (layer["ParentName"], layer["IndexedByVersion"]) == ("one", 3)
    assert [f["Name"] for f in layer["Features"]] == ["child", "one"]


def test_parent_of_another_version(serve, files, database):
    """What an older éclair read of a layer is shown as it is, but nothing is built on it: clients post the parent again."""
    server = serve()
    for name in ("base", "child"):
        (files.folder / f"{name}.tar").write_bytes(make_images.tar(
            [("etc/os-release", make_images.os_release()),
             (f"var/lib/dpkg/status.d/{name}", make_images.dpkg_status([(name, "1.0-1", None)]))]))
    (files.folder / "empty.tar").write_bytes(bytes(1024))
    assert server.post("base", f"{files.url}/base.tar").status == 201
    assert golden_tools.execute(database, "UPDATE layer SET indexer = 1") == 1
    assert [f["Name"] for f in server.layer("base")["Features"]] == ["base"]
    for i, path in enumerate(("child", "empty")):
        a = server.post(f"child{i}", f"{files.url}/{path}.tar", "base")
        assert (a.status, message(a)) == (400, "worker: parent layer is unknown, it must be processed first")
    server.post_chain(["base", "child0"], [f"{files.url}/base.tar", f"{files.url}/child.tar"])
    assert [f["Name"] for f in server.layer("child0")["Features"]] == ["base", "child"]


def test_too_many_ancestors(serve, files):
    """What brings nothing counts too; what is refused leaves nothing behind, and the last that is not can be read."""
    server = serve()
    (files.folder / "a.tar").write_bytes(LAYER)
    (files.folder / "empty.tar").write_bytes(bytes(1024))
    names = [f"l{i}" for i in range(1025)]
    server.post_chain(names, [f"{files.url}/a.tar"] + [f"{files.url}/empty.tar"] * 1024)
    a = server.post("over", f"{files.url}/empty.tar", "l1024")
    assert a.status == 422, a
    assert server.get("/v1/layers/over").status == 404
    assert len(server.layer("l1024")["Features"]) == 2


def test_same_layer_on_two_servers(serve, files):
    """Two servers on one database: the loser gets 201 too."""
    first, second = serve(), serve()
    for i in range(5):
        (files.folder / f"{i}.tar").write_bytes(debian([f"p{i}-{k}" for k in range(50)]))
    answers = []

    def post(server):
        answers.extend(server.post(f"layer{i}", f"{files.url}/{i}.tar").status for i in range(5))

    threads = [threading.Thread(target=post, args=(s,)) for s in (first, second, first, second)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [201] * 20, first.text() + second.text()
    for i in range(5):
        assert len(first.layer(f"layer{i}")["Features"]) == 50
        assert first.layer(f"layer{i}") == second.layer(f"layer{i}")


def test_clients_that_vanish(serve, faulty):
    """The client goes away while its layer is read: the layer is stored all the same, the server lives."""
    gate = threading.Event()
    server, source = serve(), faulty(gated(LAYER, gate))
    body = json.dumps({"Layer": {"Name": "gone", "Path": source.url, "Format": "Docker"}}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(b"POST /v1/layers HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while not source.asked:
            time.sleep(0.01)
    with socket.create_connection(("127.0.0.1", server.port)) as s:  # and one in the middle of its request
        s.sendall(b"POST /v1/layers HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
    gate.set()
    end = time.monotonic() + 30
    while server.get("/v1/layers/gone").status != 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert len(server.layer("gone")["Features"]) == 2


def test_local_paths(serve, tmp_path):
    """Without a list only clients of this machine, with one only what lies below; regular files only, whatever the link says."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.tar").write_bytes(LAYER)
    (inside / "link.tar").symlink_to(outside / "a.tar")
    free = serve()
    assert free.post("a", inside / "a.tar").status == 201
    body = json.dumps({"Layer": {"Name": "proxied", "Path": str(inside / "a.tar"), "Format": "Docker"}}).encode()
    a = free.request("POST", "/v1/layers", body, ["X-Forwarded-For: 192.0.2.1"])
    assert (a.status, message(a)) == (400, NOT_FOUND)
    for path in ("/dev/zero", "/dev/null", str(tmp_path / "nothing"), "/etc/passwd\0.tar", ""):
        assert free.post("odd", path).status in (400, 422), path
    assert free.get("/v1/layers/odd").status == 404

    bound = serve(api=f"    localpaths: [{inside}]\n")
    assert bound.post("b", inside / "a.tar").status == 201
    for path in (outside / "a.tar", inside / "link.tar", f"{inside}/../outside/a.tar"):
        a = bound.post("c", path)
        assert (a.status, message(a)) == (400, NOT_FOUND), path


def test_link_local_addresses(serve):
    a = serve().post("metadata", "http://169.254.169.254/latest/meta-data")
    assert (a.status, message(a)) == (400, NOT_FOUND)


def test_odd_headers(serve, files):
    """What is no header would be another line of the request; Host has no effect."""
    server = serve()
    (files.folder / "a.tar").write_bytes(LAYER)
    for i, headers in enumerate(({"X\r\nY": "1"}, {"X": "1\r\nY: 2"}, {"": "1"}, {"a b": "1"}, {"X": "\x00"})):
        a = server.post(f"odd{i}", files.url + "/a.tar", headers=headers)
        assert (a.status, message(a)) == (400, NOT_FOUND), headers
    assert not files.requests
    assert server.post("host", files.url + "/a.tar", headers={"Host": "other.example", "X-Empty": ""}).status == 201
    path, got = files.requests[0]
    assert got["Host"].startswith("127.0.0.1") and got["X-Empty"] == ""
    of_the_connection = {"Content-Length": "5", "transfer-encoding": "chunked", "Trailer": "X"}
    assert server.post("ours", files.url + "/a.tar", headers=of_the_connection | {"X-Two": "2"}).status == 201
    got = files.requests[1][1]
    assert got["X-Two"] == "2" and not {k.lower() for k in of_the_connection} & {k.lower() for k in got}


def test_longest_packages(serve, files):
    """What one store's index could not hold is skipped by both; just below that it is kept by both."""
    server = serve()
    def stanza(name, size):
        source = f"{'s' * size} ({'2' * size})" if size else name
        return (f"Package: {name * max(size, 1)}\nStatus: install ok installed\nArchitecture: {'a' * min(size, 490)}\n"
                f"Version: {'1' * max(size, 1)}\nSource: {source}\n\n")
    text = stanza("x", 500) + stanza("y", 405) + stanza("z", 0)
    (files.folder / "long.tar").write_bytes(make_images.tar([("etc/os-release", make_images.os_release()),
                                                             ("var/lib/dpkg/status", text.encode())]))
    assert server.post("long", files.url + "/long.tar").status == 201
    assert [f["Name"][:1] for f in server.layer("long")["Features"]] == ["s", "z"]


def test_secrets_stay_out_of_the_log(serve, files):
    server = serve()
    (files.folder / "bad.tar").write_bytes(b"<html>" * 1000)
    for i, path in enumerate((f"http://user:hunter2@127.0.0.1:{files.port}/bad.tar?X-Amz-Signature=hunter2#hunter2",
                              f"http://127.0.0.1:{files.port}?token=hunter2/@x", f"http://hunter2@127.0.0.1:{files.port}")):
        assert server.post(f"l{i}", path, headers={"Authorization": "Bearer hunter2"}).status in (400, 422)
    text = server.text()
    assert "hunter2" not in text and f'"path":"http://127.0.0.1:{files.port}/bad.tar"' in text


def test_long_answers_are_joined(serve, faulty):
    """Who waits for the same post gets the whole of its answer."""
    gate, server, answers = threading.Event(), serve(), []
    source = faulty(gated(LAYER, gate))
    form = "ü" * 600

    def post():
        answers.append(server.post("one", source.url, form=form))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    gate.set()
    for t in threads:
        t.join()
    assert {(a.status, message(a)) for a in answers} == {(400, f"unsupported image format '{form}'")}


def test_names(serve, files):
    """Names are text of any kind; what cannot be addressed cannot be read back, but never breaks anything."""
    server = serve()
    (files.folder / "a.tar").write_bytes(LAYER)
    for name, path in (("a b+c", "a%20b+c"), ("ü", "%C3%BC"), ("x" * 1024, "x" * 1024), ("a%b", "a%25b"), ("'\"<>&", "'%22%3C%3E&")):
        assert server.post(name, files.url + "/a.tar").status == 201, name
        assert server.layer(path)["Name"] == name
    a = server.post("x" * 1025, files.url + "/a.tar")
    assert a.status == 400 and "1024" in message(a)
    for path in ("%00", "%zz", "a%2Fb", "%"):
        assert server.get(f"/v1/layers/{path}").status == 404, path


def test_delete(serve, files):
    """A layer goes with all that stands on it, and what it stands on stays."""
    server = serve()
    (files.folder / "a.tar").write_bytes(LAYER)
    names = [f"l{i}" for i in range(4)]
    server.post_chain(names, [files.url + "/a.tar"] * 4)
    assert server.post("side", files.url + "/a.tar", "l0").status == 201
    a = server.request("DELETE", "/v1/layers/l1")
    assert (a.status, a.body, a.header("Server"), a.header("Content-Length")) == (200, b"", None, "0")
    assert [server.get(f"/v1/layers/{n}").status for n in [*names, "side"]] == [200, 404, 404, 404, 200]
    a = server.request("DELETE", "/v1/layers/l1")
    assert (a.status, message(a)) == (404, "the resource cannot be found")
    assert server.post("l3", files.url + "/a.tar", "l2").status == 400  # its parent is gone


def test_aci(serve, files):
    """appc: the root file system lies below rootfs/; the old server found nothing there."""
    server = serve()
    (files.folder / "aci.tar").write_bytes(make_images.tar(
        [("manifest", b"{}"), ("rootfs/etc/os-release", make_images.os_release()),
         ("rootfs/var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))]))
    assert server.post("aci", files.url + "/aci.tar", form="ACI").status == 201
    assert [f["Name"] for f in server.layer("aci")["Features"]] == ["demo"]
    assert server.post("docker", files.url + "/aci.tar").status == 201  # the same bytes as the other format
    assert "Features" not in server.layer("docker")


def test_near_misses(serve):
    """Redirects keep the /v1 that the old server lost; what is no route is 404."""
    server = serve()
    for path, status, to in (("/v1//layers/x", 301, "/v1/layers/x"), ("/v1/layers/x/", 301, "/v1/layers/x"),
                             ("/v1/a/../layers/x", 301, "/v1/layers/x"), ("/v1layers", 404, None), ("//v1/layers/x", 404, None),
                             ("/V1/layers/x", 404, None), ("/", 404, None), ("/v1", 404, None)):
        a = server.get(path)
        assert (a.status, a.header("Location")) == (status, to), path
    assert server.request("DELETE", "/v1/layers/x/").status == 307
    assert server.request("PUT", "/v1/layers").status == 405
    absolute = exchange(server.port, b"GET http://clair.example:6060/v1/layers/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert absolute.status == 404 and message(absolute) == "the resource cannot be found"
