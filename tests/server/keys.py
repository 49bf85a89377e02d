"""A key registry as Quay's, for tests: it keeps what it is sent, and answers what it is told to."""
import http.server
import json
import threading
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def new_key():
    return rsa.generate_private_key(65537, 2048)


SHARED = new_key()  # where it does not matter which: making one takes a while


def jwk_of(key, kid, **more):
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "e": jwk["e"], "n": jwk["n"], **more}


def pem_of(key, public=False):
    if public:
        return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


def token(key, service, audience, kid, **claims):
    now = int(time.time())
    body = {"iss": service, "aud": audience, "exp": now + 300, "nbf": now - 60, "iat": now, "jti": str(time.time_ns()), **claims}
    return jwt.encode({k: v for k, v in body.items() if v is not None}, key, algorithm="RS256",
                      headers={"kid": kid} if kid is not None else {})


class Registry:
    """`keys`: (service, kid) -> dict of jwk, status (200, 409, 403, ...), headers. `on_put(registry, service, kid)` gives a PUT's
    status. `down`: every answer is 503."""

    def __init__(self, port=0, tls=None):
        self.keys, self.log, self.down = {}, [], False
        self.delay = 0
        self.put_status = None
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urllib.parse.urlsplit(self.path)
                parts = [urllib.parse.unquote(p) for p in url.path.split("/")]
                registry.log.append((self.command, self.path, dict(self.headers), body))
                time.sleep(registry.delay)
                if registry.down:
                    return self.answer(503)
                return registry.route(self, parts, body)

            do_GET = do_PUT = do_DELETE = do_POST = handle_any

            def log_message(self, *args):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *args):
                pass

        self.server = Listener(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/keys/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def route(self, handler, parts, body):
        """/keys/services/SERVICE/keys/KID"""
        service, kid = parts[3], parts[5] if len(parts) > 5 else None
        return getattr(self, handler.command.lower())(handler, service, kid, body)

    def add(self, service, kid, key=None, status=200, headers=(("Cache-Control", "max-age=60"),)):
        self.keys[service, kid] = {"jwk": jwk_of(key or SHARED, kid), "status": status, "headers": list(headers)}
        return self.keys[service, kid]

    def count(self, method):
        return sum(entry[0] == method for entry in list(self.log))

    def get(self, handler, service, kid, body):
        row = self.keys.get((service, kid))
        if not row or row["status"] != 200:
            return handler.answer(row["status"] if row else 404)
        tag = dict(row["headers"]).get("ETag")
        if tag and handler.headers.get("If-None-Match") == tag:
            return handler.answer(304, headers=row["headers"])
        return handler.answer(200, json.dumps(row["jwk"]).encode(), row["headers"])

    def put(self, handler, service, kid, body):
        text = handler.headers["Authorization"].split(" ")[1]
        signer = jwt.get_unverified_header(text)["kid"]
        if signer != kid and self.keys.get((service, signer), {}).get("status") != 200:
            return handler.answer(403)
        jwk = json.loads(body) if signer == kid else self.keys[service, signer]["jwk"]
        jwt.decode(text, jwt.algorithms.RSAAlgorithm.from_jwk(json.dumps(jwk)), algorithms=["RS256"],
                   audience=self.origin, issuer=service)
        new = signer == kid
        self.keys[service, kid] = {"jwk": json.loads(body), "status": 409 if new else 200,
                                   "headers": [("Cache-Control", "max-age=60")]}
        if not new:
            self.keys[service, signer]["status"] = 403
        return handler.answer(202 if new else 200)

    def delete(self, handler, service, kid, body):
        return handler.answer(204 if self.keys.pop((service, kid), None) else 404)
