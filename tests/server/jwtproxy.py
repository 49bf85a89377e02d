"""Proxies that run, tokens as Quay signs them, and upstreams that say what they were asked."""
import base64
import hashlib
import hmac
import http.server
import json
import signal
import socket
import subprocess
import threading
import time
import uuid

import helpers
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from serving import Server, free_ports, read_answer, request


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def rsa_key(bits=2048):
    return rsa.generate_private_key(65537, bits)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(key, kid):
    n = key.public_key().public_numbers()
    return {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": b64(n.n.to_bytes((n.n.bit_length() + 7) // 8, "big"))}


def signature(alg, key, text):
    if alg == "HS256":
        return hmac.new(key, text, hashlib.sha256).digest()
    if alg == "ES256":
        r, s = utils.decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if alg == "PS256":
        return key.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    return key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def make_token(key, claims, sign="RS256", bad=False, **header):
    """`header`: beside alg, kid and typ; a value of None takes one away."""
    head = {"alg": sign, "kid": "mykey", "typ": "JWT"} | header
    text = ".".join(b64(json.dumps({k: v for k, v in part.items() if v is not None}).encode()) for part in (head, claims)).encode()
    made = b"" if sign == "none" else signature(sign, key, text)
    if bad:
        made = made[:-1] + bytes([made[-1] ^ 1])
    return (text + b"." + b64(made).encode()).decode()


def claims_for(audience, **more):
    now = int(time.time())
    return {k: v for k, v in ({"iss": "quay", "aud": audience, "exp": now + 60, "nbf": now - 60, "iat": now,
                               "jti": uuid.uuid4().hex} | more).items() if v is not None}


class Echo:
    """Says back path and headers, and what came as a body; `requests` are what it was asked."""

    def __init__(self, address=("127.0.0.1", 0)):
        outer = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def body(self):
                if self.headers.get("Transfer-Encoding") == "chunked":
                    got = b""
                    while (size := int(self.rfile.readline().split(b";")[0], 16)):
                        got += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                    return got
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def answer(self):
                body = self.body()
                outer.requests.append((self.command, self.path, list(self.headers.items()), body))
                text = json.dumps({"path": self.path, "headers": dict(self.headers), "sha256": hashlib.sha256(body).hexdigest()}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.server = Server(address, Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Registry:
    """Quay's key server, as far as readers go: `keys` maps (service, kid) to a JWK, or to the status that is told instead."""

    def __init__(self, tls=None):
        outer = self
        self.keys, self.requests, self.puts = {}, [], []
        self.max_age = 60

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def say(self, status, body=b"", headers=()):
                self.send_response(status)
                for header in headers:
                    self.send_header(*header)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                _, _, _, service, _, kid = self.path.split("?")[0].split("/")
                found = outer.keys.get((service, kid.replace("%3D", "=")), 404)
                if isinstance(found, int):
                    return self.say(found)
                self.say(200, json.dumps(found).encode(), [("Cache-Control", f"max-age={outer.max_age}")])

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                _, _, _, service, _, kid = self.path.split("?")[0].split("/")
                outer.puts.append((self.path, dict(self.headers), body))
                outer.keys[service, kid.replace("%3D", "=")] = json.loads(body)
                self.say(202)

            def do_DELETE(self):
                self.say(204)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_address[1]}/keys/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy:
    """`eclair proxy` with a section; ports that are 0 in listen_addr are found and put in."""

    def __init__(self, folder, section, env=None, more=None, command=("proxy",)):
        folder.mkdir(exist_ok=True)
        self.folder, self.section, self.command = folder, section, command
        self.env = env or {}
        self.file = folder / "config.yaml"
        self.ports = []
        one = section.get("signer_proxy")
        listeners = [one] if one and one.get("enabled", True) else []
        for one in [v for v in section.get("verifier_proxies", []) if v.get("enabled", True)] + listeners:
            address = one["listen_addr"]
            if not address.startswith("unix:"):
                if address.endswith(":0"):
                    one["listen_addr"] = address[:-1] + str(free_ports(1)[0])
                self.ports.append(int(one["listen_addr"].rsplit(":", 1)[1]))
        self.port = self.ports[0] if self.ports else None
        self.more = more or {}

    def start(self, wait=True):
        self.file.write_text(yaml.safe_dump({"jwtproxy": self.section} | self.more))
        self.log = self.folder / "log"
        env = {k: v for k, v in helpers.environment(ECLAIR_NOW=None, **self.env).items() if k != "ECLAIR_NOW"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([helpers.ECLAIR, *self.command, "-config", self.file, "-log-level", "debug"], stdout=log, stderr=log,
                                            cwd=self.folder, env=env, start_new_session=True)
        for port in self.ports if wait else ():
            self.wait(port)
        return self

    def wait(self, port, seconds=30):
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, self.text()
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except ConnectionRefusedError:
                assert time.monotonic() < end, self.text()
                time.sleep(0.005)

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self, code=0):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == code, self.text()
        text = self.text()
        assert "ERROR: AddressSanitizer" not in text and "runtime error" not in text, text

    def audience(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, authorization=None, method="GET", target="/x", headers=(), body=b"", port=None, raw=None):
        """One request, on a connection of its own."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port or self.port}", *headers]
        lines += [f"Authorization: {authorization}"] if authorization is not None else []
        lines += [f"Content-Length: {len(body)}"] if body else []
        data = raw if raw is not None else ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        with socket.create_connection(("127.0.0.1", port or self.port), timeout=60) as s:
            s.sendall(data)
            with s.makefile("rb") as f:
                return read_answer(f, method == "HEAD")


def verifier(upstream, key_server, port=0, **more):
    port = port or free_ports(1)[0]
    return {"listen_addr": f"127.0.0.1:{port}",
            "verifier": {"upstream": upstream, "audience": f"http://127.0.0.1:{port}", "key_server": key_server} | more.pop("rules", {})} | more


def preshared(folder, key, kid="mykey", issuer="quay"):
    path = folder / f"{kid}.pub"
    path.write_bytes(public_pem(key))
    return {"type": "preshared", "options": {"issuer": issuer, "key_id": kid, "public_key_path": str(path)}}


def signer(key_path, port=0, kid="mykey", **more):
    port = port or free_ports(1)[0]
    return {"listen_addr": f"127.0.0.1:{port}", "signer": {"issuer": "quay", "private_key": {
        "type": "preshared", "options": {"key_id": kid, "private_key_path": str(key_path)}}}} | more


def front(port, api, registry, **more):
    return {"listen_addr": f"127.0.0.1:{port}", "verifier": {
        "upstream": f"http://127.0.0.1:{api}", "audience": f"http://127.0.0.1:{port}",
        "key_server": {"type": "keyregistry", "options": {"registry": registry.url}}}} | more


class Served(Server):
    """`eclair serve` with a verifier in front; `signer` is a section."""

    def __init__(self, folder, database, registry, signer=None, audience=None, **more):
        folder.mkdir()
        super().__init__(folder, database, **more)
        self.front, = free_ports(1)
        self.section = {"signer_proxy": signer or {"enabled": False}, "verifier_proxies": [front(self.front, self.port, registry)]}
        if audience:
            self.section["verifier_proxies"][0]["verifier"]["audience"] = audience

    def config(self):
        path = super().config()
        with path.open("a") as f:
            f.write(yaml.safe_dump({"jwtproxy": self.section}))
        return path

    def wait(self, seconds=30):
        super().wait(seconds)
        end = time.monotonic() + seconds
        while "starting verifier proxy" not in self.events():
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)

    def ask(self, token=None, target="/v1/namespaces"):
        return request(self.front, "GET", target, headers=[f"Authorization: Bearer {token}"] if token else [])
