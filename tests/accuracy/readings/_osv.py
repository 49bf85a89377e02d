"""What the readings of OSV records share: spec/feeds.md 12, spec/matching.md 6, and the specification of CVSS 3.1."""
import json
import math
import re
import zipfile

WORDS = {"none": "Negligible", "negligible": "Negligible", "low": "Low", "moderate": "Medium", "medium": "Medium", "important": "High",
         "high": "High", "critical": "Critical"}


def records(feeds, folder):
    with zipfile.ZipFile(feeds / "osv" / folder / "all.zip") as z:
        for name in z.namelist():
            if name.endswith(".json"):
                record = json.loads(z.read(name))
                if not record.get("withdrawn"):
                    yield record


def word(text):
    return WORDS.get((text or "").lower(), "Unknown")


def roundup(x):
    n = round(x * 100000)
    return n / 100000 if n % 10000 == 0 else (math.floor(n / 10000) + 1) / 10


def cvss3(vector):
    m = dict(part.split(":") for part in vector.split("/")[1:])
    weight = {"H": 0.56, "L": 0.22, "N": 0.0}
    lost = 1 - (1 - weight[m["C"]]) * (1 - weight[m["I"]]) * (1 - weight[m["A"]])
    changed = m["S"] == "C"
    impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15 if changed else 6.42 * lost
    rights = {"N": 0.85, "L": 0.68 if changed else 0.62, "H": 0.5 if changed else 0.27}
    reach = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
    ease = 8.22 * reach[m["AV"]] * {"L": 0.77, "H": 0.44}[m["AC"]] * rights[m["PR"]] * {"N": 0.85, "R": 0.62}[m["UI"]]
    if impact <= 0:
        return 0.0
    return roundup(min((1.08 if changed else 1) * (impact + ease), 10))


def rated(score):
    return "Negligible" if score == 0 else "Low" if score < 4 else "Medium" if score < 7 else "High" if score < 9 else "Critical"


def severity(record, affected):
    vectors = [s["score"] for s in affected.get("severity") or record.get("severity") or []]
    for version in ("CVSS:3.1/", "CVSS:3.0/"):
        scores = [cvss3(v) for v in vectors if v.startswith(version)]
        if scores:
            return rated(max(scores))
    return word((record.get("database_specific") or {}).get("severity"))


def intervals(affected):
    """[(introduced, fixed or "", last affected or "")], of versions in no range each alone."""
    found, usable = [], False
    for r in affected.get("ranges") or []:
        if r["type"] == "GIT":
            continue
        usable, begin = True, None
        for event in r["events"]:
            (kind, version), = event.items()
            if kind == "introduced" and begin is None:
                begin = version
            elif kind in ("fixed", "last_affected") and begin is not None:
                found.append((begin, version, "") if kind == "fixed" else (begin, "", version))
                begin = None
        if begin is not None:
            found.append((begin, "", ""))
    if not usable:
        found += [(v, "", v) for v in affected.get("versions") or ()] or ([] if affected.get("ranges") else [("", "", "")])
    return found


def language(feeds, folder, namespace, name=lambda n: n):
    for record in records(feeds, folder):
        for affected in record.get("affected") or []:
            package = affected.get("package") or {}
            if package.get("ecosystem") != folder:
                continue
            level = "Critical" if record["id"].startswith("MAL-") else severity(record, affected)
            for _, fixed, last in intervals(affected):
                yield (record["id"], namespace, name(package["name"]), "binary", fixed or last and f"<={last}", False, "", "", "", level,
                       "fixed" if fixed else "affected")


def modular(record, version):
    """The module streams that the summary names, for what was built in a module."""
    if not re.search(r"\.module[_+]", version):
        return [""]
    words = (re.match(r"([\w.+-]+:[\w.+-]+)(?:$|[^\w.+-])", w, re.ASCII) for w in record["summary"].split()[1:])
    return [m[1] for m in words if m] or [""]


def rpm(feeds, folders, ecosystem, namespace, ids, kind):
    for folder in folders:
        for record in records(feeds, folder):
            for affected in record["affected"] if re.match(ids, record["id"]) else []:
                what, _, release = affected["package"]["ecosystem"].partition(":")
                if what != ecosystem or folder not in (ecosystem, f"{ecosystem}:{release}"):
                    continue
                for _, fixed, _ in intervals(affected):
                    for module in modular(record, fixed):
                        yield (record["id"], f"{namespace}:{release}", affected["package"]["name"], kind, fixed, False, "", module, "",
                               word(record["summary"].partition(":")[0]), "fixed" if fixed else "affected")
