"""The oldest client through our server: a daemon that serves a real archive, clair-scanner, éclair, PostgreSQL or SQLite."""
import functools
import json
import subprocess

import expected
import helpers
import make_images
import pytest
from push_peers import Docker, scanner  # noqa: F401 (a fixture)

BULLSEYE = "images/debian-bullseye-layers.docker.tar.zst"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """All that Debian's tracker says of the packages of the image: the whole of it takes long to load."""
    feeds = helpers.need_data("feeds")
    packages, _ = expected.expected(helpers.need_data(BULLSEYE), feeds)
    tracker = expected.read_json(feeds / "debian/tracker/data/json")
    folder = tmp_path_factory.mktemp("feeds")
    helpers.write_mirror(folder, {name: tracker[name] for name in {p.source for p in packages} if name in tracker})
    return folder


@pytest.fixture
def real(database, serve, mirror):
    helpers.update(database, mirror, "debian", timeout=300)
    return serve()


def plain(path, to):
    with to.open("wb") as f:
        subprocess.run(["zstd", "-dcq", path], stdout=f, check=True)
    return to


@functools.cache
def wanted(image):
    """(feature, version, id, fixed version or "", severity) by the independent computation."""
    _, findings = expected.expected(image, helpers.DATA / "feeds")
    return {(f.source, f.source_version, f.id, f.fixed or "", f.severity) for f in findings if not f.id.startswith("TEMP-")}


def check_report(path, name, image):
    report = json.loads(path.read_text())
    assert list(report) == ["image", "unapproved", "vulnerabilities"] and report["image"] == name
    rows = [(v["featurename"], v["featureversion"], v["vulnerability"], v["fixedby"], v["severity"])
            for v in report["vulnerabilities"]]
    want = wanted(image)
    assert set(rows) == want and len(rows) == len(want)
    assert sorted(report["unapproved"]) == sorted(row[2] for row in rows)
    assert {v["namespace"] for v in report["vulnerabilities"]} == {"debian:11"}
    return len(rows)


def test_image_of_a_daemon(real, scanner, tmp_path):  # noqa: F811
    image = helpers.need_data(BULLSEYE)
    archive = plain(image, tmp_path / "image.tar").read_bytes()
    with Docker(tmp_path / "docker.sock", archive, name="shop:1.0") as docker:
        r = helpers.eclair("--port", "0", "-c", f"http://127.0.0.1:{real.port}", "--ip", "127.0.0.1", "-r", tmp_path / "report.json",
                           "shop:1.0", program=scanner, env=helpers.environment(DOCKER_HOST=docker.host))
    assert r.code == 1, r.err.decode()
    count = check_report(tmp_path / "report.json", "shop:1.0", image)
    err = r.err.decode()
    assert err.count("Analyzing ") == 4
    assert f"Image [shop:1.0] contains {count} total vulnerabilities" in err
    assert f"Image [shop:1.0] contains {count} unapproved vulnerabilities" in err
    table = r.out.decode()
    assert table.startswith("+--") and table.count("Unapproved") == count
    assert [p.stat().st_size for p in tmp_path.iterdir() if p.name.startswith("clair-scanner")] == []


@pytest.mark.parametrize("form", ["plain", "packed"])
def test_archive(form, real, tmp_path):
    """`eclair push ARCHIVE`; the second time nothing is read again, and the answer is the same."""
    image = helpers.need_data(BULLSEYE)
    path = plain(image, tmp_path / "image.tar") if form == "plain" else image
    results = []
    for i in range(2):
        report = tmp_path / f"report{i}.json"
        r = helpers.eclair("push", "--port", "0", "-c", f"http://127.0.0.1:{real.port}", "--ip", "127.0.0.1", "-q", "-r", report, path)
        assert r.code == 1, r.err.decode()
        check_report(report, str(path), image)
        results.append(report.read_bytes())
    assert results[0] == results[1]


def test_threshold(real, tmp_path):
    """Above the threshold nothing is unapproved: exit code 0."""
    image = helpers.need_data(BULLSEYE)
    worst = {f[4] for f in wanted(image)}
    assert "Defcon1" not in worst
    r = helpers.eclair("push", "--port", "0", "-c", f"http://127.0.0.1:{real.port}", "--ip", "127.0.0.1", "-t", "Defcon1", "-q", image)
    assert r.code == 0, r.err.decode()


def test_layer_that_is_refused(real, tmp_path):
    """A server that can't read the layers says so, and so do we: exit code 1."""
    path = tmp_path / "noos.tar"
    path.write_bytes(make_images.archive([[("var/lib/dpkg/status", make_images.dpkg_status([("demo", "1.0-1", None)]))]]))
    r = helpers.eclair("push", "--port", "0", "-c", f"http://127.0.0.1:{real.port}", "--ip", "127.0.0.1", path)
    assert r.code == 1
    assert "Could not analyze layer: Clair responded with a failure: Got response 422 with message" in r.err.decode()
    assert "worker: OS and/or package manager are not supported" in r.err.decode()
