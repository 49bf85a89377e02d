"""`eclair serve` with both sections: the API behind verifiers, keys of a registry, nonces that instances share."""
import base64
import json
import os
import shutil
import signal
import ssl

import grpc
import pg
import pytest
from jwtproxy import Echo, Proxy, Registry, Served, claims_for, jwk, make_token, private_pem, rsa_key, verifier
from serving import free_ports, request
from test_config import LAYER
from test_jwtproxy import PREFIX
from test_notify import create
from test_tls import Authority, eventually, run


@pytest.fixture(scope="module")
def key():
    return rsa_key()


@pytest.fixture
def registry(key):
    r = Registry()
    r.keys["quay", "mykey"] = jwk(key, "mykey")
    yield r
    r.close()


@pytest.fixture
def served(tmp_path, registry):
    running = []

    def start(database=None, **more):
        s = Served(tmp_path / f"served{len(running)}", database or tmp_path / "eclair.db", more.pop("registry", registry), **more)
        running.append(s.start())
        return s

    yield start
    for s in running:
        if s.process.poll() is None:
            s.stop()
        assert "ERROR: AddressSanitizer" not in s.text() and "runtime error" not in s.text(), s.text()


def test_keys_of_a_registry(served, registry, key):
    s = served()
    audience = f"http://127.0.0.1:{s.front}"

    def ask(**header):
        return s.ask(make_token(key, claims_for(audience), **header))

    assert ask().status == 200 and "Namespaces" in ask().json()
    assert len(registry.requests) == 1  # max-age is honoured
    path, _ = registry.requests[0]
    assert path == "/keys/services/quay/keys/mykey"
    for kid, found, text in (("k404", 404, "Could not find any matching public key"), ("k403", 403, "Unexpected key server error"),
                             ("k409", 409, "Unexpected key server error"), ("k500", 500, "Unexpected key server error")):
        registry.keys["quay", kid] = found
        for _ in range(2):
            a = ask(kid=kid)
            assert (a.status, a.body.decode()) == (403, PREFIX + text)
    assert sum("k404" in p for p, _ in registry.requests) == 2  # such answers are not kept
    registry.keys["quay", "late"] = 409
    assert ask(kid="late").status == 403
    registry.keys["quay", "late"] = jwk(key, "late")  # it was approved
    assert ask(kid="late").status == 200
    registry.close()
    assert ask().status == 200  # it is away, but the key was kept
    assert s.health().status == 200  # never behind a token
    metrics = request(s.health_port, "GET", "/metrics").body.decode()
    assert 'eclair_proxy_requests_total{result="good",status="200"} ' in metrics and 'result="key-server"' in metrics


def test_a_token_is_good_once_for_all_instances(served, postgres, key):
    database = postgres.new_database()
    audience = "http://clair.example:6060"
    instances = [served(database=database, audience=audience) for _ in range(2)]
    for i in range(4):
        token = make_token(key, claims_for(audience))
        said = [s.ask(token) for s in (instances if i % 2 else instances[::-1])]
        assert [a.status for a in said] == [200, 403]
        assert said[1].body.decode() == PREFIX + "Missing or invalid 'jti' claim"


def test_nonces_fail_closed(served, key, tmp_path):
    """The database is away: nobody is let in, and nothing is burnt. When it is back, so is the service, and what was used stays used."""
    postgres = pg.start(tmp_path)
    try:
        s = served(database=postgres.new_database())
        used, kept = (make_token(key, claims_for(f"http://127.0.0.1:{s.front}")) for _ in range(2))
        assert s.ask(used).status == 200
        postgres.stop()
        for token in (used, kept, used):
            a = s.ask(token)
            assert (a.status, a.body.decode()) == (503, PREFIX + "nonces cannot be checked now")
        assert s.ask(make_token(rsa_key(), claims_for(f"http://127.0.0.1:{s.front}"))).status == 403  # needs no nonce
        line = next(x for x in s.lines() if x["Event"] == "request refused" and "nonces" in x["error"])
        assert line["Level"] == "warning" and str(postgres.port) in line["error"]  # which database is away
        postgres.start_again()
        assert eventually(lambda: (a := s.ask(kept)).status != 503 and a).status == 200
        for token in (used, kept):
            a = s.ask(token)
            assert (a.status, a.body.decode()) == (403, PREFIX + "Missing or invalid 'jti' claim")
        s.stop()
    finally:
        postgres.remove()


@pytest.mark.parametrize("http2", [False, True])
def test_files_are_for_this_machine(served, key, tmp_path, http2):
    """Who comes through the verifier is not here, though the verifier is: such a layer is no file of the server."""
    s = served()
    layer = tmp_path / "layer.tar"
    layer.write_bytes(LAYER)
    body = json.dumps({"Layer": {"Name": "l", "Path": str(layer), "Format": "Docker"}})

    def post(port):
        token = make_token(key, claims_for(f"http://127.0.0.1:{s.front}"))
        how = ["--http2-prior-knowledge"] if http2 else []
        return run("curl", "-s", *how, "-w", " %{http_code}", "-H", f"Authorization: Bearer {token}", "-d", body,
                   f"http://127.0.0.1:{port}/v1/layers")

    assert post(s.front).stdout.decode().endswith("could not find layer\"}}\n 400")
    assert post(s.port).stdout.decode().endswith(" 201")


def test_grpc_through_the_proxy(served, key):
    s = served()
    audience = f"http://127.0.0.1:{s.front}"
    with grpc.insecure_channel(f"127.0.0.1:{s.front}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=bytes, response_deserializer=bytes)
        status = channel.unary_unary("/coreos.clair.StatusService/GetStatus", request_serializer=bytes, response_deserializer=bytes)

        def token():
            return [("authorization", "Bearer " + make_token(key, claims_for(audience)))]

        assert check(b"", metadata=token(), timeout=60) == b"\x08\x01"
        assert status(b"", metadata=token(), timeout=60) is not None
        with pytest.raises(grpc.RpcError) as refused:
            check(b"", timeout=60)
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
        used = token()
        assert check(b"", metadata=used, timeout=60)
        with pytest.raises(grpc.RpcError):
            check(b"", metadata=used, timeout=60)
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch", request_serializer=bytes, response_deserializer=bytes)
        stream = watch(b"", metadata=token(), timeout=60)
        assert next(stream) == b"\x08\x01"
        stream.cancel()
        for _ in range(300):  # many, on one connection
            assert check(b"", metadata=token(), timeout=60)


def test_http2_and_http1_in_tls(served, key, tmp_path, registry):
    ca = Authority(tmp_path, "ca")
    cert, pkey = ca.sign("clair")
    s = Served(tmp_path / "tls", tmp_path / "tls.db", registry)
    s.section["verifier_proxies"][0] |= {"crt_file": str(cert), "key_file": str(pkey)}
    audience = f"https://localhost:{s.front}"
    s.section["verifier_proxies"][0]["verifier"]["audience"] = audience
    s.start()
    try:
        for version in ("1.1", "2"):
            token = make_token(key, claims_for(audience))
            r = run("curl", "-s", f"--http{version}", "--cacert", ca.cert, "-H", f"Authorization: Bearer {token}", "-w", " %{http_version} %{http_code}",
                    f"{audience}/v1/namespaces")
            assert r.stdout.decode().endswith(f" {version} 200"), r
    finally:
        s.stop()


def test_the_notifier_signs_by_itself(tmp_path, registry, key, served):
    """By way of a signer that nobody could reach, were it asked."""
    (tmp_path / "own.pem").write_bytes(private_pem(key))
    (tmp_path / "own.pem").chmod(0o600)
    port, = free_ports(1)
    sections = {"listen_addr": f"127.0.0.1:{port}", "signer": {"issuer": "security_scanner", "private_key": {
        "type": "preshared", "options": {"key_id": "ours", "private_key_path": str(tmp_path / "own.pem")}}}}
    echo = Echo()
    s = served(signer=sections, more=f"  notifier:\n    attempts: 3\n    renotifyinterval: 1h\n    http:\n      endpoint: {echo.url}/secscan/notify\n"
                                     f"      proxy: http://localhost:{port}\n")
    create(s)
    eventually(lambda: [r for r in echo.requests if r[1] == "/secscan/notify"], 60)
    _, _, headers, body = next(r for r in echo.requests if r[1] == "/secscan/notify")
    token = [v for k, v in headers if k == "Authorization"]
    assert len(token) == 1 and json.loads(body)["Notification"]["Name"]
    head, claims, _ = token[0].split()[1].split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["kid"] == "ours"
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"] == echo.url
    echo.close()


def test_reload_takes_other_proxies_over(served, key):
    s = served()
    s.section["verifier_proxies"][0]["verifier"]["audience"] = "http://new.example"
    s.config()
    s.process.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration read again" in s.events())
    token = make_token(key, claims_for("http://new.example"))
    eventually(lambda: s.events().count("starting verifier proxy") == 2)
    assert s.ask(token).status == 200
    s.section["verifier_proxies"][0]["listen_addr"] = "nonsense"
    s.config()
    s.process.send_signal(signal.SIGHUP)
    eventually(lambda: "the proxies stay as they were" in s.events())
    assert s.ask(make_token(key, claims_for("http://new.example"))).status == 200
    assert s.ask(token).status == 403  # it was used before that


def test_authorities_of_the_site(tmp_path, key):
    """A registry in TLS whose CA is in a folder that the images had; one that comes later is taken too."""
    folder = "/usr/local/share/ca-certificates"
    if os.geteuid() or not os.access(folder, os.W_OK):
        pytest.skip("wants to write there")
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    places = [os.path.join(folder, f"eclair-test-{os.getpid()}-{name}.crt") for name in ("first", "second")]
    try:
        registries = []
        for ca in (first, second):
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*ca.sign(f"{ca.name}-registry"))
            registries.append(Registry(tls))
            registries[-1].keys["quay", "mykey"] = jwk(key, "mykey")
        shutil.copy(first.cert, places[0])
        section = {"signer_proxy": {"enabled": False}, "verifier_proxies": []}
        echo = Echo()
        for r in registries:
            section["verifier_proxies"].append(verifier(echo.url, {"type": "keyregistry", "options": {"registry": r.url}}))
        p = Proxy(tmp_path / "proxy", section).start()

        def ask(i):
            v = section["verifier_proxies"][i]
            token = make_token(key, claims_for(v["verifier"]["audience"]))
            return p.ask("Bearer " + token, port=int(v["listen_addr"].split(":")[1])).status

        assert (ask(0), ask(1)) == (200, 403)
        shutil.copy(second.cert, places[1])
        eventually(lambda: ask(1) == 200, 30)
        p.stop()
    finally:
        for place in places:
            if os.path.exists(place):
                os.unlink(place)
