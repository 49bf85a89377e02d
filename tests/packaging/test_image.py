"""The container image, built by podman in a chroot, and its entry points, run in its root: no capabilities, a read-only root, a user
without rights, a network of its own. What only a runtime does (volumes without a name, restarts, limits) is not tried."""
import json
import re

import pytest
from boxes import ROOT


def configuration(folder, more=""):
    place = folder / "given"
    place.mkdir()
    (place / "config.yaml").write_text("clair:\n  database: {type: sqlite, options: {source: /var/lib/eclair/eclair.db}}\n"
                                       "  api: {addr: '0.0.0.0:6060', healthaddr: '0.0.0.0:6061'}\n  updater: {interval: 0}\n" + more)
    return place


def test_what_it_says_of_itself(image):
    c = image.config
    assert c["User"] == "6060:0" and set(c["ExposedPorts"]) == {"6060/tcp", "6061/tcp"}
    assert set(c["Volumes"]) == {"/config", "/clair/config", "/certs", "/clair/certs", "/certificates", "/var/lib/eclair"}
    assert c["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert image.facts["Healthcheck"]["Test"] == ["CMD", "/usr/lib/eclair/health"]
    print(f"\n{image.facts['Size']} bytes with a base of {json.loads(image.podman('image', 'inspect', 'localhost/eclair-base:test'))[0]['Size']}")


@pytest.mark.parametrize("user", ["6060:0", "1000660000:0"])
@pytest.mark.parametrize("place, command", [
    ("/config", ["-config", "/config/config.yaml"]),                       # coreos/clair, and the founding document
    ("/config", ["sh", "/boot.sh"]),                                       # clair-jwt of 2018, if a command names it
    ("/config", ["--loglevel=debug"]),                                     # as the chapter appends it
    ("/clair/config", []),                                                 # clair-jwt of later
    ("/clair/config", ["scanner", "--loglevel=error"]),
    ("/elsewhere", ["clair", "-config", "/config/config.yaml"]),
])
def test_entry_points(image, folder, place, command, user):
    given = configuration(folder)
    box = image.box(folder, {("/config" if place == "/elsewhere" else place): given}, user)
    if user != "6060:0":  # of a platform that chooses numbers: what it mounts it makes writable for the group
        box.volumes["/var/lib/eclair"].chmod(0o770)
    with box.start(*image.command(*command), log=folder / "log") as running:
        running.wait("http://127.0.0.1:6061/health")
        assert running.curl("http://127.0.0.1:6060/v1/namespaces")[0] == 200
        assert ('"Level":"info"' in running.text()) == ("--loglevel=error" not in command)
        assert running.stop() == 0  # it is the first process: signals reach it
        assert (box.volumes["/var/lib/eclair"] / "eclair.db").exists()


def test_health_check(image, folder):
    box = image.box(folder, {"/config": configuration(folder)})
    check = image.facts["Healthcheck"]["Test"][1]
    with box.start(*image.command(), log=folder / "log") as running:
        running.wait("http://127.0.0.1:6061/health")
        inside = running.inside("chroot", image.root, check)
        assert inside.returncode == 0, inside
        assert running.inside("chroot", image.root, "env", "ECLAIR_API_HEALTHPORT=6062", check).returncode != 0
    box.run(check, code=1)


def test_missing_configuration(image, folder):
    said = image.box(folder, {}).run(*image.command(), code=1)
    assert "no config.yaml in /clair/config or /config" in said
    given = configuration(folder)
    (given / "config.yaml").chmod(0o600)  # of root
    said = image.box(folder, {"/config": given}).run(*image.command(), code=1)
    assert "/config/config.yaml: cannot be read by user 6060" in said


def test_no_configuration_wanted(image, folder):
    box = image.box(folder, {})
    with box.start(*image.command("-config="), log=folder / "log") as running:
        running.wait("http://127.0.0.1:6061/health")
        assert running.stop() == 0
        assert (box.volumes["/var/lib/eclair"] / "eclair.db").exists()


def test_other_programs(image, folder):
    box = image.box(folder, {})
    assert re.fullmatch(r"eclair \d+\.\d+\.\d+\n", box.run(*image.command("eclair", "--version")))
    assert "usage: podman run" in box.run(*image.command("help"))
    assert "usage: podman run" in box.run(*image.command("scanner"), env={"CLAIRENTRY": "help"})
    assert box.run(*image.command("shell", "-c", "id -u; touch /x 2>/dev/null || echo read-only")) == "6060\nread-only\n"
    assert "clair-scanner" in box.run(*image.command("clair-scanner", "--help"), code=None)


def test_scan(image, folder):
    """The whole way in the root of the image: the cage of workers wants what a container grants."""
    box = image.box(folder, {"/mnt": ROOT / "examples"})
    box.run(*image.command("eclair", "update", "--mirror", "/mnt/feeds", "debian", "alpine"))
    said = box.run(*image.command("eclair", "scan", "--update", "never", "/mnt/images/alpine-3.10.docker.tar.gz"))
    assert "CVE-2021-36159" in said and "seccomp alone" not in said


def test_authority_of_the_signer(image, folder):
    """The files that clair-jwt made at every start, if the configuration names them and they are not there."""
    given = configuration(folder, "# jwtproxy: /certificates/mitm.key\n")
    box = image.box(folder, {"/config": given})
    wrapped = folder / "programs"
    wrapped.mkdir()
    (wrapped / "clair").write_text("#!/bin/sh\nls -l /certificates\n")
    (wrapped / "clair").chmod(0o755)
    box.volumes["/mnt"] = wrapped
    path = {"PATH": "/mnt:/usr/bin:/bin"}
    assert "mitm" not in box.run(*image.command(), env=path)
    (given / "config.yaml").write_text((given / "config.yaml").read_text() + "jwtproxy:\n  signer_proxy: {ca_key_file: /certificates/mitm.key}\n")
    said = box.run(*image.command(), env=path)
    assert re.search(r"^-rw-------.* mitm\.key$", said, re.M) and "mitm.crt" in said
    before = (box.volumes["/certificates"] / "mitm.crt").read_bytes()
    box.run(*image.command(), env=path)
    assert (box.volumes["/certificates"] / "mitm.crt").read_bytes() == before
