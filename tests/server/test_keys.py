"""The registry of keys that éclair serves: Quay's protocol on both stores, jwtproxy's recorded requests, and the commands around it."""
import json
import re
import subprocess
import time

import helpers
import jwt
import pytest
import serving
from keys import SHARED, jwk_of, new_key, token
from test_key_client import Peer

SECOND = new_key()
ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])  # what has nothing to do with the store
RECORDED = helpers.DATA.parent / "spec/golden-clients/jwtproxy/key-registry-requests.txt"


@pytest.fixture
def server(database, tmp_path):
    s = serving.Server(tmp_path, database)
    s.more = f"  keys:\n    registry: true\n    audience: {audience(s)}\n"
    yield s.start()
    s.stop()


def audience(server):
    return f"http://127.0.0.1:{server.port}"


def where(kid, service="scanner"):
    return f"/keys/services/{service}/keys/{kid.replace('=', '%3D')}"


def put(server, kid, key=SHARED, signer=None, by=None, query="", body=None, service="scanner", headers=None, **claims):
    signer, by = signer or key, by or kid
    claims.setdefault("aud", audience(server))
    text = token(signer, claims.pop("iss", service), claims.pop("aud"), by, **claims)
    body = json.dumps(jwk_of(key, kid)).encode() if body is None else body
    headers = ["Content-Type: application/json", f"Authorization: Bearer {text}"] if headers is None else headers
    return server.request("PUT", where(kid, service) + query, body, headers)


def delete(server, kid, signer, by, service="scanner"):
    text = token(signer, service, audience(server), by)
    return server.request("DELETE", where(kid, service), b"", [f"Authorization: Bearer {text}"])


def keys(server, *arguments, code=0):
    env = helpers.environment()
    del env["ECLAIR_NOW"]
    done = subprocess.run([helpers.ECLAIR, "keys", *map(str, arguments), "--db", server.database], capture_output=True, text=True,
                          env=env, timeout=60)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout if code == 0 else done.stderr


def status(server, kid, **more):
    return server.get(where(kid, **more)).status


def test_life_of_a_key(server):
    """404, 202, 409, approval, 200 with a time, 200 for the one in its place, 403 for the old one, 204, 404."""
    soon = int(time.time()) + 3600
    assert status(server, "k1") == 404
    assert put(server, "k1", query=f"?expiration={soon}&rotation=60").status == 202
    assert put(server, "k1", query=f"?expiration={soon}").status == 202
    assert status(server, "k1") == 409 and server.get("/keys/services/scanner/keys").json() == {"keys": []}
    assert put(server, "k2", SECOND, SHARED, "k1").status == 403  # nobody knows that one yet
    assert "approved k1 of scanner" in keys(server, "approve", "k1")
    got = server.get(where("k1"))
    assert got.status == 200 and got.json() == jwk_of(SHARED, "k1")
    age = int(re.fullmatch(r"max-age=(\d+)", got.header("Cache-Control"))[1])
    assert 3500 < age <= 3600
    assert server.get("/keys/services/scanner/keys").json() == {"keys": [jwk_of(SHARED, "k1")]}
    assert server.get("/keys/services/other/keys").json() == {"keys": []} and status(server, "k1", service="other") == 404
    assert put(server, "k2", SECOND, SHARED, "k1").status == 200
    assert status(server, "k1") == 403 and status(server, "k2") == 200
    assert server.get(where("k2")).header("Cache-Control") == "max-age=86400"
    assert put(server, "k3", SECOND, SHARED, "k1").status == 403
    assert delete(server, "k2", SHARED, "k1").status == 403
    assert delete(server, "k2", SECOND, "k2").status == 204
    assert status(server, "k2") == 404 and delete(server, "k2", SECOND, "k2").status == 404
    assert "a key waits for approval: eclair keys approve KID" in server.events()


@ONE_STORE
def test_refused(server):
    """What is no key, no token, or nobody's."""
    now = int(time.time())
    private = json.dumps({**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(SHARED))}).encode()
    rows = {
        "no body": put(server, "k", body=b""), "no key": put(server, "k", body=b"{}"),
        "oct": put(server, "k", body=b'{"kty":"oct","k":"AAAA"}'), "private": put(server, "k", body=private),
        "large": put(server, "k", body=b" " * 70000 + json.dumps(jwk_of(SHARED, "k")).encode()),
        "another kid": put(server, "k", body=json.dumps(jwk_of(SHARED, "other")).encode()),
        "past": put(server, "k", query=f"?expiration={now - 1}"), "no time": put(server, "k", query="?expiration=soon"),
        "rotation": put(server, "k", query="?rotation=-1"),
        "no token": put(server, "k", headers=[]), "basic": put(server, "k", headers=["Authorization: Basic eDp5"]),
        "lower": put(server, "k", headers=[f"Authorization: bearer {token(SHARED, 'scanner', audience(server), 'k')}"]),
        "service": put(server, "k", iss="other"), "audience": put(server, "k", aud="http://other"),
        "no audience": put(server, "k", aud=None), "no exp": put(server, "k", exp=None), "no iat": put(server, "k", iat=None),
        "no nbf": put(server, "k", nbf=None), "exp": put(server, "k", exp=now - 1), "iat": put(server, "k", iat=now + 120),
        "nbf": put(server, "k", nbf=now + 120), "long": put(server, "k", exp=now + 7200),
        "signature": put(server, "k", signer=SECOND), "long kid": put(server, "k" * 600)}
    assert {name: a.status for name, a in rows.items()} == dict.fromkeys(rows, 400)
    assert "known: make another" in rows["private"].json()["Error"]["Message"]
    confused = jwt.encode({"iss": "scanner", "aud": audience(server), "exp": now + 60, "nbf": now, "iat": now}, "secret", "HS256", {"kid": "k"})
    assert put(server, "k", headers=[f"Authorization: Bearer {confused}"]).status == 400
    assert status(server, "k") == 404
    assert put(server, "k").status == 202
    assert put(server, "k", SECOND).status == 403  # another key of that name
    again = token(SHARED, "scanner", [audience(server).upper()], "k", jti=None)
    assert server.request("PUT", where("k"), json.dumps(jwk_of(SHARED, "k")).encode(), [f"Authorization: Bearer {again}"]).status == 202


@ONE_STORE
def test_flood(server):
    """Neither a service nor all of them fill the database."""
    answers = [put(server, f"k{i}").status for i in range(20)]
    assert answers == [202] * 16 + [429] * 4
    assert put(server, "k", service="other").status == 202
    keys(server, "revoke", "k3")
    assert put(server, "k16").status == 202 and put(server, "k17").header("Retry-After")


def test_jwtproxy(server):
    """Its recorded PUT and GET, with a key and a token in them that are good."""
    line = RECORDED.read_text().splitlines()[0]
    method, target, rest = line.split(" ", 2)
    headers, body = re.fullmatch(r"(\{.*?\}) (.*)", rest).groups()
    headers = json.loads(headers.replace("'", '"'))
    kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs="
    numbers = jwk_of(SHARED, kid)
    expiration = re.search(r"expiration=(\d+)", target)[1]
    target = target.replace("KID%3D", kid[:-1] + "%3D").replace(expiration, str(int(time.time()) + 86400))
    body = body.replace("KID=", kid).replace('"N"', f'"{numbers["n"]}=="').encode()
    headers["Authorization"] = "Bearer " + token(SHARED, "security_scanner", audience(server), kid)
    sent = [f"{k}: {v}" for k, v in headers.items() if k not in ("Host", "Content-Length")]
    assert server.request(method, target, body, sent).status == 202
    get = "/keys/services/security_scanner/keys/" + kid[:-1] + "%3D"
    assert server.get(get).status == 409
    keys(server, "approve", kid[:8])
    assert server.get(get).json() == {**numbers, "kid": kid}


@ONE_STORE
def test_options(database, tmp_path):
    """Off unless it is wanted; an audience of its own; read-only is read-only, and no other token is asked for."""
    s = serving.Server(tmp_path, database).start()
    assert [s.get(where("k")).status, put(s, "k").status] == [404, 404]
    s.stop()
    more = "  keys:\n    registry: true\n    audience: https://Quay.example.com/x\n"
    s = serving.Server(tmp_path, database, more=more, api="    token: secret\n").start()
    assert put(s, "k").status == 400
    assert put(s, "k", aud="http://clair.example:6060").status == 400  # what the request calls us counts for nothing
    assert put(s, "k", aud="https://quay.example.com:443").status == 202
    s.stop()
    s = serving.Server(tmp_path, database, more=more, api="    readonly: true\n").start()
    assert put(s, "k2").status == 403 and s.get(where("k")).status == 409
    s.stop()


def test_our_own_client(server, tmp_path):
    """Our key is made, published here, approved, and found by who verifies."""
    url = f"http://127.0.0.1:{server.port}/keys/"
    peer = Peer("own", tmp_path / "keys", url, "scanner", 3600)
    end = time.monotonic() + 20
    while not (listed := json.loads(keys(server, "list", "--format", "json"))):
        assert time.monotonic() < end
    keys(server, "approve", listed[0]["kid"][:6])
    kid = peer.wait("key ")[4:]
    assert kid == listed[0]["kid"]
    peer.end()
    reader = Peer("source", url, 0)
    assert reader.ask(f"scanner {kid}") == f"found {kid}" and reader.ask("scanner other").startswith("none ")
    reader.end()


@ONE_STORE
def test_commands(server, tmp_path):
    """generate, list, approve, revoke and rotate, as an operator types them."""
    pem = tmp_path / "scanner.pem"
    kid = keys(server, "generate", "--service", "scanner", "--out", pem).splitlines()[0]
    assert pem.stat().st_mode & 0o777 == 0o600 and pem.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert subprocess.run(["openssl", "rsa", "-check", "-noout", "-in", pem], capture_output=True).returncode == 0
    assert len(kid) == 44 and status(server, kid) == 200  # who can write the database has approved it
    before = pem.read_bytes()
    assert "is there" in keys(server, "generate", "--out", pem, code=2) and pem.read_bytes() == before
    text = keys(server, "generate", "--jwk")
    jwk = json.loads(text[text.index("{"):])
    assert {"kid", "d", "qi"} <= set(jwk)
    table = keys(server, "list")
    assert kid in table and "approved" in table
    new = tmp_path / "new.pem"
    second = keys(server, "rotate", kid[:10], "--out", new, "--overlap", "1h").splitlines()[0]
    assert status(server, kid) == 200 and status(server, second) == 200
    (old,) = [k for k in json.loads(keys(server, "list", "--format", "json")) if k["kid"] == kid]
    assert old["replaced_by"] == second and old["state"] == "replaced"
    assert "revoked" in keys(server, "revoke", kid)
    assert status(server, kid) == 403
    assert "no key" in keys(server, "revoke", "none", code=1)
    assert put(server, "ab1").status == put(server, "ab2", SECOND).status == 202
    assert "several" in keys(server, "approve", "ab", code=1)
    assert "approved ab1" in keys(server, "approve", "ab1")
    keys(server, "revoke", "ab2")
    assert status(server, "ab2") == 404
    assert "none of generate, list" in keys(server, "nothing", code=2)
