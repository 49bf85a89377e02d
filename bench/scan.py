#!/usr/bin/python3
"""What a person waits for who scans an image: one that is known, and one that a registry on this machine has, against `skopeo copy`.

    bench/scan.py               all parts
    bench/scan.py known pull    only these

The image is made of this machine's /usr: 400 MB of files in eight gzip layers, kept in build/bench.
"""
import os
import shutil
import statistics
import subprocess
import sys
import time

import index
import measure
from measure import ECLAIR, MIB, ROOT, WORK

sys.path.insert(0, str(ROOT / "tests/e2e"))
from registry import Registry  # noqa: E402

SIZE = 400 * 1000 ** 2
LAYERS = 8


class Servers:
    """Made when a part asks for them."""

    def __init__(self):
        self.registry, self.database = None, WORK / "scan.db"

    def get(self):
        if not self.registry:
            folder = WORK / "registry"
            shutil.rmtree(folder, ignore_errors=True)
            self.registry = Registry(folder)
            self.registry.push(f"oci:{image()}", "bench:1")
        return self.registry

    def remove(self):
        if self.registry:
            self.registry.stop()
            shutil.rmtree(self.registry.folder)
        measure.remove_database(self.database)


def image():
    folder = WORK / "scan-image"
    index.ENOUGH = SIZE
    index.make_image(folder, LAYERS)
    return folder


def archive():
    path = WORK / "scan-image.tar"
    if not path.exists():
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{image()}", f"docker-archive:{path}:bench:1"], check=True)
    return path


def scan(servers, where):
    return [ECLAIR, "scan", where, "--quiet", "--db", servers.database, "--format", "json"]


def reference(servers):
    return f"{servers.get().host}/bench:1"


def several(commands, times):
    """Medians of the walls in ms, taken turn by turn, so that what else runs on the machine hits all of them."""
    walls = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            began = time.perf_counter()
            pid = os.posix_spawn(str(command[0]), list(map(str, command)), os.environ,
                                 file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            walls[name].append(time.perf_counter() - began)
            assert code in (0, 3), (name, code)
    return {name: statistics.median(w) * 1e3 for name, w in walls.items()}


def known(servers):
    table = measure.Table("known: an image that the database knows, from process start to the printed report (medians)")
    places = {"OCI layout": image(), "registry": reference(servers), "uncompressed archive": archive()}
    for place in places.values():
        measure.run(scan(servers, place), ok=(0, 3))
    asked = servers.get().asked()
    assert asked, "the registry's log was not understood"
    measure.run(scan(servers, places["registry"]), ok=(0, 3))
    blobs = [line for line in servers.get().asked() if "/blobs/" in line]
    walls = several({"eclair --version": [ECLAIR, "--version"]} | {n: scan(servers, p) for n, p in places.items()}, 31)
    table.row("eclair --version", walls.pop("eclair --version"), "ms")
    for name, wall in walls.items():
        table.row(name, wall, "ms", 20)
    table.row("blobs asked of the registry", len(blobs), "B", 0)
    return table


def pull(servers):
    table = measure.Table(f"pull: {SIZE / 1e6:.0f} MB in {LAYERS} layers from a registry on this machine (medians)")
    name, folder = reference(servers), WORK / "scan-copy"
    ours, theirs = [], []
    for _ in range(5):
        measure.remove_database(servers.database)
        ours.append(measure.timed(scan(servers, name), ok=(0, 3))[0])
        shutil.rmtree(folder, ignore_errors=True)
        theirs.append(measure.timed(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"dir:{folder}"])[0])
    shutil.rmtree(folder)
    table.row("wall, against skopeo copy to a folder", statistics.median(ours), "s", 1.2, statistics.median(theirs))
    measure.remove_database(servers.database)
    memory, scratch = measure.peak(scan(servers, name), servers.database, ok=(0, 3))
    table.row("peak memory (PSS), all processes", memory, "MiB", 48 * MIB)
    table.row("temporary disk", scratch, "B", 0)
    return table


def main():
    measure.prepare()
    measure.parts(Servers(), [known, pull])


if __name__ == "__main__":
    main()
