"""Images in registries: against docker-registry filled by skopeo, and fronts before it that do what registries should not."""
import base64
import gzip
import json
import re
import threading
import time

import helpers
import make_images
import pytest
from helpers import assert_refused, eclair, environment
from registry import INDEX, MANIFEST, Front, Registry, Server, Tokens, make_certificates

LAYERS = make_images.debian_layers()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def source(folder):
    make_images.oci_folder(folder / "image", LAYERS)
    return folder / "image"


@pytest.fixture(scope="module")
def registry(folder, source):
    r = Registry(folder / "plain")
    r.push(f"oci:{source}", "org/app:1")
    yield r
    r.stop()


@pytest.fixture(scope="module")
def certificates(folder):
    (folder / "tls").mkdir()
    return make_certificates(folder / "tls")


@pytest.fixture
def fronts():
    made = []

    def make(*args, kind=Front, **options):
        made.append(kind(*args, **options))
        return made[-1]

    yield make
    for front in made:
        front.stop()


def scan(db, image, *more, **env):
    roots = db.parent / "no roots"  # to read the system's takes a sanitized program seconds
    roots.mkdir(exist_ok=True)
    return eclair("scan", image, "--db", db, "--format", "json", *more, env=environment(**{"SSL_CERT_DIR": str(roots)} | env))


def assert_same(report, db, source):
    assert helpers.rows(report) == helpers.rows(helpers.scan(db, source).json())
    assert helpers.rows(report)


def blobs(lines):
    return [line for line in lines if "/blobs/" in line]


def docker_config(tmp_path, **content):
    (tmp_path / "config.json").write_text(json.dumps(content))
    return str(tmp_path)


def pair(user, password):
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


# ---- what is there ----

@pytest.mark.parametrize("name", ["{}/org/app:1", "registry:{}/org/app:1", "docker://{}/org/app:1"])
def test_same_report_as_the_layout(db, registry, source, name):
    report = scan(db, name.format(registry.host)).json()
    assert_same(report, db, source)


def test_by_digest(db, registry, source):
    manifest = json.loads((source / "index.json").read_text())["manifests"][0]["digest"]
    report = scan(db, f"{registry.host}/org/app@{manifest}").json()
    assert report["image"]["digest"] == manifest
    assert_same(report, db, source)
    assert_refused(scan(db, f"{registry.host}/org/app@sha256:{'0' * 64}"), "has no manifest sha256:000")


def test_docker_schema_2(db, registry, folder, small_image):
    registry.push(f"docker-archive:{small_image}", "org/docker:1")
    assert_same(scan(db, f"{registry.host}/org/docker:1").json(), db, small_image)


def test_known_is_not_pulled(db, registry, source):
    image = f"{registry.host}/org/app:1"
    registry.asked()
    first = scan(db, image).json()
    assert len(blobs(registry.asked())) == len(LAYERS)
    assert scan(db, image).json()["findings"] == first["findings"]
    asked = registry.asked()
    assert asked and not blobs(asked), asked
    # another image of the same layers and one more: that one alone
    more = [*LAYERS, [("etc/more", b"x")]]
    make_images.oci_folder(source.parent / "more", more)
    registry.push(f"oci:{source.parent / 'more'}", "org/more:1")
    registry.asked()
    assert len(scan(db, f"{registry.host}/org/more:1").json()["layers"]) == len(more)
    assert len(blobs(registry.asked())) == 1


def test_platforms(db, registry, source):
    files = make_images.oci_files(LAYERS[:1])
    other = json.loads(files["index.json"])["manifests"][0]
    text = files["blobs/sha256/" + other["digest"][7:]]
    registry.put("org/app", other["digest"], text, MANIFEST,
                 [(data, "sha256:" + name[13:]) for name, data in files.items() if name.startswith("blobs/") and data != text])
    ours = json.loads((source / "index.json").read_text())["manifests"][0]
    other["platform"] = {"os": "linux", "architecture": "s390x"}
    registry.put("org/app", "many", json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other, ours]}).encode(), INDEX)
    image = f"{registry.host}/org/app:many"
    assert scan(db, image).json()["image"]["digest"] == ours["digest"]
    assert scan(db, image, "--platform", "linux/s390x").json()["image"]["digest"] == other["digest"]
    assert_refused(scan(db, image, "--platform", "linux/mips"), "no image for linux/mips", "linux/s390x")
    # without an index the config says what it is for
    assert_refused(scan(db, f"{registry.host}/org/app:1", "--platform", "linux/mips"), "no image for linux/mips")


def test_second_look_for_links(db, registry, folder):
    """A link that leads to where nobody looked: the layers are asked for once more."""
    layers = [[("usr/lib/os-release", make_images.os_release()), ("aa/status", make_images.dpkg_status())],
              [("var/lib/dpkg/status", ("symlink", "../../../aa/status"))]]
    make_images.oci_folder(folder / "links", layers)
    registry.push(f"oci:{folder / 'links'}", "org/links:1")
    registry.asked()
    report = scan(db, f"{registry.host}/org/links:1").json()
    assert report["packages"] and helpers.rows(report) == helpers.rows(helpers.scan(db, folder / "links").json())
    assert len(blobs(registry.asked())) > len(layers)


def test_other_commands(db, registry):
    image = f"{registry.host}/org/app:1"
    assert eclair("packages", image, "--db", db).code == 0
    assert eclair("diff", image, image, "--db", db).code == 0


# ---- names ----

@pytest.mark.parametrize("name, word", [("registry:Upper", "lower case"), ("registry:", "empty"), ("docker://a b", "letters"),
                                        ("registry:x@sha512:00", "sha256")])
def test_bad_names(db, name, word):
    r = scan(db, name)
    assert r.code in (1, 2)
    assert_refused(r, word, code=r.code)


@pytest.mark.parametrize("name", ["missing.tar", "./missing", "/missing", "missing.tar.GZ", "sbom.json"])
def test_files_are_not_asked_for(db, name):
    """A wrong path stays on this machine."""
    began = time.monotonic()
    assert_refused(scan(db, name, http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1"), name)
    assert time.monotonic() - began < 20


def test_absent(db, registry):
    assert_refused(scan(db, f"{registry.host}/org/app:absent"), registry.host, "has no tag absent")
    assert_refused(scan(db, f"{registry.host}/absent:1"), registry.host, "absent")
    assert_refused(scan(db, "registry:localhost:1/x"), "localhost:1")


# ---- TLS and logins ----

def test_private_authority_and_password(db, folder, certificates, source, tmp_path):
    r = Registry(folder / "secure", tls=certificates, password={"reader": "s3cret:x"})
    try:
        r.push(f"oci:{source}", "app:1", "--dest-creds", "reader:s3cret:x")
        image, ca = f"{r.host}/app:1", certificates / "ca.crt"
        config = docker_config(tmp_path, auths={r.host: pair("reader", "s3cret:x")})
        assert_refused(scan(db, image, "--ca", ca), "authentication required", f"docker login {r.host}")
        assert_same(scan(db, image, "--ca", ca, DOCKER_CONFIG=config).json(), db, source)
        # localhost is believed without an authority, as Docker does; with one it must be the right one
        assert scan(db, image, DOCKER_CONFIG=config).code in (0, 3)
        assert_refused(scan(db, image, "--ca", certificates / "other.crt", DOCKER_CONFIG=config), r.host, "certificate", "--ca FILE")
        assert_refused(scan(db, image, "--ca", tmp_path / "none"), "--ca")
        # Podman's folder of authorities, and its logins
        home = tmp_path / "home/.config/containers"
        (home / "certs.d" / r.host).mkdir(parents=True)
        (home / "certs.d" / r.host / "ca.crt").write_bytes(ca.read_bytes())
        (home / "auth.json").write_text(json.dumps({"auths": {f"{r.host}/app": pair("reader", "s3cret:x")}}))
        assert scan(db, image, HOME=str(tmp_path / "home")).code in (0, 3)
        (home / "certs.d" / r.host / "ca.crt").write_bytes((certificates / "other.crt").read_bytes())
        assert_refused(scan(db, image, HOME=str(tmp_path / "home")), r.host, "certificate")
        # wrong, and from elsewhere
        wrong = scan(db, image, ECLAIR_REGISTRY_USER="reader", ECLAIR_REGISTRY_PASSWORD="wrong")
        assert_refused(wrong, "credentials of ECLAIR_REGISTRY_USER", "docker login")
        assert b"wrong" not in wrong.err
        assert scan(db, image, ECLAIR_REGISTRY_USER="reader", ECLAIR_REGISTRY_PASSWORD="s3cret:x").code in (0, 3)
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "config.json").write_text('{"auths": {"x": 1}, "auths": {"%s": {"auth": "?"}}}' % r.host)
        assert_refused(scan(db, image, DOCKER_CONFIG=str(broken)), "config.json", f"auths.{r.host}: auth: not base64")
    finally:
        r.stop()


def test_credential_helper(db, registry, fronts, tmp_path):
    basic = "Basic " + base64.b64encode(b"helped:secret").decode()

    def hook(handler):
        if handler.headers.get("Authorization") != basic:
            handler.reply(401, WWW_Authenticate='Basic realm="x"')
            return True
        return False

    front = fronts(registry, hook)
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\nread server\n[ "$server" = "%s" ] || exit 1\necho \'{"Username":"helped","Secret":"secret"}\'\n' % front.host)
    helper.chmod(0o755)
    config = docker_config(tmp_path, credHelpers={front.host: "test"})
    path = f"{tmp_path}:/usr/bin:/bin"
    assert scan(db, f"{front.host}/org/app:1", DOCKER_CONFIG=config, PATH=path).code in (0, 3)
    assert_refused(scan(db, f"{front.host}/org/app:1", DOCKER_CONFIG=config), "config.json", "docker-credential-test", "not installed")


@pytest.fixture(scope="module")
def tokens(folder):
    (folder / "tokens").mkdir()
    t = Tokens(folder / "tokens")
    yield t
    t.stop()


@pytest.fixture(scope="module")
def bearer(folder, tokens, source):
    r = Registry(folder / "bearer", tokens=tokens)
    r.push(f"oci:{source}", "app:1", "--dest-creds", "reader:secret")
    yield r
    r.stop()


@pytest.mark.parametrize("login", ["password", "identity token", "registry token"])
def test_tokens(db, bearer, tokens, source, tmp_path, login):
    now = int(time.time())
    given = {"password": lambda: pair("reader", "secret"), "identity token": lambda: {"identitytoken": "refresh-token"},
             "registry token": lambda: {"registrytoken": tokens.sign({
                 "iss": "test", "aud": "test registry", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "2",
                 "access": [{"type": "repository", "name": "app", "actions": ["pull"]}]})}}[login]()
    del tokens.seen[:]
    report = scan(db, f"{bearer.host}/app:1", DOCKER_CONFIG=docker_config(tmp_path, auths={bearer.host: given})).json()
    assert_same(report, db, source)
    assert len(tokens.seen) == (login != "registry token")  # one token for all requests
    if login == "password":
        assert "scope=repository:app:pull" in tokens.seen[0][0] and "service=test%20registry" in tokens.seen[0][0]


def test_token_refused(db, bearer, tokens, tmp_path):
    image = f"{bearer.host}/app:1"
    assert_refused(scan(db, image), "authentication required", "docker login")
    config = docker_config(tmp_path, auths={bearer.host: pair("reader", "old-password")})
    r = scan(db, image, DOCKER_CONFIG=config)
    assert_refused(r, "refuses the credentials of", "config.json")
    assert b"old-password" not in r.err


def test_token_expires(db, registry, folder, fronts):
    """In the midst of the layers the token is no longer good: one new one for all threads."""
    layers = LAYERS + [[(f"opt/{i}", b"%d" % i)] for i in range(10)]
    make_images.oci_folder(folder / "many", layers)
    registry.push(f"oci:{folder / 'many'}", "org/many:1")
    made, good, blob_count, lock = [], set(), [0], threading.Lock()

    class Auth(Server):
        def answer(self, handler):
            with lock:
                made.append(f"token-{len(made)}")
                good.add("Bearer " + made[-1])
                token = made[-1]
            handler.reply(200, json.dumps({"token": token}).encode())

    auth = fronts(kind=Auth)

    def hook(handler):
        with lock:
            blob_count[0] += "/blobs/" in handler.path
            if blob_count[0] == 5 and len(made) == 1:
                good.clear()
            welcome = handler.headers.get("Authorization") in good
        if not welcome:
            handler.reply(401, WWW_Authenticate=f'Bearer realm="{auth.url}/token",service="x"')
        return not welcome

    front = fronts(registry, hook)
    assert_same(scan(db, f"{front.host}/org/many:1").json(), db, folder / "many")
    assert len(made) == 2
    # one that is never good ends
    front.hook = lambda handler: handler.reply(401, WWW_Authenticate=f'Bearer realm="{auth.url}/token"') or True
    assert_refused(scan(db, f"{front.host}/org/app:1"), "authentication required")


def test_credentials_stay(db, registry, fronts, tmp_path):
    """Blobs are elsewhere: nobody there is told who we are. Nor is a realm without TLS of a registry that has it."""
    store = fronts(registry)
    basic = "Basic " + base64.b64encode(b"a:secret").decode()

    def hook(handler):
        if handler.headers.get("Authorization") != basic:
            handler.reply(401, WWW_Authenticate='Basic realm="x"')
        elif "/blobs/" in handler.path:
            handler.reply(307, Location=f"http://127.0.0.1:{store.port}{handler.path}?signature=1")
        else:
            return False
        return True

    store.hook = lambda handler: setattr(handler, "path", handler.path.split("?")[0])
    front = fronts(registry, hook)
    config = docker_config(tmp_path, auths={front.host: pair("a", "secret")})
    assert scan(db, f"{front.host}/org/app:1", DOCKER_CONFIG=config).code in (0, 3)
    assert len(store.asked("/blobs/")) == len(LAYERS)
    assert not [headers for _, headers, _ in store.seen if "Authorization" in headers]


def test_blobs_of_another_authority(db, registry, certificates, tmp_path, fronts):
    """--ca is for the registry; where it leads to has what everybody believes."""
    public = make_certificates(tmp_path)
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots/root.pem").write_bytes((public / "ca.crt").read_bytes())
    store = fronts(registry, tls=public)
    front = fronts(registry, lambda h: "/blobs/" in h.path and (h.reply(307, Location=store.url + h.path) or True), tls=certificates)
    image, ca = f"{front.host}/org/app:1", certificates / "ca.crt"
    assert_refused(scan(db, image, "--ca", ca), store.host, "certificate", "layer", "--ca FILE")
    assert not store.seen
    assert scan(db, image, "--ca", ca, SSL_CERT_DIR=str(tmp_path / "roots")).code in (0, 3)
    assert len(store.asked("/blobs/")) == len(LAYERS)


def test_realm_without_tls(db, registry, fronts, certificates, tmp_path):
    class Auth(Server):
        def answer(self, handler):
            handler.reply(200, b'{"token":"t"}')

    auth = fronts(kind=Auth)
    front = fronts(registry, lambda h: h.reply(401, WWW_Authenticate=f'Bearer realm="{auth.url}/"') or True, tls=certificates)
    config = docker_config(tmp_path, auths={front.host: pair("a", "secret")})
    assert_refused(scan(db, f"{front.host}/org/app:1", "--ca", certificates / "ca.crt", DOCKER_CONFIG=config), "without TLS")
    assert not auth.seen


@pytest.mark.parametrize("realm, word", [("ftp://x/", "names no URL"), ("", "names no URL"), ("http://localhost:1/", "localhost:1")])
def test_bad_challenges(db, registry, fronts, realm, word):
    front = fronts(registry, lambda h: h.reply(401, WWW_Authenticate=f'Bearer realm="{realm}"') or True)
    assert_refused(scan(db, f"{front.host}/org/app:1"), word)


@pytest.mark.parametrize("answer, word", [(b"{}", "no token"), (b"[", "json"), (b'{"token":"a\\r\\nX: y"}', "token"), (b'{"token":1}', "json")])
def test_bad_tokens(db, registry, fronts, answer, word):
    class Auth(Server):
        def answer(self, handler):
            handler.reply(200, answer)

    auth = fronts(kind=Auth)
    front = fronts(registry, lambda h: h.reply(401, WWW_Authenticate=f'Bearer realm="{auth.url}/"') or True)
    assert_refused(scan(db, f"{front.host}/org/app:1"), word)


# ---- what registries should not do ----

def layer_digests(source):
    manifest = json.loads((source / "index.json").read_text())["manifests"][0]["digest"]
    return [layer["digest"] for layer in json.loads((source / "blobs/sha256" / manifest[7:]).read_text())["layers"]]


LIES = {
    "another layer": ("/blobs/", lambda body: gzip.compress(b"\0" * 1024), "content is sha256:"),
    "a longer layer": ("/blobs/", lambda body: body + b"x" * 100, "gives more of"),
    "a shorter layer": ("/blobs/", lambda body: body[:-10], "content is sha256:"),
    "no layer": ("/blobs/", lambda body: b"", "content is sha256:"),
    "another manifest": ("/manifests/", lambda body: body + b" ", "the registry says sha256:"),
    "no JSON": ("/manifests/", lambda body: b"<html>", "the registry says"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(db, registry, fronts, lie):
    where, change, word = LIES[lie]
    front = fronts(registry, alter=lambda path, body: change(body) if where in path else body)
    r = scan(db, f"{front.host}/org/app:1")
    assert_refused(r, front.host, word)
    assert not helpers.scan(db, "/nonexistent.tar").out  # and nothing of it is believed later
    front.alter = lambda path, body: body
    assert scan(db, f"{front.host}/org/app:1").code in (0, 3)


ANSWERS = {
    "html": ({}, b"<html>login</html>", "json"),
    "empty": ({}, b"", "json"),
    "a list": ({}, b"[]", "json"),
    "too long": ({}, b" " * (9 << 20), "8388608"),
    "schema 1": ({}, b'{"schemaVersion": 1, "fsLayers": []}', "schema 1"),
    "schema 1 by type": ({"Content_Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}, b"{}", "schema 1"),
    "no image": ({}, b'{"schemaVersion": 2}', "neither an index nor a manifest"),
    "a chart": ({}, json.dumps({"schemaVersion": 2, "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 1},
                                "layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": "sha256:" + "0" * 64, "size": 1}]}).encode(),
                "not an image"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_odd_manifests(db, registry, fronts, case):
    headers, body, word = ANSWERS[case]
    front = fronts(registry, lambda h: h.reply(200, body, **headers) or True)
    assert_refused(scan(db, f"{front.host}/org/app:1"), front.host, word)


@pytest.mark.parametrize("status, headers, body, words", [
    (429, {"Retry_After": "3600"}, b"", ["rate limit", "try again in 3600 s"]),
    (403, {}, b'{"errors":[{"code":"DENIED","message":"no"}]}', ["authentication required"]),
    (404, {}, b'{"errors":[{"code":"NAME_UNKNOWN"}]}', ["no repository org/app"]),
    (404, {}, b"gone", ["has no tag 1"]),
    (500, {}, b'{"errors":[{"code":"UNKNOWN","message":"disk \\u001b[31mfull"}]}', ["answered 500 UNKNOWN: disk \\x1b[31mfull"]),
    (418, {}, b'{"errors":7}', ["answered 418"]),
    (302, {"Location": "http://localhost:1/"}, b"", ["localhost:1"]),
])
def test_refusals(db, registry, fronts, status, headers, body, words):
    front = fronts(registry, lambda h: h.reply(status, body, **headers) or True)
    assert_refused(scan(db, f"{front.host}/org/app:1"), *words)


@pytest.mark.parametrize("where", ["/manifests/", "/blobs/"])
def test_rate_limit_passes(db, registry, fronts, where):
    refused = []

    def hook(handler):
        if where not in handler.path or refused:
            return False
        refused.append(time.monotonic())
        handler.reply(429, Retry_After="1")
        return True

    front = fronts(registry, hook)
    assert scan(db, f"{front.host}/org/app:1").code in (0, 3)
    assert time.monotonic() - refused[0] >= 1


def test_foreign_layers(db, registry, source, fronts):
    """One that may not be distributed is asked after; where it is not there it is left out, with a word."""
    digest = json.loads((source / "index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads((source / "blobs/sha256" / digest[7:]).read_text())
    manifest["layers"].append({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": "sha256:" + "1" * 64, "size": 5})
    front = fronts(registry, lambda h: "/manifests/" in h.path and (h.reply(200, json.dumps(manifest).encode()) or True))
    report = scan(db, f"{front.host}/org/app:1").json()
    assert len(report["layers"]) == len(LAYERS) and any("may not be distributed" in w for w in report["warnings"])
    assert front.asked("HEAD ")


def test_rate_limit_of_blobs(db, registry, fronts):
    front = fronts(registry, lambda h: "/blobs/" in h.path and (h.reply(429) or True))
    r = scan(db, f"{front.host}/org/app:1")
    assert_refused(r, "rate limit")
    assert re.search(rb": layer [12] \(blobs/sha256/", r.err), r.err  # both are refused: whose answer came first


@pytest.mark.parametrize("elsewhere", [False, True])
def test_breaks_off(db, registry, source, fronts, elsewhere):
    """Half of each blob, then nothing: what is left is asked for, though no ETag says that it is the same; also behind a redirect."""
    broken = set()

    def hook(handler):
        if "/blobs/" not in handler.path or handler.path in broken:
            return False
        broken.add(handler.path)
        _, body = handler.server.front.fetch(handler)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:len(body) // 2])
        handler.wfile.flush()
        handler.close_connection = True
        return True

    store = fronts(registry, hook)
    store.http.front = store
    front = fronts(registry, lambda h: "/blobs/" in h.path and (h.reply(307, Location=f"http://127.0.0.1:{store.port}{h.path}") or True))
    assert_same(scan(db, f"{(front if elsewhere else store).host}/org/app:1").json(), db, source)
    assert len([h for line, h, _ in store.seen if "Range" in h]) == len(broken) == len(LAYERS)


def test_one_hangs_and_one_lies(db, registry, source, fronts):
    """A layer that never comes does not hold up the word of one that is wrong."""
    hangs, lies = sorted(digest[7:] for digest in layer_digests(source))
    gone = threading.Event()

    def hook(handler):
        if hangs in handler.path:
            gone.wait(60)
        return hangs in handler.path or (lies in handler.path and (handler.reply(200, b"lie") or True))

    front = fronts(registry, hook)
    began = time.monotonic()
    try:
        assert_refused(scan(db, f"{front.host}/org/app:1"), lies, "content is sha256:")
        assert time.monotonic() - began < 20
    finally:
        gone.set()


def test_breaks_off_for_ever(db, registry, fronts):
    def hook(handler):
        if "/blobs/" not in handler.path:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.close_connection = True
        return True

    front = fronts(registry, hook)
    assert_refused(scan(db, f"{front.host}/org/app:1"), front.host, "layer")


# ---- mirrors ----

def test_mirror(db, registry, source, fronts):
    mirror = fronts(registry, lambda h: setattr(h, "path", h.path.replace("/v2/hub/library/app", "/v2/org/app")))
    image = "docker.io/library/app:1"
    no_network = {"https_proxy": "http://127.0.0.1:1"}
    assert_same(scan(db, image, "--registry-mirror", f"{mirror.url}/hub", **no_network).json(), db, source)
    # what it does not have is asked of the registry itself, whose errors are told
    assert_refused(scan(db, "registry:other:1", "--registry-mirror", mirror.url, **no_network), "registry:other:1")
    assert mirror.asked("/v2/library/other/manifests/1")
    # of another registry it is asked only when it is said to be one of it
    own = f"{registry.host}/org/app:1"
    del mirror.seen[:]
    assert scan(db, own, "--registry-mirror", mirror.url).code in (0, 3) and not mirror.seen
    assert scan(db, own, "--registry-mirror", f"{registry.host}={mirror.url}").code in (0, 3) and mirror.seen
    mirror.hook = lambda h: h.reply(500) or True
    assert scan(db, own, "--registry-mirror", f"{registry.host}={mirror.url}").code in (0, 3)
    assert_refused(scan(db, own, "--registry-mirror", f"{registry.host}=ftp://x"), "--registry-mirror", code=2)


def test_mirror_without_blobs(db, registry, bearer, source, fronts, tmp_path):
    """The registry, which then has to say for the first time that it wants a login, is asked for them."""
    mirror = fronts(registry, lambda h: setattr(h, "path", h.path.replace("/v2/app", "/v2/org/app")) or "/blobs/" in h.path and (h.reply(404) or True))
    config = docker_config(tmp_path, auths={bearer.host: pair("reader", "secret")})
    report = scan(db, f"{bearer.host}/app:1", "--registry-mirror", f"{bearer.host}={mirror.url}", DOCKER_CONFIG=config).json()
    assert_same(report, db, source)
    assert len(mirror.asked("/blobs/")) == len(LAYERS)


def test_insecure(db, registry, source, certificates, fronts):
    """Beyond this machine http, and certificates that nobody knows, want a word."""
    proxy = fronts(registry)
    way = {"http_proxy": proxy.url, "https_proxy": "http://127.0.0.1:1", "no_proxy": "localhost"}
    image = "registry:registry.example/org/app:1"
    assert_refused(scan(db, image, **way), "registry.example")
    assert not proxy.seen
    assert_same(scan(db, image, "--insecure", **way).json(), db, source)
    mirror = fronts(registry, tls=certificates)
    more = ("--registry-mirror", f"registry.example={mirror.url}")
    assert_refused(scan(db, image, *more, **way), "registry.example")
    assert not mirror.seen
    assert_same(scan(db, image, *more, "--insecure", **way).json(), db, source)
    assert mirror.asked("/manifests/")
    assert_same(scan(db, image, *more, "--ca", certificates / "ca.crt", **way).json(), db, source)
