"""Options by command line, environment and file; and what is made of their tables: help, man pages, completions."""
import functools
import json
import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest
from helpers import ECLAIR, ROOT, assert_refused, eclair, environment

COMMANDS = re.findall(r"^  ([a-z-]+)  ", eclair("help").out.decode().partition("eclair help COMMAND")[0], re.M)
TOPICS = ["sources", "outputs", "exit-codes", "environment", "config", "files", "ignoring"]
SHELLS = ["bash", "zsh", "fish"]


@functools.cache
def options_of(command):
    """As --help lists them: names without dashes."""
    text = eclair(command, "--help").out.decode() + eclair(command, "--help").err.decode()
    return re.findall(r"^  (?:    )?(?:-[a-z], )?--?([a-zA-Z][a-zA-Z-]*)(?: |$)", text, re.M)


# ---- from where a value is ----

def shown(command, cwd, **variables):
    """{option: (value, from)}"""
    r = eclair("config", "show", command, "--format", "json", env=environment(ECLAIR_UPDATE="", **variables), cwd=cwd)
    assert r.code == 0, r.err
    return {o["option"]: (o["value"], o["from"]) for o in json.loads(r.out)}


def test_nothing_is_set(tmp_path):
    assert shown("scan", tmp_path) == {}
    assert b"nothing is set" in eclair("config", "show", env=environment(ECLAIR_UPDATE=""), cwd=tmp_path).out


def test_environment_goes_before_file_and_a_command_before_all(tmp_path):
    (tmp_path / ".eclair.yaml").write_text("""
quiet: true
severity: low
exit-code: 7
format: json
scan:
  severity: HIGH
  ignore-file: [a, b]
diff: {}
""")
    scan = shown("scan", tmp_path, ECLAIR_EXIT_CODE="8", ECLAIR_VEX="x.json, y.json,")
    assert scan == {"quiet": ("true", ".eclair.yaml: line 2: quiet"), "severity": ("High", ".eclair.yaml: line 7: scan.severity"),
                    "exit-code": ("8", "ECLAIR_EXIT_CODE"), "ignore-file": ("a, b", ".eclair.yaml: line 8: scan.ignore-file"),
                    "vex": ("x.json, y.json", "ECLAIR_VEX"), "format": ("json", ".eclair.yaml: line 5: format")}
    assert shown("diff", tmp_path)["severity"] == ("Low", ".eclair.yaml: line 3: severity")
    assert "severity" not in shown("update", tmp_path) and shown("update", tmp_path)["quiet"][0] == "true"


def test_the_command_line_goes_before_all(db, small_image, tmp_path):
    (tmp_path / ".eclair.yaml").write_text("scan: {format: json, fail-on: Low, exit-code: 9}\n")
    env = environment(ECLAIR_DB=str(db))

    def code(*more, **variables):
        return eclair("scan", small_image, *more, cwd=tmp_path, env=env | variables).code
    assert (code(), code("--exit-code", "5"), code("--config="), code("--config", "")) == (9, 5, 0, 0)
    assert (code(ECLAIR_EXIT_CODE="8"), code("--exit-code", "5", ECLAIR_EXIT_CODE="8")) == (8, 5)
    r = eclair("scan", small_image, cwd=tmp_path, env=env)
    assert json.loads(r.out)["findings"]
    assert eclair("scan", small_image, "-f", "markdown", cwd=tmp_path, env=env).out.startswith(b"#"), "a list begins anew"


def test_a_switch_can_be_taken_back(db, small_image, tmp_path):
    (tmp_path / ".eclair.yaml").write_text("ignore-unfixed: true\nformat: json\n")

    def count(*more, **variables):
        return len(eclair("scan", small_image, *more, cwd=tmp_path, env=environment(ECLAIR_DB=str(db), **variables)).json()["findings"])
    assert count("--ignore-unfixed=false") > count() == count("--ignore-unfixed")
    assert count(ECLAIR_IGNORE_UNFIXED="false") > count()


def test_places_of_the_file(tmp_path, monkeypatch):
    home, xdg, here = tmp_path / "home", tmp_path / "xdg", tmp_path / "here"
    for path, severity in ((home / ".config/eclair/config.yaml", "Low"), (xdg / "eclair/config.yaml", "Medium"),
                           (here / ".eclair.yaml", "High"), (tmp_path / "named.yaml", "Critical")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"clair: {{api: {{port: 1}}}}\nseverity: {severity}\n")  # the server's half is skipped
    monkeypatch.setenv("HOME", str(home))
    assert shown("scan", tmp_path)["severity"][0] == "Low"
    assert shown("scan", tmp_path, XDG_CONFIG_HOME=str(xdg))["severity"][0] == "Medium"
    assert shown("scan", here, XDG_CONFIG_HOME=str(xdg))["severity"][0] == "High"
    assert shown("scan", here, ECLAIR_CONFIG="../named.yaml")["severity"][0] == "Critical"


BAD = {  # the file, and what is said of it
    "severty: High": ["line 1", "severty", "severity"],
    "a: b": ["line 1", "a:", "neither an option nor a command"],
    "scan:\n  severty: High": ["line 2", "scan.severty", "severity"],
    "update:\n  severity: High": ["line 2", "update.severity"],
    "scan:\n  severity: [High]": ["line 2", "scan.severity", "list"],
    "severity:\n  High: 1": ["line 1", "severity", "map"],
    "severity: Hihg": ["line 1", "severity", "'Hihg' is none of", "did you mean High?"],
    "quiet: perhaps": ["line 1", "quiet", "neither true nor false"],
    "exit-code: 256": ["line 1", "exit-code", "256"],
    "ignore-file: [a, [b]]": ["line 1", "ignore-file", "list of texts"],
    "severity:": ["line 1", "severity", "no value"],
    "config: x": ["line 1", "config"],
    "- severity": ["line 1", "keys"],
    "scan: {": ["line"],
    "serve: {log-level: info}": ["line 1", "serve"],
    # nobody named this file, and the folder may be somebody else's
    "registry-mirror: docker.io=http://127.0.0.1:1": ["line 1", "registry-mirror", "found in the current folder"],
    "scan:\n  output: /tmp/x": ["line 2", "scan.output", "found in the current folder"],
    "insecure: true": ["line 1", "insecure", "found in the current folder"],
    "format: [table, json=/tmp/x]": ["line 1", "format", "found in the current folder"],
    "db: x.db": ["line 1", "db", "--config .eclair.yaml takes it"],
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_file_says_where(text, tmp_path):
    (tmp_path / ".eclair.yaml").write_text(text)
    assert_refused(eclair("scan", "x", cwd=tmp_path), ".eclair.yaml", *BAD[text], code=2)
    assert eclair("scan", "--help", cwd=tmp_path).code == 0


def test_who_names_a_file_believes_it(db, small_image, tmp_path):
    (tmp_path / ".eclair.yaml").write_text(f"db: {db}\nformat: json=report.json\n")
    for more, variables in ((["--config", ".eclair.yaml"], {}), ([], {"ECLAIR_CONFIG": ".eclair.yaml"})):
        r = eclair("scan", small_image, *more, cwd=tmp_path, env=environment(**variables))
        assert r.code == 0 and json.loads((tmp_path / "report.json").read_text())["findings"]


def test_a_file_that_is_not_there(tmp_path):
    assert_refused(eclair("scan", "x", "--config", "nowhere.yaml", cwd=tmp_path), "--config", "nowhere.yaml", code=1)
    assert_refused(eclair("scan", "x", cwd=tmp_path, env=environment(ECLAIR_CONFIG="no.yaml")), "no.yaml", code=1)


def test_a_bad_variable_is_named(tmp_path):
    assert_refused(eclair("scan", "x", cwd=tmp_path, env=environment(ECLAIR_FAIL_ON="hgih")), "$ECLAIR_FAIL_ON", "did you mean High?",
                   code=2)
    assert_refused(eclair("scan", "x", cwd=tmp_path, env=environment(ECLAIR_QUIET="maybe")), "$ECLAIR_QUIET", code=2)


def test_old_names_have_an_environment_of_their_own(tmp_path):
    scanner = tmp_path / "clair-scanner"
    scanner.symlink_to(ECLAIR)
    (tmp_path / ".eclair.yaml").write_text("nonsense: 1\n")
    r = eclair("x.tar", program=scanner, cwd=tmp_path, env=environment(ECLAIR_THRESHOLD="nonsense", ECLAIR_CONFIG="no.yaml"))
    assert b"nonsense" not in r.err and b"no.yaml" not in r.err and b"x.tar" in r.err


def test_variables_of_options_and_of_the_server_do_not_clash():
    """Where both have one it is the same thing: --log-level is log.level."""
    server = set(re.findall(r"<br>`(ECLAIR_[A-Z_<>]+)`", eclair("config", "reference").out.decode()))
    ours = set(re.findall(r"^  (ECLAIR_[A-Z_]+)", eclair("help", "environment").out.decode(), re.M))
    assert len(server) > 40 and {"ECLAIR_SEVERITY", "ECLAIR_DB", "ECLAIR_UPDATE", "ECLAIR_CONFIG"} <= ours
    assert ours & server == {"ECLAIR_LOG_LEVEL"}
    for pattern in (re.compile(re.escape(s).replace("<SOURCE>", "[A-Z_]+").replace(r"\<SOURCE\>", "[A-Z_]+")) for s in server if "<" in s):
        assert not [o for o in ours if pattern.fullmatch(o)]
    sections = {s.split("_")[1] for s in server}
    assert [o for o in ours if o.split("_")[1] in sections and o.count("_") > 1] == ["ECLAIR_LOG_LEVEL"], "the server would warn of it"


def test_the_server_says_which_variable(tmp_path):
    r = eclair("config", "check", env=environment(ECLAIR_DB=str(tmp_path / "x.db"), ECLAIR_LOG_LEVEL="debug"))
    assert r.code == 0 and b"ECLAIR_DB" in r.out and b"ECLAIR_LOG_LEVEL" in r.out


# ---- what may have been meant ----

@pytest.mark.parametrize("arguments, meant", [(["sacn", "x"], "scan"), (["scan", "--severty", "High", "x"], "--severity"),
                                              (["scan", "x", "--severity", "Hihg"], "High"), (["scan", "x", "-f", "jsno"], "json"),
                                              (["update", "debain"], "debian"), (["db", "vaccum"], "vacuum"),
                                              (["help", "exit-code"], "exit-codes"), (["version-compare", "dpgk"], "dpkg"),
                                              (["config", "show", "sacn"], "scan"), (["scan", "x", "--update", "alway"], "always")])
def test_the_nearest_is_suggested(arguments, meant):
    assert_refused(eclair(*arguments), f"did you mean {meant}?", code=2) if not meant.startswith("--") else \
        assert_refused(eclair(*arguments), f"did you mean {meant}", code=2)


def test_nothing_is_suggested_of_what_is_far():
    assert b"mean" not in eclair("frobnicate").err + eclair("scan", "--frobnicate", "x").err


# ---- help ----

@pytest.mark.parametrize("topic", TOPICS)
def test_topics(topic):
    text = eclair("help", topic).out.decode()
    assert topic in eclair("help").out.decode() and len(text) > 300
    if topic != "config":
        assert max(map(len, text.splitlines())) <= 100


def test_topics_are_whole():
    assert [c for c in ("debian", "nvd", "disk") if c not in eclair("help", "sources").out.decode()] == []
    assert [f for f in ("sarif", "gitlab", "html") if f not in eclair("help", "outputs").out.decode()] == []
    variables = eclair("help", "environment").out.decode()
    assert [o for c in COMMANDS for o in options_of(c) if "ECLAIR_" + o.upper().replace("-", "_") not in variables] == []
    assert "NO_COLOR" in variables and "api.addr" in eclair("help", "config").out.decode()


# ---- man pages ----

PAGES = ["eclair.1", *(f"eclair-{c}.1" for c in COMMANDS), *(f"eclair-{t}.{5 if t == 'config' else 7}" for t in TOPICS)]


@pytest.fixture(scope="session")
def pages():
    return {p: eclair("help", "--man", p).out for p in PAGES}


def test_man_pages_are_those_that_are_installed(pages):
    listed = re.findall(r"'(eclair[a-z-]*\.[157])'", (ROOT / "meson.build").read_text())
    assert sorted(listed) == sorted(PAGES)
    assert_refused(eclair("help", "--man", "eclair.7"), "eclair.7", code=2)


@pytest.mark.parametrize("page", PAGES)
def test_man_page_is_clean(page, pages):
    for tool in (["mandoc", "-Tlint", "-Wwarning"], ["groff", "-ww", "-man", "-Tutf8", "-z"]):
        r = subprocess.run(tool, input=pages[page], capture_output=True, timeout=60)
        assert (r.returncode, r.stderr.decode(), r.stdout.decode()) == (0, "", ""), tool


@pytest.mark.parametrize("command", COMMANDS)
def test_man_page_has_every_option(command, pages):
    page = pages[f"eclair-{command}.1"].decode().replace("\\-", "-")
    found = re.findall(r"^(?:\\fB-.\\fR, )?\\fB--?([a-zA-Z-]+)\\fR", page, re.M)
    assert found == options_of(command)


# ---- completions ----

@pytest.fixture(scope="session")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completions")
    for shell in SHELLS:
        (folder / shell).write_bytes(eclair("completion", shell).out)
    return folder


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("command", COMMANDS)
def test_completion_has_every_option(shell, command, scripts):
    text = (scripts / shell).read_text()
    if shell == "bash":
        found = re.findall(r"--([a-zA-Z-]+)", "".join(re.findall(rf"^            {command}\) words='--help(.*)' ;;$", text, re.M)))
    elif shell == "zsh":
        part = text.partition(f"            {command})\n")[2].partition(";;")[0]
        found = [o for o in re.findall(r"^ +'\*?--([a-zA-Z-]+)", part, re.M) if o != "help"]
    else:
        found = re.findall(rf"^complete -c eclair -n '__eclair_is {command}' -l ([a-zA-Z-]+)", text, re.M)
    assert found == options_of(command)


def complete_bash(script, words):
    *before, last = words.split(" ")
    line = [*before, *re.split("(=)", last)] if "=" in last else [*before, last]
    line = [w for w in line if w or w is line[-1]]
    code = f'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _eclair; printf "%s\\n" "${{COMPREPLY[@]}}"'
    r = subprocess.run(["bash", "--norc", "-c", code, "bash", script, *line], capture_output=True, text=True, timeout=30, check=True)
    assert r.stderr == ""
    return r.stdout.split()


def complete_fish(script, words):
    r = subprocess.run(["fish", "--no-config", "-c", 'source $argv[1]; complete -C $argv[2]', script, words],
                       capture_output=True, text=True, timeout=30, check=True)
    assert r.stderr == ""
    return [line.partition("\t")[0].rpartition("=")[2] for line in r.stdout.splitlines()]


def read_until(fd, words, seconds=20):
    got, end = b"", time.monotonic() + seconds
    while words not in got:
        assert time.monotonic() < end and select.select([fd], [], [], end - time.monotonic())[0], got
        got += os.read(fd, 65536)
    return got


def complete_zsh(script, words):
    """What is offered for a line, by a zsh on a terminal of its own: TAB lists it between two marks."""
    setup = f"""
        PS1= PS2=; setopt no_auto_menu list_ambiguous; zstyle ':completion:*' list-colors; bindkey -e
        autoload -U compinit; compinit -u -D; source {script}
        LISTMAX=10000; zstyle ':completion:*' format; stty -echo
        offered() {{ compstate[insert]=; compstate[list]=; print -r -- "<<$all>>"; }}
        compadd() {{ local -a hits; builtin compadd -O hits "$@"; all+=($hits); builtin compadd "$@" }}
        all=(); comppostfuncs=(offered)
        print READ''Y
    """
    pid, fd = pty.fork()
    if not pid:
        os.environ.update(TERM="dumb", HOME="/nonexistent", LC_ALL="C")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        os.write(fd, b"\n".join(line.strip().encode() for line in setup.strip().splitlines()) + b"\n")
        read_until(fd, b"READY")
        os.write(fd, f"{words}\t".encode())
        got = read_until(fd, b">>")
        return re.search(rb"<<([^>]*)>>", got)[1].decode().split()
    finally:
        os.close(fd)
        os.waitpid(pid, 0)


COMPLETE = {"bash": complete_bash, "zsh": complete_zsh, "fish": complete_fish}
LINES = [  # line, some of what is offered, something that is not
    ("eclair sc", {"scan"}, "db"),
    ("eclair scan --sev", {"--severity"}, "--exit-code"),
    ("eclair scan --severity ", {"Low", "High", "Critical"}, "json"),
    ("eclair scan --severity=Hi", {"High"}, "Low"),
    ("eclair scan -f s", {"sarif", "spdx"}, "json"),
    ("eclair scan --update a", {"auto", "always"}, "never"),
    ("eclair update deb", {"debian"}, "alpine"),
    ("eclair db ", {"status", "vacuum", "export"}, "list"),
    ("eclair help ex", {"explain", "exit-codes"}, "scan"),
]


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_in_the_shell(shell, scripts):
    for line, some, none in LINES:
        offered = set(COMPLETE[shell](str(scripts / shell), line))
        assert some <= offered and none not in offered, (line, offered)


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_offers_files(shell, scripts, tmp_path):
    (tmp_path / "image.tar").touch()
    folder = f"{tmp_path}/"
    for line in (f"eclair scan {folder}im", f"eclair scan --ignore-file {folder}im"):
        if shell == "bash":  # leaves it to the shell: "-o default"
            assert complete_bash(str(scripts / shell), line) == []
            assert "-o default" in (scripts / shell).read_text()
        else:
            assert any(Path(o).name == "image.tar" for o in COMPLETE[shell](str(scripts / shell), line))
