"""`eclair version-compare` against the native tools, on random versions and mutations of them.

ECLAIR_PROPERTY_PAIRS sets how many pairs rpm answers; dpkg is a process for each pair and gets fewer."""
import ctypes
import json
import os
import random
import shutil
import subprocess

import pytest
from helpers import DATA, eclair

PAIRS = int(os.environ.get("ECLAIR_PROPERTY_PAIRS", "2000"))

DPKG_SEEDS = ["2.36-9+deb12u10", "1:2.30-1+b1", "5.0~rc1+dfsg-1~bpo12+1", "1.2.3-4.1", "20240203", "0.9.8i-3.2",
              "1.0.2+really1.0.1-0ubuntu0.22.04.1", "3:1.5.10~git20231-2", "0", "1.2-3-4", "1.0-0", "9.2.0300"]
RPM_SEEDS = ["3.10.0-229.el7", "0:1.0.2k-26.el7_9", "2:8.2.2637-20.el9_1", "5.16.1.3-1", "1.0~rc1-0.1", "1.0^20160101^git1",
             "4.18.0-513.5.1.el8_9", "10.0001-1", "1.1.α-1", "1.8.0_292.b10-1", "R16B-03.1", "20151212.0-1.fc41"]
ALPM_SEEDS = ["1:2.43.0-1", "6.6.9.arch1-1", "3.0.0beta2-1", "20240203.1-1", "1.2.13rc1-1", "5.15.12.a-2.1", "r2345.8bd1f2a-1",
              "2.0_alpha3-1", "1.0+23+gabc1234-1", "0.9.8_i-3"]
WORDS = {
    "dpkg": ["~", "~~", "+", ".", "-", "-0", "-1", "a", "z", "A", "rc", "+b1", "_", "@", "0", "00", "1", "9", "10", "007",
             "0:", "1:", "x:", ":", "18446744073709551616"],
    "rpm": ["~", "^", "~~", "^^", ".", "_", "+", "-", "-0", "-1", "a", "z", "A", "el9", "α", "0", "00", "1", "9", "10", "007",
            "0:", "1:", "x:", ":", "18446744073709551616"],
}
WORDS["rpmvercmp"] = WORDS["alpm"] = WORDS["rpm"]
WORDS["semver"] = ["-", "-rc", "-alpha.1", ".", "0", "1", "2", "10", "40", ".0", ".1", "+b", "+b.1", "a", "Z", "A1", "-0", "-1", "1a", "-x-y", "9007199254740991"]
WORDS["pep440"] = ["a", "b", "rc", "c", "alpha", "beta", "pre", "preview", "post", "rev", "r", "dev", "POST", "-", "_", ".", "+", "1!", "v", "+ab", "+1",
                   ".x", "-1", ".0", ".1", "0", "00", "1", "2", "10", "39", "40", "18446744073709551616"]
WORDS["maven"] = ["-", ".", "-rc", ".rc", "alpha", "beta", "milestone", "final", "ga", "RELEASE", "cr", "sp", "snapshot", "m", "a", "b", "x", "foo", "jre", "_",
                  ".0", ".1", "-1", "-0", "0", "00", "1", "2", "10", "39", "40", "18446744073709551616"]
SEEDS = {"dpkg": DPKG_SEEDS, "rpm": RPM_SEEDS, "rpmvercmp": RPM_SEEDS, "alpm": ALPM_SEEDS,
         "semver": ["1.2.3", "1.0.0-rc.1", "1.0.0-alpha.beta", "0.0.0-20210101000000-abcdef", "2.0.0+incompatible", "v1.2.3-0", "1.2.3-a.b.c"],
         "pep440": ["1.0", "1.2.3rc1", "2!1.0.post2.dev3", "1.0.dev1", "1.0a1.post1", "1.0+ubuntu.1", "v1.0-beta.2", "1.0-1", "2013.4"],
         "maven": ["1.2.3", "1.0.0.RC2", "1.0-SNAPSHOT", "2.0.0.Final", "9.4.38.v20210219", "31.1-jre", "1.0-alpha-1", "1.0.0.M1", "4.1.0.RELEASE",
                   "1.0.sp1", "1.0.Final-redhat-1", "1.x.0.1-2"]}


def mutate(rng, text, words):
    at = rng.randrange(len(text) + 1)
    end = at + rng.randrange(4) if rng.random() < 0.4 else at
    return text[:at] + (rng.choice(words) if rng.random() < 0.8 else "") + text[end:]


def random_version(rng, scheme):
    if rng.random() < 0.3:
        text = "".join(rng.choices(WORDS[scheme], k=rng.randrange(1, 7)))
    else:
        text = rng.choice(SEEDS[scheme])
    for _ in range(rng.randrange(3)):
        text = mutate(rng, text, WORDS[scheme])
    return text


def pairs(scheme, count):
    rng = random.Random(f"version-compare {scheme}")
    while count:
        a = random_version(rng, scheme)
        b = random_version(rng, scheme) if rng.random() < 0.2 else a
        for _ in range(rng.randrange(3)):
            b = mutate(rng, b, WORDS[scheme])
        # dpkg takes "-1" for an option, "" for no version at all, and "+1" for an epoch; deb-version(7) does not.
        if a and b and a[0] not in "+-" and b[0] not in "+-":
            count -= 1
            yield a, b


def ask_eclair(scheme, cases):
    r = eclair("version-compare", scheme, stdin="".join(f"{a}\t{b}\n" for a, b in cases).encode())
    assert (r.code, r.err) == (0, b"")
    answers = r.out.decode().splitlines()
    assert len(answers) == len(cases)
    return answers


def ask_dpkg(a, b):
    for op, answer in ("lt", "<"), ("eq", "="):
        code = subprocess.run(["dpkg", "--compare-versions", a, op, b], stderr=subprocess.DEVNULL).returncode
        if code != 1:
            return answer if code == 0 else "!"
    return ">"


def ask_rpm(a, b):
    import rpm

    try:
        x, y = ((v.e, v.v, v.r) for v in (rpm.ver(a), rpm.ver(b)))
        return "=><"[rpm.labelCompare(x, y)]
    except ValueError:  # it has no version part
        return "!"


def ask_rpmvercmp(a, b):
    import rpm

    return "=><"[rpm.labelCompare(("0", a, None), ("0", b, None))]


def need_native(present, name):
    if not present and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed")


def compare(scheme, count, ask):
    cases = list(pairs(scheme, count))
    ours = ask_eclair(scheme, cases)
    native = [ask(a, b) for a, b in cases]
    assert [(a, b, o, n) for (a, b), o, n in zip(cases, ours, native) if o != n] == []
    for answer in "<=>":  # the generator must reach all of them
        assert native.count(answer) > count / 20


def test_dpkg_agrees():
    need_native(shutil.which("dpkg"), "dpkg")
    compare("dpkg", 1000, ask_dpkg)


@pytest.mark.parametrize("scheme, ask", [("rpm", ask_rpm), ("rpmvercmp", ask_rpmvercmp)], ids=["rpm", "rpmvercmp"])
def test_rpm_agrees(scheme, ask):
    try:
        import rpm
    except ImportError:
        rpm = None
    need_native(rpm, "the Python module rpm")
    compare(scheme, PAIRS, ask)


@pytest.fixture
def vercmp():
    """What vercmp(8) calls: Debian has the library, not the program."""
    try:
        alpm = ctypes.CDLL("libalpm.so.13")
    except OSError:
        alpm = None
    need_native(alpm, "libalpm13")
    alpm.alpm_pkg_vercmp.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    return lambda a, b: "=><"[max(-1, min(1, alpm.alpm_pkg_vercmp(a.encode(), b.encode())))]


def ask_alpm(vercmp, a, b):
    """Where vercmp's answers are no order, ours is the one of src/version/alpm.c: this leaves out those pairs."""
    def parts(v):
        epoch, colon, rest = v.partition(":")
        rest = rest if colon and (epoch.isdigit() or not epoch) else v
        version, dash, release = rest.rpartition("-")
        return (version, release) if dash else (rest, None)

    x, y = parts(a), parts(b)
    if not x[0] or not y[0]:
        return "!"
    if (x[1] is None) != (y[1] is None) and vercmp(a, b) == "=":
        return None
    for part in x + y:
        if part and not (part[-1].isascii() and part[-1].isalnum()):
            return None
    return vercmp(a, b)


def test_alpm_agrees(vercmp):
    cases = [(a, b, ask_alpm(vercmp, a, b)) for a, b in pairs("alpm", 4 * PAIRS)]
    cases = [case for case in cases if case[2]]
    assert len(cases) > 2 * PAIRS
    ours = ask_eclair("alpm", [case[:2] for case in cases])
    assert [(*case, o) for case, o in zip(cases, ours) if o != case[2]] == []
    for answer in "<=>":
        assert ours.count(answer) > len(cases) / 20


def test_alpm_agrees_on_real_versions(vercmp):
    source = DATA / "feeds/arch/issues/all.json.zst"
    need_native(source.exists(), str(source))
    feed = json.loads(subprocess.run(["zstd", "-dc", source], check=True, stdout=subprocess.PIPE).stdout)
    versions = sorted({v for group in feed for v in (group["affected"], group["fixed"]) if v})
    assert len(versions) > 3000
    rng = random.Random("real versions of Arch")
    cases = [(group["affected"], group["fixed"]) for group in feed if group["affected"] and group["fixed"]]
    cases += list(zip(versions, versions[1:])) + [tuple(rng.choices(versions, k=2)) for _ in range(5000)]
    assert [c for c, o in zip(cases, ask_eclair("alpm", cases)) if o != vercmp(*c)] == []


def test_pep440_agrees():
    from packaging.version import InvalidVersion, Version

    def ask(a, b):
        try:
            x, y = Version(a), Version(b)
        except InvalidVersion:
            return "!"
        return "<" if x < y else ">" if x > y else "="

    compare("pep440", 3 * PAIRS, ask)


NODE = """
const semver = require(process.argv[1]);
for (const line of require('fs').readFileSync(0, 'utf8').split('\\n').slice(0, -1)) {
    const [a, b] = line.split('\\t');
    console.log(semver.valid(a) && semver.valid(b) ? '=><'.at(semver.compare(a, b)) : '!');
}
"""


def test_semver_agrees():
    places = ["/usr/lib/node_modules/npm/node_modules/semver", "/usr/share/nodejs/semver"]
    place = next((p for p in places if os.path.isdir(p)), None)
    if not place or not shutil.which("node"):
        pytest.skip("node-semver is not installed; its recorded answers are tested")
    cases = list(pairs("semver", 3 * PAIRS))
    node = subprocess.run(["node", "-e", NODE, place], input="".join(f"{a}\t{b}\n" for a, b in cases), text=True, check=True,
                          stdout=subprocess.PIPE).stdout.split()
    known = [(a, b, n, o) for (a, b), n, o in zip(cases, node, ask_eclair("semver", cases)) if n != "!"]  # ours takes "1.2" too
    assert len(known) > PAIRS / 2
    assert [k for k in known if k[2] != k[3]] == []


JARS = ["/usr/share/java/maven-artifact-3.x.jar", "/usr/share/java/commons-lang3.jar"]
COMPARE = """
import org.apache.maven.artifact.versioning.ComparableVersion;
class Compare {
    public static void main(String[] args) {
        new java.io.BufferedReader(new java.io.InputStreamReader(System.in)).lines().forEach(line -> {
            String[] v = line.split("\\t", -1);
            int order = new ComparableVersion(v[0]).compareTo(new ComparableVersion(v[1]));
            System.out.println(order < 0 ? "<" : order > 0 ? ">" : "=");
        });
    }
}
"""


@pytest.fixture
def maven(tmp_path):
    """Maven's own ComparableVersion (Debian: libmaven3-core-java)."""
    if not shutil.which("javac") or not all(map(os.path.exists, JARS)):
        pytest.skip("Maven is not installed; its recorded answers are tested")
    source = tmp_path / "Compare.java"
    source.write_text(COMPARE)

    def ask(cases):
        run = subprocess.run(["java", "-cp", ":".join(JARS), source], input="".join(f"{a}\t{b}\n" for a, b in cases), text=True, check=True,
                             stdout=subprocess.PIPE)
        return run.stdout.split()

    return ask


def unlike_maven(maven, cases):
    """The pairs of which ours is another answer than Maven's, but for Maven's circles: a < p < b < a, where p begins a or b."""
    unlike = [(a, b, o, n) for (a, b), o, n in zip(cases, ask_eclair("maven", cases), maven(cases)) if o != n]
    between = [(a, b, o, v[:i]) for a, b, o, _ in unlike for v in (a, b) for i in range(1, len(v))]
    answers = maven([(a, p) for a, b, o, p in between] + [(p, b) for a, b, o, p in between])
    n = len(between)
    circles = {(a, b) for (a, b, o, _), x, y in zip(between, answers[:n], answers[n:]) if x == y == o != "="}
    return [u for u in unlike if u[:2] not in circles], len(unlike)


def test_maven_agrees(maven):
    wrong, circles = unlike_maven(maven, list(pairs("maven", 10 * PAIRS)))
    assert wrong == []
    assert circles < PAIRS / 5  # 2 of 100


@pytest.mark.parametrize("scheme, a, answer, b", [
    ("semver", "v1.2.3-rc.2", "<", "1.2.3-rc.10"),
    ("semver", "1.0", "=", "1.0.0+x"),
    ("semver", "1.0.x", "!", "1.0.0"),
    ("nuget", "1.0.0-RC", "=", "1.0.0.0-rc"),
    ("pep440", "1.0.dev1", "<", "1.0a1"),
    ("pep440", "1.0+local", ">", "1.0"),
    ("gem", "1.0.0.pre1", "<", "1"),
    ("gem", "1.a.0.b", "<", "1.a"),
    ("maven", "1.0-SNAPSHOT", "<", "1.0.0.Final"),
    ("maven", "1.0-alpha-1", "<", "1.0-beta"),
    ("packagist", "1.0.0-RC1", "<", "v1.0"),
    ("packagist", "dev-main", "!", "v1.0"),
    ("apk", "1.2.3-r0", "<", "1.2.3-r1"),
    ("apk", "1.2_rc1", "<", "1.2"),
    ("apk", "1.2_p1", ">", "1.2"),
    ("apk", "1.01", "<", "1.1"),
    ("apk", "006", "=", "6"),
    ("apk", "2.0_alpha2", "<", "2.0_beta"),
    ("apk", "6.0.2p1-r4", "<", "6.0.2p1-r5"),
    ("apk", "", "!", "1"),
    ("apk", "1", "!", "1 2"),
    ("alpm", "1.0rc1-1", "<", "1.0-1"),
    ("alpm", "1.0-1", "<", "1.0.a-1"),
    ("alpm", "1.0.1-1", "<", "1.0..a-1"),
    ("alpm", "1.0", "<", "1.0-1"),
    ("alpm", "1.0.", "<", "1.0.a"),
    ("alpm", "1:", "!", "1"),
    ("dpkg", "1-", "!", "1"),
    ("rpm", "1:", "!", "1"),
    ("rpmvercmp", "", "<", "0"),
    ("rpmvercmp", "1" * 513, "!", "0"),
])
def test_fixed(scheme, a, answer, b):
    assert ask_eclair(scheme, [(a, b), (b, a)]) == [answer, {"<": ">", ">": "<"}.get(answer, answer)]
