#!/usr/bin/python3
"""How much more than inflating and hashing does it cost to index an image of 500 MB and more?

The image is made of this machine's /usr, once with one gzip layer, once with four, and kept in build/bench.
CPU time is compared with `igzip -dc` plus `openssl dgst -sha256` on the same layers in the same run.
"""
import hashlib
import os
import subprocess

import measure
from measure import ECLAIR, MIB, WORK

ENOUGH = 550 * MIB


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
    """CPU seconds of inflating and of hashing every layer."""
    blobs = [p for p in (folder / "blobs/sha256").iterdir() if p.stat().st_size > MIB]
    return sum(measure.median(command + [blob])[1] for blob in blobs
               for command in (["igzip", "-dc"], ["openssl", "dgst", "-sha256"]))


def main():
    measure.prepare()
    db = WORK / "index.db"
    table = measure.Table("index: CPU time against igzip -dc plus openssl dgst -sha256 (median of 3)")
    for count in (1, 4):
        image = WORK / f"usr-{count}"
        make_image(image, count)
        size = int((image / "size.json").read_text())
        name = f"{size / 1e6:.0f} MB, {count} layer{'s' * (count > 1)}"
        command = [ECLAIR, "scan", image, "--db", db, "--format", "json"]

        def fresh():
            measure.remove_database(db)

        wall, cpu = measure.median(command, ok=(0, 3), before=fresh)
        table.row(f"CPU, {name}", cpu, "s", 1.5, reference(image))
        table.row(f"wall, {name}", wall, "s")
        fresh()
        memory, scratch = measure.peak(command, db, ok=(0, 3))
        table.row(f"peak memory (PSS), {name}", memory, "MiB", 48 * MIB)
        table.row(f"temporary disk, {name}", scratch, "B", 0)
    measure.remove_database(db)
    table.exit()


if __name__ == "__main__":
    main()
