"""Images made to hurt: each gives a clear error or the honest result, in bounded time and memory, never a crash."""
import concurrent.futures
import gzip
import io
import os
import tarfile
import time
import zlib

import helpers
import make_images as mi
import pytest
from helpers import MIB, SANITIZED, assert_refused, scan

LAYERS = mi.debian_layers()
PEAK = 1200 * MIB if SANITIZED else 128 * MIB
SECONDS = 60 if SANITIZED else 15


def header(name, kind=tarfile.REGTYPE, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info.tobuf(tarfile.GNU_FORMAT)


def image_of(path, *blobs):
    """An OCI layout of these compressed layers, whose content nobody can know beforehand."""
    kind = "application/vnd.oci.image."
    text = mi.dump({"os": "linux", "architecture": mi.ARCHITECTURE})
    manifest = mi.dump({"schemaVersion": 2, "config": mi.descriptor(text, kind + "config.v1+json"),
                        "layers": [mi.descriptor(b, kind + "layer.v1.tar") for b in blobs]})
    files = {"blobs/sha256/" + mi.sha256(c)[7:]: c for c in (*blobs, text, manifest)}
    files["index.json"] = mi.dump({"schemaVersion": 2, "manifests": [mi.descriptor(manifest, kind + "manifest.v1+json")]})
    path.write_bytes(mi.tar(list(files.items())))
    return path


def bounded(db, image, tmp_path):
    begin = time.monotonic()
    r = helpers.eclair_measured("scan", image, "--db", db, "--format", "json", files=tmp_path)
    assert time.monotonic() - begin < SECONDS
    assert r.peak < PEAK, r.peak
    assert r.code in (0, 1, 3)
    return r


def repeated(block, times):
    """gzip of a repetition, made of members of 1,000."""
    return gzip.compress(block * 1000, 6, mtime=0) * (times // 1000)


def circle(n, kind):
    """n links, each to the next, the last to the first: where package lists are looked for."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as z:
        for i in range(n):
            z.write(header(f"var/lib/dpkg/status.d/l{i}" if i % 100 == 0 else f"opt/l{i}", kind, link=f"opt/l{(i + 1) % n}"))
    return out.getvalue()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symlinks", "hard links"])
def test_links_in_a_circle(kind, db, tmp_path):
    image = image_of(tmp_path / "image", circle(20_000 if SANITIZED else 1_000_000, kind))
    bounded(db, image, tmp_path)


HARD_LINKS = {"itself": "var/lib/dpkg/status", "outside": "../../../../etc/passwd", "absolute": "/etc/passwd", "nothing": "gone", "empty": ""}


@pytest.mark.parametrize("case", HARD_LINKS)
def test_hard_link(case, db, tmp_path):
    """A package list that leads nowhere is not an empty one."""
    layer = header("var/lib/dpkg/status", tarfile.LNKTYPE, link=HARD_LINKS[case])
    layer += mi.tar([("etc/os-release", mi.os_release())])
    r = bounded(db, image_of(tmp_path / "image", layer), tmp_path)
    if r.code != 1:
        assert (r.code, r.json()["packages"]) == (3, [])


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe\x80", b"\x1b[31mred", b"a" * 99])
def test_odd_names(name, db, tmp_path):
    """Names are bytes: nobody needs to like them."""
    odd = fixed(header("X" * 99).replace(b"X" * 99, name.ljust(99, b"\0")))
    r = scan(db, image_of(tmp_path / "image", odd + mi.tar(LAYERS[0])))
    assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS


def fixed(block):
    """A header with its checksum made right."""
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def test_package_name_that_is_no_text(db, tmp_path):
    status = mi.dpkg_status([("nameXX", "1", None)]).replace(b"XX", b"\xff\xfe")
    layer = mi.tar([("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", status)])
    r = scan(db, image_of(tmp_path / "image", layer))
    shown = [(p["name"], p.get("name_hex")) for p in r.json()["packages"]]
    assert shown in ([], [("name\ufffd\ufffd", b"name\xff\xfe".hex())]), shown
    assert shown or r.json()["warnings"]


def test_nul_in_a_long_name(db, tmp_path):
    pax = b"19 path=etc/a\0pass\n"
    layer = header("x", tarfile.XHDTYPE, len(pax)) + pax + bytes(512 - len(pax)) + mi.tar(LAYERS[0])
    assert_refused(scan(db, image_of(tmp_path / "image", layer)), "layer 1", "NUL")


@pytest.mark.parametrize("kind", ["pax", "gnu"])
def test_deep_folders(kind, db, tmp_path):
    """100,000 folders deep, in one name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT if kind == "pax" else tarfile.GNU_FORMAT) as t:
        t.addfile(tarfile.TarInfo("d/" * 100_000 + "f"))
    r = bounded(db, image_of(tmp_path / "image", out.getvalue() + mi.tar(LAYERS[0])), tmp_path)
    assert_refused(r, "layer 1")


def test_deep_folders_one_by_one(db, tmp_path):
    """Each a member of its own, as deep as a name may be."""
    layer = b"".join(tarfile.TarInfo("d/" * n + "f").tobuf(tarfile.GNU_FORMAT) for n in range(0, 2000, 5)) + mi.tar(LAYERS[0])
    assert helpers.ids(bounded(db, image_of(tmp_path / "image", layer), tmp_path).json()) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_header_of_a_gigabyte(kind, db, tmp_path):
    size = 1 << 30
    bomb = gzip.compress(header("x", kind, size), mtime=0) + gzip.compress(bytes(MIB), mtime=0) * 1024
    r = bounded(db, image_of(tmp_path / "image", bomb + gzip.compress(mi.tar(LAYERS[0]))), tmp_path)
    assert_refused(r, "layer 1")


def test_million_empty_members(db, tmp_path):
    blob = repeated(header("opt/empty"), 1_000_000) + gzip.compress(mi.tar(LAYERS[0]))
    r = bounded(db, image_of(tmp_path / "image", blob), tmp_path)
    assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS


def test_gzip_bomb(db, tmp_path):
    """10 GiB of zeroes as one file."""
    size = 10 << 30
    blob = gzip.compress(header("opt/zeroes", size=size), mtime=0)
    blob += gzip.compress(bytes(64 * MIB), mtime=0) * (size // (64 * MIB)) + gzip.compress(mi.tar(LAYERS[0]))
    assert_refused(bounded(db, image_of(tmp_path / "image", blob), tmp_path), "layer 1", "bomb")


def test_layer_is_a_device_image(db, tmp_path):
    """A file system is no tar."""
    blob = bytearray(256 * 1024)
    blob[1080:1082] = b"\x53\xef"  # the magic of ext4
    blob[510:512] = b"\x55\xaa"
    r = scan(db, image_of(tmp_path / "image", b"\xeb\x3c" + bytes(blob)))
    assert_refused(r, "layer 1", "not a tar")


@pytest.mark.parametrize("name", ["manifest.json", "index.json", "manifest"])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["lists", "objects"])
def test_deep_json(opening, name, db, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(mi.tar([(name, opening * 1000)]))
    assert_refused(bounded(db, image, tmp_path), name)


def folder_with(tmp_path, make):
    folder = mi.oci_folder(tmp_path / "image", LAYERS, "plain")
    blob = folder / "blobs/sha256" / mi.sha256(mi.tar(LAYERS[0]))[7:]
    data = blob.read_bytes()
    blob.unlink()
    make(blob, data)
    return folder, blob


def outside(blob, data):
    target = blob.parents[3] / "outside"
    target.write_bytes(data)
    blob.symlink_to(target)


BLOBS = {"folder": lambda b, d: b.mkdir(), "pipe": lambda b, d: os.mkfifo(b), "link out of the layout": outside,
         "link to itself": lambda b, d: b.symlink_to(b.name), "dangling link": lambda b, d: b.symlink_to("gone")}


@pytest.mark.parametrize("case", BLOBS)
def test_blob_is_no_file(case, db, tmp_path):
    folder, blob = folder_with(tmp_path, BLOBS[case])
    assert_refused(scan(db, folder, timeout=30), blob.name)


def test_blob_is_a_link_inside(db, tmp_path):
    def make(blob, data):
        (blob.parent / "other").write_bytes(data)
        blob.symlink_to("other")
    folder, _ = folder_with(tmp_path, make)
    assert helpers.ids(scan(db, folder).json()) == helpers.SMALL_DEBIAN_IDS


# ---- damage at many places ----

def results(db_of, images):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda image: scan(db_of, image), images))


def damaged(data, count, how):
    for i in range(count):
        at = len(data) * i // count
        yield data[:at] if how == "cut" else data[:at] + bytes([data[at] ^ 1 << i % 8]) + data[at + 1:]


SHAPES = {"docker": lambda: mi.archive(LAYERS), "oci": lambda: mi.archive(LAYERS, "oci", "gzip"), "oci.gz": lambda: mi.pack(mi.archive(LAYERS, "oci"), "gzip"),
          "docker.zst": lambda: mi.pack(mi.archive(LAYERS), "zstd"), "docker-blobs": lambda: mi.archive(LAYERS, "docker-blobs")}


@pytest.mark.parametrize("how", ["cut", "flip"])
@pytest.mark.parametrize("shape", SHAPES)
def test_damage(shape, how, db, tmp_path):
    """A damaged image gives an error or the very same packages."""
    data, images = SHAPES[shape](), []
    (tmp_path / "whole").write_bytes(data)
    want = scan(db, tmp_path / "whole").json()["packages"]
    names = lambda packages: sorted((p["name"], p["version"]) for p in packages)
    for i, bad in enumerate(damaged(data, 25 if SANITIZED else 80, how)):
        images.append(tmp_path / f"{how}-{i}")
        images[-1].write_bytes(bad)
    for image, r in zip(images, results(db, images)):
        if r.code == 1:
            assert_refused(r, image)
        else:
            assert names(r.json()["packages"]) == names(want), image


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_damaged_aci(how, db, tmp_path):
    """Nothing names an ACI's bytes, so gzip's checksum is what guards them."""
    manifest = mi.dump({"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.test/image"})
    data = gzip.compress(mi.tar([("manifest", manifest)] + [("rootfs/" + n, w) for n, w in LAYERS[0]]), mtime=0)
    images = []
    for i, bad in enumerate(damaged(data[10:], 30 if SANITIZED else 100, how)):
        images.append(tmp_path / f"{how}-{i}")
        images[-1].write_bytes(data[:10] + bad)
    for image, r in zip(images, results(db, images)):
        try:
            same = gzip.decompress(image.read_bytes()) == gzip.decompress(data)  # another distance to an equal string
        except (OSError, EOFError, zlib.error):
            same = False
        if same:
            assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS
        else:
            assert_refused(r, image)
