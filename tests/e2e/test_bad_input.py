"""Bad input of every kind: refused with one line that names the object and the reason, nothing half done, bounded."""
import concurrent.futures
import gzip
import os
import random
import signal
import subprocess
import tarfile
import time
import zlib
from pathlib import Path

import helpers
import make_images as mi
import pytest
from helpers import MIB, SANITIZED, assert_refused, eclair, eclair_measured, scan

# A sanitizer keeps freed memory in quarantine and shadows the rest, so its peak says little about ours.
PEAK = 1200 * MIB if SANITIZED else 96 * MIB
LAYERS = mi.debian_layers()


def image_file(tmp_path, data):
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    return path


# ---- not an image ----

def files(*members):
    return mi.tar(members)


NOT_IMAGES = {
    "empty file": b"",
    "one byte": b"x",
    "text": b"hello world\n" * 1000,
    "zeros": bytes(10240),
    "random": random.Random(1).randbytes(20000),
    "elf": Path("/bin/true").read_bytes()[:30000],
    "gzip of text": gzip.compress(b"hello world\n" * 1000),
    "gzip head alone": b"\x1f\x8b",
    "zstd head alone": b"\x28\xb5\x2f\xfd",
    "xz head alone": b"\xfd7zXZ\0",
    "bzip2 head alone": b"BZh9",
    "bad header checksum": files(("manifest.json", b"[]"))[:148] + b"0000000\0" + bytes(9000),
    "tar without an image": files(("etc/passwd", b"root")),
    "manifest is not JSON": files(("manifest.json", b"{")),
    "manifest is an object": files(("manifest.json", b"{}")),
    "manifest is empty": files(("manifest.json", b"[]")),
    "manifest without layers": files(("manifest.json", b'[{"Config":"a.json"}]'), ("a.json", b"{}")),
    "layer is missing": files(("manifest.json", b'[{"Config":"a.json","Layers":["gone.tar"]}]'), ("a.json", b"{}")),
    "config is missing": files(("manifest.json", b'[{"Config":"a.json","Layers":[]}]')),
    "deep JSON": files(("manifest.json", b"[" * 100000)),
    "index without manifests": files(("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", b"{}")),
    "index names a missing blob": files(
        ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ("index.json", mi.dump({"schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": mi.sha256(b"gone"), "size": 4}]}))),
    "index with a path for a digest": files(
        ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ("index.json", mi.dump({"schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:../../etc/passwd", "size": 4}]}))),
}


@pytest.mark.parametrize("case", NOT_IMAGES)
def test_not_an_image(case, db, tmp_path):
    image = image_file(tmp_path, NOT_IMAGES[case])
    assert_refused(scan(db, image), image)
    assert_refused(scan(db, "-", stdin=NOT_IMAGES[case]))


LAYER_CONTENTS = {  # instead of a tar
    "text": b"hello world\n" * 1000,
    "bad checksum": mi.tar([("a", b"b")])[:148] + b"0000000\0" + bytes(9000),
    "broken gzip": gzip.compress(b"hello" * 100)[:-9] + b"\0" * 9,
}


@pytest.mark.parametrize("case", LAYER_CONTENTS)
def test_layer_is_no_tar(case, db, tmp_path):
    content = LAYER_CONTENTS[case]
    tail = mi.docker_tail([content], ["x/layer.tar"])
    image = image_file(tmp_path, mi.tar([("x/layer.tar", content)] + tail))
    assert_refused(scan(db, image), image)


def test_package_list_is_no_list(db, tmp_path):
    image = image_file(tmp_path, mi.archive([[("etc/os-release", mi.os_release()),
                                              ("var/lib/dpkg/status", bytes(range(256)) * 40)]]))
    assert_refused(scan(db, image), image, "var/lib/dpkg/status")


# ---- cut off ----

def cuts(data, count):
    """Everywhere for small data; else both ends byte by byte and evenly between."""
    edge = set(range(12)) | {len(data) - n for n in range(1, 12)}
    return sorted(n for n in edge | {len(data) * i // count for i in range(1, count)} if 0 <= n < len(data))


def scan_many(db, images):
    """Two at a time: the scans of one database do not disturb each other, and the machine has two cores."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda image: scan(db, image), images))


@pytest.mark.parametrize("codec", mi.CODECS)
@pytest.mark.parametrize("layout", ["docker", "oci"])
def test_truncated(layout, codec, db, tmp_path):
    """A cut image is refused wherever it is cut; but a plain tar is complete with the last member that is needed."""
    data = mi.pack(mi.archive(LAYERS, layout, codec if layout == "oci" else "plain"), codec if layout == "docker" else "plain")
    if data[257:262] == b"ustar":
        data = data.split(b"repositories\0")[0].rstrip(b"\0")
    images = []
    for n in cuts(data, 20 if SANITIZED else 110):
        images.append(tmp_path / f"cut-{n}")
        images[-1].write_bytes(data[:n])
    for image, r in zip(images, scan_many(db, images)):
        assert_refused(r, image)


def test_truncated_at_every_byte(db, tmp_path):
    """One very small archive, all of it, in the container's common form."""
    step = 5 if SANITIZED else 1
    data = gzip.compress(mi.archive([[("etc/os-release", mi.os_release())]]), 9, mtime=0)
    images = []
    for n in range(0, len(data), step):
        images.append(tmp_path / f"cut-{n}")
        images[-1].write_bytes(data[:n])
    assert len(images) > 100
    for image, r in zip(images, scan_many(db, images)):
        assert_refused(r, image)


# ---- much from little ----

def repeated_gzip(chunk, times):
    """gzip data of `times` chunks, made at the price of one: members may follow each other (RFC 1952, 2.2)."""
    return gzip.compress(chunk, 9, mtime=0) * times


def solid_gzip_zeros(size):
    """One member: the deflate blocks of a MiB of zeros, again and again; only the checksum must be computed."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = c.compress(bytes(MIB)) + c.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(size // MIB):
        crc = zlib.crc32(bytes(MIB), crc)
    last = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    return (b"\x1f\x8b\x08\0\0\0\0\0\x02\x03" + block * (size // MIB) + last + crc.to_bytes(4, "little")
            + (size & 0xffffffff).to_bytes(4, "little"))


def one_blob_layout(folder, blob):
    """An OCI layout around a layer of which only the compressed bytes are known."""
    image = "application/vnd.oci.image."
    text = mi.config([b""])
    manifest = mi.dump({"schemaVersion": 2, "mediaType": image + "manifest.v1+json",
                        "config": mi.descriptor(text, image + "config.v1+json"),
                        "layers": [mi.descriptor(blob, image + "layer.v1.tar+gzip")]})
    index = mi.dump({"schemaVersion": 2, "manifests": [mi.descriptor(manifest, image + "manifest.v1+json")]})
    (folder / "blobs/sha256").mkdir(parents=True)
    for content in (blob, text, manifest):
        (folder / "blobs/sha256" / mi.sha256(content)[7:]).write_bytes(content)
    (folder / "index.json").write_bytes(index)
    (folder / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    return folder


def bounded(r, most=PEAK):
    assert r.peak < most, f"peak {r.peak / MIB:.0f} MiB"
    assert r.code in (0, 1, 3), (r.code, r.err)
    if r.code == 1:
        assert_refused(r)


def file_header(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("solid", [False, True], ids=["members", "solid"])
@pytest.mark.parametrize("name", ["opt/zeros", "var/lib/dpkg/status"])
def test_gzip_bomb(solid, name, db, tmp_path):
    """2 GiB of zeros in 2 MB, as a file that nobody wants and as the package list."""
    size = 2048 * MIB - 512
    blob = gzip.compress(file_header(name, size), mtime=0)
    blob += solid_gzip_zeros(2048 * MIB) if solid else repeated_gzip(bytes(64 * MIB), 32)
    assert len(blob) < 3 * MIB
    r = eclair_measured("scan", one_blob_layout(tmp_path / "image", blob), "--db", db, files=tmp_path)
    bounded(r)
    if name != "opt/zeros":
        assert_refused(r, name)


def test_gzip_bomb_around_the_archive(db, tmp_path):
    image = image_file(tmp_path, repeated_gzip(bytes(64 * MIB), 32))
    r = eclair_measured("scan", image, "--db", db, files=tmp_path)
    bounded(r)
    assert_refused(r, image)


def test_million_members(db, tmp_path):
    """Headers without content; the package list comes last and is found."""
    chunk = b"".join(file_header(f"usr/share/folder/{i}", 0) for i in range(1000))
    end = mi.tar([("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", mi.dpkg_status())])
    blob = repeated_gzip(chunk, 1000) + gzip.compress(end, mtime=0)
    r = eclair_measured("scan", one_blob_layout(tmp_path / "image", blob), "--db", db, "--format", "json", files=tmp_path)
    bounded(r)
    if r.code == 0:  # refusing so many is right as well, as long as it is said
        assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("kind", ["lists", "whiteouts", "links"])
def test_many_wanted_members(kind, db, tmp_path):
    """Members that are remembered one by one: some 2 KiB for each package list with its package."""
    count = 5000 if SANITIZED else 50000
    if kind == "lists":
        members = [(f"var/lib/dpkg/status.d/p{i}", f"Package: p{i}\nVersion: 1\n".encode()) for i in range(count)]
    elif kind == "whiteouts":
        members = [(f"var/lib/dpkg/status.d/.wh.p{i}", b"") for i in range(count)]
    else:
        members = [(f"var/lib/dpkg/status.d/p{i}", ("symlink", f"p{i + 1}")) for i in range(count)]
    image = image_file(tmp_path, mi.archive([members]))
    r = eclair_measured("scan", image, "--db", db, files=tmp_path)
    bounded(r, 2 * PEAK)


def test_paths_that_leave_the_image(db, tmp_path):
    """Nothing is ever written, and a name with ".." is no package list."""
    bad = tmp_path / "evil"
    names = [f"../../..{bad}", str(bad), "../evil", "var/lib/dpkg/../../../evil", ".." + "/.." * 40 + str(bad)]
    members = [(n, mi.dpkg_status()) for n in names] + [("a", ("symlink", str(tmp_path))), ("a/evil", b"x")]
    image = image_file(tmp_path, mi.archive([members]))
    assert scan(db, image).json()["packages"] == []
    assert not bad.exists()
    tail = mi.docker_tail([mi.tar(LAYERS[0])], [f"../../../..{tmp_path}/layer.tar"])
    (tmp_path / "layer.tar").write_bytes(mi.tar(LAYERS[0]))
    outside = image_file(tmp_path, mi.tar(tail))
    assert_refused(scan(db, outside), outside)


def test_link_to_a_layer_outside(db, tmp_path):
    layer = mi.tar(LAYERS[0])
    (tmp_path / "layer.tar").write_bytes(layer)
    for target in (str(tmp_path / "layer.tar"), "../" * 30 + str(tmp_path / "layer.tar"), "layer.tar", "../x/layer.tar"):
        image = image_file(tmp_path, mi.tar([("x/layer.tar", ("symlink", target))] +
                                            mi.docker_tail([layer], ["x/layer.tar"])))
        assert_refused(scan(db, image), image)


# ---- killed on the way ----

def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child)] + children(child)
    return found


@pytest.mark.parametrize("victim", ["worker", "zygote", "parent"])
def test_killed_process(victim, db):
    """Somebody kills one of our processes while a layer is half read: a plain error, and no process stays behind."""
    data = mi.archive([[("a", bytes(4 * MIB))]])
    p = subprocess.Popen([helpers.ECLAIR, "scan", "-", "--db", db], env=helpers.environment(), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    p.stdin.write(data[:MIB])
    p.stdin.flush()
    below = []
    for _ in range(500):
        below = children(p.pid)
        if len(below) >= 2:
            break
        time.sleep(0.01)
    assert len(below) >= 2
    os.kill({"worker": below[-1], "zygote": below[0], "parent": p.pid}[victim], signal.SIGKILL)
    out, err = p.communicate(timeout=60)
    assert helpers.gone(p.pid)
    assert out == b""
    if victim == "parent":
        assert p.returncode == -signal.SIGKILL
    else:
        assert p.returncode == 1
        assert err.startswith(b"eclair: ") and err.count(b"\n") == 1, err


# ---- names and options ----

@pytest.mark.parametrize("command", [["scan", "IMAGE"], ["scan", "IMAGE/manifest.json"]])
def test_missing_image(command, db, tmp_path):
    image = command[1].replace("IMAGE", str(tmp_path / "absent"))
    assert_refused(scan(db, image), image)


def test_image_is_a_device(db):
    assert_refused(scan(db, "/dev/null"), "/dev/null")


def test_odd_names_are_printable(db, tmp_path):
    """A name with a line break still makes one line."""
    image = tmp_path / "two\nlines\x1b[31m\xff"
    assert_refused(scan(db, image))
    image.write_bytes(b"no image")
    r = scan(db, image)
    assert_refused(r)
    assert b"\x1b" not in r.err


# ---- feeds ----

GOOD = mi.dump(helpers.small_debian())
BROKEN_DEBIAN = {
    "empty": b"", "no JSON": b"<html>not here</html>", "cut": GOOD[:-1], "cut early": GOOD[:20], "more behind": GOOD + b"{}",
    "array": b"[]", "no package": b"{}", "package is a list": b'{"a":[]}', "entry is a number": b'{"a":{"CVE-2024-1":1}}',
    "releases is a list": b'{"a":{"CVE-2024-1":{"releases":[]}}}', "deep": b'{"a":' * 2000, "binary": bytes(range(256)),
    "comma at the end": b'{"a":{},}', "cut gzip": gzip.compress(GOOD)[:-5], "cut zstd": mi.pack(GOOD, "zstd")[:-3],
    "control character": b'{"a\n":{}}', "key twice": b'{"a":{"CVE-2024-1":%s,"CVE-2024-1":%s}}' % (
        (mi.dump(helpers.entry("open")),) * 2),
    "long string": b'{"a":{"CVE-2024-1":{"description":"' + b"x" * (20 * MIB) + b'"',
}


@pytest.mark.parametrize("case", BROKEN_DEBIAN)
def test_broken_debian_feed(case, db, tmp_path, small_image):
    """The old state stands, alpine is loaded all the same, and the line says which document is bad."""
    before = scan(db, small_image).json()["findings"]
    alpine = helpers.small_alpine()
    alpine["v3.20/main"]["packages"][0]["pkg"]["secfixes"]["1.36.1-r9"] = ["CVE-2024-1099"]
    mirror = helpers.write_mirror(tmp_path / "mirror", BROKEN_DEBIAN[case], alpine)
    r = eclair("update", "debian", "alpine", "--mirror", mirror, "--db", db)
    err = r.err.decode()
    assert r.code == 1 and "worker" not in err
    assert err.startswith("eclair: debian: tracker/data/json: ") and err.count("\n") == 1, err
    assert scan(db, small_image).json()["findings"] == before
    apk = tmp_path / "alpine.tar"
    apk.write_bytes(mi.archive(mi.alpine_layers()))
    assert ("busybox", "CVE-2024-1099") in helpers.ids(scan(db, apk).json())
    status = {f["name"]: f for f in eclair("db", "status", "--db", db, "--format", "json").json()["feeds"]}
    assert "tracker/data/json" in status["debian"]["error"]
    assert not status["alpine"]["error"]


BROKEN_ALPINE = {
    "no JSON": b"nothing", "array": b"[]", "packages is a number": b'{"packages":1}',
    "another branch": mi.dump(helpers.secdb("v3.19", "main", {})),
    "secfixes is a list": mi.dump(helpers.secdb("v3.20", "main", {}) | {"packages": [{"pkg": {"name": "a", "secfixes": [1]}}]}),
    "cut": mi.dump(helpers.small_alpine()["v3.20/main"])[:-2],
}


@pytest.mark.parametrize("case", BROKEN_ALPINE)
def test_broken_alpine_feed(case, db, tmp_path):
    """One broken document keeps the whole source at its old state."""
    documents = {"v3.20/main": BROKEN_ALPINE[case], "v3.20/community": helpers.secdb("v3.20", "community", {
        "musl": {"9-r0": ["CVE-2024-1999"]}})}
    mirror = helpers.write_mirror(tmp_path / "mirror", helpers.small_debian(), documents)
    r = eclair("update", "alpine", "debian", "--mirror", mirror, "--db", db)
    assert r.code == 1
    assert r.err.startswith(b"eclair: alpine: v3.20/main.json: ") and r.err.count(b"\n") == 1, r.err
    image = tmp_path / "alpine.tar"
    image.write_bytes(mi.archive(mi.alpine_layers()))
    assert helpers.ids(scan(db, image).json()) == helpers.SMALL_ALPINE_IDS


def test_mirror_is_missing(db, tmp_path):
    r = eclair("update", "debian", "--mirror", tmp_path / "absent", "--db", db)
    assert_refused(r, tmp_path / "absent")


def test_feed_bomb(tmp_path, small_image):
    """2 GiB of blanks inside the feed: refused or read, with little memory."""
    bomb = gzip.compress(b"{", mtime=0) + repeated_gzip(b" " * (64 * MIB), 32) + gzip.compress(GOOD[1:], mtime=0)
    mirror = helpers.write_mirror(tmp_path / "mirror", bomb)
    r = eclair_measured("update", "debian", "--mirror", mirror, "--db", tmp_path / "db", files=tmp_path)
    assert r.peak < PEAK, f"peak {r.peak / MIB:.0f} MiB"
    if r.code == 0:
        assert helpers.ids(scan(tmp_path / "db", small_image).json()) == helpers.SMALL_DEBIAN_IDS
    else:
        assert r.code == 1 and r.err.startswith(b"eclair: debian: tracker/data/json: ") and r.err.count(b"\n") == 1
