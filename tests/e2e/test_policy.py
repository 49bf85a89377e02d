"""What is not to count, and why: ignore files, VEX documents, exit codes; `eclair explain`, `diff` and `packages`."""
import json

import helpers
import make_images as mi
import pytest
from helpers import assert_refused, eclair, ids, scan


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def openvex(purl, vulnerability="CVE-2024-0001", status="not_affected", **more):
    return {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.test/1", "author": "us", "version": 1,
            "timestamp": "2025-01-01T00:00:00Z",
            "statements": [{"vulnerability": {"name": vulnerability}, "status": status, "products": [{"@id": purl}],
                            "justification": "vulnerable_code_not_in_execute_path"} | more]}


def csaf(purl, vulnerability="CVE-2024-0001"):
    return {"document": {"category": "csaf_vex", "csaf_version": "2.0",
                         "tracking": {"current_release_date": "2025-01-01T00:00:00Z"}},
            "product_tree": {"full_product_names": [
                {"name": "x", "product_id": "P", "product_identification_helper": {"purl": purl}}]},
            "vulnerabilities": [{"cve": vulnerability, "product_status": {"known_not_affected": ["P"]},
                                 "flags": [{"label": "component_not_present", "product_ids": ["P"]}]}]}


BOTH = [("libssl3", "CVE-2024-0001"), ("openssl", "CVE-2024-0001")]
FILES = {  # name, option, content, what it takes out, who says so, reason, status
    "clair-scanner": ("list.yaml", "--ignore-file", "generalwhitelist:\n  CVE-2024-0001: because\n", BOTH, ": line 2", "because", None),
    "trivy": (".trivyignore", "--ignore-file", "# because\nCVE-2024-0001 exp:2026-06-01\n", BOTH, ": line 2", "because", None),
    "trivy yaml": (".trivyignore.yaml", "--ignore-file",
                   "vulnerabilities:\n  - id: CVE-2024-0001\n    purls: ['pkg:deb/debian/openssl']\n    statement: because\n",
                   BOTH[1:], ": line 2", "because", None),
    "paths": ("t.yaml", "--ignore-file", "vulnerabilities:\n  - id: CVE-2024-0001\n    paths: ['var/lib/**/status']\n", BOTH, ": line 2", None, None),
    "other path": ("t.yaml", "--ignore-file", "vulnerabilities:\n  - id: CVE-2024-0001\n    paths: ['opt/**']\n", [], "", None, None),
    "grype": (".grype.yaml", "--ignore-file",
              "ignore:\n  - vulnerability: CVE-2024-0001\n    reason: because\n    fix-state: fixed\n    package: {name: 'lib.*', type: deb}\n",
              BOTH[:1], ": line 2", "because", None),
    "openvex": ("a.json", "--vex", openvex("pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64"), BOTH[:1], ": statement 1",
                "vulnerable_code_not_in_execute_path", "not_affected"),
    "csaf": ("a.json", "--vex", csaf("pkg:deb/debian/openssl"), BOTH[1:], ": vulnerability 1", "component_not_present", "not_affected"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_takes_findings_out(kind, db, small_image, tmp_path):
    name, option, content, out, place, reason, status = FILES[kind]
    path = write(tmp_path, name, content)
    before, after = scan(db, small_image).json(), scan(db, small_image, option, path).json()
    suppressed = after["suppressed"]
    assert [(s["finding"]["package"], s["finding"]["id"]) for s in suppressed] == out
    assert sorted(ids(after) + out) == ids(before) == helpers.SMALL_DEBIAN_IDS
    for s in suppressed:
        assert (s["by"], s["reason"], s["status"]) == (f"{path}{place}", reason, status)
        assert s["finding"] in before["findings"]
    assert before["suppressed"] == []


def test_what_is_suppressed_does_not_count(db, small_image, tmp_path):
    path = write(tmp_path, "ids", "CVE-2024-0001\n")
    assert scan(db, small_image, "--fail-on", "High").code == 4
    assert scan(db, small_image, "--fail-on", "High", "--ignore-file", path).code == 0
    assert scan(db, small_image, "--exit-code", "9", "--ignore-file", path).code == 9
    assert scan(db, small_image, "--severity", "High", "--exit-code", "9").code == 9
    assert scan(db, small_image, "--severity", "High", "--exit-code", "9", "--ignore-file", path).code == 0
    every = write(tmp_path, "all.yaml", "ignore:\n  - package: {type: deb}\n")
    r = scan(db, small_image, "--exit-code", "9", "--ignore-file", every)
    assert r.code == 0 and len(r.json()["suppressed"]) == len(helpers.SMALL_DEBIAN_IDS)


def test_a_table_says_how_many_and_which(db, small_image, tmp_path):
    path = write(tmp_path, "ids", "CVE-2024-0001 # never run\nCVE-1999-1\n")
    r = eclair("scan", small_image, "--db", db, "--ignore-file", path)
    assert b"2 suppressed (--show-suppressed lists them)\n" in r.out and b"CVE-2024-0001" not in r.out
    r = eclair("scan", small_image, "--db", db, "--ignore-file", path, "--show-suppressed")
    assert b"2 suppressed:\n" in r.out
    assert f"  CVE-2024-0001 libssl3 3.0.11-1~deb12u2: ignored: never run ({path}: line 1)\n".encode() in r.out
    assert r.err == f"eclair: warning: {path}: line 2: CVE-1999-1 hits nothing\n".encode()
    assert eclair("scan", small_image, "--db", db, "--ignore-file", path, "--show-suppressed", "--quiet").err == b""


def test_rules_end(db, small_image, tmp_path):
    path = write(tmp_path, ".trivyignore", "CVE-2024-0001 exp:2026-01-02\nCVE-2024-0002 exp:2026-01-03\n")
    r = scan(db, small_image, "--ignore-file", path)
    assert {s["finding"]["id"] for s in r.json()["suppressed"]} == {"CVE-2024-0002"}
    assert r.json()["warnings"] == [f"{path}: line 1: the rule for CVE-2024-0001 ended on 2026-01-02 and does not hold"]
    assert b"ended on 2026-01-02" in r.err


def test_files_add_up_and_the_image_has_a_name(db, small_image, tmp_path):
    one = write(tmp_path, "one", "CVE-2024-0001\n")
    two = write(tmp_path, "two.yaml", "images:\n  host:5000/app:\n    CVE-2024-0002: there\n")
    vex = write(tmp_path, "vex", openvex("pkg:deb/debian/libc6", "CVE-2024-0006"))
    args = ("--ignore-file", one, f"--ignore-file={two}", "--vex", vex)
    assert len(scan(db, small_image, *args).json()["suppressed"]) == 3
    assert len(scan(db, small_image, *args, "--image-name", "host:5000/app:1.0").json()["suppressed"]) == 5
    digest = scan(db, small_image).json()["image"]["digest"]
    vex = write(tmp_path, "vex", openvex(f"pkg:oci/app@{digest}".replace("sha256:", "sha256%3A"),
                                         products=[{"@id": f"pkg:oci/app@{digest}", "subcomponents": [{"@id": "pkg:deb/debian/openssl"}]}]))
    assert [s["finding"]["package"] for s in scan(db, small_image, "--vex", vex).json()["suppressed"]] == ["openssl"]


def test_no_file_is_read_that_was_not_named(db, small_image, tmp_path):
    write(tmp_path, ".trivyignore", "CVE-2024-0001\n")
    write(tmp_path, ".grype.yaml", "ignore:\n  - package: {type: deb}\n")
    assert scan(db, small_image, cwd=tmp_path).json()["suppressed"] == []


@pytest.mark.parametrize("option,name,content,words", [
    ("--ignore-file", "absent", None, ["--ignore-file", "absent", "No such file"]),
    ("--ignore-file", "w.yaml", "generalwhitelist: [a]\n", ["w.yaml: yaml: unmarshal errors: line 1: cannot unmarshal !!seq"]),
    ("--ignore-file", ".trivyignore", "A exp:x\n", [".trivyignore: line 1: exp: 'x'"]),
    ("--ignore-file", "g.yaml", "ignore:\n- fix-state: x\n", ["g.yaml: line 2: fix-state: 'x'"]),
    ("--ignore-file", "x.yaml", "a: b\n", ["x.yaml: neither"]),
    ("--ignore-file", "big", "x" * (5 << 20), ["big"]),
    ("--ignore-file", "x.yaml", "a: [\n", ["x.yaml: line 2"]),
    ("--vex", "x.json", "{\n\"statements\": 1}", ["x.json: line 2: statements: must be a list"]),
    ("--vex", "x.json", "{\n", ["x.json: line 2: json"]),
])
def test_broken_files(option, name, content, words, db, small_image, tmp_path):
    path = write(tmp_path, name, content) if content is not None else tmp_path / name
    assert_refused(scan(db, small_image, option, path), *words)


def test_wrong_option(db, small_image, tmp_path):
    path = write(tmp_path, "v.json", openvex("pkg:deb/debian/a"))
    assert_refused(scan(db, small_image, "--ignore-file", path), "v.json: is an OpenVEX document, which is read with --vex", code=2)
    assert_refused(scan(db, small_image, *["--vex", path] * 17), "--vex: given more than 16 times", code=2)
    assert_refused(eclair("scan", small_image, "--vex"), "--vex needs a value", code=2)


# ---- explain ----

def explain(db, image, vulnerability, *more):
    r = eclair("explain", vulnerability, image, "--db", db, *more)
    assert r.code == 0 and r.err == b"", (r.code, r.err)
    return r.out.decode()


@pytest.mark.parametrize("vulnerability,lines", {
    "CVE-2024-0001": ["Reported:", "  CVE-2024-0001 in libssl3 3.0.11-1~deb12u2", "    fixed in 3.0.11-1~deb12u3",
                      "    named in var/lib/dpkg/status",
                      "        3.0.11-1~deb12u2 < 3.0.11-1~deb12u3: below the fix", "        affected"],
    "CVE-2024-0002": ["Reported:", "    no fix (affected)", "        no upper bound, for there is no fix: holds"],
    "CVE-2024-0003": ["Not reported: nothing that is installed is within what is affected",
                      "        3.0.11-1~deb12u2 = 3.0.11-1~deb12u2: at or above the fix: not affected"],
    "CVE-2024-0004": ["Not reported: feed debian says that it is not affected"],
    "CVE-2024-0009": ["Not reported: feeds speak of it, but not about this image's distribution, only about debian:13"],
    "CVE-2024-0010": ["      bsdutils 1:2.38.1-5+b1 (source util-linux 2.38.1-5), versions by dpkg"],
    # the feed names a source that nothing is of
    "CVE-2024-0011": ["Not reported: the image has none of the packages that it is about: libssl3"],
    "CVE-2024-0012": ["Not reported: the image has none of the packages that it is about: removed"],
    "CVE-1999-1": ["Not reported: no advisory of that name is loaded", "  feeds that speak about this image: debian"],
}.items())
def test_explain(vulnerability, lines, db, small_image):
    text = explain(db, small_image, vulnerability)
    for line in lines:
        assert line in text.splitlines(), text


def test_explain_who_ignored_it(db, small_image, tmp_path):
    path = write(tmp_path, "ids", "CVE-2024-0001 # never run\n")
    text = explain(db, small_image, "CVE-2024-0001", "--ignore-file", path)
    assert "Suppressed:" in text and "Reported:" not in text
    assert f"    ignored by {path}: line 1: never run" in text.splitlines()
    assert "Not reported: --severity or --ignore-unfixed leaves it out" in explain(db, small_image, "CVE-2024-0002", "--ignore-unfixed")


def test_explain_without_data(small_image, tmp_path):
    r = eclair("explain", "CVE-2024-0001", small_image, "--db", tmp_path / "new.db")
    assert r.code == 0 and b"Not reported: no advisory of that name is loaded\n" in r.out
    assert b"feeds that speak about this image: none\n" in r.out and b"not covered" in r.out
    assert_refused(eclair("explain", "", small_image, "--db", tmp_path / "new.db"), "ID is empty", code=2)
    assert_refused(eclair("explain", "CVE-1", "--db", tmp_path / "new.db"), "an argument is missing", code=2)


# ---- diff ----

@pytest.fixture
def newer_image(small_image):
    layers = mi.debian_layers()
    status = mi.dpkg_status().replace(b"Version: 3.0.11-1~deb12u2", b"Version: 3.0.11-1~deb12u3")
    layers.append([("var/lib/dpkg/status", status)])
    path = small_image.parent / "newer.tar"
    path.write_bytes(mi.archive(layers))
    return path


def diff(db, *args):
    return eclair("diff", *args, "--db", db)


def test_diff(db, small_image, newer_image):
    r = diff(db, small_image, newer_image, "--format", "json")
    d = r.json()
    assert [(f["package"], f["id"]) for f in d["gone"]] == BOTH and d["new"] == []
    assert d["stay"] == d["to"]["findings"] == len(helpers.SMALL_DEBIAN_IDS) - 2
    assert {(c["change"], c["from"]["name"], c["to"]["version"]) for c in d["packages"]} == {
        ("upgraded", "libssl3", "3.0.11-1~deb12u3"), ("upgraded", "openssl", "3.0.11-1~deb12u3")}
    text = diff(db, small_image, newer_image).out.decode()
    assert "findings: 9 -> 7: 2 gone, 0 new, 7 stay" in text and "2 upgraded, 0 downgraded" in text
    assert "    openssl 3.0.11-1~deb12u2 -> 3.0.11-1~deb12u3" in text.splitlines()


def test_diff_counts_what_is_new(db, small_image, newer_image, tmp_path):
    assert diff(db, small_image, newer_image, "--exit-code", "9").code == 0
    assert diff(db, newer_image, small_image, "--exit-code", "9").code == 9
    assert diff(db, newer_image, small_image, "--fail-on", "High").code == 4
    assert diff(db, newer_image, small_image, "--fail-on", "Critical").code == 0
    path = write(tmp_path, "ids", "CVE-2024-0001\n")
    assert diff(db, newer_image, small_image, "--exit-code", "9", "--ignore-file", path).code == 0
    assert b"(older)" in diff(db, newer_image, small_image).out
    same = diff(db, small_image, small_image).out
    assert b"0 gone, 0 new, 9 stay" in same and b"Packages\n" not in same
    assert diff(tmp_path / "new.db", small_image, newer_image).code == 3


# ---- packages ----

def test_packages(db, small_image):
    r = eclair("packages", small_image, "--db", db, "--format", "json")
    whole, listed = scan(db, small_image).json(), r.json()
    for key in ("image", "distribution", "layers", "packages", "removed_packages", "facts"):
        assert listed[key] == whole[key]
    table = eclair("packages", small_image, "--db", db).out.decode().splitlines()
    assert table[0].split() == ["PACKAGE", "VERSION", "ARCH", "SOURCE", "LAYER"]
    assert ["libssl3", "3.0.11-1~deb12u2", "amd64", "openssl", "1"] in [line.split() for line in table]
    assert table[-1] == f"{len(whole['packages'])} packages in 2 layers, Debian GNU/Linux 12 (bookworm)"


def test_packages_need_no_data(small_image, tmp_path):
    r = eclair("packages", small_image, "--db", tmp_path / "new.db")
    assert r.code == 0 and r.err == b"" and b"libssl3" in r.out
    assert_refused(eclair("packages", small_image, "--format", "x"), "none of table, json", code=2)


def test_a_real_image(db):
    """All findings of one real image by every means: what a list takes out is what was there."""
    image = helpers.need_data("images/debian-bookworm-12.0-pinned.docker.tar.zst")
    listed = eclair("packages", image, "--db", db, "--format", "json").json()["packages"]
    assert len(listed) > 80
    text = explain(db, image, "CVE-2024-0008")
    assert "(source util-linux" in text
