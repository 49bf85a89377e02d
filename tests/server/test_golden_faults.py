"""The recorded exchanges of Clair 2.0.7 when something is wrong: a time-out (65), the database away (70) and back (71)."""
import threading

import golden as recorded
import pytest
import serving
import test_golden
import test_status

TRUTH = "spec/server.md 13: health tells the truth about the database, at once"
# as in test_golden.py
EXCEPTIONS = {
    (70, 1): ({"status", "headers"}, TRUTH),
    (70, 2): ({"status", "headers"}, TRUTH),
    (70, 7): ({"headers"}, test_golden.QUAY),
    (71, 1): ({"headers"}, test_golden.QUAY),
}


def send(x, server):
    health = x.request.startswith(b"GET /health ")
    return serving.exchange(server.health_port if health else server.port, x.request)


def faults(number, exchanges, server):
    found = []
    for x in exchanges:
        differs = recorded.compare(x, send(x, server))
        if {d.split()[0] for d in differs} != EXCEPTIONS.get((number, x.number), (set(), ""))[0]:
            found.append(f"{x.file}, exchange {x.number}: {differs}")
    return found


def test_timeout(serve, golden, files):
    done = threading.Event()
    plain = files.answer

    def answer(handler):
        assert handler.path == "/slow/base.tar"
        done.wait(120)
        handler.path = "/base.tar"
        plain(handler)

    files.answer = answer
    (files.folder / "base.tar").write_bytes((golden / "layers/base.tar").read_bytes())
    server = serve(api="    timeout: 1s\n")
    assert not faults(65, recorded.read(golden, 65, files.port), server)
    done.set()
    # the work is not cancelled: the layer is there later
    test_status.wait_for(lambda: server.get("/v1/layers/slow").status == 200)


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_database_down_and_back(serve, golden, files, postgres):
    (files.folder / "ubuntu.tar").write_bytes((golden / "layers/ubuntu.tar").read_bytes())
    server = serve(cwd=golden)
    assert server.post("ubuntu", f"{files.url}/ubuntu.tar").status == 201 and server.health().status == 200
    down, back = (recorded.read(golden, number, files.port) for number in (70, 71))
    for x in down:  # where the database is, is told; ours has another port
        x.answer.body = x.answer.body.replace(b":5544:", b":%d:" % postgres.port)
        x.answer.headers = [(k, str(len(x.answer.body)) if k == "Content-Length" else v) for k, v in x.answer.headers]
    # what was posted before the recording is not there
    namespaces = back[1].answer
    namespaces.body = b'{"Namespaces":[{"Name":"ubuntu:16.04","VersionFormat":"dpkg"}]}\n'
    namespaces.headers = [(k, str(len(namespaces.body)) if k == "Content-Length" else v) for k, v in namespaces.headers]
    postgres.stop()
    try:
        test_status.wait_for(lambda: server.health().status == 500)
        assert not (found := faults(70, down, server)), "\n".join(found)
    finally:
        postgres.start_again()
    test_status.wait_for(lambda: server.health().status == 200)
    assert not (found := faults(71, back, server)), "\n".join(found)
    assert server.get("/v1/layers/ubuntu").status == 200
