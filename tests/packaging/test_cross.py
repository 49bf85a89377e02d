"""The program for 64-bit ARM on a kernel for it, under an emulator of the whole machine: one of programs alone has no seccomp, and
without it no worker runs."""
import os
import re
import shutil
import subprocess

import pytest
from boxes import ROOT, call

CROSS = ROOT / "build-cross"
LIBRARIES = ("lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu")
INIT = """#!/bin/busybox sh
export PATH=/bin ECLAIR_UPDATE=never
busybox mkdir -p /proc /sys /tmp /var /dev
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t securityfs sec /sys/kernel/security
busybox ip link set lo up
run() { echo "BEGIN $1"; shift; "$@"; code=$?; echo; echo "END $code"; }
run lsm busybox cat /sys/kernel/security/lsm
run version eclair --version
run update eclair update --db /var/e.db --mirror /examples/feeds debian alpine
run alpine eclair scan --db /var/e.db /examples/images/alpine-3.10.docker.tar.gz
run debian eclair scan --db /var/e.db -f json /examples/images/debian-bullseye.docker.tar.zst
printf 'clair:\\n  database: {type: sqlite, options: {source: /var/e.db}}\\n  updater: {interval: 0}\\n' >/var/config.yaml
run serve sh -c 'eclair serve -c /var/config.yaml >/var/log 2>&1 & for i in 1 2 3 4 5 6 7 8 9; do sleep 2; busybox wget -q -O- http://127.0.0.1:6061/readyz && break; done; busybox cat /var/log'
busybox poweroff -f
"""


def needed(path, found):
    for name in re.findall(r"NEEDED.*\[(.*)\]", call("readelf", "-d", path)):
        if name not in found:
            found[name] = next(CROSS / "root" / d / name for d in LIBRARIES if (CROSS / "root" / d / name).exists())
            needed(found[name], found)
    return found


def package(name, folder):
    """Taken apart, not installed."""
    call("chroot", CROSS / "root", "sh", "-c", f"cd /tmp && rm -f {name.replace(':', '_')}*.deb && apt-get -o APT::Sandbox::User=root update -qq && "
         f"apt-get -o APT::Sandbox::User=root download -qq {name}:arm64")
    deb, = (CROSS / "root/tmp").glob(f"{name}_*.deb")
    call("dpkg-deb", "-x", deb, folder)
    deb.unlink()


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """What each command of INIT said, by its name: (exit code, text)."""
    if not os.environ.get("ECLAIR_TEST_KEPT"):  # then the program of the last run
        call(ROOT / "dev", "cross")
    folder = tmp_path_factory.mktemp("machine")
    call("chroot", CROSS / "root", "apt-get", "-o", "APT::Sandbox::User=root", "update", "-q")
    kernel = next(iter(re.findall(r"linux-image-\d\S*-arm64", call("chroot", CROSS / "root", "apt-cache", "depends", "linux-image-arm64:arm64"))))
    for name in ("busybox-static", kernel):
        package(name, folder / "debs")
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(next((folder / "debs").glob("*bin/busybox")), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "bin/sleep").symlink_to("busybox")
    shutil.copy(CROSS / "eclair", root / "bin/eclair")
    for name, path in needed(CROSS / "eclair", {}).items():
        (root / "lib").mkdir(exist_ok=True)
        shutil.copy(path, root / "lib" / name)
    shutil.copytree(ROOT / "examples", root / "examples")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    call("sh", "-c", f"cd {root} && find . | cpio -o -H newc --quiet | gzip -1 >{folder}/initrd")
    vmlinuz = next((folder / "debs/boot").glob("vmlinuz-*"))
    r = subprocess.run(["qemu-system-aarch64", "-M", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", "1024", "-kernel", vmlinuz, "-initrd", folder / "initrd",
                        "-append", "console=ttyAMA0 panic=-1 quiet", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot", "-nic", "none"],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=900)
    told = {name: (int(code), text) for name, text, code in re.findall(r"^BEGIN (\w+)\s(.*?)^END (\d+)", r.stdout.replace("\r", ""), re.M | re.S)}
    assert "serve" in told, (r.stdout[-3000:], r.stderr)
    print(r.stdout)
    return told


def test_it_runs(machine):
    assert "landlock" in machine["lsm"][1]
    assert machine["version"][0] == 0 and machine["version"][1].startswith("eclair ")


def test_scans(machine):
    """In workers behind seccomp: the list of calls is right for this architecture, too."""
    assert machine["update"][0] == 0, machine["update"]
    code, said = machine["alpine"]
    assert code == 0 and "CVE-2021-36159" in said and "seccomp alone" not in said, said
    assert machine["debian"][0] == 0 and '"coverage": "full"' in machine["debian"][1], machine["debian"][1][-500:]


def test_serves(machine):
    assert '"starting main API"' in machine["serve"][1] and "seccomp alone" not in machine["serve"][1], machine["serve"][1]
