"""/healthz, /readyz and GET /v1/status: what a server has and lacks, told truly."""
import json
import time

import pytest

MORE = "  feeds:\n    mirror: {mirror}\n  updater:\n    interval: 1h\n    enabledupdaters: [debian{more}]\n"


def health(server, path, method="GET"):
    import serving
    return serving.request(server.health_port, method, path)


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return value


@pytest.fixture
def mirror(tmp_path):
    """Two releases of one package, in Debian's form."""
    folder = tmp_path / "mirror"
    document = folder / "debian/tracker/data/json"
    document.parent.mkdir(parents=True)
    document.write_text('{"zlib": {"CVE-2999-0001": {"releases": {"bookworm": {"status": "resolved", "urgency": "high",'
                        ' "fixed_version": "1:1.2.13.dfsg-2", "repositories": {"bookworm": "1:1.2.13.dfsg-1"}}}}}}')
    return folder


def test_nothing_loaded(serve):
    server = serve()
    answer = health(server, "/readyz")
    assert answer.status == 503 and answer.json()["ready"] is False
    assert answer.json()["reason"] == "no feed has been loaded"
    assert {"alpine", "debian"} <= set(answer.json()["missing"])
    assert (health(server, "/healthz").status, health(server, "/healthz").body) == (200, b"ok\n")
    assert health(server, "/readyz", "HEAD").status == 503 and health(server, "/healthz", "HEAD").status == 200
    assert health(server, "/health").status == 200


def test_what_clients_write_is_no_feed(serve):
    """A server that knows nothing but that is not ready."""
    server = serve()
    body = json.dumps({"Vulnerability": {"Name": "OURS-1", "NamespaceName": "debian:12", "Severity": "High", "FixedIn": [
        {"Name": "zlib", "NamespaceName": "debian:12", "VersionFormat": "dpkg", "Version": "None"}]}}).encode()
    assert server.request("POST", "/v1/namespaces/debian:12/vulnerabilities", body).status == 201
    end = time.monotonic() + 60
    while not server.get("/v1/status").json()["generation"]:  # it is looked at once a second
        assert time.monotonic() < end
        time.sleep(0.1)
    answer = health(server, "/readyz")
    assert answer.status == 503 and "manual" not in [f["name"] for f in answer.json()["feeds"]]
    assert b"manual" not in server.get("/metrics").body


def test_loaded(serve, store, mirror):
    """One of two enabled sources is there: ready, and the other one is named."""
    server = serve(MORE.format(mirror=mirror, more=", alpine"))
    answer = wait_for(lambda: (a := health(server, "/readyz")).status == 200 and a)
    ready = answer.json()
    assert ready["ready"] is True and ready["missing"] == ["alpine", "epss", "kev", "nvd"]  # what tells severities is wanted in any case
    feeds = {f["name"]: f for f in ready["feeds"]}
    assert feeds["debian"]["state"] == "loaded" and feeds["debian"]["entries"] > 0 and 0 <= feeds["debian"]["age"] < 3600
    assert feeds["alpine"]["state"] == "never loaded" and feeds["alpine"]["age"] is None

    def finished():
        status = server.get("/v1/status").json()
        return status["updater"]["last"] and status

    status = wait_for(finished)
    assert status["program"] == "eclair" and status["ready"] is True
    assert status["database"]["engine"] == {"sqlite": "sqlite", "postgres": "postgresql"}[store]
    assert status["database"]["up"] is True and status["database"]["bytes"] > 0
    assert status["generation"] == 1 and status["updater"]["interval"] == 3600 and status["updater"]["next"]
    assert server.request("HEAD", "/v1/status").status == 200


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_database_is_away(serve, postgres, mirror):
    server = serve(MORE.format(mirror=mirror, more=""))
    wait_for(lambda: health(server, "/readyz").status == 200)
    postgres.stop()
    try:
        answer = wait_for(lambda: (a := health(server, "/readyz")).status == 503 and a)
        assert answer.json()["reason"] == "the database does not answer"
        assert health(server, "/healthz").status == 200
        status = server.get("/v1/status")
        assert status.status == 200 and status.json()["database"]["up"] is False
    finally:
        postgres.start_again()
    wait_for(lambda: health(server, "/readyz").status == 200)


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_database_hangs(serve, postgres, mirror):
    """It keeps its connections and says nothing: nobody who asks how things stand waits for that."""
    import serving
    server = serve(MORE.format(mirror=mirror, more=""))
    wait_for(lambda: health(server, "/readyz").status == 200)

    def ask(port, path):
        return serving.request(port, "GET", path, timeout=30)  # half of what a database has time for

    postgres.pause()
    try:
        answer = wait_for(lambda: (a := ask(server.health_port, "/readyz")).status == 503 and a)
        assert answer.json()["reason"] == "the database does not answer"
        assert {f["state"] for f in answer.json()["feeds"]} == {"unknown"}
        for port in (server.port, server.health_port):
            scrape = ask(port, "/metrics")
            assert scrape.status == 200 and b"\neclair_store_up 0\n" in scrape.body
            assert b'\neclair_feed_loaded{feed="debian"} 1\n' in scrape.body  # what was known last
        assert ask(server.port, "/v1/status").json()["database"] == {"engine": "postgresql", "up": False}
    finally:
        postgres.go_on()
    wait_for(lambda: health(server, "/readyz").status == 200)
    assert b"\neclair_store_up 1\n" in ask(server.port, "/metrics").body
    postgres.pause()
    try:
        wait_for(lambda: ask(server.health_port, "/readyz").status == 503)
        server.stop()
    finally:
        postgres.go_on()
