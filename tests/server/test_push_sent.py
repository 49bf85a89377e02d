"""`clair-scanner` with an éclair server: it sends the layers, needs no port and no --ip, leaves nothing on the disk, and sends nothing twice."""
import contextlib
import json
import os
import re
import socket
import threading

import helpers
import make_images as mi
import pytest
from push_peers import Docker, normal, saved, scanner  # noqa: F401 (a fixture)
from serving import Listener
from test_tls import Authority, api, eventually

LAYERS = mi.debian_layers()


def run(scanner, url, image, *options, docker=None, tmp="/nonexistent", **env):
    """There is no folder for temporary files: whoever wants one fails."""
    env = {"TMPDIR": tmp, "DOCKER_HOST": docker.host if docker else "unix:///nonexistent"} | env
    return helpers.eclair("-c", url, "-q", *options, image, program=scanner, env=helpers.environment(**env))


def blobs(server):
    """(method, status) of what was sent since the last call."""
    lines = [(x["method"], x["status"]) for x in server.lines() if x["Event"] == "Handled HTTP request" and "/v1/blobs" in x["request uri"]]
    new, server.seen = lines[getattr(server, "seen", 0):], len(lines)
    return new


def sent(server):
    return [x for x in blobs(server) if x[0] in ("PUT", "POST")]


def plain(server):
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("layout", ["docker", "docker-links", "docker-blobs", "podman", "podman-links"])
def test_from_a_daemon(layout, serve, scanner, tmp_path, store):  # noqa: F811
    """Docker before and since version 25, Podman: the archive is asked for only when something is missing."""
    server, archive = serve(), mi.archive(LAYERS, layout)
    with Docker(tmp_path / "s", archive) as docker:
        r = run(scanner, plain(server), "alpine:3.5", docker=docker)
        assert r.code == 0, r.err
        assert b"Server listening" not in r.err and r.err.count(b"Analyzing") == len(LAYERS)
        assert {x[1] for x in sent(server)} <= {"200", "201"} and any("/images/get" in x for x in docker.asked)
        names = re.findall(rb"Analyzing (\w{64})", r.err)
        assert [f["Name"] for f in server.layer(names[-1].decode())["Features"]]
        docker.asked.clear()
        again = run(scanner, plain(server), "alpine:3.5", docker=docker)
        assert again.code == 0 and sent(server) == [] and not any("/images/get" in x for x in docker.asked), docker.asked
    assert normal(again.err) == normal(r.err)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_compressed_layers_of_a_daemon(serve, scanner, tmp_path):  # noqa: F811
    """As a store of containerd has them: the manifest in the archive says what is what."""
    server, archive = serve(), mi.archive(LAYERS, "docker-blobs", "gzip")
    with Docker(tmp_path / "s", archive) as docker:
        assert run(scanner, plain(server), "alpine:3.5", docker=docker).code == 0
        assert len(sent(server)) == len(LAYERS)
        assert run(scanner, plain(server), "alpine:3.5", docker=docker).code == 0
        assert sent(server) == []


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("layout,codec", [("docker", "plain"), ("docker-blobs", "plain"), ("podman", "plain"), ("oci", "gzip"), ("oci", "zstd"),
                                          ("docker", "gzip"), ("folder", "gzip")])
def test_from_a_file(layout, codec, serve, scanner, tmp_path):  # noqa: F811
    server, path = serve(), tmp_path / "image"
    if layout == "folder":
        mi.oci_folder(path, LAYERS, codec)
    else:
        path.write_bytes(mi.archive(LAYERS, layout, codec))
    r = run(scanner, plain(server), path)
    assert (r.code, len(sent(server))) == (0, len(LAYERS)), r.err
    r = run(scanner, plain(server), path)
    # layers that their image names by other bytes than those that are there have to be sent to be known
    assert (r.code, len(sent(server))) == (0, len(LAYERS) if (layout, codec) == ("docker", "gzip") else 0), r.err


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_without_a_config(serve, scanner, tmp_path):  # noqa: F811
    """The archive of the recordings: nothing says what its layers' digests are."""
    server, path = serve(), tmp_path / "image"
    path.write_bytes(saved())
    r = run(scanner, plain(server), path)
    assert r.code == 0, r.err
    assert sent(server) == [("POST", "201")] * 2


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_tls_and_token(serve, scanner, tmp_path):  # noqa: F811
    ca, path = Authority(tmp_path, "ca"), tmp_path / "image"
    path.write_bytes(mi.archive(LAYERS, "docker"))
    server = serve(api=api(ca.sign("server")) + "    token: open sesame\n")
    url = f"https://localhost:{server.port}"
    assert run(scanner, url, path, "--ca", ca.cert, "--token", "open sesame").code == 0
    assert len(sent(server)) == len(LAYERS)
    path.write_bytes(mi.archive([*LAYERS, [("x", b"new")]], "docker"))
    r = run(scanner, url, path, "--ca", ca.cert, "--token", "wrong")
    assert r.code == 1 and b"Got response 401" in r.err and b"a token is needed" in r.err
    assert run(scanner, url, path, "--ca", ca.cert, ECLAIR_TOKEN="open sesame").code == 0
    r = run(scanner, url, path, "--api", "eclair", "--token", "open sesame")
    assert r.code == 1 and b"certificate" in r.err


class Proxy(Listener):
    def __init__(self, port):
        self.port, self.bytes = port, 0
        super().__init__()

    def carry(self, connection):
        with contextlib.suppress(OSError), connection, socket.create_connection(("127.0.0.1", self.port)) as out:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            self.bytes += len(head)
            method, url, rest = head.split(b" ", 2)
            out.sendall(method + b" /" + url.split(b"/", 3)[3] + b" " + rest.replace(b"Proxy-Connection: Keep-Alive", b"Connection: close"))
            threading.Thread(target=self.back, args=(out, connection), daemon=True).start()
            while data := connection.recv(65536):
                self.bytes += len(data)
                out.sendall(data)

    def back(self, source, to):
        with contextlib.suppress(OSError):  # its client has gone
            while data := source.recv(65536):
                to.sendall(data)
        to.close()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_through_a_proxy(serve, scanner, tmp_path):  # noqa: F811
    server, path = serve(), tmp_path / "image"
    path.write_bytes(mi.archive([*LAYERS, [("blob", os.urandom(1 << 20))]], "docker"))
    proxy = Proxy(server.port)
    r = run(scanner, "http://clair.test:6060", path, http_proxy=proxy.url, no_proxy="")
    proxy.close()
    assert r.code == 0, r.err
    assert proxy.bytes > 1 << 20


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_server_without_room(serve, scanner, tmp_path):  # noqa: F811
    """It is asked again until there is some."""
    server, held, results = serve(), [], []
    for i in range(32):
        held.append(socket.create_connection(("127.0.0.1", server.port)))
        held[-1].sendall(f"PUT /v1/blobs/sha256:{i:064x} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
    with Docker(tmp_path / "s", mi.archive(LAYERS, "podman")) as docker:
        t = threading.Thread(target=lambda: results.append(run(scanner, plain(server), "alpine:3.5", docker=docker)))
        t.start()
        eventually(lambda: "too many layers are posted" in server.text())
        for s in held:
            s.close()
        t.join(60)
    assert results[0].code == 0, results[0].err


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_goes_wrong(serve, scanner, tmp_path):  # noqa: F811
    server, path = serve(), tmp_path / "image"
    with Docker(tmp_path / "s", mi.archive(LAYERS, "docker")) as docker:
        r = run(scanner, plain(server), "other:1", docker=docker)
        assert r.code == 1 and b"Could not save Docker image [other:1]: Error response from daemon: " in r.err
        docker.archive = docker.archive[:len(docker.archive) // 2]
        docker.inspected = lambda: {"RootFS": {"Layers": [mi.sha256(mi.tar(layer)) for layer in LAYERS]}}
        r = run(scanner, plain(server), "alpine:3.5", docker=docker)
        assert r.code == 1 and b"Could not save Docker image [alpine:3.5]: " in r.err, r.err
        docker.inspected = lambda: {"RootFS": {"Layers": "sha256:0"}}
        assert run(scanner, plain(server), "alpine:3.5", docker=docker).code == 1
    bad = mi.tar(list({"a.json": b"{}", "manifest.json": json.dumps([{"Layers": ["a" * 64 + "/layer.tar"]}]).encode(), "a" * 64 + "/layer.tar": b"no tar" * 200}.items()))
    path.write_bytes(bad)
    r = run(scanner, plain(server), path)
    assert r.code == 1 and b"Got response 422" in r.err
    assert run(scanner, plain(serve(api="    readonly: true\n")), path).err.count(b"read-only") == 1
