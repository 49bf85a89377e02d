"""Reports: the JSON follows its schema, everything is sorted and reproducible, the table is for people."""
import datetime
import json
import os
from pathlib import Path

import helpers
import jsonschema
import make_images as mi
import pytest
from helpers import eclair, scan

SCHEMA = json.loads((helpers.ROOT / "docs/report.schema.json").read_text())
GOLDEN = Path(__file__).parent / "golden"


def validate(report):
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(report)


def build(tmp_path, layers, name="image.tar"):
    path = tmp_path / name
    path.write_bytes(mi.archive(layers))
    return path


STATUS = "var/lib/dpkg/status"
IMAGES = {
    "debian": mi.debian_layers(),
    "alpine": mi.alpine_layers(),
    "empty": [[("x", b"y")]],
    "not covered": [[("etc/os-release", mi.os_release("unheardof", "1", "Unheard Of")), (STATUS, mi.dpkg_status())]],
    "no distribution": [[(STATUS, mi.dpkg_status())]],
    "removed database": [[(STATUS, mi.dpkg_status())], [("var/lib/.wh.dpkg", b"")]],
    "odd bytes": [[("etc/os-release", b'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Caf\xe9 \\"1\\""\n'),
                   (STATUS, b"Package: caf\xe9\nStatus: install ok installed\nVersion: 1.0-1\nSource: openssl (3.0.11-1)\n\n")]],
}


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def closed(node, path="$"):
        """Every object says all its members."""
        if isinstance(node, dict):
            if "object" in node.get("type", ()):
                assert node.get("additionalProperties") is False and node.get("required"), path
            for key, value in node.items():
                closed(value, f"{path}.{key}")
    closed(SCHEMA)


@pytest.mark.parametrize("case", IMAGES)
def test_json_follows_the_schema(case, db, tmp_path):
    validate(scan(db, build(tmp_path, IMAGES[case])).json())


def test_real_json_follows_the_schema(db):
    for name in ("debian-bullseye-layers.docker.tar.zst", "rpm-ubi9-layers.oci.tar", "edge-alpine-whiteouts.docker.tar.zst"):
        validate(scan(db, helpers.need_data(f"images/{name}")).json())


def test_schema_is_strict(db, small_image):
    """The schema would notice: a missing member, an added one, another type."""
    report = scan(db, small_image).json()
    for change in ({"schema_version": 2}, {"coverage": "most"}, {"extra": 1}, {"findings": None}):
        with pytest.raises(jsonschema.ValidationError):
            validate(report | change)
    for key in report["findings"][0]:
        with pytest.raises(jsonschema.ValidationError):
            validate(report | {"findings": [{k: v for k, v in report["findings"][0].items() if k != key}]})


def test_metadata_follows_the_schema():
    """What no feed of today brings: the report that test_report.c compares with."""
    report = json.loads((helpers.ROOT / "tests/unit/golden/report.json").read_text())
    validate(report)
    first = report["findings"][0]
    assert first["cvss"] and first["epss"] and first["kev"] and not {"cvss", "epss", "kev"} & set(report["findings"][-1])
    for key, value in {"cvss": [], "epss": {}, "kev": None}.items():
        with pytest.raises(jsonschema.ValidationError):
            validate(report | {"findings": [first | {key: value}]})


def test_content(db, small_image):
    report = scan(db, small_image).json()
    tars = [mi.tar(layer) for layer in mi.debian_layers()]
    assert report["image"]["name"] == str(small_image)
    assert report["image"]["digest"].startswith("sha256:")
    assert report["layers"] == [{"digest": mi.sha256(t), "size": len(t)} for t in tars]
    assert report["distribution"] == {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)",
                                      "namespace": "debian:12", "end_of_life": "2028-06-30"}
    assert report["coverage"] == "full" and report["warnings"] == []
    assert report["database"]["generation"] == 2
    assert report["database"]["feeds"] == [{"name": "debian", "last_success": helpers.NOW, "age_seconds": 0}]
    finding = next(f for f in report["findings"] if (f["package"], f["id"]) == ("libssl3", "CVE-2024-0001"))
    want = {"version": "3.0.11-1~deb12u2", "source": "openssl", "source_version": "3.0.11-1~deb12u2",
            "fixed_version": "3.0.11-1~deb12u3", "fix_state": "fixed", "severity": "High", "severity_source": "debian",
            "namespace": "debian:12", "layer": mi.sha256(tars[0]), "feed": "debian", "description": "text", "advisory": None,
            "links": ["https://security-tracker.debian.org/tracker/CVE-2024-0001"]}
    assert {k: finding[k] for k in want} == want


def test_everything_is_sorted(db, tmp_path):
    """Whatever the order in the image and in the feed."""
    first = scan(db, build(tmp_path, [[("etc/os-release", mi.os_release()), (STATUS, mi.dpkg_status())]])).json()
    turned = mi.dpkg_status(reversed(mi.DPKG))
    second = scan(db, build(tmp_path, [[(STATUS, turned), ("etc/os-release", mi.os_release())]])).json()
    for report in (first, second):
        assert [(p["name"], p["version"], p["arch"]) for p in report["packages"]] == helpers.packages(report)
        assert [(f["package"], f["id"]) for f in report["findings"]] == helpers.ids(report)
    strip = [{k: v for k, v in f.items() if k != "layer"} for r in (first, second) for f in r["findings"]]
    assert strip[:len(strip) // 2] == strip[len(strip) // 2:]


@pytest.mark.parametrize("form", ["json", "table"])
def test_reproducible(form, tmp_path, small_mirror, small_image):
    """Another database, another order of work: the same bytes."""
    outputs = []
    for i in range(2):
        db = tmp_path / f"{i}" / "eclair.db"
        for source in ("debian", "alpine"):
            helpers.update(db, small_mirror, source)
        if i:
            scan(db, build(tmp_path, IMAGES["alpine"]))  # other rows come first in this one
        out = eclair("scan", small_image, "--db", db, "--format", form).out
        outputs.append(out)
    assert b"CVE-2024-0001" in outputs[0]
    assert outputs[0] == outputs[1]


def test_age_follows_the_clock(db, small_image):
    now = datetime.datetime(2026, 1, 4, 3, 4, 5, tzinfo=datetime.timezone.utc)
    report = scan(db, small_image, env=helpers.environment(ECLAIR_NOW=now.strftime("%Y-%m-%dT%H:%M:%SZ"))).json()
    assert report["database"]["feeds"] == [{"name": "debian", "last_success": helpers.NOW, "age_seconds": 2 * 86400}]


@pytest.mark.parametrize("now,told", [("2028-06-30T23:59:59Z", False), ("2028-07-01T00:00:00Z", True)])
def test_end_of_life_is_told(now, told, db, small_image):
    """A distribution that is no longer maintained has no new findings: that is not the same as safe."""
    r = scan(db, small_image, env=helpers.environment(ECLAIR_NOW=now))
    assert r.code == 0
    assert any("end of life" in w for w in r.json()["warnings"]) == told


def test_bytes_that_are_no_text(db, tmp_path):
    report = scan(db, build(tmp_path, IMAGES["odd bytes"])).json()
    package = report["packages"][0]
    assert (package["name"], package["name_hex"]) == ("caf\ufffd", b"caf\xe9".hex())
    assert report["distribution"]["name"] == 'Caf\ufffd "1"'
    assert report["findings"]
    table = eclair("scan", build(tmp_path, IMAGES["odd bytes"]), "--db", db).out
    table.decode("utf-8", "strict")


def test_terminal_is_safe(db, tmp_path):
    """No control character of an image or a feed reaches the terminal, and JSON escapes them."""
    status = mi.stanza("bell\x07\x1b[2J", "1.0-1", "openssl (3.0.11-1)").encode()
    image = build(tmp_path, [[("etc/os-release", mi.os_release(name="D\x1b]0;x\x07ebian")), (STATUS, status)]])
    table = eclair("scan", image, "--db", db).out
    assert not set(table) & (set(range(32)) - {10}), table
    validate(scan(db, image).json())


@pytest.mark.parametrize("case", ["debian", "alpine", "empty", "not covered", "removed database"])
def test_table_is_golden(case, db, tmp_path):
    """UPDATE_GOLDEN=1 writes the files anew; then read the difference."""
    r = eclair("scan", "image.tar", "--db", "eclair.db", cwd=build(tmp_path, IMAGES[case]).parent)
    golden = GOLDEN / f"table-{case.replace(' ', '-')}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_bytes(r.out)
    assert r.out.decode() == golden.read_text()
    assert r.code == (3 if case == "not covered" else 0)
