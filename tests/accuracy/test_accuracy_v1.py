"""The findings of real images through REST v1, on both stores, for every prefix of their layers, against the independent computation."""
import csv

import expected
import helpers
import pg
import pytest
from serving import Server

IMAGES = ["debian-bookworm-12.0-pinned.docker.tar.zst", "debian-bookworm-current.oci.tar",
          "debian-bullseye-layers.docker.tar.zst", "debian-trixie-full.docker.tar.zst", "distroless-like-go.oci.tar",
          "alpine-3.10-vuln-image-310.docker.tar.gz", "edge-alpine-whiteouts.docker.tar.zst"]
LISTS = [("debian-bookworm-12.0-pinned", 1), ("debian-bullseye-layers", 1), ("debian-bullseye-layers", 3)]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def loaded(request, tmp_path_factory):
    """A server on a database of the real feeds."""
    feeds, folder = helpers.need_data("feeds"), tmp_path_factory.mktemp("loaded")
    own = pg.start(folder) if request.param == "postgres" else None
    database = own.new_database() if own else folder / "eclair.db"
    helpers.update(database, feeds, "debian", "alpine", timeout=300)
    server = Server(folder, database).start()
    server.kind = request.param
    yield server
    server.stop()
    if own:
        own.remove()


def files_of(image, folder):
    paths = []
    for i, data in enumerate(expected.image_layers(image)):
        paths.append(folder / f"{i}.tar")
        paths[-1].write_bytes(data)
    return paths


def found(layer):
    """(feature, version, id, fixed version, severity); each once."""
    rows = [(f["Name"], f["Version"], v["Name"], v.get("FixedBy"), v["Severity"])
            for f in layer.get("Features", []) for v in f.get("Vulnerabilities", [])]
    assert len(rows) == len(set(rows)), "a vulnerability is listed twice"
    return set(rows)


def feature_of(p):
    """As REST v1 names a package: Debian's source, Alpine's package."""
    return (p.source, p.source_version) if p.kind == "dpkg" else (p.name, p.version)


def prefixes(image, count):
    """(features, rows of found()) after each layer, by the rules of spec/detection.md 4: a layer without packages has its parent's (also
    when it deletes the database: golden-v1/26), a feature that the parent has keeps its namespace."""
    feeds, namespaces, rows = helpers.DATA / "feeds", {}, set()
    for i in range(1, count + 1):
        tree = expected.image_tree(image, i)
        packages = expected.image_packages(tree)
        if packages:
            here = expected.image_distribution(tree)
            namespaces = {feature_of(p): namespaces.get(feature_of(p), here) for p in packages}
            rows = set()
            for distribution, version in set(namespaces.values()):
                findings = {"debian": expected.debian_findings, "alpine": expected.alpine_findings}[distribution]
                some = [p for p in packages if namespaces[feature_of(p)] == (distribution, version)]
                rows |= {((f.source, f.source_version) if distribution == "debian" else (f.package, f.version))
                         + (f.id, f.fixed, f.severity) for f in findings(some, version, feeds) if not f.id.startswith("TEMP-")}
        yield set(namespaces), rows


@pytest.mark.parametrize("name", IMAGES)
def test_real_image(name, loaded, tmp_path, record):
    image = helpers.need_data(f"images/{name}")
    paths = files_of(image, tmp_path)
    names = [f"{name}-{i}" for i in range(len(paths))]
    loaded.post_chain(names, paths)
    for layer_name, (features, want) in zip(names, prefixes(image, len(paths))):
        layer = loaded.layer(layer_name)
        got = found(layer)
        record((f"v1 {loaded.kind}: {layer_name}", len(features), len(got), len(want - got), len(got - want)))
        assert (want - got, got - want) == (set(), set()), layer_name
        assert {(f["Name"], f["Version"]) for f in layer.get("Features", [])} == features
    assert want


@pytest.mark.parametrize("name,upto", LISTS)
def test_recorded_list(name, upto, loaded, tmp_path):
    """Lists of (binary package, id) that somebody else made from the same feed: here by source, as REST v1 names them."""
    tsv = f"{name}.upto-layer{upto}.debian.tsv" if "bullseye" in name else f"{name}.debian.tsv"
    with helpers.need_data(f"expected/{tsv}").open() as f:
        want = {(r["source"], r["source_version"], r["cve"], r["fixed_version"] or None)
                for r in csv.DictReader(f, delimiter="\t")}
    assert len(want) > 50
    paths = files_of(helpers.DATA / f"images/{name}.docker.tar.zst", tmp_path)[:upto]
    names = [f"list-{name}-{upto}-{i}" for i in range(len(paths))]
    loaded.post_chain(names, paths)
    got = {row[:4] for row in found(loaded.layer(names[-1]))}
    assert (want - got, got - want) == (set(), set())


def test_added_by(loaded, tmp_path):
    """AddedBy is the layer since which the feature is there; an upgrade in place keeps the namespace of what it did not touch."""
    paths = files_of(helpers.need_data("images/debian-bullseye-layers.docker.tar.zst"), tmp_path)
    names = [f"added-{i}" for i in range(len(paths))]
    loaded.post_chain(names, paths)
    before = {}
    for i, name in enumerate(names):
        features = {(f["Name"], f["Version"]): f["AddedBy"] for f in loaded.layer(name)["Features"]}
        for key, added in features.items():
            assert added == before.get(key, name), key
        before = features


def test_distribution_upgrade(loaded, tmp_path):
    """Real layers of Debian 7 and 8 on each other: what did not change keeps debian:7 (spec/detection.md 4)."""
    images = helpers.need_data("images")
    paths = [images / f"clair2-DistUpgrade-{release}.layer.tar.gz" for release in ("wheezy", "jessie")]
    loaded.post_chain(["wheezy", "jessie"], paths)
    old, new = loaded.layer("wheezy"), loaded.layer("jessie")
    assert (old["NamespaceName"], new["NamespaceName"]) == ("debian:7", "debian:8")
    known = {(f["Name"], f["Version"]) for f in old["Features"]}
    kept = [f for f in new["Features"] if (f["Name"], f["Version"]) in known]
    fresh = [f for f in new["Features"] if (f["Name"], f["Version"]) not in known]
    assert kept and fresh
    assert {(f["NamespaceName"], f["AddedBy"]) for f in kept} == {("debian:7", "wheezy")}
    assert {(f["NamespaceName"], f["AddedBy"]) for f in fresh} == {("debian:8", "jessie")}
