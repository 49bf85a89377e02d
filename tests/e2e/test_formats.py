"""Image formats beyond the usual: platforms, descriptors that lie, foreign layers, ACIs, skopeo's folders, odd gzip and zstd."""
import gzip
import json
import struct
import zlib
from pathlib import Path

import helpers
import make_images as mi
import pytest
from helpers import assert_refused, scan

LAYERS = mi.debian_layers()
KIND = "application/vnd.oci.image."
OTHER = next(a for a in ("s390x", "arm64") if a != mi.ARCHITECTURE)


def names(report):
    return {p["name"] for p in report["packages"]}


def debian(package):
    return [[("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", mi.dpkg_status([(package, "1", None)]))]]


class Layout:
    """An OCI layout in the making: blobs, then an index of what is named."""

    def __init__(self):
        self.files = {"oci-layout": mi.dump({"imageLayoutVersion": "1.0.0"})}

    def blob(self, data, kind, **more):
        self.files["blobs/sha256/" + mi.sha256(data)[7:]] = data
        return mi.descriptor(data, KIND + kind, **more)

    def manifest(self, layers, platform=None, change=None, says=True, config=None, blobs=None):
        """Its descriptor. `platform` stands in the config, and with `says` also in the descriptor; `change` edits the manifest."""
        tars = [mi.tar(layer) for layer in layers]
        text = json.loads(mi.config(tars)) | (platform or {}) | (config or {})
        manifest = {"schemaVersion": 2, "mediaType": KIND + "manifest.v1+json", "config": self.blob(mi.dump(text), "config.v1+json"),
                    "layers": [self.blob(b, "layer.v1.tar") for b in blobs or tars]}
        if change:
            change(manifest)
        more = {"platform": platform} if platform and says else {}
        return self.blob(mi.dump(manifest), "manifest.v1+json", **more)

    def index(self, manifests):
        return self.blob(mi.dump({"schemaVersion": 2, "manifests": manifests}), "index.v1+json")

    def write(self, path, manifests, codec="plain"):
        self.files["index.json"] = mi.dump({"schemaVersion": 2, "manifests": manifests})
        if codec == "folder":
            for name, data in self.files.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(data)
        else:
            path.write_bytes(mi.pack(mi.tar(list(self.files.items())), codec))
        return path


def platform(text):
    parts = text.split("/")
    return {"os": parts[0], "architecture": parts[1]} | ({"variant": parts[2]} if len(parts) > 2 else {})


SHAPES = ("folder", "plain", "gzip")

# ---- platforms ----

THERE = ("linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7", "windows/amd64", "linux/s390x")


def many(path, says=True, nested=0, codec="plain"):
    layout = Layout()
    manifests = [layout.manifest(debian("for-" + p.replace("/", "-")), platform(p), says=says) for p in THERE]
    for _ in range(nested):
        manifests = [layout.index(manifests)]
    return layout.write(path, manifests, codec)


@pytest.mark.parametrize("says", [True, False], ids=["in the index", "in the config"])
@pytest.mark.parametrize("wish, want", [(p, p) for p in THERE] + [
    ("linux/arm64", "linux/arm64/v8"), ("linux/aarch64", "linux/arm64/v8"), ("linux/x86_64", "linux/amd64"),
    ("linux/arm", "linux/arm/v6"), ("linux/armhf", "linux/arm/v7"), ("linux/amd64/v1", "linux/amd64")])
def test_platform(wish, want, says, db, tmp_path):
    r = scan(db, many(tmp_path / "image", says, nested=1), "--platform", wish)
    assert names(r.json()) == {"for-" + want.replace("/", "-")}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nested", [0, 3])
def test_platform_shapes(shape, nested, db, tmp_path):
    image = many(tmp_path / "image", nested=nested, codec=shape)
    assert names(scan(db, image, "--platform", "linux/s390x").json()) == {"for-linux-s390x"}


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("wish", ["linux/ppc64le", "linux/arm/v5", "linux/arm64/v9", "plan9/amd64"])
def test_platform_that_is_not_there(wish, says, db, tmp_path):
    """The error lists what there is."""
    assert_refused(scan(db, many(tmp_path / "image", says), "--platform", wish), wish, *THERE)


@pytest.mark.parametrize("wish", ["", "linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x", "linux /amd64", "Linux/amd64"])
def test_platform_that_is_none(wish, db, small_image):
    assert_refused(scan(db, small_image, "--platform", wish), "--platform", code=2)


def test_platform_of_an_archive(db, small_image):
    """A docker-archive holds one platform: another one is not in it."""
    assert scan(db, small_image, "--platform", "linux/" + mi.ARCHITECTURE).code == 0
    assert_refused(scan(db, small_image, "--platform", "linux/" + OTHER), OTHER, mi.ARCHITECTURE)


def test_two_of_one_platform(db, tmp_path):
    layout, p = Layout(), platform("linux/arm64")
    image = layout.write(tmp_path / "image", [layout.manifest(debian(n), p) for n in ("one", "two")])
    report = scan(db, image, "--platform", "linux/arm64").json()
    assert names(report) == {"one"}
    assert any("2 images" in w for w in report["warnings"])


# ---- what descriptors say ----

LIES = {"more": lambda n: n + 1, "less": lambda n: n - 1, "zero": lambda n: 0, "negative": lambda n: -n, "huge": lambda n: 2**63,
        "beyond": lambda n: 10**40, "fraction": lambda n: n + 0.5, "text": str, "null": lambda n: None}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("what", ["manifest", "config", "layers"])
@pytest.mark.parametrize("lie", [*LIES, "missing"])
def test_size_lies(lie, what, shape, db, tmp_path):
    def change(d):
        if lie == "missing":
            del d["size"]
        else:
            d["size"] = LIES[lie](d["size"])
    layout, told = Layout(), []

    def edit(manifest):
        if what != "manifest":
            told.append(manifest[what] if what == "config" else manifest[what][1])
            change(told[0])
    d = layout.manifest(LAYERS, change=edit)
    if what == "manifest":
        told.append(d)
        change(d)
    image = layout.write(tmp_path / "image", [d], shape)
    r = scan(db, image)
    assert_refused(r, image)
    if lie in ("more", "less", "missing", "zero"):
        assert_refused(r, told[0]["digest"], *([told[0]["size"]] if lie != "missing" else []))


def test_size_lies_about_a_known_layer(db, tmp_path):
    """That the layer is in the database already does not make the manifest true."""
    def change(manifest):
        manifest["layers"][0]["size"] += 512
    layout = Layout()
    assert scan(db, layout.write(tmp_path / "good", [layout.manifest(LAYERS)])).code == 0
    layout = Layout()
    image = layout.write(tmp_path / "bad", [layout.manifest(LAYERS, change=change)])
    assert_refused(scan(db, image), "layer 1", len(mi.tar(LAYERS[0])) + 512)


@pytest.mark.parametrize("diff_ids, word", [([], "0 diff ids"), ([mi.sha256(b"")] * 3, "3 diff ids"), (["sha256:x", "md5:0"], "not sha256")])
def test_diff_ids(diff_ids, word, db, tmp_path):
    layout = Layout()
    d = layout.manifest(LAYERS, config={"rootfs": {"type": "layers", "diff_ids": diff_ids}})
    assert_refused(scan(db, layout.write(tmp_path / "image", [d])), word)


# ---- layers of other kinds ----

FOREIGN = ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", KIND + "layer.nondistributable.v1.tar+gzip"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_layer(kind, shape, db, tmp_path):
    """Absent it is left out and told, and the image is not clean; present it counts. Neither is mistaken for the other."""
    def change(manifest):
        manifest["layers"][1] |= {"mediaType": kind, "urls": ["https://example.test/layer"]}
    layout = Layout()
    d = layout.manifest(LAYERS, change=change)
    whole = layout.write(tmp_path / "whole", [d], shape)
    name = mi.sha256(mi.tar(LAYERS[1]))
    del layout.files["blobs/sha256/" + name[7:]]
    part = layout.write(tmp_path / "part", [d], shape)
    for _ in range(2):
        r = scan(db, part)
        assert r.code == 3
        report = r.json()
        assert any(name in w and "packages may be missing" in w for w in report["warnings"])
        assert (report["image"]["digest"], len(report["layers"])) == (d["digest"], 1)
        r = scan(db, whole)
        assert (r.code, len(r.json()["layers"]), r.json()["image"]["digest"]) == (0, 2, d["digest"])
        assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS


def test_absent_layer_is_an_error(db, tmp_path):
    layout = Layout()
    d = layout.manifest(LAYERS)
    name = mi.sha256(mi.tar(LAYERS[1]))[7:]
    del layout.files["blobs/sha256/" + name]
    assert_refused(scan(db, layout.write(tmp_path / "image", [d])), name)


def test_encrypted_layer(db, tmp_path):
    def change(manifest):
        manifest["layers"][0]["mediaType"] = KIND + "layer.v1.tar+gzip+encrypted"
    layout = Layout()
    assert_refused(scan(db, layout.write(tmp_path / "image", [layout.manifest(LAYERS, change=change)])), "layer 1 is encrypted")


def with_blobs(path, blobs, layers=LAYERS[:1]):
    layout = Layout()
    return layout.write(path, [layout.manifest(layers, blobs=blobs)])


def gzip_header(flags, *parts):
    return b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + b"".join(parts)


def gzip_with(flags, *parts):
    """A member whose optional header fields are written by hand (RFC 1952 2.3)."""
    head, data = gzip_header(flags, *parts), mi.tar(LAYERS[0])
    if flags & 2:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return head + packer.compress(data) + packer.flush() + struct.pack("<II", zlib.crc32(data), len(data))


EXTRA = struct.pack("<H", 26) + b"SG" + struct.pack("<H", 22) + b"0000000000000000STARGZ"  # as estargz's footer has it
SKIP = struct.pack("<II", 0x184D2A50, 5) + b"about"


def halves(codec):
    data = mi.tar(LAYERS[0])
    return [mi.pack(data[i:i + 4000], codec) for i in range(0, len(data), 4000)]


PACKINGS = {
    "gzip FEXTRA": lambda: gzip_with(4, EXTRA), "gzip FNAME": lambda: gzip_with(8, b"layer.tar\0"),
    "gzip FCOMMENT": lambda: gzip_with(16, b"a comment\0"), "gzip FHCRC": lambda: gzip_with(2),
    "gzip all fields": lambda: gzip_with(30, EXTRA, b"n\0", b"c\0"),
    "gzip long name": lambda: gzip_with(8, b"n" * 70000 + b"\0"),
    "gzip estargz": lambda: b"".join(halves("gzip")) + gzip_header(4, EXTRA) + b"\x01\0\0\xff\xff" + bytes(8),
    "gzip members": lambda: b"".join(halves("gzip")), "gzip padded": lambda: mi.pack(mi.tar(LAYERS[0]), "gzip") + bytes(10000),
    "zstd frames": lambda: b"".join(halves("zstd")), "zstd skippable first": lambda: SKIP + b"".join(halves("zstd")),
    "zstd chunked": lambda: b"".join(halves("zstd")) + SKIP * 3,
    "zstd skippable between": lambda: SKIP.join(halves("zstd")),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_packing(packing, db, tmp_path):
    assert helpers.ids(scan(db, with_blobs(tmp_path / "image", [PACKINGS[packing]()])).json()) == helpers.SMALL_DEBIAN_IDS


def test_garbage_behind_gzip(db, tmp_path):
    blob = mi.pack(mi.tar(LAYERS[0]), "gzip") + b"garbage"
    assert_refused(scan(db, with_blobs(tmp_path / "image", [blob])), "layer 1", "padding")


@pytest.mark.parametrize("blob", [bytes(1024), gzip.compress(bytes(1024), mtime=0)], ids=["plain", "gzip"])
def test_empty_layer(blob, db, tmp_path):
    image = with_blobs(tmp_path / "image", [mi.tar(LAYERS[0]), blob, mi.tar(LAYERS[1])], LAYERS + [[]])
    assert helpers.ids(scan(db, image).json()) == helpers.SMALL_DEBIAN_IDS


def test_layer_of_no_byte(db, tmp_path):
    assert_refused(scan(db, with_blobs(tmp_path / "image", [b""])), "size of layer 1", "0")


def test_no_layers(db, tmp_path):
    layout = Layout()
    r = scan(db, layout.write(tmp_path / "image", [layout.manifest([])]))
    assert (r.code, r.json()["coverage"], r.json()["layers"]) == (0, "empty", [])


def test_layer_twice(db, tmp_path):
    report = scan(db, with_blobs(tmp_path / "image", [mi.tar(LAYERS[0])] * 2, LAYERS)).json()
    assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS and len(report["layers"]) == 2


# ---- ACI ----

def aci(path, codec="plain", layer=LAYERS[0], **more):
    manifest = {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.test/image",
                "labels": [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}, {"name": "version", "value": "1"}]}
    members = [("manifest", mi.dump(manifest | more)), ("rootfs", None)] + [("rootfs/" + n, w) for n, w in layer]
    path.write_bytes(mi.pack(mi.tar(members), codec))
    return path


@pytest.mark.parametrize("codec", mi.CODECS)
def test_aci(codec, db, tmp_path):
    image = aci(tmp_path / "image.aci", codec)
    r = scan(db, image)
    report = r.json()
    assert (r.code, r.err, helpers.ids(report)) == (0, b"", helpers.SMALL_DEBIAN_IDS)
    assert report["image"]["digest"] == mi.sha256(image.read_bytes())
    assert [layer["digest"] for layer in report["layers"]] == [report["image"]["digest"]]
    assert scan(db, image).out == r.out


def test_aci_from_standard_input(db, tmp_path):
    with aci(tmp_path / "image.aci", "gzip").open("rb") as f:
        assert helpers.ids(scan(db, "-", stdin=f).json()) == helpers.SMALL_DEBIAN_IDS
    assert_refused(scan(db, "-", stdin=(tmp_path / "image.aci").read_bytes()), "pipe")


def test_aci_platform(db, tmp_path):
    image = aci(tmp_path / "image.aci")
    assert scan(db, image, "--platform", "linux/amd64").code == 0
    assert_refused(scan(db, image, "--platform", "linux/arm64"), "linux/arm64", "linux/amd64")


def test_aci_on_others(db, tmp_path):
    """What lies below it is not in the file: not clean."""
    r = scan(db, aci(tmp_path / "image.aci", dependencies=[{"imageName": "example.test/base"}]))
    assert r.code == 3 and any("stands on 1 other" in w for w in r.json()["warnings"])
    assert scan(db, aci(tmp_path / "image.aci")).code == 0


@pytest.mark.parametrize("more, words", [({"acKind": "PodManifest"}, ["PodManifest"]), ({"name": ""}, ["no name"]),
                                         ({"labels": 7}, ["manifest", "byte"]), ({"labels": ["x"]}, ["not an object"])])
def test_bad_aci(more, words, db, tmp_path):
    assert_refused(scan(db, aci(tmp_path / "image.aci", **more)), *words)


# ---- manifest.json as an object ----

def test_skopeo_folder(db, tmp_path):
    layout, folder = Layout(), tmp_path / "dir"
    d = layout.manifest(LAYERS)
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    for name, data in layout.files.items():
        if mi.sha256(data) == d["digest"]:
            (folder / "manifest.json").write_bytes(data)
        elif name.startswith("blobs/"):
            (folder / Path(name).name).write_bytes(data)
    report = scan(db, folder).json()
    assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS
    assert report["image"]["digest"] == d["digest"]


def test_several_saved_images(db, tmp_path):
    """The first is scanned, and a warning names them all."""
    def more(text):
        first = json.loads(text)[0]
        return mi.dump([first, first | {"RepoTags": ["example.test/second:2", "alias:1"]}, first | {"RepoTags": None}])
    members = [(n, more(w) if n == "manifest.json" else w) for n, w in mi.docker_members(LAYERS)]
    (tmp_path / "image").write_bytes(mi.tar(members))
    report = scan(db, tmp_path / "image").json()
    assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS
    assert any("3 images (example.test/image:1, example.test/second:2, one without a name)" in w for w in report["warnings"])


def test_archive_of_an_old_docker(db, tmp_path):
    members = [(n, w) for n, w in mi.docker_members(LAYERS) if n != "manifest.json"]
    (tmp_path / "image").write_bytes(mi.tar(members))
    assert_refused(scan(db, tmp_path / "image"), "before 1.10", "repositories")


def test_manifest_json_without_its_list(db, tmp_path):
    members = [(n, mi.dump(json.loads(w)[0]) if n == "manifest.json" else w) for n, w in mi.docker_members(LAYERS)]
    (tmp_path / "image").write_bytes(mi.tar(members))
    assert helpers.ids(scan(db, tmp_path / "image").json()) == helpers.SMALL_DEBIAN_IDS
