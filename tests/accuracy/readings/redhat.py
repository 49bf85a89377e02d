"""Red Hat's CSAF VEX: spec/feeds.md 3. The single documents that changes.csv names are not in this mirror: all come from the archive."""
import io
import json
import re
import subprocess
import tarfile
from collections import defaultdict
from urllib.parse import unquote

BY_KEY = True
SEVERITY = {"Critical": "Critical", "Important": "High", "Moderate": "Medium", "Low": "Low"}
ALL_ARCHES = {"x86_64", "aarch64", "ppc64le", "s390x"}
OWN_VERSIONS = r"enterprise_linux|rhel_(eus|eus_long_life|aus|e4s|tus|els|mission_critical|extras\w*)"


def unpacked(path):
    return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout


def namespace(cpe):
    layered = re.match(r"cpe:/[ao]:redhat:.*:el(\d+)(:|$)", cpe)
    own = re.match(rf"cpe:/[ao]:redhat:({OWN_VERSIONS}):(\d+)", cpe)
    number = layered.group(1) if layered else own.group(3) if own else None
    return number and f"rhel:{int(number)}"


def package(purl):
    """name, epoch:version-release, arch, name:stream"""
    found = re.match(r"pkg:rpm/(?:[^@?]*/)?([^@?/]+)(?:@([^?]*))?(?:\?(.*))?$", purl)
    if not found:
        return None
    qualifiers = dict(q.split("=", 1) for q in (found.group(3) or "").split("&") if q)
    version, epoch = unquote(found.group(2) or ""), int(qualifiers.get("epoch", 0))
    module = ":".join(unquote(qualifiers.get("rpmmod", "")).split(":")[:2])
    return unquote(found.group(1)), f"{epoch}:{version}" if version and epoch else version, qualifiers.get("arch", ""), module


class Products:
    def __init__(self, tree):
        self.leaves, self.relations = {}, {}
        self.branches(tree.get("branches", []))
        for r in tree.get("relationships", []):
            self.relations[r["full_product_name"]["product_id"]] = r["product_reference"], r["relates_to_product_reference"]

    def branches(self, branches):
        for b in branches:
            if "product" in b:
                self.leaves[b["product"]["product_id"]] = b["product"].get("product_identification_helper", {})
            self.branches(b.get("branches", []))

    def resolve(self, product):
        """(package, CPE), None where it is no rpm in a product with a release of RHEL. Until 2025 a module stood between the two."""
        if product not in self.relations:
            return None
        part, whole = self.relations[product]
        rpm, module = package(self.leaves.get(part, {}).get("purl", "")), ""
        if rpm and whole in self.relations:
            part, whole = self.relations[whole]
            found = re.match(r"pkg:rpmmod/redhat/([^@]+)@([^:]+)", self.leaves.get(part, {}).get("purl", ""))
            module = f"{found.group(1)}:{found.group(2)}"
        cpe = self.leaves.get(whole, {}).get("cpe", "")
        return ((*rpm[:3], rpm[3] or module), cpe) if rpm and namespace(cpe) else None


def state(remediation):
    if remediation["category"] == "no_fix_planned":
        return "end_of_life" if remediation["details"] == "Out of support scope" else "will_not_fix"
    return "affected" if remediation["category"] == "none_available" else None


def scores(vulnerability):
    texts = []
    for s in vulnerability.get("scores", []):
        for version in ("cvss_v2", "cvss_v3", "cvss_v4"):
            if version in s:
                text = f"{s[version]['version']}:{round(s[version]['baseScore'] * 10)}:{s[version]['vectorString']}"
                if text not in texts:
                    texts.append(text)
    return ",".join(texts)


def merged(groups):
    """{everything but arch: arches} -> rows"""
    for (key, space, name, kind, fixed, module, cpe, severity, how), arches in groups.items():
        whole = "" in arches or arches == {"noarch"} or ALL_ARCHES <= arches
        for arch in {""} if whole else arches:
            yield key, space, name, kind, fixed, False, arch, module, cpe, severity, how


def ranges(cve, vulnerability, products):
    states, fixes = {}, defaultdict(set)
    impacts = [t for t in vulnerability.get("threats", []) if t["category"] == "impact"]
    of_all = [SEVERITY[t["details"]] for t in impacts if "product_ids" not in t]
    severity = defaultdict(lambda: of_all[0] if of_all else "Unknown",
                           {p: SEVERITY[t["details"]] for t in impacts for p in t.get("product_ids", [])})
    for r in vulnerability.get("remediations", []):
        for p in r.get("product_ids", []):
            if r["category"] == "vendor_fix":
                fixes[p].add(f"{cve}/{r['url'].rsplit('/', 1)[1]}")
            elif state(r):
                states[p] = state(r)
    status = vulnerability.get("product_status", {})
    groups, binary, positive = defaultdict(set), set(), set()
    for p in status.get("fixed", []):
        found = products.resolve(p)
        if not found:
            continue
        (name, fixed, arch, module), cpe = found
        kind = "source" if arch in ("", "src") else "binary"
        for key in fixes.get(p, {cve}):
            groups[key, namespace(cpe), name, kind, fixed, module, cpe, severity[p], "fixed"].add(
                arch if kind == "binary" else "")
            positive.add((namespace(cpe), name, module))
            if kind == "binary":
                binary.add((key, cpe))
    # a source counts only where no binary package is named beside it
    groups = defaultdict(set, {g: a for g, a in groups.items() if g[3] == "binary" or (g[0], g[6]) not in binary})
    for p in status.get("known_affected", []):
        found = products.resolve(p)
        if found:
            (name, _, arch, module), cpe = found
            groups[cve, namespace(cpe), name, "source" if arch == "src" else "binary", "", module, cpe, severity[p],
                   states.get(p, "affected")].add("" if arch == "src" else arch)
            positive.add((namespace(cpe), name, module))
    yield from merged(groups)
    negative = set()
    for p in status.get("known_not_affected", []):
        found = products.resolve(p)
        if found and re.fullmatch(r"cpe:/[ao]:redhat:enterprise_linux:\d+", found[1]):
            (name, _, arch, module), cpe = found
            if (namespace(cpe), name, module) not in positive:
                negative.add((namespace(cpe), name, "source" if arch == "src" else "binary", module))
    for space, name, kind, module in negative:
        yield cve, space, name, kind, "", True, "", module, "", "", ""


def read(feeds):
    vex = feeds / "redhat/data/csaf/v2/vex"
    archive = vex / (vex / "archive_latest.txt").read_text().strip()
    for member in (tar := tarfile.open(fileobj=io.BytesIO(unpacked(archive)))).getmembers():
        document = json.load(tar.extractfile(member)) if member.isfile() else None
        if not document or document["document"]["tracking"]["status"] == "deleted":
            continue
        products = Products(document.get("product_tree", {}))
        for v in document["vulnerabilities"]:
            rows = list(ranges(v["cve"], v, products))
            yield from rows
            if scores(v) and not any(row[0] == v["cve"] for row in rows):
                yield v["cve"], {"scores": scores(v)}
    for name, repository in json.loads(unpacked(feeds / "redhat/data/metrics/repository-to-cpe.json.zst"))["data"].items():
        if repository["cpes"]:
            yield f"repository/{name}", {"cpes": ",".join(repository["cpes"])}
