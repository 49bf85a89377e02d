"""One image by REST v1 and by API v3, gRPC and REST, in turn, from one server: what a question costs its client, who waits for each answer."""
import json
import re
import subprocess
import tarfile

import measure
from measure import ECLAIR, ROOT, WORK
from serve import new_server
from serving import request

IMAGE = ROOT / "examples/images/debian-bullseye.docker.tar.zst"
QUESTIONS, ROUNDS = 2000, 5


def layers(folder):
    """The layers of the image as files, bottom first."""
    plain = folder / "image.tar"
    with plain.open("wb") as out:
        subprocess.run(["zstd", "-dcq", IMAGE], stdout=out, check=True)
    with tarfile.open(plain) as archive:
        names = json.load(archive.extractfile("manifest.json"))[0]["Layers"]
        for number, name in enumerate(names):
            path = folder / f"layer-{number}.tar"
            path.write_bytes(archive.extractfile(name).read())
            yield path


def post(server):
    parent, all_layers = "", []
    for number, path in enumerate(layers(server.folder)):
        layer = {"Name": f"layer-{number}", "Path": str(path), "Format": "Docker", "ParentName": parent}
        assert request(server.port, "POST", "/v1/layers", json.dumps({"Layer": layer}).encode()).status == 201
        parent = layer["Name"]
        all_layers.append({"hash": parent, "path": str(path)})
    body = {"ancestry_name": "image", "format": "Docker", "layers": all_layers}
    assert request(server.port, "POST", "/ancestry", json.dumps(body).encode()).status == 200
    return parent


def ask(url, *options):
    """Milliseconds a question, by one client that waits for each answer."""
    out = subprocess.run(["h2load", "-n", str(QUESTIONS), "-c", "1", "-m", "1", *map(str, options), url], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    assert f"{QUESTIONS} succeeded" in out, out
    value, unit = re.search(r"finished in ([\d.]+)(ms|s)\b", out).groups()
    return float(value) * {"ms": 1, "s": 1e3}[unit] / QUESTIONS


def ancestries(_servers):
    table = measure.Table(f"one image of API v3 and of REST v1: the fastest of {ROUNDS} rounds of {QUESTIONS:,} questions")
    database, question = WORK / "ancestries.db", WORK / "ancestries.grpc"
    measure.remove_database(database)
    measure.run([ECLAIR, "update", "--mirror", ROOT / "examples/feeds", "--db", database, "--quiet"])
    question.write_bytes(b"\0\0\0\0\7\n\5image")  # GetAncestryRequest of "image", framed
    server = new_server("ancestries", database).start()
    try:
        url = f"http://127.0.0.1:{server.port}"
        v1 = f"{url}/v1/layers/{post(server)}?vulnerabilities"
        ways = {
            "GetAncestry over gRPC": (f"{url}/coreos.clair.AncestryService/GetAncestry", "-d", question, "-H", "content-type: application/grpc"),
            "REST v1 over HTTP/2": (v1,),
            "REST v1 over HTTP/1.1": (v1, "--h1"),
        }
        best = {name: min(us) for name, us in zip(ways, zip(*([ask(*way) for way in ways.values()] for _ in range(ROUNDS))))}
    finally:
        server.stop()
    for name in list(ways)[1:]:
        table.row(f"GetAncestry by gRPC, to {name}", best["GetAncestry over gRPC"], "ms", 1, best[name])
    measure.remove_database(database)
    return table
