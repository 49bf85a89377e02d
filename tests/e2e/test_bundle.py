"""Bundles: what feeds say, carried to where there is no network."""
import hashlib
import io
import json
import random
import signal
import subprocess
import tarfile
import time

import helpers
import pytest
from helpers import ECLAIR, assert_refused, eclair, environment, need_data, small_alpine, small_debian, update, write_mirror

LATER = {"ECLAIR_NOW": "2026-01-03T03:04:05Z"}


def export(db, bundle, *more, **variables):
    r = eclair("db", "export", bundle, *more, "--db", db, env=environment(**variables))
    assert (r.code, r.err) == (0, b""), r.err
    return r.out.decode()


def import_(db, bundle, *more, **variables):
    return eclair("db", "import", bundle, *more, "--db", db, env=environment(**variables))


def imported(db, bundle, *more, **variables):
    r = import_(db, bundle, *more, **variables)
    assert (r.code, r.err) == (0, b""), r.err
    return r.out.decode()


def said(db):
    """All that feeds say, as another export of it shows."""
    other = db.with_name(db.name + ".said")
    export(db, other, "--feeds", "--force")
    with tarfile.open(other) as t:
        return {m.name: t.extractfile(m).read() for m in t if m.name.endswith(".zst")}


def manifest(bundle):
    with tarfile.open(bundle) as t:
        return json.load(t.extractfile("manifest.json"))


def rewrite(bundle, to, **changes):
    """The bundle with other members; a change is bytes, a function of the old bytes, or None to leave it out."""
    with tarfile.open(bundle) as t, tarfile.open(to, "w", format=tarfile.USTAR_FORMAT) as out:
        for m in t:
            raw = t.extractfile(m).read()
            change = changes.get(m.name.replace(".", "_"), raw)
            raw = change(raw) if callable(change) else change
            if raw is None:
                continue
            m.size = len(raw)
            out.addfile(m, io.BytesIO(raw))
    return to


def without_changes(r):
    return all(" 0 advisories new, 0 changed, 0 withdrawn" in line for line in r.splitlines())


@pytest.fixture
def mirror(tmp_path):
    return write_mirror(tmp_path / "mirror", small_debian(), small_alpine())


@pytest.fixture
def full(tmp_path, mirror):
    """A database, and a bundle of it."""
    db, bundle = tmp_path / "from.db", tmp_path / "full.bundle"
    update(db, mirror, "debian", "alpine")
    export(db, bundle, "--feeds")
    return db, bundle


@pytest.fixture
def keys(tmp_path):
    def make(name):
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
        return private, public
    return make


def test_round_trip(tmp_path, full, mirror, small_image):
    db, bundle = full
    to = tmp_path / "to.db"
    lines = imported(to, bundle).splitlines()
    assert len(lines) == 2 and all("withdrawn, 0 as before" in line and ": 0 advisories" not in line for line in lines)
    assert said(to) == said(db)
    want, got = (helpers.scan(x, small_image).json() for x in (db, to))
    assert got["findings"] == want["findings"] and helpers.ids(got) == helpers.SMALL_DEBIAN_IDS
    assert got["database"]["feeds"] == want["database"]["feeds"]
    assert eclair("db", "check", "--full", "--db", to).out == b"ok\n"
    assert without_changes(imported(to, bundle)), "again: nothing is written"
    assert update(to, mirror, "debian", "alpine").out == b"alpine: nothing new\ndebian: nothing new\n", "the validators came along"


def test_it_is_a_tar(full):
    """Ordinary tools show what is in it, and that it is whole."""
    _, bundle = full
    with tarfile.open(bundle) as t:
        assert t.getnames() == ["manifest.json", "alpine.zst", "debian.zst"]
        for s in manifest(bundle)["sources"]:
            raw = t.extractfile(s["name"] + ".zst").read()
            assert (len(raw), hashlib.sha256(raw).hexdigest()) == (s["size"], s["sha256"])
            subprocess.run(["zstd", "-t", "-"], input=raw, check=True, capture_output=True)
    assert subprocess.run(["tar", "tf", bundle], check=True, capture_output=True).stdout.count(b"\n") == 3


def test_some_sources(tmp_path, full):
    db, _ = full
    export(db, tmp_path / "b", "debian")
    assert [s["name"] for s in manifest(tmp_path / "b")["sources"]] == ["debian"]
    imported(tmp_path / "to", tmp_path / "b")
    told = eclair("db", "status", "--db", tmp_path / "to", "--format", "json").json()
    assert [f["name"] for f in told["feeds"]] == ["debian"] and told["feeds"][0]["last_success"] == helpers.NOW
    assert_refused(eclair("db", "export", tmp_path / "c", "windows", "--db", db), "windows", code=2)
    update(tmp_path / "d.db", tmp_path / "mirror", "debian")
    assert_refused(eclair("db", "export", tmp_path / "c", "alpine", "--db", tmp_path / "d.db"), "alpine", "never loaded")
    assert not (tmp_path / "c").exists()


def test_what_was_withdrawn(tmp_path, full, mirror):
    """A feed becomes what it is in the bundle, documents that went included."""
    db, bundle = full
    to = tmp_path / "to.db"
    both = write_mirror(tmp_path / "more", {"other": {"CVE-2024-7777": helpers.entry("open")}}, small_alpine() | {
        "v3.19/main": helpers.secdb("v3.19", "main", {"musl": {"1-r1": ["CVE-2024-8888"]}})})
    update(to, both, "debian", "alpine")
    imported(to, bundle)
    assert said(to) == said(db)


# ---- differences ----

def test_since(tmp_path, full, mirror):
    db, bundle = full
    to, second = tmp_path / "to.db", tmp_path / "second.bundle"
    imported(to, bundle)
    write_mirror(mirror, debian=small_debian() | {"zlib": {"CVE-2024-5555": helpers.entry("open")}})
    update(db, mirror, "debian", "alpine", env=environment(**LATER))
    assert "alpine: as before\n" in export(db, second, "--since", bundle, **LATER)
    assert second.stat().st_size < bundle.stat().st_size
    with tarfile.open(second) as t:
        assert t.getnames() == ["manifest.json", "debian.zst"]
    # where the first was not imported
    r = import_(tmp_path / "fresh.db", second, **LATER)
    assert r.code == 1 and b"alpine: it is not in this bundle, and the one before was not imported here" in r.err
    assert b"debian: " in r.out
    # where it was
    out = imported(to, second, **LATER)
    assert out.startswith("alpine: as before\ndebian: 1 advisories new, 0 changed, 0 withdrawn, ")
    assert said(to) == said(db)
    told = eclair("db", "status", "--db", to, "--format", "json").json()
    assert {f["last_success"] for f in told["feeds"]} == {LATER["ECLAIR_NOW"]}, "what is as before is as good as new"


def test_since_nothing_new(tmp_path, full):
    db, bundle = full
    assert export(db, tmp_path / "b", "--since", bundle) == "alpine: as before\ndebian: as before\n"
    imported(tmp_path / "to", bundle)
    assert imported(tmp_path / "to", tmp_path / "b") == "alpine: as before\ndebian: as before\n"
    # a chain: the third names what the second left out
    assert export(db, tmp_path / "c", "--since", tmp_path / "b") == "alpine: as before\ndebian: as before\n"
    assert imported(tmp_path / "to", tmp_path / "c") == "alpine: as before\ndebian: as before\n"


def test_older(tmp_path, full, mirror):
    """An old bundle, perhaps handed out again by somebody else, takes nothing back."""
    db, bundle = full
    to = tmp_path / "to.db"
    write_mirror(mirror, debian=small_debian() | {"zlib": {"CVE-2024-5555": helpers.entry("open")}})
    update(to, mirror, "debian", env=environment(**LATER))
    before = said(to)["debian.zst"]
    r = import_(to, bundle, **LATER)
    assert r.code == 1 and b"debian: what is here is newer" in r.err and b"alpine: " in r.out
    assert said(to)["debian.zst"] == before
    r = import_(to, bundle, "--force", **LATER)
    assert r.code == 0 and said(to) == said(db)


# ---- signatures ----

def test_signed(tmp_path, full, keys):
    db, unsigned = full
    private, public = keys("ours")
    _, other = keys("other")
    bundle = tmp_path / "signed.bundle"
    export(db, bundle, "--key", private)
    imported(tmp_path / "a", bundle, "--key", public)
    r = import_(tmp_path / "b", bundle)
    assert r.code == 0 and b"warning: " in r.err and b"without --key nobody checks" in r.err
    for name, args in {"another key": (bundle, "--key", other), "no signature": (unsigned, "--key", public),
                       "a private key": (bundle, "--key", private), "no key": (bundle, "--key", unsigned)}.items():
        r = import_(tmp_path / "c", *args)
        assert r.code == 1 and r.out == b"" and r.err.count(b"\n") == 1, name
        assert not (tmp_path / "c").exists(), name
    # as anybody can check it
    with tarfile.open(bundle) as t:
        assert t.getnames()[:2] == ["manifest.json", "manifest.sig"]
        for m in ("manifest.json", "manifest.sig"):
            (tmp_path / m).write_bytes(t.extractfile(m).read())
    subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", tmp_path / "manifest.json",
                    "-sigfile", tmp_path / "manifest.sig"], check=True, capture_output=True)
    # another manifest below it
    changed = rewrite(bundle, tmp_path / "changed", manifest_json=lambda raw: raw.replace(b'"generation": 2', b'"generation": 3'))
    assert changed.read_bytes() != bundle.read_bytes()
    r = import_(tmp_path / "c", changed, "--key", public)
    assert r.code == 1 and b"the signature does not fit" in r.err and not (tmp_path / "c").exists()


def test_bad_keys(tmp_path, full, keys):
    db, _ = full
    _, public = keys("ours")
    rsa = tmp_path / "rsa.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", rsa], check=True, capture_output=True)
    for key in (public, rsa, tmp_path / "absent", db):
        assert_refused(eclair("db", "export", tmp_path / "b", "--key", key, "--db", db), "key", key)
        assert not (tmp_path / "b").exists()


# ---- what is broken ----

def flip(at):
    def change(raw):
        i = at if at >= 0 else len(raw) + at
        return raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1:]
    return change


@pytest.mark.parametrize("at", [0, 5, 40, 200, -1])
def test_tampered_part(tmp_path, full, at):
    """It is refused before anything of that source is seen; the other one is taken."""
    _, bundle = full
    to = tmp_path / "to.db"
    r = import_(to, rewrite(bundle, tmp_path / "bad", debian_zst=flip(at)))
    assert r.code == 1 and r.out.startswith(b"alpine: ") and r.out.count(b"\n") == 1
    assert f"{tmp_path / 'bad'}: debian: its part is not the one that the manifest names".encode() in r.err
    told = eclair("db", "status", "--db", to, "--format", "json").json()
    assert [f["name"] for f in told["feeds"] if f["entries"]] == ["alpine"]
    assert len(imported(to, bundle).splitlines()) == 2, "the whole one is taken after it"


def resign(raw_of):
    """Other bytes of a part that the manifest agrees with."""
    def change(bundle, to):
        with tarfile.open(bundle) as t:
            part = raw_of(t.extractfile("debian.zst").read())
        def manifest_json(raw):
            m = json.loads(raw)
            for s in m["sources"]:
                if s["name"] == "debian":
                    s["size"], s["sha256"] = len(part), hashlib.sha256(part).hexdigest()
            return json.dumps(m).encode()
        return rewrite(bundle, to, debian_zst=part, manifest_json=manifest_json)
    return change


def zstd(*args):
    return lambda raw: subprocess.run(["zstd", *args], input=raw, check=True, capture_output=True).stdout


def other_records(change):
    return lambda raw: zstd("-q", "-c")(change(zstd("-dqc")(raw)))


@pytest.mark.parametrize("change, word", [
    (lambda raw: raw[:-3], b"zstd"),
    (lambda raw: b"", b"it ends without an end"),
    (lambda raw: b"nonsense" * 100, b"unknown record"),
    (other_records(lambda raw: raw[:len(raw) // 2]), b"it ends"),
    (other_records(lambda raw: raw + b"\x03"), b"bytes follow the end"),
    (other_records(lambda raw: b"\x03\x01x" + raw), b"malformed record"),
    (other_records(lambda raw: b"\x01\xff\xff\xff\xff\x7f" + raw), b"too long"),
    (other_records(lambda raw: raw[:-5] + b"\x04\x02\x00\x00"), b"byte"),
])
def test_broken_part(tmp_path, full, change, word):
    _, bundle = full
    r = import_(tmp_path / "to.db", resign(change)(bundle, tmp_path / "bad"))
    assert r.code == 1 and b"debian: " in r.err and word in r.err and b"worker" not in r.err, r.err
    assert r.out.startswith(b"alpine: ") and r.out.count(b"\n") == 1


def test_random_damage(tmp_path, full):
    """Whatever byte of a part changes, nothing dies, and what is committed is whole."""
    _, bundle = full
    rng = random.Random(1)
    to = tmp_path / "to.db"
    for _ in range(25):
        def change(raw):
            raw = bytearray(raw)
            for _ in range(rng.randrange(1, 4)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            return bytes(raw)
        r = import_(to, resign(other_records(change))(bundle, tmp_path / "bad"))
        assert r.code in (0, 1) and b"worker died" not in r.err and b"Sanitizer" not in r.err, r.err
        assert r.code == 0 or b"debian: " in r.err
    assert eclair("db", "check", "--full", "--db", to).out == b"ok\n"


@pytest.mark.parametrize("changes, word", [
    ({"manifest_json": b"{"}, "manifest.json: json: byte"),
    ({"manifest_json": b"{}"}, "no manifest"),
    ({"manifest_json": b'{"format": 2, "sources": []}'}, "newer version"),
    ({"manifest_json": b'{"format": 1, "sources": [{"name": "../x", "sha256": ""}]}'}, "without a name"),
    ({"manifest_json": b'{"format": 1, "created": -1}'}, "whole number"),
    ({"manifest_sig": b"short"}, None),
])
def test_broken_manifest(tmp_path, full, keys, changes, word):
    _, bundle = full
    if word is None:
        export(full[0], tmp_path / "signed", "--key", keys("k")[0])
        r = import_(tmp_path / "to", rewrite(tmp_path / "signed", tmp_path / "bad", **changes), "--key", tmp_path / "k.pub")
        assert_refused(r, "the signature does not fit")
    else:
        assert_refused(import_(tmp_path / "to", rewrite(bundle, tmp_path / "bad", **changes)), tmp_path / "bad", word)
    assert not (tmp_path / "to").exists()


def test_truncated_file(tmp_path, full):
    _, bundle = full
    raw = bundle.read_bytes()
    for n in (513, 1500, len(raw) // 2, len(raw) - 1025):
        (tmp_path / "cut").write_bytes(raw[:n])
        assert_refused(import_(tmp_path / "to", tmp_path / "cut"), tmp_path / "cut", "truncated")
    r = import_(tmp_path / "to", rewrite(bundle, tmp_path / "bad", debian_zst=None))
    assert r.code == 1 and b"debian: its part is missing" in r.err


def test_unknown_source(tmp_path, full):
    """Of a newer version, perhaps: it is told, and the rest is taken."""
    _, bundle = full
    bad = rewrite(bundle, tmp_path / "new", manifest_json=lambda raw: raw.replace(b'"debian"', b'"windows"'))
    r = import_(tmp_path / "to", bad)
    assert r.code == 0 and b"warning: windows: no source of this version" in r.err and r.out.startswith(b"alpine: ")


def test_usage(tmp_path, full):
    db, bundle = full
    assert_refused(eclair("db", "export", bundle, "--feeds", "--db", db), "is there already", code=2)
    export(db, bundle, "--feeds", "--force")
    assert eclair("db", "import", bundle, "debian", "--db", db).code == 2
    assert eclair("db", "status", bundle, "--db", db).code == 2
    assert_refused(eclair("db", "export", tmp_path / "x", "--since", db, "--db", db), db)
    sqlite = tmp_path / "sqlite"
    assert eclair("db", "export", sqlite, "--db", db).code == 0
    assert_refused(eclair("db", "import", sqlite, "--key", bundle, "--db", tmp_path / "y"), "no bundle", code=2)


def test_kill(tmp_path, full):
    """At any moment the old state or the new one."""
    db, bundle = full
    want, states = said(db), set()
    start = time.monotonic()
    imported(tmp_path / "whole.db", bundle)
    took = time.monotonic() - start
    for i in range(40):
        if i >= 12 and states:  # a machine that is busy now may take longer than it took
            break
        to = tmp_path / f"{i}.db"
        p = subprocess.Popen([ECLAIR, "db", "import", bundle, "--db", to], env=environment(), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(took * i / 10)
        p.send_signal(signal.SIGKILL)
        p.wait()
        if not to.exists() or eclair("db", "check", "--full", "--db", to).code:
            continue  # it had no schema yet
        told = eclair("db", "status", "--db", to, "--format", "json").json()
        there = {f["name"] for f in told["feeds"] if f["entries"]}
        states.add(frozenset(there))
        got = said(to) if there else {}
        assert all(got[f + ".zst"] == want[f + ".zst"] for f in there)
        imported(to, bundle)
        assert said(to) == want
    assert states


def test_real_data(tmp_path):
    feeds = need_data("feeds")
    db, to, bundle = tmp_path / "from.db", tmp_path / "to.db", tmp_path / "b"
    update(db, feeds, "debian", "alpine", timeout=300)
    export(db, bundle, "--feeds")
    imported(to, bundle)
    assert said(to) == said(db)
    assert without_changes(imported(to, bundle))
    assert update(to, feeds, "debian", "alpine").out == b"alpine: nothing new\ndebian: nothing new\n"
