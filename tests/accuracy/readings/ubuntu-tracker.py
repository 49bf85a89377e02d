"""The old tracker of Ubuntu: spec/updaters-legacy.md 3; "pending" is affected (spec/feeds.md 2), and what only extended support (esm) has is no
fix for all."""
import io
import re
import subprocess
import tarfile

AT_LEAST = 50000
VERSIONS = {"precise": "12.04", "trusty": "14.04", "xenial": "16.04", "lucid": "10.04", "maverick": "10.10", "quantal": "12.10", "raring": "13.04",
            "saucy": "13.10", "utopic": "14.10", "vivid": "15.04", "wily": "15.10", "yakkety": "16.10", "zesty": "17.04", "artful": "17.10",
            "cosmic": "18.10", "disco": "19.04", "eoan": "19.10"}
LINE = re.compile(r"(\w+)(/esm)?_([^\s:_/]+):\s*([\w-]+)\s*(.*)")
DPKG = re.compile(r"(\d+:)?\d[A-Za-z0-9.+~:-]*")
PRIORITIES = {"negligible": "Negligible", "low": "Low", "medium": "Medium", "high": "High", "critical": "Critical"}


def judge(status, note):
    """(fixed, negative, state) or None"""
    if status == "released":
        version = note.split(",")[0].strip("() ")
        if not DPKG.fullmatch(version):
            return None
        return ("", False, "will_not_fix") if "esm" in version else (version, False, "fixed")
    if status == "not-affected":
        return "", True, ""
    if status == "ignored" and re.search("was (needed|pending|deferred|active)", note):
        return "", False, "end_of_life"
    return ("", False, "affected") if status in ("needed", "active", "deferred", "pending") else None


def issue(text):
    level, base, esm, describing = "Unknown", {}, {}, False
    for line in map(str.strip, text.splitlines()):
        if re.match("(Ubuntu-Description|Notes|Bugs|Priority|Discovered-by|Assigned-to):", line):
            describing = False
        if describing or line.startswith("#"):
            continue
        describing = line.startswith("Description:")
        if line.startswith("Priority:"):
            level = PRIORITIES.get((line.split() + [""])[1], "Unknown")
        m = LINE.fullmatch(line)
        if m and m[1] in VERSIONS and not m[3].startswith("linux"):
            said = judge(m[4], m[5])
            if said:
                (esm if m[2] else base).setdefault((VERSIONS[m[1]], m[3]), said)
    return level, {**esm, **base}


def read(feeds):
    raw = subprocess.run(["zstd", "-dcq", feeds / "ubuntu/ubuntu-cve-tracker-2020-06.tar.zst"], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            name = re.search(r"/(?:active|retired)/(CVE-[^/]+)$", member.name)
            if not name:
                continue
            text = tar.extractfile(member).read().decode("utf-8", "replace")
            candidate = re.search(r"^Candidate:\s*(\S+)", text, re.M)
            level, found = issue(text)
            for (release, package), (fixed, negative, state) in found.items():
                yield (candidate[1] if candidate else name[1], f"ubuntu:{release}", package, "source", fixed, negative, "", "", "", level, state)
