"""The packages of every image that is no rpm one (test_accuracy_rpm.py has those): dpkg's own list of its database, and apk's read by
a script; each also layer by layer."""
import subprocess

import expected
import helpers
import make_images as mi
import pytest

FORMAT = r"${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Status}\n"
THERE = ("installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending")
IMAGES = ("alpine-3.10-vuln-image-310.docker.tar.gz", "apps-polyglot-layers.docker.tar.zst",
          "debian-bookworm-12.0-pinned.docker.tar.zst", "debian-bookworm-current.oci.tar",
          "debian-bullseye-layers.docker.tar.zst", "debian-trixie-full.docker.tar.zst", "distroless-like-go.oci.tar",
          "edge-alpine-whiteouts.docker.tar.zst", "ubuntu-18.04-pkglist.docker.tar.zst")
LAYERS = ("clair2-DistUpgrade-wheezy.layer.tar.gz", "clair2-DistUpgrade-jessie.layer.tar.gz")


def listed_by_dpkg(content, folder):
    (folder / "updates").mkdir(parents=True)
    (folder / "info").mkdir()
    (folder / "status").write_bytes(content)
    if b"Version: 5.4 /etc/protocols " in content:  # netbase of the rebuilt Ubuntu list, which dpkg refuses to read
        return [tuple(p)[1:] for p in expected.dpkg_packages(content.decode())]
    out = subprocess.run(["dpkg-query", "--admindir", folder, "-W", "-f", FORMAT], stdout=subprocess.PIPE, check=True).stdout
    lines = [line.split("\t") for line in out.decode("utf-8", "surrogateescape").splitlines()]
    return [tuple(x[:5]) for x in lines if x[5] in THERE and x[1]]


def with_status(content):
    """A file of status.d says nothing of its state."""
    return b"\n\n".join(b"Status: install ok installed\n" + block for block in content.strip().split(b"\n\n")) + b"\n\n"


def listed(tree, folder):
    """What the native tool says of the databases that are visible at the end."""
    found = set()
    names = sorted(p for p in tree if p.startswith("var/lib/dpkg/status.d/") and not p.endswith(".md5sums"))
    parts = [with_status(tree[real]) for p in names if (real := expected.resolve(tree, p))]
    if (real := expected.resolve(tree, "var/lib/dpkg/status")):
        parts.append(tree[real])
    for i, part in enumerate(parts):
        found |= set(listed_by_dpkg(part, folder / f"dpkg{i}"))
    for real in {expected.resolve(tree, p) for p in ("lib/apk/db/installed", "usr/lib/apk/db/installed")} - {None}:
        found |= {tuple(p)[1:] for p in expected.apk_packages(tree[real].decode())}
    return sorted(found)


def check(layers, folder, name, record):
    tree = {}
    for i, layer in enumerate(layers, 1):
        expected.apply_layer(tree, layer)
        want = listed(tree, folder / f"native{i}")
        image = folder / f"upto{i}.tar"
        members = [(f"{k}/layer.tar", x) for k, x in enumerate(layers[:i])]
        image.write_bytes(mi.tar(members + mi.docker_tail(layers[:i], [m[0] for m in members])))
        report = helpers.scan(folder / "eclair.db", image).json()
        got = sorted((p["name"], p["version"], p["arch"], p["source"], p["source_version"]) for p in report["packages"])
        assert got == want, (name, i)
        record((f"packages: {name}-{i}", len(want), 0, 0, 0))
    return want


@pytest.mark.parametrize("name", IMAGES)
def test_packages(name, tmp_path, record):
    check(expected.image_layers(helpers.need_data(f"images/{name}")), tmp_path, name, record)


def test_packages_of_an_upgrade(tmp_path, record):
    layers = [expected.unpacked(helpers.need_data(f"images/{name}").read_bytes()) for name in LAYERS]
    assert check(layers, tmp_path, "clair2-DistUpgrade", record)


def test_all_images_are_compared():
    """A new image in the data wants a row here."""
    known = {*IMAGES, *LAYERS}
    names = {p.name for p in helpers.need_data("images").glob("*.tar*")}
    assert {n for n in names if not n.startswith("rpm-")} == known
