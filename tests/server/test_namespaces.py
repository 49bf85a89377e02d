"""What REST v1 calls a distribution and its versions: the names of Clair 2, whatever they are inside."""
import make_images as mi
import pytest

STATUS = ("var/lib/dpkg/status", mi.dpkg_status([("demo", "1.0-1", None)]))
RHEL = [("etc/os-release", mi.os_release("rhel", "9.4", "Red Hat Enterprise Linux 9.4 (Plow)")),
        ("etc/redhat-release", b"Red Hat Enterprise Linux release 9.4 (Plow)\n")]
CENTOS = [("etc/os-release", mi.os_release("centos", "9", "CentOS Stream 9")), ("etc/centos-release", b"CentOS Stream release 9\n")]


def os_release(*what):
    return [("etc/os-release", mi.os_release(*what))]


LAYERS = {  # the distribution files of a layer -> its NamespaceName
    "debian 9": (os_release("debian", "9"), "debian:9"),
    "debian testing": ([("etc/os-release", b'PRETTY_NAME="Debian GNU/Linux trixie/sid"\nID=debian\n')], "debian:13"),
    "debian unstable": ([("etc/os-release", b'PRETTY_NAME="Debian GNU/Linux trixie/sid"\nID=debian\n'),
                         ("etc/apt/sources.list", b"deb http://mirror.example/debian sid main\n")], "debian:unstable"),
    "ubuntu 16.04": (os_release("ubuntu", "16.04"), "ubuntu:16.04"),
    "ubuntu 12.04": ([("etc/lsb-release", b"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\n")], "ubuntu:12.04"),
    "apt's sources alone": ([("etc/apt/sources.list", b"deb http://mirror.example/ubuntu trusty main\n")], "ubuntu:14.04"),
    "alpine 3.5": ([("etc/alpine-release", b"3.5.2\n")], "alpine:v3.5"),
    "centos 7": ([("etc/centos-release", b"CentOS Linux release 7.6.1810 (Core)\n")], "centos:7"),
    "centos 5": ([("etc/redhat-release", b"CentOS release 5.11 (Final)\n")], "centos:5"),
    "centos stream": (CENTOS, "centos:9"),
    "rhel 9": (RHEL, "centos:9"),
    "rhel 7": ([("etc/redhat-release", b"Red Hat Enterprise Linux Server release 7.9 (Maipo)\n")], "centos:7"),
    "oracle 7": ([("etc/oracle-release", b"Oracle Linux Server release 7.9\n"),
                  ("etc/redhat-release", b"Red Hat Enterprise Linux Server release 7.9 (Maipo)\n")], "oracle:7"),
    "amazon 1": ([("etc/system-release", b"Amazon Linux AMI release 2018.03\n")], "amzn:2018.03"),
    "amazon 2": (os_release("amzn", "2", "Amazon Linux 2"), "amzn:2"),
    "fedora": ([("etc/fedora-release", b"Fedora release 41 (Forty One)\n")], "fedora:41"),
    "sles": (os_release("sles", "12.3"), "sles:12.3"),
    "sles 11": ([("etc/SuSE-release", b"SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n")], "sles:11.4"),
    "photon": ([("etc/photon-release", b"VMware Photon OS 3.0\n")], "photon:3"),
    "kali": (os_release("kali", "2024.2"), None),
}


def test_layers(serve, files):
    server = serve()
    for i, (name, (members, namespace)) in enumerate(LAYERS.items()):
        path = files.folder / str(i)
        path.write_bytes(mi.tar(members))
        assert server.post(f"layer{i}", path).status == 201, name
        assert server.layer(f"layer{i}").get("NamespaceName") == namespace, name


@pytest.mark.parametrize("members, namespace, version_format", [
    ([("etc/alpine-release", b"3.5.2\n"), ("lib/apk/db/installed", mi.apk_installed([("demo", "1.0-r1", "demo")]))],
     "alpine:v3.5", "dpkg"),
    ([*RHEL, STATUS], "centos:9", "dpkg"),
    ([*os_release("arch", ""), ("var/lib/pacman/local/demo-1.0-1/desc", b"%NAME%\ndemo\n\n%VERSION%\n1.0-1\n")], "arch", "alpm"),
], ids=["alpine", "rhel", "arch"])
def test_features(members, namespace, version_format, serve, files):
    server = serve()
    (files.folder / "layer").write_bytes(mi.tar(members))
    assert server.post("layer", files.folder / "layer").status == 201
    layer = server.layer("layer")
    assert layer["NamespaceName"] == namespace
    assert [(f["Name"], f["NamespaceName"], f["VersionFormat"]) for f in layer["Features"]] == [
        ("demo", namespace, version_format)]


def test_centos_becomes_rhel(serve, files):
    """Two namespaces inside, one name outside: each feature appears once."""
    server = serve()
    both = mi.dpkg_status([("demo", "1.0-1", None), ("new", "2.0-1", None)])
    (files.folder / "base").write_bytes(mi.tar([*CENTOS, STATUS]))
    (files.folder / "top").write_bytes(mi.tar([("etc/.wh.centos-release", b""), *RHEL, (STATUS[0], both)]))
    server.post_chain(["base", "top"], [files.folder / "base", files.folder / "top"])
    layer = server.layer("top")
    assert layer["NamespaceName"] == "centos:9"
    assert [(f["Name"], f["NamespaceName"], f["AddedBy"]) for f in layer["Features"]] == [
        ("demo", "centos:9", "base"), ("new", "centos:9", "top")]
