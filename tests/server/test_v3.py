"""API v3 as its clients have it: gRPC by Python's and Go's libraries, and the same over REST."""
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import grpc
import helpers
import pytest
import serving
import test_notifications as tn
import test_tls
from google.protobuf import descriptor_pb2, json_format
from test_tls import ca, pair  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "src/api/proto"
CLAIR = "coreos.clair."
SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database does not matter
MESSAGES = {  # method -> its service, request, reply
    "GetAncestry": ("AncestryService", "GetAncestryRequest", "GetAncestryResponse"),
    "PostAncestry": ("AncestryService", "PostAncestryRequest", "PostAncestryResponse"),
    "GetStatus": ("StatusService", "GetStatusRequest", "GetStatusResponse"),
    "GetNotification": ("NotificationService", "GetNotificationRequest", "GetNotificationResponse"),
    "MarkNotificationAsRead": ("NotificationService", "MarkNotificationAsReadRequest", "MarkNotificationAsReadResponse"),
}


@pytest.fixture(scope="session")
def pb(tmp_path_factory):
    """Modules of our .proto files, as a client's author makes them."""
    folder = tmp_path_factory.mktemp("messages")
    subprocess.run(["protoc", f"-I{PROTO}", "-I/usr/include", f"--python_out={folder}", *map(str, PROTO.rglob("*.proto"))], check=True)
    sys.path.insert(0, str(folder))
    import clair_pb2
    import importlib.util

    def load(name):
        spec = importlib.util.spec_from_file_location(name.replace("/", "_"), folder / f"{name}_pb2.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    clair_pb2.health = load("grpc/health/v1/health")
    clair_pb2.reflection = {v: load(f"grpc/reflection/{v}/reflection") for v in ("v1", "v1alpha")}
    return clair_pb2


class Client:
    def __init__(self, pb, port, credentials=None, **options):
        self.pb, self.address = pb, f"localhost:{port}"
        self.channel = (grpc.secure_channel(self.address, credentials, **options) if credentials else
                        grpc.insecure_channel(f"127.0.0.1:{port}", **options))

    def method(self, name, /):
        service, request, reply = MESSAGES[name]
        return self.channel.unary_unary(f"/{CLAIR}{service}/{name}", getattr(self.pb, request).SerializeToString,
                                        getattr(self.pb, reply).FromString), getattr(self.pb, request)

    def call(self, method, /, timeout=60, metadata=None, **fields):
        run, request = self.method(method)
        return run(request(**fields), timeout=timeout, metadata=metadata)

    def fail(self, method, /, **fields):
        """(code, text) of a call that must not succeed."""
        with pytest.raises(grpc.RpcError) as e:
            self.call(method, **fields)
        return e.value.code().name, e.value.details()

    def raw(self, path, message, timeout=60):
        """Bytes to bytes, or (code, text)."""
        try:
            return self.channel.unary_unary(path)(message, timeout=timeout)
        except grpc.RpcError as e:
            return e.code().name, e.details()

    def post(self, name, *layers, **more):
        return self.call("PostAncestry", ancestry_name=name, format="Docker",
                         layers=[{"hash": h, "path": str(path)} for h, path in layers], **more)


@pytest.fixture
def client(pb):
    made = []

    def make(server, *args, **options):
        made.append(Client(pb, server.port, *args, **options))
        return made[-1]

    yield make
    for c in made:
        c.channel.close()


def plain(message):
    """As REST shows it."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def rest(server, method, target, body=None, status=200, headers=()):
    a = server.request(method, target, json.dumps(body).encode() if body is not None else b"", headers=headers)
    assert a.status == status, a
    return a.json()


def without_tokens(notification):
    for side in ("old", "new"):
        for key in ("current_page", "next_page"):
            notification["notification"].get(side, {}).pop(key, None)
    return notification


@pytest.fixture
def images(serve, client, files, database):
    """A server with three images that have a vulnerable package, one that has a fixed one, and the notification."""
    server = serve()
    c = client(server)
    for name in ("a", "b", "c"):
        c.post(name, (f"h-{name}", tn.layer(files, name, "1.0-1", [(f"other-{name}", "1", None)])))
    c.post("fixed", ("h-fixed", tn.layer(files, "fixed", "2.0-1")))
    tn.write(server, "POST", "", tn.VULNERABILITY)
    (server.notification,) = tn.wait_names(database, 1)
    return server, c


# ---- every method, and that both faces say the same ----

def test_ancestry(images):
    server, c = images
    got = c.call("GetAncestry", ancestry_name="a")
    (layer,) = got.ancestry.layers
    assert (got.ancestry.name, layer.layer.hash) == ("a", "h-a")
    demo = {f.feature_type: f for f in layer.detected_features if f.name == "demo"}
    assert set(demo) == {"source", "binary"} and len(layer.detected_features) == 4
    (v,) = demo["source"].vulnerabilities
    assert (v.name, v.namespace_name, v.severity, v.fixed_by, v.description) == ("CVE-2999-7", "debian:9", "High", "2.0-1", "a test")
    assert demo["source"].namespace.name == "debian:9" and demo["source"].namespace.detector.name == "os-release"
    assert rest(server, "GET", "/ancestry/a?with_vulnerabilities=true&with_features=true") == plain(got)
    assert not any(f.vulnerabilities for f in c.call("GetAncestry", ancestry_name="fixed").ancestry.layers[0].detected_features)


def test_status(images):
    server, c = images
    got = c.call("GetStatus")
    names = [(d.name, d.version, d.dtype) for d in got.status.detectors]
    assert names == [("apk", "1.0", 2), ("dpkg", "1.0", 2), ("module-rpm", "1.0", 2), ("rpm", "1.1", 2), ("alpine-release", "1.0", 1),
                     ("apt-sources", "1.0", 1), ("lsb-release", "1.0", 1), ("os-release", "1.0", 1), ("redhat-release", "1.0", 1)]
    assert not got.status.HasField("last_update_time")
    assert rest(server, "GET", "/status") == plain(got)


def test_notification(images):
    server, c = images
    got = c.call("GetNotification", name=server.notification, limit=10).notification
    assert got.name == server.notification and int(got.created) > 0 and not got.notified and not got.deleted
    assert not got.HasField("old") and got.new.limit == 10 and got.new.current_page and not got.new.next_page
    assert (got.new.vulnerability.name, got.new.vulnerability.fixed_by) == ("CVE-2999-7", "")
    assert [a.name for a in got.new.ancestries] == ["a", "b", "c"]
    assert [a.index for a in got.new.ancestries] == sorted({a.index for a in got.new.ancestries})
    answer = rest(server, "GET", f"/notifications/{server.notification}?limit=10")
    assert without_tokens(answer) == without_tokens({"notification": plain(got)})


def test_pages(images, database):
    """Each side pages on its own; with its own last token a side stays where it is."""
    server, c = images
    tn.write(server, "PUT", "/CVE-2999-7", {"Severity": "Low"})
    name = tn.wait_names(database, 2)[1]
    seen, pages = [], {"old_vulnerability_page": "", "new_vulnerability_page": ""}
    for _ in range(3):
        n = c.call("GetNotification", name=name, limit=1, **pages).notification
        assert [a.name for a in n.old.ancestries] == ["a"]
        assert (n.old.vulnerability.severity, n.new.vulnerability.severity) == ("High", "Low")
        seen += [a.name for a in n.new.ancestries]
        pages = {"old_vulnerability_page": n.old.current_page, "new_vulnerability_page": n.new.next_page}
    assert seen == ["a", "b", "c"] and not n.new.next_page
    page = urllib.parse.quote(n.old.next_page)
    for parameter in ("old_vulnerability_page", "oldVulnerabilityPage"):
        side = rest(server, "GET", f"/notifications/{name}?limit=2&{parameter}={page}&nope=1")["notification"]["old"]
        assert [a["name"] for a in side["ancestries"]] == ["b", "c"]


def test_read_notification(images):
    server, c = images
    assert c.call("MarkNotificationAsRead", name=server.notification).ByteSize() == 0
    text = f"requested notification '{server.notification}' is not found"
    assert c.fail("MarkNotificationAsRead", name=server.notification) == ("NOT_FOUND", text)
    assert rest(server, "DELETE", f"/notifications/{server.notification}", status=404) == {"error": text, "code": 5}
    assert int(c.call("GetNotification", name=server.notification, limit=1).notification.deleted) > 0


@SQLITE
def test_page_tokens(images, serve, client):
    """Of another server's key, of REST v1, cut, none at all."""
    server, c = images
    other = client(serve())  # keys are made when none is configured
    name, bad = server.notification, ("INTERNAL", "clair error reason: 'invalid or expired pagination token'")
    token = c.call("GetNotification", name=name, limit=1).notification.new.next_page
    assert c.call("GetNotification", name=name, limit=1, new_vulnerability_page=token).notification.new.ancestries[0].name == "b"
    assert other.fail("GetNotification", name=name, limit=1, new_vulnerability_page=token) == bad
    v1 = server.get(f"/v1/notifications/{name}?limit=0").json()["Notification"]["Page"]
    for page in ("zzz", "gA==", token[:-4], token + "=", "A" * 10000):
        assert c.fail("GetNotification", name=name, limit=1, old_vulnerability_page=page) == bad
        target = f"/notifications/{name}?limit=1&old_vulnerability_page={urllib.parse.quote(page)}"
        assert rest(server, "GET", target, status=500) == {"error": bad[1], "code": 13}
    assert c.call("GetNotification", name=name, limit=1, new_vulnerability_page=v1).notification.new.ancestries[0].name == "a"


# ---- what is wrong with a call ----

@SQLITE
def test_refused(images):
    server, c = images
    not_found = "requested ancestry 'nobody' is not found"
    for method, fields, code, text in (
            ("GetAncestry", {}, "INVALID_ARGUMENT", "ancestry name should not be empty"),
            ("GetAncestry", {"ancestry_name": "nobody"}, "NOT_FOUND", not_found),
            ("PostAncestry", {}, "INVALID_ARGUMENT", "image blob format is not supported"),
            ("PostAncestry", {"format": "aci", "layers": [{"path": "x"}]}, "INVALID_ARGUMENT", "ancestry layer hash should not be empty"),
            ("PostAncestry", {"format": "docker", "layers": [{"hash": "x"}]}, "INVALID_ARGUMENT", "ancestry layer path should not be empty"),
            ("PostAncestry", {"format": "docker", "layers": [{"hash": "x", "path": "/nowhere"}]}, "INTERNAL",
             "clair error reason: 'failed to download layer blob.'"),
            ("GetNotification", {"limit": 1}, "INVALID_ARGUMENT", "notification name should not be empty"),
            ("GetNotification", {"name": "x"}, "INVALID_ARGUMENT", "notification page limit should not be empty or less than 1"),
            ("GetNotification", {"name": "x", "limit": -2147483648}, "INVALID_ARGUMENT",
             "notification page limit should not be empty or less than 1"),
            ("GetNotification", {"name": "é\n%", "limit": 1}, "NOT_FOUND", "requested notification 'é\n%' is not found"),
            ("MarkNotificationAsRead", {}, "INVALID_ARGUMENT", "notification name should not be empty")):
        assert c.fail(method, **fields) == (code, text), method


@SQLITE
def test_no_message(images):
    """Bytes that are none, texts that may not be, and more than 4 MiB."""
    server, c = images
    path = f"/{CLAIR}AncestryService/GetAncestry"
    broken = "grpc: error unmarshalling request: "
    for message, code, text in ((b"\x0a", "INTERNAL", broken + "unexpected EOF"), (b"\x0a\x05ab", "INTERNAL", broken),
                                (b"\x0b", "INTERNAL", broken), (b"\x08\x01", "INTERNAL", broken),
                                (b"\x0a\x01\xff", "INTERNAL", broken + "ancestry_name: string field contains invalid UTF-8"),
                                (b"\x0a\x01\x00", "INVALID_ARGUMENT", "ancestry_name: a text with a NUL byte"),
                                (b"\x7a\x01x", "INVALID_ARGUMENT", "ancestry name should not be empty"),  # a field of the future
                                (b"\x0a\x80\x80\x80\x02" + b"x" * (4 << 20), "RESOURCE_EXHAUSTED", "")):
        got = c.raw(path, message)
        assert got[0] == code and got[1].startswith(text), (message[:10], got)
    many = b"\x1a\x00" * (2 << 20)  # empty layers: small on the wire
    got = c.raw(f"/{CLAIR}AncestryService/PostAncestry", many)
    assert got[0] in ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"), got
    assert c.call("GetStatus").status.detectors


@SQLITE
def test_no_method(serve, client):
    server = serve()
    c = client(server)
    assert c.raw("/coreos.clair.StatusService/Nope", b"") == ("UNIMPLEMENTED", "unknown method Nope for service coreos.clair.StatusService")
    assert c.raw("/coreos.nobody.X/Y", b"") == ("UNIMPLEMENTED", "unknown service coreos.nobody.X")
    assert c.raw("/nothing", b"")[0] == "UNIMPLEMENTED"
    url = f"http://127.0.0.1:{server.port}/{CLAIR}StatusService/GetStatus"
    for kind in ("application/json", "application/grpc-web", "text/plain"):
        r = test_tls.run("curl", "-sS", "--http2-prior-knowledge", "-H", f"content-type: {kind}", "-d", "x", "-o", "/dev/null", "-w", "%{http_code}", url)
        assert r.stdout == b"415"
    assert server.request("POST", f"/{CLAIR}StatusService/GetStatus", b"", ["Content-Type: application/grpc"]).status == 415
    assert server.get(f"/{CLAIR}StatusService/GetStatus").status == 405


# ---- the transport ----

@SQLITE
def test_client_certificates(serve, client, ca, pair):  # noqa: F811
    server = test_tls.start(serve, pair, ca)
    key_pair = ca.sign("client", "clientAuth")
    credentials = grpc.ssl_channel_credentials(ca.cert.read_bytes(), key_pair[1].read_bytes(), key_pair[0].read_bytes())
    assert client(server, credentials).call("GetStatus").status.detectors
    stranger = client(server, grpc.ssl_channel_credentials(ca.cert.read_bytes()))
    assert stranger.fail("GetStatus", timeout=20)[0] == "UNAVAILABLE"
    status, http, body = test_tls.curl(server, ca, "/status", "--cert", key_pair[0], "--key", key_pair[1])
    assert (status, http) == (200, "2") and json.loads(body)["status"]["detectors"]


@SQLITE
def test_gzip(images, client):
    server, c = images
    packed = client(server, compression=grpc.Compression.Gzip)
    assert packed.call("GetAncestry", ancestry_name="a") == c.call("GetAncestry", ancestry_name="a")
    r = server.get("/ancestry/a", headers=["Accept-Encoding: gzip"])
    assert r.header("Content-Encoding") == "gzip"


@SQLITE
def test_one_connection(images):
    """Many calls, at once and one after the other."""
    server, c = images
    run, request = c.method("GetAncestry")
    futures = [run.future(request(ancestry_name="abc"[i % 3]), timeout=60) for i in range(60)]
    assert [f.result().ancestry.name for f in futures] == ["abc"[i % 3] for i in range(60)]
    peers = {v["remote addr"] for v in server.lines() if "AncestryService" in v.get("request uri", "")}
    assert len(peers) == 1


@pytest.fixture
def slow(files):
    """Layers that come only when they are let go."""
    go, came, answer = threading.Event(), threading.Event(), files.answer

    def wait(handler):
        came.set()
        assert go.wait(60)
        answer(handler)

    files.answer = wait
    files.came, files.go = came, go
    yield files
    go.set()


@SQLITE
def test_deadline(serve, client, slow):
    """The client is told when its time is over; the work goes on."""
    server = serve()
    c = client(server)
    tn.layer(slow, "late", "1.0-1")
    began = time.monotonic()
    body = {"ancestry_name": "late", "format": "Docker", "layers": [{"hash": "h", "path": f"{slow.url}/late"}]}
    answer = rest(server, "POST", "/ancestry", body, status=408, headers=["Grpc-Timeout: 300m"])
    assert answer == {"error": "context deadline exceeded", "code": 4}
    run, request = c.method("PostAncestry")
    with pytest.raises(grpc.RpcError) as e:
        run(json_format.ParseDict(body, request()), timeout=0.3)
    assert e.value.code().name == "DEADLINE_EXCEEDED" and time.monotonic() - began < 30
    slow.go.set()
    test_tls.eventually(lambda: server.get("/ancestry/late").status == 200)


@SQLITE
def test_cancel(serve, client, slow):
    server = serve()
    c = client(server)
    tn.layer(slow, "gone", "1.0-1")
    run, request = c.method("PostAncestry")
    f = run.future(request(ancestry_name="gone", format="Docker", layers=[{"hash": "h", "path": f"{slow.url}/gone"}]))
    assert slow.came.wait(30)
    f.cancel()
    assert c.call("GetStatus").status.detectors
    slow.go.set()
    test_tls.eventually(lambda: server.get("/ancestry/gone").status == 200)


@SQLITE
def test_stop(serve, client, slow):
    """A call that runs is answered; a watch is ended."""
    server = serve()
    c = client(server)
    tn.layer(slow, "last", "1.0-1")
    run, request = c.method("PostAncestry")
    f = run.future(request(ancestry_name="last", format="Docker", layers=[{"hash": "h", "path": f"{slow.url}/last"}]))
    watch = watch_health(c)
    assert next(watch).status == 1 and slow.came.wait(30)
    server.process.terminate()
    with pytest.raises(grpc.RpcError) as e:
        list(watch)
    assert e.value.code().name == "UNAVAILABLE"
    slow.go.set()
    assert f.result().status.detectors
    assert server.process.wait(60) == 0


@SQLITE
def test_writing(serve, client, files):
    """`readonly` and the token hold for what changes something."""
    path = tn.layer(files, "x", "1.0-1")
    server = serve(api="    token: secret\n")
    c = client(server)
    assert c.call("GetStatus").status.detectors
    assert c.fail("MarkNotificationAsRead", name="x") == ("UNAUTHENTICATED", "a token is needed to change anything")
    assert c.fail("PostAncestry", metadata=[("authorization", "Bearer wrong")])[0] == "UNAUTHENTICATED"
    c.post("x", ("h", path), metadata=[("authorization", "Bearer secret")])
    a = server.request("POST", "/ancestry", b"{}")
    assert (a.status, a.json()["code"], a.header("WWW-Authenticate")) == (401, 16, "Bearer")
    body = {"format": "docker", "layers": [{"hash": "h", "path": str(path)}]}
    a = server.request("POST", "/ancestry", json.dumps(body).encode(), ["Authorization: Bearer secret"])
    assert a.status == 200 and server.get(f"/ancestry/{a.header('Clair-Ancestry-Name')}").status == 200
    run, request = c.method("PostAncestry")
    _, call = run.with_call(json_format.ParseDict(body, request()), metadata=[("authorization", "bearer secret")])
    assert dict(call.initial_metadata())["clair-ancestry-name"] == a.header("Clair-Ancestry-Name")
    server.stop()
    server = serve(api="    readonly: true\n")
    c = client(server)
    assert c.call("GetAncestry", ancestry_name="x").ancestry.name == "x"
    assert c.fail("PostAncestry") == ("PERMISSION_DENIED", "this server is read-only")
    assert rest(server, "DELETE", "/notifications/x", status=403) == {"error": "this server is read-only", "code": 7}


# ---- REST ----

@SQLITE
def test_names(images, files):
    """Any name can be posted and asked for: Clair could not with a colon or a slash in it."""
    server, c = images
    path = tn.layer(files, "n", "1.0-1")
    for name in ("sha256:abc", "library/debian:9", "a b%", "é", "x?y#z", "..", "a/../b"):
        rest(server, "POST", "/ancestry", {"ancestry_name": name, "format": "docker", "layers": [{"hash": "n", "path": str(path)}]})
        assert rest(server, "GET", f"/ancestry/{urllib.parse.quote(name, safe=':')}")["ancestry"]["name"] == name
        assert c.call("GetAncestry", ancestry_name=name).ancestry.name == name
    assert server.get("/ancestry/a/b").body == b"Not Found\n"
    for target in ("/ancestry/%zz", "/ancestry/%", "/ancestry/a%00b", "/ancestry/%ff", "/notifications/x?limit=%zz"):
        assert rest(server, "GET", target, status=400)["code"] == 3, target


@SQLITE
def test_bodies(serve):
    server = serve()

    def error(text, status=400):
        a = server.request("POST", "/ancestry", text if isinstance(text, bytes) else text.encode())
        assert a.status == status and a.header("Content-Type") == "application/json", a
        return a.json()["error"]

    no_format, unmarshal = "image blob format is not supported", "json: cannot unmarshal "
    for text in ("", " ", "null", "{}", '{"format": null, "nope": [{"a": {}}]}', '{"format": "rkt"} and more', '{"layers": [], "layers": null}'):
        assert error(text) == no_format, text
    for text, why in (("{", "unexpected EOF"), ('{"format": "do', "unexpected EOF"), ("5", unmarshal + "number"), ("[]", unmarshal + "array"),
                      ('{"format": 1}', unmarshal + "number into Go value of type string"), ('{"format": {}}', unmarshal + "object"),
                      ('{"layers": {}}', unmarshal + "object"), ('{"layers": [null]}', unmarshal + "null"), ('{"layers": [true]}', unmarshal + "bool"),
                      ('{"layers": [{"headers": []}]}', unmarshal + "array"), ('{"layers": [{"headers": {"a": 5}}]}', unmarshal + "number"),
                      ("{]", "json: byte 1"), ('{"format": "\\u0000"}', "a text with a NUL byte"), (b'{"format": "\xff"}', "a text that is not UTF-8"),
                      ("[" * 100000, unmarshal + "array"), ('{"x":' + "[" * 100000, "json: byte")):
        assert error(text).startswith(why), text[:40]
    assert error('{"ancestry_name": "' + "x" * (4 << 20) + '"}', 403).startswith("grpc: received message larger than max")


@SQLITE
def test_chunked_body(serve, files):
    """Clair took it for an empty one."""
    server = serve()
    body = json.dumps({"ancestryName": "chunked", "format": "Docker", "layers": [{"hash": "h", "path": str(tn.layer(files, "x", "1"))}]}).encode()
    head = b"POST /ancestry HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    a = serving.exchange(server.port, head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:10], body[10:])) + b"0\r\n\r\n")
    assert a.status == 200 and rest(server, "GET", "/ancestry/chunked")["ancestry"]["layers"][0]["layer"]["hash"] == "h"


# ---- health, reflection, metrics ----

def watch_health(c, service=""):
    h = c.pb.health
    return c.channel.unary_stream("/grpc.health.v1.Health/Watch", h.HealthCheckRequest.SerializeToString, h.HealthCheckResponse.FromString)(
        h.HealthCheckRequest(service=service))


def check_health(c, service=""):
    got = c.raw("/grpc.health.v1.Health/Check", c.pb.health.HealthCheckRequest(service=service).SerializeToString())
    return c.pb.health.HealthCheckResponse.FromString(got).status if isinstance(got, bytes) else got


@SQLITE
def test_health(serve, client):
    c = client(serve())
    for service in ("", *(CLAIR + s for s in ("AncestryService", "StatusService", "NotificationService")), "grpc.health.v1.Health"):
        assert check_health(c, service) == 1
    assert check_health(c, "nobody") == ("NOT_FOUND", "unknown service")
    watch = watch_health(c, "nobody")
    assert next(watch).status == 3
    watch.cancel()


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_health_changes(serve, client, postgres):
    server = serve()
    c = client(server)
    watch = watch_health(c)
    assert next(watch).status == 1
    postgres.stop()
    try:
        assert next(watch).status == 2
        test_tls.eventually(lambda: check_health(c) == 2)
        assert c.fail("GetStatus") == ("INTERNAL", "clair error reason: 'failed to query the database.'")
        assert rest(server, "GET", "/status", status=500)["code"] == 13
    finally:
        postgres.start_again()
    assert next(watch).status == 1
    watch.cancel()


def reflect(c, version, *requests):
    r = c.pb.reflection[version]
    stream = c.channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                                     r.ServerReflectionRequest.SerializeToString, r.ServerReflectionResponse.FromString)
    return list(stream(iter([r.ServerReflectionRequest(host="h", **q) for q in requests]), timeout=30))


@SQLITE
@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection(serve, client, version):
    c = client(serve())
    listed, symbol, method, message, name, wrong, no_file, extensions, extension = reflect(
        c, version, {"list_services": ""}, {"file_containing_symbol": CLAIR + "AncestryService"},
        {"file_containing_symbol": "grpc.health.v1.Health.Watch"}, {"file_containing_symbol": CLAIR + "PostAncestryRequest.PostLayer.HeadersEntry"},
        {"file_by_filename": "google/protobuf/timestamp.proto"}, {"file_containing_symbol": CLAIR + "AncestryServic"},
        {"file_by_filename": "nothing.proto"}, {"all_extension_numbers_of_type": CLAIR + "Feature"},
        {"file_containing_extension": {"containing_type": CLAIR + "Feature", "extension_number": 5}})
    assert [s.name for s in listed.list_services_response.service] == [
        CLAIR + "AncestryService", CLAIR + "StatusService", CLAIR + "NotificationService", "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
    assert listed.valid_host == "h" and listed.original_request.host == "h"

    def files(answer):
        return [descriptor_pb2.FileDescriptorProto.FromString(f).name for f in answer.file_descriptor_response.file_descriptor_proto]

    assert files(symbol) == files(message) == ["clair.proto", "google/protobuf/timestamp.proto"]
    assert files(method) == ["grpc/health/v1/health.proto"] and files(name) == ["google/protobuf/timestamp.proto"]
    got, want = descriptor_pb2.FileDescriptorProto.FromString(symbol.file_descriptor_response.file_descriptor_proto[0]), descriptor_pb2.FileDescriptorProto()
    c.pb.DESCRIPTOR.CopyToProto(want)
    assert [s.SerializeToString() for s in got.service] == [s.SerializeToString() for s in want.service]
    assert [m.name for m in got.message_type] == [m.name for m in want.message_type]
    assert [x.error_response.error_code for x in (wrong, no_file, extension)] == [5, 5, 5]
    assert extensions.all_extension_numbers_response.base_type_name == CLAIR + "Feature"
    with pytest.raises(grpc.RpcError) as e:
        reflect(c, version, {})
    assert e.value.code().name == "INVALID_ARGUMENT"


@SQLITE
def test_metrics(serve, client):
    server = serve()
    c = client(server)
    c.call("GetStatus")
    c.fail("GetAncestry")
    reflect(c, "v1", {"list_services": ""}, {"list_services": ""})
    rest(server, "GET", "/status")
    text = server.get("/metrics").body.decode()
    of = 'grpc_method="{}",grpc_service="{}",grpc_type="{}"'
    status = of.format("GetStatus", CLAIR + "StatusService", "unary")
    ancestry = of.format("GetAncestry", CLAIR + "AncestryService", "unary")
    reflection = of.format("ServerReflectionInfo", "grpc.reflection.v1.ServerReflection", "bidi_stream")
    for line in (f"grpc_server_started_total{{{status}}} 1", f'grpc_server_handled_total{{grpc_code="OK",{status}}} 1',
                 f"grpc_server_msg_received_total{{{ancestry}}} 1", f"grpc_server_msg_sent_total{{{status}}} 1",
                 f'grpc_server_handled_total{{grpc_code="InvalidArgument",{ancestry}}} 1', f"grpc_server_msg_sent_total{{{reflection}}} 2",
                 f'grpc_server_handled_total{{grpc_code="OK",{reflection}}} 1',
                 'clair_v3_api_response_duration_milliseconds_count{code="200",route="v3/GetStatus"} 1'):
        assert line + "\n" in text, line
    assert f"grpc_server_msg_sent_total{{{ancestry}}}" not in text


# ---- Go ----

@pytest.fixture(scope="session")
def go_client():
    """Built once for each folder of the program, for gRPC takes a while to build."""
    folder = Path(helpers.ECLAIR).resolve().parent / "v3_client"
    program, source = folder / "client", ROOT / "tests/server/v3_client/main.go"
    folder.mkdir(exist_ok=True)
    lock = (folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    newest = max(p.stat().st_mtime for p in (source, PROTO / "clair.proto"))
    if not program.exists() or program.stat().st_mtime < newest:
        generated = folder / "src/clairpb"
        generated.mkdir(parents=True, exist_ok=True)
        timestamp = "Mgoogle/protobuf/timestamp.proto=github.com/golang/protobuf/ptypes/timestamp"
        subprocess.run(["protoc", f"-I{PROTO}", "-I/usr/include", f"--go_out=plugins=grpc,{timestamp}:{generated}", "clair.proto"], check=True)
        subprocess.run(["/usr/bin/go", "build", "-p", "2", "-o", program, source], check=True, env=os.environ | {
            "GO111MODULE": "off", "GOPATH": f"{folder}:/usr/share/gocode", "GOCACHE": str(folder / "cache"), "GOFLAGS": ""})
    lock.close()
    return program


@SQLITE
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_go(serve, files, database, go_client, secure, ca, pair):  # noqa: F811
    """Every method by a client that is built as Clair's are."""
    flags, api = [], "    token: secret\n"
    if secure:
        cert, key = ca.sign("client", "clientAuth")
        flags = ["-ca", ca.cert, "-cert", cert, "-key", key]
        api += test_tls.api(pair, ca)
    server = serve(api="    token: secret\n")  # to write by REST v1
    write = json.dumps({"Vulnerability": tn.VULNERABILITY}).encode()
    authorization = ["Authorization: Bearer secret"]
    assert server.request("POST", "/v1/namespaces/debian:9/vulnerabilities", write, authorization).status == 201
    (notification,) = tn.wait_names(database, 1)
    body = {"ancestry_name": "first", "format": "docker", "layers": [{"hash": "h", "path": str(tn.layer(files, "first", "1.0-1"))}]}
    assert server.request("POST", "/ancestry", json.dumps(body).encode(), authorization).status == 200
    server.stop()
    server = serve(api=api)
    tn.layer(files, "layer", "1.0-1")
    r = test_tls.run(go_client, "-addr", f"localhost:{server.port}", "-path", f"{files.url}/layer", "-notification", notification, "-token", "secret", *flags)
    lines = [json.loads(line) for line in r.stdout.splitlines()]
    assert [(v["call"], v["code"]) for v in lines] == [
        ("PostAncestry", "OK"), ("GetAncestry", "OK"), ("GetAncestry", "NotFound"), ("GetStatus", "OK"), ("GetNotification", "OK"), ("GetNotification", "OK"),
        ("MarkNotificationAsRead", "OK"), ("MarkNotificationAsRead", "NotFound"), ("Check", "OK"), ("Check", "NotFound"), ("Watch", "OK"), ("ListServices", "OK")]
    features = lines[1]["reply"]["ancestry"]["layers"][0]["detected_features"]
    assert [v["name"] for f in features for v in f.get("vulnerabilities", [])] == ["CVE-2999-7"]
    assert lines[2]["why"] == "requested ancestry 'nobody' is not found"
    assert [v["reply"]["notification"]["new"]["ancestries"][0]["name"] for v in lines[4:6]] == ["first", "go"]
    assert lines[10]["reply"] == {"status": 1} and len(lines[11]["reply"]["service"]) == 6
    assert [headers.get("x-from") for _, headers in files.requests] == ["go"]
