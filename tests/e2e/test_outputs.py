"""The outputs of `eclair scan` for other programs: each follows its schema, whatever is in the image."""
import csv
import fcntl
import io
import json
import os
import re
import shutil
import struct
import subprocess
import termios
import tty
from html.parser import HTMLParser
from xml.etree import ElementTree

import helpers
import jsonschema
import make_images as mi
import pytest
from helpers import ECLAIR, assert_refused, eclair, need_data

DUMP = ECLAIR.parent / "tests/unit/report_dump"
FORMATS = ["sarif", "cyclonedx", "spdx", "gitlab", "junit", "html", "markdown", "clair-scanner"]
CASES = ["rich", "hostile", "empty", "none"]
IMAGES = {"debian": mi.debian_layers(), "alpine": mi.alpine_layers(),
          "bytes": [[("etc/os-release", mi.os_release()),
                     ("var/lib/dpkg/status", mi.stanza("a<script>|`\x1b[2J", "1.0-1", "openssl (3.0.11-1)").encode()
                      + b"Package: caf\xe9\"'&\nStatus: install ok installed\nVersion: 1.0-1\nSource: openssl (3.0.11-1)\n\n")]]}
REAL = ["debian-bullseye-layers.docker.tar.zst", "rpm-ubi9-layers.oci.tar", "edge-alpine-whiteouts.docker.tar.zst"]


def dump(form, case, *options):
    if not DUMP.exists():
        pytest.skip("report_dump is not built")
    r = subprocess.run([DUMP, form, case, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    assert r.stderr == b""  # nor did a sanitizer say anything
    return r.stdout


@pytest.fixture(scope="session")
def outputs(tmp_path_factory, small_db_master):
    """Of each format the outputs of all images and cases; each image is scanned once, into all of them."""
    place = tmp_path_factory.mktemp("outputs")
    db = shutil.copy(small_db_master, place)  # the master stays without layers
    images = {name: need_data(f"images/{name}") for name in REAL}
    for name, layers in IMAGES.items():
        images[name] = place / f"{name}.tar"
        images[name].write_bytes(mi.archive(layers))
    for name, image in images.items():
        options = [f"--format={form}={place}/{form}-{name}" for form in FORMATS]
        r = eclair("scan", image, "--db", db, "--quiet", *options)
        assert r.code in (0, 3) and (r.out, r.err) == (b"", b"")
    return lambda form: {case: dump(form, case) for case in CASES} | {n: (place / f"{form}-{n}").read_bytes() for n in images}


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


def test_sarif_of_many_findings_is_several_runs():
    runs = json.loads(dump("sarif", "huge"))["runs"]
    assert [len(r["results"]) for r in runs] == [25000, 1000]
    assert [r["automationDetails"]["id"] for r in runs] == ["eclair/registry.example/team/app:1.2/", "eclair/registry.example/team/app:1.2/2/"]
    assert all(r["tool"]["driver"]["rules"][x["ruleIndex"]]["id"] == x["ruleId"] for r in runs for x in r["results"])


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


# ---- SPDX ----

def test_spdx_follows_the_schema(outputs):
    follow(schema("spdx-2.3-schema.json"), outputs("spdx"))


def test_spdx_content(outputs):
    for text in outputs("spdx").values():
        document = json.loads(text)
        ids = [p["SPDXID"] for p in document["packages"]]
        assert len(set(ids)) == len(ids) and all(re.fullmatch("SPDXRef-[A-Za-z0-9.-]+", i) for i in ids)
        contained = [r["relatedSpdxElement"] for r in document["relationships"] if r["relationshipType"] == "CONTAINS"]
        assert set(contained) == set(ids) - {"SPDXRef-image"}
        assert document["relationships"][0] == {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                                                "relatedSpdxElement": "SPDXRef-image"}
        assert re.fullmatch("urn:uuid:[0-9a-f-]{36}", document["documentNamespace"])
    document = json.loads(dump("spdx", "rich"))
    libssl = next(p for p in document["packages"] if p["name"] == "libssl3")
    assert [(r["referenceType"], r.get("comment")) for r in libssl["externalRefs"]] == [
        ("purl", None), ("advisory", "CVE-2024-0001"), ("advisory", "CVE-2024-0002")]
    assert document["creationInfo"]["created"] == helpers.NOW


# ---- GitLab: spec, 15.0.7; its schema is not among ours ----

LINK = {"type": "object", "required": ["url"], "additionalProperties": False,
        "properties": {"url": {"type": "string", "pattern": "^https?://[!-~]+$"}, "name": {"type": "string"}}}
TOOL = {"type": "object", "required": ["id", "name", "version", "vendor"], "additionalProperties": False,
        "properties": {"id": {"minLength": 1}, "name": {"minLength": 1}, "version": {"minLength": 1}, "url": {},
                       "vendor": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}}}}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"}
GITLAB = {
    "type": "object", "required": ["version", "scan", "vulnerabilities"], "additionalProperties": False,
    "properties": {
        "version": {"const": "15.0.7"},
        "scan": {"type": "object", "required": ["analyzer", "scanner", "start_time", "end_time", "status", "type"],
                 "additionalProperties": False, "properties": {
                     "analyzer": TOOL, "scanner": TOOL, "start_time": TIME, "end_time": TIME, "status": {"enum": ["success", "failure"]},
                     "type": {"const": "container_scanning"}, "messages": {"type": "array", "items": {
                         "type": "object", "required": ["level", "value"], "additionalProperties": False,
                         "properties": {"level": {"enum": ["info", "warn", "fatal"]}, "value": {"type": "string", "minLength": 1}}}}}},
        "vulnerabilities": {"type": "array", "items": {
            "type": "object", "required": ["id", "identifiers", "location"], "additionalProperties": False, "properties": {
                "id": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
                "name": {"type": "string", "maxLength": 255}, "description": {"type": "string", "maxLength": 1048576},
                "severity": {"enum": ["Info", "Unknown", "Low", "Medium", "High", "Critical"]},
                "solution": {"type": "string", "maxLength": 7000}, "links": {"type": "array", "items": LINK},
                "identifiers": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "required": ["type", "name", "value"], "additionalProperties": False,
                    "properties": {"type": {"type": "string", "pattern": "^[a-z]+$"}, "name": {"type": "string", "minLength": 1},
                                   "value": {"type": "string", "minLength": 1}, "url": {"pattern": "^https?://.+"}}}},
                "location": {"type": "object", "required": ["dependency", "operating_system", "image"], "additionalProperties": False,
                             "properties": {
                                 "operating_system": {"type": "string", "minLength": 1}, "image": {"type": "string", "minLength": 1},
                                 "dependency": {"type": "object", "required": ["package", "version"], "additionalProperties": False,
                                                "properties": {"version": {"type": "string"}, "package": {
                                                    "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}}}}}}}}


def test_gitlab_follows_the_rules(outputs):
    follow(jsonschema.Draft202012Validator(GITLAB), outputs("gitlab"))
    for text in outputs("gitlab").values():
        ids = [v["id"] for v in json.loads(text)["vulnerabilities"]]
        assert len(set(ids)) == len(ids)


def test_gitlab_content():
    report = json.loads(dump("gitlab", "rich"))
    assert report["scan"]["status"] == "success" and report["scan"]["start_time"] == helpers.NOW[:-1]
    found = report["vulnerabilities"]
    assert [v["identifiers"][0]["value"] for v in found] == ["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0001", "CVE-2024-0003",
                                                             "CVE-2024-0004", "GHSA-aaaa-bbbb-cccc"]
    assert [v["severity"] for v in found] == ["Critical", "Low", "Critical", "Unknown", "Low", "Medium"]
    assert [i["type"] for i in found[5]["identifiers"]] == ["ghsa", "dsa"]
    assert found[0]["location"] == {"dependency": {"package": {"name": "libssl3"}, "version": "3.0.11-1~deb12u2"},
                                    "operating_system": "debian:12", "image": "registry.example/team/app:1.2"}
    assert json.loads(dump("gitlab", "none"))["scan"]["status"] == "failure"


# ---- JUnit ----

def test_junit_follows_the_rules(outputs):
    for name, text in outputs("junit").items():
        root = ElementTree.fromstring(text)
        suite, = root
        cases = suite.findall("testcase")
        count = {k: len(suite.findall(f"testcase/{k}")) for k in ("failure", "error", "skipped")}
        assert root.tag == "testsuites" and root.get("name") == "eclair" and suite.tag == "testsuite", name
        assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
            str(len(cases)), str(count["failure"]), str(count["error"]), str(count["skipped"])), name
        assert all(len(c) == 1 and c.get("classname") and c.get("name") for c in cases), name
        assert suite.find("properties/property").get("name") == "type"


def test_junit_content():
    suite, = ElementTree.fromstring(dump("junit", "rich"))
    assert [suite.get(k) for k in ("name", "tests", "failures", "skipped")] == ["registry.example/team/app:1.2", "8", "6", "2"]
    case = suite.find("testcase")
    assert (case.get("classname"), case.get("name")) == ("libssl3-3.0.11-1~deb12u2", "[Critical] CVE-2024-0001")
    assert "Upgrade libssl3 to 3.0.11-1~deb12u3" in case.find("failure").text
    assert [s.get("message") for s in suite.iter("skipped")] == [
        "image.openvex.json: statement 2: the code is not there", "clair-whitelist.yaml: line 3"]
    suite, = ElementTree.fromstring(dump("junit", "hostile"))
    assert suite.get("name").endswith("caf\xe9") and "<script>alert(1)</script>&amp;\"'|" in suite.get("name")
    assert "\x1b" not in suite.get("name") and "\n\n# h\n" in suite.get("name")
    suite, = ElementTree.fromstring(dump("junit", "none"))
    assert "no feed is loaded for <debian:12>" in suite.find("testcase/error").get("message")


# ---- clair-scanner ----

def test_clair_scanner_content(outputs):
    for text in outputs("clair-scanner").values():
        assert set(json.loads(text)) == {"image", "unapproved", "vulnerabilities"}
    report = json.loads(dump("clair-scanner", "rich"))
    # one row for both packages of openssl; what was suppressed is approved
    assert [(v["featurename"], v["vulnerability"], v["severity"]) for v in report["vulnerabilities"]] == [
        ("openssl", "CVE-2024-0001", "Critical"), ("openssl", "CVE-2023-1111", "High"), ("zlib", "CVE-2023-2222", "Medium"),
        ("zlib", "DSA-1-1", "Medium"), ("openssl", "CVE-2024-0002", "Low"), ("zlib", "CVE-2024-0004", "Negligible"),
        ("openssl", "CVE-2024-0003", "Unknown")]
    assert report["unapproved"] == ["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003", "CVE-2024-0004", "DSA-1-1"]
    assert report["vulnerabilities"][0]["namespace"] == "debian:12"


# ---- Markdown, read as GitHub does ----

class Page(HTMLParser):
    """Tags, links and the texts of table cells."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.rows, self.text = set(), [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in ("href", "src")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    inside = False

    def handle_endtag(self, tag):
        self.inside &= tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self.inside:
            self.rows[-1][-1] += data


def markdown(case, *options):
    text = dump("markdown", case, *options)
    r = subprocess.run(["cmark-gfm", "--unsafe", "-e", "table", "-e", "autolink", "-e", "strikethrough"], input=text,
                       stdout=subprocess.PIPE, check=True)
    return Page(r.stdout.decode())


def test_markdown_content():
    page = markdown("rich", "suppressed")
    assert page.rows[0] == ["Severity", "Vulnerability", "Package", "Installed", "Fixed in", "Layer"]
    assert page.rows[1] == ["Critical", "CVE-2024-0001 KEV", "libssl3", "3.0.11-1~deb12u2", "3.0.11-1~deb12u3", "1"]
    assert [r[0] for r in page.rows[1:7]] == ["Critical", "Critical", "Medium", "Low", "Unknown", "Negligible"]
    assert page.rows[8][:3] == ["CVE-2023-1111", "libssl3", "image.openvex.json: statement 2"]
    assert page.rows[8][3] == "the code is not there"
    assert "6 findings: 2 Critical, 1 Medium, 1 Low, 1 Negligible, 1 Unknown; 2 with a fix; 2 suppressed." in page.text
    assert b"CVE-2023" not in dump("markdown", "rich")
    assert "Not covered" in markdown("none").text and "no feed is loaded for <debian:12>" in markdown("none").text


def test_markdown_of_hostile_texts():
    page = markdown("hostile", "suppressed")
    assert page.tags == {"h2", "code", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "a", "details", "summary"}
    assert set(page.links) == {"https://security-tracker.debian.org/tracker/x"}
    assert all(len(r) == (6 if i < 7 else 4) for i, r in enumerate(page.rows)), page.rows
    assert page.rows[1][2].startswith("libssl3<script>alert(1)</script>&amp;\"'|`*_[x](javascript:alert(1))  # h - x[2J")


def test_markdown_fits_a_comment():
    text = dump("markdown", "many").decode()
    assert 30000 < len(text) < 65536
    shown = text.count("\n| ") - 2
    assert f"\n{5000 - shown} more are left out" in text


# ---- all of them ----


@pytest.mark.parametrize("form", FORMATS)
def test_same_report_same_bytes(form):
    for case in ("rich", "hostile"):
        assert dump(form, case) == dump(form, case)


@pytest.mark.parametrize("form", ["table", "json", "template"] + FORMATS)
def test_a_report_that_is_too_large(form):
    """Never more than there is room for, and never a part of it as if it were the whole."""
    size = len(dump(form, "rich", "suppressed", "template={{#findings}}{{description}}{{/findings}}"))
    for room in (1, size // 2, size - 1):
        r = subprocess.run([DUMP, form, "rich", "suppressed", "template={{#findings}}{{description}}{{/findings}}", f"max={room}"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (r.returncode, r.stdout, r.stderr) == (1, b"", b""), (form, room)


def test_suppressed_in_json():
    report = json.loads(dump("json", "rich"))
    assert [(s["by"], s["reason"], s["status"], s["finding"]["id"]) for s in report["suppressed"]] == [
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
    (["-f", "yaml=x"], ["yaml", "table, json, sarif, cyclonedx, spdx, gitlab, junit, html, markdown, clair-scanner, template"]), (["-f", "jsonx"], ["jsonx"]),
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


# ---- the table on a terminal ----

def on_terminal(db, image, width, *options, **variables):
    """What a terminal of that width gets."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    tty.setraw(slave)
    with subprocess.Popen([ECLAIR, "scan", image, "--db", db, *options], stdout=slave, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                          env=helpers.environment(**{"TERM": "xterm"} | variables)) as p:
        os.close(slave)
        out = b""
        while True:
            try:
                more = os.read(master, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not more:
                break
            out += more
    os.close(master)
    assert p.returncode == 0
    return out.decode()


@pytest.mark.parametrize("width", [60, 200])
def test_table_on_a_terminal(width, db, small_image, tmp_path):
    out = on_terminal(db, small_image, width, NO_COLOR="1")
    assert "\x1b" not in out
    assert "In the base image's lowest layer (layer 1 of 2, sha256:" in out
    rows = [line for line in out.splitlines() if line.startswith("    ")]
    assert rows and all(len(line) <= width for line in rows)
    assert len([r for r in rows if r[4] != " "]) == len(eclair("scan", small_image, "--db", db, "-f", "json").json()["findings"])
    assert out.splitlines()[-1] == eclair("scan", small_image, "--db", db).out.decode().splitlines()[-1]


def test_colour_on_a_terminal(db, small_image, tmp_path):
    coloured, plain = on_terminal(db, small_image, 100), on_terminal(db, small_image, 100, NO_COLOR="1")
    assert "\x1b[31mHigh\x1b[0m" in coloured and re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert on_terminal(db, small_image, 100, TERM="dumb") == plain
    file = tmp_path / "table.txt"
    on_terminal(db, small_image, 100, "-f", f"table={file}")
    assert file.read_bytes() == eclair("scan", small_image, "--db", db).out  # a file is no terminal


def test_table_wraps():
    for width in (40, 60, 80, 110, 200):
        lines = dump("table", "rich", f"width={width}").decode().splitlines()
        assert all(len(line) <= width for line in lines if line.startswith("    ")), width
    out = dump("table", "rich", "width=110").decode()
    assert "A title that is long enough to need more than one\n" in out and "line of a narrow terminal\n" in out
    assert "What is wrong, in words." not in out
    assert "\nIn the layers above it:\n  zlib1g 1:1.2.13+dfsg-1  (layer 2 of 2, sha256:fedcba987654)\n    Medium " in out
    hostile = dump("table", "hostile", "width=80", "suppressed")
    assert not set(hostile) & (set(range(32)) - {10}) and hostile.decode("utf-8", "strict")


def test_suppressed_for_people():
    for form in ("table", "html", "markdown"):
        assert b"2023" not in dump(form, "rich")
        shown = dump(form, "rich", "suppressed")
        assert b"2023-1111" in shown and b"the code is not there" in shown, form
    assert b"2 suppressed (--show-suppressed lists them)" in dump("table", "rich")


# ---- templates ----

def template(text, case="rich"):
    return dump("template", case, f"template={text}").decode()


@pytest.mark.parametrize("text,want", [
    ("", ""), ("plain { } }}", "plain { } }}"), ("{{image.name}} {{ coverage }}", "registry.example/team/app:1.2 full"),
    ("{{nothing}}{{image.nothing.at_all}}{{#nothing}}x{{/nothing}}{{^nothing}}none{{/nothing}}", "none"),
    ("{{schema_version}}{{#findings}}{{#uncertain}} {{id}} {{uncertain}}{{/uncertain}}{{/findings}}", "1 GHSA-aaaa-bbbb-cccc true"),
    ("{{#warnings}}{{.}}{{/warnings}}{{^warnings}}fine{{/warnings}}", "fine"),
    ("{{#findings}}{{#kev}}{{id}} {{added}};{{/kev}}{{/findings}}", "CVE-2024-0001 2021-12-10;CVE-2024-0001 2021-12-10;"),
    ("{{#distribution}}{{name}} {{image.name|raw}}{{/distribution}}", "Debian GNU/Linux 12 registry.example/team/app:1.2"),
    ("{{#layers}}{{#size}}{{.}},{{/size}}{{/layers}}", "1000,1000,"),
    ("a\n  {{#image}}  \nb\n{{! comment }}\n{{/image}}\nc", "a\nb\nc"), ("a {{#image}}\nb{{/image}}\nc", "a \nb\nc"),
    ("{{#database}}{{#feeds}}{{name}} {{age_seconds}} {{generation}}{{/feeds}}{{/database}}", "debian 7200 7"),
])
def test_template(text, want):
    assert template(text) == want


def test_template_of_hostile_texts():
    name = json.loads(dump("json", "hostile"))["image"]["name"]
    assert template("{{image.name|raw}}", "hostile") == name
    assert json.loads(template("{{image.name|json}}", "hostile")) == name and "<" not in template("{{image.name|json}}", "hostile")
    (read,), = csv.reader(io.StringIO(template("{{image.name|csv}}", "hostile"), newline=""))
    assert read == name
    assert not set(template("{{image.name}}", "hostile")) & set("<>\"'\x1b\x07\x9b\u202e")
    assert not set(template("{{image.name|line}}", "hostile")) & set("\x1b\x07\x9b\u202e\n\r")
    assert not set(template("{{image.name|markdown}}", "hostile")) & set("|`*_[]\n\x1b") - set("-")


def test_example_of_a_template(db, small_image):
    file = helpers.ROOT / "examples/findings.csv.mustache"
    r = eclair("scan", small_image, "--db", db, "-f", "template", "--template", file)
    findings = eclair("scan", small_image, "--db", db, "-f", "json").json()["findings"]
    assert (r.code, r.err) == (0, b"")
    assert list(csv.reader(r.out.decode().splitlines())) == [["severity", "id", "package", "version", "fixed in", "why not"]] + [
        [f["severity"], f["id"], f["package"], f["version"], f["fixed_version"] or "", ""] for f in findings]
    assert '"Medium","CVE-2023-2222","zlib1g","1:1.2.13+dfsg-1","","clair-whitelist.yaml: line 3"\n' in template(file.read_text())


@pytest.mark.parametrize("text,words", [
    ("\n{{#a}}", ["line 2", "not closed", "a"]), ("{{/a}}", ["line 1", "no such section", "a"]), ("{{#a}}{{#b}}{{/a}}", ["another", "a"]),
    ("{{a", ["without its end"]), ("{{{a}}}", ["no name"]), ("{{> a}}", ["no name"]), ("{{=<% %>=}}", ["no name"]), ("{{a..b}}", ["no name"]),
    ("{{}}", ["no name"]), ("{{A}}", ["no name"]), ("{{a|b}}", ["filters", "'b'"]), ("{{#a}}" * 17, ["too deep"]),
    ("{{a}}" * 10001, ["more than 10000 tags"]), ("x" * ((1 << 20) + 1), ["larger"]),
], ids=range(14))
def test_wrong_template(text, words, db, small_image, tmp_path):
    file = tmp_path / "t"
    file.write_text(text)
    assert_refused(eclair("scan", small_image, "--db", db, "-f", "template", "--template", file), str(file), *words)


def test_template_goes_with_its_format(db, small_image, tmp_path):
    assert_refused(eclair("scan", small_image, "--db", db, "-f", "template"), "--template", code=2)
    assert_refused(eclair("scan", small_image, "--db", db, "--template", "x"), "--format template", code=2)
    assert_refused(eclair("scan", small_image, "--db", db, "-f", "template", "--template", tmp_path / "absent"), "absent", "No such file")
