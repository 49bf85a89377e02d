"""What the benches of the server share: a server in a folder of its own, and wrk."""
import re
import subprocess
import sys

from measure import ROOT, WORK

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/e2e"), str(ROOT / "tests/server")]
from serving import Server  # noqa: E402


def new_server(name, database, **options):
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    return Server(folder, database, **options)


def wrk(url, seconds, connections, script=None):
    """(requests a second, p50 ms, p99 ms, answers)"""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "--timeout", "30", *(["-s", script] if script else []), url]
    out = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out

    def ms(name):
        value, unit = re.search(rf"{name}\s+([\d.]+)(us|ms|s)\b", out).groups()
        return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    return float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1]), ms("50%"), ms("99%"), int(re.search(r"(\d+) requests in", out)[1])
