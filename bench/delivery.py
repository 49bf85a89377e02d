"""How fast are notifications told: from an update that changed one advisory to the webhook's POST, and many to a receiver that answers at once: a part of
notify.py.

The receiver is Python on the same two cores: it is the better part of what many take. The reference is as many posts by curl to it, one after the other
on one connection.
"""
import http.server
import socket
import statistics
import subprocess
import sys
import threading
import time

import measure
from measure import ECLAIR, ROOT, WORK
from serve import new_server

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/e2e"), str(ROOT / "tests/server")]
import helpers  # noqa: E402

MANY, ROUNDS = 10_000, 9
BODY = '{"Notification":{"Name":"6a681b4e-7ef8-4548-8e9e-2f1d06418910"}}'


class Receiver:
    def __init__(self):
        self.times = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.times.append(time.monotonic())
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            def log_message(self, *args):
                pass

            def setup(self):
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count, seconds=300):
        end = time.monotonic() + seconds
        while len(self.times) < count:
            assert time.monotonic() < end, len(self.times)
            time.sleep(0.005)


def tracker(versions):
    return {"demo": {f"CVE-2024-{i}": {"description": "one", "releases": {
        "stretch": {"status": "resolved", "urgency": "low", "fixed_version": v, "repositories": {"stretch": "1.0-1"}}}} for i, v in enumerate(versions)}}


def update(mirror, database, versions):
    helpers.write_mirror(mirror, tracker(versions))
    measure.run([ECLAIR, "update", "debian", "--mirror", mirror, "--db", database])


def by_curl(url, count):
    ask = f'url = "{url}"\ndata = "{BODY.replace(chr(34), chr(92) + chr(34))}"\noutput = /dev/null\n'
    began = time.monotonic()
    subprocess.run(["curl", "-s", "-K", "-"], input="next\n".join([ask] * count), text=True, check=True)
    return count / (time.monotonic() - began)


def bench(table, name, database, folder):
    mirror, receiver = folder / "mirror", Receiver()
    versions = ["1.0-1"] * MANY
    update(mirror, database, versions)
    server = new_server(name, database, more=f"  notifier:\n    http:\n      endpoint: {receiver.url}\n").start()
    try:
        waits = []
        for i in range(ROUNDS):
            versions[i] = "2.0-1"
            update(mirror, database, versions)
            done, count = time.monotonic(), i + 1
            receiver.wait(count)
            waits.append(max(0, receiver.times[-1] - done) * 1e3)
        table.row(f"{name}: end of an update to the POST, median", statistics.median(waits), "ms", goal=1000)
        table.row(f"{name}: the same, the longest of {ROUNDS}", max(waits), "ms", goal=1000)
        receiver.times.clear()
        update(mirror, database, ["3.0-1"] * MANY)
        receiver.wait(MANY)
        rate = MANY / (receiver.times[-1] - receiver.times[0])
        table.row(f"{name}: {MANY} notifications, told a second", rate, "/s", reference=by_curl(receiver.url, 2000))
    finally:
        server.stop()
        receiver.server.shutdown()


def delivery(servers):
    table = measure.Table("delivery of notifications")
    folder = WORK / "delivery"
    folder.mkdir(parents=True, exist_ok=True)
    measure.remove_database(folder / "eclair.db")
    bench(table, "sqlite", folder / "eclair.db", folder)
    bench(table, "postgres", servers.new_database(), folder)
    return table
