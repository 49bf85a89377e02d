"""PostgreSQL is stopped, crashes, or hands over to its standby while layers are posted and a feed is loaded; éclair is never restarted."""
import random
import threading
import time

import make_images
import pytest
import standby
import world

ROUNDS = max(1, world.ROUNDS // 20)


class Outage:
    """Work on two servers while their database is away."""

    def __init__(self, database, serve, feed, layers_folder, label):
        self.database, self.feed, self.label = database, feed, label
        self.away = threading.Event()
        first = serve(database)
        self.book = world.Book(database, layers_folder, feed)
        self.book.learn(first)
        first.stop()
        self.servers = [serve(database, feed.config()) for _ in range(2)]
        self.chance = random.Random(7)

    def tally(self, what, count=1):
        world.TALLY[f"{self.label}: {what}"] += count

    def start(self):
        self.feed.flip()
        self.crowd = world.Crowd(self.book, lambda server: self.away.is_set())
        a, b = self.servers
        self.crowd.start(self.crowd.post, [a])
        self.crowd.start(self.crowd.post, [a, b])
        self.crowd.start(self.crowd.read, self.book.all[0], self.servers)
        self.update = self.feed.start_update(self.database)
        world.eventually(lambda: "update" in [lease[0] for lease in world.leases(self.database)] or self.update.poll() is not None)
        time.sleep(self.chance.random() * 0.2)
        self.away.set()

    def end(self):
        """The database is back: the same servers answer soon, and what was acknowledged is there."""
        self.update.communicate(timeout=120)
        assert self.update.returncode in (0, 1), "it must fail by itself, not be killed"
        for s in self.servers:
            world.eventually(lambda s=s: s.health().status == 200)
        self.crowd.end()
        self.away.clear()
        self.book.check_counts()
        for chain in self.crowd.touched:
            server = self.chance.choice(self.servers)
            there = self.book.check(chain, server)
            self.tally("chains left in the middle", 0 < there < world.DEPTH)
            if there < world.DEPTH:
                chain.complete(server)
                assert self.book.check(chain, server) == world.DEPTH
        self.tally("updates that were cut", self.update.returncode == 1)
        self.tally("posts that were cut", self.crowd.cut["post"])
        self.tally("posts acknowledged", self.crowd.done["post"])
        self.feed.update(self.database)
        assert self.book.check_counts() == self.feed.shown

    def while_away(self):
        """5xx, at once and clearly."""
        for s in self.servers:
            began = time.monotonic()
            a = s.get(f"/v1/layers/{self.book.all[0].names[0]}?features")
            assert 500 <= a.status < 600 and a.json()["Error"]["Message"], a
            assert time.monotonic() - began < 20
            world.eventually(lambda s=s: s.health().status == 500, 10)

    def finish(self):
        self.book.finish(self.servers[0])
        for s in self.servers:
            s.stop()
        assert world.TALLY[f"{self.label}: posts that were cut"], "no post was hit"
        assert world.FEW or world.TALLY[f"{self.label}: updates that were cut"], "no update was hit"


def start_again(cluster):
    """After SIGKILL the shared memory is free only when the last child has ended."""
    end = time.monotonic() + 30
    while True:
        try:
            return cluster.start_again()
        except RuntimeError:
            assert time.monotonic() < end
            time.sleep(0.1)


def restart(cluster):
    standby.pg.call(cluster.folder, "pg_ctl", "restart", "-s", "-w", "-m", "fast", "-D", cluster.data, "-l", cluster.log)


@pytest.mark.parametrize("how", ["killed", *[pytest.param(how, marks=pytest.mark.whole) for how in ("stopped", "restarted")]])
def test_outage(how, own_postgres, serve, feed, layers_folder):
    outage = Outage(own_postgres.new_database(), serve, feed, layers_folder, f"postgres {how}")
    for _ in range(ROUNDS):
        outage.start()
        if how == "restarted":
            restart(own_postgres)
        else:
            {"stopped": standby.immediate, "killed": standby.crash}[how](own_postgres)
            outage.while_away()
            start_again(own_postgres)
        outage.tally("times")
        outage.end()
    outage.finish()


@pytest.mark.parametrize("turn", range(1 if world.FEW else 6))
def test_stopped_while_layers_come(turn, own_postgres, serve):
    """The database goes while layers are read: that is no fault of the layers, so no 4xx."""
    server = serve(own_postgres.new_database())
    slow = world.Slow(make_images.tar([("etc/os-release", make_images.os_release()),
                                       ("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))]))
    answers = {}

    def post(name):
        answers[name] = server.post(name, slow.url).status

    threads = [threading.Thread(target=post, args=(f"l{i}",)) for i in range(2)]
    try:
        for i, t in enumerate(threads):  # one after the other: they look by the same connection, and one will need another
            t.start()
            world.eventually(lambda i=i: slow.count > i)
        own_postgres.stop()
    finally:
        slow.close()
        for t in threads:
            t.join()
    own_postgres.start_again()
    assert set(answers.values()) == {500}, answers
    world.eventually(lambda: server.health().status == 200)
    assert {server.get(f"/v1/layers/{name}").status for name in answers} == {404}
    server.stop()


def test_failover(serve, feed, layers_folder, tmp_path):
    """The primary dies, its synchronous standby takes over: nothing acknowledged is lost, and the same servers go on."""
    for turn in range(max(1, ROUNDS // 2)):
        folder = tmp_path / f"turn{turn}"
        (folder / "layers").mkdir(parents=True)
        pair = standby.Pair()
        try:
            outage = Outage(pair.where(pair.new_database()), serve, world.Feed(folder, feed.sources), folder / "layers", "failover")
            outage.chance.seed(turn)
            outage.start()
            standby.crash(pair.primary)
            outage.while_away()
            pair.promote()
            outage.tally("failovers")
            outage.end()
            outage.book.finish(outage.servers[1])
            for s in outage.servers:
                s.stop()
        finally:
            pair.remove()
    assert world.TALLY["failover: posts that were cut"], "no post was hit"
