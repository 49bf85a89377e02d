"""The findings of an image, computed a second time: from the raw feed, with Debian's own tools, without éclair.

Images are opened with Python's tarfile, whiteouts are applied here, versions are compared by `dpkg
--compare-versions` and by a transcription of apk's order. Slow, simple, and independent on purpose.
As a program: expected.py IMAGE FEEDS prints the rows as tab-separated values.
"""
import io
import json
import posixpath
import re
import subprocess
import sys
import tarfile
from collections import namedtuple
from functools import lru_cache
from pathlib import Path

Package = namedtuple("Package", "kind name version arch source source_version")
Finding = namedtuple("Finding", "package version source source_version id fixed severity state")
WANTED = re.compile(r"(etc|usr/lib)/os-release|var/lib/dpkg/status(\.d/[^/]+)?|(usr/)?lib/apk/db/installed")


# ---- images ----

def unpacked(data):
    """Decompressed by content; by the usual tools, so that no code is shared with the program under test."""
    for magic, tool in ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz")):
        if data.startswith(magic):
            return unpacked(subprocess.run([tool, "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout)
    return data


def image_layers(path):
    """The layers of a docker-archive or of a tar of an OCI layout as uncompressed tars, bottom first."""
    with tarfile.open(fileobj=io.BytesIO(unpacked(Path(path).read_bytes()))) as archive:
        def read(name):
            return archive.extractfile(name).read()

        if "manifest.json" in archive.getnames():
            return [unpacked(read(name)) for name in json.loads(read("manifest.json"))[0]["Layers"]]

        def blob(descriptor):
            return read("blobs/" + descriptor["digest"].replace(":", "/"))

        node = json.loads(read("index.json"))
        while "manifests" in node:
            node = json.loads(blob(node["manifests"][0]))
        return [unpacked(blob(layer)) for layer in node["layers"]]


def below(path, folder):
    return not folder or path == folder or path.startswith(folder + "/")


def apply_layer(tree, layer):
    """`tree` maps paths to bytes (a file), None (a folder), or ("symlink", target). Whiteouts act on lower layers only."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        members = [(posixpath.normpath("/" + m.name).lstrip("/"), m) for m in archive]
        for path, _ in members:
            folder, name = posixpath.split(path)
            if name == ".wh..wh..opq":
                gone = [p for p in tree if p != folder and below(p, folder)]
            elif name.startswith(".wh.") and not name.startswith(".wh..wh."):
                gone = [p for p in tree if below(p, posixpath.join(folder, name[4:]))]
            else:
                continue
            for p in gone:
                del tree[p]
        for path, m in members:
            if posixpath.basename(path).startswith(".wh."):
                continue
            if not m.isdir():
                for p in [p for p in tree if p != path and below(p, path)]:
                    del tree[p]
            tree[path] = member_content(tree, archive, path, m)


def member_content(tree, archive, path, m):
    if m.isdir():
        return None
    if m.issym():
        return ("symlink", m.linkname)
    if m.islnk():
        return tree.get(posixpath.normpath("/" + m.linkname).lstrip("/"), b"")
    return archive.extractfile(m).read() if m.isfile() and WANTED.fullmatch(path) else b""


def resolve(tree, path, hops=40):
    """The real path after symbolic links, inside the image; None when it leads nowhere."""
    done, todo = "", path.split("/")
    while todo:
        part = todo.pop(0)
        step = posixpath.normpath("/" + posixpath.join(done, part)).lstrip("/")
        what = tree.get(step)
        if isinstance(what, tuple):
            hops -= 1
            if hops < 0:
                return None
            todo = what[1].split("/") + todo
            done = "" if what[1].startswith("/") else done
        else:
            done = step
    return done if isinstance(tree.get(done), bytes) else None


def image_tree(path, upto=None):
    tree = {}
    for layer in image_layers(path)[:upto]:
        apply_layer(tree, layer)
    return tree


# ---- what is installed ----

def dpkg_packages(text):
    for block in re.split(r"\n[ \t]*\n", text):
        fields = {}
        for line in block.splitlines():
            if line[:1] not in (" ", "\t", "") and ":" in line:
                name, value = line.split(":", 1)
                fields[name.lower()] = value.strip()
        state = fields.get("status", "install ok installed").split()
        if "package" not in fields or "version" not in fields or state[-1] not in (
                "installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"):
            continue
        name, version = fields["package"], fields["version"]
        source = re.fullmatch(r"(\S+)(?:\s*\((.*)\))?", fields.get("source", name))
        yield Package("dpkg", name, version, fields.get("architecture", ""), source[1], (source[2] or version).strip())


def apk_packages(text):
    for block in text.split("\n\n"):
        f = {}
        for line in block.splitlines():
            f.setdefault(line[:1], line[2:])
        if "P" in f and "V" in f and not f["P"].startswith("."):
            yield Package("apk", f["P"], f["V"], f.get("A", ""), f.get("o") or f["P"], f["V"])


def image_packages(tree):
    found = {}
    names = [p for p in tree if p.startswith("var/lib/dpkg/status.d/") and not p.endswith(".md5sums")]
    for name in ["var/lib/dpkg/status", *names, "lib/apk/db/installed", "usr/lib/apk/db/installed"]:
        real = resolve(tree, name)
        if real and real not in found:
            reader = apk_packages if "apk" in name else dpkg_packages
            found[real] = list(reader(tree[real].decode("utf-8", "surrogateescape")))
    return sorted({p for packages in found.values() for p in packages})


def image_distribution(tree):
    """("debian", "12"), ("alpine", "v3.20"); read from os-release alone."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        real = resolve(tree, name)
        if real:
            fields = dict(re.findall(r"^(\w+)=[\"']?(.*?)[\"']?$", tree[real].decode(), re.M))
            version = fields.get("VERSION_ID", "")
            if fields["ID"] == "alpine":
                version = "v" + ".".join(version.split(".")[:2])
            return fields["ID"], version
    return "", ""


# ---- which version is older ----

@lru_cache(None)
def dpkg_older(a, b):
    r = subprocess.run(["dpkg", "--compare-versions", a, "lt", b], stderr=subprocess.DEVNULL).returncode
    assert r in (0, 1), (a, b, r)
    return r == 0


# apk-tools 3: the kinds of tokens from new to old; a version of which less is left is older, but for pre-releases.
NUMBER, LETTER, SUFFIX, SUFFIX_NUMBER, HASH, REVISION, END, BAD = range(8)
SUFFIXES = ["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"]
APK_TOKENS = [(NUMBER, r"\.?(\d+)"), (LETTER, r"([a-z])"), (SUFFIX, "_(" + "|".join(SUFFIXES) + ")"),
              (HASH, r"~([0-9a-f]+)"), (REVISION, r"-r(\d+)")]


def apk_tokens(version):
    tokens, rest = [], version
    while rest:
        for kind, pattern in APK_TOKENS:
            if kind == LETTER and (not tokens or tokens[-1][0] != NUMBER):
                continue
            if kind == NUMBER and tokens and tokens[-1][0] > LETTER:
                continue
            if kind == NUMBER and rest[0] == "." and (not tokens or tokens[-1][0] != NUMBER):
                continue
            m = re.match(pattern, rest)
            if m:
                break
        else:
            return tokens + [(BAD, "")]
        tokens.append((kind, m[1]))
        rest = rest[m.end():]
        if kind == SUFFIX:
            digits = re.match(r"\d+", rest)
            if digits:
                tokens.append((SUFFIX_NUMBER, digits[0]))
                rest = rest[digits.end():]
    return tokens + [(END, "")]


def apk_exact(version):
    """Of a version outside the grammar nobody knows where it stands: what names it may be true."""
    return BAD not in [kind for kind, _ in apk_tokens(version)]


def apk_may_be_older(version, fixed):
    """Outside the grammar: what follows is unknown, so a version that begins like `fixed` may be older."""
    sure = apk_tokens(fixed)[:-1]
    return apk_compare(version, fixed) < 0 or not apk_exact(fixed) and apk_tokens(version)[:len(sure)] == sure


def apk_compare(a, b):
    for i, ((ka, ta), (kb, tb)) in enumerate(zip(apk_tokens(a), apk_tokens(b))):
        if ka != kb:
            for kind, text, result in ((ka, ta, -1), (kb, tb, 1)):
                if kind == SUFFIX and SUFFIXES.index(text) < 4:
                    return result
            if BAD in (ka, kb):
                return -1 if ka == BAD else 1
            return 1 if ka < kb else -1
        if ka == SUFFIX:
            x, y = SUFFIXES.index(ta), SUFFIXES.index(tb)
        elif ka in (SUFFIX_NUMBER, REVISION) or ka == NUMBER and (i == 0 or not (ta[0] == "0" or tb[0] == "0")):
            x, y = int(ta), int(tb)
        else:
            x, y = ta, tb
        if x != y:
            return 1 if x > y else -1
    return 0


# ---- feeds ----

RELEASES = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie"}
SEVERITY = {"unimportant": "Negligible", "end-of-life": "Negligible", "low": "Low", "medium": "Medium", "high": "High",
            "not yet assigned": "Unknown"}


@lru_cache(4)
def read_json(path):
    for name in (path, Path(str(path) + ".zst")):
        if name.exists():
            return json.loads(unpacked(name.read_bytes()))
    return None


def debian_findings(packages, version, feeds):
    tracker, release = read_json(Path(feeds, "debian/tracker/data/json")), RELEASES[version]
    for p in packages:
        for name, entry in tracker.get(p.source, {}).items():
            row = entry["releases"].get(release)
            if not row or row["status"] == "undetermined":
                continue
            fixed = row.get("fixed_version") if row["status"] == "resolved" else ""
            if fixed is None or fixed == "0" or fixed and not dpkg_older(p.source_version, fixed):
                continue
            urgency = row["urgency"].rstrip("*")
            state = "fixed" if fixed else "end_of_life" if urgency == "end-of-life" else (
                "will_not_fix" if row.get("nodsa_reason") == "ignored" else "affected")
            yield Finding(p.name, p.version, p.source, p.source_version, name, fixed or None, SEVERITY[urgency], state)


def secdb_ids(text):
    """The ids of one string; where it has a CVE, its other ids are other names of the same."""
    tokens = [token.strip("(),;").replace("CVE_", "CVE-") for token in text.split()]
    found = [token for token in tokens if re.match(r"(CVE|GHSA|XSA|ALPINE)-", token)]
    return [token for token in found if token.startswith("CVE-")] or found


def secdb_fixes(feeds, branch):
    """{(origin, id): the highest version that fixes it}; what is only under "0" was never affected."""
    fixes = {}
    for repository in ("main", "community"):
        document = read_json(Path(feeds, f"alpine/{branch}/{repository}.json")) or {}
        for item in document.get("packages") or []:
            for version, texts in (item["pkg"].get("secfixes") or {}).items():
                for name in (i for text in texts or [] for i in secdb_ids(text)):
                    key = item["pkg"]["name"], name
                    if version != "0" and (key not in fixes or apk_compare(version, fixes[key]) > 0):
                        fixes[key] = version
    return fixes


def alpine_findings(packages, branch, feeds):
    fixes = secdb_fixes(feeds, branch)
    for p in packages:
        for (origin, name), fixed in fixes.items():
            if origin == p.source and (not apk_exact(p.version) or apk_may_be_older(p.version, fixed)):
                yield Finding(p.name, p.version, p.source, p.source_version, name, fixed, "Unknown", "fixed")


def expected(image, feeds, upto=None):
    """(packages, set of Finding) of the first `upto` layers of an image."""
    tree = image_tree(image, upto)
    packages, (distribution, version) = image_packages(tree), image_distribution(tree)
    if not packages:
        return [], set()
    findings = {"debian": debian_findings, "alpine": alpine_findings}[distribution]
    kind = {"debian": "dpkg", "alpine": "apk"}[distribution]
    return packages, set(findings([p for p in packages if p.kind == kind], version, feeds))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: expected.py IMAGE FEEDS")
    for row in sorted(expected(sys.argv[1], sys.argv[2])[1], key=str):
        print("\t".join("" if v is None else v for v in row))
