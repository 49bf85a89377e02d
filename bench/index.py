#!/usr/bin/python3
"""What does it cost to index an image, beside inflating and hashing its layers?

The images are made of this machine's /usr (one gzip layer, twenty), kept in build/bench, of tiny layers, and one of 10 GB that
exists only while it is read. References are `igzip -dc` and `openssl dgst -sha256` on the same layers in the same run.
"""
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

import measure
from measure import ECLAIR, MIB, WORK

ENOUGH = 550 * MIB
MANY = 20
TINY = 201
FLYING = 10 * 1000 ** 3


def some_files():
    """Paths below /usr, in the order of names, until there is enough."""
    total, names = 0, []
    for folder, folders, files in os.walk("/usr"):
        folders.sort()
        names.append(folder)
        for name in sorted(files):
            path = os.path.join(folder, name)
            names.append(path)
            total += os.lstat(path).st_size
            if total >= ENOUGH:
                return names
    return names  # a small machine: as much as there is


def sha256_file(path):
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def make_layer(blobs, names):
    """A gzip layer of these paths; (descriptor, diff id, bytes of the tar)."""
    raw, packed = blobs / "layer.tar", blobs / "layer.tar.gz"
    subprocess.run(["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-cf", raw, "--ignore-failed-read"],
                   input="\0".join(n.lstrip("/") for n in names).encode(), check=True, stderr=subprocess.DEVNULL)
    with packed.open("wb") as f:
        subprocess.run(["gzip", "-n", "-6", "-c", raw], stdout=f, check=True)
    size, diff, digest = raw.stat().st_size, sha256_file(raw), sha256_file(packed)
    raw.unlink()
    packed.rename(blobs / digest)
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{digest}",
            "size": (blobs / digest).stat().st_size}, f"sha256:{diff}", size


def make_image(folder, count):
    """An OCI layout with `count` layers; made once."""
    if (folder / "index.json").exists():
        return
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    names = some_files()
    parts = [names[len(names) * i // count:len(names) * (i + 1) // count] for i in range(count)]
    layers = [make_layer(blobs, part) for part in parts]

    def put(value, kind):
        measure.write_json(folder / "new", value)
        digest = sha256_file(folder / "new")
        size = (folder / "new").stat().st_size
        (folder / "new").rename(blobs / digest)
        return {"mediaType": f"application/vnd.oci.image.{kind}.v1+json", "digest": f"sha256:{digest}", "size": size}

    rootfs = {"type": "layers", "diff_ids": [x[1] for x in layers]}
    config = put({"architecture": "amd64", "os": "linux", "rootfs": rootfs}, "config")
    manifest = put({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
                    "layers": [x[0] for x in layers]}, "manifest")
    measure.write_json(folder / "oci-layout", {"imageLayoutVersion": "1.0.0"})
    measure.write_json(folder / "size.json", sum(x[2] for x in layers))
    measure.write_json(folder / "index.json", {"schemaVersion": 2, "manifests": [manifest]})


def reference(folder):
    """(wall of inflating, CPU of inflating and of hashing) every layer, in seconds."""
    blobs = [p for p in (folder / "blobs/sha256").iterdir() if p.stat().st_size > MIB]
    inflate = [measure.median(["igzip", "-dc", blob]) for blob in blobs]
    hashing = [measure.median(["openssl", "dgst", "-sha256", blob]) for blob in blobs]
    return sum(x[0] for x in inflate), sum(x[1] for x in inflate + hashing)


def tar_piece(name, content, end=False):
    out = io.BytesIO()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    out.write(info.tobuf(tarfile.USTAR_FORMAT))
    out.write(content)
    out.write(bytes(-len(content) % 512 + (1024 if end else 0)))
    return out.getvalue()


def make_tiny(path, count):
    """An uncompressed archive with that many layers of one small file."""
    layers = [tar_piece(f"file-{i}", b"%d" % i, end=True) for i in range(count)]
    digests = [hashlib.sha256(x).hexdigest() for x in layers]
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in digests]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "Layers": [f"{d}/layer.tar" for d in digests]}]).encode()
    pieces = [tar_piece(f"{d}/layer.tar", x) for d, x in zip(digests, layers)]
    path.write_bytes(b"".join(pieces) + tar_piece("config.json", config) + tar_piece("manifest.json", manifest, end=True))


class Flying:
    """A `docker save` whose one layer is as large as FLYING, of files with real content, as gzip members; never on a disk."""

    def __init__(self):
        content = bytearray()
        for path in some_files():
            if len(content) > 64 * MIB:
                break
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    content += f.read()
        piece = tar_piece("usr/file", bytes(content))
        self.times = FLYING // len(piece) + 1
        self.member, self.last = gzip.compress(piece, 6), gzip.compress(bytes(1024))
        diff = hashlib.sha256()
        for _ in range(self.times):
            diff.update(piece)
        diff.update(bytes(1024))
        self.diff_id, self.size = diff.hexdigest(), self.times * len(piece)

    def write(self, out):
        size = self.times * len(self.member) + len(self.last)
        info = tarfile.TarInfo("layer.tar")
        info.size = size
        config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [f"sha256:{self.diff_id}"]}}).encode()
        manifest = json.dumps([{"Config": "config.json", "Layers": ["layer.tar"]}]).encode()
        with out:
            out.write(info.tobuf(tarfile.GNU_FORMAT))
            for _ in range(self.times):
                out.write(self.member)
            out.write(self.last + bytes(-size % 512))
            out.write(tar_piece("config.json", config) + tar_piece("manifest.json", manifest, end=True))


def large_layers(table, scan, fresh):
    per_byte = {}
    for count in (1, MANY):
        image = WORK / f"usr-{count}"
        make_image(image, count)
        size = int((image / "size.json").read_text())
        name = f"{size / 1e6:.0f} MB, {count} layer{'s' * (count > 1)}"
        inflate, both = reference(image)
        wall, cpu = measure.median(scan(image), ok=(0, 3), before=fresh)
        per_byte[count] = cpu / size
        table.row(f"CPU, {name}", cpu, "s", 1.15, both)
        if count == 1:
            table.row(f"wall against inflating, {name}", wall, "s", 1.15, inflate)
        else:
            table.row(f"wall against its CPU, {name}", wall, "s", 0.6, cpu)
            table.row("CPU per GB against one layer's", per_byte[count] * 1e9, "s", 1.05, per_byte[1] * 1e9)
        again = measure.median(scan(image), times=9, ok=(0, 3))[0]
        table.row(f"wall of the same again, {name}", again * 1e3, "ms", 20)


def main():
    measure.prepare()
    db = WORK / "index.db"
    table = measure.Table("index: against igzip -dc and openssl dgst -sha256 (medians)")

    def scan(image):
        return [ECLAIR, "scan", image, "--db", db, "--format", "json"]

    def fresh():
        measure.remove_database(db)

    large_layers(table, scan, fresh)
    tiny, one = WORK / f"tiny-{TINY}.tar", WORK / "tiny-1.tar"
    make_tiny(tiny, TINY)
    make_tiny(one, 1)
    few, many = (measure.median(scan(x), times=5, ok=(0, 3), before=fresh)[0] for x in (one, tiny))
    table.row(f"each of {TINY - 1} more layers of one file: wall", (many - few) / (TINY - 1) * 1e3, "ms", 2)
    table.row(f"wall of the same again, {TINY} layers", measure.median(scan(tiny), times=9, ok=(0, 3))[0] * 1e3, "ms", 20)
    flying = Flying()
    fresh()
    memory, scratch = measure.peak(scan("-"), db, ok=(0, 3), every=0.02, feed=flying.write)
    table.row(f"peak memory (PSS), {flying.size / 1e9:.1f} GB through a pipe", memory, "MiB", 40 * MIB)
    table.row("temporary disk for it", scratch, "B", 0)
    fresh()
    table.exit()


if __name__ == "__main__":
    main()
