"""eclair push: what clair-scanner did not do, or nobody recorded (test_push_golden.py has the recordings)."""
import hashlib
import json
import lzma
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import helpers
import make_images as mi
import pytest
from helpers import eclair, environment, need_data
from push_peers import A, B, LAYERS, Clair, Docker, docker, free_port, layer_answer, normal, run, saved, scanner  # noqa: F401


# ---- what is said to Clair ----

def test_calls(scanner, docker):
    with Clair() as clair:
        r = run(scanner, docker, clair)
    assert r.code == 1
    assert clair.requests == [("POST", "/v1/layers", "application/json")] * 2 + [
        ("GET", f"/v1/layers/{B}?vulnerabilities", None)]
    port = re.search(rb"listening on port (\d+)", r.err)[1].decode()
    assert [list(layer.items()) for layer in clair.layers] == [
        [("Name", A), ("Path", f"http://localhost:{port}/{A}/layer.tar"), ("Format", "Docker")],
        [("Name", B), ("Path", f"http://localhost:{port}/{B}/layer.tar"), ("ParentName", A), ("Format", "Docker")]]
    assert clair.content == LAYERS
    assert clair.types == {("application/x-tar", len(data)) for data in LAYERS.values()}


@pytest.mark.parametrize("ip,host", [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "[2001:db8::1]"),
                                     ("[2001:db8::1]", "[2001:db8::1]"), ("scanner.test", "scanner.test")])
def test_ip(ip, host, scanner, docker):
    with Clair(fetch=False) as clair:
        run(scanner, docker, clair, "--ip", ip)
    assert all(layer["Path"].startswith(f"http://{host}:") for layer in clair.layers)


def own_address():
    """Of this machine, as others see it; None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return s.getsockname()[0]


def test_address_is_found(scanner, docker):
    """Without --ip: ours on the way to a Clair that is somewhere else, and never for one that is here."""
    with Clair(fetch=False) as clair:
        run(scanner, docker, clair)
        assert all(layer["Path"].startswith("http://localhost:") for layer in clair.layers)
    address = own_address()
    if not address or address.startswith("127."):
        pytest.skip("this machine has only its loopback")
    with Clair(host="0.0.0.0") as clair:
        clair.url = clair.url.replace("0.0.0.0", address)
        run(scanner, docker, clair)
    assert clair.content == LAYERS and all(layer["Path"].startswith(f"http://{address}:") for layer in clair.layers)


def test_unfetched_url_is_told(scanner, docker):
    with Clair(post=(400, b'{"Error":{"Message":"could not find layer"}}'), fetch=False) as clair:
        r = run(scanner, docker, clair, "--ip", "192.0.2.1")
    assert r.code == 1 and f"Clair has not fetched {clair.layers[0]['Path']}: ".encode() in r.err


def test_only_layers_are_served(scanner, docker):
    """On all addresses, so nothing but what Clair needs."""
    seen = []

    def ask():
        base = clair.layers[0]["Path"].rsplit("/", 2)[0].replace("localhost", "127.0.0.1")
        for path in ("/", f"/{A}", f"/{A}/", "/manifest.json", f"/{A}/../manifest.json", "/%2e%2e/etc/passwd", f"/{A}/layer.tar/"):
            try:
                urllib.request.urlopen(base + path, timeout=60)
                seen.append((path, 200))
            except urllib.error.HTTPError as e:
                seen.append((path, e.code))
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(f"{base}/{A}/layer.tar", data=b"x", timeout=60)
        clair.on_post = lambda: None

    with Clair() as clair:
        clair.on_post = ask
        run(scanner, docker, clair)
    assert len(seen) == 7 and {code for _, code in seen} == {404}
    assert clair.content == LAYERS


def test_port(scanner, docker):
    """Without --port 9279, or where somebody has it any other; with it that one or none."""
    port = free_port()
    with Clair() as clair:
        r = eclair("-c", clair.url, "--port", port, "x", program=scanner,
                   env=environment(DOCKER_HOST=docker.host.replace("docker.sock", "none")))
        assert r.code == 1
        r = eclair("--port", port, "-c", clair.url, "alpine:3.5", program=scanner, env=environment(DOCKER_HOST=docker.host))
        assert f"listening on port {port}".encode() in r.err and r.code == 1
        with socket.create_server(("", 0)) as held:
            r = eclair("--port", held.getsockname()[1], "-c", clair.url, "alpine:3.5", program=scanner,
                       env=environment(DOCKER_HOST=docker.host))
        assert r.code == 1 and b"[CRIT]" in r.err and b"ddress already in use" in r.err
        r = eclair("-c", clair.url, "alpine:3.5", program=scanner, env=environment(DOCKER_HOST=docker.host))
        assert b"listening on port 9279\x1b" in r.err or b"Port 9279 is in use" in r.err
        try:
            held = socket.create_server(("", 9279))
        except OSError:
            held = None  # somebody else has it: as good
        try:
            r = eclair("-c", clair.url, "alpine:3.5", program=scanner, env=environment(DOCKER_HOST=docker.host))
        finally:
            if held:
                held.close()
        assert b"[WARN] \xe2\x96\xb6 Port 9279 is in use: layers are served on port" in r.err
        assert b"vulnerabilities" in r.err and r.code == 1


# ---- where images come from ----

def layer_bytes(layers, codec="plain"):
    return [mi.pack(mi.tar(layer), codec) for layer in layers]


def chain(digests):
    names = []
    for d in digests:
        names.append(d[7:] if not names else hashlib.sha256(f"sha256:{names[-1]} {d}".encode()).hexdigest())
    return names


LAYOUTS = {  # layout -> are its layers named by the digests of their plain bytes, of their stored ones, or by folders
    "docker": "folder", "docker-links": "folder", "docker-blobs": "plain", "podman": "plain", "oci": "stored"}


def expected(layout, layers, codec):
    stored, plain = layer_bytes(layers, codec), layer_bytes(layers)
    if LAYOUTS[layout] == "folder":
        return dict(zip([hashlib.sha256(b"%d" % i + p).hexdigest() for i, p in enumerate(plain)], stored))
    names = chain([mi.sha256(x) for x in (plain if LAYOUTS[layout] == "plain" else stored)])
    return dict(zip(names, stored))


@pytest.mark.parametrize("way", ["daemon", "file", "gzip", "zstd", "xz", "bzip2", "stdin", "pipe", "packed pipe"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(layout, way, scanner, tmp_path):
    layers = [*mi.debian_layers(), mi.debian_layers()[0]]
    codec = "gzip" if layout == "oci" else "plain"
    data, want = mi.archive(layers, layout, codec), expected(layout, layers, codec)
    path = tmp_path / "image.tar"
    path.write_bytes(mi.pack(data, way if way in mi.CODECS else "gzip" if way == "packed pipe" else "plain"))
    more, image = {}, path
    if way == "daemon":
        image = "alpine:3.5"
    elif way == "stdin":
        image, more = "-", {"stdin": path.open("rb")}
    elif "pipe" in way:
        image, more = "-", {"stdin": path.read_bytes()}
    with Docker(tmp_path / "s", data) as docker, Clair() as clair:
        r = eclair("--port", "0", "-c", clair.url, "-q", image, program=scanner,
                   env=environment(DOCKER_HOST=docker.host), **more)
    assert (r.code, [layer["Name"] for layer in clair.layers]) == (1, list(want)), r.err
    assert clair.content == want
    assert [layer.get("ParentName") for layer in clair.layers] == [None, *list(want)[:-1]]
    assert bool(docker.asked) == (way == "daemon")


def test_oci_folder(scanner, tmp_path, monkeypatch):
    """A folder that holds an image is one; a folder that has only an image's name is not meant."""
    layers = mi.debian_layers()
    mi.oci_folder(tmp_path / "layout", layers)
    (tmp_path / "alpine").mkdir()
    want = expected("oci", layers, "gzip")
    monkeypatch.chdir(tmp_path)
    with Docker(tmp_path / "s", saved(), name="alpine") as docker, Clair() as clair:
        run(scanner, docker, clair, image="layout")
        assert clair.content == want and not docker.asked
        clair.content.clear()
        run(scanner, docker, clair, image="alpine")
        assert clair.content == LAYERS and docker.asked
        r = run(scanner, docker, clair, image="./alpine")
        assert r.code == 1 and b"could not untar [./alpine]" in r.err


def test_docker_25(scanner, docker):
    """Where the old program asked for blobs/sha256/HEX/layer.tar, which is nowhere."""
    docker.archive = mi.tar(list(mi.docker_blobs_files(mi.debian_layers()).items()))
    with Clair() as clair:
        r = run(scanner, docker, clair)
    assert r.code == 1 and clair.content == expected("docker-blobs", mi.debian_layers(), "plain")


def test_real_image(scanner, tmp_path):
    """A real archive of hundreds of MiB from a daemon: streamed, and each layer has its digest."""
    path = need_data("images/debian-bullseye-layers.docker.tar.zst")

    def send(to):
        with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as p:
            while chunk := p.stdout.read(1 << 20):
                to.write(chunk)

    with Docker(tmp_path / "s", send) as docker, Clair() as clair:
        r = run(scanner, docker, clair, "-q")
    assert r.code == 1 and len(clair.content) == len(clair.layers) > 1, r.err
    plain = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    assert all(data in plain for data in clair.content.values())


def test_newer_daemon(scanner, docker):
    """Version 1.25, which the old program insisted on, is refused by Docker 29."""
    docker.api = "1.52"
    with Clair() as clair:
        assert run(scanner, docker, clair, "-q").code == 1 and clair.content == LAYERS
        assert docker.asked == ["/version", "/v1.52/images/get?names=alpine%3A3.5"]
        docker.asked.clear()
        r = run(scanner, docker, clair, DOCKER_API_VERSION="1.52")
        assert docker.asked == ["/v1.52/images/get?names=alpine%3A3.5"]
        r = run(scanner, docker, clair, DOCKER_API_VERSION="1.25")
    assert r.code == 1 and b"Could not save Docker image [alpine:3.5]: Error response from daemon: client version" in r.err


def certificates(folder):
    """An authority, and a certificate of it that serves as the daemon's and as ours."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=authority")
    openssl("req", "-x509", *key, "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-CA", "ca.pem",
            "-CAkey", "ca-key.pem", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")


def test_daemon_over_tcp(scanner, tmp_path):
    with Docker(None, saved(), tcp=True) as docker, Clair() as clair:
        assert run(scanner, docker, clair, "-q").code == 1
        assert clair.content == LAYERS


def test_daemon_over_tls(scanner, tmp_path):
    """Both sides show a certificate; with DOCKER_TLS_VERIFY the daemon's must be of the authority in the folder."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        certificates(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ours / "cert.pem", ours / "key.pem")
    tls.load_verify_locations(ours / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    with Docker(None, saved(), tls=tls) as docker, Clair() as clair:
        for verify in ("1", ""):
            clair.content.clear()
            r = run(scanner, docker, clair, "-q", DOCKER_CERT_PATH=str(ours), DOCKER_TLS_VERIFY=verify)
            assert clair.content == LAYERS, r.err
        (theirs / "cert.pem").write_bytes((ours / "cert.pem").read_bytes())
        (theirs / "key.pem").write_bytes((ours / "key.pem").read_bytes())
        r = run(scanner, docker, clair, "-q", DOCKER_CERT_PATH=str(theirs), DOCKER_TLS_VERIFY="1")
        assert r.code == 1 and b"Cannot connect to the Docker daemon at tcp://" in r.err and b"certificate" in r.err


def test_proxy(scanner, docker):
    """One from the environment is for Clair; a daemon's socket has none."""
    with Clair() as clair, Clair() as proxy:
        run(scanner, docker, None, "-c", "http://clair.test:6060", http_proxy=proxy.url)
        assert proxy.requests[0][1] == "http://clair.test:6060/v1/layers" and proxy.content == LAYERS
        run(scanner, docker, clair, http_proxy=proxy.url, no_proxy="127.0.0.1")
        assert clair.content == LAYERS


def test_many_layers(scanner, tmp_path):
    """Each is a file of a folder."""
    layers = [[(f"etc/{i}", b"%d" % i)] for i in range(300)]
    folder = mi.oci_folder(tmp_path / "layout", layers)
    with Clair() as clair:
        r = eclair("--port", "0", "-q", "-c", clair.url, folder, program=scanner, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    assert r.code == 1 and clair.content == expected("oci", layers, "gzip")


BAD_ARCHIVES = {
    "empty": b"", "garbage": b"garbage" * 1000, "no manifest": mi.tar([("x", b"x")]), "cut": saved()[:3000],
    "missing layer": mi.tar([("manifest.json", json.dumps([{"Layers": [f"{A}/layer.tar"]}]).encode())]),
    "odd manifest": saved({"Layers": []}), "odd layers": saved([{"Layers": [1]}]), "bad gzip": mi.pack(saved(), "gzip")[:-20],
}


@pytest.mark.parametrize("way", ["daemon", "file", "pipe"])
@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_bad_archive(name, way, scanner, tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(BAD_ARCHIVES[name])
    with Docker(tmp_path / "s", BAD_ARCHIVES[name]) as docker, Clair() as clair:
        image = {"daemon": "alpine:3.5", "file": path, "pipe": "-"}[way]
        r = eclair("--port", "0", "-c", clair.url, image, program=scanner, stdin=BAD_ARCHIVES[name],
                   env=environment(DOCKER_HOST=docker.host))
    assert (r.code, r.out, clair.requests) == (1, b"", [])
    lines = r.err.decode().splitlines()
    assert len(lines) == 2 and "[CRIT] ▶ Could not " in lines[1] and "worker" not in lines[1], lines


def test_full_disk(scanner, docker, tmp_path):
    with Clair() as clair:
        r = eclair("-c", clair.url, "alpine:3.5", program=scanner, env=environment(DOCKER_HOST=docker.host),
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert r.code == 1 and b"[CRIT]" in r.err and b"File too large" in r.err


# ---- answers that are none ----

BAD_ANSWERS = {
    "no json": b"<html>", "cut": layer_answer()[:-20], "no layer": b"{}", "list": b"[]",
    "odd features": b'{"Layer":{"Features":{}}}', "odd name": b'{"Layer":{"Features":[{"Name":[]}]}}',
    "deep": b'{"Layer":' + b'{"x":' * 100000,
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answer(name, scanner, docker):
    with Clair(get=(200, BAD_ANSWERS[name])) as clair:
        r = run(scanner, docker, clair)
    assert (r.code, r.out) == (1, b"")
    assert "[CRIT] ▶ Fetch vulnerabilities, Could not decode response " in r.err.decode()


def test_nulls_and_order(scanner, docker, tmp_path):
    """null where a list may be, a feature's name behind its vulnerabilities, fields that nobody knows."""
    report = tmp_path / "r"
    get = {"Error": None, "Layer": {"Features": [
        {"Vulnerabilities": [{"Severity": "Odd", "Name": "CVE-1", "Metadata": {"x": [1]}}], "Name": "a", "Version": None},
        {"Name": "b", "Vulnerabilities": None}], "Else": [[]]}}
    with Clair(get=(200, json.dumps(get).encode())) as clair:
        assert run(scanner, docker, clair, "-r", report, "-t", "Defcon1").code == 1  # an unknown word is never approved
    assert json.loads(report.read_text())["vulnerabilities"] == [
        {"featurename": "a", "featureversion": "", "vulnerability": "CVE-1", "namespace": "", "description": "",
         "link": "", "severity": "Odd", "fixedby": ""}]


def test_hostile_text(scanner, docker):
    """What a server says does not move the cursor."""
    text = "\x1b]0;evil\x07\x1b[2Jx\r\x9b"
    with Clair(get=(200, layer_answer([{"Name": text, "Description": text, "Link": text, "Severity": text}]))) as clair:
        r = run(scanner, docker, clair)
    assert b"\x1b[2J" not in r.out and b"\x1b]" not in r.out and b"\r" not in r.out and b"evil" in r.out
    with Clair(post=(500, text.encode())) as clair:
        r = run(scanner, docker, clair)
    assert b"\x1b[2J" not in r.err and b"evil" in r.err and r.code == 1


# ---- the command line ----

@pytest.mark.parametrize("options,good", [
    (["-c", "URL"], True), (["-cURL"], True), (["-c=URL"], True), (["--clair", "URL"], True), (["--clair=URL"], True),
    (["-qc", "URL"], True), (["-qcURL"], True), (["-qc=URL"], True), (["-c", "http://127.0.0.1:1", "-c", "URL"], True),
    (["-c", "URL", "--"], True), (["-c", "URL", "--all=false", "--reportAll=true"], True), (["-c", "URL", "-q=false"], True),
    (["-clair=URL"], False), (["-c", "URL", "--all", "false"], None), (["-c", "URL", "other"], None), (["-z"], None),
    (["-c", "URL", "--all=maybe"], None), (["--clair"], None)])
def test_options(options, good, scanner, docker):
    with Clair() as clair:
        words = [o.replace("URL", clair.url) for o in options]
        r = eclair("--port", "0", *words, "alpine:3.5", program=scanner, env=environment(DOCKER_HOST=docker.host))
    assert bool(clair.content) == (good is True)
    assert r.code == (2 if good is None else 1)
    assert r.err.startswith(b"Error: incorrect usage\n") == (good is None)


def test_options_before_image(scanner, docker):
    """As the old program under its name; `eclair push` takes them anywhere."""
    with Clair() as clair:
        words = ["alpine:3.5", "-c", clair.url, "--port", "0"]
        r = eclair(*words, program=scanner, env=environment(DOCKER_HOST=docker.host))
        assert r.code == 2 and not clair.requests
        r = eclair("push", *words, env=environment(DOCKER_HOST=docker.host))
        assert r.code == 1 and clair.content == LAYERS


def test_slash_behind_the_url(scanner, docker):
    """Plain concatenation, as it was: a real Clair answers 404 to //v1/layers."""
    with Clair(post=(404, b"404 page not found\n")) as clair:
        r = eclair("--port", "0", "-c", clair.url + "/", "x:1", program=scanner, env=environment(
            DOCKER_HOST=docker.host.replace("docker.sock", "none")))
        assert b"Is the docker daemon running?" in r.err
        r = run(scanner, docker, None, "-c", clair.url + "/")
    assert clair.requests[0][1] == "//v1/layers"
    assert b"Got response 404 with message 404 page not found\n\x1b[0m\n" in r.err


def test_help(scanner):
    here, there, old = eclair("push", "--help"), eclair("help", "push"), eclair("-h", program=scanner)
    assert (here.code, there.code, old.code) == (0, 0, 0) and here.out == there.out and old.out == b""
    names = ("whitelist", "threshold", "clair", "ip", "port", "log", "all", "reportAll", "report", "quiet",
             "exit-when-no-features")
    for text in (here.out.decode(), old.err.decode()):
        assert [n for n in names if f"--{n} " not in text] == []
        assert [f"-{c}, --" for c in "wtclrq" if f"-{c}, --" not in text] == []
    assert b"usage: clair-scanner [OPTION...] IMAGE" in old.err and b"usage: eclair push [" in here.out


# ---- the end ----

@pytest.mark.parametrize("number,word", [(signal.SIGINT, b"interrupt"), (signal.SIGQUIT, b"quit"),
                                         (signal.SIGTERM, b"terminated")])
def test_signal(number, word, scanner, docker):
    """While Clair takes its time. Nothing of ours is left, neither files (conftest.py looks) nor processes."""
    with Clair() as clair:
        p = subprocess.Popen([scanner, "--port", "0", "-c", clair.url, "alpine:3.5"], stderr=subprocess.PIPE,
                             env=environment(DOCKER_HOST=docker.host), start_new_session=True)
        clair.on_post = lambda: (p.send_signal(number), p.wait(60))
        _, err = p.communicate(timeout=120)
    assert p.returncode == 1
    assert normal(err).endswith(b"YYYY/MM/DD HH:MM:SS Application interrupted [" + word + b"]\n")
    assert helpers.gone(p.pid)


def test_interrupt_of_all(scanner, tmp_path):
    """Ctrl-C reaches every process; the line is the same while a worker is busy."""
    path = tmp_path / "image.tar.xz"
    path.write_bytes(lzma.compress(bytes(64 << 20), preset=0) * 30)  # some seconds of work, if nobody stops it
    p = subprocess.Popen([scanner, path], stderr=subprocess.PIPE, env=environment(), start_new_session=True)
    while len(helpers.alive(p.pid)) < 3:  # ours, the one that forks, the worker
        time.sleep(0.01)
    os.killpg(p.pid, signal.SIGINT)
    _, err = p.communicate(timeout=60)
    assert p.returncode == 1 and len(err.splitlines()) == 2
    assert err.endswith(b"Application interrupted [interrupt]\n")
    assert helpers.gone(p.pid)


def test_signal_while_reading(scanner):
    p = subprocess.Popen([scanner, "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
                         start_new_session=True)
    p.stdin.write(b"x" * 100000)  # more than a pipe holds: it is reading
    p.stdin.flush()
    p.send_signal(signal.SIGTERM)
    err = p.stderr.read()
    p.stdin.close()
    assert p.wait(60) == 1 and b"Application interrupted [terminated]\n" in err
    assert helpers.gone(p.pid)


def test_report_is_whole_or_not_there(scanner, docker, tmp_path):
    report = tmp_path / "report.json"
    with Clair() as clair:
        r = run(scanner, docker, clair, "-q", "-r", "/dev/full")
    assert r.code == 1 and b"could not write to file write /dev/full: no space left on device" in r.err
    report.write_bytes(b"old" * 10000)
    with Clair() as clair:
        run(scanner, docker, clair, "-q", "-r", report)
    json.loads(report.read_text())
    assert report.stat().st_mode & 0o777 == 0o644
