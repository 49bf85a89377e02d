#!/usr/bin/python3
"""How fast are answers of the server: a report that is kept in memory, reports of many images, both while layers are indexed.

`bench_server BYTES` is the same HTTP server with one answer of that size and nothing behind it: the reference. All runs share two cores with
wrk, which makes the load.
"""
import http.server
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import measure
from index import make_image
from measure import ECLAIR, MIB, ROOT, WORK
from report import PACKAGES, installed_sources, make_image as make_package_image
from serve import new_server, wrk
from update import make_mirror

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/e2e"), str(ROOT / "tests/server"), str(ROOT / "tests/accuracy")]
import expected  # noqa: E402
import make_images  # noqa: E402
import pg  # noqa: E402

PROGRAM = Path(os.environ.get("ECLAIR_BENCH_SERVER", ECLAIR.parent / "bench_server"))
IMAGES = int(os.environ.get("ECLAIR_BENCH_IMAGES", 10_000))
ROUNDS = 5


class Static:
    def __init__(self, size):
        self.process = subprocess.Popen([PROGRAM, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/"

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


# ---- what is served ----

def packages(installed, number):
    """As many of the sources as in the one image, other ones for each number."""
    return [(name, installed[name], None) for name in sorted(random.Random(number).sample(sorted(installed), PACKAGES))]


class Layers:
    """Layers made when they are asked for: /NUMBER."""

    def __init__(self, installed):
        release = make_images.os_release()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status = make_images.dpkg_status(packages(installed, int(self.path[1:])))
                body = make_images.tar([("etc/os-release", release), ("var/lib/dpkg/status", status)])
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()


def post_many(server, layers, count):
    """Four clients, as a registry has."""
    numbers = iter(range(count))
    lock = threading.Lock()
    failed = []

    def work():
        while not failed:
            with lock:
                n = next(numbers, None)
            if n is None:
                return
            answer = server.post(f"image-{n}", f"{layers.url}/{n}")
            if answer.status != 201:
                failed.append(answer)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[0]


# ---- the measures ----

def kept(table, server, name):
    """One image again and again, against an answer of the same size from the same server."""
    path = f"/v1/layers/{name}?features&vulnerabilities"
    size = len(server.get(path).body)
    url = f"http://127.0.0.1:{server.port}{path}"
    ratios = []
    static = Static(size)
    wrk(url, 1, 16)
    for _ in range(ROUNDS):  # in turns: the machine is not the same all the time
        rate, p50, p99, _ = wrk(url, 2, 16)
        reference, *_ = wrk(static.url, 2, 16)
        ratios.append((rate / reference, rate, reference))
    static.stop()
    _, rate, reference = sorted(ratios)[ROUNDS // 2]
    table.row(f"one report of {size / 1000:.0f} kB again and again", rate, "/s", at_least=0.6 * reference, reference=reference)


def each_once(table, server, name, goal):
    script = WORK / "once.lua"
    script.write_text(f"local n = 0\nfunction request()\n  n = n + 1\n  if n > {IMAGES} then os.exit(9) end\n"
                      '  return wrk.format("GET", "/v1/layers/image-" .. (n - 1) .. "?features&vulnerabilities")\nend\n')
    rate, p50, p99, count = wrk(f"http://127.0.0.1:{server.port}", 15, 4, script)
    assert count <= IMAGES
    table.row(f"{count} images, each once, {name}", rate, "/s", at_least=goal)


def beside_posts(table, server, name):
    """64 connections read while two layers are indexed all the time."""
    image = WORK / "usr-1"
    make_image(image, 1)
    blob = max((image / "blobs/sha256").iterdir(), key=lambda p: p.stat().st_size)
    stop = threading.Event()
    posted = [0, 0]

    def post(k):
        while not stop.is_set():
            assert server.post(f"big-{k}-{posted[k]}", str(blob)).status == 201
            posted[k] += 1

    threads = [threading.Thread(target=post, args=(k,)) for k in (0, 1)]
    for t in threads:
        t.start()
    time.sleep(1)
    rate, p50, p99, _ = wrk(f"http://127.0.0.1:{server.port}/v1/layers/{name}?features&vulnerabilities", 10, 64)
    stop.set()
    for t in threads:
        t.join()
    table.row(f"64 connections beside {sum(posted)} posts: p99, p50", p99, "ms", 5, p50)
    table.row("   the same, rate", rate, "/s")


def first_answer(table):
    """From fork() to the first answers on both ports, with a database that is there."""
    db, times = WORK / "start.db", []
    measure.remove_database(db)
    new_server("start", db).start().stop()
    for _ in range(15):
        server = new_server("start", db)
        server.config()
        began = time.perf_counter()
        server.start()
        health, answer = server.health().status, server.get("/v1/layers/x").status
        times.append(time.perf_counter() - began)
        assert (health, answer) == (200, 404)
        server.stop()
    wall, _ = measure.median([ECLAIR, "--version"], 15)
    table.row("start to the first answers, SQLite, median", sorted(times)[7] * 1000, "ms", 20)
    table.row("   for scale: eclair --version", wall * 1000, "ms")
    measure.remove_database(db)


def idle(table, name, database):
    server = new_server(f"idle-{name}", database).start()
    assert server.health().status == 200 and server.get("/v1/layers/x").status == 404
    time.sleep(1)
    known = str(database) if name == "SQLite" else None
    total = sum(measure.pss(p, known) for p in measure.tree(server.process.pid))
    table.row(f"idle memory of all processes (PSS), {name}", total, "MiB", 16 * MIB)
    server.stop()


def on_store(table, name, database, document, image, layers):
    measure.run([ECLAIR, "update", "debian", "--mirror", WORK / "mirror", "--db", database])
    server = new_server(f"reports-{name}", database).start()
    server.post_chain(["packages"], [image])
    assert len(server.layer("packages")["Features"]) == PACKAGES
    print(f"-- {name}", flush=True)
    kept(table, server, "packages")
    began = time.perf_counter()
    post_many(server, layers, IMAGES)
    print(f"   ({IMAGES} layers posted in {time.perf_counter() - began:.0f} s)", flush=True)
    each_once(table, server, name, 300 if name == "SQLite" else None)
    beside_posts(table, server, "packages")
    server.stop()


def main():
    measure.prepare()
    measure.need(PROGRAM)
    document = make_mirror()
    image = WORK / "packages.layer.tar"
    image.write_bytes(expected.image_layers(make_package_image(document))[0])
    layers = Layers(installed_sources(document))
    table = measure.Table(f"server: reports of {PACKAGES} packages by wrk, on the same two cores")
    (WORK / "postgres").mkdir(exist_ok=True)
    postgres = pg.start(WORK / "postgres")
    db = WORK / "reports.db"
    try:
        first_answer(table)
        measure.remove_database(WORK / "idle.db")
        idle(table, "SQLite", WORK / "idle.db")
        idle(table, "PostgreSQL", postgres.new_database())
        measure.remove_database(db)
        on_store(table, "SQLite", db, document, image, layers)
        on_store(table, "PostgreSQL", postgres.new_database(), document, image, layers)
        measure.remove_database(db)
        measure.remove_database(WORK / "idle.db")
    finally:
        layers.stop()
        postgres.remove()
    table.exit()


if __name__ == "__main__":
    main()
