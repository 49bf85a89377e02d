"""The Debian packages in a Debian 12 that has nothing of ours: installed, used, upgraded, removed, purged; and the schema of the manifests."""
import re
import shutil

import pytest
from boxes import ROOT, Box, call, unpack

DEB = ROOT / "build-deb"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    call(ROOT / "dev", "package")
    folder = tmp_path_factory.mktemp("machine")
    box = Box(unpack(folder / "root"), {"DEBIAN_FRONTEND": "noninteractive"})
    packages = box.root / "packages"
    packages.mkdir()
    for deb in DEB.glob("*.deb"):
        shutil.copy(deb, packages)
    # nothing may be started here: there is no systemd
    (box.root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (box.root / "usr/sbin/policy-rc.d").chmod(0o755)
    apt(box, "update", "-q")
    yield box
    shutil.rmtree(box.root)


def apt(box, *argv):
    return box.run("apt-get", "-o", 'APT::Sandbox::User=root', *argv, network=True)


def install(box, *names):
    return apt(box, "install", "-y", "-q", "--no-install-recommends", *(f"/packages/{p.name}" for n in names for p in (box.root / "packages").glob(f"{n}_*.deb")))


def test_life_of_the_packages(machine):
    """One story, for each part of it stands on the one before."""
    said = install(machine, "eclair")
    assert "error" not in said.lower(), said
    assert machine.run("dpkg", "--verify", "eclair") == ""
    user, = re.findall(r"^eclair:x:(\d+):(\d+):[^:]*:/var/lib/eclair:/usr/sbin/nologin$", (machine.root / "etc/passwd").read_text(), re.M)
    assert machine.run("stat", "-c", "%U:%G %a %n", "/var/lib/eclair", "/etc/eclair") == "eclair:eclair 750 /var/lib/eclair\nroot:eclair 750 /etc/eclair\n"
    assert machine.run("dpkg-query", "-W", "-f", "${Conffiles}", "eclair").split()[0] == "/etc/eclair/config.yaml"
    assert not (machine.root / "usr/bin/clair").exists()

    # it runs, as its user, with no more than its service has
    (machine.root / "examples").mkdir()
    service = Box(machine.root, {"STATE_DIRECTORY": "/var/lib/eclair", "ECLAIR_CONFIG": "/etc/eclair/config.yaml", "ECLAIR_UPDATER_INTERVAL": "0"}, user,
                  {"/examples": ROOT / "examples", "/var/lib/eclair": machine.root / "var/lib/eclair"}, read_only=True)
    assert re.fullmatch(r"eclair [\d.]+\n", service.run("eclair", "--version"))
    database = ["--db", "/var/lib/eclair/eclair.db"]
    service.run("eclair", "update", *database, "--mirror", "/examples/feeds", "debian", "alpine")
    assert "CVE-2021-36159" in service.run("eclair", "scan", "--update", "never", *database, "/examples/images/alpine-3.10.docker.tar.gz")
    with service.start("eclair", "serve", log=machine.root.parent / "log") as running:
        running.wait("http://127.0.0.1:6061/readyz")
        assert running.stop() == 0

    install(machine, "eclair-clair-compat")
    for name, says in (("clair", "-config"), ("clair-scanner", "clair-scanner"), ("clair-jwt", ""), ("jwtproxy", "")):
        assert (machine.root / "usr/bin" / name).is_symlink() and says in machine.run(name, "--help", code=None)

    # what an administrator changed stays, through a reinstallation and a removal
    config = machine.root / "etc/eclair/config.yaml"
    config.write_text(config.read_text() + "# mine\n")
    install_again = apt(machine, "install", "-y", "-q", "--reinstall", *(f"/packages/{p.name}" for p in (machine.root / "packages").glob("eclair_*.deb")))
    assert config.read_text().endswith("# mine\n"), install_again
    apt(machine, "remove", "-y", "-q", "eclair")
    assert not (machine.root / "usr/bin/eclair").exists() and not (machine.root / "usr/bin/clair").exists()
    assert config.exists() and (machine.root / "var/lib/eclair/eclair.db").exists()
    apt(machine, "purge", "-y", "-q", "eclair", "eclair-clair-compat")
    assert not config.exists() and not (machine.root / "etc/eclair").exists() and not (machine.root / "var/lib/eclair").exists()
    assert not list(machine.root.glob("lib/systemd/system/eclair*")) and not list(machine.root.glob("etc/systemd/system/*/eclair*"))


def test_manifests_have_the_schema(tmp_path):
    """Of the oldest Kubernetes that is still cared for by anyone, and of today's."""
    venv = ROOT / "build-packaging/venv"
    if not (venv / "bin/kubernetes-validate").exists():
        call("/usr/bin/python3", "-m", "venv", venv)
        call(venv / "bin/pip", "install", "-q", "--disable-pip-version-check", "-r", ROOT / "tests/packaging/requirements.txt")
    manifests = [p for p in (ROOT / "examples/kubernetes").glob("*.yaml") if p.name != "kustomization.yaml"]
    for version in ("1.25", "1.37"):
        said = call(venv / "bin/kubernetes-validate", "-k", version, "--strict", *manifests)
        assert said.count(" passed ") == 6, said
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((ROOT / "examples/kubernetes/deployment.yaml").read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    with pytest.raises(AssertionError):
        call(venv / "bin/kubernetes-validate", "--strict", wrong)
