"""kill -9 of servers and updates at any moment, on one database: nothing is half there, nothing acknowledged is lost, work goes on."""
import random
import signal
import subprocess
import time

import helpers
import world

LONGEST = 0.4  # seconds that a round works before it is killed


class Rounds:
    def __init__(self, database, servers, feed, book, label):
        self.database, self.servers, self.feed, self.book, self.label = database, servers, feed, book, label
        self.victim = None
        self.chance = random.Random(4)
        self.model = book.all[0]

    def tally(self, what, count=1):
        world.TALLY[f"kill {self.label}: {what}"] += count

    def work(self):
        a, b = self.servers
        crowd = world.Crowd(self.book, lambda server: server is self.victim)
        settled = [c for c in self.book.all[1:] if c.acknowledged == world.DEPTH and not c.deleting]
        crowd.start(crowd.post, [a])
        crowd.start(crowd.post, [b])
        crowd.start(crowd.post, [a, b])
        crowd.start(crowd.read, self.model, self.servers)
        crowd.start(crowd.delete, self.chance.sample(settled, min(3, len(settled))), self.servers)
        return crowd

    def updating(self):
        """The server that holds a lease."""
        pids = {world.pid_of(owner) for _, owner, _, _ in world.leases(self.database)}
        return next((s for s in self.servers if s.process.pid in pids), None)

    def kill_server(self):
        """Half of the time whichever, at any moment; else the one that updates, when one does so soon."""
        end = time.monotonic() + 2 * LONGEST
        victim = self.chance.choice(self.servers)
        if self.chance.random() < 0.5:
            while time.monotonic() < end and not (found := self.updating()):
                time.sleep(0.005)
            victim = found or victim
            time.sleep(self.chance.random() * LONGEST / 4)
        else:
            time.sleep(self.chance.random() * LONGEST)
        self.victim = victim
        self.victim.kill()
        self.tally("kills of a server")
        return victim.process.pid

    def kill_update(self):
        """The command line's, while both servers go on."""
        update = self.feed.start_update(self.database)
        time.sleep(self.chance.random() * LONGEST / 2)
        update.kill()
        _, err = update.communicate(timeout=120)
        assert helpers.gone(update.pid), "processes are left"
        if update.returncode != -signal.SIGKILL:  # it had ended before
            assert update.returncode == 0 or b"another update" in err or b"taken over" in err, (update.returncode, err)
            return self.kill_server()
        self.tally("kills of an update")
        return update.pid

    def kill_scan(self, crowd):
        """One that has new layers to store."""
        chain = self.book.new()
        crowd.touched.append(chain)
        self.book.images.append(chain.archive())
        p = subprocess.Popen([helpers.ECLAIR, "scan", self.book.images[-1], "--db", str(self.database)], env=helpers.environment(),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        time.sleep(self.chance.random() * 0.1)
        p.kill()
        _, err = p.communicate(timeout=120)
        assert helpers.gone(p.pid), "processes are left"
        if p.returncode != -signal.SIGKILL:
            assert p.returncode == 0 and not err, (p.returncode, err)
            return self.kill_server()
        self.tally("kills of a scan")
        return p.pid

    def run(self):
        self.victim = None
        self.feed.flip()
        crowd = self.work()
        time.sleep(self.chance.random() * LONGEST / 4)
        whom = self.chance.random()
        pid = self.kill_update() if whom < 0.25 else self.kill_scan(crowd) if whom < 0.35 else self.kill_server()
        hit = any(world.pid_of(owner) == pid for _, owner, _, _ in world.leases(self.database))
        crowd.end()
        cut = crowd.cut["post"] > 0
        self.tally("rounds")
        self.tally("kills that hit an update", hit)
        self.tally("kills that hit a post", cut)
        self.tally("kills that hit both", hit and cut)
        self.tally("kills that hit a delete", crowd.cut["delete"] > 0)
        self.tally("posts acknowledged", crowd.done["post"])
        self.tally("reports checked", crowd.done["report"])
        return crowd

    def check(self, crowd):
        if self.victim in self.servers:
            self.victim.start()
            self.tally("restarts")
        self.book.check_counts()
        for chain in crowd.touched:
            server = self.chance.choice(self.servers)
            there = self.book.check(chain, server)
            self.tally("chains left in the middle", 0 < there < world.DEPTH)
            if there < world.DEPTH and not chain.deleting:
                chain.complete(server)  # and it goes on
                assert self.book.check(chain, server) == world.DEPTH
            chain.forget()


def test_kill(store, database, serve, feed, layers_folder):
    first = serve(database)
    book = world.Book(database, layers_folder, feed)
    book.learn(first)
    first.stop()
    servers = [serve(database, feed.config()) for _ in range(2)]
    rounds = Rounds(database, servers, feed, book, store)
    for number in range(world.ROUNDS):
        rounds.check(rounds.run())
        if number % 10 == 9:
            feed.update(database)  # whoever holds the lease lives, or has lost it
            assert book.check_counts() == feed.shown
    servers[0].stop()
    book.finish(servers[1])
    servers[1].stop()
    for what in ["a post"] if world.FEW else ["a post", "an update", "both"]:
        assert world.TALLY[f"kill {store}: kills that hit {what}"], f"no kill hit {what}"
