"""A registry: Debian's docker-registry, filled by skopeo; tokens for it; and a front before it that lies, refuses, redirects and breaks off."""
import base64
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_certificates(folder):
    """ca.crt, other.crt that signed nothing, and a server's server.crt and server.key for localhost that it signed."""
    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name} authority",
                "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", *key[:-2], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "30", "-out", "server.crt",
            "-extfile", "names")
    return folder


class Registry:
    """docker-registry on a port of its own. `tls`: a folder of make_certificates(); `password`: {user: password}; `tokens`: a Tokens."""

    def __init__(self, folder, tls=None, password=None, tokens=None):
        self.folder, self.port, self.tls = Path(folder), free_port(), tls
        self.host = f"localhost:{self.port}"
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        auth = {}
        if password:
            text = "".join(subprocess.run(["htpasswd", "-nbB", "-C", "4", user, word], check=True, capture_output=True, text=True).stdout.strip() + "\n"
                           for user, word in password.items())
            (self.folder / "htpasswd").write_text(text)
            auth = {"htpasswd": {"realm": "test", "path": str(self.folder / "htpasswd")}}
        if tokens:
            auth = {"token": {"realm": tokens.url, "service": "test registry", "issuer": "test",
                              "rootcertbundle": str(tokens.certificate)}}
        config = {"version": "0.1", "log": {"level": "info"}, "auth": auth,
                  "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
                  "http": {"addr": f"127.0.0.1:{self.port}"}}
        if tls:
            config["http"]["tls"] = {"certificate": str(tls / "server.crt"), "key": str(tls / "server.key")}
        (self.folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        self.log = self.folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", self.folder / "config.yml"], stdout=log, stderr=log,
                                            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})
        for _ in range(500):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def push(self, source, name, *more):
        """`source` as skopeo names it: "docker-archive:PATH", "oci:PATH"."""
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", *more, source, f"docker://{self.host}/{name}"],
                       check=True, capture_output=True)

    def put(self, name, tag, manifest, kind, blobs=()):
        """By hand, what skopeo would not push."""
        c = http.client.HTTPConnection("127.0.0.1", self.port)
        for blob, digest in blobs:
            c.request("POST", f"/v2/{name}/blobs/uploads/")
            place = c.getresponse()
            place.read()
            c.request("PUT", f"{place.headers['Location']}&digest={digest}", blob, {"Content-Type": "application/octet-stream"})
            answer = c.getresponse()
            assert answer.read() is not None and answer.status == 201, answer.status
        c.request("PUT", f"/v2/{name}/manifests/{tag}", manifest, {"Content-Type": kind})
        answer = c.getresponse()
        assert answer.status == 201, answer.read()
        c.close()

    def asked(self):
        """What was asked for since the last call: ["GET /v2/x/manifests/1", ...], of answers that are there."""
        text = self.log.read_text()
        lines = re.findall(r'"(GET|HEAD) (/v2/[^ ]*) HTTP/1.1" (\d+)', text)
        new, self.seen = lines[getattr(self, "seen", 0):], len(lines)
        return [f"{method} {path}" for method, path, _ in new]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Server:
    """An HTTP server whose answers are a function's: answer(handler) after the request's head, in a thread each."""

    def __init__(self, tls=None):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length)
                outer.seen.append((f"{self.command} {self.path}", dict(self.headers), self.body))
                outer.answer(self)

            do_GET = do_HEAD = do_POST = handle_any

            def log_message(self, *_):
                pass

            def reply(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # clients that go away are the point

        self.seen = []
        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.host = f"localhost:{self.port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.crt", tls / "server.key")
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'s' if tls else ''}://{self.host}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, handler):
        raise NotImplementedError

    def asked(self, part=""):
        return [line for line, _, _ in self.seen if part in line]

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


class Front(Server):
    """Passes on to a registry, but for what `hook(handler)` answers itself (then it returns True); `alter(path, body)` changes a body."""

    def __init__(self, registry, hook=lambda handler: False, alter=lambda path, body: body, tls=None):
        super().__init__(tls)
        self.registry, self.hook, self.alter = registry, hook, alter

    def fetch(self, handler, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.registry.port)
        passed = {k: v for k, v in handler.headers.items() if k in ("Accept", "Range")}
        path = handler.path if handler.path.startswith("/") else "/" + handler.path.split("/", 3)[3]  # as a proxy
        c.request(handler.command, path, headers=passed | headers)
        answer = c.getresponse()
        body = answer.read()
        c.close()
        return answer, body

    def answer(self, handler):
        if self.hook(handler):
            return
        answer, body = self.fetch(handler)
        body = self.alter(handler.path, body)
        keep = {k.replace("-", "_"): v for k, v in answer.headers.items()
                if k in ("Content-Type", "Docker-Content-Digest", "Etag", "Content-Range")}
        handler.reply(answer.status, body, **keep)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Tokens(Server):
    """Gives the tokens that docker-registry believes: JWTs signed for the scope asked for. Wants a password, or an identity token."""

    def __init__(self, folder, user="reader", password="secret", refresh="refresh-token", tls=None):
        super().__init__(tls)
        self.url += "/token"
        self.user, self.password, self.refresh, self.folder = user, password, refresh, Path(folder)
        self.certificate = self.folder / "token.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", self.folder / "token.key",
                        "-out", self.certificate, "-subj", "/CN=tokens"], check=True, capture_output=True)

    def sign(self, claims):
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        text = b64(json.dumps(head).encode()) + b"." + b64(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.folder / "token.key"], input=text, check=True,
                                   capture_output=True).stdout
        return (text + b"." + b64(signature)).decode()

    def allowed(self, handler, fields):
        if handler.command == "POST":
            return fields.get("grant_type") == "refresh_token" and fields.get("refresh_token") == self.refresh
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return handler.headers.get("Authorization") == f"Basic {basic}"

    def answer(self, handler):
        text = handler.body.decode() if handler.command == "POST" else urllib.parse.urlsplit(handler.path).query
        fields = dict(urllib.parse.parse_qsl(text))
        if not self.allowed(handler, fields):
            handler.reply(401)
            return
        kind, name, actions = fields["scope"].split(":")
        now = int(time.time())
        token = self.sign({"iss": "test", "sub": self.user, "aud": fields["service"], "exp": now + 300, "nbf": now - 10, "iat": now,
                           "jti": "1", "access": [{"type": kind, "name": name, "actions": actions.split(",")}]})
        key = "access_token" if handler.command == "POST" else "token"
        handler.reply(200, json.dumps({key: token, "expires_in": 300}).encode(), Content_Type="application/json")
