"""Where an IMAGE can be: prefixes, guesses, daemons, lists of packages; and what each says when it is not there."""
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import helpers
import jsonschema
import make_images as mi
import pytest
from helpers import assert_refused, eclair, environment, packages, rows, scan
from push_peers import Docker
from test_formats import Layout, debian
from test_outputs import follow, schema

EXAMPLES = helpers.ROOT / "examples"
LAYERS = mi.debian_layers()
OTHER = next(a for a in ("s390x", "arm64") if a != mi.ARCHITECTURE)


class Daemon(Docker):
    """As Docker, and it tells of its image; `inspect`: another answer, (status, bytes)."""

    def __init__(self, path, archive, inspect=None, **more):
        super().__init__(path, archive, name=more.pop("name", "team/app:1"), **more)
        self.inspect = inspect or (200, json.dumps({
            "Id": "sha256:" + hashlib.sha256(mi.config([mi.tar(layer) for layer in LAYERS])).hexdigest(), "Os": "linux",
            "Architecture": mi.ARCHITECTURE, "RootFS": {"Type": "layers", "Layers": []}, "GraphDriver": {"Data": None}}).encode())

    def get(self, request):
        url = urllib.parse.urlsplit(request.path)
        if url.path == "/_ping":
            return request.answer(200, b"OK", "text/plain")
        if not url.path.endswith("/json"):
            return super().get(request)
        if url.path != f"/v{self.api}/images/{self.name}/json":
            return request.answer(404, b'{"message":"No such image: other"}')
        return request.answer(*self.inspect)

    def saves(self):
        return [a for a in self.asked if "/images/get" in a]


SAVED = mi.archive(LAYERS)


@pytest.fixture
def daemon(tmp_path):
    with Daemon(tmp_path / "docker.sock", SAVED) as d:
        yield d


def scan_with(db, image, *more, **env):
    return scan(db, image, *more, env=environment(**env))


def ids(r):
    return helpers.ids(r.json())


# ---- on disk, by prefix ----

@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """One image in all the ways that it can lie on disk."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "saved.tar").write_bytes(SAVED)
    (folder / "saved.tar.gz").write_bytes(mi.pack(SAVED, "gzip"))
    (folder / "oci.tar").write_bytes(mi.archive(LAYERS, "oci"))
    mi.oci_folder(folder / "oci", LAYERS)
    mi.rootfs(folder / "root", LAYERS)
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{folder}/saved.tar", f"dir:{folder}/skopeo"], check=True,
                   stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize("image", ["docker-archive:saved.tar", "docker-archive:saved.tar.gz", "oci-archive:oci.tar", "oci:oci", "oci-dir:oci",
                                   "dir:skopeo", "dir:root", "rootfs:root", "disk:saved.tar", "saved.tar", "oci", "./root"])
def test_prefixes(db, places, image):
    assert ids(scan(db, image, cwd=places)) == helpers.SMALL_DEBIAN_IDS


@pytest.mark.parametrize("image,words", [
    ("docker-archive:oci.tar", "manifest.json"), ("oci-archive:saved.tar", "index.json"), ("oci:saved.tar", "no folder"),
    ("docker-archive:root", "a folder"), ("dir:saved.tar", "no folder"), ("rootfs:saved.tar", "Not a directory"), ("aci:saved.tar", "not an ACI"),
    ("sbom:root", "a folder"), ("sbom:saved.tar", "neither CycloneDX"), ("oci:gone:1", "no such file"), ("docker-archive:", "missing")])
def test_wrong_prefix(db, places, image, words):
    assert_refused(scan(db, image, cwd=places), image, words, code=2 if words == "missing" else 1)


def named_images(folder):
    """A layout of two images with names, and each as an archive of its own; what is in them tells which was taken."""
    layout = Layout()
    manifests = [layout.manifest(debian(name)) | {"annotations": {"org.opencontainers.image.ref.name": name}} for name in ("one", "two")]
    layout.write(folder / "layout", manifests, "folder")
    layout.write(folder / "both.tar", manifests)
    return {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in manifests}


def test_choice_of_a_layout(db, tmp_path):
    digests = named_images(tmp_path)
    for name, digest in digests.items():
        for choice in (f"oci:layout:{name}", f"oci:layout@{digest}", f"oci-archive:both.tar:{name}"):
            assert [p[0] for p in packages(scan(db, choice, cwd=tmp_path).json())] == [name]
    assert_refused(scan(db, "oci:layout:three", cwd=tmp_path), "no image 'three' in it, but: one, two")


def test_choice_of_an_archive(db, tmp_path):
    tars = {name: mi.tar([("etc/os-release", mi.os_release()), ("var/lib/dpkg/status", mi.dpkg_status([(name, "1", None)]))])
            for name in ("one", "two")}
    manifest, members = [], []
    for name, layer in tars.items():
        members += [(f"{name}/layer.tar", layer), (f"{name}.cfg", mi.config([layer]))]
        manifest.append({"Config": f"{name}.cfg", "RepoTags": [f"app:{name}"], "Layers": [f"{name}/layer.tar"]})
    (tmp_path / "x.tar").write_bytes(mi.tar(members + [("manifest.json", mi.dump(manifest))]))
    report = scan(db, "docker-archive:x.tar:app:two", cwd=tmp_path).json()
    assert [p["name"] for p in report["packages"]] == ["two"]
    assert not any("only the first" in w for w in report["warnings"])
    assert_refused(scan(db, "docker-archive:x.tar:app:three", cwd=tmp_path), "no image 'app:three' in it, but: app:one, app:two")


# ---- guesses ----

def test_order_of_guesses(db, tmp_path, daemon, places):
    with Daemon(tmp_path / "podman.sock", SAVED, name="only/podman", api="1.40") as podman:
        env = {"DOCKER_HOST": daemon.host, "CONTAINER_HOST": podman.host}
        assert ids(scan_with(db, "team/app:1", **env)) == helpers.SMALL_DEBIAN_IDS
        assert not podman.asked
        assert ids(scan_with(db, "only/podman", **env)) == helpers.SMALL_DEBIAN_IDS
        assert any("only/podman" in a for a in daemon.asked)
        daemon.asked.clear()
        assert scan(db, "saved.tar", env=environment(**env), cwd=places).code == 0
        assert not daemon.asked  # it is on disk
        assert_refused(scan_with(db, "no/where", **env), "no/where", "disk: no such file", "docker: Error response from daemon: No such image",
                       "podman: Error response")
        assert_refused(scan_with(db, "./no/where", **env), "./no/where: no such file or folder")


def test_a_guess_goes_on(db, tmp_path):
    with Daemon(tmp_path / "podman.sock", SAVED, api="1.40") as podman:
        for status, message in ((500, "no such image: x"), (404, "x: image not known"), (400, "invalid reference format")):
            with Daemon(tmp_path / f"{status}.sock", SAVED, (status, json.dumps({"message": message}).encode())) as d:
                assert scan_with(db, "team/app:1", DOCKER_HOST=d.host, CONTAINER_HOST=podman.host).code == 0
        with Daemon(tmp_path / "bad.sock", SAVED, (500, b'{"message":"disk quota"}')) as d:
            assert_refused(scan_with(db, "team/app:1", DOCKER_HOST=d.host, CONTAINER_HOST=podman.host), "team/app:1: Error response from daemon: disk quota")


def test_no_daemon(db, tmp_path):
    env = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "CONTAINER_HOST": "ssh://core@localhost/run/podman.sock"}
    assert_refused(scan_with(db, "no/where", **env), "Cannot connect to the Docker daemon", "protocol not available")
    assert_refused(scan_with(db, "docker:no/where", **env), "docker:no/where: Cannot connect to the Docker daemon at unix://")
    assert_refused(scan_with(db, "podman:no/where", XDG_RUNTIME_DIR=str(tmp_path)), f"no socket at {tmp_path}/podman/podman.sock or /run/podman")


# ---- daemons ----

def test_a_known_image_is_not_saved(db, daemon):
    first = scan_with(db, "docker:team/app:1", DOCKER_HOST=daemon.host).json()
    assert len(daemon.saves()) == 1
    second = scan_with(db, "docker:team/app:1", DOCKER_HOST=daemon.host).json()
    assert len(daemon.saves()) == 1 and rows(first) == rows(second) and first["image"] == second["image"]


def test_links_ask_again(db, tmp_path):
    layers = [[("etc/os-release", mi.os_release()), ("var/lib/dpkg", ("symlink", "/data/dpkg")),
               ("data/dpkg/status", mi.dpkg_status())]]
    layers = [layers[0][2:], layers[0][:2]]
    with Daemon(tmp_path / "d.sock", mi.archive(layers), (200, b'{"Id":"sha256:x"}')) as d:
        assert ids(scan_with(db, "docker:team/app:1", DOCKER_HOST=d.host)) == helpers.SMALL_DEBIAN_IDS
        assert len(d.saves()) == 2


def test_platform_is_passed_on(db, tmp_path, daemon):
    there, other = f"linux/{mi.ARCHITECTURE}", f"linux/{OTHER}"
    assert scan_with(db, "docker:team/app:1", "--platform", there, DOCKER_HOST=daemon.host).code == 0
    assert_refused(scan_with(db, "docker:team/app:1", "--platform", other, DOCKER_HOST=daemon.host), f"no image for {other} in it, but for: {there}")
    with Daemon(tmp_path / "new.sock", SAVED, api="1.51") as new:
        scan_with(db, "docker:team/app:1", "--platform", other, DOCKER_HOST=new.host)
        asked = [urllib.parse.parse_qs(urllib.parse.urlsplit(a).query)["platform"] for a in new.asked if "/images/" in a]
        assert [json.loads(p[0]) for p in asked] == [{"os": "linux", "architecture": OTHER}] * 2


def context(home, name, host, current=True):
    place = home / ".docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    place.mkdir(parents=True)
    (place / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}))
    (home / ".docker/config.json").write_text(json.dumps({"auths": {}, "currentContext": name if current else "default"}))


def test_docker_contexts(db, tmp_path, daemon):
    context(tmp_path, "remote", daemon.host)
    home = {"HOME": str(tmp_path)}
    assert scan_with(db, "docker:team/app:1", **home).code == 0
    assert_refused(scan_with(db, "docker:team/app:1", DOCKER_CONTEXT="gone", **home), "no Docker context 'gone'", code=2)
    context(tmp_path, "other", "unix:///nowhere/x.sock", current=False)
    assert scan_with(db, "docker:team/app:1", DOCKER_CONTEXT="remote", **home).code == 0
    assert_refused(scan_with(db, "docker:team/app:1", DOCKER_CONTEXT="other", **home), "at unix:///nowhere/x.sock")
    (tmp_path / ".docker/config.json").write_text("{")
    assert_refused(scan_with(db, "docker:team/app:1", **home), ".docker/config.json: json: byte")


def test_daemons_that_fail(db, tmp_path):
    def half(to):
        to.write(SAVED[:len(SAVED) // 2])

    cases = {"half": (half, None, "truncated"), "error": (SAVED, (500, b'{"message":"layer does not exist"}'), "from daemon: layer does not exist"),
             "odd": (SAVED, (200, b'{"Id":'), "what the Docker daemon says of the image"), "text": (SAVED, (500, b"oops"), "from daemon: oops"),
             "none": (b"", None, "is empty"), "junk": (b"x" * 9000, None, "docker:team/app:1")}
    for name, (archive, inspect, words) in cases.items():
        with Daemon(tmp_path / f"{name}.sock", archive, inspect) as d:
            assert_refused(scan_with(db, "docker:team/app:1", DOCKER_HOST=d.host), "docker:team/app:1: ", words)


def test_a_daemon_that_hangs_or_hangs_up(db, tmp_path):
    release = threading.Event()

    class Hanging(Daemon):
        def get(self, request):
            if self.hangs in request.path:
                release.wait(30)
            if "/images/get" in request.path and self.hangs == "up":
                request.send_response(200)
                request.send_header("Content-Length", str(len(SAVED)))
                request.end_headers()
                request.wfile.write(SAVED[:2000])
                request.close_connection = True
                return None
            return super().get(request)

    for hangs, words in (("/version", "does not answer"), ("/json", "does not answer"), ("up", "broke off after")):
        with Hanging(tmp_path / f"{hangs.strip('/')}.sock", SAVED) as d:
            d.hangs = hangs
            start = time.monotonic()
            r = scan_with(db, "docker:team/app:1", DOCKER_HOST=d.host, ECLAIR_DAEMON_TIMEOUT="1")
            release.set()
            assert_refused(r, "the Docker daemon", words)
            assert time.monotonic() - start < 20
        release.clear()


# ---- a real Podman ----

@pytest.fixture(scope="module")
def podman():
    if os.geteuid() or not shutil.which("podman"):
        pytest.skip("podman's vfs driver wants root")
    folder = Path(tempfile.mkdtemp(prefix="pod", dir="/tmp"))  # podman wants short names
    where = [f"--root={folder}/root", f"--runroot={folder}/run", f"--tmpdir={folder}/tmp", "--storage-driver=vfs"]
    env = os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    store = f"containers-storage:[vfs@{folder}/root+{folder}/run]localhost/team/app:1"
    (folder / "x.tar").write_bytes(SAVED)
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"docker-archive:{folder}/x.tar", store], check=True, env=env,
                   stdout=subprocess.DEVNULL)
    socket = folder / "podman/podman.sock"
    socket.parent.mkdir()
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(["podman", *where, "system", "service", "--time=0", f"unix://{socket}"], env=env, stdout=log, stderr=log)
    end = time.monotonic() + 30
    while not socket.exists() and service.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert socket.exists(), (folder / "log").read_text()
    yield folder
    service.terminate()
    service.wait()
    shutil.rmtree(folder)


def test_real_podman(db, podman):
    for image in ("podman:localhost/team/app:1", "localhost/team/app:1", "podman:team/app:1"):
        report = scan_with(db, image, XDG_RUNTIME_DIR=str(podman)).json()
        assert helpers.ids(report) == helpers.SMALL_DEBIAN_IDS
        assert report["image"]["digest"] == "sha256:" + hashlib.sha256(mi.config([mi.tar(layer) for layer in LAYERS])).hexdigest()
    assert_refused(scan_with(db, "podman:no/such:2", XDG_RUNTIME_DIR=str(podman)), "No such image")
    assert_refused(scan_with(db, "no/such:2", XDG_RUNTIME_DIR=str(podman)), "disk: ", "docker: ", "podman: ", "No such image")


# ---- lists of packages ----

def findings(report):
    return sorted((f["package"], f["version"], f["source"], f["source_version"], f["id"], f["fixed_version"] or "", f["fix_state"],
                   f["severity"]) for f in report["findings"])


@pytest.fixture(scope="session")
def example_db(tmp_path_factory):
    db = tmp_path_factory.mktemp("examples") / "x.db"
    helpers.update(db, EXAMPLES / "feeds")
    return db


def round_trip(db, image, tmp_path, code=0):
    want = scan(db, image)
    assert want.code == code
    want = want.json()
    made = eclair("packages", image, "--db", db, "--quiet", "-f", f"cyclonedx={tmp_path}/c", "-f", f"spdx={tmp_path}/s",
                  "-f", f"purls={tmp_path}/p", "-f", "json")
    assert made.code == 0, made.err
    for name in "csp":
        got = scan(db, f"sbom:{tmp_path}/{name}")
        assert got.code == code
        got = got.json()
        assert findings(got) == findings(want), name
        assert packages(got) == packages(want), name
        assert got["distribution"]["namespace"] == want["distribution"]["namespace"]
    return want


def facts(document):
    return [p for p in document["metadata"]["properties"] if p["name"].startswith("eclair:fact:")]


def check_facts(db, tmp_path):
    """What Red Hat's images are judged by beside packages is written again as it was read."""
    first = json.loads((tmp_path / "c").read_text())
    assert facts(first)
    for name in "cs":
        again = json.loads(eclair("packages", f"sbom:{tmp_path}/{name}", "--db", db, "--quiet", "-f", "cyclonedx").out)
        assert facts(again) == facts(first)
        assert [c.get("purl") for c in again["components"]] == [c.get("purl") for c in first["components"]]


def test_round_trip_of_examples(example_db, tmp_path):
    for image in ("alpine-3.10.docker.tar.gz", "debian-bullseye.docker.tar.zst"):
        assert round_trip(example_db, EXAMPLES / "images" / image, tmp_path)["findings"]


def test_round_trip_of_rpm(tmp_path):
    mirror, db = helpers.need_data("feeds/photon").parent, tmp_path / "x.db"
    helpers.update(db, mirror, "photon")
    assert round_trip(db, helpers.need_data("images/rpm-photon3.docker.tar.zst"), tmp_path)["findings"]
    round_trip(db, helpers.need_data("images/rpm-ubi9-layers.oci.tar"), tmp_path, code=3)
    check_facts(db, tmp_path)
    follow(schema("bom-1.6.schema.json"), {"ubi9": (tmp_path / "c").read_bytes()})
    follow(schema("spdx-2.3-schema.json"), {"ubi9": (tmp_path / "s").read_bytes()})


OPENSSL = "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12"
SYFT = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": [
    {"type": "library", "name": "libssl3", "version": "3.0.11-1~deb12u2", "purl": OPENSSL + "&upstream=openssl"},
    {"type": "library", "name": "left-pad", "version": "1.0.0", "purl": "pkg:npm/left-pad@1.0.0"},
    {"type": "library", "name": "bare"}, {"type": "file", "name": "/etc/passwd"},
    {"type": "operating-system", "name": "debian", "version": "12", "description": "Debian GNU/Linux 12 (bookworm)"}]}
TRIVY = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
    {"type": "operating-system", "name": "debian", "version": "12.5"},
    {"type": "application", "name": "node", "components": [
        {"type": "library", "name": "libssl3", "version": "3.0.11-1~deb12u2", "purl": OPENSSL.replace("debian-12", "debian-12.5"),
         "properties": [{"name": "aquasecurity:trivy:SrcName", "value": "openssl"}, {"name": "aquasecurity:trivy:SrcVersion", "value": "3.0.11"},
                        {"name": "aquasecurity:trivy:SrcRelease", "value": "1~deb12u2"}]}]}]}
XML = f"""<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4"><metadata><component type="container"><name>x</name></component>
</metadata><components><component type="library"><name>libssl3</name><version>3</version><purl>{OPENSSL.replace('&', '&amp;')}&amp;upstream=openssl</purl>
</component></components></bom>"""
SPDX = {"spdxVersion": "SPDX-2.2", "SPDXID": "SPDXRef-DOCUMENT", "packages": [
    {"name": "libssl3", "SPDXID": "SPDXRef-1", "versionInfo": "3", "externalRefs": [
        {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x:x:1:*:*:*:*:*:*:*"},
        {"referenceCategory": "PACKAGE_MANAGER", "referenceType": "purl", "referenceLocator": OPENSSL + "&upstream=openssl"}]}]}
TAGS = f"""SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
DocumentComment: <text>of more
PackageName: no
lines</text>
##### Package
PackageName: debian
PackageVersion: 12
PrimaryPackagePurpose: OPERATING-SYSTEM
PackageName: libssl3
PackageVersion: 3.0.11-1~deb12u2
ExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&upstream=openssl
"""
PURLS = f"# of a test\n\n{OPENSSL}&upstream=openssl\r\npkg:golang/github.com/a/b@v1.2.3\n"
LISTS = {"syft": json.dumps(SYFT), "trivy": json.dumps(TRIVY), "xml": XML, "spdx": json.dumps(SPDX, indent=1), "tags": TAGS, "purls": PURLS,
         "codename": PURLS.replace("debian-12", "bookworm"), "mark": "\ufeff" + json.dumps(TRIVY)}
WANT = [("libssl3", "CVE-2024-0001"), ("libssl3", "CVE-2024-0002"), ("libssl3", "TEMP-0000000-ABCDEF")]


@pytest.mark.parametrize("name", LISTS)
def test_lists(db, tmp_path, name):
    path = tmp_path / "list"
    path.write_text(LISTS[name])
    assert ids(scan(db, path)) == WANT
    assert ids(scan(db, "-", stdin=LISTS[name].encode())) == WANT


def test_list_by_prefix(db, tmp_path):
    path = tmp_path / "list"
    path.write_text(PURLS)
    before = eclair("db", "status", "--db", db).out
    assert ids(scan(db, f"purls:{path}")) == WANT
    assert eclair("db", "status", "--db", db).out == before  # nothing of it is stored
    with path.open("rb") as f:
        assert ids(scan(db, "-", stdin=f)) == WANT
    path.write_bytes(mi.pack(LISTS["syft"].encode(), "gzip"))
    assert ids(scan(db, f"sbom:{path}")) == WANT


def test_what_is_left_out_is_told(db, tmp_path):
    path = tmp_path / "list"
    path.write_text(LISTS["syft"])
    report = scan(db, path).json()
    warnings = "\n".join(report["warnings"])
    assert "1 of 2 packages were not judged: no feed is loaded for npm" in warnings and "no purl says what they are (bare)" in warnings
    assert packages(report) == [("left-pad", "1.0.0", ""), ("libssl3", "3.0.11-1~deb12u2", "amd64")]
    jsonschema.Draft202012Validator(json.loads((helpers.ROOT / "docs/report.schema.json").read_text())).validate(report)
    path.write_text(PURLS + "pkg:apk/alpine/musl@1.2?distro=alpine-3.20\npkg:deb/debian/none\n")
    warnings = "\n".join(scan(db, path).json()["warnings"])
    assert "of another distribution than the rest (musl)" in warnings and "no version (pkg:deb/debian/none)" in warnings
    forms = ("table", "sarif", "gitlab", "junit", "html", "markdown", "clair-scanner", "cyclonedx", "spdx")
    assert eclair("scan", path, "--db", db, "--quiet", *(f"--format={form}={tmp_path}/{form}" for form in forms)).code == 0
    assert all("CVE-2024-0001" in (tmp_path / form).read_text() for form in forms)


@pytest.mark.parametrize("text,words", [
    ("{}", "neither bomFormat"), ("[1]", "a list"), ('{"bomFormat":"CycloneDX","specVersion":"2.0"}', "CycloneDX 2.0"),
    ('{"bomFormat":"CycloneDX"', "json: byte"), ('{"spdxVersion":"SPDX-1.2"}', "SPDX-1.2"), ('{"@context":"x","@graph":[]}', "SPDX 3 is not read"),
    ('{"artifacts":[],"schema":{}}', "syft convert"), ("<html></html>", "its root is 'html'"), ("<bom><components>", "xml: line 1"),
    ("pkg:deb/debian/a@1\nnonsense\n", "line 2: 'nonsense' is no purl"), ("SPDXVersion: SPDX-2.3\nnonsense\n", "'nonsense' is no tag"),
    ("pkg:npm/\n", "a purl without a name"), ('{"bomFormat":"CycloneDX","components":' + "[{\"components\":" * 70 + "1", "nested")])
def test_bad_lists(db, tmp_path, text, words):
    path = tmp_path / "list"
    path.write_text(text)
    assert_refused(scan(db, path), path, words)


def test_too_large_a_list(db, tmp_path):
    path = tmp_path / "list"
    path.write_text("pkg:npm/a@1\n" * 100001)
    assert_refused(scan(db, path), "more than 100000 packages")
    with path.open("wb") as f:
        f.write(b"pkg:npm/a@1\n#")
        f.truncate(65 << 20)
    assert_refused(scan(db, path), "larger than 64 MiB")


# ---- several outputs ----

def test_formats_of_packages_and_diff(db, tmp_path, small_image):
    r = eclair("packages", small_image, "--db", db, "-f", "purls", "-f", f"json={tmp_path}/j")
    assert r.code == 0 and r.out.startswith(b"pkg:deb/debian/") and len(r.out.splitlines()) == len(json.loads((tmp_path / "j").read_text())["packages"])
    r = eclair("diff", small_image, small_image, "--db", db, "-f", f"json={tmp_path}/d", "-f", "table")
    assert r.code == 0 and b"0 gone, 0 new" in r.out and json.loads((tmp_path / "d").read_text())["stay"] == len(helpers.SMALL_DEBIAN_IDS)
    assert_refused(eclair("packages", small_image, "--db", db, "-f", "sarif"), "none of table, json, cyclonedx, spdx, purls", code=2)
    assert_refused(eclair("diff", small_image, small_image, "--db", db, "-f", "json", "-f", "table"), "both go to standard output", code=2)


def test_help_names_the_sources():
    for command in ("scan", "packages", "diff", "explain"):
        out = eclair(command, "--help").out.decode()
        assert all(f"  {name}:" in out for name in ("disk", "docker", "podman", "oci", "sbom", "purls", "rootfs"))
    assert all(f"`{name}:" in Path(helpers.ROOT, "README.md").read_text() for name in ("docker", "podman", "oci", "sbom", "purls", "rootfs", "dir"))
