"""The packages of rpm images and databases, row by row, against rpm itself; of NDB, which Debian's rpm cannot read, against a
second reader written here."""
import io
import posixpath
import struct
import subprocess
import tarfile
import zlib

import expected
import helpers
import make_images
import pytest

FORMAT = r"%{NAME}\t%{EPOCH}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\n"
FOLDERS = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
KINDS = {"Packages": "bdb_ro", "rpmdb.sqlite": "sqlite", "Packages.db": "ndb"}  # as rpm calls them
DATABASES = {"amazon-2.Packages": 103, "libuuid-bdb.Packages": 1, "ubi8.Packages": 178, "ubi9.rpmdb.sqlite": 181,
             "cbl-mariner-2.0.rpmdb.sqlite": 129}
IMAGES = {"rpm-amazonlinux2-bdb.docker.tar.zst": 103, "rpm-photon3.docker.tar.zst": 32,
          "rpm-ubi8-bdb.docker.tar.zst": 178, "rpm-ubi9-layers.oci.tar": 183}
NDB_IMAGE = "rpm-sle15-bci-ndb.docker.tar.zst"


def package(name, epoch, version, release, arch, source_rpm):
    """A row as éclair prints it."""
    known = epoch not in ("(none)", None)
    evr = f"{epoch}:{version}-{release}" if known else f"{version}-{release}"
    source, source_evr = name, evr
    if source_rpm not in ("(none)", None):
        source, v, r = source_rpm.removesuffix(".rpm").rsplit(".", 1)[0].rsplit("-", 2)
        source_evr = evr if (v, r) == (version, release) else f"{v}-{r}"
    return name, evr, arch, source, source_evr


def rows(report):
    return sorted((p["name"], p["version"], p["arch"], p["source"], p["source_version"]) for p in report["packages"])


def listed_by_rpm(folder, kind):
    """rpm writes beside a database what it makes of it: so `folder` is a copy."""
    out = subprocess.run(["rpm", "--dbpath", folder, "--define", f"_db_backend {kind}", "-qa", "--qf", FORMAT],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    return sorted(package(*line.split("\t")) for line in out.splitlines() if not line.startswith("gpg-pubkey\t"))


def databases_of(image):
    """Content by path, of each path the uppermost: the images here have no whiteouts of them."""
    found = {}
    for layer in expected.image_layers(image):
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for m in archive:
                path = m.name.removeprefix("./")
                if m.isfile() and posixpath.dirname(path) in FOLDERS and posixpath.basename(path) in KINDS:
                    found[path] = archive.extractfile(m).read()
    return found


def scan(tmp_path, image):
    result = helpers.scan(tmp_path / "eclair.db", image)
    report = result.json()
    assert (result.code, report["coverage"]) == (3, "none")  # no feed is loaded: the packages are listed all the same
    assert not any("rpm" in w for w in report["warnings"]), report["warnings"]
    return report


@pytest.mark.parametrize("name", DATABASES)
def test_database(name, tmp_path, record):
    content = expected.unpacked(helpers.need_data(f"rpmdb/{name}.zst").read_bytes())
    base = next(b for b in KINDS if name.endswith("." + b))
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / base).write_bytes(content)
    want = listed_by_rpm(folder, KINDS[base])
    assert len(want) == DATABASES[name]
    for place in FOLDERS:
        image = tmp_path / "image.tar"
        image.write_bytes(make_images.archive([[("etc/os-release", make_images.os_release("rhel", "9", "RHEL 9")),
                                                (f"{place}/{base}", content)]]))
        report = scan(tmp_path, image)
        assert rows(report) == want
    record((name, len(want), 0, 0, 0))


@pytest.mark.parametrize("name", IMAGES)
def test_image(name, tmp_path, record):
    image = helpers.need_data(f"images/{name}")
    (path, content), = databases_of(image).items()
    base = posixpath.basename(path)
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / base).write_bytes(content)
    want = listed_by_rpm(folder, KINDS[base])
    assert len(want) == IMAGES[name]
    assert rows(scan(tmp_path, image)) == want
    record((name, len(want), 0, 0, 0))


# ---- NDB ----

def ndb_headers(data):
    magic, version, _, pages = struct.unpack_from("<4s3I", data)
    assert (magic, version) == (b"RpmP", 0)
    for at in range(32, pages * 4096, 16):
        magic, index, block, blocks = struct.unpack_from("<4s3I", data, at)
        assert magic == b"Slot"
        if index and block:
            blob = data[16 * block:16 * (block + blocks)]
            magic, owner, _, length = struct.unpack_from("<4s3I", blob)
            total, length_again, end = struct.unpack("<2I4s", blob[-12:])
            assert (magic, owner, end, length_again) == (b"BlbS", index, b"BlbE", length)
            assert zlib.adler32(blob[:-12]) == total
            yield blob[16:16 + length]


def header_tags(blob):
    """Texts and numbers by tag; entries behind the region come last and so win."""
    count, size = struct.unpack_from(">2I", blob)
    data = blob[8 + 16 * count:]
    assert len(data) == size
    tags = {}
    for i in range(count):
        tag, kind, at, _ = struct.unpack_from(">4I", blob, 8 + 16 * i)
        if kind in (6, 9):
            tags[tag] = data[at:data.index(b"\0", at)].decode()
        elif kind == 4:
            tags[tag] = struct.unpack_from(">I", data, at)[0]
    return tags


def test_ndb(tmp_path, record):
    image = helpers.need_data(f"images/{NDB_IMAGE}")
    (path, content), = databases_of(image).items()
    assert path.endswith("/Packages.db")
    tags = [header_tags(blob) for blob in ndb_headers(content)]
    want = sorted(package(t[1000], t.get(1003), t[1001], t[1002], t[1022], t.get(1044)) for t in tags
                  if t[1000] != "gpg-pubkey")
    assert len(want) == 35
    assert rows(scan(tmp_path, image)) == want
    record((NDB_IMAGE, len(want), 0, 0, 0))
