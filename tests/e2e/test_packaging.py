"""What of packages and images can be tried without making them: the entry script with programs that only tell how they were called, the
lists that must agree, the examples. The rest is `./dev package-test`."""
import http.server
import re
import shutil
import subprocess
import threading

import pytest
from helpers import ECLAIR, ROOT, environment

CONTAINER = ROOT / "packaging/container"
EXAMPLES = ROOT / "examples"


def told(name):
    return f'#!/bin/sh\necho "{name}" "$@" "| $ECLAIR_CONFIG"\n'


@pytest.fixture
def container(tmp_path):
    """run(*ARGUMENTS, env) → (exit code, what was called or said); files below root."""
    root = tmp_path / "root"
    for folder in ("config", "clair/config", "certificates"):
        (root / folder).mkdir(parents=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("clair", "jwtproxy", "eclair"):
        (programs / name).write_text(told(name))
        (programs / name).chmod(0o755)
    (programs / "openssl").write_text('#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in -keyout | -out) echo made >"$2" ;; esac; shift; done\n')
    (programs / "openssl").chmod(0o755)
    (root / "boot.sh").symlink_to(CONTAINER / "entrypoint")

    def run(*argv, env=None, program=CONTAINER / "entrypoint"):
        r = subprocess.run([program, *argv], capture_output=True, text=True, timeout=20,
                           env={"PATH": f"{programs}:/usr/bin:/bin", "ECLAIR_ROOT": str(root)} | (env or {}))
        return r.returncode, (r.stdout + r.stderr).replace(str(root), "")

    run.root = root
    return run


OLD, NEW = "/config/config.yaml", "/clair/config/config.yaml"


@pytest.mark.parametrize("there, argv, want", [
    ([OLD], ["-config", "/config/config.yaml"], "clair -config /config/config.yaml | \n"),
    ([OLD], [], f"clair | {OLD}\n"),
    ([NEW], [], f"clair | {NEW}\n"),
    ([OLD, NEW], ["scanner"], f"clair | {NEW}\n"),
    ([NEW], ["scanner", "--loglevel=debug"], f"clair --loglevel=debug | {NEW}\n"),
    ([OLD], ["--loglevel=debug"], f"clair --loglevel=debug | {OLD}\n"),
    ([], ["-config="], "clair -config= | \n"),
    ([], ["jwtproxy", "-config", "x"], "jwtproxy -config x | \n"),
    ([], ["eclair", "scan", "a b"], "eclair scan a b | \n"),
    ([], ["shell", "-c", "echo shell"], "shell\n"),
])
def test_entry_point(container, there, argv, want):
    for path in there:
        (container.root / path[1:]).write_text("clair: {}\n")
    assert container(*argv) == (0, want)


@pytest.mark.parametrize("argv, entry, want", [
    ([], "jwtproxy", "jwtproxy | \n"),
    (["scanner"], "jwtproxy", "jwtproxy | \n"),
    (["scanner", "-x"], "jwtproxy", "jwtproxy -x | \n"),
    (["--loglevel=debug"], "scanner", f"clair --loglevel=debug | {OLD}\n"),
])
def test_entry_point_by_variable(container, argv, entry, want):
    (container.root / OLD[1:]).write_text("clair: {}\n")
    assert container(*argv, env={"CLAIRENTRY": entry}) == (0, want)


def test_entry_point_as_boot(container):
    (container.root / OLD[1:]).write_text("clair: {}\n")
    assert container("sh", container.root / "boot.sh") == (0, f"clair | {OLD}\n")


def test_entry_point_refuses(container):
    """A forgotten volume must not become a server that asks nobody for tokens."""
    for argv in ([], ["scanner"], ["--loglevel=debug"]):
        code, said = container(*argv)
        assert code == 1 and said.startswith("eclair: no config.yaml in /clair/config or /config"), said
    assert container("no-such-program")[0] == 127
    assert container("help")[1].startswith("usage: ")


def test_entry_point_makes_the_authority(container):
    """Only where the file names it, and once."""
    config = container.root / OLD[1:]
    config.write_text("clair: {}\n# ca_key_file: /certificates/mitm.key\n")
    assert container()[0] == 0 and not (container.root / "certificates/mitm.key").exists()
    config.write_text("jwtproxy:\n  signer_proxy:\n    ca_key_file: /certificates/mitm.key\n")
    assert container()[0] == 0 and (container.root / "certificates/mitm.crt").exists()
    (container.root / "certificates/mitm.key").write_text("mine")
    assert container()[0] == 0 and (container.root / "certificates/mitm.key").read_text() == "mine"


def test_health_script():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def check(**env):
        return subprocess.run([CONTAINER / "health"], env={"PATH": "/usr/bin:/bin"} | env, capture_output=True, timeout=20).returncode

    try:
        for server.status, want in ((200, True), (500, False)):
            assert (check(ECLAIR_API_HEALTHADDR=f"0.0.0.0:{server.server_port}") == 0) == want
            assert (check(ECLAIR_API_HEALTHPORT=str(server.server_port)) == 0) == want
    finally:
        server.shutdown()
        server.server_close()
    assert check(ECLAIR_API_HEALTHPORT=str(server.server_port)) != 0


@pytest.mark.parametrize("script", [*CONTAINER.iterdir(), *(EXAMPLES / "ha/postgres").iterdir(), ROOT / "debian/eclair.postinst",
                                    ROOT / "debian/eclair.postrm"], ids=lambda p: p.name)
def test_scripts_are_shell(script):
    shell = script.read_text().splitlines()[0].split("/")[-1]
    assert subprocess.run([shell, "-n", script]).returncode == 0


def test_lists_agree():
    """Of packages in dev and debian/control; of the version in meson.build and debian/changelog."""
    needed = set(re.search(r"^build_packages=\((.*?)\)", (ROOT / "dev").read_text(), re.M | re.S)[1].split())
    field = re.search(r"^Build-Depends:(.*?)^\S", (ROOT / "debian/control").read_text(), re.M | re.S)[1]
    debian = {re.sub(r"\(.*\)", "", p).strip() for p in field.split(",")}
    essential = {"gcc", "libc6-dev"}  # build-essential has them, meson brings ninja
    assert debian - {"debhelper-compat"} == needed - essential - {"ninja-build"}
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    assert (ROOT / "debian/changelog").read_text().startswith(f"eclair ({version}) ")
    assert f"image: registry.example.com/eclair:{version}\n" in (EXAMPLES / "kubernetes/deployment.yaml").read_text()


UNITS = sorted(p for p in (EXAMPLES / "systemd").iterdir() if p.suffix in (".service", ".timer"))


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_units(path, tmp_path):
    """Also how little a service may do: systemd's own score, 10 is everything."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/eclair", str(ECLAIR)))
    r = subprocess.run(["systemd-analyze", "verify", tmp_path / path.name], capture_output=True, text=True)
    assert r.returncode == 0 and "eclair" not in r.stderr, r.stderr
    if path.suffix == ".service":
        r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=21", tmp_path / path.name], capture_output=True, text=True)
        assert r.returncode == 0, r.stdout[-300:]


def test_haproxy(tmp_path):
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not program:
        pytest.skip("no haproxy")
    r = subprocess.run([program, "-c", "-f", EXAMPLES / "ha/haproxy.cfg"], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    r = subprocess.run([program, "-c", "-f", "/dev/stdin"], input=(EXAMPLES / "ha/haproxy.cfg").read_text() + "nonsense\n", capture_output=True, text=True)
    assert r.returncode != 0


def yaml_files():
    return sorted(p for p in EXAMPLES.rglob("*.y*ml") if p.is_file())


def config_of(path):
    """The server's configuration that an example has, as a file or in a Secret."""
    import yaml
    documents = [d for d in yaml.safe_load_all(path.read_text()) if isinstance(d, dict)]
    for d in documents:
        if "clair" in d:
            yield path.read_text()
        yield from (text for name, text in (d.get("stringData") or {}).items() if name == "config.yaml")


def test_configurations(tmp_path):
    """A server would start with each that the examples have."""
    pytest.importorskip("yaml")
    texts = [text for path in yaml_files() for text in config_of(path)]
    assert len(texts) >= 4
    for text in texts:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        r = subprocess.run([ECLAIR, "config", "check", path], capture_output=True, text=True, env=environment())
        assert r.returncode == 0, r.stdout + r.stderr


def test_kubernetes():
    """What hardening is for, and that the parts speak of each other; the schema is checked by ./dev package-test."""
    yaml = pytest.importorskip("yaml")
    folder = EXAMPLES / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert set(listed) | {"kustomization.yaml"} == {p.name for p in folder.iterdir()}
    parts = {d["kind"]: d for name in listed for d in yaml.safe_load_all((folder / name).read_text())}
    assert set(parts) == {"Secret", "ServiceAccount", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    spec = parts["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    one, = pod["containers"]
    assert spec["replicas"] >= 2 and pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 6060
    assert one["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    labels = spec["template"]["metadata"]["labels"]
    for chosen in (spec["selector"]["matchLabels"], parts["Service"]["spec"]["selector"], parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
                   parts["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]):
        assert chosen.items() <= labels.items()
    ports = {p["name"]: p["containerPort"] for p in one["ports"]}
    assert {p["targetPort"] for p in parts["Service"]["spec"]["ports"]} == set(ports)
    assert all(one[p]["httpGet"]["port"] in ports for p in ("livenessProbe", "readinessProbe", "startupProbe"))
    volumes = {v["name"] for v in pod["volumes"]}
    assert {m["name"] for m in one["volumeMounts"]} == volumes
    assert [v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v] == [parts["Secret"]["metadata"]["name"]]


@pytest.mark.parametrize("folder", ["compose", "ha"])
def test_compose(folder):
    """Files that are mounted are there; services that are named, too."""
    yaml = pytest.importorskip("yaml")
    path = EXAMPLES / folder / "docker-compose.yml"
    compose = yaml.safe_load(path.read_text())
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (path.parent / source).exists(), (name, volume)
        for other in service.get("depends_on", []):
            assert other in compose["services"]
        if "build" in service:
            assert (path.parent / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == ROOT / "Containerfile"
