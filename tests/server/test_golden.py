"""The recorded exchanges of Clair 2.0.7, replayed on both stores. Where éclair answers otherwise stands in one table, with the reason."""
import json

import golden as recorded
import pytest

FILES = [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 30, 31, 32, 33, 34, 35, 36, 37, 38, 40, 41,
         50, 51, 52, 53, 54, 55, 56, 57, 59, 60, 61, 63, 64, 19, 25, 26]  # in the order of recording
BEFORE = {  # what the recording posted in files that are not replayed here
    25: [("ubuntu", "layers/ubuntu.tar", None)],
    26: [("b9", "layers/base.tar", None)],
}
WRITTEN = {  # what was written between the files, or was not, for the old server could not
    40: [("PUT", "debian:9/vulnerabilities/CVE-2999-0001/fixes/zlib", {"Feature": {
        "Name": "zlib", "NamespaceName": "debian:9", "VersionFormat": "dpkg", "Version": "1:1.2.11-1"}})],
    59: [("POST", "debian:9/vulnerabilities", {"Vulnerability": {"Name": "CVE-2997-0001", "NamespaceName": "debian:9", "Severity": "Low"}})],
    63: [("POST", "bulk:1/vulnerabilities", {"Vulnerability": {
        "Name": f"CVE-2998-{i:04}", "NamespaceName": "bulk:1", "Severity": "Low", "Description": "filler <text> & more"}})
         for i in range(31)],
}


NOTIFICATIONS = {  # of the recording, by the id before and after
    50: {"08a88416-9232-477b-99fb-f77ebf2055d5": (None, "CVE-2999-0001"),
         "0241e0f1-a44b-4715-bfe4-3e4338114aac": ("CVE-2999-0003", "CVE-2999-0003"),
         "39f1830c-4995-4eca-b1a9-3a841f439bb9": ("CVE-2999-0003", None)},
    59: {"6a681b4e-7ef8-4548-8e9e-2f1d06418910": (None, "CVE-2997-0001")},
}


def without_gone(value):
    """`gone` is "deinstall ok config-files"."""
    if isinstance(value, dict) and "Features" in value.get("Layer", {}):
        value = json.loads(json.dumps(value))
        value["Layer"]["Features"] = [f for f in value["Layer"]["Features"] if f["Name"] != "gone"]
    return value


REMOVED = "design.md 9, Debian: removed packages with left-over configuration do not count in REST v1 either"
QUAY = "spec/README.md: the health answer has the Content-Type that the Quay chapter prints"
HEAD = "spec/README.md: HEAD is served now"
METRICS = "spec/README.md: /metrics has the metrics here, too"
DECODER = "spec/README.md: texts of Go's decoder are compared by status only"
UPGRADE = "spec/api-v1.md 12: the new analysis is stored, so the layer has the new version and is not read again"
ACI = "spec/detection.md 1: what was intended; the old server found nothing in a layer of Format ACI"

PREFIX = "spec/api-v1.md 12: a redirect leads to where the resource is; the old server forgot /v1"
FIXES = "spec/api-v1.md 7: the old server could not change fixes; what was intended"
LIMIT = "a limit below -1 is the client's mistake, not the database's"
CLOSE = "an answer to HTTP/1.0 says that the connection is closed, which it is"
LONG = "design.md 9, Limits: a name of a layer may have 1,024 bytes"

# (file, number in it, 0 for all) -> (what differs: status, headers, body; reason)
EXCEPTIONS = {
    (1, 1): ({"headers"}, QUAY),
    (2, 4): ({"status", "headers"}, HEAD),
    (4, 6): ({"headers", "body"}, PREFIX),
    (5, 1): ({"headers", "body"}, PREFIX),
    (5, 2): ({"headers", "body"}, PREFIX),
    (5, 3): ({"headers", "body"}, PREFIX),
    (5, 4): ({"headers"}, PREFIX),
    (5, 5): ({"headers"}, PREFIX),
    (6, 5): ({"status", "headers"}, HEAD),
    (4, 8): ({"status", "headers", "body"}, METRICS),
    (10, 3): ({"headers", "body"}, DECODER),
    (19, 1): ({"headers", "body"}, ACI),
    (37, 6): ({"headers", "body"}, DECODER),
    (38, 4): ({"status", "headers", "body"}, FIXES),
    (38, 8): ({"headers", "body"}, DECODER),
    (38, 9): ({"status", "headers", "body"}, FIXES),
    (38, 10): ({"status", "headers", "body"}, FIXES),
    (56, 3): ({"status", "headers", "body"}, LIMIT),
    (61, 1): ({"status", "headers", "body"}, LONG),
    (64, 1): ({"headers"}, CLOSE),
    (64, 2): ({"headers"}, CLOSE),
    (25, 3): ({"body"}, UPGRADE),
    (25, 4): ({"status", "headers", "body"}, UPGRADE),
}


@pytest.fixture
def replay(serve, database, golden, files):
    files.folder.rmdir()
    files.folder.symlink_to(golden / "layers")
    server = serve(cwd=golden)
    plain, tokens = files.answer, recorded.Tokens()

    def answer(handler):
        if handler.path != "/redir":
            plain(handler)
            return
        handler.send_response(302)
        handler.send_header("Location", "/base.tar")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    files.answer = answer

    def run(number):
        """(exchange, what differs) of one file."""
        for name, path, parent in BEFORE.get(number, []):
            assert server.post(name, path, parent).status == 201
        if number == 25:
            recorded.make_old(database, "ubuntu")
        for method, path, body in WRITTEN.get(number, []):
            assert server.request(method, f"/v1/namespaces/{path}", json.dumps(body).encode()).status in (200, 201)
        if number in NOTIFICATIONS:
            for theirs, change in NOTIFICATIONS[number].items():
                tokens.known[theirs.encode()] = recorded.notification_of(database, change).encode()
        if number == 59:  # it has been told
            assert recorded.execute(database, "UPDATE notification SET notified = created WHERE name = ?",
                                    tokens.known[b"6a681b4e-7ef8-4548-8e9e-2f1d06418910"].decode()) == 1
        for x in recorded.read(golden, number, files.port):
            x.request = tokens.replace(x.request)
            got = recorded.send(x, server)
            tokens.learn(x, got)
            yield x, recorded.compare(x, got, without_gone)

    run.files = files
    return run


def test_replay(replay):
    recorded.hold(replay, FILES, EXCEPTIONS, 50)
    sent = [(path, headers.get("Authorization"), headers.get("X-Two")) for path, headers in replay.files.requests]
    assert ("/child.tar.gz?sig=1", "Bearer demo", "2") in sent
