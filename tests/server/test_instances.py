"""Three instances behind HAProxy, each behind its verifier, one PostgreSQL with a synchronous standby; the primary dies under load.

No request is answered wrongly, nothing is lost after its 2xx, no token is good twice, and the service comes back by itself."""
import collections
import json
import subprocess
import threading
import time

import helpers
import pg
import pytest
import serving
from jwtproxy import Registry, Served, claims_for, jwk, make_token, rsa_key
from test_failover import CHAIN, both, layers, mirror, update  # noqa: F401 (fixtures)
from test_serve import eventually

INSTANCES = 3
AUDIENCE = "https://clair.example"
HAPROXY = """
global
    maxconn 500
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    retries 2
    option redispatch
frontend eclair
    bind 127.0.0.1:{port}
    default_backend instances
backend instances
    balance roundrobin
    option httpchk GET /health
    http-check expect status 200
    default-server check inter 500ms fall 2 rise 1
{servers}
"""


@pytest.fixture
def cluster(tmp_path):
    primary = pg.start(tmp_path)
    (tmp_path / "standby").mkdir()
    standby = primary.standby(tmp_path / "standby")
    yield primary, standby
    standby.remove()
    primary.remove()


@pytest.fixture(scope="module")
def token():
    """Makes one that is good once."""
    key = rsa_key()
    make = lambda: make_token(key, claims_for(AUDIENCE))  # noqa: E731
    make.key = key
    return make


@pytest.fixture
def instances(cluster, token, tmp_path):
    primary, standby = cluster
    where = both(primary, standby, primary.new_database().rpartition("/")[2], "url")
    registry = Registry()
    registry.keys["quay", "mykey"] = jwk(token.key, "mykey")
    servers = [Served(tmp_path / str(i), where, registry, audience=AUDIENCE).start() for i in range(INSTANCES)]
    yield servers
    registry.close()
    for s in servers:
        s.stop()


@pytest.fixture
def balancer(instances, tmp_path):
    """Its port."""
    port = serving.free_ports(1)[0]
    rows = [f"    server e{i} 127.0.0.1:{s.front} port {s.health_port}" for i, s in enumerate(instances)]
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, servers="\n".join(rows)))
    with (tmp_path / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", config], stdout=log, stderr=log)
    yield port
    process.terminate()
    process.wait(30)


@pytest.fixture
def urls(layers):  # noqa: F811
    """As Quay names them: by HTTP, for who is behind a verifier may name no file of the server."""
    files = serving.Files(layers[0].parent)
    yield [f"{files.url}/{path.name}" for path in layers]
    files.close()


def ask(port, token, method, target, body=b""):
    """None: the connection broke, which is no answer."""
    try:
        return serving.request(port, method, target, body, [f"Authorization: Bearer {token}"], timeout=60)
    except (OSError, ValueError):
        return None


class Load:
    """Readers of whole chains, which know what is right, and posters of new ones; `urls` are of their layers."""

    def __init__(self, port, token, urls, right):
        self.port, self.token, self.urls, self.right = port, token, urls, right
        self.counts, self.wrong, self.acknowledged = collections.Counter(), [], []
        self.lock, self.done = threading.Lock(), threading.Event()
        work = [self.read, self.read, self.read, self.post, self.post]
        self.threads = [threading.Thread(target=f, args=(i,), daemon=True) for i, f in enumerate(work)]
        for t in self.threads:
            t.start()

    def count(self, what, answer):
        with self.lock:
            self.counts[what, answer.status if answer else "broken"] += 1

    def read(self, number):
        while not self.done.is_set():
            for i in range(CHAIN):
                a = ask(self.port, self.token(), "GET", f"/v1/layers/whole-{i}?features&vulnerabilities")
                self.count("GET", a)
                if a and a.status < 500 and (a.status != 200 or a.body != self.right[i]):
                    self.wrong.append((i, a))

    def post(self, number):
        round_ = 0
        while not self.done.is_set():
            for i, url in enumerate(self.urls):
                name, parent = f"p{number}-{round_}-{i}", f"p{number}-{round_}-{i - 1}"
                layer = {"Name": name, "Path": url, "Format": "Docker"} | ({"ParentName": parent} if i else {})
                a = ask(self.port, self.token(), "POST", "/v1/layers", json.dumps({"Layer": layer}).encode())
                self.count("POST", a)
                if not a or a.status >= 500:
                    time.sleep(0.05)
                    break
                if a.status != 201:
                    self.wrong.append((name, a))
                    break
                with self.lock:
                    self.acknowledged.append((name, i))
            round_ += 1

    def wait_for_more(self, what, status, more=20):
        """Until so many more of them came."""
        goal, end = self.counts[what, status] + more, time.monotonic() + 90
        while self.counts[what, status] < goal:
            assert time.monotonic() < end, self.counts
            time.sleep(0.02)

    def stop(self):
        self.done.set()
        for t in self.threads:
            t.join(90)
            assert not t.is_alive()


def test_primary_dies(cluster, instances, balancer, token, layers, urls, mirror, capsys):  # noqa: F811
    primary, standby = cluster
    update(instances[0].database, mirror / "some")
    instances[0].post_chain([f"whole-{i}" for i in range(CHAIN)], layers)
    right = [instances[0].get(f"/v1/layers/whole-{i}?features&vulnerabilities").body for i in range(CHAIN)]
    assert b"Vulnerabilities" in right[-1]
    eventually(lambda: (a := ask(balancer, token(), "GET", "/v1/layers/whole-0?features&vulnerabilities")) and a.body == right[0])
    used = [token() for _ in range(3)]
    for t in used:
        assert ask(balancer, t, "GET", "/v1/namespaces").status == 200

    load = Load(balancer, token, urls, right)
    load.wait_for_more("GET", 200, 100)
    load.wait_for_more("POST", 201)
    primary.crash()
    load.wait_for_more("POST", 503, 5)
    began = time.monotonic()
    standby.promote()
    load.wait_for_more("POST", 201)
    load.wait_for_more("GET", 200, 100)
    back = time.monotonic() - began
    load.stop()

    assert not load.wrong, load.wrong[:3]
    for name, i in load.acknowledged:
        a = ask(balancer, token(), "GET", f"/v1/layers/{name}?features&vulnerabilities")
        assert a and a.status == 200, (name, a)
        assert [f["Name"] for f in a.json()["Layer"].get("Features", [])] == \
            [f["Name"] for f in json.loads(right[i])["Layer"].get("Features", [])], name
    for t in used:
        assert [s.ask(t).status for s in instances] == [403] * INSTANCES  # what was burnt on the old primary
    assert ask(balancer, "", "GET", "/v1/namespaces").status == 403
    with capsys.disabled():
        print(f"\nthree instances behind verifiers, the primary killed: {dict(sorted(load.counts.items(), key=str))}, "
              f"{len(load.acknowledged)} acknowledged and there, back {back:.1f} s after the promotion")
