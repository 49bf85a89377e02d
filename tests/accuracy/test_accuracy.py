"""What éclair finds, row by row, against an independent computation: nothing missed, nothing extra."""
import csv

import expected
import helpers
import make_images
import pytest

IMAGES = ["debian-bookworm-12.0-pinned.docker.tar.zst", "debian-bookworm-current.oci.tar",
          "debian-bullseye-layers.docker.tar.zst", "debian-trixie-full.docker.tar.zst", "distroless-like-go.oci.tar",
          "alpine-3.10-vuln-image-310.docker.tar.gz", "edge-alpine-whiteouts.docker.tar.zst"]
LISTS = [("debian-bookworm-12.0-pinned", None), ("debian-bullseye-layers", 1), ("debian-bullseye-layers", 3)]


def found(report):
    rows = [expected.Finding(f["package"], f["version"], f["source"], f["source_version"], f["id"], f["fixed_version"],
                             f["severity"], f["fix_state"]) for f in report["findings"]]
    assert len(rows) == len(set(rows)), "a finding is listed twice"
    return set(rows)


def by_source(findings):
    return {(f.source, f.id, f.fixed) for f in findings}


def compare(record, name, report, packages, want):
    """The sets of (source package, id, fixed version) first: that is what a person would call missed or extra."""
    got = found(report)
    missed, extra = by_source(want) - by_source(got), by_source(got) - by_source(want)
    record((name, len(report["packages"]), len(report["findings"]), len(missed), len(extra)))
    assert (missed, extra) == (set(), set())
    assert got == want
    assert helpers.packages(report) == sorted((p.name, p.version, p.arch) for p in packages)


@pytest.mark.parametrize("name", IMAGES)
def test_real_image(name, real_db, record):
    image = helpers.need_data(f"images/{name}")
    packages, want = expected.expected(image, helpers.DATA / "feeds")
    result = helpers.scan(real_db, image)
    report = result.json()
    assert result.code == 0
    assert report["coverage"] == ("full" if packages else "empty")
    compare(record, name, report, packages, want)


def first_layers(image, count, path):
    """The same image cut to its first layers, as a docker-archive."""
    layers = expected.image_layers(image)[:count]
    names = [f"{i}/layer.tar" for i in range(count)]
    members = list(zip(names, layers)) + make_images.docker_tail(layers, names)
    path.write_bytes(make_images.tar(members))
    return path


@pytest.mark.parametrize("name,upto", LISTS)
def test_recorded_list(name, upto, real_db, record, tmp_path):
    """Lists of (binary package, id) that somebody else made from the same feed."""
    tsv = f"{name}.upto-layer{upto}.debian.tsv" if upto else f"{name}.debian.tsv"
    with helpers.need_data(f"expected/{tsv}").open() as f:
        want = {(r["binary"], r["version"], r["source"], r["source_version"], r["cve"], r["fixed_version"] or None)
                for r in csv.DictReader(f, delimiter="\t")}
    assert len(want) > 100
    image = helpers.DATA / f"images/{name}.docker.tar.zst"
    report = helpers.scan(real_db, first_layers(image, upto, tmp_path / "first.tar") if upto else image).json()
    got = {f[:6] for f in found(report)}
    record((tsv, len(report["packages"]), len(report["findings"]), len(want - got), len(got - want)))
    assert (want - got, got - want) == (set(), set())


def test_layers_of_packages(real_db):
    """The layer of a package is the lowest since which it is there without a gap."""
    image = helpers.need_data("images/debian-bullseye-layers.docker.tar.zst")
    report = helpers.scan(real_db, image).json()
    digests = [layer["digest"] for layer in report["layers"]]
    assert digests == [make_images.sha256(data) for data in expected.image_layers(image)]

    seen = [{p[:4] for p in expected.image_packages(expected.image_tree(image, n))} for n in (1, 2, 3, 4)]
    for p in report["packages"]:
        key = (p["kind"], p["name"], p["version"], p["arch"])
        first = 3
        while first and key in seen[first - 1]:
            first -= 1
        assert p["layer"] == digests[first], p


# ---- rules of which the real feeds hold no row ----

@pytest.mark.parametrize("feed,layers,want", [
    ({"debian": helpers.small_debian()}, make_images.debian_layers(), helpers.SMALL_DEBIAN_IDS),
    ({"alpine": helpers.small_alpine()}, make_images.alpine_layers(), helpers.SMALL_ALPINE_IDS),
], ids=["debian", "alpine"])
def test_rules(feed, layers, want, tmp_path, record, request):
    """Fixed version 0, TEMP-, undetermined, end-of-life, regressions: against the list and the computation."""
    feeds = helpers.write_mirror(tmp_path / "feeds", **feed)
    helpers.update(tmp_path / "db", feeds, *feed)
    image = tmp_path / "image.tar"
    image.write_bytes(make_images.archive(layers))
    report = helpers.scan(tmp_path / "db", image).json()
    assert helpers.ids(report) == want
    compare(record, request.node.name, report, *expected.expected(image, feeds))


DEBIAN_ROWS = {  # entry of the tracker -> None (no finding), or what must be said
    "fixed in 0": (helpers.entry(fixed="0", urgency="high"), None),
    "undetermined": (helpers.entry("undetermined", urgency="high"), None),
    "resolved without a version": (helpers.entry("resolved"), None),
    "open": (helpers.entry("open", urgency="high"), {"severity": "High", "fix_state": "affected", "fixed_version": None}),
    "end of life": (helpers.entry("open", urgency="end-of-life"), {"severity": "Negligible", "fix_state": "end_of_life"}),
    "unimportant": (helpers.entry("open", urgency="unimportant"), {"severity": "Negligible", "fix_state": "affected"}),
    "starred urgency": (helpers.entry("open", urgency="low**"), {"severity": "Low"}),
    "not yet assigned": (helpers.entry("open"), {"severity": "Unknown"}),
    "ignored": (helpers.entry("open", nodsa="Minor issue", nodsa_reason="ignored"), {"fix_state": "will_not_fix"}),
    "postponed": (helpers.entry("open", nodsa="Minor issue", nodsa_reason="postponed"), {"fix_state": "affected"}),
    "fixed above": (helpers.entry(fixed="1.0-1+deb12u1"), {"fix_state": "fixed", "fixed_version": "1.0-1+deb12u1"}),
    "fixed in the same": (helpers.entry(fixed="1.0-1"), None),
    "fixed in a tilde version": (helpers.entry(fixed="1.0-1~deb12u1"), None),
    "fixed with an epoch": (helpers.entry(fixed="1:0.1"), {"fixed_version": "1:0.1"}),
}


@pytest.mark.parametrize("id", ["CVE-2024-4", "TEMP-0000000-4ABCDE"])
def test_debian_rows(id, tmp_path):
    """All rows in one feed, each for a package of its own."""
    feed = {f"demo{i}": {id: row} for i, (row, _) in enumerate(DEBIAN_ROWS.values())}
    helpers.update(tmp_path / "db", helpers.write_mirror(tmp_path / "feeds", feed), "debian")
    image = tmp_path / "image.tar"
    status = make_images.dpkg_status([(name, "1.0-1", None) for name in feed])
    image.write_bytes(make_images.archive([[("etc/os-release", make_images.os_release()),
                                            ("var/lib/dpkg/status", status)]]))
    findings = {f["package"]: f for f in helpers.scan(tmp_path / "db", image).json()["findings"]}
    for name, (rule, (_, want)) in zip(feed, DEBIAN_ROWS.items()):
        got = findings.get(name)
        assert (got is None) == (want is None), rule
        if want:
            assert {k: got[k] for k in want} == want, rule
            assert (got["id"], got["feed"], got["namespace"]) == (id, "debian", "debian:12"), rule


ALPINE_ROWS = {  # secfixes of the origin "demo" -> fixed version found for 1.2.0-r3, or None
    "above": ({"1.2.0-r4": ["CVE-2024-5"]}, "1.2.0-r4"),
    "same": ({"1.2.0-r3": ["CVE-2024-5"]}, None),
    "zero": ({"0": ["CVE-2024-5"]}, None),
    "highest of two": ({"1.2.1-r0": ["CVE-2024-5"], "1.2.0-r1": ["CVE-2024-5"]}, "1.2.1-r0"),
    "highest of two, other order": ({"1.2.0-r1": ["CVE-2024-5"], "1.2.1-r0": ["CVE-2024-5"]}, "1.2.1-r0"),
    "numbers, not text": ({"1.2.0-r10": ["CVE-2024-5"], "1.2.0-r9": ["CVE-2024-5"]}, "1.2.0-r10"),
    "zero and real": ({"0": ["CVE-2024-5"], "1.3.0-r0": ["CVE-2024-5"]}, "1.3.0-r0"),
    "pre-release": ({"1.2.0_rc1-r9": ["CVE-2024-5"]}, None),
    "patch suffix": ({"1.2.0_p1-r0": ["CVE-2024-5"]}, "1.2.0_p1-r0"),
    "several ids in one string": ({"1.3.0-r0": ["XSA-1 CVE-2024-5, (GHSA-1)"]}, "1.3.0-r0"),
    "underscore": ({"1.3.0-r0": ["CVE_2024-5"]}, "1.3.0-r0"),
    "null list": ({"1.2.9-r0": None, "1.3.0-r0": ["CVE-2024-5"]}, "1.3.0-r0"),
    "no id at all": ({"1.3.0-r0": ["see the change log"]}, None),
}


def test_alpine_rows(tmp_path):
    feed = {"v3.20/main": helpers.secdb("v3.20", "main", {f"demo{i}": row for i, (row, _) in
                                                         enumerate(ALPINE_ROWS.values())})}
    feed["v3.20/community"] = helpers.secdb("v3.20", "community", {}) | {"packages": None}
    helpers.update(tmp_path / "db", helpers.write_mirror(tmp_path / "feeds", alpine=feed), "alpine")
    image = tmp_path / "image.tar"
    image.write_bytes(make_images.archive(make_images.alpine_layers(
        [(f"sub{i}", "1.2.0-r3", f"demo{i}") for i in range(len(ALPINE_ROWS))])))
    findings = helpers.scan(tmp_path / "db", image).json()["findings"]
    got = {f["package"]: f["fixed_version"] for f in findings if f["id"] == "CVE-2024-5"}
    want = {f"sub{i}": fixed for i, (_, fixed) in enumerate(ALPINE_ROWS.values()) if fixed}
    assert got == want
