"""The disk is full: an update and a post say so and change nothing, and once there is room both work; nothing is restarted."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import helpers
import pg
import pytest
import world

BUSY = (b"another update", b"taken over")


class Disk:
    """A small file system of its own."""

    def __init__(self, size):
        self.folder = Path(tempfile.mkdtemp(prefix="eclair-disk-", dir="/var/tmp"))  # where PostgreSQL's user may go
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", self.folder], check=True)

    def fill(self):
        with open(self.folder / "ballast", "wb", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(b"\0" * size)
                except OSError:
                    pass
        free = os.statvfs(self.folder)
        assert free.f_bavail == 0

    def make_room(self):
        (self.folder / "ballast").unlink()

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)
        self.folder.rmdir()


@pytest.fixture
def disk():
    world.root_only()
    made = []

    def make(size):
        try:
            made.append(Disk(size))
        except subprocess.CalledProcessError:
            world.cannot("no file system can be mounted")
        return made[-1]

    yield make
    for d in made:
        d.close()


def update_that_fails(feed, database):
    """Flips the feed until there is no more room for the change: each change that went well is the old state of the next."""
    for _ in range(40):
        feed.flip()
        r = helpers.eclair("update", "debian", "--mirror", feed.link, "--db", database)
        if r.code and not any(word in r.err for word in BUSY):
            return r
    pytest.fail("the disk is never full")


def post_that_fails(book, server):
    for _ in range(2000):
        chain = book.new()
        if chain.post(server) != 201:
            a = server.post(chain.names[chain.acknowledged], chain.paths[chain.acknowledged],
                            chain.names[chain.acknowledged - 1] if chain.acknowledged else None)
            return chain, a
    pytest.fail("the disk is never full")


def says(server, words):
    """Does its log tell of an error, in one of these words?"""
    told = [line["error"] for line in server.lines() if line["Level"] == "error" and "error" in line]
    return any(word.decode() in text for text in told for word in words)


def run(database, disk, serve, feed, layers_folder, words, stays, recover=lambda: None):
    """`words`: one of them is in each error. `stays`: the database can be read while it has no room."""
    server = serve(database)
    book = world.Book(database, layers_folder, feed)
    book.learn(server)
    disk.fill()
    failed = update_that_fails(feed, database)
    helpers.assert_refused(failed)
    assert any(word in failed.err for word in words), failed.err
    chain, answer = post_that_fails(book, server)
    assert 500 <= answer.status < 600 and answer.json()["Error"]["Message"], answer
    assert says(server, words), server.text()[-4000:]
    updating = serve(database, feed.config())
    world.eventually(lambda: says(updating, words))
    if stays:
        assert book.check_counts() == 1 - feed.shown
        assert server.health().status == 200
        for old in book.all:
            book.check(old, server)
        assert world.report(server, book.all[0].names[-1]) == book.reports[1 - feed.shown][-1]
    disk.make_room()
    recover()
    world.eventually(lambda: server.health().status == 200)
    chain.complete(server)
    assert book.check(chain, server) == world.DEPTH
    world.eventually(lambda: book.check_counts() == feed.shown)  # it is tried again
    updating.stop()
    book.finish(server)
    server.stop()
    world.TALLY["disk full: databases that went on"] += 1


@pytest.fixture
def breakable(tmp_path):
    """A PostgreSQL for one test: it lives on the small disk in part."""
    server = pg.start(tmp_path)
    yield server
    server.remove()


def test_sqlite(disk, serve, feed, layers_folder):
    small = disk("64m")  # history is kept, and a write-ahead log takes 16 MiB
    run(small.folder / "eclair.db", small, serve, feed, layers_folder, (b"full", b"No space"), True)


def test_tablespace(disk, breakable, serve, feed, layers_folder):
    """The tables of PostgreSQL have no room; its log has."""
    small = disk("48m")
    folder = small.folder / "space"
    folder.mkdir()
    shutil.chown(folder, "postgres", "postgres")
    breakable.sql(f"CREATE TABLESPACE small LOCATION '{folder}'")
    breakable.sql("CREATE DATABASE small TABLESPACE small STRATEGY file_copy")
    run(breakable.url_of("small"), small, serve, feed, layers_folder, (b"No space", b"full"), True)
    breakable.stop()


@pytest.mark.whole
def test_log_of_postgres(disk, breakable, serve, feed, layers_folder):
    """Without room for its log PostgreSQL gives up; once there is room and it runs again, éclair goes on."""
    small = disk("56m")
    breakable.stop()
    log = breakable.data / "pg_wal"
    subprocess.run(["cp", "-a", log, small.folder / "pg_wal"], check=True)
    subprocess.run(["rm", "-r", log], check=True)
    log.symlink_to(small.folder / "pg_wal")
    breakable.start_again()

    def recover():
        if breakable.pid:
            pg.call(breakable.folder, "pg_ctl", "stop", "-s", "-m", "immediate", "-D", breakable.data, check=False)
        breakable.start_again()

    run(breakable.new_database(), small, serve, feed, layers_folder,
        (b"No space", b"closed the connection", b"terminat", b"refused", b"recovery", b"shutting down", b"starting up", b"accepting"),
        False, recover)
    breakable.stop()
