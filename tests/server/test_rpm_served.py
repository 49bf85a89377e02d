"""Layers with rpm databases through REST v1: Red Hat's under the name that Clair 2 gave it, binary packages, and who added them."""
import sys
from pathlib import Path

import helpers

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "accuracy"))
import expected  # noqa: E402


def rows(name):
    """{(name, epoch:version-release)} of a list that rpm printed."""
    lines = [line.split("\t") for line in helpers.need_data(f"rpmdb/{name}").read_text().splitlines()]
    fields = [x for x in lines if len(x) >= 5 and x[0] not in ("name", "gpg-pubkey")]
    return {(x[0], (f"{x[1]}:" if x[1] not in ("(none)", "") else "") + f"{x[2]}-{x[3]}") for x in fields}


def features(layer):
    return {(f["Name"], f["Version"]) for f in layer["Features"]}


def test_red_hat(serve, files):
    server = serve()
    layers = expected.image_layers(helpers.need_data("images/rpm-ubi9-layers.oci.tar"))
    for i, layer in enumerate(layers):
        (files.folder / f"{i}.tar").write_bytes(layer)
    server.post_chain(["lower", "upper"], [f"{files.url}/{i}.tar" for i in range(len(layers))])
    lower, upper = server.layer("lower"), server.layer("upper")
    assert features(lower) == rows("ubi9.expected.tsv")
    assert features(upper) == rows("ubi9-updated.expected.tsv")
    assert {x["NamespaceName"] for x in (lower, upper)} == {"centos:9"}
    assert {(f["NamespaceName"], f["VersionFormat"]) for f in upper["Features"]} == {("centos:9", "rpm")}
    added = {f["Name"]: f["AddedBy"] for f in upper["Features"]}
    assert added["openssl"] == "upper" and added["bash"] == "lower"
    assert {f["AddedBy"] for f in upper["Features"] if (f["Name"], f["Version"]) in features(lower)} == {"lower"}


def test_other_families(serve, files):
    server = serve()
    for name, namespace, count in (("rpm-amazonlinux2-bdb.docker.tar.zst", "amzn:2", 103), ("rpm-photon3.docker.tar.zst", "photon:3", 32),
                                   ("rpm-sle15-bci-ndb.docker.tar.zst", "sles:15.3", 35), ("rpm-ubi8-bdb.docker.tar.zst", "centos:8", 178)):
        for i, layer in enumerate(expected.image_layers(helpers.need_data(f"images/{name}"))):
            (files.folder / f"{name}-{i}").write_bytes(layer)
            assert server.post(f"{name}-{i}", f"{files.url}/{name}-{i}", f"{name}-{i - 1}" if i else None).status == 201
        layer = server.layer(f"{name}-{i}")
        assert (layer["NamespaceName"], len(layer["Features"])) == (namespace, count), name
