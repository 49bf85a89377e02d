"""docs/openapi.json: it is what the server has, what Clair 2.0.7 was recorded to say, and what clients that are made from it find."""
import gzip
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import golden as recorded
import jsonschema
import pytest
import serving
import test_status

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((ROOT / "docs/openapi.json").read_text())
SCHEMATHESIS = ROOT / "build-venv/bin/schemathesis"
METHODS = {"get", "put", "post", "delete"}


def plain(path):
    return re.sub(r"\{\w*\}", "{}", path)


def resolved(value):
    return resolved(jsonschema.RefResolver("", DOCUMENT).resolve(value["$ref"])[1]) if "$ref" in value else value


def operations():
    """(method, path) -> operation."""
    return {(m.upper(), p): o for p, item in DOCUMENT["paths"].items() for m, o in item.items() if m in METHODS}


def ports(path):
    """The ports at which a path is served."""
    return {server["url"].rsplit(":", 1)[1] for server in DOCUMENT["paths"][path].get("servers", DOCUMENT["servers"])}


def routes_of_main():
    rows = re.findall(r'^\s*\{\s*"([A-Z]+)",\s*"(/[^"]*)"', (ROOT / "src/api/routes.c").read_text(), re.M)
    v3 = re.findall(r'\.method = "([A-Z]+)",\s*\.path = "(/[^"]*)"', (ROOT / "src/api/v3_call.c").read_text())
    assert len(rows) >= 5 and len(v3) == 5
    return set(rows) | set(v3)


def routes_of_health():
    paths = set(re.findall(r'is_get\(r, "(/[^"]*)"\)', (ROOT / "src/api/health.c").read_text()))
    assert len(paths) >= 4
    return {("GET", p) for p in paths}


def test_routes_and_document_agree():
    documented = {port: {(m, plain(p)) for m, p in operations() if port in ports(p)} for port in ("6060", "6061")}
    assert documented["6060"] == routes_of_main()
    assert documented["6061"] == routes_of_health()
    names = [o["operationId"] for o in operations().values()]
    assert len(names) == len(set(names))


def test_parameters_are_described():
    """Each part in braces, and nothing else, is a parameter of the path."""
    for path, item in DOCUMENT["paths"].items():
        described = [p["name"] for p in map(resolved, item.get("parameters", [])) if p["in"] == "path"]
        assert described == re.findall(r"\{(\w+)\}", path), path


# ---- answers, ours and recorded ----

def operation_of(method, path):
    for (m, p), operation in operations().items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", p)
        if m == method and re.fullmatch(pattern, path):
            return operation
    return None


def fault(method, target, status, content_type, body):
    """What the document says otherwise; None: nothing."""
    operation = operation_of(method, target.split("?")[0])
    if operation is None:
        return "no such operation"
    if str(status) not in operation["responses"]:
        return f"status {status}"
    content = resolved(operation["responses"][str(status)]).get("content", {})
    if not body:
        return None
    kind = (content_type or "").split(";")[0]
    if kind not in content:
        return f"content type {kind}"
    if kind != "application/json":
        return None
    schema = content[kind]["schema"] | {"components": DOCUMENT["components"]}
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(body)))
    return errors[0].message if errors else None


@pytest.mark.parametrize("api,pattern,least", [("golden-v1", "[0-6]*.txt", 101), ("golden-v3", "[0-4]*.txt", 45)])
def test_document_describes_the_recording(golden, api, pattern, least):
    """Every recorded exchange on a documented route."""
    faults, count, folder = [], 0, golden.parent / api
    for path in sorted(folder.glob(pattern)):
        number = int(path.name[:2])
        unknown = (4, 5, 6, 58) if api == "golden-v1" else ()  # unknown routes; the webhook
        if ">>> request" not in path.read_text() or number in unknown:
            continue
        for x in recorded.read(folder, number, 1):
            method, target, _ = x.request.split(b"\r\n")[0].decode().split(" ")
            a = x.answer
            if operation_of(method, target.split("?")[0]) is None or a.status == 301 or a.body == b"Not Found\n":
                continue
            why = fault(method, target, a.status, a.header("Content-Type"), a.body)
            count += 1
            if why:
                faults.append(f"{path.name}, exchange {x.number}: {why}")
    assert not faults, "\n".join(faults)
    assert count >= least, count


@pytest.fixture
def filled(serve, golden, files, tmp_path):
    """A server with a feed, and a layer that it says something about."""
    feed = tmp_path / "mirror/debian/tracker/data/json"
    feed.parent.mkdir(parents=True)
    feed.write_text('{"zlib": {"CVE-2999-0001": {"description": "demo", "releases": {"stretch": {"status": "open", "urgency": "high",'
                    ' "repositories": {"stretch": "1:1.2.8.dfsg-5"}}}}}}')
    server = serve(test_status.MORE.format(mirror=tmp_path / "mirror", more=""))
    test_status.wait_for(lambda: test_status.health(server, "/readyz").status == 200)
    (files.folder / "base.tar").write_bytes((golden / "layers/base.tar").read_bytes())
    assert server.post("base", f"{files.url}/base.tar").status == 201
    server.layer_url = f"{files.url}/base.tar"
    return server


def test_document_describes_answers(filled, database, golden):
    seen, golden_layers = set(), golden / "layers"

    def ask(method, target, body=b"", port=filled.port):
        a = serving.request(port, method, target, body)
        assert fault(method, target, a.status, a.header("Content-Type"), a.body) is None, (target, a)
        seen.add((target, a.status))
        return a

    served = ask("GET", "/v1/openapi.json")
    assert served.body == (ROOT / "docs/openapi.json").read_bytes()
    packed = filled.request("GET", "/v1/openapi.json", headers=["Accept-Encoding: gzip"])
    assert packed.header("Content-Encoding") == "gzip" and gzip.decompress(packed.body) == served.body
    layer = ask("GET", "/v1/layers/base?vulnerabilities").json()["Layer"]
    assert any("Vulnerabilities" in f for f in layer["Features"])
    for target in ("/v1/layers/base", "/v1/layers/nobody", "/v1/layers/a%2Fb", "/v1/status", "/v1/metrics", "/metrics"):
        ask("GET", target)
    bytes_of = (golden_layers / "base.tar").read_bytes()
    digest = "sha256:" + hashlib.sha256(bytes_of).hexdigest()
    for name in (digest, "sha256:" + "0" * 64, "none"):
        ask("GET", f"/v1/blobs/{name}")
        ask("PUT", f"/v1/blobs/{name}", bytes_of)
    ask("POST", "/v1/blobs", bytes_of)
    ask("POST", "/v1/blobs", b"no tar")
    ask("POST", "/v1/layers", b"{}")
    ask("POST", "/v1/layers", json.dumps({"Layer": {"Name": "x", "Path": filled.layer_url, "ParentName": "base", "Format": "Docker"}}).encode())
    ask("DELETE", "/v1/layers/x")
    vulnerability = "/v1/namespaces/debian%3A9/vulnerabilities/CVE-2999-0001"
    for target in ("/v1/namespaces", "/v1/namespaces/debian:9/vulnerabilities?limit=5", "/v1/namespaces/debian:9/vulnerabilities?limit=x",
                   "/v1/namespaces/none/vulnerabilities?limit=5", vulnerability, vulnerability + "?fixedIn", vulnerability + "/fixes", vulnerability + "x"):
        ask("GET", target)
    fix = {"Name": "zlib", "NamespaceName": "debian:9", "VersionFormat": "dpkg", "Version": "1:1.2.11-1"}
    posted = {"Name": "CVE-2999-0002", "NamespaceName": "debian:9", "Severity": "low", "Metadata": {"X": 1}, "FixedIn": [fix]}
    assert ask("POST", "/v1/namespaces/debian:9/vulnerabilities", json.dumps({"Vulnerability": posted}).encode()).status == 201
    ask("GET", "/v1/layers/base?vulnerabilities")
    ask("PUT", vulnerability, b'{"Vulnerability": {"Severity": "High"}}')
    ask("PUT", vulnerability + "/fixes/zlib", json.dumps({"Feature": fix}).encode())
    ask("GET", vulnerability + "/fixes")
    ask("DELETE", vulnerability + "/fixes/zlib")
    ask("DELETE", vulnerability)
    recorded.notification_of(database, (None, "CVE-2999-0002"))  # a thread makes them
    for name in {n[0] for n in recorded.notifications(database)}:
        for method, target in (("GET", f"/v1/notifications/{name}?limit=5"), ("DELETE", f"/v1/notifications/{name}"), ("GET", f"/v1/notifications/{name}?limit=0")):
            assert ask(method, target).status == 200
    assert any("notifications" in target for target, _ in seen)
    ask("GET", "/v1/notifications/none?limit=5")
    ask("POST", "/ancestry", json.dumps({"ancestry_name": "i", "format": "docker", "layers": [{"hash": "h", "path": filled.layer_url}]}).encode())
    name = recorded.notifications(database)[0][0]
    for target in ("/status", "/ancestry/i", "/ancestry/none", f"/notifications/{name}?limit=5", "/notifications/none?limit=5", f"/notifications/{name}"):
        ask("GET", target)
    ask("POST", "/ancestry", b"{}")
    ask("POST", "/ancestry", b'{"format": "aci", "layers": [{"hash": "h0", "path": "nowhere"}]}')
    ask("DELETE", "/notifications/none")
    for target in ("/health", "/healthz", "/readyz", "/metrics"):
        ask("GET", target, port=filled.health_port)
    assert {status for _, status in seen} == {200, 201, 400, 404, 422, 500}


# ---- whatever clients may send ----

def with_examples(server):
    """The document with values that mean something to this server, so that not all ends with 404."""
    document = json.loads(json.dumps(DOCUMENT))
    parameters = document["components"]["parameters"]
    for name, value in (("layer", "base"), ("namespace", "debian:9"), ("vulnerability", "CVE-2999-0001"), ("fix", "zlib"), ("limit", 5)):
        parameters[name]["examples"] = {"known": {"value": value}}
    for name in ("features", "vulnerabilities"):
        parameters[name]["examples"] = {"on": {"value": "on"}}
    post = document["paths"]["/v1/layers"]["post"]["requestBody"]["content"]["application/json"]
    post["examples"] = {"base": {"value": {"Layer": {"Name": "x", "Path": server.layer_url, "ParentName": "base", "Format": "Docker"}}}}
    return document


@pytest.mark.parametrize("port", ["6060", "6061", "v3"])
def test_schemathesis(filled, port, tmp_path):
    """That API v3 has codes of 500 and more for what its client did wrong is as it was."""
    if not SCHEMATHESIS.exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"there is no {SCHEMATHESIS}: ./dev test makes it")
    (tmp_path / "openapi.json").write_text(json.dumps(with_examples(filled)))
    v3 = {p for p in DOCUMENT["paths"] if any(o["operationId"].startswith("v3") for (_, path), o in operations().items() if path == p)}
    served = v3 if port == "v3" else {p for p in DOCUMENT["paths"] if port in ports(p)} - v3
    which = [word for p in sorted(served) for word in ("--include-path", p)]
    run = subprocess.run(
        [SCHEMATHESIS, "run", "openapi.json", "--url", f"http://127.0.0.1:{filled.health_port if port == '6061' else filled.port}", *which,
         "--checks", ("" if port == "v3" else "not_a_server_error,") + "status_code_conformance,content_type_conformance,response_headers_conformance,"
         "response_schema_conformance", "--max-examples", "15", "--generation-deterministic",
         "--suppress-health-check", "all", "--request-timeout", "60", "--warnings", "off", "--no-color"],
        cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    assert filled.health().status == 200
