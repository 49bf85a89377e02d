"""The same image in every shape gives the same answer; layers are put together as a container engine does it."""
import itertools
import json
import os
import shutil
import tarfile

import helpers
import make_images as mi
import pytest
from helpers import assert_refused, rows, scan

LAYERS = mi.debian_layers() + mi.debian_layers()[1:]  # the last one twice: docker save makes it a link


@pytest.fixture(scope="module")
def reference(small_db_master, tmp_path_factory):
    """The findings of LAYERS as a plain docker-archive; they are what the feed's comments say."""
    folder = tmp_path_factory.mktemp("reference")
    image = folder / "image.tar"
    image.write_bytes(mi.archive(LAYERS))
    report = scan(shutil.copy(small_db_master, folder), image).json()  # the master stays without layers
    assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS
    assert len(report["layers"]) == 3
    return rows(report)


def check(db, image, reference, **options):
    r = scan(db, image, **options)
    assert r.err == b""
    report = r.json()
    assert rows(report) == reference
    assert report["coverage"] == "full"
    assert report["distribution"]["namespace"] == "debian:12"
    return report


# ---- layouts and compressions ----

COMBINATIONS = [(layout, inner, "plain") for layout, inner in itertools.product(mi.ARCHIVES, mi.CODECS)]
COMBINATIONS += [(layout, "gzip", outer) for layout, outer in itertools.product(("docker", "oci"), mi.CODECS[1:])]


@pytest.mark.parametrize("layout,inner,outer", COMBINATIONS)
def test_layout(layout, inner, outer, db, tmp_path, reference):
    image = tmp_path / "image.bin"  # the name says nothing on purpose
    image.write_bytes(mi.pack(mi.archive(LAYERS, layout, inner), outer))
    check(db, image, reference)


@pytest.mark.parametrize("codec", mi.CODECS)
def test_oci_folder(codec, db, tmp_path, reference):
    report = check(db, mi.oci_folder(tmp_path / "image", LAYERS, codec), reference)
    assert [layer["digest"] for layer in report["layers"]] == [mi.sha256(mi.pack(mi.tar(x), codec)) for x in LAYERS]


def test_mixed_layers(db, tmp_path, reference):
    """Each layer may be compressed in its own way, whatever its media type says."""
    tars = [mi.tar(layer) for layer in LAYERS]
    names = ["a.tar", "b.tar", "c.tar"]
    packed = [mi.pack(t, c) for t, c in zip(tars, ("zstd", "plain", "xz"))]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.tar(list(zip(names, packed)) + mi.docker_tail(tars, names)))
    check(db, image, reference)


@pytest.mark.parametrize("depth", [1, 2])
def test_nested_index(depth, db, tmp_path, reference):
    check(db, mi.oci_folder(tmp_path / "image", LAYERS, nested=depth), reference)


def test_endless_index(db, tmp_path):
    """Indexes below indexes have an end."""
    assert_refused(scan(db, mi.oci_folder(tmp_path / "image", LAYERS, nested=200)), "index")


def test_platform(db, tmp_path, reference):
    """Of several manifests the one for this machine counts; the others' blobs need not be there."""
    kind, absent = "application/vnd.oci.image.manifest.v1+json", mi.sha256(b"absent")
    others = [{"mediaType": kind, "digest": absent, "size": 6, "platform": {"architecture": "s390x", "os": "linux"}},
              {"mediaType": kind, "digest": absent, "size": 6, "platform": {"architecture": "unknown", "os": "unknown"},
               "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}]
    check(db, mi.oci_folder(tmp_path / "image", LAYERS, others=others), reference)


def test_rootfs_folder(db, tmp_path):
    report = scan(db, mi.rootfs(tmp_path / "root", LAYERS[:2])).json()
    assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS
    assert report["distribution"]["namespace"] == "debian:12"


def test_rootfs_is_a_jail(db, tmp_path):
    """Links of a root file system lead nowhere outside it, and odd files do not stop the scan."""
    (tmp_path / "outside").write_bytes(mi.dpkg_status([("openssl", "0.1-1", None)]))
    for i, target in enumerate((tmp_path / "outside", "../../../../" + "../" * 20 + str(tmp_path / "outside"))):
        root = mi.rootfs(tmp_path / f"root{i}", [[("etc/os-release", mi.os_release()),
                                                  ("var/lib/dpkg/status", ("symlink", str(target)))]])
        os.mkfifo(root / "var/lib/dpkg/fifo")
        os.mkfifo(root / "etc/debian_version")
        assert scan(db, root, timeout=30).json()["packages"] == []


def test_rootfs_absolute_link(db, tmp_path):
    root = mi.rootfs(tmp_path / "root", [[("usr/lib/os-release", mi.os_release()),
                                          ("etc/os-release", ("symlink", "/usr/lib/os-release")),
                                          ("var/lib/dpkg/status", mi.dpkg_status())]])
    assert helpers.ids(scan(db, root).json()) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("layout,outer", [("docker", "plain"), ("docker", "zstd"), ("podman", "gzip"), ("oci", "plain"),
                                          ("docker-blobs", "xz")])
@pytest.mark.parametrize("pipe", [True, False], ids=["pipe", "file"])
def test_standard_input(layout, outer, pipe, db, tmp_path, reference):
    data = mi.pack(mi.archive(LAYERS, layout), outer)
    image = tmp_path / "image"
    image.write_bytes(data)
    if pipe:
        check(db, "-", reference, stdin=data)
    else:
        with image.open("rb") as f:
            check(db, "-", reference, stdin=f)


@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./", "/"])
def test_tar_dialects(fmt, prefix, db, tmp_path):
    deep = "usr/" + "share/" * 15 + "x" * 90
    layer = mi.tar([(prefix + name, what) for name, what in LAYERS[0] + [(deep, b"deep")]], fmt)
    image = tmp_path / "image.tar"
    image.write_bytes(mi.tar([("layer.tar", layer)] + mi.docker_tail([layer], ["layer.tar"])))
    assert helpers.ids(scan(db, image).json()) == helpers.SMALL_DEBIAN_IDS


# ---- digests ----

def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def tampered(files, digest):
    """The layout with one bit of the named blob turned, where that breaks no JSON and no tar header."""
    name = "blobs/sha256/" + digest[7:]
    data = files[name]
    at = data.index(b"amd64") if b"amd64" in data else len(data) // 2
    return files | {name: flip(data, at)}


@pytest.mark.parametrize("codec", mi.CODECS)
def test_wrong_layer_digest(codec, db, tmp_path):
    files = mi.oci_files(LAYERS, codec)
    digest = mi.sha256(mi.pack(mi.tar(LAYERS[0]), codec))
    image = tmp_path / "image.tar"
    image.write_bytes(mi.tar(list(tampered(files, digest).items())))
    assert_refused(scan(db, image), image, digest[7:19])
    image.write_bytes(mi.tar(list(files.items())))
    assert scan(db, image).code == 0  # the good one is not spoilt by the bad one


@pytest.mark.parametrize("layout,what", [("oci", "manifest"), ("oci", "index"), ("docker-blobs", "config"), ("docker", "config")])
def test_wrong_json_digest(layout, what, db, tmp_path):
    """Small files that are named by a digest and that we read; still JSON, still the same meaning."""
    if layout == "docker":
        members = mi.docker_members(LAYERS)
        name = next(n for n, _ in members if n.endswith(".json") and len(n) == 69)
    else:
        files = mi.docker_blobs_files(LAYERS) if layout == "docker-blobs" else mi.oci_files(LAYERS, nested=1)
        digest = json.loads(files["index.json"])["manifests"][0]["digest"]
        while what != "index" and "manifests" in (node := json.loads(files["blobs/sha256/" + digest[7:]])):
            digest = node["manifests"][0]["digest"]
        digest = node["config"]["digest"] if what == "config" else digest
        name, members = "blobs/sha256/" + digest[7:], list(files.items())
    image = tmp_path / "image.tar"
    image.write_bytes(mi.tar([(n, c + b" " if n == name else c) for n, c in members]))
    assert_refused(scan(db, image), image, name)


@pytest.mark.parametrize("layout", ["docker", "podman", "podman-links"])
def test_wrong_diff_id(layout, db, tmp_path):
    """In a docker-archive only the configuration says which bytes a layer has."""
    data = mi.archive(LAYERS, layout)
    at = data.index(b"0123456789abcdef" * 20)
    image = tmp_path / "image.tar"
    image.write_bytes(flip(data, at + 100))
    assert_refused(scan(db, image), image, mi.sha256(mi.tar(LAYERS[0]))[7:19])


# ---- putting layers together ----

STATUS = "var/lib/dpkg/status"
BASE = [("etc/os-release", mi.os_release()), (STATUS, mi.dpkg_status())]
FIXED = mi.dpkg_status([("openssl", "3.0.11-1~deb12u3", None)])
ALL = {"bsdutils", "clean", "libc6", "libssl3", "openssl", "zlib1g"}

FOLDS = {  # layers above BASE -> names of packages that are left
    "file removed": ([[("var/lib/dpkg/.wh.status", b"")]], set()),
    "folder removed": ([[("var/lib/.wh.dpkg", b"")]], set()),
    "parent removed": ([[(".wh.var", b"")]], set()),
    "opaque folder": ([[("var/lib/dpkg/", None), ("var/lib/dpkg/.wh..wh..opq", b"")]], set()),
    "opaque root": ([[(".wh..wh..opq", b""), ("etc/os-release", mi.os_release())]], set()),
    "opaque folder with a new file": ([[("var/lib/dpkg/.wh..wh..opq", b""), (STATUS, FIXED)]], {"openssl"}),
    "new file before the opaque mark": ([[(STATUS, FIXED), ("var/lib/dpkg/.wh..wh..opq", b"")]], {"openssl"}),
    "removed and written in one layer": ([[(STATUS, FIXED), ("var/lib/dpkg/.wh.status", b"")]], {"openssl"}),
    "removed, then written above": ([[("var/lib/.wh.dpkg", b"")], [(STATUS, FIXED)]], {"openssl"}),
    "replaced": ([[(STATUS, FIXED)]], {"openssl"}),
    "twice in one layer, the last counts": ([[(STATUS, mi.dpkg_status()), (STATUS, FIXED)]], {"openssl"}),
    "another file removed": ([[("var/lib/dpkg/.wh.status-old", b"")]], ALL),
    "a neighbour with the same beginning removed": ([[("var/lib/.wh.dpk", b"")]], ALL),
    "file in place of the parent": ([[("var/lib/dpkg", b"a file")]], set()),
    "folder in place of the file": ([[(STATUS + "/", None)]], set()),
    "aufs marks mean nothing": ([[("var/lib/.wh..wh.plnk", b""), ("var/lib/.wh..wh.aufs", b"")]], ALL),
    "hard link to its lower self": ([[("var/lib/dpkg/status-old", ("hardlink", STATUS))]], ALL),
    "status.d beside status": ([[("var/lib/dpkg/status.d/extra", mi.stanza("extra", "1", status="").replace("Status: \n", "")
                                  .encode()), ("var/lib/dpkg/status.d/extra.md5sums", b"00  usr/x\n")]], ALL | {"extra"}),
    "empty layer": ([[]], ALL),
    "names with parent steps": ([[("opt/../var/lib/dpkg/status", FIXED), ("../" + STATUS, FIXED)]], ALL),
}


@pytest.mark.parametrize("case", FOLDS)
def test_fold(case, db, tmp_path):
    layers, want = FOLDS[case]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([BASE] + layers))
    r = scan(db, image)
    report = r.json()
    assert {p["name"] for p in report["packages"]} == want
    assert len(report["layers"]) == 1 + len(layers)
    hidden = " in place of " in case  # what stands there cannot be read as a package list: not clean
    assert report["coverage"] == ("full" if want else "none" if hidden else "empty")
    assert r.code == (3 if hidden else 0)


LINKS = {  # where STATUS is a link; the last item: is there a package list at its end?
    "hard link in the same layer": ([[(STATUS + "-new", FIXED), (STATUS, ("hardlink", STATUS + "-new"))]], True),
    "name that nobody wants": ([[("opt/status", FIXED), (STATUS, ("symlink", "../../../opt/status"))]], True),
    "absolute link": ([[("opt/status", FIXED), (STATUS, ("symlink", "/opt/status"))]], True),
    "lower layer's file": ([[("opt/status", FIXED)], [(STATUS, ("symlink", "/opt/status"))]], True),
    "folder behind a link": ([[("usr/dpkg/status", FIXED), ("var/lib/.wh.dpkg", b"")],
                              [("var/lib/dpkg", ("symlink", "../../usr/dpkg"))]], True),
    "out of the image": ([[(STATUS, ("symlink", "../../../../../../../../etc/passwd"))]], False),
    "itself": ([[(STATUS, ("symlink", "status"))]], False),
    "circle": ([[(STATUS, ("symlink", "other")), ("var/lib/dpkg/other", ("symlink", "status"))]], False),
}


@pytest.mark.parametrize("case", LINKS)
def test_linked_list(case, db, tmp_path):
    """A link is followed to its end, or the image counts as not covered and says which link it was: never as clean."""
    layers, complete = LINKS[case]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([BASE] + layers))
    r = scan(db, image)
    report = r.json()
    if complete:
        assert r.code == 0, r.err
        assert [p["version"] for p in report["packages"]] == ["3.0.11-1~deb12u3"]
        assert report["coverage"] == "full"
    else:
        assert (r.code, report["coverage"], report["packages"]) == (3, "none", [])
        assert any("is a link to" in w for w in report["warnings"])
        assert not any("rpm" in w for w in report["warnings"]), report["warnings"]


def test_database_removed_is_told(db, tmp_path):
    """An image without packages because somebody deleted the list is not silently clean."""
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([BASE, [("var/lib/.wh.dpkg", b"")]]))
    warnings = scan(db, image).json()["warnings"]
    assert any("removed" in w for w in warnings), warnings


def test_upgrade_moves_the_layer(db, tmp_path):
    """Only what changed belongs to the upper layer."""
    upper = mi.dpkg_status([p if p[0] != "openssl" else ("openssl", "3.0.11-1~deb12u3", None) for p in mi.DPKG])
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([BASE, [(STATUS, upper)]]))
    report = scan(db, image).json()
    digests = [layer["digest"] for layer in report["layers"]]
    assert {p["name"]: digests.index(p["layer"]) for p in report["packages"]} == {n: int(n == "openssl") for n in ALL}
    assert ("openssl", "CVE-2024-0001") not in helpers.ids(report)
    assert ("libssl3", "CVE-2024-0001") in helpers.ids(report)


def test_distribution_upgrade(db, tmp_path):
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([BASE, [("etc/os-release", mi.os_release("debian", "13", "Debian GNU/Linux 13 (trixie)"))]]))
    report = scan(db, image).json()
    assert report["distribution"]["namespace"] == "debian:13"
    assert helpers.ids(report) == [("libssl3", "CVE-2024-0009"), ("openssl", "CVE-2024-0009")]


def test_usr_merged_apk_is_not_doubled(db, tmp_path):
    layer = [("lib", ("symlink", "usr/lib")), ("usr/lib/apk/db/installed", mi.apk_installed(mi.APK)),
             ("etc/os-release", mi.os_release("alpine", "3.20.3", "Alpine Linux v3.20"))]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([layer]))
    report = scan(db, image).json()
    assert len(report["packages"]) == 4
    assert helpers.ids(report) == helpers.SMALL_ALPINE_IDS


# ---- coverage ----

UNCOVERED = {
    "unknown distribution": [("etc/os-release", mi.os_release("unheardof", "1", "Unheard Of")), BASE[1]],
    "no distribution": BASE[1:],
    "no feed for it": [("etc/os-release", mi.os_release("ubuntu", "24.04", "Ubuntu 24.04")), BASE[1]],
    "no feed for this release": [("etc/os-release", mi.os_release("debian", "7", "Debian 7")), BASE[1]],
}


@pytest.mark.parametrize("case", UNCOVERED)
def test_not_covered_is_not_clean(case, db, tmp_path):
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([UNCOVERED[case]]))
    r = scan(db, image)
    assert r.code == 3
    report = r.json()
    assert (report["coverage"], report["findings"]) == ("none", [])
    assert {p["name"] for p in report["packages"]} == ALL
    assert report["warnings"]
    table = helpers.eclair("scan", image, "--db", db)
    assert table.code == 3 and b"not covered" in (table.out + table.err).lower()


@pytest.mark.parametrize("name", ["rpm-ubi8-bdb.docker.tar.zst", "rpm-sle15-bci-ndb.docker.tar.zst", "rpm-ubi9-layers.oci.tar"])
def test_rpm_without_a_feed(name, db):
    r = scan(db, helpers.need_data(f"images/{name}"))
    report = r.json()
    assert (r.code, report["coverage"]) == (3, "none")
    assert {p["kind"] for p in report["packages"]} == {"rpm"}


def test_rhel_has_its_own_name(db, tmp_path):
    """Which is CentOS over REST v1 alone (tests/server/test_namespaces.py)."""
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([[("etc/os-release", mi.os_release("rhel", "7.9", "Red Hat Enterprise Linux")),
                                   ("etc/redhat-release", b"Red Hat Enterprise Linux Server release 7.9 (Maipo)\n"), BASE[1]]]))
    distribution = scan(db, image).json()["distribution"]
    assert (distribution["namespace"], distribution["end_of_life"]) == ("rhel:7", "2024-06-30")


def desc(name, version, base=None):
    text = f"%NAME%\n{name}\n\n%VERSION%\n{version}\n\n" + (f"%BASE%\n{base}\n\n" if base else "") + "%ARCH%\nx86_64\n\n"
    return f"var/lib/pacman/local/{name}-{version}/desc", text.encode()


def test_pacman(db, tmp_path):
    """A folder for each package: an upgrade removes one and makes another. Arch has no feed here: not covered."""
    local = "var/lib/pacman/local/"
    base = [("etc/os-release", b"ID=arch\nPRETTY_NAME=\"Arch Linux\"\nBUILD_ID=rolling\n"), (local, None),
            (local + "ALPM_DB_VERSION", b"9\n"), (local + "bash-5.2.037-1/", None), desc("bash", "5.2.037-1"),
            (local + "bash-5.2.037-1/files", b"%FILES%\nusr/bin/bash\n"), desc("libgcc", "14.2.1-1", "gcc"), desc("tar", "1.35-2")]
    top = [(local + ".wh.bash-5.2.037-1", b""), desc("bash", "1:5.3-1"), (local + ".wh.tar-1.35-2", b"")]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([base, top]))
    r = scan(db, image)
    assert r.code == 3
    report = r.json()
    assert report["distribution"]["namespace"] == "arch"
    assert [(p["name"], p["version"], p["source"]) for p in report["packages"]] == [
        ("bash", "1:5.3-1", "bash"), ("libgcc", "14.2.1-1", "gcc")]
    layers = [layer["digest"] if isinstance(layer, dict) else layer for layer in report["layers"]]
    assert [layers.index(p["layer"]) for p in report["packages"]] == [1, 0]
    assert not [w for w in report["warnings"] if "pacman" in w or "layer" in w]


def test_pacman_folder(db, tmp_path):
    """The same from a folder: what is no package's folder there hides none."""
    local = "var/lib/pacman/local/"
    root = mi.rootfs(tmp_path / "root", [[("etc/os-release", b"ID=arch\n"), (local + "ALPM_DB_VERSION", b"9\n"),
                                          (local + "broken-1-1/files", b"%FILES%\n"), desc("bash", "5.2.037-1"), desc("tar", "1.35-2")]])
    report = scan(db, root).json()
    assert [(p["name"], p["version"]) for p in report["packages"]] == [("bash", "5.2.037-1"), ("tar", "1.35-2")]
    assert not [w for w in report["warnings"] if "pacman" in w]


def test_scratch_image(db, tmp_path):
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([[("program", b"\x7fELF")]]))
    r = scan(db, image)
    assert r.code == 0
    assert (r.json()["coverage"], r.json()["packages"], r.json()["findings"]) == ("empty", [], [])


def test_second_scan_is_the_same(db, small_image):
    first, second = scan(db, small_image), scan(db, small_image)
    assert (first.code, first.out, first.err) == (second.code, second.out, second.err)
