"""The recipes of examples/ci: their shell steps, taken out of the files and run as GitHub, GitLab and Jenkins run them."""
import json
import os
import re
import subprocess
from xml.etree import ElementTree

import helpers
import jsonschema
import pytest
import test_outputs
import yaml
from helpers import ECLAIR, ROOT, environment

CI = ROOT / "examples/ci"
IMAGE = ROOT / "examples/images/debian-bullseye.docker.tar.zst"  # by Debian's data alone: Low ones, and nothing worse


@pytest.fixture
def place(tmp_path):
    """A folder to work in, and `eclair` on the PATH; data are those of examples/feeds."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/eclair").symlink_to(ECLAIR)
    (tmp_path / "work").mkdir()
    return tmp_path


def run(place, shell, script, variables):
    env = environment(**{"ECLAIR_MIRROR": str(ROOT / "examples/feeds")} | variables)
    env["PATH"] = f"{place}/bin:{env['PATH']}"
    p = subprocess.run([*shell, script], cwd=place / "work", env=env, capture_output=True, timeout=120)
    return p.returncode, p.stdout.decode() + p.stderr.decode()


# ---- GitHub: https://docs.github.com/actions, "shell: bash" of a composite action ----

def github(place, **given):
    action = yaml.safe_load((CI / "github/action.yml").read_text())
    inputs = {name: given.get(name, about.get("default")) for name, about in action["inputs"].items()}
    assert not set(given) - set(inputs) and action["runs"]["using"] == "composite"
    step, = [s for s in action["runs"]["steps"] if "run" in s]
    assert "${{" not in step["run"], "what others wrote would be code"
    variables = {k: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: inputs[m[1]], v) for k, v in step["env"].items()}
    files = {name: str(place / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    code, text = run(place, ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"], step["run"], variables | files)
    uploads = [s["with"]["sarif_file"] for s in action["runs"]["steps"] if "upload-sarif" in s.get("uses", "")]
    assert uploads == ["eclair.sarif"]
    return code, text


def test_github(place):
    code, text = github(place, image=str(IMAGE), **{"fail-on": "Low"})
    assert code == 4 and "::error::vulnerabilities of severity Low" in text and "SEVERITY" in text
    test_outputs.follow(test_outputs.schema("sarif-schema-2.1.0.json"), {"github": (place / "work/eclair.sarif").read_text()})
    assert (place / "GITHUB_OUTPUT").read_text() == f"sarif={place / 'work/eclair.sarif'}\n"
    assert "CVE-" in (place / "GITHUB_STEP_SUMMARY").read_text()


def low_ones():
    found = helpers.eclair("scan", IMAGE, "-f", "json", env=environment(ECLAIR_UPDATE="auto", ECLAIR_MIRROR=str(ROOT / "examples/feeds"))).json()
    return "".join(f"{f['id']}\n" for f in found["findings"] if f["severity"] == "Low")


@pytest.mark.parametrize("given, code", [({}, 0), ({"fail-on": ""}, 0), ({"fail-on": "Hihg"}, 2),
                                         ({"image": "no such image"}, 1), ({"fail-on": "Low", "ignore-file": "accepted"}, 0)])
def test_github_exit_codes(given, code, place):
    (place / "work/accepted").write_text(low_ones() if "ignore-file" in given else "")
    got, text = github(place, **{"image": str(IMAGE)} | given)
    assert got == code, text
    assert (place / "work/eclair.sarif").exists() == (code == 0)


def test_github_inputs_are_no_code(place):
    github(place, image="$(touch ../owned)`touch ../owned`\"; touch ../owned #")
    assert not (place / "owned").exists()


def test_github_not_covered(place, small_image):
    code, text = github(place, image=str(small_image))
    assert code == 3 and "::error::éclair cannot judge this image" in text, text  # Debian 12 is not in examples/feeds


# ---- GitLab: variables, then before_script and script in one shell ----

def gitlab(place, **variables):
    job = yaml.safe_load((CI / "gitlab/eclair.gitlab-ci.yml").read_text())["eclair"]
    project = {"CI_PROJECT_DIR": str(place / "work")}
    env = {k: re.sub(r"\$(\w+)", lambda m: project[m[1]], v) for k, v in job["variables"].items()} | project | variables
    script = "\n".join([*job.get("before_script", []), *job["script"]])
    return *run(place, ["bash", "-eo", "pipefail", "-c"], script, env), job


def test_gitlab(place):
    code, text, job = gitlab(place, ECLAIR_SCAN_IMAGE=str(IMAGE), ECLAIR_FAIL_ON="Low")
    assert code == 4, text
    work = place / "work"
    reports = job["artifacts"]["reports"]
    report = (work / reports["container_scanning"]).read_text()
    test_outputs.follow(jsonschema.Draft202012Validator(test_outputs.GITLAB), {"gitlab": report})
    assert json.loads(report)["vulnerabilities"]
    test_outputs.test_junit_follows_the_rules(lambda form: {form: (work / reports["junit"]).read_text()})
    assert all((work / path).exists() for path in job["artifacts"]["paths"])
    assert (work / ".cache/eclair/eclair.db").exists() and job["cache"]["paths"] == [".cache/eclair/"]


@pytest.mark.parametrize("variables, code", [({}, 0), ({"ECLAIR_FAIL_ON": ""}, 0), ({"ECLAIR_EXIT_CODE": "9", "ECLAIR_FAIL_ON": ""}, 9),
                                             ({"ECLAIR_EXIT_CODE": "9"}, 0),
                                             ({"ECLAIR_SEVERITY": "nonsense"}, 2), ({"ECLAIR_SCAN_IMAGE": "nothing"}, 1)])
def test_gitlab_exit_codes(variables, code, place):
    got, text, _ = gitlab(place, **{"ECLAIR_SCAN_IMAGE": str(IMAGE)} | variables)
    assert got == code, text


# ---- Jenkins: a step of "sh" is run by "sh -xe" ----

def jenkins(place, **variables):
    text = (CI / "jenkins/Jenkinsfile").read_text()
    script, = re.findall(r"sh returnStatus: true, script: '''(.*?)'''", text, re.S)
    block = re.search(r"environment \{(.*?)\n    \}", text, re.S)[1]
    env = dict(re.findall(r"^ *(\w+) = '([^']*)'$", block, re.M))
    assert {"IMAGE", "ECLAIR_FAIL_ON"} <= set(env)
    return *run(place, ["sh", "-xec"], script, env | variables), text


def test_jenkins(place):
    code, said, text = jenkins(place, IMAGE=str(IMAGE), ECLAIR_FAIL_ON="Low")
    assert code == 4 and "if (code == 4)" in text, said
    junit, = re.findall(r"testResults: '([^']*)'", text)
    test_outputs.test_junit_follows_the_rules(lambda form: {form: (place / "work" / junit).read_text()})
    assert int(ElementTree.parse(place / "work" / junit).getroot()[0].get("failures")) > 0
    assert {p.name for p in (place / "work").glob("eclair.*")} == {"eclair.xml", "eclair.html", "eclair.sarif"}
    assert jenkins(place, IMAGE=str(IMAGE))[0] == 0
    assert jenkins(place, IMAGE="nothing")[0] == 1
