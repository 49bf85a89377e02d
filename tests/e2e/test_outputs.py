"""The outputs of `eclair scan` for other programs: each follows its schema, whatever is in the image."""
import json
import re
import subprocess

import helpers
import jsonschema
import make_images as mi
import pytest
from helpers import ECLAIR, assert_refused, eclair, need_data

DUMP = ECLAIR.parent / "tests/unit/report_dump"
CASES = ["rich", "hostile", "empty", "none"]
IMAGES = {"debian": mi.debian_layers(), "alpine": mi.alpine_layers(),
          "bytes": [[("etc/os-release", mi.os_release()),
                     ("var/lib/dpkg/status", mi.stanza("a<script>|`\x1b[2J", "1.0-1", "openssl (3.0.11-1)").encode()
                      + b"Package: caf\xe9\"'&\nStatus: install ok installed\nVersion: 1.0-1\nSource: openssl (3.0.11-1)\n\n")]]}
REAL = ["debian-bullseye-layers.docker.tar.zst", "rpm-ubi9-layers.oci.tar", "edge-alpine-whiteouts.docker.tar.zst"]


def dump(form, case, *options):
    if not DUMP.exists():
        pytest.skip("report_dump is not built")
    r = subprocess.run([DUMP, form, case, *options], stdout=subprocess.PIPE, check=True)
    return r.stdout


@pytest.fixture(scope="session")
def outputs(tmp_path_factory, small_db_master):
    """Of each format the outputs of all images and cases."""
    place, made = tmp_path_factory.mktemp("outputs"), {}

    def make(form):
        if form in made:
            return made[form]
        made[form] = {case: dump(form, case) for case in CASES}
        for name, layers in IMAGES.items():
            image = place / f"{name}.tar"
            image.write_bytes(mi.archive(layers))
            made[form][name] = eclair("scan", image, "--db", small_db_master, "-f", form).out
        for name in REAL:
            r = eclair("scan", need_data(f"images/{name}"), "--db", small_db_master, "-f", form, "--quiet")
            made[form][name] = r.out
        return made[form]
    return make


def schema(name):
    """With the files beside it, by the ids that they name each other by."""
    folder = need_data("schemas")
    store = {}
    for file in folder.glob("*.json"):
        text = json.loads(file.read_text())
        store[text.get("$id") or text.get("id")] = text
        store[f"http://cyclonedx.org/schema/{file.name}"] = text
    main = json.loads((folder / name).read_text())
    kind = jsonschema.validators.validator_for(main)
    return kind(main, resolver=jsonschema.RefResolver.from_schema(main, store=store), format_checker=jsonschema.FormatChecker())


def follow(validator, texts):
    for name, text in texts.items():
        errors = [f"{name}: {'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(json.loads(text))]
        assert not errors, errors[:5]


# ---- SARIF ----

def test_sarif_follows_the_schema(outputs):
    follow(schema("sarif-schema-2.1.0.json"), outputs("sarif"))


def test_sarif_is_what_code_scanning_takes(outputs):
    for text in outputs("sarif").values():
        for run in json.loads(text)["runs"]:
            rules = run["tool"]["driver"]["rules"]
            assert len({r["id"] for r in rules}) == len(rules)
            for rule in rules:
                assert len(rule["shortDescription"]["text"]) <= 1024 and len(rule["fullDescription"]["text"]) <= 1024
                assert rule["help"]["text"] and rule["properties"]["precision"] and len(rule["properties"]["tags"]) <= 20
                assert 0 <= float(rule["properties"]["security-severity"]) <= 10
            for result in run["results"]:
                assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
                place = result["locations"][0]["physicalLocation"]
                assert not place["artifactLocation"]["uri"].startswith("/") and place["region"]["startLine"] == 1
                assert re.fullmatch("[0-9a-f]{64}:1", result["partialFingerprints"]["primaryLocationLineHash"])
            marks = [(r["ruleId"], r["partialFingerprints"]["primaryLocationLineHash"]) for r in run["results"]]
            assert len(set(marks)) == len(marks)


def test_sarif_content():
    run = json.loads(dump("sarif", "rich"))["runs"][0]
    rules = {r["id"]: r for r in run["tool"]["driver"]["rules"]}
    assert [r["ruleId"] for r in run["results"]] == sorted(r["ruleId"] for r in run["results"]) and len(run["results"]) == 8
    score = {k: r["properties"]["security-severity"] for k, r in rules.items()}
    # CVSS where it rates as the distribution does, else the least of the severity
    assert score == {"CVE-2024-0001": "9.8", "CVE-2024-0002": "1.0", "CVE-2024-0003": "0.0", "CVE-2024-0004": "0.1",
                     "GHSA-aaaa-bbbb-cccc": "4.0", "CVE-2023-1111": "7.0", "CVE-2023-2222": "4.0"}
    first = next(r for r in run["results"] if r["ruleId"] == "CVE-2024-0001")
    assert first["level"] == "error" and "Upgrade libssl3 to 3.0.11-1~deb12u3." in first["message"]["text"]
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "var/lib/dpkg/status"
    suppressed = {r["ruleId"]: r["suppressions"][0] for r in run["results"] if "suppressions" in r}
    assert suppressed["CVE-2023-1111"] == {"kind": "external", "status": "accepted",
                                           "justification": "image.openvex.json: statement 2: not_affected: the code is not there"}
    assert set(suppressed) == {"CVE-2023-1111", "CVE-2023-2222"}
    assert not json.loads(dump("sarif", "none"))["runs"][0]["invocations"][0]["executionSuccessful"]


# ---- CycloneDX ----

def test_cyclonedx_follows_the_schema(outputs):
    follow(schema("bom-1.6.schema.json"), outputs("cyclonedx"))


def test_cyclonedx_names_are_unique(outputs):
    for text in outputs("cyclonedx").values():
        bom = json.loads(text)
        refs = [c["bom-ref"] for c in bom["components"]] + [bom["metadata"]["component"]["bom-ref"]]
        assert len(set(refs)) == len(refs)
        assert {a["ref"] for v in bom["vulnerabilities"] for a in v["affects"]} <= set(refs)
        assert set(bom["dependencies"][0]["dependsOn"]) == set(refs) - {"image"}
        assert all(re.fullmatch(r"pkg:[a-z]+/[!-~]+", c["purl"]) for c in bom["components"] if "purl" in c)


def test_cyclonedx_content():
    bom = json.loads(dump("cyclonedx", "rich"))
    assert [c.get("purl") for c in bom["components"]] == [
        None,
        "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl",
        "pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12",
        "pkg:deb/debian/zlib1g@1:1.2.13%2Bdfsg-1?arch=amd64&distro=debian-12&upstream=zlib"]
    assert bom["metadata"]["component"]["purl"].startswith("pkg:oci/app@sha256:0123")
    vulnerabilities = {v["id"]: v for v in bom["vulnerabilities"]}
    assert len(vulnerabilities) == len(bom["vulnerabilities"]) == 7
    first = vulnerabilities["CVE-2024-0001"]
    assert len(first["affects"]) == 2 and first["analysis"] == {"response": ["update"]}
    assert first["ratings"][:2] == [
        {"source": {"name": "debian"}, "severity": "critical", "method": "other"},
        {"source": {"name": "nvd@nist.gov"}, "score": 9.8, "severity": "critical", "method": "CVSSv31",
         "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]
    assert [a["url"] for a in first["advisories"]] == [
        "https://security-tracker.debian.org/tracker/x", "https://example.org/a?b=c&d", "https://example.org/plain?a=1&b=2"]
    assert vulnerabilities["CVE-2023-1111"]["analysis"] == {
        "state": "not_affected", "detail": "image.openvex.json: statement 2: the code is not there"}
    assert vulnerabilities["CVE-2023-1111"]["affects"][0]["versions"][0]["status"] == "unaffected"
    assert vulnerabilities["CVE-2023-2222"]["analysis"] == {"response": ["will_not_fix"], "detail": "clair-whitelist.yaml: line 3"}
    assert vulnerabilities["CVE-2024-0003"]["analysis"] == {"state": "in_triage"}


# ---- all of them ----

FORMATS = ["sarif", "cyclonedx"]


@pytest.mark.parametrize("form", FORMATS)
def test_same_report_same_bytes(form):
    for case in ("rich", "hostile"):
        assert dump(form, case) == dump(form, case)


def test_suppressed_in_json():
    report = json.loads(dump("json", "rich"))
    assert [(s["by"], s["reason"], s["vex_status"], s["finding"]["id"]) for s in report["suppressed"]] == [
        ("image.openvex.json: statement 2", "the code is not there", "not_affected", "CVE-2023-1111"),
        ("clair-whitelist.yaml: line 3", None, None, "CVE-2023-2222")]
    closed = json.loads((helpers.ROOT / "docs/report.schema.json").read_text())
    jsonschema.Draft202012Validator(closed).validate(report)
    jsonschema.Draft202012Validator(closed).validate(json.loads(dump("json", "hostile")))


# ---- several at once ----

def test_several_at_once(db, small_image, tmp_path):
    a, b = tmp_path / "a.json", tmp_path / "b.sarif"
    r = eclair("scan", small_image, "--db", db, "-f", f"json={a}", "-f", "table", "--format", f"sarif={b}")
    assert (r.code, r.err) == (0, b"")
    assert r.out == eclair("scan", small_image, "--db", db).out
    assert a.read_bytes() == eclair("scan", small_image, "--db", db, "-fjson").out
    assert b.read_bytes() == eclair("scan", small_image, "--db", db, "-f", "sarif").out
    r = eclair("scan", small_image, "--db", db, "-f", f"json={a}")
    assert (r.code, r.out, r.err) == (0, b"", b"")
    r = eclair("scan", small_image, "--db", db, "-f", f"json={a}", "-f", "sarif", "--output", b)
    assert (r.code, r.out, r.err) == (0, b"", b"") and json.loads(b.read_text())["version"] == "2.1.0"
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".db") == ["a.json", "b.sarif"]


@pytest.mark.parametrize("options,words", [
    (["-f", "json", "-f", "table"], ["json", "table", "standard output"]),
    (["-f", "json=-", "-f", "table"], ["json", "table", "standard output"]),
    (["-f", "json=x", "-f", "table=x"], ["json", "table", "x"]),
    (["-f", "json=x", "-f", "table", "--output", "x"], ["json", "table", "x"]),
    (["-f", "json=x", "--output", "y"], ["--output y"]),
    (["-f", "json="], ["--format json=", "missing"]), (["-f"], ["--format", "value"]),
    (["-f", "yaml=x"], ["yaml", "table, json, sarif, cyclonedx"]), (["-f", "jsonx"], ["jsonx"]),
    (["-f", "json=x"] * 17, ["more than 16"]),
])
def test_wrong_formats(options, words, db, small_image, tmp_path):
    assert_refused(eclair("scan", small_image, "--db", db, *options, cwd=tmp_path), *words, code=2)
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".db"] == []


def test_a_place_that_cannot_be_written(db, small_image, tmp_path):
    a = tmp_path / "a.json"
    r = eclair("scan", small_image, "--db", db, "-f", f"json={a}", "-f", f"sarif={tmp_path}/absent/x")
    assert_refused(r, "--format", "absent/x")
    assert not a.exists()  # found out before any work


def test_help_lists_the_formats():
    out = eclair("scan", "--help").out.decode()
    assert all(re.search(rf"^  {form} ", out, re.M) for form in FORMATS + ["table", "json"]), out
