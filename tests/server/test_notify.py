"""How notifications are told: by webhook with all that Clair's knew, by AMQP and STOMP; what fails, and who goes on after a kill."""
import base64
import collections
import hashlib
import hmac
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import helpers
import pytest
import test_metrics
import test_notifications as notes
from rabbit import Rabbit, Subscriber
from serving import free_ports
from test_tls import Authority, eventually, run

LEASE = 10  # seconds: notify.h
SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
POSTGRES = pytest.mark.parametrize("store", ["postgres"], indirect=True)


class Receiver:
    """An endpoint: `got` are (when, path, headers, body); answer(handler, number of this request) says what comes back."""

    def __init__(self, answer=None, context=None, port=0):
        self.got, self.connections = [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                outer.connections += 1
                super().setup()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.got.append((time.monotonic(), self.command + " " + self.path, dict(self.headers), body))
                (answer or reply)(self, len(outer.got))

            do_GET = do_POST

            def log_message(self, *args):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *args):
                pass

        self.server = Listener(("127.0.0.1", port), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def names(self):
        return [json.loads(g[3])["Notification"]["Name"] for g in self.got]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def reply(handler, number=0, status=200, body=b"", **headers):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def receiver():
    made = []

    def make(*args, **more):
        made.append(Receiver(*args, **more))
        return made[-1]

    yield make
    for r in made:
        r.close()


def section(endpoint=None, attempts=3, again="2h", http="", more=""):
    where = f"    http:\n      endpoint: {endpoint}\n{http}" if endpoint else ""
    return f"  notifier:\n    attempts: {attempts}\n    renotifyinterval: {again}\n{where}{more}"


Said = collections.namedtuple("Said", "out err")


def ask(tmp_path, action, *args, more="", database=None, code=0, env=None):
    """eclair notify, with a configuration of its own."""
    config = tmp_path / "notify.yaml"
    config.write_text(f"clair:\n  database:\n    options:\n      source: {database or tmp_path / 'none.db'}\n{more}")
    ran = helpers.eclair("notify", action, *args, "-c", config, env=helpers.environment(**(env or {})))
    assert ran.code == code, (ran.out, ran.err)
    return Said(ran.out.decode(), ran.err.decode())


def create(server, count=1, first=0):
    for i in range(first, first + count):
        name = f"CVE-2999-{i}"
        answer = server.request("POST", "/v1/namespaces/debian:9/vulnerabilities",
                                json.dumps({"Vulnerability": notes.VULNERABILITY | {"Name": name}}).encode())
        assert answer.status == 201, answer.body


def listed(tmp_path, database):
    return json.loads(ask(tmp_path, "list", "--format", "json", database=database).out)


# ---- the webhook ----

def sign(ca, name, host, usage="serverAuth"):
    cert, key, request, more = (ca.folder / f"{name}.{e}" for e in ("pem", "key", "csr", "ext"))
    more.write_text(f"subjectAltName=DNS:{host}\nextendedKeyUsage={usage}\n")
    run("openssl", "req", "-newkey", *ca.kind, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    run("openssl", "x509", "-req", "-in", request, "-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-extfile", more, "-out", cert)
    return cert, key


def unpack(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@SQLITE
def test_tls_and_signature(serve, database, receiver, tmp_path):
    """A client certificate, an authority of our own, another name; the body of the recording, and its signature."""
    ca = Authority(tmp_path, "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sign(ca, "hook", "hook.example"))
    context.load_verify_locations(ca.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    asked = []
    context.sni_callback = lambda s, name, c: asked.append(name)
    cert, key = sign(ca, "client", "client.example", "clientAuth")
    endpoint = receiver(context=context)
    tls = f"      cafile: {ca.cert}\n      certfile: {cert}\n      keyfile: {key}\n"
    secrets = "      hmac:\n        secret: of-two\n      jwt:\n        secret: also\n        keyid: k1\n"
    server = serve(section(endpoint.url, http=tls + "      servername: hook.example\n" + secrets))
    began = time.monotonic()
    create(server)
    (when, line, headers, body), = eventually(lambda: endpoint.got)
    print(f"from the write to the POST: {(when - began) * 1e3:.0f} ms")
    assert when - began < 2 and asked == ["hook.example"]
    (name,) = notes.names(database)
    assert line == "POST /hook" and body == b'{"Notification":{"Name":"%s"}}' % name.encode()
    assert headers["Content-Type"] == "application/json" and headers["Idempotency-Key"] == name
    assert headers["Host"] == f"127.0.0.1:{endpoint.port}"
    assert headers["Clair-Signature"] == "sha256=" + hmac.new(b"of-two", body, hashlib.sha256).hexdigest()
    head, claims, signature = headers["Authorization"].removeprefix("Bearer ").split(".")
    assert unpack(signature) == hmac.new(b"also", f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert json.loads(unpack(head)) == {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    told = json.loads(unpack(claims))
    assert told["iss"] == "clair" and told["aud"] == endpoint.url and told["jti"] == name and 0 < told["exp"] - told["iat"] <= 600
    # what is not right is refused
    for wrong in (tls, tls.replace("cafile", "#") + "      servername: hook.example\n", f"      cafile: {ca.cert}\n      servername: hook.example\n"):
        assert "webhook: " in ask(tmp_path, "test", more=section(endpoint.url, http=wrong), code=1).err
    assert len(endpoint.got) == 1
    assert "of-two" not in server.text() and "also" not in server.text()


def test_certificate_behind_a_redirect(receiver, tmp_path):
    """It is for the endpoint alone."""
    ca = Authority(tmp_path, "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sign(ca, "hook", "localhost"))
    context.load_verify_locations(ca.cert)
    context.verify_mode = ssl.CERT_OPTIONAL
    cert, key = sign(ca, "client", "client.example", "clientAuth")
    seen = []

    def see(handler, status, **headers):
        seen.append(handler.connection.getpeercert())
        return reply(handler, 1, status, **headers)

    other = receiver(lambda h, n: see(h, 200), context=context)
    first = receiver(lambda h, n: see(h, 307, Location=f"https://localhost:{other.port}/hook"), context=context)
    ask(tmp_path, "test", more=section(f"https://localhost:{first.port}/hook",
                                       http=f"      cafile: {ca.cert}\n      certfile: {cert}\n      keyfile: {key}\n"))
    assert len(seen) == 2 and seen[0] and not seen[1]


@pytest.mark.parametrize("store", ["sqlite"])
@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_jwt_by_key(receiver, tmp_path, kind, store):
    key, public, text, signature = (tmp_path / n for n in ("key.pem", "public.pem", "text", "signature"))
    how = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if kind == "RS256" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run("openssl", "genpkey", "-algorithm", *how, "-out", key)
    run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
    endpoint = receiver()
    ask(tmp_path, "test", more=section(endpoint.url, http=f"      jwt:\n        keyfile: {key}\n"))
    head, claims, made = endpoint.got[0][2]["Authorization"].removeprefix("Bearer ").split(".")
    assert json.loads(unpack(head))["alg"] == kind
    text.write_text(f"{head}.{claims}")
    raw = unpack(made)
    if kind == "ES256":  # openssl wants DER
        assert len(raw) == 64
        numbers = b""
        for n in (raw[:32].lstrip(b"\0"), raw[32:].lstrip(b"\0")):
            n = b"\0" + n if n[0] & 0x80 else n
            numbers += bytes([2, len(n)]) + n
        raw = bytes([0x30, len(numbers)]) + numbers
    signature.write_bytes(raw)
    run("openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, text)


def test_statuses(receiver, tmp_path):
    """200 and 201 count; redirects as Go's client goes; a body of any size; five seconds in all."""
    def trickle(handler, number):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.1)

    other = receiver()
    for status, said in ((200, None), (201, None), (204, "got status 204, expected 200/201"), (500, "got status 500, expected 200/201")):
        endpoint = receiver(lambda h, n: reply(h, n, status))
        ran = ask(tmp_path, "test", more=section(endpoint.url), code=1 if said else 0)
        assert said is None or said in ran.err
    ask(tmp_path, "test", more=section(receiver(lambda h, n: reply(h, n, 200, b"x" * 2_000_000)).url))
    for status in (302, 307):
        endpoint = receiver(lambda h, n: reply(h, n, status, Location=other.url))
        ask(tmp_path, "test", more=section(endpoint.url, http="      jwt:\n        secret: s\n"))
    (_, first, headers, body), (_, second, kept, sent) = other.got
    assert first == "GET /hook" and not body and second == "POST /hook" and sent.startswith(b'{"Notification"')
    assert kept["Content-Type"] == "application/json" and kept["Idempotency-Key"] in sent.decode()
    assert "Authorization" not in headers and "Authorization" not in kept  # another place's
    began = time.monotonic()
    assert "webhook: " in ask(tmp_path, "test", more=section(receiver(trickle).url), code=1).err
    assert 4.5 < time.monotonic() - began < 8


def test_proxy(receiver, tmp_path):
    """Its own one, also to this machine; never that of the environment."""
    (port,) = free_ports(1)
    config, log = tmp_path / "tinyproxy.conf", tmp_path / "tinyproxy.log"
    config.write_text(f'Port {port}\nListen 127.0.0.1\nTimeout 20\nMaxClients 10\nLogFile "{log}"\nLogLevel Connect\n')
    proxy = subprocess.Popen(["tinyproxy", "-d", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        endpoint = receiver()
        ca = Authority(tmp_path, "ca")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sign(ca, "hook", "hook.example"))
        secure = receiver(context=context)
        by = f"      proxy: http://127.0.0.1:{port}\n"
        ask(tmp_path, "test", more=section(endpoint.url, http=by))
        ask(tmp_path, "test", more=section(secure.url, http=by + f"      cafile: {ca.cert}\n      servername: hook.example\n"))
        assert "tinyproxy" in endpoint.got[0][2]["Via"]
        assert f"CONNECT 127.0.0.1:{secure.port}" in log.read_text() and len(secure.got) == 1
        ask(tmp_path, "test", more=section(endpoint.url), env={"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"})
        assert "Via" not in endpoint.got[1][2]
    finally:
        proxy.terminate()
        proxy.wait(20)


# ---- failures ----

@SQLITE
def test_down_and_up(serve, database, receiver, tmp_path):
    """Three intervals without an endpoint: few tries, nothing lost; then all of them, and those deleted never again."""
    state = {"status": 500}
    endpoint = receiver(lambda h, n: reply(h, n, state["status"]))
    server = serve(section(endpoint.url, attempts=2, again="2s"))
    create(server, 8)
    began = time.monotonic()
    eventually(lambda: "a sender of notifications fails: it is tried now and then" in server.events())
    while time.monotonic() - began < 6:
        time.sleep(0.1)
    tries = len(endpoint.got)
    print(f"8 notifications, 6 s, an endpoint that fails: {tries} tries")
    assert 4 <= tries <= 24
    failing = [n for n in listed(tmp_path, database) if n["state"] == "failing"]
    assert failing and all(n["error"] == "webhook: got status 500, expected 200/201" and n["due"] for n in failing)
    text = test_metrics.scrape(server)
    assert f'eclair_notification_failures_total{{reason="status",sender="webhook"}}' in text
    assert 'clair_notifier_backend_errors_total{backend="webhook"}' in text and 'eclair_notifications_waiting{state="waiting"} 8' in text
    endpoint.got.clear()
    state["status"] = 201
    wanted = set(notes.names(database))
    eventually(lambda: wanted <= set(endpoint.names()))
    for name in wanted:
        assert server.request("DELETE", f"/v1/notifications/{name}").status == 200
    eventually(lambda: 'eclair_notifications_waiting{state="waiting"} 0' in test_metrics.scrape(server))
    endpoint.got.clear()
    time.sleep(2.5)  # longer than until they would be told again
    assert endpoint.got == []


@SQLITE
def test_restart_and_retry(serve, database, receiver, tmp_path):
    """Attempts and the next try outlive the server; `retry` does not wait for it, a reload tells another endpoint."""
    (port,) = free_ports(1)
    more = section(f"http://127.0.0.1:{port}/hook", attempts=1, again="1h")
    server = serve(more)
    create(server)
    n = eventually(lambda: [n for n in listed(tmp_path, database) if n["attempts"]])[0]
    assert n["state"] == "failing" and n["error"].startswith(f"webhook: 127.0.0.1:{port}: ")
    server.stop()
    server = serve(more)
    time.sleep(1)
    (after,) = listed(tmp_path, database)
    assert (after["attempts"], after["due"]) == (n["attempts"], n["due"])
    endpoint = receiver()
    server.more = section(endpoint.url, attempts=1, again="1h")
    server.config()
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration read again" in server.events())
    assert ask(tmp_path, "retry", n["name"], database=database).out == "due now\n"
    eventually(lambda: endpoint.names() == [n["name"]])
    eventually(lambda: [x["state"] for x in listed(tmp_path, database)] == ["told"])
    shown = ask(tmp_path, "show", n["name"], database=database).out
    assert "old: none\nnew: CVE-2999-0\n     images that it hits: 0\n     demo  High  fixed in: 2.0-1\n" in shown
    assert "no such notification" in ask(tmp_path, "retry", "11111111-1111-4111-8111-111111111111", database=database, code=1).err


@POSTGRES
def test_kill(serve, database, receiver):
    """The one that was telling dies: another one goes on within a lease. Before that each was told once, by one of them."""
    hold = threading.Event()
    ends = [receiver(), receiver()]
    servers = [serve(section(e.url)) for e in ends]
    create(servers[0], 20)
    names = set(eventually(lambda: len(found := notes.names(database)) == 20 and found))
    eventually(lambda: len(ends[0].got) + len(ends[1].got) >= 20)
    assert sorted(ends[0].names() + ends[1].names()) == sorted(names)
    print(f"20 notifications, two servers: {[len(e.got) for e in ends]}")
    for s in servers:
        s.stop()
    stuck = receiver(lambda h, n: hold.wait(30))
    victim = serve(section(stuck.url))
    create(victim, 1, 100)
    eventually(lambda: stuck.got)
    began = time.monotonic()
    victim.kill()
    endpoint = receiver()
    serve(section(endpoint.url))
    eventually(lambda: endpoint.got)
    took = time.monotonic() - began
    hold.set()
    print(f"told {took:.1f} s after a kill")
    assert endpoint.names() == stuck.names() and took < LEASE + 3


# ---- many ----

def tracker(count, version):
    return {"demo": {f"CVE-2024-{i}": {"description": "one", "releases": {
        "stretch": {"status": "resolved", "urgency": "low", "fixed_version": version, "repositories": {"stretch": "1.0-1"}}}} for i in range(count)}}


def test_many(serve, database, receiver, tmp_path):
    """A thousand by a few connections that stay open."""
    mirror = helpers.write_mirror(tmp_path / "mirror", tracker(1000, "2.0-1"))
    update = ("update", "debian", "--mirror", mirror, "--db", database)
    assert helpers.eclair(*update).code == 0
    endpoint = receiver()
    server = serve(section(endpoint.url))
    helpers.write_mirror(mirror, tracker(1000, "3.0-1"))
    notes.wait_wanted(database)
    assert helpers.eclair(*update).code == 0
    eventually(lambda: len(endpoint.got) >= 1000)
    seconds = endpoint.got[-1][0] - endpoint.got[0][0]
    print(f"1000 notifications in {seconds:.1f} s by {endpoint.connections} connections")
    assert sorted(endpoint.names()) == sorted(notes.names(database)) and endpoint.connections <= 4
    eventually(lambda: "eclair_notifications_told_total 1000\n" in test_metrics.scrape(server))


# ---- AMQP and STOMP ----

@SQLITE
def test_brokers(serve, receiver, database, tmp_path):
    ca = Authority(tmp_path, "ca", ("rsa:2048",))
    rabbit = Rabbit(tmp_path / "rabbit", ca.sign("server"), ca.cert)
    try:
        cert, key = ca.sign("client", "clientAuth")
        rabbit.wait()
        told_by_amqp, told_by_stomp = Subscriber(rabbit.stomp, "/exchange/amq.direct/clair"), Subscriber(rabbit.stomp, "/queue/clair")
        check_settings(tmp_path, rabbit, (ca.cert, cert, key), told_by_amqp, told_by_stomp)
        check_slow_webhook(serve, receiver, rabbit, database, told_by_amqp, told_by_stomp)
        check_one_that_fails(serve, receiver, rabbit, database, told_by_stomp)
        told_by_amqp.close()
        told_by_stomp.close()
    finally:
        rabbit.stop()


def amqp(uris, exchange="amq.direct", more=""):
    return f"    amqp:\n      uris: {json.dumps(uris)}\n      exchange: {{name: {exchange}, type: direct, durability: true}}\n      routing_key: clair\n{more}"


def stomp(places, key="uris", more="", passcode="guest"):
    return f"    stomp:\n      {key}: {json.dumps(places)}\n      destination: /queue/clair\n      user: {{login: guest, passcode: {passcode}}}\n{more}"


def check_settings(tmp_path, rabbit, files, told_by_amqp, told_by_stomp):
    (dead,) = free_ports(1)
    ca, cert, key = files
    plain, secure = f"amqp://guest:guest@127.0.0.1:{rabbit.amqp}/", f"amqps://guest:guest@localhost:{rabbit.amqps}/"
    v4 = f"      tls: {{root_ca: {ca}, cert: {cert}, key: {key}}}\n"
    for more in (amqp([f"amqp://guest:guest@127.0.0.1:{dead}/", plain]), amqp([secure], more=v4)):
        assert "amqp: it was told" in ask(tmp_path, "test", more=section(more=more)).out
        headers, body = told_by_amqp.got.get(timeout=20)
        assert headers["content-type"] == "application/json" and headers["app-id"] == "clair-notifier"
        assert re.fullmatch(rb'\{"Notification":\{"Name":"[0-9a-f-]{36}"\}\}', body)
    for more in (stomp([f"127.0.0.1:{dead}", f"127.0.0.1:{rabbit.stomp}"]), stomp([f"localhost:{rabbit.stomps}"], more=v4),
                 stomp([f"localhost:{rabbit.stomps}"], "brokers", f"      cafile: {ca}\n      certfile: {cert}\n      keyfile: {key}\n")):
        assert "stomp: it was told" in ask(tmp_path, "test", more=section(more=more)).out
        headers, body = told_by_stomp.got.get(timeout=20)
        assert headers["content-type"] == "application/json" and body.startswith(b'{"Notification":{"Name":"')
    for more, said in ((amqp([plain], "no-such"), "no exchange 'no-such'"), (amqp([plain.replace("guest@", "wrong@")]), "amqp: 127.0.0.1"),
                       (amqp([secure]), "amqp: localhost"), (stomp([f"localhost:{rabbit.stomp}"], passcode="wrong"), "the broker says: Bad CONNECT"),
                       (stomp([f"localhost:{rabbit.stomps}"], "brokers"), "TLS: "), (stomp([f"127.0.0.1:{dead}"]), "Connection refused")):
        assert said in ask(tmp_path, "test", more=section(more=more), code=1).err, said


def check_slow_webhook(serve, receiver, rabbit, database, told_by_amqp, told_by_stomp):
    """It fails after five seconds each time: the others have what is theirs at once, and once."""
    hold = threading.Event()
    endpoint = receiver(lambda h, n: hold.wait(30))
    plain = f"amqp://guest:guest@127.0.0.1:{rabbit.amqp}/"
    server = serve(section(endpoint.url, more=amqp([plain]) + stomp([f"127.0.0.1:{rabbit.stomp}"])))
    began = time.monotonic()
    create(server, 40)
    names = set(notes.wait_names(database, 40))
    for told in (told_by_amqp, told_by_stomp):
        got = {json.loads(told.got.get(timeout=20)[1])["Notification"]["Name"] for _ in range(40)}
        assert got == names
    took = time.monotonic() - began
    print(f"40 notifications beside a webhook that hangs: {took:.1f} s, {len(endpoint.got)} tries of it")
    assert took < 5 and len(endpoint.got) <= 8
    hold.set()
    server.stop()
    assert told_by_amqp.got.empty() and told_by_stomp.got.empty()


def check_one_that_fails(serve, receiver, rabbit, database, told_by_stomp):
    """What another could not tell is not told twice by the one that could."""
    endpoint = receiver(lambda h, n: reply(h, n, 500 if n <= 2 else 200))
    server = serve(section(endpoint.url, more=stomp([f"127.0.0.1:{rabbit.stomp}"])), database=database.with_name("other.db"))
    create(server, 2)
    eventually(lambda: server.events().count("successfully sent notification") == 2)
    assert len(endpoint.got) == 4
    server.stop()
    got = [json.loads(told_by_stomp.got.get(timeout=20)[1])["Notification"]["Name"] for _ in range(2)]
    assert len(set(got)) == 2 and told_by_stomp.got.empty()


# ---- configuration ----

def test_configuration(tmp_path):
    """What cannot work is told before a server starts; secrets are masked."""
    def check(more, code=1):
        path = tmp_path / "config.yaml"
        path.write_text("clair:\n" + more)
        ran = helpers.eclair("config", "check", path)
        assert ran.code == code, (ran.out, ran.err)
        return (ran.out + ran.err).decode()

    (tmp_path / "cert").write_text("")
    url = "https://h/"
    assert "notifier.http.cafile: /no/such: No such file" in check(section(url, http="      cafile: /no/such\n"))
    assert "a certificate and its key go together" in check(section(url, http=f"      certfile: {tmp_path}/cert\n"))
    assert "notifier.http.hmac.secretfile: /no/such" in check(section(url, http="      hmac: {secretfile: /no/such}\n"))
    assert "no private key in PEM" in check(section(url, http=f"      jwt: {{keyfile: {tmp_path}/cert}}\n"))
    assert "no destination" in check(section(more="    stomp: {uris: ['h:1']}\n"))
    assert "no routing_key" in check(section(more="    amqp: {uris: ['amqp://h/']}\n"))
    assert "no URL of http or https: no webhook is told" in check(section("nonsense"), 0)
    secret = "      hmac: {secret: hidden-1}\n      jwt: {secret: hidden-2}\n      proxy: http://me:hidden-3@h:1\n"
    out = check(section("http://me:hidden-4@h/", http=secret, more=amqp(["amqp://me:hidden-5@h/"]) + stomp(["h:1"], passcode="hidden-6")), 0)
    assert "hidden" not in out and "notifier.http.hmac.secret" in out
    assert "nobody is told" in ask(tmp_path, "test", more="  notifier:\n    http: {}\n", code=2).err
