"""Images that are unusual but right, or wrong in a way that must not look clean: folders, sparse archives, odd names, outputs."""
import ctypes
import gzip
import os
import socket
import stat
import struct
import subprocess
import tarfile
import time

import helpers
import make_images as mi
import pytest
from helpers import MIB, assert_refused, eclair, scan

LAYERS = mi.debian_layers()
STATUS = "var/lib/dpkg/status"
GIB = 1024 * MIB

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody, or make a device")


def found(report):
    return helpers.ids(report.json())


# ---- root file systems ----

@pytest.fixture
def root(tmp_path):
    folder = mi.rootfs(tmp_path / "root", LAYERS)
    (folder / "etc").chmod(0o755)
    return folder


@as_root
@pytest.mark.parametrize("path", ["var/lib/dpkg", STATUS, "var", "etc", "var/lib/dpkg/status.d"])
def test_folder_of_somebody_else(path, root, db, tmp_path):
    """What nobody may read is no empty package list."""
    (root / "var/lib/dpkg/status.d").mkdir()
    for folder in (root, *root.parents[:4]):
        folder.chmod(0o755)
    db.chmod(0o644)
    (root / path).chmod(0o700 if (root / path).is_dir() else 0o600)
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    own = home / "eclair.db"
    own.write_bytes(db.read_bytes())
    own.chmod(0o666)
    r = scan(own, root, user=65534, group=65534, extra_groups=[])
    assert_refused(r, root, path, "Permission denied")


def broken(kind, path):
    path.unlink(missing_ok=True)
    if kind == "dangling link":
        path.symlink_to("status-gone")
    elif kind == "link out of the root":
        path.symlink_to("/etc/no-such-file")
    elif kind == "link loop":
        path.symlink_to("status")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            here = os.getcwd()
            os.chdir(path.parent)
            s.bind(path.name)
            os.chdir(here)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["dangling link", "link out of the root", "link loop", "pipe", "folder", "socket",
                                  pytest.param("device", marks=as_root)])
def test_package_list_is_no_file(kind, root, db):
    """It is there, it cannot be read: not covered, and a warning names it."""
    broken(kind, root / STATUS)
    r = scan(db, root)
    assert r.code == 3, (r.code, r.err)
    assert STATUS in " ".join(r.json()["warnings"])


@pytest.mark.parametrize("link", ["var/lib/dpkg", "var/lib", "var", "var/lib/dpkg/status.d"])
def test_folder_is_a_link_to_nowhere(link, root, db):
    if link == "var/lib/dpkg/status.d":
        (root / link).symlink_to("gone")
    else:
        (root / link).rename(root / "elsewhere")
        (root / link).symlink_to("/gone")
    r = scan(db, root)
    assert r.code == 3, (r.code, r.err)
    assert link in " ".join(r.json()["warnings"])


@pytest.mark.parametrize("link, target", [("var/lib/dpkg", "/elsewhere"), ("var/lib", "../elsewhere"), ("var", "elsewhere"),
                                          (STATUS, "../../../../../../elsewhere")])
def test_links_inside_the_root(link, target, root, db):
    (root / link).rename(root / "elsewhere")
    (root / link).symlink_to(target)
    assert found(scan(db, root)) == helpers.SMALL_DEBIAN_IDS


def test_folders_that_are_not_there_behind_a_link(root, db):
    """lib -> usr/lib, and no lib/apk: nothing is missing."""
    (root / "lib").symlink_to("usr/lib")
    r = scan(db, root)
    assert found(r) == helpers.SMALL_DEBIAN_IDS
    assert r.code == 0


def test_a_file_where_a_folder_may_be(root, db):
    """What stands in the way of a package list may hide one."""
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/lib/apk").write_bytes(b"a file")
    r = scan(db, root)
    assert found(r) == helpers.SMALL_DEBIAN_IDS
    assert (r.code, r.json()["coverage"]) == (3, "none")


@pytest.mark.parametrize("size", [9 * GIB, 256 * MIB + 1])
def test_huge_package_list(size, root, db):
    os.truncate(root / STATUS, size)
    begin = time.monotonic()
    assert_refused(scan(db, root), root, STATUS, size)
    assert time.monotonic() - begin < 5


def test_huge_rpm_database(root, db):
    (root / "var/lib/rpm").mkdir()
    (root / "var/lib/rpm/Packages").touch()
    os.truncate(root / "var/lib/rpm/Packages", 9 * GIB)
    begin = time.monotonic()
    assert_refused(scan(db, root), root, "var/lib/rpm/Packages", 9 * GIB)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("name", ["n" * 77, "n" * 79, "n" * 255, ".hidden", "..", "...", "caf\xe9", "a b"])
def test_names_of_package_files(name, root, db):
    (root / "var/lib/dpkg/status.d").mkdir()
    if name != "..":
        (root / "var/lib/dpkg/status.d" / name).write_bytes((root / STATUS).read_bytes())
        (root / STATUS).unlink()
    assert found(scan(db, root)) == helpers.SMALL_DEBIAN_IDS


def test_long_link_target(root, db):
    target = "./" * 120 + "gone"
    (root / STATUS).unlink()
    (root / STATUS).symlink_to(target)
    r = scan(db, root)
    assert r.code == 3 and target in " ".join(r.json()["warnings"])


def test_same_folder_same_digest(root, db, tmp_path):
    other = mi.rootfs(tmp_path / "other", LAYERS)
    os.utime(other / STATUS, (1, 1))
    (other / STATUS).chmod(0o600)
    assert scan(db, root).json()["image"]["digest"] == scan(db, other).json()["image"]["digest"]


def without_openat2():
    """As an old kernel: ENOSYS (seccomp(2), struct sock_filter)."""
    openat2, errno_enosys, allow = 437, 0x00050000 | 38, 0x7FFF0000
    code = b"".join(struct.pack("=HBBI", *i) for i in (
        (0x20, 0, 0, 0), (0x15, 0, 1, openat2), (0x06, 0, 0, errno_enosys), (0x06, 0, 0, allow)))
    keep = ctypes.create_string_buffer(code)
    program = struct.pack("@HxxxxxxP", 4, ctypes.addressof(keep))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def test_old_kernel(root, db):
    assert_refused(scan(db, root, preexec_fn=without_openat2), root, "openat2")


# ---- archives ----

def write(path, data):
    path.write_bytes(data)
    return path


def test_sparse_archive(db, tmp_path):
    """tar -S over the files of an image: what is stored of a layer is less than the layer."""
    folder = mi.rootfs(tmp_path / "files", [mi.docker_members([[("opt/zeros", bytes(4 * MIB))], *LAYERS])])
    subprocess.run(["cp", "-r", "--sparse=always", folder, tmp_path / "holes"], check=True)
    for n, options in enumerate((["-H", "gnu"], *(["-H", "pax", "--sparse-version=" + v] for v in ("0.0", "0.1", "1.0")))):
        image = tmp_path / f"sparse-{n}.tar"
        subprocess.run(["tar", "--sparse", "--hole-detection=raw", *options, "-cf", image, "-C", tmp_path / "holes", "."], check=True)
        assert image.stat().st_size < MIB
        assert found(scan(db, image)) == helpers.SMALL_DEBIAN_IDS


def test_members_of_unknown_kind(db, tmp_path):
    """Their content is passed over by its stored size."""
    info = tarfile.TarInfo("unknown")
    info.type, info.size = b"!", 700
    odd = info.tobuf() + b"x" * 1024
    assert found(scan(db, write(tmp_path / "odd.tar", odd + mi.archive(LAYERS)))) == helpers.SMALL_DEBIAN_IDS


def sparse_bomb(name, size):
    """A pax sparse member of which nothing is stored."""
    info = tarfile.TarInfo(name)
    info.pax_headers = {"GNU.sparse.size": str(size), "GNU.sparse.map": f"{size},0"}
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize("count, size", [(1, 8 * GIB), (40, GIB)])
def test_sparse_bomb(count, size, db, tmp_path):
    """Bytes that are not there cost no time; as no layer of the image they do not disturb it."""
    bombs = b"".join(sparse_bomb(f"bomb-{i}", size) for i in range(count))
    image = write(tmp_path / "bomb.tar.gz", gzip.compress(bombs + mi.archive(LAYERS)))
    begin = time.monotonic()
    assert found(scan(db, image)) == helpers.SMALL_DEBIAN_IDS
    assert time.monotonic() - begin < (30 if helpers.SANITIZED else 5)
    tail = mi.docker_tail([b""], ["bomb-0"])
    image.write_bytes(gzip.compress(sparse_bomb("bomb-0", 8 * GIB) + mi.tar(tail)))
    assert_refused(scan(db, image), image, "bomb-0", "sparse")


def test_names_that_fill_the_memory(db, tmp_path):
    """40,000 members whose names and targets are 7 KiB each."""
    info = tarfile.TarInfo("n" * 3000)
    info.type, info.linkname = tarfile.SYMTYPE, "t" * 4000
    image = write(tmp_path / "names.tar.gz", gzip.compress(info.tobuf(tarfile.GNU_FORMAT) * 1000, mtime=0) * 40)
    assert_refused(scan(db, image), image, "more than 256 MiB")


def test_long_tail(db, tmp_path):
    """What follows the end of an archive is not read."""
    image = write(tmp_path / "long.tar", mi.archive(LAYERS))
    os.truncate(image, 4 * GIB)
    begin = time.monotonic()
    assert found(scan(db, image)) == helpers.SMALL_DEBIAN_IDS
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("change, words", [
    (lambda d: d[:1024] + b"\xff" + d[1025:], ["wrong checksum", "header at byte 1024"]),
    (lambda d: d[:1300], ["truncated header", "header at byte 1024"])])
def test_bad_second_member(change, words, db, tmp_path):
    data = mi.tar([("a", b"x"), ("b", b"y")])
    image = write(tmp_path / "bad.tar", change(data))
    r = scan(db, image)
    assert_refused(r, image, *words)
    assert b"not a tar" not in r.err


def docker_archive(layer_name, what, listed=None, indent=b""):
    """One layer under a name of choice, which the manifest may write in another way."""
    tail = mi.docker_tail([what], [listed or layer_name])
    return mi.tar([(layer_name, what)] + [(n, indent + c if n == "manifest.json" else c) for n, c in tail])


PACKED = {"plain": bytes, "gzip": gzip.compress}


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("blanks", [b"\n", b" \t\r\n", b"\n" * 3000])
def test_manifest_behind_blanks(blanks, codec, db, tmp_path):
    data = docker_archive("l/layer.tar", mi.tar(LAYERS[0]), indent=blanks)
    assert found(scan(db, write(tmp_path / "image", PACKED[codec](data)))) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("first", ["[", "{", "[]", " {", "{.tar"])
def test_layer_begins_like_json(first, codec, db, tmp_path):
    data = docker_archive("l/layer.tar", mi.tar([(first, b"/usr/bin/test")] + LAYERS[0]))
    assert found(scan(db, write(tmp_path / "image", PACKED[codec](data)))) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("listed", ["./0/layer.tar", "/0/layer.tar", "0//layer.tar", "x/../0/./layer.tar", "../0/layer.tar"])
def test_paths_in_the_manifest(listed, codec, db, tmp_path):
    data = docker_archive("0/layer.tar", mi.tar(LAYERS[0]), listed)
    assert found(scan(db, write(tmp_path / "image", PACKED[codec](data)))) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("codec", PACKED)
def test_standard_input_stands_behind_something(codec, db, tmp_path):
    data = b"#!/bin/sh\n" * 77
    image = write(tmp_path / "image", data + PACKED[codec](mi.archive(LAYERS)))
    with image.open("rb") as f:
        os.lseek(f.fileno(), len(data), os.SEEK_SET)
        assert found(scan(db, "-", stdin=f)) == helpers.SMALL_DEBIAN_IDS


def test_slow_standard_input(db):
    """A writer that pauses costs nothing but the pause."""
    data = gzip.compress(mi.archive(LAYERS))
    with subprocess.Popen([helpers.ECLAIR, "scan", "-", "--db", db, "--format", "json"], env=helpers.environment(),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        for part in (data[:100], data[100:1000], data[1000:]):
            p.stdin.write(part)
            p.stdin.flush()
            time.sleep(0.2)
        out, _ = p.communicate(timeout=60)
    assert helpers.ids(helpers.Result(p.returncode, out, b"", 0).json()) == helpers.SMALL_DEBIAN_IDS


def test_bad_bytes_of_a_slow_writer(db):
    """The failure is told at once, not when the writer has more to say."""
    with subprocess.Popen([helpers.ECLAIR, "scan", "-", "--db", db], env=helpers.environment(), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdin.write(b"no tar at all " * 100)
        p.stdin.flush()
        assert p.wait(timeout=30) == 1
        assert b"not a tar" in p.stderr.read()


def test_empty(db, tmp_path):
    image = write(tmp_path / "empty.tar", b"")
    assert_refused(scan(db, image), f"{image}: is empty")
    assert_refused(scan(db, "-"), "is empty")
    with image.open("rb") as f:
        assert_refused(scan(db, "-", stdin=f), "is empty")


# ---- outputs ----

def report(db, image, out, **options):
    return eclair("scan", image, "--db", db, "--format", "json", "--output", out, **options)


@pytest.mark.parametrize("before", [None, b"old"])
def test_output_is_a_link(before, db, small_image, tmp_path):
    """The link stays; the file behind it is made or replaced, whole."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    target, link = tmp_path / "b/report.json", tmp_path / "a/link"
    link.symlink_to("../a/second")
    (tmp_path / "a/second").symlink_to("../b/report.json")
    if before is not None:
        target.write_bytes(before)
        inode = target.stat().st_ino
    r = report(db, small_image, link)
    assert (r.code, r.out, r.err) == (0, b"", b"")
    assert link.is_symlink() and (tmp_path / "a/second").is_symlink()
    assert target.read_bytes() == scan(db, small_image).out
    assert before is None or target.stat().st_ino != inode
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["report.json"]


def test_output_link_loop(db, small_image, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert_refused(report(db, small_image, tmp_path / "loop"), "loop")
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize("name", ["/dev/fd/1", "/proc/self/fd/1", "link"])
def test_output_to_standard_output(name, db, small_image, tmp_path):
    """What is open is written to, and a >> keeps what it has. Not with /dev/stdout: a bug would replace the machine's own."""
    want = scan(db, small_image).out
    (tmp_path / "link").symlink_to("/dev/fd/1")
    out = write(tmp_path / "log", b"before\n")
    assert report(db, small_image, tmp_path / name).out == want
    with out.open("ab") as f:
        assert report(db, small_image, tmp_path / name, stdout=f).code == 0
    assert out.read_bytes() == b"before\n" + want
    with out.open("wb") as f:
        assert report(db, small_image, tmp_path / name, stdout=f).code == 0
    assert out.read_bytes() == want
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["eclair.db", "link", "log"]


def test_output_to_a_pipe(db, small_image, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as cat:
        assert report(db, small_image, tmp_path / "pipe").code == 0
        assert cat.communicate(timeout=30)[0] == scan(db, small_image).out
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_output_with_a_long_name(db, small_image, tmp_path):
    assert report(db, small_image, tmp_path / ("n" * 255)).code == 0
    assert_refused(report(db, small_image, tmp_path / ("n" * 256)), "too long")


BAD_OUTPUTS = {"folder": (".", 2), "missing parent": ("gone/report", 1), "parent is a file": ("file/report", 1),
               "no name": ("", 1), "ends with a slash": ("new/", 1), "link to a folder": ("link", 2)}


@pytest.mark.parametrize("case", BAD_OUTPUTS)
def test_bad_output_is_told_before_the_scan(case, db, tmp_path, monkeypatch):
    """So the image that is not there is never looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    out, code = BAD_OUTPUTS[case]
    assert_refused(report(db, tmp_path / "absent.tar", out), "--output " + out, code=code)


@as_root
def test_output_without_permission(db, tmp_path):
    r = subprocess.run([helpers.ECLAIR, "scan", "/absent.tar", "--db", "/absent/db", "--output", "/etc/report"], user=65534,
                       group=65534, extra_groups=[], env=helpers.environment(), capture_output=True)
    assert r.returncode == 1 and b"--output /etc/report: Permission denied" in r.stderr
