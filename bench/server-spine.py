#!/usr/bin/python3
"""What the server costs beside the same work without it: layer posts, health checks. (Reports, start, idle memory: server.py.)

Posts: CPU time of all the server's processes against `eclair scan` of the same blobs in the same run. Rates: wrk on the same two
cores, with Python's http.server under the same load for scale.
"""
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import measure
from index import make_image
from measure import WORK
from serve import new_server, wrk

TICK = os.sysconf("SC_CLK_TCK")

FILE_SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with open(sys.argv[1] + self.path, "rb") as f:
            size = os.fstat(f.fileno()).st_size
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            at = 0
            while at < size:
                at += os.sendfile(self.connection.fileno(), f.fileno(), at, size - at)
    def log_message(self, *args):
        pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(s.server_address[1], flush=True)
s.serve_forever()
"""


def cpu(pid):
    """User and system seconds of a process tree, with the children that it has waited for."""
    total = 0
    for p in measure.tree(pid):
        try:
            fields = Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICK


def blobs_of(image):
    def blob(descriptor):
        return image / "blobs" / descriptor["digest"].replace(":", "/")

    manifest = json.loads((image / "index.json").read_text())["manifests"][0]
    return [blob(layer) for layer in json.loads(blob(manifest).read_text())["layers"]]


def posts(table):
    """Several posts of each layer under new names, so that ticks of 10 ms do not matter."""
    files = subprocess.Popen([sys.executable, "-c", FILE_SERVER, "/"], stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{files.stdout.readline().strip()}"
    db = WORK / "posts.db"
    for count in (1, 4):
        image = WORK / f"usr-{count}"
        make_image(image, count)
        scan = [measure.ECLAIR, "scan", image, "--db", db, "--format", "json"]
        _, reference = measure.median(scan, 5, ok=(0, 3), before=lambda: measure.remove_database(db))
        measure.remove_database(db)
        server = new_server("posts", db).start()
        rounds = 5
        before, began = cpu(server.process.pid), time.perf_counter()
        for i in range(rounds):
            names = [f"{i}-{k}" for k in range(count)]
            server.post_chain(names, [f"{url}{blob.resolve()}" for blob in blobs_of(image)])
        used, wall = cpu(server.process.pid) - before, time.perf_counter() - began
        server.stop()
        measure.remove_database(db)
        size = int((image / "size.json").read_text()) / 1e6
        table.row(f"CPU of posts, {size:.0f} MB, {count} layer{'s' * (count > 1)}", used / rounds, "s", 1.1, reference)
        table.row("   wall", wall / rounds, "s")
    files.kill()
    files.wait()


class Nothing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Listener(http.server.ThreadingHTTPServer):
    def handle_error(self, *args):
        pass  # wrk hangs up when its time is over


def python_rate():
    s = Listener(("127.0.0.1", 0), Nothing)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    rate = wrk(f"http://127.0.0.1:{s.server_address[1]}/", 3, 32)[0]
    s.shutdown()
    return rate


def main():
    measure.prepare()
    table = measure.Table("server-spine: posts against eclair scan; rates by wrk on the same two cores")
    measure.remove_database(WORK / "health.db")  # of an earlier run
    server = new_server("health", WORK / "health.db").start()
    rate = wrk(f"http://127.0.0.1:{server.health_port}/health", 4, 32)[0]
    server.stop()
    table.row("/health, 32 connections", rate, "/s", at_least=20000, reference=python_rate())
    posts(table)
    measure.remove_database(WORK / "health.db")
    table.exit()


if __name__ == "__main__":
    main()
