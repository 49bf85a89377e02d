"""The command line: help everywhere, usage errors, exit codes, status, version comparison."""
import helpers
import make_images as mi
import pytest
from helpers import assert_refused, eclair, scan

COMMANDS = ["scan", "update", "db", "version-compare", "help"]


def test_version():
    r = eclair("--version")
    assert (r.code, r.err) == (0, b"")
    assert r.out.startswith(b"eclair ") and r.out.count(b"\n") == 1


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"]])
def test_help_names_every_command(arguments):
    r = eclair(*arguments)
    assert (r.code, r.err) == (0, b"")
    for command in COMMANDS:
        assert command in r.out.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    by_option, by_word = eclair(command, "--help"), eclair("help", command)
    assert (by_option.code, by_option.err) == (0, b"")
    assert by_option.out == by_word.out
    assert f"eclair {command}".encode() in by_option.out


@pytest.mark.parametrize("command,options", [
    ("scan", ["--db", "--format", "--output", "--severity", "--ignore-unfixed", "--exit-code", "--fail-on", "--quiet"]),
    ("update", ["--db", "--mirror", "--quiet"]), ("db", ["status", "migrate", "check", "vacuum", "export", "import", "backup", "--format", "--unused", "--full",
            "--force"]),
    ("version-compare", ["dpkg", "rpm", "apk"])])
def test_help_names_every_option(command, options):
    text = eclair(command, "--help").out.decode()
    assert [o for o in options if o not in text] == []


def test_exit_codes_are_documented():
    text = eclair("scan", "--help").out.decode().lower()
    assert all(str(code) in text for code in (0, 1, 2, 3, 4)) and "not covered" in text


USAGE = {  # arguments -> words of the message
    "no command": ([], []),
    "unknown command": (["frobnicate"], ["frobnicate"]),
    "unknown option": (["scan", "--frobnicate", "x"], ["--frobnicate"]),
    "unknown short option": (["scan", "-z", "x"], ["z"]),
    "unknown global option": (["--frobnicate"], ["--frobnicate"]),
    "no image": (["scan"], ["IMAGE"]),
    "two images": (["scan", "a", "b"], ["scan"]),
    "empty image": (["scan", ""], ["IMAGE"]),
    "option without value": (["scan", "x", "--db"], ["--db"]),
    "empty value": (["scan", "x", "--db", ""], ["--db"]),
    "odd value for a switch": (["scan", "x", "--ignore-unfixed=perhaps"], ["--ignore-unfixed", "perhaps"]),
    "bad format": (["scan", "x", "--format", "yaml"], ["yaml"]),
    "bad severity": (["scan", "x", "--severity", "awful"], ["awful"]),
    "bad fail-on": (["scan", "x", "--fail-on", "awful"], ["awful"]),
    "exit code is a word": (["scan", "x", "--exit-code", "one"], ["one"]),
    "exit code above 255": (["scan", "x", "--exit-code", "256"], ["256"]),
    "negative exit code": (["scan", "x", "--exit-code", "-1"], ["-1"]),
    "exit code with rest": (["scan", "x", "--exit-code", "1x"], ["1x"]),
    "unknown source": (["update", "windows"], ["windows"]),
    "db without a word": (["db"], []),
    "unknown db command": (["db", "frobnicate"], ["frobnicate"]),
    "db export to nowhere": (["db", "export"], ["FILE"]),
    "db status of a file": (["db", "status", "x"], ["status"]),
    "bad days": (["db", "vacuum", "--unused", "-1"], ["--unused"]),
    "bad status format": (["db", "status", "--format", "yaml"], ["yaml"]),
    "no scheme": (["version-compare"], ["SCHEME"]),
    "unknown scheme": (["version-compare", "roman"], ["roman"]),
    "help for nothing": (["help", "frobnicate"], ["frobnicate"]),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage_error(case, tmp_path):
    arguments, words = USAGE[case]
    assert_refused(eclair(*arguments, cwd=tmp_path), *words, code=2)
    assert list(tmp_path.iterdir()) == []


# ---- what a scan ends with ----

def image_with(tmp_path, *packages):
    path = tmp_path / "image.tar"
    path.write_bytes(mi.archive([[("etc/os-release", mi.os_release()),
                                  ("var/lib/dpkg/status", mi.dpkg_status(packages))]]))
    return path


CLEAN, HIGH, LOW, NO_FIX = (("clean", "1-1", None), ("openssl", "3.0.11-1~deb12u2", None),
                            ("bsdutils", "2.38.1-5", "util-linux"), ("libc6", "2.36-9", "glibc"))
CODES = [  # packages, options, exit code
    ([CLEAN], [], 0), ([CLEAN], ["--exit-code", "7"], 0), ([CLEAN], ["--fail-on", "Negligible"], 0),
    ([HIGH], [], 0), ([HIGH], ["--exit-code", "7"], 7), ([HIGH], ["--exit-code", "0"], 0), ([HIGH], ["--exit-code", "255"], 255),
    ([HIGH], ["--fail-on", "High"], 4), ([HIGH], ["--fail-on", "high"], 4), ([HIGH], ["--fail-on=Low"], 4),
    ([HIGH], ["--fail-on", "Critical"], 0), ([LOW], ["--fail-on", "Medium"], 0), ([LOW], ["--fail-on", "Low"], 4),
    ([HIGH], ["--fail-on", "Medium", "--exit-code", "9"], 9), ([LOW], ["--fail-on", "Medium", "--exit-code", "9"], 0),
    ([NO_FIX], ["--exit-code", "7"], 7), ([NO_FIX], ["--exit-code", "7", "--ignore-unfixed"], 0),
    ([LOW], ["--fail-on", "Low", "--severity", "Critical"], 4), ([NO_FIX], ["--fail-on", "Negligible", "--ignore-unfixed"], 0),
    ([LOW], ["--exit-code", "7", "--severity", "High"], 0), ([HIGH], ["--exit-code", "7", "--severity", "High"], 7),
]


@pytest.mark.parametrize("packages,options,code", CODES, ids=[f"{p[0][0]} {' '.join(o)}" for p, o, _ in CODES])
@pytest.mark.parametrize("form", ["table", "json"])
def test_exit_code(packages, options, code, form, db, tmp_path):
    r = eclair("scan", image_with(tmp_path, *packages), "--db", db, "--format", form, *options)
    assert (r.code, r.err) == (code, b"")
    assert r.out


def test_ignore_unfixed(db, small_image):
    findings = scan(db, small_image, "--ignore-unfixed").json()["findings"]
    assert findings and all(f["fixed_version"] for f in findings)


@pytest.mark.parametrize("severity,shown", [("Low", {"High", "Medium", "Low"}), ("medium", {"High", "Medium"}), ("High", {"High"}),
                                            ("Negligible", {"High", "Medium", "Low", "Negligible"}), ("Defcon1", set())])
def test_minimum_severity(severity, shown, db, small_image):
    found = {f["severity"] for f in scan(db, small_image, "--severity", severity).json()["findings"]}
    assert found == shown


def test_unknown_is_always_shown(db, tmp_path):
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive(mi.alpine_layers()))
    assert helpers.ids(scan(db, image, "--severity", "Critical").json()) == helpers.SMALL_ALPINE_IDS


@pytest.mark.parametrize("severity,code,lines", [("High", 0, 1), ("Unknown", 4, 0)])
def test_fail_on_tells_what_it_cannot_weigh(severity, code, lines, db, tmp_path):
    image = tmp_path / "image.tar"
    image.write_bytes(mi.archive(mi.alpine_layers()))
    r = eclair("scan", image, "--db", db, "--fail-on", severity)
    assert (r.code, r.err.count(b"\n")) == (code, lines)
    assert not lines or b"findings of unknown severity do not count" in r.err


def test_left_out_is_counted(db, small_image):
    r = eclair("scan", small_image, "--db", db, "--severity", "Defcon1")
    assert b"0 findings (9 more left out as asked)" in r.out


def test_options_anywhere(db, small_image):
    want = eclair("scan", small_image, "--db", db, "--format", "json").out
    assert eclair("scan", f"--db={db}", "--format=json", small_image).out == want
    assert eclair("scan", "--format", "json", "--db", db, "--", small_image).out == want


def test_quiet_scan(db, small_image):
    r = eclair("scan", small_image, "--db", db, "--quiet", "--exit-code", "5")
    assert r.code == 5 and r.err == b""


def test_default_database(tmp_path, small_mirror, small_image):
    """Without --db a person's database lies in the cache folder, for him alone."""
    env = helpers.environment(XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert eclair("update", "debian", "--mirror", small_mirror, env=env).code == 0
    db = tmp_path / "cache/eclair/eclair.db"
    assert db.exists() and db.parent.stat().st_mode & 0o077 == 0
    r = eclair("scan", small_image, "--format", "json", env=env)
    assert helpers.ids(r.json()) == helpers.SMALL_DEBIAN_IDS
    env = helpers.environment(HOME=str(tmp_path / "home"))
    assert eclair("update", "debian", "--mirror", small_mirror, env=env).code == 0
    assert (tmp_path / "home/.cache/eclair/eclair.db").exists()


# ---- status ----

def test_status(db):
    later = helpers.environment(ECLAIR_NOW="2026-01-02T04:04:05Z")
    s = eclair("db", "status", "--db", db, "--format", "json", env=later).json()
    assert s["generation"] == 2 and s["schema"] >= 1
    feeds = {f["name"]: f for f in s["feeds"]}
    assert feeds["debian"]["age_seconds"] == feeds["alpine"]["age_seconds"] == 3600
    assert feeds["debian"]["entries"] == 12
    table = eclair("db", "status", "--db", db, env=later)
    assert (table.code, table.err) == (0, b"") and b"debian" in table.out and b"alpine" in table.out


def test_status_of_a_missing_database(tmp_path):
    """Nothing is made by asking."""
    r = eclair("db", "status", "--db", tmp_path / "absent.db", "--format", "json")
    assert list(tmp_path.iterdir()) == []
    if r.code == 0:
        assert r.json()["generation"] == 0
    else:
        assert_refused(r, tmp_path / "absent.db")


# ---- version-compare (tests/e2e/test_versions.py holds it against the native tools) ----

@pytest.mark.parametrize("scheme,lines,answers", [
    ("dpkg", "1.0\t1.0-1\n1.0\t1.0-0\n2\t1:0\n1~\t1\n", "<=<<"),
    ("rpm", "1.0-1\t1.0-2\n1:1-1\t2-1\n1.0~rc1-1\t1.0-1\n", "<><"),
    ("apk", "1.2-r0\t1.2-r1\n1.2_rc1\t1.2\n1.2\t1.2_p1\n", "<<<"),
])
def test_version_compare(scheme, lines, answers):
    r = eclair("version-compare", scheme, stdin=lines.encode())
    assert (r.code, r.err) == (0, b"")
    assert r.out.decode().split() == list(answers)


def test_version_compare_invalid():
    r = eclair("version-compare", "dpkg", stdin=b"a b\t1\n1\t1\n")
    assert r.out.decode().split() == ["!", "="]
