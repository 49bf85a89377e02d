"""Layers behind URLs: where the server may go, whom it tells what, and what it does when the way there is bad."""
import gzip
import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import make_images
import pytest
from serving import Files, Listener

NOT_FOUND = "could not find layer"
EXTRACT = "tarutil: could not extract the archive"


def message(answer):
    return answer.json()["Error"]["Message"]


def layer(filler=0):
    return make_images.tar([("etc/os-release", make_images.os_release()), ("filler", os.urandom(filler)),
                            ("var/lib/dpkg/status", make_images.dpkg_status([(n, "1.0-1", None) for n in ("demo", "other")]))])


LAYER = layer()
LARGE = layer(3_000_000)


def names(server, name):
    return [f["Name"] for f in server.layer(name)["Features"]]


def section(**keys):
    return "  fetch:\n" + "".join(f"    {k}: {json.dumps(v)}\n" for k, v in keys.items())


class Origin(Files):
    """A server whose answers a test writes: behave(handler, number of this request, from 1)."""

    def __init__(self, behave):
        super().__init__("/")
        self.behave, self.count, self.lock = behave, 0, threading.Lock()
        self.named = f"http://localhost:{self.port}"

    def answer(self, handler):
        with self.lock:
            self.count += 1
            n = self.count
        self.behave(handler, n)

    def headers_of(self, i):
        return {k.lower(): v for k, v in self.requests[i][1].items()}


@pytest.fixture
def origin():
    made = []

    def make(behave):
        made.append(Origin(behave))
        return made[-1]

    yield make
    for o in made:
        o.close()


def send(handler, content=LAYER, status=200, cut=None, **headers):
    """`cut`: so many bytes of it, then the connection ends."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content[:cut] if cut is not None else content)
    if cut is not None:
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True


def redirect(handler, to, status=302):
    send(handler, b"elsewhere", status, Location=to)


def refused(server, name, url, **more):
    a = server.post(name, url, **more)
    assert (a.status, message(a)) == (400, NOT_FOUND), (url, a)


# ---- where to ----

def test_allow_and_deny(serve, origin):
    files = origin(lambda h, n: send(h))
    by_name = serve(section(allow=[f"localhost:{files.port}", "*.example.com"]))
    assert by_name.post("named", files.named).status == 201
    refused(by_name, "number", files.url)
    by_address = serve(section(allow=["127.0.0.0/8", "::1"], deny=[f"127.0.0.1:{files.port + 1}"]))
    assert by_address.post("by-address", files.named).status == 201  # what the name leads to is allowed
    refused(by_address, "port", f"http://127.0.0.1:{files.port + 1}/")
    asked = files.count
    denied = serve(section(allow=["localhost"], deny=["127.0.0.0/8", "::1/128"]))
    for i, host in enumerate(("localhost", "127.0.0.1", "0.0.0.0", "2130706433", "0177.1", "[::ffff:127.0.0.1]")):
        refused(denied, f"denied{i}", f"http://{host}:{files.port}/")
    assert files.count == asked
    assert "no request may go there" in denied.text()


def test_redirects_are_judged(serve, origin):
    """Every hop, by name and by address; only to HTTP."""
    places = ["http://169.254.169.254/", "http://[fe80::1]/", "http://[fd00:ec2::254]/", "http://[::ffff:a9fe:a9fe]/",
              "http://0xa9.0376.43518/", "file:///etc/passwd", "ftp://localhost/x", "gopher://localhost/", ""]
    there = origin(lambda h, n: redirect(h, places[int(h.path[1:])]))
    inside = origin(lambda h, n: send(h))
    server = serve(section(deny=[f"localhost:{inside.port}"]))
    for i in range(len(places)):
        refused(server, f"hop{i}", f"{there.url}/{i}")
    places.append(inside.named)
    refused(server, "inside", f"{there.url}/{len(places) - 1}")
    assert inside.count == 0
    places.append(inside.url)
    assert server.post("outside", f"{there.url}/{len(places) - 1}").status == 201


def test_headers_stay_with_their_host(serve, origin):
    other = origin(lambda h, n: send(h))
    first = origin(lambda h, n: redirect(h, "/again", 307) if n == 1 else redirect(h, other.named))
    server = serve()
    secrets = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Own": "y"}
    assert server.post("one", first.url, headers=secrets).status == 201
    for i in range(2):
        assert all(first.headers_of(i)[k.lower()] == v for k, v in secrets.items())
    got = other.headers_of(0)
    assert not {k.lower() for k in secrets} & set(got)
    assert got["user-agent"].startswith("eclair/") and got["accept-encoding"] == "identity"


def test_credentials_of_a_url_stay_with_their_host(serve, origin):
    other = origin(lambda h, n: send(h))
    first = origin(lambda h, n: redirect(h, other.named))
    assert serve().post("one", first.url.replace("//", "//user:word@")).status == 201
    assert first.headers_of(0)["authorization"].startswith("Basic ")
    assert "authorization" not in other.headers_of(0)


def test_bad_rules_are_told(serve):
    server = serve(section(deny=["10.0.0.0/40"]), wait=False)
    assert server.process.wait(30) != 0
    assert "fetch.deny: '10.0.0.0/40' is no host" in server.text()


# ---- proxies ----

class Proxy(Listener):
    """Forwards what it is asked for to one port, whatever the name; knows CONNECT."""

    def __init__(self, port):
        self.port, self.asked = port, []
        super().__init__()

    def carry(self, near):
        with near, socket.create_connection(("127.0.0.1", self.port)) as far:
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(65536)
            self.asked.append(head.split(b"\r\n")[0].decode())
            if head.startswith(b"CONNECT "):
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                method, url, rest = head.split(b" ", 2)
                far.sendall(method + b" /" + url.split(b"/", 3)[3] + b" " + rest)
            back = threading.Thread(target=self.pump, args=(far, near), daemon=True)
            back.start()
            self.pump(near, far)
            back.join()

    @staticmethod
    def pump(source, to):
        try:
            while (data := source.recv(65536)):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
def test_proxy(serve, origin, variable):
    """Names are the proxy's to resolve; the rules are about the target, not about the proxy."""
    files = origin(lambda h, n: send(h))
    proxy = Proxy(files.port)
    server = serve(section(allow=["*.example.com", "10.0.0.0/8"], deny=["secret.example.com", "127.0.0.0/8"]),
                   env={variable: proxy.url, "NO_PROXY": "direct.example.com"})
    assert server.post("one", "http://layers.example.com/one.tar").status == 201
    assert proxy.asked == ["GET http://layers.example.com/one.tar HTTP/1.1"]
    for url in ("http://secret.example.com/", "http://other.org/", "http://169.254.169.254/", "http://2852039166/",
                "http://direct.example.com/", files.url):
        refused(server, "no", url)
    assert len(proxy.asked) == 1 and files.count == 1
    proxy.close()


# ---- TLS ----

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=test", "-addext", "subjectAltName=DNS:localhost,DNS:layers.example.com", "-keyout", "key.pem", "-out",
                    "cert.pem"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def secure(origin, authority):
    files = origin(lambda h, n: send(h))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "cert.pem", authority / "key.pem")
    files.server.socket = context.wrap_socket(files.server.socket, server_side=True, do_handshake_on_connect=False)
    files.named = f"https://localhost:{files.port}"
    return files


def test_authorities(serve, secure, authority):
    refused(serve(), "unknown", secure.named)
    assert serve(section(cafile=str(authority / "cert.pem"))).post("configured", secure.named).status == 201
    assert serve(env={"SSL_CERT_FILE": str(authority / "cert.pem")}).post("environment", secure.named).status == 201


def test_tls_behind_a_proxy(serve, secure, authority):
    proxy = Proxy(secure.port)
    server = serve(section(cafile=str(authority / "cert.pem")), env={"HTTPS_PROXY": proxy.url})
    assert server.post("one", "https://layers.example.com/one.tar").status == 201
    assert proxy.asked == ["CONNECT layers.example.com:443 HTTP/1.1"]
    proxy.close()


# ---- what goes wrong on the way ----

@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_passing_failures(serve, origin, status):
    files = origin(lambda h, n: send(h) if n == 3 else send(h, b"later", status, **({"Retry_After": "1"} if n == 1 else {})))
    assert serve().post("one", files.url).status == 201
    assert files.count == 3


def test_lasting_failures(serve, origin):
    server = serve()
    missing = origin(lambda h, n: send(h, b"no", 404))
    refused(server, "missing", missing.url)
    assert missing.count == 1 and "answered 404" in server.text()
    busy = origin(lambda h, n: send(h, b"busy", 503))
    refused(server, "busy", busy.url)
    assert busy.count == 3


def test_resume(serve, origin):
    """A transfer that breaks off goes on with what is missing; the digest in its name says that nothing else came."""
    def behave(handler, n):
        if n == 1:
            return send(handler, LARGE, cut=2_000_000, ETag='"v1"')
        wanted = handler.headers["Range"]
        assert wanted.startswith("bytes=") and wanted.endswith("-") and handler.headers["If-Range"] == '"v1"'
        first = int(wanted[6:-1])
        return send(handler, LARGE[first:], 206, cut=None if n == 3 else 1000, ETag='"v1"',
                    Content_Range=f"bytes {first}-{len(LARGE) - 1}/{len(LARGE)}")

    files, server = origin(behave), serve()
    name = "sha256:" + hashlib.sha256(LARGE).hexdigest()
    assert server.post(name, files.url, headers={"Authorization": "x"}).status == 201
    assert files.count == 3 and files.headers_of(2)["authorization"] == "x"
    assert names(server, name.replace(":", "%3A")) == ["demo", "other"]


@pytest.mark.parametrize("tag", [None, 'W/"weak"', '"strong, but no ranges"'])
def test_again_from_the_start(serve, origin, tag):
    more = {"ETag": tag} if tag else {}
    files = origin(lambda h, n: send(h, LARGE, cut=2_000_000 if n == 1 else None, **more))
    server = serve()
    name = "sha256:" + hashlib.sha256(LARGE).hexdigest()
    assert server.post(name, files.url).status == 201
    assert files.count == 2


def test_another_one_the_next_time(serve, origin):
    other = layer(3_000_000)
    for etags in (None, None), ('"a"', '"b"'):
        files = origin(lambda h, n: send(h, LARGE if n == 1 else other, cut=2_000_000 if n == 1 else None,
                                         **({"ETag": etags[n - 1]} if etags[0] else {})))
        server = serve()
        a = server.post("one", files.url)
        assert (a.status, message(a)) == (422, EXTRACT)
        assert server.get("/v1/layers/one").status == 404


def test_content_encoding(serve, origin):
    """What a server on the way packed is unpacked; the name is of what was asked for."""
    packed = gzip.compress(LAYER)
    files, server = origin(lambda h, n: send(h, gzip.compress(packed), Content_Encoding="gzip")), serve()
    name = "sha256:" + hashlib.sha256(packed).hexdigest()
    assert server.post(name, files.url).status == 201
    assert names(server, name.replace(":", "%3A")) == ["demo", "other"]


def test_limits(serve, origin):
    stop = threading.Event()

    def endless(handler, n):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(LARGE[:100_000])
        while not stop.wait(0.05):
            handler.wfile.write(b"x" * 10_000)

    server = serve(section(maxsize="2MiB", timeout="2s"))
    large, slow = origin(lambda h, n: send(h, LARGE)), origin(endless)
    for name, url, why in (("large", large.url, "more than 2097152 bytes"), ("slow", slow.url, "not there after 2 s")):
        a = server.post(name, url)
        assert (a.status, message(a)) == (422, EXTRACT)
        assert why in server.text()
    stop.set()


# ---- many at once ----

class Stuck:
    """Answers heads, and bodies when it may."""

    def __init__(self, origin):
        self.go = threading.Event()
        self.origin = origin(self.behave)

    def behave(self, handler, n):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(LARGE)))
        handler.end_headers()
        handler.wfile.write(LARGE[:600_000])
        handler.wfile.flush()
        assert self.go.wait(100)
        handler.wfile.write(LARGE[600_000:])


@pytest.fixture
def stuck(serve, origin):
    made = Stuck(origin)
    yield made
    made.go.set()  # the server stops after that


class Posts:
    """Posts that are under way."""

    def __init__(self, server):
        self.server, self.threads, self.answers = server, [], {}

    def start(self, name, url, **more):
        def post():
            answer = self.server.post(name, url, **more)
            self.answers.setdefault(name, []).append(answer)
        self.threads.append(threading.Thread(target=post))
        self.threads[-1].start()

    def end(self):
        for t in self.threads:
            t.join()
        return {name: [a.status for a in answers] for name, answers in self.answers.items()}


def eventually(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def fill(server, stuck, posts):
    """All that index are busy with layers that do not come."""
    count = os.cpu_count()
    for i in range(count):
        posts.start(f"stuck{i}", stuck.origin.url)
    eventually(lambda: stuck.origin.count == count)
    return count


def test_short_lived_url(serve, origin, stuck):
    """A URL that holds for two seconds from the post, while nothing can be indexed for longer."""
    server = serve()
    posts = Posts(server)
    count = fill(server, stuck, posts)
    valid = threading.Event()
    valid.set()
    signed = origin(lambda h, n: send(h, LARGE) if valid.is_set() else send(h, b"expired", 403))
    for i in range(30):
        posts.start(f"signed{i}", f"{signed.url}/{i}?X-Amz-Signature=x")
    eventually(lambda: signed.count == 30)
    valid.clear()
    time.sleep(0.5)
    assert not posts.answers
    stuck.go.set()
    got = posts.end()
    assert len(got) == 30 + count and all(v == [201] for v in got.values()), got
    assert signed.count == 30
    assert names(server, "signed7") == ["demo", "other"]


def test_origin_gives_up_meanwhile(serve, origin, stuck):
    """A connection that its other end closed while the layer waited for its turn is made anew."""
    server = serve()
    posts = Posts(server)
    fill(server, stuck, posts)
    content = layer(12_000_000)
    files = origin(lambda h, n: send(h, content, cut=500_000) if n == 1 else send(h, content))
    posts.start("late", files.url)
    eventually(lambda: files.count == 1)
    time.sleep(0.2)
    stuck.go.set()
    assert posts.end()["late"] == [201]
    assert files.count == 2


def test_known_layers_do_not_wait(serve, origin, stuck):
    """Reads, and posts of what is stored, are answered while all that index are busy, and others wait."""
    server = serve()
    files = origin(lambda h, n: send(h))
    assert server.post("known", files.url).status == 201
    posts = Posts(server)
    fill(server, stuck, posts)
    for i in range(20):
        posts.start(f"more{i}", stuck.origin.url)
    for _ in range(20):
        assert server.post("known", files.url).status == 201
        assert server.get("/v1/layers/known").status == 200
        assert server.get("/v1/layers/more1").status == 404
        assert server.health().status == 200
    assert not posts.answers
    stuck.go.set()
    assert all(v == [201] for v in posts.end().values())


def test_200_posts_of_three_layers(serve, origin):
    contents = [layer(100_000) for _ in range(3)]
    go = threading.Event()

    def behave(handler, n):
        go.wait(60)
        send(handler, contents[int(handler.path[1:])])

    files, server = origin(behave), serve()
    posts = Posts(server)
    for i in range(200):
        posts.start(f"layer{i % 3}", f"{files.url}/{i % 3}")
    eventually(lambda: files.count == 3)
    go.set()
    got = posts.end()
    assert {s for statuses in got.values() for s in statuses} == {201} and sum(map(len, got.values())) == 200
    assert files.count == 3


def test_flood_of_one_post(serve, origin, stuck):
    """Who posts the same layer again and again keeps nobody else waiting, and is told to come again."""
    server = serve()
    files = origin(lambda h, n: send(h))
    posts = Posts(server)
    for _ in range(400):
        posts.start("same", stuck.origin.url)
    eventually(lambda: len(posts.answers.get("same", ())) == 400 - 257)
    a = posts.answers["same"][0]
    assert (a.status, message(a)) == (503, "too many layers are waiting to be processed") and a.header("Retry-After") == "10"
    assert a.header("Content-Type") == "application/json;charset=utf-8"
    if os.cpu_count() > 1:
        assert server.post("other", files.url).status == 201
    stuck.go.set()
    got = posts.end()["same"]
    assert got.count(201) == 257 and got.count(503) == 143 and stuck.origin.count == 1


def test_too_many_layers(serve, origin, stuck):
    """So many layers wait for their turn; the next is refused at once, and taken when there is room."""
    server = serve()
    files = origin(lambda h, n: send(h))
    posts = Posts(server)
    for i in range(250):
        posts.start(f"layer{i}", stuck.origin.url)
    eventually(lambda: len(posts.answers) == 250 - 192)
    assert {a[0].status for a in posts.answers.values()} == {503}
    a = server.post("next", files.url)
    assert (a.status, a.header("Retry-After")) == (503, "10")
    assert server.get("/v1/layers/next").status == 404
    assert stuck.origin.count <= max(64, 2 * os.cpu_count())
    stuck.go.set()
    got = posts.end()
    assert sum(v == [201] for v in got.values()) == 192
    assert server.post("next", files.url).status == 201
