"""jwtproxy as it was recorded (golden-clients/jwtproxy), and what it let in and should not have."""
import base64
import hashlib
import json
import signal
import socket
import ssl
import threading
import time

import pytest
import yaml
from conftest import SPEC
from cryptography.hazmat.primitives.asymmetric import ec
from jwtproxy import (Echo, Proxy, Registry, b64, claims_for, jwk, make_token, preshared, private_pem, public_pem, rsa_key, signer,
                      verifier)
from serving import free_ports, read_answer
from test_tls import Authority, eventually, run

GOLDEN = SPEC / "golden-clients" / "jwtproxy"
PREFIX = "jwtproxy: unable to verify request: "

# What was recorded of jwtproxy 7e2a159, and is another here: why, and what is said instead.
EXCEPTIONS = {
    "alg RS512 hdr": (403, PREFIX + "Invalid JWT signature", "a header does not choose the algorithm"),
    "aud list": (200, None, "RFC 7519 4.1.3"),
    "replay after bad sig B": (200, None, "who cannot sign burns no nonce"),
}


@pytest.fixture(scope="module")
def key():
    return rsa_key()


@pytest.fixture(scope="module")
def echo():
    e = Echo()
    yield e
    e.close()


@pytest.fixture
def registry():
    r = Registry()
    yield r
    r.close()


@pytest.fixture
def proxy(tmp_path):
    """proxy(section) runs one that must end well."""
    running = []

    def start(section, wait=True, **more):
        running.append(Proxy(tmp_path / f"proxy{len(running)}", section, **more).start(wait))
        return running[-1]

    yield start
    for p in running:
        p.stop()


@pytest.fixture(scope="module")
def plain(tmp_path_factory, key, echo):
    """The recorded v.yaml, on free ports."""
    folder = tmp_path_factory.mktemp("plain")
    p = Proxy(folder, {"signer_proxy": {"enabled": False}, "verifier_proxies": [verifier(echo.url + "/base?x=1", preshared(folder, key))]}).start()
    yield p
    p.stop()


def recorded():
    for line in (GOLDEN / "verifier-cases.txt").read_text().splitlines():
        name, _, rest = line[:29].strip(), None, line[29:]
        status, text = rest[:3], rest[4:]
        yield name, int(status), eval(text.rsplit(" text/plain", 1)[0]) if status == "403" else None


def cases(key, audience):
    """name -> the Authorization header of the recorded case."""
    other = rsa_key()

    def good(header=None, bad=False, sign="RS256", with_key=None, **claims):
        return "Bearer " + make_token(with_key or key, claims_for(audience, **claims), sign, bad, **(header or {}))

    now = int(time.time())
    again, burnt = good(jti="again-1"), {"jti": "burnt-1"}
    yield "ok", good()
    yield "kid missing", good({"kid": None})
    yield "alg none", good(sign="none")
    yield "alg HS256 w/ pubkey", good(sign="HS256", with_key=public_pem(key))
    yield "alg RS512 hdr", good({"alg": "RS512"})
    yield "no alg", good({"alg": None})
    for claim in ("iss", "aud", "exp", "nbf", "iat", "jti"):
        yield f"no {claim}", good(**{claim: None})
    yield "exp past", good(exp=now - 1)
    yield "nbf future +30", good(nbf=now + 30)
    yield "iat future +200", good(iat=now + 200, exp=now + 260)
    yield "iat future +400", good(iat=now + 400, exp=now + 460)
    yield "ttl 301", good(iat=now - 1, exp=now + 300)
    yield "ttl 300", good(iat=now - 1, exp=now + 299)
    yield "replay 1", again
    yield "replay 2", again
    yield "aud path ignored", good(aud=audience + "/some/path")
    yield "aud upper", good(aud=audience.upper())
    yield "aud list", good(aud=[audience])
    yield "iss other", good(iss="other")
    yield "iss case", good(iss="QUAY")
    yield "kid other", good({"kid": "other"})
    yield "kid case", good({"kid": "MYKEY"})
    yield "bad sig", good(with_key=other)
    yield "exp string", good(exp=str(now + 60))
    yield "exp float", good(exp=now + 60.5)
    yield "lower bearer", good().replace("Bearer", "bearer")
    for user in ("$oauthtoken", "anybody"):
        token = good().split()[1]
        yield "basic oauth2" if user[0] == "$" else "basic any", "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()
    yield "replay after bad sig A", good(bad=True, **burnt)
    yield "replay after bad sig B", good(**burnt)


def test_verdicts_are_those_that_were_recorded(plain, key):
    said = {}
    for name, header in cases(key, plain.audience()):
        a = plain.ask(header)
        said[name] = (a.status, a.body.decode() if a.status != 200 else None)
        if a.status == 403:
            assert a.header("Content-Type") == "text/plain" and a.header("Date")
    want = {name: EXCEPTIONS[name][:2] if name in EXCEPTIONS else (status, text) for name, status, text in recorded()}
    assert said == want


def blocks():
    for block in (GOLDEN / "http-cases.txt").read_text().split("## ")[1:]:
        name, _, rest = block.partition("\n")
        head, _, body = rest.partition("\n\n")
        yield name, head.splitlines(), body.rstrip("\n")


def test_answers_are_those_that_were_recorded(plain, proxy, key, tmp_path):
    (tmp_path / "mykey.key").write_bytes(private_pem(key))
    s = proxy({"signer_proxy": signer(tmp_path / "mykey.key")})
    url = f"http://127.0.0.1:{plain.port}/v1/x?y=2"
    asked = {
        "notoken": lambda: plain.ask(),
        "garbage": lambda: plain.ask("Bearer garbage"),
        "basic": lambda: plain.ask("Basic " + base64.b64encode(b"user:password").decode()),
        "wrongaud": lambda: plain.ask("Bearer " + make_token(key, claims_for("http://elsewhere:1"))),
        "viasigner": lambda: s.ask(target=url),
        "direct_signer": lambda: s.ask(target="/x"),
    }
    for name, head, body in blocks():
        if not head or not head[0]:  # connect_noca: the connection is dropped without a word
            run("curl", "-sp", "-x", f"http://127.0.0.1:{s.port}", "https://127.0.0.1:1/", code=56)
            assert "No CA keypair specified, the proxy will not be able to forward requests to TLS endpoints." in s.text()
            continue
        a = asked[name]()
        assert f"{a.http} {a.status} {a.reason}" == head[0]
        if name == "viasigner":  # the upstream's own words: what it was asked
            got = a.json()
            assert got["path"] == json.loads(body)["path"]
            assert got["headers"]["Host"] == f"127.0.0.1:{plain.port}" and got["headers"]["Authorization"].startswith("Bearer ")
            continue
        assert a.body.decode().rstrip("\n") == body
        assert {k for k, _ in a.headers} == {line.split(":")[0] for line in head[1:]}
        assert [v for k, v in a.headers if k not in ("Date",)] and a.header("Content-Length") == next(v for k, v in (x.split(": ") for x in head[1:]) if k == "Content-Length")


# ---- what must not come in ----


def forged(key, audience):
    """name, header, and which text of a refusal it gets."""
    other, claims = rsa_key(), lambda **more: claims_for(audience, **more)
    public = jwk(other, "mykey")
    bad = "Invalid JWT signature"
    yield "embedded key", make_token(other, claims(), jwk=public), bad
    yield "key by URL", make_token(other, claims(), jku="http://127.0.0.1:1/keys"), bad
    yield "certificate by URL", make_token(other, claims(), x5u="http://127.0.0.1:1/x"), bad
    yield "embedded certificate", make_token(other, claims(), x5c=["MIIB"]), bad
    yield "critical extension", make_token(key, claims(), crit=["exp"]), "Could not parse JWT"
    yield "HS256 of the JWK", make_token(json.dumps(jwk(key, "mykey")).encode(), claims(), "HS256"), bad
    yield "PS256 not allowed", make_token(key, claims(), "PS256"), bad
    yield "ES256 of another", make_token(ec.generate_private_key(ec.SECP256R1()), claims(), "ES256"), bad
    yield "nOnE", make_token(key, claims(), "none", alg="nOnE"), bad
    yield "no signature", make_token(key, claims()).rsplit(".", 1)[0] + ".", bad
    yield "path as kid", make_token(key, claims(), kid="../../../etc/passwd"), "Unexpected key server error"
    yield "oversize", make_token(key, claims(more="x" * 20000)), "Could not parse JWT"
    yield "two parts", "a.b", "Could not parse JWT"
    yield "four parts", make_token(key, claims()) + ".x", "Could not parse JWT"
    yield "deep", make_token(key, claims(more=eval("[" * 40 + "]" * 40))), "Could not parse JWT"
    head, body, sign = make_token(key, claims()).split(".")
    yield "other claims", ".".join((head, b64(json.dumps(claims()).encode()), sign)), bad
    yield "exp infinite", make_token(key, claims(exp=float("inf"))), "Could not parse JWT"
    yield "exp far", make_token(key, claims(exp=2 ** 70)), "Invalid 'exp' claim (too long)"


def test_forged_tokens_are_refused(plain, key, echo):
    before = len(echo.requests)
    said = {name: (want, plain.ask("Bearer " + token)) for name, token, want in forged(key, plain.audience())}
    for name, (want, a) in said.items():
        assert a.status == 403 and a.body.decode().startswith(PREFIX + want), (name, a)
    assert len(echo.requests) == before
    assert plain.ask("Bearer " + make_token(key, claims_for(plain.audience()))).status == 200


def test_other_algorithms_are_allowed_by_name(proxy, echo, tmp_path):
    keys = {"ES256": ec.generate_private_key(ec.SECP256R1()), "PS256": rsa_key()}
    section = {"signer_proxy": {"enabled": False}, "verifier_proxies": []}
    for name, k in keys.items():
        v = verifier(echo.url, preshared(tmp_path, k, name), rules={"algorithms": [name]})
        section["verifier_proxies"].append(v)
    p = proxy(section)
    for (name, k), v in zip(keys.items(), section["verifier_proxies"]):
        port = int(v["listen_addr"].split(":")[1])
        ask = lambda token: p.ask("Bearer " + token, port=port).status  # noqa: E731, B023
        assert ask(make_token(k, claims_for(v["verifier"]["audience"]), name, kid=name)) == 200
        if name == "PS256":
            assert ask(make_token(k, claims_for(v["verifier"]["audience"]), "RS256", kid=name)) == 403


def test_ports_of_the_scheme_are_the_same_written_or_not(proxy, echo, key, tmp_path):
    v = verifier(echo.url, preshared(tmp_path, key), rules={"audience": "https://quay.example:443"})
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [v]})
    for audience, status in [("https://quay.example", 200), ("https://QUAY.example:443/", 200), ("https://quay.example:80", 403),
                             ("http://quay.example:443", 403), ("https://quay.example.evil", 403), ("quay.example", 403)]:
        assert p.ask("Bearer " + make_token(key, claims_for(audience))).status == status, audience
    assert "listen_addr's is" in p.text()  # warned


def test_claims_that_must_be_there(proxy, echo, key, tmp_path):
    v = verifier(echo.url, preshared(tmp_path, key), rules={"claims_verifiers": [{"type": "static", "options": {"iss": "quay", "level": 3}}]})
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [v]})
    for more, status, body in [({"level": 3}, 200, None), ({"level": 4}, 403, "Error verifying claims: Claim did not have the required value: level"),
                               ({"level": "3"}, 403, None), ({}, 403, "Error verifying claims: Required claim not found: level")]:
        a = p.ask("Bearer " + make_token(key, claims_for(p.audience(), **more)))
        assert a.status == status and body in (None, a.body.decode()), (more, a)


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize("head", [
    "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked", "Transfer-Encoding:\n chunked", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: +5",
    "Content-Length: 0x5", "X: a\rb", "X: a\n", "Bad Name: x", " folded: x", "Host: other", "X: \x00",
])
def test_what_two_could_read_differently_is_refused(plain, echo, key, head):
    before = len(echo.requests)
    token = make_token(key, claims_for(plain.audience()))
    raw = f"POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n{head}\r\n\r\n".encode() + b"0\r\n\r\n" + SMUGGLED
    assert plain.ask(raw=raw).status == 400
    assert len(echo.requests) == before


def test_one_request_is_judged_at_a_time(plain, echo, key):
    """What stands behind a good request is a request of its own."""
    token = make_token(key, claims_for(plain.audience()))
    with socket.create_connection(("127.0.0.1", plain.port), timeout=30) as s, s.makefile("rb") as f:
        s.sendall(f"POST /one HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                  + b"3\r\nabc\r\n0\r\n\r\n" + SMUGGLED)
        assert read_answer(f).status == 200
        assert read_answer(f).status == 403
    twice = plain.ask(raw=f"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nAuthorization: Basic eA==\r\n\r\n".encode())
    assert twice.status == 400
    assert not any(path.endswith("smuggled") for _, path, _, _ in echo.requests)


# ---- forwarding ----


def test_bodies_of_any_size_and_kept_connections(plain, echo, key):
    """Both ways, as they come; headers of the connection stay here."""
    big = bytes(range(256)) * 40000
    with socket.create_connection(("127.0.0.1", plain.port), timeout=60) as s, s.makefile("rb") as f:
        for chunked in (False, True, False):
            token = make_token(key, claims_for(plain.audience()))
            head = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(big)}"
            body = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in (big[:7], big[7:])) + b"0\r\nX-Trailer: 1\r\n\r\n" if chunked else big
            s.sendall(f"PUT /up HTTP/1.1\r\nHost: clair.example\r\nConnection: X-Mine\r\nX-Mine: 1\r\nX-Theirs: 2\r\nTE: trailers\r\n"
                      f"Authorization: Bearer {token}\r\n{head}\r\n\r\n".encode() + body)
            a = read_answer(f)
            assert a.status == 200 and a.json()["sha256"] == hashlib.sha256(big).hexdigest()
            headers = a.json()["headers"]
            assert headers["Host"] == "clair.example" and headers["Authorization"] == f"Bearer {token}" and headers["X-Theirs"] == "2"
            assert not {"X-Mine", "TE", "Connection"} & set(headers)


class Script:
    """An upstream that says what a test wants, byte by byte."""

    def __init__(self, *answers):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.got = []
        threading.Thread(target=self.run, args=(answers,), daemon=True).start()

    def run(self, answers):
        for answer in answers:
            c, _ = self.listener.accept()
            with c:
                data = b""
                while b"\r\n\r\n" not in data and (more := c.recv(65536)):
                    data += more
                self.got.append(data)
                if callable(answer):
                    answer(c, data)
                else:
                    c.sendall(answer)


def scripted(proxy, tmp_path, key, *answers):
    up = Script(*answers)
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [verifier(up.url, preshared(tmp_path, key))]})
    return up, p, lambda **more: p.ask("Bearer " + make_token(key, claims_for(p.audience())), **more)


def test_answers_of_all_shapes(proxy, tmp_path, key):
    _, p, ask = scripted(proxy, tmp_path, key,
                         b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
                         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
                         b"HTTP/1.1 204 No Content\r\n\r\n",
                         b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
                         b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",  # HEAD
                         b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                         b"nonsense\r\n\r\n", b"")
    assert ask().body == b"until the end"
    a = ask()
    assert a.body == b"abc" and a.trailers == [("X-T", "1")]
    assert ask(headers=["Connection: close"]).status == 204
    assert ask().body == b"no"
    a = ask(method="HEAD")
    assert a.status == 200 and a.header("Content-Length") == "5"
    assert [ask().status for _ in range(3)] == [500, 500, 500]


@pytest.mark.parametrize("method, end, times", [("GET", b"", 2), ("POST", b"", 1), ("GET", b"HTTP/1.1 2", 1)])
def test_only_what_cannot_have_been_done_is_asked_again(proxy, tmp_path, key, method, end, times):
    """A kept connection ends at its second request."""
    seen = []

    def dies(c, head):
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        seen.append(c.recv(65536))
        c.sendall(end)

    def again(c, head):
        seen.append(head)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain")

    _, _, ask = scripted(proxy, tmp_path, key, dies, again)
    assert ask().status == 200
    a = ask(method=method)
    assert (a.status, len(seen)) == ((200, 2) if times == 2 else (500, 1))
    assert all(head.startswith(method.encode() + b" ") for head in seen)


def test_used_tokens_are_known_after_a_restart(proxy, echo, key, tmp_path):
    v = verifier(echo.url, preshared(tmp_path, key))
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [v]})
    token = "Bearer " + make_token(key, claims_for(p.audience()))
    assert p.ask(token).status == 200
    for times, skew in ((1, None), (2, "2m")):  # nothing changes: nothing is stopped
        if skew:
            v["verifier"]["max_skew"] = skew
            p.file.write_text(yaml.safe_dump({"jwtproxy": p.section}))
        p.process.send_signal(signal.SIGHUP)
        eventually(lambda: p.text().count("configuration read again") == times)
        eventually(lambda: p.text().count("starting verifier proxy") == times)
        a = p.ask(token)
        assert (a.status, a.body) == (403, (PREFIX + "Missing or invalid 'jti' claim").encode())


def test_guesses_of_keys_do_not_flood_the_registry(proxy, echo, registry, key, tmp_path):
    registry.keys["quay", "mykey"] = jwk(key, "mykey")
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [
        verifier(echo.url, {"type": "keyregistry", "options": {"registry": registry.url}})]})

    def ask(kid):
        return p.ask("Bearer " + make_token(key, claims_for(p.audience()), kid=kid)).status

    assert ask("mykey") == 200
    began = time.monotonic()
    n = 0
    while len(registry.requests) + 10 > n:  # until some were not asked for
        assert ask(f"guess{n}") == 403
        n += 1
        if time.monotonic() - began > 10:
            pytest.skip("too slow to flood anything")
    assert len(registry.requests) <= 102 + 50 * (time.monotonic() - began)
    assert ask("mykey") == 200
    text = p.text()
    assert "more than 50 keys a second" in text
    assert text.count('"request refused","Level":"warning"') <= 2 + time.monotonic() - began


def test_an_upstream_that_is_down_gets_go_s_words(proxy, tmp_path, key):
    port = free_ports(1)[0]
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [verifier(f"http://127.0.0.1:{port}", preshared(tmp_path, key))]})
    a = p.ask("Bearer " + make_token(key, claims_for(p.audience())))
    assert (a.status, a.body.decode()) == (500, f"dial tcp 127.0.0.1:{port}: connect: connection refused\n")


def test_upgraded_connections_are_passed_on(proxy, tmp_path, key):
    def websocket(c, head):
        assert b"Upgrade: websocket\r\n" in head and b"Connection: Upgrade\r\n" in head
        c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello")
        while (data := c.recv(65536)):
            c.sendall(data.upper())
        c.sendall(b"bye")

    _, p, _ = scripted(proxy, tmp_path, key, websocket)
    token = make_token(key, claims_for(p.audience()))
    with socket.create_connection(("127.0.0.1", p.port), timeout=30) as s, s.makefile("rb") as f:
        s.sendall(f"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer {token}\r\n\r\nearly".encode())
        assert f.readline().startswith(b"HTTP/1.1 101 ")
        while f.readline() != b"\r\n":
            pass
        assert f.read(10) == b"helloEARLY"
        s.sendall(b"abc")
        assert f.read(3) == b"ABC"
        s.shutdown(socket.SHUT_WR)
        assert f.read() == b"bye"


@pytest.mark.parametrize("upgrade", ["h2c", "websocket, h2c", "x"])
def test_no_other_protocol_is_smuggled_by(proxy, tmp_path, key, upgrade):
    up, _, ask = scripted(proxy, tmp_path, key, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsecret")
    a = ask(headers=["Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABkAAQAAP__"])
    assert a.status == 500 and b"secret" not in a.body
    assert b"upgrade" not in up.got[0].lower() and b"http2-settings" not in up.got[0].lower()
    up, _, ask = scripted(proxy, tmp_path, key, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert ask(headers=["HTTP2-Settings: AAMAAABkAAQAAP__"]).status == 200 and b"http2-settings" not in up.got[0].lower()


def frame(kind, flags=0, stream=0, body=b""):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def read_frame(f):
    head = f.read(9)
    return (head[3], int.from_bytes(head[5:], "big"), f.read(int.from_bytes(head[:3], "big"))) if len(head) == 9 else None


def hpack(**fields):
    def text(s):
        n = len(s)
        out = [n] if n < 127 else [127, (n - 127) % 128 | (128 if n >= 255 else 0)]
        return bytes(out + ([(n - 127) // 128] if n >= 255 else [])) + s.encode()

    return b"".join(b"\0" + text(k.replace("_", ":")) + text(v) for k, v in fields.items())


class Rude(threading.Thread):
    """An upstream of HTTP/2 that resets each stream as if that were well."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = 0
        self.start()

    def run(self):
        while True:
            c, _ = self.listener.accept()
            self.connections += 1
            with c, c.makefile("rb") as f:
                f.read(24)
                c.sendall(frame(4))
                while (got := read_frame(f)):
                    if got[0] == 1:
                        c.sendall(frame(3, stream=got[1], body=bytes(4)))


def test_streams_of_an_upstream_that_gives_up(proxy, tmp_path, key):
    """Only what was judged leads to it, and no client waits for what does not come."""
    up = Rude()
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [verifier(up.url, preshared(tmp_path, key))]})
    token = make_token(key, claims_for(p.audience()))
    with socket.create_connection(("127.0.0.1", p.port), timeout=20) as s, s.makefile("rb") as f:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4))
        for stream, more, kind in ((1, {}, 1), (3, {"authorization": f"Bearer {token}"}, 3)):
            s.sendall(frame(1, 5, stream, hpack(_method="GET", _scheme="http", _path="/", _authority="h", **more)))
            while (got := read_frame(f))[:2] != (kind, stream):
                assert got[1] in (0, 1)
            if stream == 1:
                assert up.connections == 0
        assert got[2] == (2).to_bytes(4, "big")  # INTERNAL_ERROR


def test_a_silent_upstream_is_not_waited_for_long(proxy, tmp_path, key):
    """Whether it speaks HTTP/2 is asked before a client's handshake."""
    ca = Authority(tmp_path, "ca")
    cert, pkey = ca.sign("clair")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [
            verifier(f"https://127.0.0.1:{silent.getsockname()[1]}", preshared(tmp_path, key), crt_file=str(cert), key_file=str(pkey))]})
        began = time.monotonic()
        assert ssl.get_server_certificate(("127.0.0.1", p.port), timeout=30)
        assert time.monotonic() - began < 6  # a second, where TLS may take ten


def test_expect_continue_and_early_answers(proxy, tmp_path, key):
    def patient(c, head):
        c.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        got = head.split(b"\r\n\r\n", 1)[1]
        while len(got) < 5:
            got += c.recv(5)
        c.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n" + got)

    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    _, p, _ = scripted(proxy, tmp_path, key, patient, refusal)
    for body, status in ((b"12345", 200), (b"x" * 5_000_000, 413)):
        token = make_token(key, claims_for(p.audience()))
        with socket.create_connection(("127.0.0.1", p.port), timeout=30) as s, s.makefile("rb") as f:
            s.sendall(f"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            if status == 200:
                assert f.readline() == b"HTTP/1.1 100 Continue\r\n" and f.readline() == b"\r\n"
            try:
                s.sendall(body)
            except OSError:
                pass
            assert read_answer(f).status == status


def test_unix_sockets_at_both_ends(proxy, tmp_path, key):
    up = tmp_path / "up.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(up))
    listener.listen()

    def serve():
        while True:
            c, _ = listener.accept()
            with c:
                if b"PRI" not in c.recv(65536):
                    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    threading.Thread(target=serve, daemon=True).start()
    v = verifier(f"unix:{up}", preshared(tmp_path, key))
    front = tmp_path / "front.sock"
    v |= {"listen_addr": f"unix:{front}", "socket_permission": "0600"}
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [v]})
    eventually(front.exists)
    token = make_token(key, claims_for(v["verifier"]["audience"]))
    assert run("curl", "-s", "--unix-socket", front, "-H", f"Authorization: Bearer {token}", "http://x/y").stdout == b"ok"
    assert oct(front.stat().st_mode & 0o777) == "0o600"
    p.process.kill()
    p.process.wait()
    p.start()  # what a dead one left is no hindrance
    eventually(lambda: p.text().count("starting verifier proxy") == 2)
    p.stop()
    assert not front.exists()


def test_slow_and_hostile_clients(plain, key):
    token = make_token(key, claims_for(plain.audience()))
    slow = [socket.create_connection(("127.0.0.1", plain.port)) for _ in range(200)]
    for s in slow:
        s.sendall(b"GET / HTTP/1.1\r\nX")
    assert plain.ask("Bearer " + token).status == 200
    for s in slow:
        s.close()
    assert plain.ask(raw=b"GET / HTTP/1.1\r\nX: " + b"x" * 40000).status == 431
    assert plain.ask(raw=b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 200 + b"\r\n").status == 400
    for raw in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n"):
        assert plain.ask(raw=raw).status == 400
    # a body that stops in its middle, and a client that goes
    for _ in range(20):
        s = socket.create_connection(("127.0.0.1", plain.port))
        s.sendall(f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\nAuthorization: Bearer "
                  f"{make_token(key, claims_for(plain.audience()))}\r\n\r\nx".encode())
        s.close()
    assert plain.ask("Bearer " + make_token(key, claims_for(plain.audience()))).status == 200


# ---- TLS ----


def test_tls_and_its_new_certificate(proxy, echo, key, tmp_path):
    ca = Authority(tmp_path, "ca")
    cert, pkey = ca.sign("clair")
    v = verifier(echo.url, preshared(tmp_path, key), crt_file=str(cert), key_file=str(pkey))
    v["verifier"]["audience"] = v["verifier"]["audience"].replace("http:", "https:")
    p = proxy({"signer_proxy": {"enabled": False}, "verifier_proxies": [v]})
    url = f"https://localhost:{p.port}/x"

    def ask(*more, code=0):
        token = make_token(key, claims_for(v["verifier"]["audience"]))
        return run("curl", "-s", "--cacert", ca.cert, "-H", f"Authorization: Bearer {token}", *more, url, code=code)

    assert json.loads(ask().stdout)["path"] == "/x"
    assert ask("--tls-max", "1.1", code=35)
    assert b"HTTP request to an HTTPS server" in p.ask(raw=b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").body
    before = ssl.get_server_certificate(("127.0.0.1", p.port))
    new_cert, new_key = ca.sign("clair2")
    cert.write_bytes(b"half of it")  # does not fit: the old one stays
    time.sleep(1.1)
    assert ssl.get_server_certificate(("127.0.0.1", p.port)) == before
    pkey.write_bytes(new_key.read_bytes())
    cert.write_bytes(new_cert.read_bytes())
    eventually(lambda: ssl.get_server_certificate(("127.0.0.1", p.port)) != before, every=0.3)
    assert ask().stdout


def test_connect_is_signed_by_a_ca_of_ours(proxy, echo, key, tmp_path):
    ca, mitm = Authority(tmp_path, "real"), Authority(tmp_path, "mitm", ("rsa:2048",))
    cert, pkey = ca.sign("up")
    v = verifier(echo.url, preshared(tmp_path, key), crt_file=str(cert), key_file=str(pkey))
    v["verifier"]["audience"] = f"https://localhost:{v['listen_addr'].split(':')[1]}"
    (tmp_path / "mykey.key").write_bytes(private_pem(key))
    s = signer(tmp_path / "mykey.key", ca_key_file=str(mitm.key), ca_crt_file=str(mitm.cert), trusted_certificates=[str(ca.cert)])
    p = proxy({"signer_proxy": s, "verifier_proxies": [v]})
    through = ["curl", "-s", "--cacert", mitm.cert, "-x", f"http://{s['listen_addr']}"]
    url = v["verifier"]["audience"]
    got = json.loads(run(*through, url + "/a?b=1").stdout)
    assert got["path"] == "/a?b=1" and got["headers"]["Host"] == url[8:]
    assert run(*through, "--cacert", ca.cert, url, code=60)  # it is not the real certificate
    assert b"'aud' claim" in run(*through, f"https://127.0.0.1:{p.port}/").stdout  # another audience; and a certificate for an address
    untrusted = proxy({"signer_proxy": signer(tmp_path / "mykey.key", ca_key_file=str(mitm.key), ca_crt_file=str(mitm.cert))})
    a = run("curl", "-s", "--cacert", mitm.cert, "-x", f"http://127.0.0.1:{untrusted.port}", "-w", "%{http_code}", url)
    assert a.stdout.endswith(b"500") and b"certificate" in a.stdout


# ---- the signer ----


def test_tokens_are_as_of_old(proxy, echo, key, tmp_path):
    (tmp_path / "k").write_bytes(private_pem(key))
    p = proxy({"signer_proxy": signer(tmp_path / "k")})
    seen = set()
    for url, audience in ((f"{echo.url}/a", echo.url), (f"http://localhost:{echo.port}/b?c", f"http://localhost:{echo.port}"),
                          (f"http://user:pass@localhost:{echo.port}/", f"http://localhost:{echo.port}")):
        p.ask("Basic eA==", target=url, headers=["X-Mine: 1"])
        _, _, headers, _ = echo.requests[-1]
        assert [v for k, v in headers if k == "Host"] == [audience[7:]]  # not the proxy's own
        first, token = [v for k, v in headers if k == "Authorization"]
        assert first == "Basic eA==" and token.startswith("Bearer ")
        head, claims, _ = (base64.urlsafe_b64decode(x + "==") for x in token.split()[1].split("."))
        assert json.loads(head) == {"alg": "RS256", "kid": "mykey", "typ": "JWT"}
        claims = json.loads(claims)
        assert list(claims) == ["aud", "exp", "iat", "iss", "jti", "nbf"]
        assert claims["aud"] == audience and claims["iss"] == "quay"
        assert claims["exp"] - claims["iat"] == 300 and claims["iat"] - claims["nbf"] == 60 and abs(claims["iat"] - time.time()) < 30
        assert len(claims["jti"]) == 32 and all(c.isalnum() or c in "+/" for c in claims["jti"])
        seen.add(claims["jti"])
    assert len(seen) == 3


# ---- files ----


def test_files_that_are_wrong(tmp_path, echo, key):
    def fails(section, *texts, code=1):
        p = Proxy(tmp_path / "bad", section)
        p.start(wait=False)
        assert p.process.wait(30) == code, p.text()
        for text in texts:
            assert text in p.text(), p.text()
        p.log.unlink()

    fails({}, "no private key provider specified")
    fails({"signer_proxy": {"enabled": False}}, "No proxy is enabled. Terminating.", code=0)
    off = {"signer_proxy": {"enabled": False}}
    fails(off | {"verifier_proxies": [{"verifier": {"audience": "http://x"}, "listen_addr": "127.0.0.1:0"}]}, "no verifier.upstream")
    v = verifier(echo.url, preshared(tmp_path, key))
    fails(off | {"verifier_proxies": [v | {"shutdown_timeout": "soon"}]}, "shutdown_timeout: 'soon' is no duration")
    fails(off | {"verifier_proxies": [v | {"crt_file": "x"}]}, "crt_file and key_file go together")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fails(off | {"verifier_proxies": [v | {"listen_addr": f"127.0.0.1:{taken.getsockname()[1]}"}]}, "address already in use", code=0)
