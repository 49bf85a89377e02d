#!/usr/bin/python3
"""What does `clair-scanner` cost for an image of 1.5 GB with an éclair server, beside unpacking it, as the old one began?

The image has ten layers and is kept in build/bench. The reference is `tar -xf` of the same archive in the same run.
"""
import hashlib
import io
import json
import shutil
import sys
import tarfile

import measure
from measure import ECLAIR, MIB, ROOT, WORK

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/e2e"), str(ROOT / "tests/server")]
import make_images  # noqa: E402
import serving  # noqa: E402

LAYERS, EACH = 10, 150 * MIB


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def layer(number):
    """Some packages, and files that nobody wants."""
    members = [("etc/os-release", make_images.os_release()), ("var/lib/dpkg/status", make_images.dpkg_status())] if number == 0 else []
    noise = hashlib.shake_256(bytes([number])).digest(1 << 20)
    return make_images.tar([*members, *((f"usr/lib/{number}/{i}", noise) for i in range(EACH >> 20))])


def make_archive(path):
    """`docker save` as before Docker 25; made once."""
    if path.exists():
        return
    digests, names = [], []
    with tarfile.open(path.with_suffix(".new"), "w") as archive:
        for number in range(LAYERS):
            data = layer(number)
            digests.append(make_images.sha256(data))
            names.append(hashlib.sha256(b"%d" % number).hexdigest() + "/layer.tar")
            add(archive, names[-1], data)
        config = json.dumps({"architecture": make_images.ARCHITECTURE, "os": "linux", "rootfs": {"type": "layers", "diff_ids": digests}}).encode()
        add(archive, "config.json", config)
        add(archive, "manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["bench:1"], "Layers": names}]).encode())
    path.with_suffix(".new").rename(path)


def push(table, server, path):
    """Sent, then known: the table's rows."""
    link = WORK / "clair-scanner"
    link.unlink(missing_ok=True)
    link.symlink_to(ECLAIR)
    command = [link, "-c", f"http://127.0.0.1:{server.port}", "-q", path]
    unpacked = WORK / "unpacked"

    def clean():
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()

    unpack = measure.median(["tar", "-C", unpacked, "-xf", path], before=clean)[0]
    shutil.rmtree(unpacked)
    first = measure.timed(command, ok=(0, 1))[0]
    table.row("1.5 GB sent, against unpacking it", first, "s", None, unpack)
    known = measure.median(command, times=9, ok=(0, 1))[0]
    table.row("the same, known: wall", known * 1e3, "ms", 500)
    table.row("the same, known, against unpacking", known, "s", 0.1, unpack)
    memory, scratch = measure.peak(command, ok=(0, 1))
    table.row("peak memory (PSS)", memory, "MiB", 48 * MIB)
    table.row("temporary disk", scratch, "B", 0)


def main():
    measure.prepare()
    folder, path = WORK / "push-server", WORK / "push-1500.tar"
    make_archive(path)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    server = serving.Server(folder, folder / "eclair.db").start()
    table = measure.Table("push: clair-scanner against tar -xf (medians)")
    try:
        push(table, server, path)
    finally:
        server.stop()
    table.exit()


if __name__ == "__main__":
    main()
