"""The thread sanitizer watches a scan whose layers are read by several threads at once."""
import os
import pathlib
import subprocess

ECLAIR = os.environ.get("ECLAIR", "build/eclair")
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def test_layers_in_parallel(tmp_path):
    env = dict(os.environ, TSAN_OPTIONS="halt_on_error=0 exitcode=66")
    for i in range(5):
        db = tmp_path / f"{i}.db"
        update = subprocess.run([ECLAIR, "update", "--mirror", EXAMPLES / "feeds", "--db", db], capture_output=True, text=True, env=env)
        assert (update.returncode, update.stderr) == (0, "")
        image = tmp_path / "image.tar"
        with open(image, "wb") as out:
            subprocess.run(["zstd", "-dc", EXAMPLES / "images/debian-bullseye.docker.tar.zst"], stdout=out, check=True)
        scan = subprocess.run([ECLAIR, "scan", "--db", db, "--quiet", image], capture_output=True, text=True, env=env)
        assert (scan.returncode, scan.stderr) == (0, "")
        assert "findings" in scan.stdout
