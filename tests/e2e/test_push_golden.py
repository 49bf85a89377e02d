"""Every recorded run of clair-scanner again: v13 against a Clair that speaks REST v1, 14.0.1 against Clair 4. Standard output, standard error,
exit code and report are the same, byte for byte, but for what EXCEPTIONS says."""
import os
import re
from pathlib import Path

import helpers
import make_images as mi
import pytest
from helpers import eclair, environment
from push_peers import A, LAYERS, Clair, Clair4, Docker, docker, layer_answer, normal, run, saved, scanner  # noqa: F401

SPEC = Path(os.environ.get("ECLAIR_TEST_SPEC", helpers.ROOT / "../shared/spec")).resolve()
GOLDEN = SPEC / "golden-clients"

NO_FEATURES = (200, b'{"Layer": {"Name": "b"}}')
COULD_NOT = (400, b'{"Error": {"Message": "could not find layer"}}')
W = lambda name: ["-w", GOLDEN / "clair-scanner-v13" / f"{name}.yaml"]  # noqa: E731

CASES_13 = {  # name of the recording -> options, then what is not as usual
    "vulns": ([], {}),
    "ipbad": (["--ip", "192.0.2.1"], {"clair": {"fetch": False}}),
    "emptyimage": ([], {"image": ""}),
    "envurl": (["-q"], {"by_env": True}),
    "log": (["-q"], {"log": True}),
    "quiet": (["-q"], {}),
    "threshold-high": (["-t", "High"], {}),
    "threshold-bad": (["-t", "high"], {}),
    "novuln": ([], {"clair": {"get": (200, layer_answer([]))}}),
    "nofeatures": ([], {"clair": {"get": NO_FEATURES}}),
    "nofeatures-flag": (["--exit-when-no-features"], {"clair": {"get": NO_FEATURES}}),
    "get404": ([], {"clair": {"get": (404, b'{"Error": {"Message": "the resource cannot be found"}}')}}),
    "err200": ([], {"clair": {"get": (200, b'{"Error": {"Message": "boom"}}')}}),
    "post400": ([], {"clair": {"post": COULD_NOT}}),
    "noclair": (["-c", "http://127.0.0.1:1"], {}),
    "noimage": ([], {"image": "alpine:9"}),
    "twoman": ([], {"archive": saved([{"Layers": [f"{A}/layer.tar"]}] * 2)}),
    "nolayers": ([], {"archive": saved([{"Layers": []}])}),
    "badjson": ([], {"archive": saved(b"not json")}),
    "badlog": (["-l", "/nonexist/x.log"], {}),
    "badreport": (["-q", "-r", "/nonexist/x.json"], {}),
    "nodocker": ([], {"env": {"DOCKER_HOST": "tcp://127.0.0.1:2"}}),
    "baddocker": ([], {"env": {"DOCKER_HOST": "bogus"}}),
    "whitelist-partial": (W("whitelist-partial"), {}),
    "whitelist-partial-noall": ([*W("whitelist-partial"), "--all=false"], {}),
    "whitelist-full": (W("whitelist-full"), {}),
    "whitelist-full-noall": ([*W("whitelist-full"), "--all=false"], {}),
    "wlmissing": (["-w", "/nonexist.yaml"], {}),
    "wlbad": ([], {"whitelist": b"[:"}),
    "wlbad2": ([], {"whitelist": b"- a\n"}),
    "oci": ([], {"archive": mi.archive(mi.debian_layers(), "docker-blobs")}),
    "help": (["-h"], {}),
    "noargs": ([], {"image": None}),
    "unknownopt": (["--unknown"], {}),
}

OCI = mi.archive(mi.debian_layers()[:1], "oci", "gzip")
TWO = {"3": {"name": "CVE-2016-9840", "description": "desc", "links": "https://a https://b", "normalized_severity": "Medium",
             "package": {"name": "zlib", "version": ""}, "fixed_in_version": "1.2.9-r0"},
       "4": {"name": "CVE-2016-9841", "normalized_severity": "Critical", "package": {"name": "zlib"}}}

CASES_14 = {
    "vulns": ([], {}),
    "wl": ([], {"whitelist": b"generalwhitelist:\n  CVE-2016-9840: x\n  CVE-2016-9841: x\n"}),
    "novuln": ([], {"clair": {"found": {}}}),
    "idx500": ([], {"clair": {"index": (500, b"{}")}}),
    "err400": ([], {"clair": {"post": (400, b'{"code":"bad-request","message":"bogus manifest"}')}}),
    "legacy": ([], {"archive": saved()}),
    "noimage": ([], {"image": "alpine:9"}),
    "threshold-defcon": (["-t", "Defcon1"], {}),
    "help": (["-h"], {}),
    "noargs": ([], {"image": None}),
    "emptyimg": ([], {"image": ""}),
    "noclair": (["--api", "v4", "-c", "http://127.0.0.1:1"], {}),
    "quiet": (["-q"], {}),
}

# Where ours is not the same: up to which text it is, and why.
EXCEPTIONS = {
    ("13", "badjson"): (b"manifest.json is not json: ", "the words of Go's JSON parser; ours name the byte"),
    ("13", "noclair"): (b"POST to Clair failed ", "the words of Go's HTTP client; ours name host, port and reason"),
    ("13", "wlbad"): (b"could not unmarshal yaml: line 1: ", "the words of Go's YAML parser; ours are libyaml's"),
    ("13", "oci"): (b"Analyzing ", "the old program failed on images of Docker 25, which are scanned; layers have their chain ids as names"),
    ("13", "help"): (b"", "help texts are ours"),
    ("13", "noargs"): (b"Error: incorrect usage\n", "help texts are ours"),
    ("13", "unknownopt"): (b"Error: incorrect usage\n", "help texts are ours"),
    ("14", "noclair"): (b"error sending request: ", "the words of Go's HTTP client; and who does not answer is Clair 4 only when --api says so"),
    ("14", "legacy"): (b"Starting clair-scanner for image: alpine:3.5\x1b[0m\n", "14.x failed on what `docker save` wrote before Docker 25, which is scanned"),
    ("14", "help"): (b"", "help texts are ours"),
    ("14", "noargs"): (b"Error: incorrect usage\n", "help texts are ours"),
}


def need_golden():
    if GOLDEN.is_dir():
        return
    if os.environ.get("CI"):
        pytest.fail(f"{helpers.NO_DATA} {GOLDEN}")
    pytest.skip(f"{helpers.NO_DATA} {GOLDEN}")


def folder_of(era):
    return GOLDEN / {"13": "clair-scanner-v13", "14": "clair-scanner-14.0.1"}[era]


def golden_file(era, name):
    path = folder_of(era) / name
    return path.read_bytes() if path.exists() else b""


def test_every_recording_has_a_case():
    need_golden()
    for era, cases in (("13", CASES_13), ("14", CASES_14)):
        assert {p.name[:-3] for p in folder_of(era).glob("*.rc")} == set(cases)
    assert set(EXCEPTIONS) <= {("13", n) for n in CASES_13} | {("14", n) for n in CASES_14}


@pytest.mark.parametrize("era,name", [("13", n) for n in CASES_13] + [("14", n) for n in CASES_14])
def test_recording(era, name, scanner, tmp_path):  # noqa: F811
    need_golden()
    options, more = (CASES_13 if era == "13" else CASES_14)[name]
    report, log, whitelist = tmp_path / "report.json", tmp_path / "log", tmp_path / "whitelist"
    if "-r" not in options:
        options = ["-r", report, *options]
    if more.get("log"):
        options = ["-l", log, *options]
    if "whitelist" in more:
        whitelist.write_bytes(more["whitelist"])
        options = ["-w", whitelist, *options]
    server = Clair(**more.get("clair", {})) if era == "13" else Clair4(**{"found": TWO} | more.get("clair", {}))
    with Docker(tmp_path / "s", more.get("archive", saved() if era == "13" else OCI)) as docker, server as clair:  # noqa: F811
        env = {"DOCKER_HOST": docker.host} | more.get("env", {})
        url = ["-c", clair.url]
        if more.get("by_env"):
            url, env = [], env | {"CLAIR_URL": clair.url}
        image = more.get("image", "alpine:3.5")
        r = eclair("--port", "0", *url, *options, *([] if image is None else [image]), program=scanner,
                   env=environment(**env))
    want, err = normal(golden_file(era, f"{name}.err")), normal(r.err)
    assert r.code == int(golden_file(era, f"{name}.rc")), err
    exception = EXCEPTIONS.get((era, name))
    if exception:
        head = want[:want.index(exception[0]) + len(exception[0])]
        assert err.startswith(head) and len(err) > len(head)
    else:
        assert err == want
        assert r.out == golden_file(era, f"{name}.out")
    if (folder_of(era) / f"{name}.report.json").exists():
        assert report.read_bytes() == golden_file(era, f"{name}.report.json")
    if r.code in (2, 5) or b"CRIT" in err:
        assert not report.exists()
    if more.get("log"):
        assert normal(log.read_bytes()) == re.sub(rb"\x1b\[[\d;]*m", b"", want)
    if era == "13" and clair.content and name != "oci":
        assert clair.content == {k: LAYERS[k] for k in clair.content}


def test_recording_of_a_real_server(scanner, docker, tmp_path):  # noqa: F811
    """What Clair 2.0.7 answered, and what clair-scanner made of it."""
    need_golden()
    folder, report = SPEC / "golden-clients/e2e-clair-2.0.7", tmp_path / "report.json"
    text = (folder / "http.txt").read_bytes().replace(b"\r", b"")
    answer = re.search(rb"GET /v1/layers/B\?vulnerabilities\n.*?\n\n(\{.*?\})\n", text, re.S)
    with Clair(get=(200, answer[1])) as clair:
        r = run(scanner, docker, clair, "-r", report)
    assert r.code == 1
    assert r.out == (folder / "clair-scanner-v13.out").read_bytes()
    assert report.read_bytes() == (folder / "clair-scanner-v13.report.json").read_bytes()


# ---- Clair 4, beyond the recordings ----

def test_calls_of_14(scanner, tmp_path):  # noqa: F811
    layers = mi.oci_files(mi.debian_layers(), "gzip")
    with Docker(tmp_path / "s", mi.tar(list(layers.items()))) as docker, Clair4(found=TWO, slow=1) as clair:  # noqa: F811
        r = run(scanner, docker, clair, "--ip", "127.0.0.1", "-q")
    assert r.code == 1, r.err
    stored = [mi.pack(mi.tar(layer), "gzip") for layer in mi.debian_layers()]
    assert [x["hash"] for x in clair.manifest["layers"]] == [mi.sha256(x) for x in stored]
    assert clair.manifest["hash"][7:] in "".join(layers) and [clair.content[mi.sha256(x)] for x in stored] == stored
    h = clair.manifest["hash"]
    assert clair.requests == [("POST", "/indexer/api/v1/index_report"), ("GET", f"/indexer/api/v1/index_report/{h}"),
                              ("GET", f"/indexer/api/v1/index_report/{h}"), ("GET", f"/matcher/api/v1/vulnerability_report/{h}")]


@pytest.mark.parametrize("clair,words", [
    ({"post": (201, b'{"manifest_hash":"x","state":"IndexError","success":false,"err":"bad \\u001b layer"}')}, "could not index the image: bad ? layer"),
    ({"report": (404, b'{"code":"not-found","message":"x"}')}, "unexpected status code: 404"),
    ({"report": (202, b"")}, "no vulnerabilities loaded yet"),
    ({"report": (200, b'{"vulnerabilities": {"1": 3}}')}, "Failed to fetch the vulnerability report: "),
    ({"report": (200, b"[]")}, "Failed to fetch the vulnerability report: "),
])
def test_14_does_not_fail_open(clair, words, scanner, tmp_path):  # noqa: F811
    """Where clair-scanner 14 saw no vulnerabilities, for it looked at neither status nor success."""
    with Docker(tmp_path / "s", OCI) as docker, Clair4(found=TWO, **clair) as server:  # noqa: F811
        r = run(scanner, docker, server, "-r", tmp_path / "report")
    assert r.code == 1 and words in r.err.decode() and not (tmp_path / "report").exists(), r.err
