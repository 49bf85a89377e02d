"""TLS and HTTP/2 as real clients have them: curl, openssl, wrk, h2load. Certificates are made by openssl."""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

import helpers
import make_images
import pytest

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)

LAYER = make_images.tar([("etc/os-release", make_images.os_release()),
                         ("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))])


def run(*command, code=0, text=None):
    r = subprocess.run([str(c) for c in command], input=text, capture_output=True, timeout=120)
    assert code is None or r.returncode == code, (command, r.returncode, r.stdout, r.stderr)
    return r


def eventually(condition, seconds=60, every=0.1):
    end = time.monotonic() + seconds
    while not (got := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(every)
    return got


class Authority:
    """A CA, and what it signs."""

    def __init__(self, folder, name, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        self.folder, self.name, self.kind = folder, name, kind
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        run("openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def sign(self, name, usage="serverAuth", days=30):
        cert, key, ask, more = (self.folder / f"{name}.{e}" for e in ("pem", "key", "csr", "ext"))
        more.write_text(f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n")
        run("openssl", "req", "-newkey", *self.kind, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", ask)
        run("openssl", "x509", "-req", "-in", ask, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", days,
            "-extfile", more, "-out", cert)
        return cert, key


@pytest.fixture
def ca(tmp_path):
    return Authority(tmp_path, "ca")


@pytest.fixture
def pair(ca):
    return ca.sign("server")


def api(pair, ca=None):
    return f"    certfile: {pair[0]}\n    keyfile: {pair[1]}\n" + (f"    cafile: {ca.cert}\n" if ca else "")


def start(serve, pair, client_ca=None, **more):
    return serve(api=api(pair, client_ca), **more)


def curl(server, ca, target, *options, code=0):
    """(status, HTTP version, body)"""
    r = run("curl", "-sS", "--cacert", ca.cert, "-w", "\n%{http_code} %{http_version}", *options, f"https://localhost:{server.port}{target}", code=code)
    body, _, last = r.stdout.rpartition(b"\n")
    status, version = last.decode().split()
    return int(status), version, body


def served_name(server):
    """The subject of the certificate that is shown now."""
    text = run("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", text=b"", code=None).stdout
    return re.search(rb"subject=CN = (\S+)", text)[1].decode()


def context(ca, pair=None, protocols=("http/1.1",)):
    c = ssl.create_default_context(cafile=str(ca.cert))
    c.set_alpn_protocols(list(protocols))
    if pair:
        c.load_cert_chain(*map(str, pair))
    return c


def connect(server, ca, pair=None, protocols=("http/1.1",)):
    return context(ca, pair, protocols).wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=60), server_hostname="localhost")


def ask(s, target="/v1/layers/x"):
    s.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < int(re.search(rb"Content-Length: (\d+)", got)[1]):
        got += (more := s.recv(65536))
        assert more, got
    return int(got.split(b" ")[1])


@pytest.mark.parametrize("flag,version", [("--http1.1", "1.1"), ("--http2", "2")])
def test_rest(serve, ca, pair, tmp_path, flag, version):
    """A post and its answer, as over plain HTTP/1.1."""
    path = tmp_path / "layer.tar"
    path.write_bytes(LAYER)
    server = start(serve, pair)
    post = json.dumps({"Layer": {"Name": "a", "Path": str(path), "Format": "Docker"}})
    status, http, body = curl(server, ca, "/v1/layers", flag, "-d", post)
    assert (status, http) == (201, version) and json.loads(body)["Layer"]["Name"] == "a"
    status, http, body = curl(server, ca, "/v1/layers/a?features", flag)
    assert (status, http) == (200, version) and json.loads(body)["Layer"]["Features"][0]["Name"] == "demo"
    assert curl(server, ca, "/v1/layers/a?features", flag, "--compressed")[2] == body
    status, http, nothing = curl(server, ca, "/v1/layers/a?features", flag, "-I")
    assert (status, http) == (200, version) and f"ength: {len(body)}" in nothing.decode()
    assert curl(server, ca, "/v1/layers/b", flag)[0] == 404
    large = tmp_path / "large"
    large.write_bytes(b"x" * 3000000)
    assert curl(server, ca, "/v1/layers", flag, "--data-binary", f"@{large}")[0] == 400
    assert server.health().status == 200  # never TLS
    handled = [v for v in server.lines() if v["Event"] == "Handled HTTP request"]
    assert [v["status"] for v in handled][:2] == ["201", "200"] and all(v["remote addr"].startswith("127.0.0.1:") for v in handled)


def test_http2_without_tls(serve):
    server = serve()
    url = f"http://127.0.0.1:{server.port}/v1/layers/x"
    for flag, version in (("--http2-prior-knowledge", "2"), ("--http1.1", "1.1"), ("--http2", "1.1")):
        r = run("curl", "-sS", "-w", " %{http_code} %{http_version}", flag, url)
        assert r.stdout.decode().endswith(f" 404 {version}")


def test_plain_http_to_tls(serve, ca, pair):
    server = start(serve, pair)
    for begin in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /v1/layers HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as s:
            s.sendall(begin)
            with s.makefile("rb") as f:
                assert f.read() == b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    assert curl(server, ca, "/x")[0] == 404


def test_versions_and_suites(serve, ca, tmp_path):
    """TLS 1.2 and 1.3; the suites of Clair 2.0.8 that have ephemeral keys."""
    rsa = Authority(tmp_path, "rsa", ("rsa:2048",))
    suites = {ca: "ECDSA", rsa: "RSA"}
    for authority, kind in suites.items():
        server = start(serve, authority.sign(f"server-{kind}"))
        old = ("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-cipher", "ALL:@SECLEVEL=0")
        for version in ("-tls1", "-tls1_1"):
            r = run(*old, version, text=b"", code=1)
            assert b"alert protocol version" in r.stderr, r
        assert run(*old[:4], "-tls1_3", text=b"").returncode == 0
        for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA"):
            r = run(*old[:4], "-tls1_2", "-cipher", f"ECDHE-{kind}-{suite}", text=b"")
            assert f"ECDHE-{kind}-{suite}".encode() in r.stdout
        server.stop()


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_client_certificates(serve, ca, pair, tmp_path, flag, version):
    """They are asked for in the handshake, and a wrong one or none ends it."""
    clients, others = Authority(tmp_path, "clients"), Authority(tmp_path, "others")
    server = start(serve, pair, clients, flags=["-log-level=debug"])
    flags = (flag, f"--tlsv{version}", "--tls-max", version)
    cert, key = clients.sign("client", "clientAuth")
    assert curl(server, ca, "/x", *flags, "--cert", cert, "--key", key)[0] == 404
    wrong = [others.sign("stranger", "clientAuth"), clients.sign("no-client", "serverAuth")]
    for cert, key in wrong:
        assert curl(server, ca, "/x", *flags, "--cert", cert, "--key", key, code=None)[0] == 0
    assert curl(server, ca, "/x", *flags, code=None)[0] == 0
    assert len([v for v in server.lines() if v["Event"] == "Handled HTTP request"]) == 1
    refused = eventually(lambda: len(r := [v for v in server.lines() if v["Event"] == "TLS handshake failed"]) == 3 and r)
    assert all(v["Level"] == "debug" and v["remote addr"].startswith("127.0.0.1:") for v in refused)
    assert "issuer is unknown" in refused[0]["error"] and "ertificate" in refused[2]["error"]


def test_no_ticket_past_a_ca(serve, ca, pair, tmp_path):
    """Who was let in once comes back by a ticket only where everybody may come in."""
    clients = Authority(tmp_path, "clients")
    for client_ca, resumed in ((None, True), (clients, False)):
        server = start(serve, pair, client_ca)
        certs = clients.sign("client", "clientAuth") if client_ca else None
        c = context(ca, certs)
        first = c.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=60), server_hostname="localhost")
        ask(first)
        second = c.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=60), server_hostname="localhost", session=first.session)
        ask(second)
        assert second.session_reused == resumed
        first.close(), second.close()
        server.stop()


def test_reload(serve, ca, pair, tmp_path):
    """A new certificate counts for who comes then; who is there stays, also in the middle of an answer."""
    live = tmp_path / "live.pem", tmp_path / "live.key"
    for a, b in zip(pair, live):
        shutil.copy(a, b)
    server = start(serve, live)
    begin = f"GET /v1/layers/{'x' * 200} HTTP/1.1\r\nHost: a\r\n".encode()
    with connect(server, ca) as kept, connect(server, ca) as half:
        assert ask(kept) == 404 and served_name(server) == "server"
        half.sendall(begin)
        new = ca.sign("second")
        shutil.copy(new[0], live[0])  # without its key
        eventually(lambda: served_name(server) == "server" and
                   any(v["Level"] == "warning" and "is not the key of the certificate" in v.get("error", "") for v in server.lines()))
        time.sleep(2.5)
        assert served_name(server) == "server"
        assert sum("is not the key" in v.get("error", "") for v in server.lines()) == 1  # told once
        shutil.copy(new[1], live[1])
        eventually(lambda: served_name(server) == "second")
        live[0].write_text("nonsense")
        eventually(lambda: served_name(server) == "second" and any("live.pem: " in v.get("error", "") for v in server.lines()))
        third = ca.sign("third")
        for a, b in zip(third, live):
            shutil.copy(a, str(b) + ".new")
            os.rename(str(b) + ".new", b)
        eventually(lambda: served_name(server) == "third")
        half.sendall(b"\r\n")
        assert half.recv(65536).startswith(b"HTTP/1.1 404")
        assert ask(kept) == 404
    assert server.events().count("certificate, key and CA were read again") == 2


def test_reload_of_the_ca(serve, ca, pair, tmp_path):
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second-ca")
    live = Authority(tmp_path, "live-ca")
    shutil.copy(first.cert, live.cert)
    server = start(serve, pair, live)
    one, two = first.sign("one", "clientAuth"), second.sign("two", "clientAuth")

    def status(certs):
        return curl(server, ca, "/x", "--cert", certs[0], "--key", certs[1], code=None)[0]

    with connect(server, ca, one) as kept:
        assert ask(kept) == 404 and status(one) == 404 and status(two) == 0
        shutil.copy(second.cert, live.cert)
        eventually(lambda: status(two) == 404)
        assert status(one) == 0 and ask(kept) == 404


def test_download_through_a_reload(serve, ca, pair, tmp_path, golden_layer):
    """An answer of megabytes, read slowly, while certificates change."""
    live = tmp_path / "live.pem", tmp_path / "live.key"
    for a, b in zip(pair, live):
        shutil.copy(a, b)
    server = start(serve, live)
    post = json.dumps({"Layer": {"Name": "big", "Path": str(golden_layer), "Format": "Docker"}})
    assert curl(server, ca, "/v1/layers", "-d", post)[0] == 201
    whole = curl(server, ca, "/v1/layers/big?features", "--http1.1")[2]
    assert len(whole) > 1000000 and curl(server, ca, "/v1/layers/big?features", "--http2")[2] == whole
    with connect(server, ca) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(b"GET /v1/layers/big?features HTTP/1.0\r\n\r\n")
        got = s.recv(1000)
        for a, b in zip(ca.sign("second"), live):
            shutil.copy(a, b)
        eventually(lambda: served_name(server) == "second")
        while (more := s.recv(65536)):
            got += more
    assert got.split(b"\r\n\r\n", 1)[1] == whole


@pytest.fixture
def golden_layer(tmp_path):
    path = tmp_path / "big.tar"
    path.write_bytes(make_images.tar([("etc/os-release", make_images.os_release()),
                                      ("var/lib/dpkg/status", make_images.dpkg_status([(f"package-number-{i}", "1.0-1", None) for i in range(12000)]))]))
    return path


@pytest.mark.parametrize("lines,words", [
    ("certfile: CERT", "certfile and keyfile go together"),
    ("keyfile: KEY", "certfile and keyfile go together"),
    ("cafile: CERT", "clair.api.cafile: without certfile and keyfile"),
    ("certfile: /nowhere\n    keyfile: KEY", "/nowhere: No such file or directory"),
    ("certfile: CERT\n    keyfile: CERT", "CERT: "),
    ("certfile: KEY\n    keyfile: KEY", "KEY: "),
    ("certfile: CERT\n    keyfile: OTHER", "OTHER: is not the key of the certificate in CERT"),
    ("certfile: CERT\n    keyfile: KEY\n    cafile: /nowhere", "could not initialize client cert authentication: open /nowhere: No such file or directory"),
    ("certfile: CERT\n    keyfile: KEY\n    cafile: KEY", "could not initialize client cert authentication: KEY: "),
    ("certfile: /dev/zero\n    keyfile: KEY", "/dev/zero: is larger than"),
])
def test_what_does_not_start(ca, pair, tmp_path, database, lines, words):
    other = ca.sign("other")[1]

    def named(text):
        return text.replace("CERT", str(pair[0])).replace("KEY", str(pair[1])).replace("OTHER", str(other))

    path = tmp_path / "config.yaml"
    path.write_text(f"clair:\n  database: {{type: sqlite, options: {{source: '{database}'}}}}\n  api:\n    addr: '127.0.0.1:0'\n"
                    f"    healthaddr: '127.0.0.1:0'\n    {named(lines)}\n")
    r = helpers.eclair("serve", "-config", path)
    assert r.code in (1, 2) and named(words) in r.err.decode() and r.err.count(b"\n") == 1, r


def test_expired(serve, tmp_path):
    """It is said, and served: the operator may have reasons."""
    cert, key = tmp_path / "old.pem", tmp_path / "old.key"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=old", "-keyout", key, "-out", cert)
    run("faketime", "2001-01-01", "openssl", "req", "-x509", "-key", key, "-days", "1", "-subj", "/CN=old", "-out", cert)
    server = start(serve, (cert, key))
    assert any(v["Level"] == "warning" and "has expired" in v.get("error", "") for v in server.lines())
    assert served_name(server) == "old"


def test_half_close(serve, ca, pair):
    """A client that has said all it will (close_notify) still gets its answer, and the end is told, not cut."""
    server = start(serve, pair)
    r = run("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{server.port}", text=b"GET /v1/layers/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", code=None)
    assert r.stdout.startswith(b"HTTP/1.1 404"), r
    with connect(server, ca) as s:
        s.sendall(b"GET /v1/layers/x HTTP/1.0\r\n\r\n")
        got = b""
        while (more := s.recv(65536)):  # an end without close_notify would be an exception
            got += more
        assert b"cannot be found" in got


@pytest.mark.parametrize("kind", ["tls", "h2", "h2c"])
def test_load(serve, ca, pair, kind):
    """Nothing fails when much is asked over few connections."""
    server = serve() if kind == "h2c" else start(serve, pair)
    url = f"http{'' if kind == 'h2c' else 's'}://127.0.0.1:{server.port}/v1/layers/x"
    if kind == "tls":
        text = run("wrk", "-t1", "-c16", "-d3", url).stdout.decode()
        asked, odd = int(re.search(r"(\d+) requests in", text)[1]), int(re.search(r"Non-2xx or 3xx responses: (\d+)", text)[1])
        assert asked > 100 and odd == asked and "Socket errors" not in text, text  # all are 404
    else:
        text = run("h2load", "-n5000", "-c8", "-m32", url).stdout.decode()
        assert "5000 done" in text and " 0 errored, 0 timeout" in text and "5000 4xx" in text, text
