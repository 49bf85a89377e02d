"""/v1/blobs: layers whose bytes a client sends itself. Real clients are curl (HTTP/1.1, chunked, HTTP/2) and raw sockets."""
import json
import os
import socket
import subprocess
import time

import make_images
import pytest
from serving import read_answer
from test_tls import Authority, api, curl, eventually

LAYER = make_images.tar([("etc/os-release", make_images.os_release()),
                         ("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))])


def digest(data):
    return make_images.sha256(data)


def put(server, data, name=None, **more):
    return server.request("PUT", f"/v1/blobs/{name or digest(data)}", data, **more)


def head_of(target, *lines):
    return ("\r\n".join([f"PUT {target} HTTP/1.1", "Host: x", *lines]) + "\r\n\r\n").encode()


def features(server, name):
    return [(f["Name"], f["Version"]) for f in server.layer(name)["Features"]]


@pytest.mark.parametrize("codec", ["plain", "gzip", "zstd"])
def test_sent_and_posted(codec, serve):
    server, data = serve(), make_images.pack(LAYER, codec)
    name = digest(data)
    assert server.get("/v1/status").json()["features"] == ["blobs"]
    assert server.get(f"/v1/blobs/{name}").status == 404
    assert server.post("early", name).status == 400
    a = put(server, data)
    assert (a.status, a.json(), a.header("Location")) == (201, {"Blob": {"Digest": name}}, f"/v1/blobs/{name}")
    assert put(server, data).status == 200
    a = server.get(f"/v1/blobs/{name}")
    assert (a.status, a.json()) == (200, {"Blob": {"Digest": name}})
    assert server.request("HEAD", f"/v1/blobs/{name}").status == 200
    assert server.post("base", name).status == 201
    assert features(server, "base") == [("demo", "1.0-1")]


def test_without_a_digest(serve):
    server = serve()
    a = server.request("POST", "/v1/blobs", LAYER)
    assert (a.status, a.json()) == (201, {"Blob": {"Digest": digest(LAYER)}})
    assert server.post("base", digest(LAYER)).status == 201


def test_posts_of_blobs(serve):
    """What a post says of a blob that it cannot have; layers on each other."""
    server, other = serve(), make_images.tar([("var/lib/dpkg/status", make_images.dpkg_status([("demo", "2.0-1", None)]))])
    assert [put(server, d).status for d in (LAYER, other)] == [201, 201]
    a = server.post("x", "sha256:" + "0" * 64)
    assert (a.status, a.json()["Error"]["Message"]) == (400, "could not find layer")
    assert server.post("x", digest(LAYER), form="squash").status == 400
    assert server.post("x", digest(LAYER), form="ACI").status == 400  # read as one it would be another
    assert server.post(digest(other), digest(LAYER)).status == 422  # a name that is the digest of something else
    assert server.post("child", digest(other), "base").status == 400
    server.post_chain(["base", "child"], [digest(LAYER), digest(other)])
    assert features(server, "child") == [("demo", "2.0-1")]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_is_refused(serve):
    server = serve(more="  fetch:\n    maxsize: 1MiB\n")
    bad = b"no tar at all" * 1000
    for name in ("sha256:abc", "md5:" + "0" * 64, "sha256:" + "A" * 64):
        assert put(server, LAYER, name).status == 400
    wrong = "sha256:" + "1" * 64
    a = put(server, LAYER, wrong)
    assert a.status == 400 and digest(LAYER) in a.json()["Error"]["Message"]
    assert [server.get(f"/v1/blobs/{d}").status for d in (wrong, digest(LAYER))] == [404, 404]
    assert put(server, bad).status == 422
    large = make_images.tar([("big", os.urandom(3 << 20))])
    assert put(server, large).status == 413
    assert server.get(f"/v1/blobs/{digest(large)}").status == 404


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_who_may_send(serve):
    server = serve(api="    token: secret\n")
    assert put(server, LAYER).status == 401
    assert put(server, LAYER, headers=["Authorization: Bearer secret"]).status == 201
    assert server.get(f"/v1/blobs/{digest(LAYER)}").status == 200
    assert put(serve(api="    readonly: true\n"), LAYER).status == 403


@pytest.fixture(scope="module")
def large():
    """More than all windows and buffers hold."""
    return make_images.tar([("etc/os-release", make_images.os_release()), ("blob", os.urandom(24 << 20)),
                            ("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))])


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_curl(serve, large, tmp_path):
    """Each protocol; the first is new, the others are known and answered whatever is still to come."""
    ca = Authority(tmp_path, "ca")
    server, path = serve(api=api(ca.sign("server"))), tmp_path / "layer"
    path.write_bytes(large)
    target, sent = f"/v1/blobs/{digest(large)}", ["-T", path]
    for i, options in enumerate([["--http2"], ["--http1.1"], ["--http2"], ["--http1.1", "-H", "Transfer-Encoding: chunked"],
                                 ["--http1.1", "-H", "Expect: 100-continue"]]):
        status, version, body = curl(server, ca, target, *sent, *options)
        assert (status, version, json.loads(body)) == (200 if i else 201, "2" if i % 2 == 0 and i < 4 else "1.1", {"Blob": {"Digest": digest(large)}})
    plain = serve()
    for options in (["-H", "Transfer-Encoding: chunked"], ["--http2-prior-knowledge"], ["-H", "Expect: 100-continue"]):
        r = subprocess.run(["curl", "-sS", "-w", "%{http_code}", "-X", "POST", "-T", path, *options, f"http://127.0.0.1:{plain.port}/v1/blobs"],
                           capture_output=True, text=True, timeout=60)
        assert r.stdout.endswith("201") and digest(large) in r.stdout, (r.stdout, r.stderr)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_known_is_answered_before_the_body_is_there(serve, large):
    """And whoever first sends all, and then looks, finds the answer too."""
    server = serve()
    assert put(server, LAYER).status == 201
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s, s.makefile("rb") as f:
        s.sendall(head_of(f"/v1/blobs/{digest(LAYER)}", "Content-Length: 100000000") + b"x" * 1000)
        assert read_answer(f).status == 200
    assert put(server, large, digest(LAYER)).status == 200
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s, s.makefile("rb") as f:
        for _ in range(2):  # a small one leaves the connection as it was
            s.sendall(head_of(f"/v1/blobs/{digest(LAYER)}", f"Content-Length: {len(LAYER)}") + LAYER)
            assert read_answer(f).status == 200


def test_clients_that_go(serve, store, large):
    """In the middle of their body, by themselves or for they are killed: nothing is stored, and the server goes on."""
    server = serve()
    socks = []
    for i in range(4):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.sendall(head_of(f"/v1/blobs/{digest(large)}", f"Content-Length: {len(large)}") + large[:i << 20])
        socks.append(s)
    for s in socks:
        s.close()
    eventually(lambda: server.text().count("broke off before its end") == 4)
    assert server.get(f"/v1/blobs/{digest(large)}").status == 404
    assert put(server, LAYER).status == 201


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_killed_in_the_middle(serve, large):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(head_of(f"/v1/blobs/{digest(large)}", f"Content-Length: {len(large)}") + large[:8 << 20])
        server.kill()
    server.start()
    assert server.get(f"/v1/blobs/{digest(large)}").status == 404
    assert put(server, large).status == 201


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_stopped_in_the_middle(serve, large):
    """A body that has not come whole is not waited for."""
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(head_of(f"/v1/blobs/{digest(large)}", f"Content-Length: {len(large)}") + large[:8 << 20])
        began = time.monotonic()
        server.stop()
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_many_at_once(serve):
    """No more than there is room for: the others are told to come again, and no other request waits behind them."""
    server, held = serve(), []
    for i in range(40):
        s = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        s.sendall(head_of("/v1/blobs/sha256:" + f"{i:064x}", "Content-Length: 100000000") + LAYER[:512])
        held.append(s)
    eventually(lambda: server.text().count("too many layers are posted at once") >= 8)
    answers = []
    for s in held:
        s.settimeout(0.05)
        try:
            with s.makefile("rb") as f:
                answers.append(read_answer(f))
        except TimeoutError:
            pass
    assert len(answers) == 8 and {(a.status, a.header("Retry-After")) for a in answers} == {(503, "10")}
    began = time.monotonic()
    assert server.get("/v1/namespaces").status == 200 and time.monotonic() - began < 5
    for s in held:
        s.close()
    assert eventually(lambda: put(server, LAYER).status == 201)
