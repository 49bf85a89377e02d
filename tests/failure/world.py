"""What the failure tests share: chains of layers, two states of a feed, a book of what was acknowledged, and what must then be there."""
import collections
import contextlib
import http.server
import json
import os
import random
import re
import sqlite3
import subprocess
import threading
import time

import helpers
import make_images
import psycopg2
import pytest

ROUNDS = int(os.environ.get("ECLAIR_FAILURE_ROUNDS", "200"))
FEW = ROUNDS < 50  # a look, within a minute: cases that are marked `whole` are left out
DEPTH = 4  # layers of a chain
STEP = 10  # packages that each layer of a chain adds
TALLY = collections.Counter()  # printed at the end of the run
CONFIG = "  updater:\n    interval: 1s\n    enabledupdaters: [debian]\n  feeds:\n    mirror: {}\n"
ANSWERS = (OSError, ValueError, IndexError)  # what serving.request() raises when there is no answer, or a cut one


def eventually(condition, seconds=30, every=0.02):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within the time"
        time.sleep(every)


def is_server(database):
    return "=" in str(database) or "://" in str(database)


def cannot(why):
    """Not run here; under CI that is a failure."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(why)


def root_only():
    """Some cases mount a small file system, or make a namespace."""
    if os.geteuid():
        cannot("needs root")


def connect(database):
    if is_server(database):
        return psycopg2.connect(str(database), options="-c search_path=eclair")
    return sqlite3.connect(f"file:{database}?mode=rw", uri=True)


def rows(database, text):
    """What other programs see of the database."""
    with contextlib.closing(connect(database)) as connection:
        cursor = connection.cursor()
        cursor.execute(text)
        return cursor.fetchall()


def write(database, text):
    """What time would do in the end."""
    with contextlib.closing(connect(database)) as connection:
        connection.cursor().execute(text)
        connection.commit()


def up():
    """Seconds since the machine started: by them leases in a file are measured."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def leases(database):
    """(name, owner, seconds left, seconds it was taken for), by the clock that counts."""
    left = "extract(epoch FROM expires - clock_timestamp())" if is_server(database) else f"expires - {up()}"
    return rows(database, f"SELECT name, owner, {left}, seconds FROM lease")


def pid_of(owner):
    return int(owner.split()[1])


def status(database):
    r = helpers.eclair("db", "status", "--format", "json", "--db", database)
    assert r.code == 0, r.err
    return r.json()


def check_database(database):
    """The program's own opinion, where it has one."""
    if re.search(rb"\bcheck\b", helpers.eclair("help", "db").out):
        r = helpers.eclair("db", "check", "--db", database)
        assert (r.code, r.out.strip()) == (0, b"ok"), (r.code, r.out, r.err)
    elif not is_server(database):
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]


class Slow:
    """An HTTP server that stops in the middle of each answer until it is told to go on."""

    def __init__(self, body):
        self.go, self.asked, self.count = threading.Event(), threading.Event(), 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body[:len(body) // 2])
                    outer.count += 1
                    outer.asked.set()
                    outer.go.wait()
                    self.wfile.write(body[len(body) // 2:])
                except OSError:
                    pass  # the client was killed

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


# ---- layers ----

class Chains:
    """Chains of DEPTH layers. Each layer has content of its own, and all chains the same packages: so every chain has the same report."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.lock = threading.Lock()
        self.status = [make_images.dpkg_status([(f"p{i}", "1.0-1", f"source{i}") for i in range(STEP * (depth + 1))])
                       for depth in range(DEPTH)]

    def new(self):
        with self.lock:
            self.count += 1
            return Chain(f"c{self.count}", self)

    def members(self, name, depth):
        return [("etc/os-release", make_images.os_release())] * (depth == 0) + \
            [("var/lib/dpkg/status", self.status[depth]), ("etc/mark", f"{name} {depth}\n".encode())]

    def write(self, name, depth):
        path = self.folder / f"{name}-{depth}.tar"
        path.write_bytes(make_images.tar(self.members(name, depth)))
        return path


class Chain:
    """A chain, and what the tests may say of it: how many layers were acknowledged, and whether it was deleted."""

    def __init__(self, name, chains):
        self.names = [f"{name}-{depth}" for depth in range(DEPTH)]
        self.paths = [chains.write(name, depth) for depth in range(DEPTH)]
        self.name, self.chains = name, chains
        self.acknowledged = 0
        self.deleting = self.deleted = False

    def post(self, server):
        """Puts all its layers; returns the status of the first that is not 201, else 201. Raises when no answer comes."""
        for depth, name in enumerate(self.names):
            a = server.post(name, self.paths[depth], self.names[depth - 1] if depth else None)
            if a.status != 201:
                return a.status
            self.acknowledged = max(self.acknowledged, depth + 1)
        return 201

    def forget(self):
        """Thousands of chains are made: their files need not stay."""
        for path in self.paths:
            path.unlink(missing_ok=True)

    def complete(self, server):
        """Posts it again, be it deleted or half there."""
        self.deleting = self.deleted = False
        for depth in range(DEPTH):
            self.chains.write(self.name, depth)
        assert self.post(server) == 201, server.text()[-4000:]
        self.forget()

    def archive(self):
        """The same layers as an image."""
        path = self.chains.folder / f"{self.name}.image.tar"
        path.write_bytes(make_images.archive([self.chains.members(self.name, depth) for depth in range(DEPTH)]))
        return path

    def delete(self, server):
        self.deleting = True
        a = server.request("DELETE", f"/v1/layers/{self.names[0]}")
        self.deleted = a.status == 200
        return a.status


def report(server, name):
    """What is said of a layer; None: unknown."""
    a = ask(server, name)
    assert a.status in (200, 404), (name, a, server.text()[-4000:])
    return read(a) if a.status == 200 else None


def ask(server, name):
    return server.get(f"/v1/layers/{name}?vulnerabilities")


def read(a):
    """A report without what is the chain's own: [(feature, version, namespace, depth, [vulnerability])]."""
    return sorted((f["Name"], f["Version"], f["NamespaceName"], int(f["AddedBy"].rpartition("-")[2]),
                   sorted((v["Name"], v["NamespaceName"], v["Severity"], v.get("FixedBy")) for v in f.get("Vulnerabilities", [])))
                  for f in a.json()["Layer"].get("Features", []))


# ---- the feed ----

class Feed:
    """A mirror folder that shows one of two states. The first load makes generation 1 with state 0; from then on each
    generation is the other state, and adds as many changes as the two differ in."""

    def __init__(self, folder, sources=800):
        self.link, self.sources = folder / "mirror", sources
        states = [{f"source{i}": {f"CVE-2024-{i}-{j}": self.entry(i, j, state) for j in range(10) if not (state and j == 9)}
                   for i in range(sources)} for state in (0, 1)]
        self.entries = [sources * 10, sources * 9]
        self.changes = sources * 5  # four change, one goes or comes
        self.folders = [helpers.write_mirror(folder / f"feed{state}", content) for state, content in enumerate(states)]
        self.shown = None
        self.show(0)

    @staticmethod
    def entry(i, j, state):
        return helpers.entry(fixed=f"1.0-{2 + state}" if j < 4 else "1.0-9", urgency="high" if j < 2 else "low",
                             description=f"text {i} {j} " + "x" * 80)

    @staticmethod
    def findings(state):
        """Of an image with all packages: (package, id, fixed version)."""
        return sorted((f"p{i}", f"CVE-2024-{i}-{j}", f"1.0-{2 + state}" if j < 4 else "1.0-9")
                      for i in range(STEP * DEPTH) for j in range(10 - state))

    def show(self, state):
        fresh = self.link.with_name("mirror.new")
        fresh.symlink_to(self.folders[state])
        fresh.replace(self.link)
        self.shown = state

    def flip(self):
        self.show(1 - self.shown)

    def config(self):
        return CONFIG.format(self.link)

    def check(self, status_):
        """One of its states, whole, and nothing twice. Returns which; None before the first load."""
        generation, counts = status_["generation"], status_["counts"]
        entries = next((f["entries"] for f in status_["feeds"] if f["name"] == "debian"), 0)
        if generation == 0:
            assert (counts["advisories"], counts["ranges"], counts["changes"]) == (0, 0, 0), status_
            return None
        state = (generation - 1) % 2
        assert (counts["advisories"], counts["ranges"]) == (self.entries[state], self.entries[state]), status_
        # history goes, the oldest first, its changes before its generation; what was loaded first is no change
        kept = generation - max(status_["oldest_generation"] or 1, 2) + 1
        assert min(kept, 1) * self.changes <= counts["changes"] <= kept * self.changes, status_
        # the list of feeds is read by another statement: an update may have come between the two
        assert entries in self.entries, status_
        return state

    def update(self, database, seconds=60):
        """By the command line. Busy only while somebody else updates, and that ends."""
        end = time.monotonic() + seconds
        while True:
            r = helpers.eclair("update", "debian", "--mirror", self.link, "--db", database)
            if r.code == 0:
                return r
            assert r.code == 1 and (b"another update" in r.err or b"taken over" in r.err), (r.code, r.err)
            assert time.monotonic() < end, f"the lease is not free: {leases(database)}"
            time.sleep(0.05)

    def start_update(self, database):
        return subprocess.Popen([helpers.ECLAIR, "update", "debian", "--mirror", self.link, "--db", str(database)],
                                env=helpers.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, start_new_session=True)


# ---- what must be there ----

class Book:
    """Chains that were posted, and the only reports that they may have: one for each state of the feed and depth."""

    def __init__(self, database, folder, feed):
        self.database, self.feed, self.chains = database, feed, Chains(folder)
        self.all, self.lock = [], threading.Lock()
        self.images = []  # of those that were scanned as well
        self.reports = None

    def new(self):
        chain = self.chains.new()
        with self.lock:
            self.all.append(chain)
        return chain

    def learn(self, server):
        """The reports of both states; afterwards the database has state 0 of generation 3."""
        chain = self.new()
        assert chain.post(server) == 201, server.text()
        self.reports = []
        for state in (0, 1):
            self.feed.show(state)
            self.feed.update(self.database)
            self.reports.append([report(server, name) for name in chain.names])
            for depth, features in enumerate(self.reports[state]):
                assert len(features) == STEP * (depth + 1)
                assert all(len(f[4]) == 10 - state for f in features)
        self.feed.show(0)
        self.feed.update(self.database)
        assert self.reports[0] != self.reports[1]

    def check(self, chain, server):
        """Whole layers, no child without its parent, nothing acknowledged is lost. How many layers there are."""
        found = [report(server, name) for name in chain.names]
        there = sum(r is not None for r in found)
        assert all(r is not None for r in found[:there]), f"{chain.names}: a child without its parent"
        for depth in range(there):
            assert found[depth] in (self.reports[0][depth], self.reports[1][depth]), f"{chain.names[depth]}: another report"
        if chain.deleted:
            assert there == 0, f"{chain.names}: it was deleted"
        elif not (chain.deleting and there == 0):
            assert there >= chain.acknowledged, f"{chain.names}: {there} of {chain.acknowledged} acknowledged layers"
        if chain.deleting and not chain.deleted:
            assert there in (0, DEPTH), f"{chain.names}: half deleted"
        return there

    def scan(self, image):
        """The report of an image is that of one state of the feed."""
        report_ = helpers.scan(self.database, image).json()
        found = sorted((f["package"], f["id"], f["fixed_version"]) for f in report_["findings"])
        assert found in (self.feed.findings(0), self.feed.findings(1)), image

    def check_counts(self):
        """Whatever was killed. Returns the state of the feed."""
        s = status(self.database)
        counts, attempted = s["counts"], len(self.all)
        assert counts["layers"] >= sum(c.acknowledged for c in self.all), s
        assert counts["layers"] <= DEPTH * attempted and counts["images"] <= DEPTH * attempted + len(self.images), s
        for name, owner, left, seconds in leases(self.database):
            assert left <= seconds, (name, owner, left, seconds)
        return self.feed.check(s)

    def finish(self, server):
        """What is missing is posted again: then the counts are exactly known. Deleted chains come back; their content was never gone."""
        for chain in self.all:
            if chain.deleting or chain.acknowledged < DEPTH:
                chain.complete(server)
            assert report(server, chain.names[-1]) in (self.reports[0][-1], self.reports[1][-1]), chain.names
        for image in self.images:
            self.scan(image)
        self.feed.update(self.database)
        assert self.check_counts() == self.feed.shown
        counts = status(self.database)["counts"]
        assert (counts["layers"], counts["images"], counts["packages"]) == \
            (DEPTH * len(self.all), DEPTH * len(self.all) + len(self.images), STEP * DEPTH)
        check_database(self.database)


# ---- work that goes on while something breaks ----

class Crowd:
    """Threads that post, report and delete on some servers, until told to stop. `excused(server)` says whether it may fail now."""

    def __init__(self, book, excused):
        self.book, self.excused = book, excused
        self.stop = threading.Event()
        self.threads, self.problems, self.touched = [], [], []
        self.cut = collections.Counter()  # calls that got no answer, or 5xx: by what they were
        self.done = collections.Counter()

    def call(self, kind, server, work, good):
        """One call. True when it went well; otherwise the server must be one that is excused."""
        try:
            answer = work()
        except ANSWERS as problem:
            answer = problem
        if answer in good:
            self.done[kind] += 1
            return True
        failure = isinstance(answer, Exception) or answer in range(500, 600)
        if not failure or not self.excused(server):
            self.problems.append((kind, server.port, answer))
            self.stop.set()
        self.cut[kind] += 1
        return False

    def post(self, servers):
        """New chains, each on all these servers at once."""
        while not self.stop.is_set():
            chain = self.book.new()
            self.touched.append(chain)
            others = [threading.Thread(target=self.post_one, args=(chain, s)) for s in servers[1:]]
            for t in others:
                t.start()
            self.post_one(chain, servers[0])
            for t in others:
                t.join()

    def post_one(self, chain, server):
        if not self.call("post", server, lambda: chain.post(server), (201,)):
            self.stop.wait(0.1)

    def read(self, chain, servers):
        while not self.stop.is_set():
            server = random.choice(servers)
            depth = random.randrange(DEPTH)
            allowed = [self.book.reports[state][depth] for state in (0, 1)]
            if not self.call("report", server, lambda: self.look(server, chain.names[depth], allowed), (200,)):
                self.stop.wait(0.1)

    @staticmethod
    def look(server, name, allowed):
        a = ask(server, name)
        return a.status if a.status != 200 or read(a) in allowed else "another report"

    def delete(self, chains, servers):
        for chain in chains:
            if self.stop.is_set():
                return
            self.touched.append(chain)
            server = random.choice(servers)
            self.call("delete", server, lambda: chain.delete(server), (200,))
            self.stop.wait(0.05)

    def start(self, work, *args):
        self.threads.append(threading.Thread(target=self.guarded, args=(work, *args)))
        self.threads[-1].start()

    def guarded(self, work, *args):
        try:
            work(*args)
        except BaseException as problem:  # must not be lost with its thread
            self.problems.append(problem)
            self.stop.set()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()
        assert not self.problems, self.problems
