"""Links at wanted places that lead to where nobody would look: followed inside the image, whatever layer and order its target is in."""
import io
import gzip

import make_images as mi
import pytest
from helpers import assert_refused, eclair, ids, scan

STATUS, RELEASE = mi.dpkg_status(), mi.os_release()

OS = [("etc/os-release", RELEASE)]
CASES = {
    "link first": [OS + [("var/lib/dpkg", ("symlink", "/zz/db")), ("zz/db/status", STATUS)]],
    "target first": [OS + [("aa/db/status", STATUS), ("var/lib/dpkg", ("symlink", "../../aa/db"))]],
    "file by another name": [OS + [("aa/list", STATUS), ("var/lib/dpkg/status", ("symlink", "../../../aa/list"))]],
    "hard link by another name": [OS + [("aa/list", STATUS), ("var/lib/dpkg/status", ("hardlink", "aa/list"))]],
    "target in a lower layer": [OS + [("aa/status", STATUS)], [("var/lib/dpkg", ("symlink", "/aa"))]],
    "target in an upper layer": [OS + [("var/lib/dpkg", ("symlink", "/aa"))], [("aa/status", STATUS)]],
    "all of var": [OS + [("data/lib/dpkg/status", STATUS), ("var", ("symlink", "data"))]],
    "a link to a link": [OS + [("a/b/status", STATUS), ("c", ("symlink", "a")), ("var/lib/dpkg", ("symlink", "/c/b"))]],
    "a file behind three links": [OS + [("a/x", STATUS), ("b", ("symlink", "a/x")), ("c", ("symlink", "b")),
                                        ("var/lib/dpkg/status", ("symlink", "../../../c"))]],
    "the release file": [[("opt/release", RELEASE), ("etc/os-release", ("symlink", "../opt/release")),
                          ("var/lib/dpkg/status", STATUS)]],
    "replaced above": [OS + [("aa/status", b"Package: old\nStatus: install ok installed\nVersion: 1\n"),
                             ("var/lib/dpkg", ("symlink", "/aa"))], [("aa/status", STATUS)]],
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "image.tar"
    path.write_bytes(mi.archive([OS + [("var/lib/dpkg/status", STATUS)]]))
    return path


def shown(report):
    return ([(p["name"], p["version"]) for p in report["packages"]], ids(report), report["coverage"], report["warnings"],
            report["distribution"])


def forms(layers, tmp_path):
    """The image as a plain archive, a compressed one, and a folder."""
    archive = mi.archive(layers, "docker-blobs", "gzip")
    (tmp_path / "plain.tar").write_bytes(archive)
    (tmp_path / "packed.tar.gz").write_bytes(gzip.compress(archive, 1))
    folder = tmp_path / "layout"
    for name, content in mi.oci_files(layers).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return tmp_path / "plain.tar", tmp_path / "packed.tar.gz", folder


@pytest.mark.parametrize("case", CASES)
def test_link_is_followed(case, db, plain, tmp_path):
    want = shown(scan(db, plain).json())
    assert want[0] and want[2] == "full"
    for image in forms(CASES[case], tmp_path):
        r = scan(db, image)
        assert r.code == 0, r.err
        assert shown(r.json()) == want, image
        assert shown(scan(db, image).json()) == want, "the second time"


@pytest.mark.parametrize("case", ["link first", "file by another name"])
def test_link_on_a_pipe(case, db, plain, tmp_path):
    """What passed before its link came is gone: then the image is not covered, and says why."""
    r = eclair("scan", "--db", db, "--format", "json", "-", stdin=gzip.compress(mi.archive(CASES[case]), 1))
    if case == "link first":
        assert shown(r.json()) == shown(scan(db, plain).json())
    else:
        assert r.code == 3
        assert "is a link to ../../../aa/list, which was not read: packages may be missing" in r.err.decode()
    for image in forms(CASES[case], tmp_path):  # and this is not remembered of an image that can be read again
        assert shown(scan(db, image).json()) == shown(scan(db, plain).json())


def test_link_to_nothing(db, tmp_path):
    """After a second look it is known that there is nothing."""
    layers = [OS + [("var/lib/rpm", ("symlink", "/nowhere")), ("var/lib/dpkg/status", STATUS)]]
    for image in forms(layers, tmp_path):
        r = scan(db, image)
        assert r.code == 0 and r.json()["coverage"] == "full"
        assert "nowhere" not in r.err.decode()


def test_target_removed_above(db, tmp_path):
    layers = [OS + [("aa/status", STATUS), ("var/lib/dpkg", ("symlink", "/aa"))], [("aa/.wh.status", b"")]]
    for image in forms(layers, tmp_path):
        assert scan(db, image).json()["packages"] == [], image


def test_link_replaced_above(db, tmp_path):
    """A file that no link leads to any more is no package database."""
    other = b"Package: other\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
    layers = [OS + [("var/lib/dpkg", ("symlink", "/zz")), ("zz/status", STATUS)],
              [("var/lib/dpkg", None), ("var/lib/dpkg/status", other)]]
    for image in forms(layers, tmp_path):
        assert [p["name"] for p in scan(db, image).json()["packages"]] == ["other"], image


def test_layer_alone_does_not_know(db, tmp_path):
    """What was found for one image's links is not taken for what the layer itself holds."""
    base = OS + [("aa/status", STATUS)]
    linked, bare = tmp_path / "linked.tar", tmp_path / "bare.tar"
    linked.write_bytes(mi.archive([base, [("var/lib/dpkg", ("symlink", "/aa"))]]))
    bare.write_bytes(mi.archive([base]))
    assert scan(db, linked).json()["packages"]
    assert scan(db, bare).json()["packages"] == []


def test_links_in_a_circle(db, tmp_path):
    """A hundred thousand links and more that lead to each other: an answer, and soon."""
    out = io.BytesIO()
    names = [(f"var/lib/dpkg/status.d/{i}", ("symlink", f"{(i + 1) % 90000}")) for i in range(90000)]
    names += [(f"l/{i}", ("symlink", f"{(i + 1) % 60000}")) for i in range(60000)]
    out.write(mi.archive([OS + names], "docker", "gzip"))
    image = tmp_path / "circle.tar"
    image.write_bytes(out.getvalue())
    r = scan(db, image)
    if r.code == 1:
        assert_refused(r, image, "links")
    else:
        assert r.code == 3 and b"packages may be missing" in r.err
