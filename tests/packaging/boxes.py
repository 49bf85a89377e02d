"""Roots of Debian made without a registry, and programs run in them as a container runtime would, as far as namespaces allow.

    base()                              # a tar archive of Debian 12, made by mmdebstrap once a day
    box = Box(root, env, user)          # what an image's configuration says
    box.run("eclair", "--version")      # to its end
    with box.start(...) as p: p.curl("http://127.0.0.1:6061/health")
"""
import json
import os
import shlex
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build-packaging"
DAY = 86400


def call(*argv, timeout=1800, **more):
    """The output of what must succeed."""
    r = subprocess.run(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, **more)
    assert r.returncode == 0, f"{argv[0]} {' '.join(map(str, argv[1:4]))}: {r.returncode}\n{r.stdout[-4000:]}"
    return r.stdout


def base():
    path = WORK / "base.tar"
    if not path.exists() or time.time() - path.stat().st_mtime > DAY:
        WORK.mkdir(exist_ok=True)
        new = WORK / "base.new.tar"
        call("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--aptopt=APT::Sandbox::User \"root\"", "bookworm", new,
             env=os.environ | {"TMPDIR": "/var/tmp"})
        new.replace(path)
    return path


def unpack(folder):
    folder.mkdir()
    call("tar", "-C", folder, "--exclude=./dev/*", "-xf", base())
    return folder


# $1 root, $2 "ro" or "rw", $3 "SOURCE=TARGET..." of volumes; the rest is run. Its mounts end with it.
MOUNT = """
set -e
root=$1 how=$2 volumes=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
[ ! -s /etc/resolv.conf ] || { [ -e "$root/etc/resolv.conf" ] || : >"$root/etc/resolv.conf"; mount --bind /etc/resolv.conf "$root/etc/resolv.conf"; }
for v in $volumes; do
    mount --bind "${v%%=*}" "$root/${v#*=}"
done
mount -o "remount,bind,$how" "$root"
exec chroot "$root" "$@"
"""


class Running:
    def __init__(self, process, log):
        self.process, self.log = process, log

    def first(self):
        """The first process of the box, as this machine numbers it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        end = time.monotonic() + 10
        while not (found := children.read_text().split()):
            assert self.process.poll() is None and time.monotonic() < end, self.text()
            time.sleep(0.01)
        return found[0]

    def inside(self, *argv, **more):
        """A program of this machine in the network of the box."""
        return subprocess.run(["nsenter", "-t", self.first(), "-n", *map(str, argv)], capture_output=True, text=True, timeout=60, **more)

    def curl(self, url, *more):
        """(status, body)"""
        r = self.inside("curl", "-s", "-m", "20", "-w", "\n%{http_code}", *more, url)
        body, _, status = r.stdout.rpartition("\n")
        return int(status), body

    def wait(self, url, want=200, seconds=60):
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, self.text()
            status, body = self.curl(url)
            if status == want:
                return body
            assert time.monotonic() < end, f"{url}: {status}\n{self.text()}"
            time.sleep(0.1)

    def text(self):
        return self.log.read_text()

    def stop(self):
        """SIGTERM to the first process of the box, as a runtime does; its exit code."""
        call("kill", self.first())
        return self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Box:
    """volumes: {path inside: folder or file outside}"""

    def __init__(self, root, env=None, user=None, volumes=None, read_only=False, workdir="/"):
        self.root, self.user, self.read_only, self.workdir = root, user, read_only, workdir
        self.volumes = volumes or {}
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"} | (env or {})

    def argv(self, argv, network):
        drop = []
        if self.user is not None:
            uid, gid = self.user
            drop = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        env = ["env", "-i", "-C", self.workdir, *(f"{k}={v}" for k, v in self.env.items())]
        volumes = " ".join(f"{outside}={inside}" for inside, outside in self.volumes.items())
        namespaces = ["-m", "-p", "-f", "-i", "-u", "--kill-child"] + ([] if network else ["-n"])
        up = "" if network else "ip link set lo up\n"
        return list(map(str, ["unshare", *namespaces, "sh", "-c", up + MOUNT, "sh", self.root, "ro" if self.read_only else "rw", volumes, *env, *drop, *argv]))

    def run(self, *argv, code=0, network=False, env=None, stdin=None, timeout=900):
        self_env, self.env = self.env, self.env | (env or {})
        try:
            r = subprocess.run(self.argv(argv, network), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, input=stdin, timeout=timeout)
        finally:
            self.env = self_env
        assert code is None or r.returncode == code, f"{shlex.join(map(str, argv))}: {r.returncode}\n{r.stdout[-4000:]}"
        return r.stdout

    def start(self, *argv, log):
        with log.open("w") as out:
            return Running(subprocess.Popen(self.argv(argv, False), stdin=subprocess.DEVNULL, stdout=out, stderr=out), log)


class Podman:
    """Its storage is below build-packaging, so that nothing of this machine's is touched."""

    def __init__(self):
        WORK.mkdir(exist_ok=True)
        conf = WORK / "storage.conf"
        conf.write_text(f'[storage]\ndriver = "vfs"\nrunroot = "{WORK}/run"\ngraphroot = "{WORK}/storage"\n')
        self.env = os.environ | {"CONTAINERS_STORAGE_CONF": str(conf), "TMPDIR": "/var/tmp"}

    def __call__(self, *argv):
        return call("podman", *argv, env=self.env)

    def config(self, image):
        return json.loads(self("image", "inspect", image))[0]
