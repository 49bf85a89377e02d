"""eclair push: its table against a model of its own, and its whitelists."""
import json
import random
import re

import pytest
from push_peers import Clair, docker, layer_answer, run, scanner  # noqa: F401

# ---- the table, against a model of its own ----

RANKS = ("Defcon1", "Critical", "High", "Medium", "Low", "Negligible", "Unknown")
HEAD = ("STATUS", "CVE SEVERITY", "PACKAGE NAME", "PACKAGE VERSION", "CVE DESCRIPTION")


def broken(text, limit):
    """Lines of least cost, tried one by one (spec/clair-scanner.md 7)."""
    words = text.split(" ")
    limit = max([limit, *map(len, words)])
    cost, end = [0] * (len(words) + 1), [len(words)] * len(words)
    for i in reversed(range(len(words))):
        if len(" ".join(words[i:])) <= limit:
            continue
        cost[i] = 1 << 60
        for j in range(i + 1, len(words)):
            length = len(" ".join(words[i:j]))
            c = (limit - length) ** 2 + cost[j] + (100000 if length > limit else 0)
            if c < cost[i]:
                cost[i], end[i] = c, j
    lines, i = [], 0
    while i < len(words):
        lines.append(" ".join(words[i:end[i]]))
        i = end[i]
    return lines


def model(vulnerabilities, threshold, every):
    """(feature, version, vulnerability) in the server's order -> the table, or b""."""
    rank = {name: i for i, name in enumerate(RANKS)}
    bad = [v["Name"] for _, _, v in vulnerabilities if rank.get(v["Severity"], -1) <= rank[threshold]]
    shown = [x for x in vulnerabilities for _ in range(1 if every else bad.count(x[2]["Name"]))]
    if not bad and not (every and vulnerabilities):
        return b""
    width, rows = [min(len(h), 30) for h in HEAD], []
    for feature, version, v in sorted(shown, key=lambda x: rank.get(x[2]["Severity"], -1)):
        status = "Unapproved" if v["Name"] in bad else "Approved"
        row = []
        for k, text in enumerate((status, f"{v['Severity']} {v['Name']}", feature, version,
                                  f"{v['Description']}\n\n{v['Link']}")):
            width[k] = max(width[k], min(len(text.replace("\n", "")), 30))
            row.append(broken(text.replace("\n", " "), width[k]))
            width[k] = max(width[k], *map(len, row[k]))
        rows.append(row)
    rule = "+" + "+".join("-" * (w + 2) for w in width) + "+\n"
    out = rule + "".join(f"| {h:{w}} " for h, w in zip(HEAD, width)) + "|\n" + rule
    for row in rows:
        for y in range(max(map(len, row))):
            line = "".join(f"| {cell[y] if y < len(cell) else '':{w}} " for cell, w in zip(row, width)) + "|\n"
            line = re.sub(r"^\| (Unapproved|Approved)", lambda m: f"| \x1b[1;{31 if m[1][0] == 'U' else 36}m{m[1]}\x1b[0m", line)
            out += line
        out += rule
    return out.encode()


@pytest.mark.parametrize("seed", range(24))
def test_table(seed, scanner, docker):
    rnd = random.Random(seed)

    def text(words, longest):
        return "".join(rnd.choice([" ", " ", " ", "  ", "\n"]) * (i > 0) + "w" * rnd.randint(1, rnd.choice([3, 8, longest]))
                       for i in range(rnd.randint(0, words)))

    features, expected = [], []
    for f in range(rnd.randint(1, 6)):
        name, version = text(3, 40).strip() or "f", text(2, 30)
        found = [{"Name": f"CVE-{rnd.randint(1, 8)}", "Severity": rnd.choice([*RANKS, "Odd"]), "Link": text(3, 500),
                  "Description": text(60, rnd.choice([12, 600]))} for _ in range(rnd.randint(0, 3))]
        features.append({"Name": name, "Version": version, "Vulnerabilities": found})
        expected += [(name, version, v) for v in found]
    threshold, every = rnd.choice(RANKS), rnd.random() < 0.6
    with Clair(get=(200, layer_answer(Features=features)), fetch=False) as clair:
        r = run(scanner, docker, clair, "-t", threshold, f"--all={every}")
    want = model(expected, threshold, every)
    assert r.out == want and r.code == (b"Unapproved" in want)


# ---- whitelists ----

IDS = ("CVE-2016-9840", "CVE-2016-9841", "CVE-2099-0001")

WHITELISTS = {  # text -> image, how many of the three are approved
    "empty": (b"", "alpine:3.5", 0),
    "null": (b"generalwhitelist:\nimages:\n", "alpine:3.5", 0),
    "other keys": (b"generalWhitelist: {CVE-2016-9840: x}\nother: [1]\n", "alpine:3.5", 0),
    "no value": (b"generalwhitelist:\n  CVE-2016-9840:\n  CVE-2016-9841: 3\n", "alpine:3.5", 2),
    "twice": (b"generalwhitelist: {CVE-2016-9840: a, CVE-2016-9840: b}\n", "alpine:3.5", 1),
    "letter case": (b"generalwhitelist: {cve-2016-9840: a}\n", "alpine:3.5", 0),
    "both": (b"generalwhitelist: {CVE-2016-9840: a}\nimages: {alpine: {CVE-2016-9841: b}}\n", "alpine:3.5", 2),
    "no tag": (b"images: {alpine: {CVE-2016-9841: b}}\n", "alpine", 1),
    "other image": (b"images: {library/alpine: {CVE-2016-9841: b}}\n", "alpine:3.5", 0),
    "with its tag": (b"images: {'alpine:3.5': {CVE-2016-9841: b}}\n", "alpine:3.5", 0),
    "registry's port": (b"images: {registry: {CVE-2016-9841: b}}\n", "registry:5000/alpine:3.5", 1),
    "digest": (b"images: {alpine@sha256: {CVE-2016-9841: b}}\n", "alpine@sha256:abc", 1),
}


@pytest.mark.parametrize("name", WHITELISTS)
def test_whitelist(name, scanner, docker, tmp_path):
    text, image, approved = WHITELISTS[name]
    path, report, docker.name = tmp_path / "w", tmp_path / "r", image
    path.write_bytes(text)
    with Clair() as clair:
        r = run(scanner, docker, clair, "-w", path, "-r", report, image=image)
    assert r.code == 1 and len(json.loads(report.read_text())["unapproved"]) == 3 - approved


BAD_WHITELISTS = {
    "general is a list": (b"generalwhitelist:\n  - CVE-1\n", "unmarshal errors:\n  line 2: cannot unmarshal !!seq into map[string]string"),
    "images of lists": (b"images:\n  other:\n  - CVE-1\n", "cannot unmarshal !!seq into map[string]string"),
    "a list as a reason": (b"generalwhitelist:\n  CVE-1: []\n", "line 2: cannot unmarshal !!seq into string"),
    "a word": (b"some words here\n", "cannot unmarshal !!str `some wo...` into main.vulnerabilitiesWhitelist"),
    "no yaml": (b"a: [\n", "line "), "too large": (b"#" * (5 << 20), "more than 4 MiB"),
}


@pytest.mark.parametrize("name", BAD_WHITELISTS)
def test_bad_whitelist(name, scanner, docker, tmp_path):
    text, words = BAD_WHITELISTS[name]
    path = tmp_path / "w"
    path.write_bytes(text)
    with Clair() as clair:
        r = run(scanner, docker, clair, "-w", path)
    assert (r.code, r.out, clair.requests, docker.asked) == (1, b"", [], [])
    assert "[CRIT] ▶ Could not parse whitelist file, could not " in r.err.decode() and words in r.err.decode(), r.err
