"""The image, built once for all that ask for it."""
import os
import shutil

import pytest
from boxes import ROOT, Box, Podman, base

IMAGE = "localhost/eclair:test"


class Image:
    def __init__(self):
        self.podman = Podman()
        if not os.environ.get("ECLAIR_TEST_KEPT"):  # then that of the last run
            self.build()
        self.facts = self.podman.config(IMAGE)
        self.config = self.facts["Config"]
        self.root = self.podman("image", "mount", IMAGE).split()[-1]

    def build(self):
        self.podman("import", "-q", base(), "localhost/eclair-base:test")
        self.podman("build", "--isolation", "chroot", "--format", "docker", "--build-arg", "BUILD_BASE=localhost/eclair-base:test",
                    "--build-arg", "BASE=localhost/eclair-base:test", "-t", IMAGE, ROOT)

    def box(self, folder, volumes, user="6060:0", **more):
        """As `podman run --read-only --cap-drop all`: the image's volumes are folders made like those of the image."""
        kept = {}
        for path in self.config["Volumes"]:
            kept[path] = folder / path.strip("/").replace("/", "-")
            shutil.copytree(f"{self.root}{path}", kept[path], dirs_exist_ok=True)
            shutil.chown(kept[path], 6060, 0)
        env = dict(v.split("=", 1) for v in self.config["Env"])
        return Box(self.root, env | more, user.split(":"), kept | volumes, read_only=True, workdir=self.config["WorkingDir"])

    def command(self, *argv):
        return [*self.config["Entrypoint"], *(argv or self.config["Cmd"])]


@pytest.fixture(scope="session")
def image():
    made = Image()
    yield made
    made.podman("image", "umount", IMAGE)


@pytest.fixture
def folder(tmp_path):
    for p in (tmp_path, *tmp_path.parents[:2]):
        p.chmod(0o755)
    return tmp_path
