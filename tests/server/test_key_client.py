"""Keys of others and of ours: what is asked of a registry, how long its answers are believed, the life of a key that is made."""
import json
import os
import pathlib
import ssl
import subprocess
import time

import jwt
import pytest
from keys import Registry, new_key, pem_of

PEER = pathlib.Path(os.environ.get("ECLAIR", "build/eclair")).resolve().parent / "tests/unit/keys_peer"


@pytest.fixture
def registry():
    r = Registry()
    yield r
    r.close()


class Peer:
    def __init__(self, *arguments, **env):
        self.process = subprocess.Popen([PEER, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "no_proxy": "*", **env})
        self.logged = []

    def line(self):
        """The next answer; what the program logs stands between them."""
        while True:
            text = self.process.stdout.readline().rstrip("\n")
            if not text.startswith("{"):
                return text
            self.logged.append(json.loads(text))

    def ask(self, question="", answers=1):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        got = [self.line() for _ in range(answers)]
        return got if answers > 1 else got[0]

    def wait(self, want, seconds=20):
        end = time.monotonic() + seconds
        while not (got := self.ask()).startswith(want):
            assert time.monotonic() < end, got
            time.sleep(0.05)
        return got

    def wait_said(self, want):
        wait_for(lambda: self.ask() and want in self.said())

    def end(self):
        out, _ = self.process.communicate(timeout=30)
        self.logged += [json.loads(text) for text in out.splitlines() if text.startswith("{")]
        assert self.process.returncode == 0, out

    def said(self):
        return " ".join(f"{entry['Event']} {entry.get('error', '')}" for entry in self.logged)


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_answers(registry):
    """Each refusal by its own word; none but found keys are kept."""
    registry.add("quay", "a=")
    for status in (403, 409, 500):
        registry.add("quay", f"k{status}", status=status)
    registry.add("quay", "junk")["jwk"] = {"kty": "oct", "k": "AAAA"}
    peer = Peer("source", registry.url.replace("/keys/", "//keys"), 0)
    for _ in range(2):
        assert peer.ask("quay a=") == "found a="
        assert peer.ask("quay other").startswith("none ")
        assert "expired" in peer.ask("quay k403")
        assert "not approved" in peer.ask("quay k409")
        assert "status 500" in peer.ask("quay k500")
        assert "symmetric" in peer.ask("quay junk")
    assert peer.ask("quay ").startswith("none ") and peer.ask("quay a/../b c").startswith("none ")
    peer.end()
    paths = [entry[1] for entry in registry.log]
    assert paths.count("/keys/services/quay/keys/a%3D") == 1
    assert paths.count("/keys/services/quay/keys/other") == 2 and paths[-1] == "/keys/services/quay/keys/a%2F..%2Fb%20c"


def test_cache_control(registry):
    """max-age is a time, no-store is none, and a validator asks whether anything changed."""
    registry.add("quay", "short", headers=[("Cache-Control", "max-age=1"), ("ETag", '"1"')])
    registry.add("quay", "never", headers=[("Cache-Control", "no-store, max-age=60")])
    registry.add("quay", "silent", headers=[])
    registry.add("quay", "old", headers=[("Cache-Control", 'max-age="60"'), ("Age", "60"), ("ETag", '"2"')])
    peer = Peer("source", registry.url, 0)
    for kid, count in (("short", 1), ("never", 3), ("silent", 3), ("old", 3)):
        registry.log.clear()
        for _ in range(3):
            assert peer.ask(f"quay {kid}") == f"found {kid}"
        assert registry.count("GET") == count, kid
    assert registry.log[-1][2]["If-None-Match"] == '"2"'
    registry.log.clear()
    wait_for(lambda: peer.ask("quay short") == "found short" and registry.log, 5)
    assert registry.log[0][2]["If-None-Match"] == '"1"'
    registry.keys["quay", "old"]["status"] = 403
    assert "expired" in peer.ask("quay old")
    peer.end()


def test_grace(registry):
    registry.add("quay", "k", headers=[("Cache-Control", "max-age=0")])
    registry.add("quay", "strict", headers=[("Cache-Control", "max-age=0, must-revalidate")])
    peer, hasty = Peer("source", registry.url, 60), Peer("source", registry.url, 0)
    for p in (peer, hasty):
        assert p.ask("quay k") == "found k" and p.ask("quay strict") == "found strict"
    registry.down = True
    assert peer.ask("quay k") == "found k" and "status 503" in hasty.ask("quay k")
    assert "status 503" in peer.ask("quay strict")
    registry.close()
    assert peer.ask("quay k") == "found k"
    peer.end()
    hasty.end()
    assert "a key registry fails" in peer.said()


def test_together(registry):
    """Who wants the same key at once asks once."""
    registry.add("quay", "k")
    registry.delay = 0.5
    peer = Peer("source8", registry.url, 0)
    assert peer.ask("quay k", 8) == ["found k"] * 8
    assert registry.count("GET") == 1
    assert all(text.startswith("none ") for text in peer.ask("quay other", 8)) and registry.count("GET") == 2
    peer.end()


def test_down_at_first(registry):
    port = registry.port
    registry.close()
    peer = Peer("source", registry.url, 0)
    assert peer.ask("quay k").startswith("refused ")
    again = Registry(port)
    again.add("quay", "k")
    assert peer.ask("quay k") == "found k"
    again.close()
    peer.end()


def test_files(tmp_path):
    """Preshared: read again when it changes; issuer and key id in any letter case; a warning where others may read."""
    first, second, path = new_key(), new_key(), tmp_path / "key.pem"
    path.write_bytes(pem_of(first, public=True))
    peer = Peer("file", "quay", "KeY", path)
    assert peer.ask("QUAY kEy") == "found KeY"
    assert peer.ask("quay other").startswith("refused ") and peer.ask("other key").startswith("refused ")
    path.write_text("junk")
    assert peer.ask("quay key") == "found KeY"
    peer.end()
    assert "cannot be read any more" in peer.said()
    path.write_bytes(pem_of(first))
    path.chmod(0o600)
    own = Peer("preshared", "", path)
    before = own.ask()
    assert before.startswith("key ") and len(before) == 48
    path.write_bytes(pem_of(second))
    assert own.ask() not in (before, "") and not own.said()
    path.chmod(0o644)
    own.ask()
    own.end()
    assert "can be read by others" in own.said()
    peer = Peer("preshared", "", tmp_path / "none")
    assert peer.line().startswith("error open")


def authority(folder, name):
    """A certificate for this host that nobody signed but its own key."""
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", crt], check=True, capture_output=True)
    return key, crt


def test_tls(tmp_path):
    """A registry with a certificate of its own authority, which is one of several that are named."""
    (_, other), (key, crt) = authority(tmp_path, "other"), authority(tmp_path, "registry")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(crt, key)
    registry = Registry(tls=tls)
    registry.add("quay", "k")
    for trusted, want in ((f"{other}:{crt}", "found k"), (str(crt), "found k"), (str(other), "refused ")):
        peer = Peer("source", registry.url, 0, TRUSTED=trusted)
        assert peer.ask("quay k").startswith(want), trusted
        peer.end()
    peer = Peer("own", tmp_path / "keys", registry.url, "scanner", 0, TRUSTED=str(crt))
    wait_for(lambda: registry.count("PUT"))
    peer.end()
    registry.close()
    assert Peer("source", registry.url, 0, TRUSTED=str(tmp_path / "none")).line().startswith("error open")


def test_life(registry, tmp_path):
    """Made, published, 409 until it is approved, kept; found again at the next start."""
    peer = Peer("own", tmp_path, registry.url, "scanner", 43200)
    assert peer.ask() == "none No key is yet active"
    wait_for(lambda: registry.count("GET") >= 2)
    (name,) = registry.keys
    assert peer.ask().startswith("none") and not (tmp_path / "scanner.jwk").exists()
    registry.keys[name]["status"] = 200
    assert peer.wait("key ") == f"key {name[1]}"
    path = tmp_path / "scanner.jwk"
    assert path.stat().st_mode & 0o777 == 0o600 and json.loads(path.read_text())["kid"] == name[1]
    peer.end()
    assert registry.keys and [p.name for p in tmp_path.iterdir()] == ["scanner.jwk"]
    assert "waits for approval" in peer.said()
    put = next(entry for entry in registry.log if entry[0] == "PUT")
    assert "rotation=43200" in put[1] and "expiration=" in put[1] and put[2]["Content-Type"] == "application/json"
    peer = Peer("own", tmp_path, registry.url, "scanner", 43200)
    assert peer.wait("key ") == f"key {name[1]}"
    peer.end()
    assert registry.count("PUT") == 1


def test_life_withdrawn(registry, tmp_path):
    """What was never approved is deleted at the end."""
    peer = Peer("own", tmp_path, registry.url, "scanner", 0)
    wait_for(lambda: registry.count("GET") >= 1)
    peer.end()
    assert not registry.keys and not list(tmp_path.iterdir())


def test_life_down(registry, tmp_path):
    """A registry that is down at the start is waited for."""
    registry.down = True
    peer = Peer("own", tmp_path, registry.url, "scanner", 0)
    wait_for(lambda: registry.count("PUT") >= 1)
    assert peer.ask() == "none No key is yet active"
    registry.down = False
    wait_for(lambda: registry.keys)
    registry.keys[next(iter(registry.keys))]["status"] = 200
    peer.wait("key ")
    peer.end()
    assert "the key registry fails" in peer.said()


def test_life_refused(registry, tmp_path):
    """Expired: an error that says what to do, and no new key behind the operator's back. Unknown: a new one."""
    key = new_key()
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key))
    path = tmp_path / "scanner.jwk"
    path.write_text(json.dumps({**private, "alg": "rsa", "kid": "mine"}))
    registry.add("scanner", "mine", key, status=403)
    peer = Peer("own", tmp_path, registry.url, "scanner", 0)
    peer.wait_said("expired: delete or renew it")
    assert peer.ask() == "none No key is yet active"
    peer.end()
    assert "expired: delete or renew it" in peer.said() and "read by others" in peer.said() and not registry.count("PUT")
    registry.keys.clear()
    peer = Peer("own", tmp_path, registry.url, "scanner", 0)
    wait_for(lambda: registry.count("PUT") >= 1)
    peer.process.kill()
    path.write_text("{}")
    assert Peer("own", tmp_path, registry.url, "scanner", 0).line().startswith("error ")


def test_rotation(registry, tmp_path):
    """A new one in place of the old, signed by it; a kill between the registry's yes and ours loses nothing."""
    peer = Peer("own", tmp_path, registry.url, "scanner", 2)
    wait_for(lambda: registry.keys)
    registry.keys[next(iter(registry.keys))]["status"] = 200
    first = peer.wait("key ")
    wait_for(lambda: peer.ask() not in (first, ""))
    second = peer.ask()
    assert registry.keys["scanner", first[4:]]["status"] == 403
    peer.process.kill()
    peer.process.wait()
    new = tmp_path / "scanner.jwk.new"
    if not new.exists():
        (tmp_path / "scanner.jwk").rename(new)
    kid = json.loads(new.read_text())["kid"]
    registry.keys["scanner", kid]["status"] = 200
    peer = Peer("own", tmp_path, registry.url, "scanner", 3600)
    assert peer.wait("key ").startswith("key ")
    assert json.loads((tmp_path / "scanner.jwk").read_text())["kid"] == kid and not new.exists()
    peer.end()
    assert second.startswith("key ")


def test_rotation_of_a_revoked_key(registry, tmp_path):
    """What was revoked signs for none: the next one is published by itself, and waits for approval."""
    peer = Peer("own", tmp_path, registry.url, "scanner", 1)
    wait_for(lambda: registry.keys)
    (first,) = registry.keys
    registry.keys[first]["status"] = 200
    assert peer.wait("key ")
    for row in list(registry.keys.values()):
        row["status"] = 403
    wait_for(lambda: any(row["status"] == 409 for row in list(registry.keys.values())))
    assert peer.wait("none ") == "none No key is yet active"
    name = next(name for name, row in registry.keys.items() if row["status"] == 409)
    registry.keys[name]["status"] = 200
    assert peer.wait("key ").startswith("key ")
    peer.end()
    assert "the active key is refused" in peer.said()
