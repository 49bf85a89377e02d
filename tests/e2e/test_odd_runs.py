"""Odd circumstances: closed descriptors, slow pipes, stopped processes, a locked database, lying archives."""
import hashlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

import helpers
import make_images as mi
import pytest
from helpers import ECLAIR, assert_refused, eclair, environment, scan

CLEAN = [[("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", b"")]]


def shell(command, **more):
    return subprocess.run(["bash", "-c", command], capture_output=True, env=environment(ECLAIR=str(ECLAIR), **more), timeout=60)


def test_closed_output_is_an_error(db, small_image):
    r = shell(f'"$ECLAIR" scan --db {db} --format json {small_image} >&-')
    assert (r.returncode, r.stdout) == (1, b"")
    assert r.stderr == b"eclair: write to standard output: Bad file descriptor\n"


def test_closed_input_is_an_error(db):
    r = shell(f'"$ECLAIR" scan --db {db} - <&-')
    assert (r.returncode, r.stdout) == (1, b"")
    assert r.stderr.startswith(b"eclair: -: ")


def test_a_bad_stream_ends_at_once(db):
    """What is no image is refused while its giver still waits."""
    start = time.monotonic()
    with subprocess.Popen([ECLAIR, "scan", "--db", db, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment()) as p:
        p.stdin.write(b"this is not a tar. " * 5000)
        p.stdin.flush()
        assert p.wait(timeout=20) == 1
        assert b"not a tar" in p.stderr.read()
    assert time.monotonic() - start < 20


def test_a_slow_stream_is_read(db, small_image):
    image = small_image.read_bytes()
    with subprocess.Popen([ECLAIR, "scan", "--db", db, "--format", "json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment()) as p:
        for at in range(0, len(image), 7000):
            p.stdin.write(image[at:at + 7000])
            p.stdin.flush()
            time.sleep(0.01)
        p.stdin.close()
        assert helpers.ids(json.loads(p.stdout.read())) == helpers.SMALL_DEBIAN_IDS
        assert p.wait() == 0


def test_a_stopped_zygote_does_not_hold_the_end(db, small_image):
    """SIGSTOP to our own child after the image was read: the report is there, and the process ends."""
    image = small_image.read_bytes()
    with subprocess.Popen([ECLAIR, "scan", "--db", db, "--format", "json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment()) as p:
        p.stdin.write(image[:512])
        p.stdin.flush()
        children = f"/proc/{p.pid}/task/{p.pid}/children"
        while not (zygote := open(children).read().split()):
            time.sleep(0.01)
        while not open(f"/proc/{zygote[0]}/task/{zygote[0]}/children").read().split():
            time.sleep(0.01)  # until the worker runs
        os.kill(int(zygote[0]), signal.SIGSTOP)
        p.stdin.write(image[512:])
        p.stdin.close()
        assert helpers.ids(json.loads(p.stdout.read())) == helpers.SMALL_DEBIAN_IDS
        assert p.wait(timeout=20) == 0


def test_a_locked_database_does_not_cost_a_stream(db, small_image):
    lock = sqlite3.connect(db, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        r = scan(db, "-", stdin=small_image.read_bytes(), timeout=60)
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert r.code == 0
    assert r.err.count(b"\n") == 1 and b"the result is not stored" in r.err
    assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS


def poisoned(honest, clean):
    """An archive with the config of `honest`, whose layer is another one under its own blob name."""
    files = mi.docker_blobs_files(honest)
    blob = mi.tar(clean[0])
    files["blobs/sha256/" + mi.sha256(blob)[7:]] = blob
    manifest = json.loads(files["manifest.json"])
    manifest[0]["Layers"] = ["blobs/sha256/" + mi.sha256(blob)[7:]] * len(honest)
    files["manifest.json"] = mi.dump(manifest)
    return mi.tar(sorted(files.items()))


@pytest.mark.parametrize("codec", ["plain", "gzip"])
def test_a_lying_archive_poisons_nothing(codec, db, tmp_path):
    """The digest of a config must stand for the layers that the config names, and for no others."""
    honest = mi.debian_layers()
    lie, image = tmp_path / "lie.tar", tmp_path / "image.tar"
    lie.write_bytes(mi.pack(poisoned(honest, CLEAN), codec))
    image.write_bytes(mi.archive(honest, "docker-blobs"))
    assert_refused(scan(db, lie), "layer ", "uncompressed content is sha256:")
    assert helpers.ids(scan(db, image).json()) == helpers.SMALL_DEBIAN_IDS


def test_a_damaged_blob_is_told_as_such(db, tmp_path):
    folder = mi.oci_folder(tmp_path / "image", mi.debian_layers(), "gzip")
    for blob in (folder / "blobs/sha256").iterdir():
        data = bytearray(blob.read_bytes())
        if data[:2] == b"\x1f\x8b":
            data[len(data) // 2] ^= 0xff
            blob.write_bytes(data)
    assert_refused(scan(db, folder), "content is sha256:", "but the image names")


def test_text_of_an_image_is_clean_on_a_terminal(db, tmp_path):
    layer = [("etc/os-release", b'ID="x\x1b]0;owned\x07y"\nVERSION_ID=1\n'),
             ("var/lib/dpkg/status", b"Package: a\nStatus: install ok installed\nVersion: 1\n")]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([layer]))
    for form in ("json", "table"):
        r = eclair("scan", "--db", db, "--format", form, image)
        assert r.code == 3
        assert not set(r.err) & set(b"\x1b\x07") and r.err.count(b"\n") == (form == "json")
        assert form == "json" or not set(r.out) & set(b"\x1b\x07")


def test_one_layer_a_thousand_times(db, tmp_path):
    status = b"".join(b"Package: p%d\nStatus: install ok installed\nVersion: 1\n\n" % i for i in range(2000))
    layer = [("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", status)]
    text = mi.config([mi.tar(layer)] * 1000)
    name = hashlib.sha256(text).hexdigest() + ".json"
    image = tmp_path / "image.tar"
    image.write_bytes(mi.tar([("l.tar", mi.tar(layer)), (name, text),
                              ("manifest.json", mi.dump([{"Config": name, "Layers": ["l.tar"] * 1000}]))]))
    r = helpers.eclair_measured("scan", "--db", db, "--format", "json", image, files=tmp_path)
    report = json.loads(r.out)
    assert (r.code, len(report["layers"]), len(report["packages"])) == (0, 1000, 2000)
    assert r.peak < (400 if helpers.SANITIZED else 100) * helpers.MIB


def test_packages_of_another_manager_are_not_clean(db, tmp_path):
    apk = ("lib/apk/db/installed", b"P:musl\nV:1.2.5-r0\n\n")
    alone, beside = tmp_path / "alone.tar", tmp_path / "beside.tar"
    alone.write_bytes(mi.archive([[("etc/os-release", mi.os_release()), apk]]))
    beside.write_bytes(mi.archive(mi.debian_layers() + [[apk]]))
    r = scan(db, alone)
    assert (r.code, r.json()["coverage"]) == (3, "none")
    r = scan(db, beside)
    assert (r.code, r.json()["coverage"]) == (0, "full")
    assert b"1 of 7 packages are of another package manager" in r.err


def test_several_images_in_an_index(db, tmp_path):
    platform = {"architecture": mi.ARCHITECTURE, "os": "linux"}
    files = mi.oci_files(mi.debian_layers())
    index = json.loads(files["index.json"])
    other = mi.oci_files(CLEAN)
    index["manifests"] += json.loads(other["index.json"])["manifests"]
    assert all(m["platform"] == platform for m in index["manifests"])
    image = tmp_path / "image.tar"
    image.write_bytes(mi.tar(sorted((other | files | {"index.json": mi.dump(index)}).items())))
    r = scan(db, image)
    assert r.code == 0 and b"names 2 images: only the first is scanned" in r.err


def test_a_missing_image_makes_no_database(tmp_path):
    db = tmp_path / "new.db"
    assert_refused(scan(db, tmp_path / "absent.tar"), "absent.tar", "no such file")
    assert not db.exists()


def test_reason_survives_a_long_name(db, tmp_path):
    assert_refused(scan(db, tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 200)), "no such file")


def test_a_repeated_name_does_not_hide_a_layer(db, tmp_path):
    """In the old layout names come from the config alone: the second file must be read although it is called like the first."""
    base, more = [("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", b"")], [("var/lib/dpkg/status", mi.dpkg_status())]
    text = mi.config([mi.tar(base)] * 2)
    name = hashlib.sha256(text).hexdigest() + ".json"
    data = mi.tar([("0/layer.tar", mi.tar(base)), ("1/layer.tar", mi.tar(more)), (name, text),
                   ("manifest.json", mi.dump([{"Config": name, "Layers": ["0/layer.tar", "1/layer.tar"]}]))])
    for codec in ("plain", "gzip"):
        image = tmp_path / f"{codec}.tar"
        image.write_bytes(mi.pack(data, codec))
        fresh = tmp_path / f"{codec}.db"
        assert_refused(scan(fresh, image), "layer 2", "uncompressed content is sha256:")


def test_a_config_must_name_every_layer(db, tmp_path):
    files = mi.docker_blobs_files(mi.debian_layers())
    manifest = json.loads(files["manifest.json"])
    config = json.loads(files[manifest[0]["Config"]])
    config["rootfs"]["diff_ids"][0] = ""
    text = mi.dump(config)
    manifest[0]["Config"] = "blobs/sha256/" + mi.sha256(text)[7:]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.tar(sorted((files | {manifest[0]["Config"]: text, "manifest.json": mi.dump(manifest)}).items())))
    assert_refused(scan(db, image), "layer 1", "is not sha256")


def test_a_layer_of_an_oci_image_is_not_read_for_ever(db, tmp_path):
    """Its diff id is learned from the first archive that names it; from then on the file is not even needed."""
    oci, archive = tmp_path / "oci.tar", tmp_path / "archive.tar"
    oci.write_bytes(mi.archive(mi.debian_layers(), "oci", "gzip"))
    archive.write_bytes(mi.archive(mi.debian_layers(), "docker-blobs", "gzip"))
    assert scan(db, oci).code == 0
    assert scan(db, archive).code == 0
    with sqlite3.connect(db) as rows:
        assert rows.execute("SELECT count(*) FROM layer WHERE diff_id = x''").fetchone() == (0,)
    rows.close()


@pytest.mark.parametrize("release,code", [("ID=postmarketos\nID_LIKE=alpine\nVERSION_ID=24.06\n", 3), ("ID=alpine\nVERSION_ID=3.20.3\n", 0)])
def test_a_derivative_is_not_its_parent(release, code, db, tmp_path):
    layer = [("etc/os-release", release.encode()), ("etc/alpine-release", b"3.20.3\n"),
             ("lib/apk/db/installed", mi.apk_installed(mi.APK))]
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive([layer]))
    assert scan(db, image).code == code


@pytest.mark.parametrize("place", ["var", "var/lib/dpkg"])
@pytest.mark.parametrize("make", ["file", "fifo"])
def test_no_folder_where_one_is_wanted_is_not_clean(place, make, db, tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_bytes(mi.os_release())
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    if make == "fifo":
        os.mkfifo(root / place)
    else:
        (root / place).write_bytes(b"text")
    r = scan(db, root)
    assert (r.code, r.json()["coverage"]) == (3, "none")


def test_output_through_a_link_in_shared_memory(db, small_image):
    """/dev/shm is a file system like others: links there have names to write to."""

    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        real, link = os.path.join(folder, "real"), os.path.join(folder, "link")
        open(real, "w").write("OLD")
        os.symlink("real", link)
        assert eclair("scan", "--db", db, "--format", "json", "--output", link, small_image).code == 0
        assert helpers.ids(json.load(open(real))) == helpers.SMALL_DEBIAN_IDS
        assert os.path.islink(link)


def test_uncertain_findings_are_marked(db, tmp_path):
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive(mi.alpine_layers([("busybox", "1.36.1.-r2", "busybox")])))
    r = eclair("scan", "--db", db, image)
    assert b"1.36.1-r3 ?\n" in r.out and b"2 uncertain (?" in r.out


def test_under_own_limits(db, small_image):
    """Who runs it with less than a worker may have gets workers with that."""
    r = scan(db, small_image, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (300, 300)))
    assert r.code == 0, r.err
