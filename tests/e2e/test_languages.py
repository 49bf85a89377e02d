"""Lists of packages of programming languages, judged by the real feeds of OSV: each ecosystem in a namespace of its own."""
import json

import helpers
import pytest
from helpers import eclair, scan

# purl, and what must and what must not be found (shared/data/feeds/osv, read by hand)
CASES = [
    ("pkg:npm/is-http2@1.2.0", {"CVE-2022-25906"}, set()),
    ("pkg:npm/is-http2@1.2.1", set(), {"CVE-2022-25906"}),  # the record says: last affected 1.2.0
    ("pkg:npm/codify@0.3.1", {"GHSA-2q6w-rxf3-4wc9"}, set()),
    ("pkg:npm/codify@0.3.2", set(), {"GHSA-2q6w-rxf3-4wc9"}),  # which names versions alone
    ("pkg:npm/bootstrap@4.3.0", {"GHSA-wh77-3x4m-4q9g"}, set()),
    ("pkg:npm/bootstrap@3.4.1", set(), {"GHSA-wh77-3x4m-4q9g"}),
    ("pkg:pypi/Mezzanine@6.0.0", {"CVE-2024-25170"}, set()),
    ("pkg:pypi/mezzanine@6.1.0", set(), {"CVE-2024-25170"}),
    ("pkg:pypi/ZODB3@3.8.2", {"CVE-2009-2701"}, set()),
    ("pkg:golang/github.com/Evanphx/json-patch@v0.5.1", {"CVE-2018-14632"}, set()),
    ("pkg:golang/github.com/evanphx/json-patch@v0.5.2", set(), {"CVE-2018-14632"}),
    ("pkg:golang/stdlib@1.13.14", {"CVE-2020-16845"}, set()),
    ("pkg:maven/io.undertow/undertow-core@2.3.18.Final", {"GHSA-22c5-cpvr-cfvq"}, set()),
    ("pkg:gem/cron_parser@0.1.4", {"CVE-2019-15224"}, set()),
    ("pkg:gem/cron_parser@0.1.5", set(), {"CVE-2019-15224"}),
    ("pkg:cargo/nothing@1.0.0", set(), set()),  # whose feed is not loaded
]
FEEDS = ("npm", "pypi", "go", "maven", "rubygems")


@pytest.fixture(scope="module")
def languages(tmp_path_factory):
    db = tmp_path_factory.mktemp("languages") / "eclair.db"
    helpers.update(db, helpers.need_data("feeds"), *FEEDS, timeout=600)
    return db


@pytest.fixture(scope="module")
def report(languages, tmp_path_factory):
    path = tmp_path_factory.mktemp("list") / "purls"
    path.write_text("".join(f"{purl}\n" for purl, _, _ in CASES))
    return scan(languages, path).json()


def found(report, name, version):
    return {f["id"]: f for f in report["findings"] if (f["package"], f["version"]) == (name, version)}


@pytest.mark.parametrize("purl,some,none", CASES)
def test_found(report, purl, some, none):
    name, _, version = purl.partition("/")[2].rpartition("@")
    ids = found(report, name.replace("/", ":") if purl.startswith("pkg:maven") else name, version)
    assert some <= ids.keys() and not none & ids.keys(), sorted(ids)


def test_namespaces(report):
    assert {f["namespace"] for f in report["findings"]} == set(FEEDS)
    assert {f["name"] for f in report["database"]["feeds"]} == set(FEEDS)
    assert report["coverage"] == "full"
    assert f"1 of {len(CASES)} packages were not judged: no feed is loaded for crates (eclair update loads them)" in report["warnings"]
    assert found(report, "is-http2", "1.2.0")["CVE-2022-25906"]["fixed_version"] is None


def test_explained(languages, tmp_path):
    path = tmp_path / "purls"
    path.write_text("pkg:npm/is-http2@1.2.0\npkg:npm/is-http2@1.2.1\n")
    text = eclair("explain", "--db", languages, "CVE-2022-25906", path).out.decode()
    assert "1.2.0 = 1.2.0: not above the last affected one" in text and "1.2.1 > 1.2.0: above the last affected one: not affected" in text


def test_not_covered(tmp_path):
    """None is called clean that nobody judged."""
    path, db = tmp_path / "purls", tmp_path / "empty.db"
    path.write_text("pkg:npm/is-http2@1.2.0\npkg:pypi/x@1\n")
    r = scan(db, path)
    assert r.code == 3 and json.loads(r.out)["coverage"] == "none"
    assert b"not covered: 2 of 2 packages were not judged: no feed is loaded for npm, pypi" in r.err


def test_first_scan_fetches(tmp_path):
    """What the packages want, and nothing else."""
    path, db = tmp_path / "purls", tmp_path / "first.db"
    path.write_text("pkg:gem/cron_parser@0.1.4\npkg:maven/a/b@1\n")
    r = eclair("scan", "--db", db, "--update", "auto", "--mirror", helpers.need_data("feeds"), "-f", "json", path,
               env=helpers.environment(ECLAIR_UPDATE=None))
    assert b"no data for rubygems yet: fetching rubygems (3 MB)" in r.err and b"no data for maven yet: fetching maven" in r.err
    assert "CVE-2019-15224" in helpers.ids(json.loads(r.out))[0]
