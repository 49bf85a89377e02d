"""Synthetic images: one list of layers, written in every layout that scanners meet.

A layer is a list of (path, what) pairs; what is bytes (a file), None (a folder), ("symlink", target) or
("hardlink", target). Nothing here calls éclair. As a program: make_images.py LAYOUT CODEC FILE.
"""
import bz2
import gzip
import hashlib
import io
import json
import lzma
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

CODECS = ("plain", "gzip", "zstd", "bzip2", "xz")
ARCHIVES = ("docker", "docker-links", "docker-blobs", "podman", "podman-links", "oci")
MEDIA = {"gzip": "+gzip", "zstd": "+zstd"}  # the others have no media type of their own

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def pack(data, codec):
    if codec == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if codec == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return {"plain": bytes, "bzip2": bz2.compress, "xz": lzma.compress}[codec](data)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(members, fmt=tarfile.GNU_FORMAT):
    """The bytes of a tar with these (path, what) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as archive:
        for path, what in members:
            info = tarfile.TarInfo(path)
            info.mode = 0o644
            if what is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(what, tuple):
                info.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}[what[0]]
                info.linkname = what[1]
            else:
                info.size = len(what)
            archive.addfile(info, io.BytesIO(what) if isinstance(what, bytes) else None)
    return out.getvalue()


def dump(value):
    return json.dumps(value, sort_keys=True).encode()


def config(tars):
    return dump({"architecture": ARCHITECTURE, "os": "linux", "config": {},
                 "rootfs": {"type": "layers", "diff_ids": [sha256(t) for t in tars]}})


def docker_members(layers, codec="plain", links=False):
    """docker save before version 25: one folder for each layer. With links, a repeated layer is a symlink."""
    tars = [tar(layer) for layer in layers]
    members, names, seen = [], [], {}
    for i, data in enumerate(tars):
        folder = hashlib.sha256(b"%d" % i + data).hexdigest()
        members += [(folder + "/", None), (folder + "/VERSION", b"1.0"), (folder + "/json", dump({"id": folder}))]
        if links and data in seen:
            members.append((folder + "/layer.tar", ("symlink", f"../{seen[data]}/layer.tar")))
        else:
            members.append((folder + "/layer.tar", pack(data, codec)))
        seen.setdefault(data, folder)
        names.append(folder + "/layer.tar")
    return members + docker_tail(tars, names)


def docker_tail(tars, names):
    text = config(tars)
    name = hashlib.sha256(text).hexdigest() + ".json"
    return [(name, text),
            ("manifest.json", dump([{"Config": name, "RepoTags": ["example.test/image:1"], "Layers": names}])),
            ("repositories", dump({"example.test/image": {"1": names[-1].split("/")[0]}}))]


def podman_members(layers, codec="plain", links=False):
    """podman save: the layers lie at the top; layer.tar in each folder is a link to them."""
    tars = [tar(layer) for layer in layers]
    members, names = [], []
    for i, data in enumerate(tars):
        name = hashlib.sha256(data).hexdigest() + ".tar"
        folder = hashlib.sha256(b"%d" % i + data).hexdigest()
        if name not in dict(members):
            members.append((name, pack(data, codec)))
        members += [(folder + "/", None), (folder + "/VERSION", b"1.0"),
                    (folder + "/layer.tar", ("symlink", "../" + name)), (folder + "/json", dump({"id": folder}))]
        names.append(folder + "/layer.tar" if links else name)
    return members + docker_tail(tars, names)


def descriptor(data, kind, **more):
    return {"mediaType": kind, "digest": sha256(data), "size": len(data), **more}


def oci_files(layers, codec="gzip", nested=0, others=()):
    """{path: bytes} of an OCI image layout, its manifest below `nested` more indexes, behind `others` in the last."""
    kind = "application/vnd.oci.image."
    tars = [tar(layer) for layer in layers]
    blobs = [pack(t, codec) for t in tars]
    text = config(tars)
    manifest = dump({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                     "config": descriptor(text, kind + "config.v1+json"),
                     "layers": [descriptor(b, kind + "layer.v1.tar" + MEDIA.get(codec, "")) for b in blobs]})
    content = blobs + [text, manifest]
    manifests = [*others, descriptor(manifest, kind + "manifest.v1+json",
                                     platform={"architecture": ARCHITECTURE, "os": "linux"})]
    for _ in range(nested):
        inner = dump({"schemaVersion": 2, "mediaType": kind + "index.v1+json", "manifests": manifests})
        content.append(inner)
        manifests = [descriptor(inner, kind + "index.v1+json")]
    files = {"oci-layout": dump({"imageLayoutVersion": "1.0.0"})}
    files |= {"blobs/sha256/" + sha256(c)[7:]: c for c in content}
    files["index.json"] = dump({"schemaVersion": 2, "manifests": manifests})
    return files


def docker_blobs_files(layers, codec="plain"):
    """docker save since version 25: an OCI layout with a manifest.json beside it."""
    files = oci_files(layers, codec)
    tars = [tar(layer) for layer in layers]
    files["manifest.json"] = dump([{
        "Config": "blobs/sha256/" + sha256(config(tars))[7:], "RepoTags": ["example.test/image:1"],
        "Layers": ["blobs/sha256/" + sha256(pack(t, codec))[7:] for t in tars]}])
    return files


def archive(layers, layout="docker", codec="plain"):
    """The uncompressed bytes of an image archive; `codec` is that of the layers inside."""
    if layout.startswith("docker") and layout != "docker-blobs":
        return tar(docker_members(layers, codec, links=layout.endswith("links")))
    if layout.startswith("podman"):
        return tar(podman_members(layers, codec, links=layout.endswith("links")))
    files = docker_blobs_files(layers, codec) if layout == "docker-blobs" else oci_files(layers, codec)
    return tar(list(files.items()))


def oci_folder(folder, layers, codec="gzip", **options):
    for name, data in oci_files(layers, codec, **options).items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Path(folder)


def rootfs(folder, layers):
    """Plain files of layers that hold no whiteouts and no hard links."""
    for layer in layers:
        for name, what in layer:
            path = Path(folder, name)
            if what is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(what, tuple):
                path.symlink_to(what[1])
            else:
                path.write_bytes(what)
    return Path(folder)


# ---- one small Debian and one small Alpine ----

def os_release(distribution="debian", version="12", name="Debian GNU/Linux 12 (bookworm)"):
    return f'PRETTY_NAME="{name}"\nID={distribution}\nVERSION_ID="{version}"\n'.encode()


def stanza(name, version, source=None, arch="amd64", status="install ok installed"):
    text = f"Package: {name}\nStatus: {status}\nArchitecture: {arch}\n"
    text += f"Source: {source}\n" if source else ""
    return text + f"Version: {version}\nDescription: {name}\n short text\n .\n with: a colon\n\n"


DPKG = (("libssl3", "3.0.11-1~deb12u2", "openssl"), ("openssl", "3.0.11-1~deb12u2", None),
        ("zlib1g", "1:1.2.13.dfsg-1", "zlib"), ("libc6", "2.36-9+deb12u4", "glibc"),
        ("bsdutils", "1:2.38.1-5+b1", "util-linux (2.38.1-5)"), ("clean", "1.0-1", None))


def dpkg_status(packages=DPKG):
    removed = stanza("removed", "0.1", "openssl", status="deinstall ok config-files")
    return ("".join(stanza(*p) for p in packages) + removed).encode()


def debian_layers():
    """Two layers: the base, and one that brings a file of no interest."""
    return [[("etc/", None), ("usr/", None), ("usr/lib/", None), ("var/", None), ("var/lib/", None),
             ("var/lib/dpkg/", None), ("usr/lib/os-release", os_release()),
             ("etc/os-release", ("symlink", "../usr/lib/os-release")), ("var/lib/dpkg/status", dpkg_status()),
             ("usr/lib/data", b"0123456789abcdef" * 700)],
            [("opt/", None), ("opt/program", b"\x7fELF" + bytes(range(256)) * 20)]]


def apk_installed(packages):
    return "".join(f"C:Q1aaaa=\nP:{n}\nV:{v}\nA:x86_64\nT:text\no:{o}\nF:usr\nR:file\n\n"
                   for n, v, o in packages).encode()


APK = (("busybox", "1.36.1-r2", "busybox"), ("ssl_client", "1.36.1-r2", "busybox"), ("musl", "1.2.5-r0", "musl"),
       ("libcrypto3", "3.3.0-r0", "openssl"), (".build-deps", "20240101.120000", ""))


def alpine_layers(packages=APK):
    return [[("etc/os-release", os_release("alpine", "3.20.3", "Alpine Linux v3.20")),
             ("etc/alpine-release", b"3.20.3\n"), ("lib/apk/db/installed", apk_installed(packages))]]


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ARCHIVES or sys.argv[2] not in CODECS:
        sys.exit(f"usage: make_images.py {'|'.join(ARCHIVES)} {'|'.join(CODECS)} FILE")
    Path(sys.argv[3]).write_bytes(archive(debian_layers(), sys.argv[1], sys.argv[2]))
