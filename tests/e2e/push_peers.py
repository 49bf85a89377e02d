"""The two servers that `eclair push` talks to, a Docker daemon and a Clair that speaks REST v1, and how it is run between them."""
import http.server
import io
import json
import re
import socket
import socketserver
import tarfile
import threading
import urllib.parse
import urllib.request

import make_images as mi
import pytest
from helpers import ECLAIR, eclair, environment


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def target(self):
        return self.requestline.split()[1]  # path loses double slashes

    def address_string(self):
        return "peer"

    def answer(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Peer:
    """A server on a thread of its own, for a with statement."""

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Docker(Peer):
    """Knows one image, as `archive` (bytes, or a function that writes them to a file), and one API version."""

    def __init__(self, path, archive, name="alpine:3.5", api="1.44", tcp=False, tls=None):
        peer = self
        self.asked, self.name, self.api, self.archive = [], name, api, archive

        class Handler(Quiet):
            def do_GET(self):
                peer.asked.append(self.path)
                peer.get(self)

        if tcp or tls:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            self.server.daemon_threads = True
            self.host = f"tcp://127.0.0.1:{self.server.server_address[1]}"
        else:
            self.server = UnixServer(str(path), Handler)
            self.host = f"unix://{path}"
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)

    def get(self, request):
        url = urllib.parse.urlsplit(request.path)
        if url.path == "/version":
            return request.answer(200, json.dumps({"Version": "27.0", "ApiVersion": self.api}).encode())
        if url.path == f"/v{self.api}/images/{self.name}/json":
            return request.answer(200, json.dumps(self.inspected()).encode())
        if url.path != f"/v{self.api}/images/get":  # a daemon whose minimum is higher than 1.25
            return request.answer(400, b'{"message":"client version is too old"}')
        names = urllib.parse.parse_qs(url.query, keep_blank_values=True)["names"]
        if names not in ([self.name], [""]):
            return request.answer(404, b'{"message":"reference does not exist"}')
        if not callable(self.archive):
            return request.answer(200, self.archive, "application/x-tar")
        request.send_response(200)
        request.send_header("Connection", "close")
        request.end_headers()
        self.archive(request.wfile)
        request.close_connection = True
        return None


    def inspected(self):
        """What a daemon says of an image."""
        with tarfile.open(fileobj=io.BytesIO(self.archive)) as t:
            config = json.load(t.extractfile(json.load(t.extractfile("manifest.json"))[0]["Config"]))
        return {"Id": "sha256:" + "0" * 64, "RepoTags": [self.name], "RepoDigests": [], "RootFS": {"Type": "layers", "Layers": config["rootfs"]["diff_ids"]}}


ZLIB = [
    {"Name": "CVE-2016-9840", "NamespaceName": "alpine:v3.5", "Severity": "Medium", "FixedBy": "1.2.9-r0",
     "Link": "https://cve.mitre.org/cgi-bin/cvename.cgi?name=CVE-2016-9840",
     "Description": "inftrees.c in zlib 1.2.8 might allow context-dependent attackers to have unspecified impact "
                    "by leveraging improper pointer arithmetic."},
    {"Name": "CVE-2016-9841", "NamespaceName": "alpine:v3.5", "Severity": "High",
     "Link": "https://cve.mitre.org/cgi-bin/cvename.cgi?name=CVE-2016-9841"},
    {"Name": "CVE-2099-0001", "NamespaceName": "alpine:v3.5", "Severity": "Negligible", "Link": "x"}]


def layer_answer(vulnerabilities=ZLIB, **more):
    features = [{"Name": "musl", "NamespaceName": "alpine:v3.5", "Version": "1.1.15-r5"},
                {"Name": "zlib", "NamespaceName": "alpine:v3.5", "Version": "1.2.8-r2"}]
    if vulnerabilities:
        features[1]["Vulnerabilities"] = vulnerabilities
    return json.dumps({"Layer": {"Name": "b", "Features": features} | more}).encode()


class Clair(Peer):
    """Fetches what it is told to, and remembers it. `post`, `get`: (status, body) to answer with."""

    def __init__(self, post=(201, b"{}"), get=(200, layer_answer()), fetch=True, port=0, host="127.0.0.1"):
        peer = self
        self.layers, self.requests, self.content, self.types = [], [], {}, set()
        self.on_post = lambda: None

        class Handler(Quiet):
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                peer.requests.append(("POST", self.target(), self.headers["Content-Type"]))
                layer = json.loads(body)["Layer"]
                peer.layers.append(layer)
                peer.on_post()
                if fetch:
                    peer.fetch(layer)
                self.answer(*post)

            def do_GET(self):
                if self.target().endswith("/v1/status"):  # what it is asked first: Clair has no such thing
                    return self.answer(404, b"404 page not found\n", "text/plain; charset=utf-8")
                if self.target().endswith("/v1/namespaces"):
                    return self.answer(200, b'{"Namespaces":[]}')
                peer.requests.append(("GET", self.target(), None))
                return self.answer(*get)

        self.server = http.server.ThreadingHTTPServer((host, port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{host}:{self.server.server_address[1]}"

    def fetch(self, layer):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(layer["Path"], timeout=60) as r:
            self.content[layer["Name"]] = r.read()
            self.types.add((r.headers["Content-Type"], int(r.headers["Content-Length"])))


class Clair4(Peer):
    """The indexer and the matcher. `found`: the vulnerabilities of any image; `slow`: so often there is no index report yet."""

    def __init__(self, found=None, post=None, index=None, report=None, slow=0):
        peer = self
        self.requests, self.manifest, self.content, self.slow = [], None, {}, slow
        done = (201, b'{"manifest_hash":"sha256:0","state":"IndexFinished","success":true,"err":""}')

        class Handler(Quiet):
            def do_POST(self):
                peer.requests.append(("POST", self.target()))
                peer.manifest = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for layer in peer.manifest["layers"]:
                    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(layer["uri"], timeout=60) as r:
                        peer.content[layer["hash"]] = r.read()
                self.answer(*(post or done))

            def do_GET(self):
                target = self.target()
                if target == "/indexer/api/v1/index_state":
                    return self.answer(200, b'{"state":"0"}')
                if not target.startswith(("/indexer", "/matcher")):
                    return self.answer(404, b"404 page not found\n", "text/plain")
                peer.requests.append(("GET", target))
                if target.startswith("/matcher"):
                    return self.answer(*(report or (200, json.dumps({"packages": {}, "vulnerabilities": found}).encode())))
                if peer.slow:
                    peer.slow -= 1
                    return self.answer(404, b'{"code":"not-found","message":"index report not found"}')
                return self.answer(*(index or (200, done[1])))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


# ---- the program between them ----

def normal(err):
    err = re.sub(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", b"YYYY/MM/DD HH:MM:SS", err)
    err = re.sub(rb"(Server listening on port|on 0\.0\.0\.0:)( ?)\d+", rb"\1\g<2>9279", err)
    return re.sub(rb"serving path: \S+?(\x1b|$)", rb"serving path: DIR\1", err)  # there is no temporary folder

A, B = "a" * 64, "b" * 64
LAYERS = {A: mi.tar([("etc/alpine-release", b"3.5.0\n")]),
          B: mi.tar([("lib/apk/db/installed", b"P:zlib\nV:1.2.8-r2\n\n")])}


def saved(manifest=None):
    """The archive of the recordings; they have no Config."""
    manifest = [{"Layers": [f"{A}/layer.tar", f"{B}/layer.tar"]}] if manifest is None else manifest
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return mi.tar([(f"{name}/layer.tar", data) for name, data in LAYERS.items()] + [("manifest.json", text)])


@pytest.fixture(scope="session")
def scanner(tmp_path_factory):
    """The program under its old name."""
    link = tmp_path_factory.mktemp("bin") / "clair-scanner"
    link.symlink_to(ECLAIR)
    return link


@pytest.fixture
def docker(tmp_path):
    with Docker(tmp_path / "docker.sock", saved()) as d:
        yield d


def run(scanner, docker, clair, *args, image="alpine:3.5", **env):
    """--port 0, for others on this machine may be at the same; the text of a run is as if it were 9279."""
    env = {"DOCKER_HOST": docker and docker.host} | env
    url = ["-c", clair.url] if clair else []
    r = eclair("--port", "0", *url, *args, image, program=scanner, env=environment(**env))
    return r
