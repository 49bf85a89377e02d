"""The recorded exchanges of Clair's API v3 over REST, replayed on both stores. Where éclair answers otherwise stands in one table, with the reason."""
import json
import re

import golden as recorded
import pytest
from serving import exchange

FILES = [1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 30, 31, 32, 33, 34, 40, 41]  # in the order of recording
VULNERABILITIES = [  # that the recording had put into its database
    {"Name": "CVE-2999-0001", "NamespaceName": "debian:9", "Severity": "High", "Description": "first demo issue",
     "Link": "https://tracker.example/CVE-2999-0001", "Metadata": {"NVD": {"CVSSv2": {"Score": 7.5, "Vectors": "AV:N"}}},
     "FixedIn": [{"Name": "zlib", "NamespaceName": "debian:9", "VersionFormat": "dpkg", "Version": "1:1.2.11-1"}]},
    {"Name": "CVE-2999-0002", "NamespaceName": "debian:9", "Severity": "Low",
     "FixedIn": [{"Name": "demo-src", "NamespaceName": "debian:9", "VersionFormat": "dpkg", "Version": "None"}]},
]
NEXT = re.compile(rb'"next_page":"([^"]+)"')

BETTER = "spec/api-v3.md 9: any name is taken, with a colon or an escaped slash in it"
LAYERS = "spec/api-v3.md 9: another list of layers is another image, and is looked at"
REMOVED = "design.md 9, Debian: removed packages with left-over configuration do not count"
NAME = "spec/api-v3.md 9: the name that was made up is told in a header"
ACI = "spec/detection.md 1: what was intended; Clair found nothing in a layer of format ACI"
V1 = "REST v1 is served here, too, with its own answer to what is unknown"
QUAY = "spec/README.md: the health answer has the Content-Type that the Quay chapter prints"

# (file, number in it) -> (what differs: status, headers, body; reason)
EXCEPTIONS = {
    (1, 1): ({"headers"}, QUAY),
    (13, 5): ({"headers", "body"}, BETTER),
    (13, 6): ({"headers", "body"}, BETTER),
    (14, 1): ({"status", "headers", "body"}, LAYERS),
    (15, 1): ({"headers"}, NAME),
    (16, 2): ({"body"}, REMOVED),
    (19, 4): ({"headers", "body"}, ACI),
    (32, 1): ({"headers", "body"}, ACI),  # so that image is hit, too
    (41, 1): ({"headers", "body"}, V1),
    (41, 2): ({"status", "headers", "body"}, V1),
}


@pytest.fixture
def golden_v3(golden):
    return golden.parent / "golden-v3"


def content(body):
    """JSON without what is another one each time, and lists that were in random order as sorted ones."""
    if not body.startswith(b"{"):
        return body
    return normal(json.loads(body))


def normal(value):
    if isinstance(value, list):
        return [normal(v) for v in value]
    if not isinstance(value, dict):
        return value
    value = {k: normal(v) for k, v in value.items()}
    for key in ("detectors", "detected_features", "ancestries", "vulnerabilities"):
        if key in value:
            value[key].sort(key=json.dumps)
    for key in ("current_page", "next_page"):
        if key in value:
            value[key] = "a token"
    for key in ("created", "deleted"):
        if key in value:
            assert int(value[key]) > 1_500_000_000
            value[key] = "a time"
    if "notification" in value:
        value["notification"]["name"] = "a name"
    if "index" in value:
        value["index"] = "a number"
    return value


def headers_of(a, any_length):
    return sorted((k, v) for k, v in a.headers if k != "Date" and not (any_length and k == "Content-Length"))


def compare(want, got):
    differs = []
    if got.status != want.status:
        differs.append(f"status {got.status}, not {want.status}")
    any_length = len(got.body) != len(want.body) and content(got.body) == content(want.body)  # numbers have other digits
    if headers_of(got, any_length) != headers_of(want, any_length):
        differs.append(f"headers {headers_of(got, False)}, not {headers_of(want, False)}")
    if content(got.body) != content(want.body):
        differs.append(f"body {got.body!r}, not {want.body!r}")
    if got.header("Trailer") and got.trailers != [("Grpc-Trailer-Content-Type", "application/grpc")]:
        differs.append(f"trailers {got.trailers}")
    return differs


@pytest.fixture
def replay(serve, database, golden, golden_v3, files):
    files.folder.rmdir()
    files.folder.symlink_to(golden / "layers")
    server = serve(cwd=golden)
    for v in VULNERABILITIES:
        assert server.request("POST", "/v1/namespaces/debian:9/vulnerabilities", json.dumps({"Vulnerability": v}).encode()).status == 201
    new, both = (recorded.notification_of(database, (None, v["Name"])) for v in VULNERABILITIES)
    # one that has other vulnerabilities before and after no server of ours would make
    assert recorded.execute(database, "UPDATE notification SET before = after, after = (SELECT n.after FROM notification n WHERE n.name = ?)"
                            " WHERE name = ?", new, both) == 1
    known = {b"noti-new": new.encode(), b"noti-both": both.encode()}

    def replaced(request, back=False):
        for theirs, ours in known.items():
            for a, b in ((theirs, ours), (theirs.replace(b"=", b"%3D"), ours.replace(b"=", b"%3D"))):
                request = request.replace(b, a) if back else request.replace(a, b)
        return request

    def run(number):
        if number == 40:
            assert recorded.execute(database, "INSERT INTO keyvalue(key, value) VALUES ('updater/last', '1600000000')") == 1
        for x in recorded.read(golden_v3, number, files.port):
            got = exchange(server.health_port if number == 1 else server.port, replaced(x.request))
            if NEXT.search(got.body) and NEXT.search(x.answer.body):
                known[NEXT.search(x.answer.body)[1]] = NEXT.search(got.body)[1]
            got.body = replaced(got.body, True)
            got.headers = [(k, str(len(got.body)) if k == "Content-Length" and got.body else v) for k, v in got.headers]
            yield x, compare(x.answer, got)

    run.files = files
    return run


def test_replay(replay):
    recorded.hold(replay, FILES, EXCEPTIONS, 55)
    assert ("/child.tar.gz", "Bearer demo") in [(path, headers.get("authorization")) for path, headers in replay.files.requests]
