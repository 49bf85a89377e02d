"""GET /metrics: the families of the recording under their names, ours beside them, and that dashboards ask for nothing that is not there."""
import gzip
import json
import re
from pathlib import Path

import pytest
import serving

ROOT = Path(__file__).resolve().parents[2]
# The old server's own library, and what it did with threads and garbage: nobody else can have them.
NOT_OURS = re.compile(r"go_|http_request|http_response")


def scrape(server, target="/v1/metrics"):
    answer = server.get(target)
    assert answer.status == 200 and answer.header("Content-Type") == "text/plain; version=0.0.4"
    assert answer.header("Server") is None
    return answer.body.decode()


def families(text):
    """{name: (type, label names)}; each sample must belong to a family that was announced before it."""
    found, name = {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in found
            found[name] = (kind, set())
        elif not line.startswith("#"):
            sample, labels, value = re.fullmatch(r'(\w+?)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)', line).groups()
            assert name and sample.removeprefix(name) in ("", "_bucket", "_sum", "_count"), line
            found[name][1].update(re.findall(r'(\w+)="', labels or ""))
            float(value)
    return found


def test_recorded_families(serve, golden, files):
    server = serve()
    (files.folder / "base.tar").write_bytes((golden / "layers/base.tar").read_bytes())
    server.post("base", f"{files.url}/base.tar")
    server.get("/v1/layers/base?vulnerabilities")
    server.get("/v1/layers/nobody")
    vulnerability = "/v1/namespaces/debian:9/vulnerabilities/CVE-2999-0001"
    for method, target, body in (("GET", "/v1/namespaces", b""), ("PUT", vulnerability, b'{"Vulnerability":{"Severity":"Low"}}'), ("GET", vulnerability, b""),
                                 ("GET", "/v1/namespaces/debian:9/vulnerabilities?limit=1", b""), ("DELETE", vulnerability, b"")):
        assert server.request(method, target, body).status == 200
    scrape(server)
    ours, wanted = families(scrape(server)), {}
    for line in next(golden.glob("62-*")).read_text().splitlines():
        if m := re.fullmatch(r"(counter|gauge|histogram|summary) (\w+) \{(.*)\}", line):
            wanted[m[2]] = (m[1], set(filter(None, m[3].split(","))))
    assert len(wanted) > 30
    missing = {name: want for name, want in wanted.items() if not NOT_OURS.match(name) and name not in ours}
    # families with labels show when there is something to count
    assert set(missing) <= {"clair_pgsql_errors_total"}, missing
    for name in set(wanted) & set(ours):
        assert ours[name] == wanted[name], name
    text = scrape(server)
    for code, route in (("201", "v1/postLayer"), ("200", "v1/getLayer"), ("404", "v1/getLayer"), ("200", "v1/getMetrics")):
        assert f'clair_api_response_duration_milliseconds_count{{code="{code}",route="{route}"}}' in text
    assert "eclair_cage_jobs_total 1\n" in text and "eclair_cage_running 0\n" in text and 'eclair_cage_ended_total{reason="died"} 0\n' in text
    size = (golden / "layers/base.tar").stat().st_size
    assert f'eclair_cage_bytes_total{{direction="in"}} {size}\n' in text
    queries = set(re.findall(r'clair_pgsql_query_duration_milliseconds_count\{query="(\w+)",subquery="all"\} [1-9]', text))
    assert queries == {"InsertLayer", "FindLayer", "listNamespaces", "insertVulnerability", "findVulnerability", "listVulnerabilities",
                       "DeleteVulnerability"}
    # this one, and perhaps those whose clients have just gone
    assert re.search(r'^eclair_http_requests\{port="main"\} [1-9]', text, re.M) and 'eclair_http_connections{port="health"} 0\n' in text
    assert re.search(r'^eclair_http_pool_requests\{pool="read",state="running"\} [1-9]', text, re.M)
    assert "eclair_store_up 1\n" in text and 'eclair_feed_loaded{feed="debian"} 0\n' in text


def test_everywhere(serve):
    server = serve()
    assert families(scrape(server, "/metrics")).keys() >= {"eclair_build_info", "process_cpu_seconds_total"}
    health = serving.request(server.health_port, "GET", "/metrics")
    assert health.status == 200 and b"eclair_store_up 1\n" in health.body
    packed = server.request("GET", "/v1/metrics", headers=["Accept-Encoding: gzip"])
    assert packed.header("Content-Encoding") == "gzip" and b"eclair_store_up" in gzip.decompress(packed.body)


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_database_is_away(serve, postgres):
    server = serve()
    assert "eclair_store_up 1\n" in scrape(server)
    postgres.stop()
    try:
        import test_status
        test_status.wait_for(lambda: "eclair_store_up 0\n" in scrape(server))
        assert server.get("/v1/layers/x").status == 500
        assert 'clair_pgsql_errors_total{request="v1/getLayer"} 1\n' in scrape(server)
    finally:
        postgres.start_again()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_examples_ask_for_what_is_there(serve, golden, files):
    """Every name in the dashboard and in the alerts is a family of a real scrape, or one that shows only when something went wrong."""
    server = serve()
    (files.folder / "base.tar").write_bytes((golden / "layers/base.tar").read_bytes())
    server.post("base", f"{files.url}/base.tar")
    server.get("/v1/layers/base?vulnerabilities")
    scrape(server)
    known = set(families(scrape(server))) | {"clair_pgsql_errors_total", "clair_notifier_backend_errors_total", "eclair_cage_failures_total",
                                             "eclair_feed_age_seconds"}
    dashboard = json.loads((ROOT / "examples/grafana/eclair.json").read_text())
    questions = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", [])]
    questions.append((ROOT / "examples/prometheus/alerts.yml").read_text())
    assert len(questions) > 10
    used = {re.sub(r"_(bucket|sum|count)$", "", n) if re.sub(r"_(bucket|sum|count)$", "", n) in known else n
            for q in questions for n in re.findall(r"\b(?:clair|eclair|process)_\w+", q)}
    assert used - known == set()
