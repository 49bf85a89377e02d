"""The recorded exchanges of Clair 2.0.7, replayed on both stores. Where éclair answers otherwise stands in one table, with the reason."""
import json

import golden as recorded
import pytest

FILES = [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 30, 31, 32, 33, 34, 35, 36, 37, 38, 40, 41,
         60, 61, 63, 64, 19, 25, 26]  # in the order of recording
BEFORE = {  # what the recording posted in files that are not replayed here
    25: [("ubuntu", "layers/ubuntu.tar", None)],
    26: [("b9", "layers/base.tar", None)],
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
DECODER = "spec/README.md: texts of Go's decoder are compared by status only"
UPGRADE = "spec/api-v1.md 12: the new analysis is stored, so the layer has the new version and is not read again"
ACI = "spec/detection.md 1: what was intended; the old server found nothing in a layer of Format ACI"

# (file, number in it, 0 for all) -> (what differs: status, headers, body; reason)
EXCEPTIONS = {
    (1, 1): ({"headers"}, QUAY),
    (2, 4): ({"status", "headers"}, HEAD),
    (10, 3): ({"headers", "body"}, DECODER),
    (19, 1): ({"headers", "body"}, ACI),
    (25, 3): ({"body"}, UPGRADE),
    (25, 4): ({"status", "headers", "body"}, UPGRADE),
}


@pytest.fixture
def replay(serve, database, golden, files):
    files.folder.rmdir()
    files.folder.symlink_to(golden / "layers")
    server = serve(cwd=golden)
    plain = files.answer

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
        for x in recorded.read(golden, number, files.port):
            yield x, recorded.compare(x, recorded.send(x, server), without_gone)

    run.files = files
    return run


def test_replay(replay):
    used, count, faults = set(), 0, []
    for number in FILES:
        for x, differs in replay(number):
            kinds = {d.split()[0] for d in differs}
            allowed, _ = EXCEPTIONS.get((number, x.number), (set(), ""))
            if kinds != allowed:
                faults.append(f"{x.file}, exchange {x.number}: {differs}")
            used |= {(number, x.number)} if allowed else set()
            count += 1
    assert not faults, "\n".join(faults)
    assert used == set(EXCEPTIONS), "an exception that is none"
    assert count >= 50, count
    sent = [(path, headers.get("Authorization"), headers.get("X-Two")) for path, headers in replay.files.requests]
    assert ("/child.tar.gz?sig=1", "Bearer demo", "2") in sent
