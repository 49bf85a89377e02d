"""SUSE: spec/feeds.md 9. Products and packages of the own sample, whose groups are those of SUSE: products, then packages."""
import gzip
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

FEEDS = Path(__file__).parents[1] / "samples"
AT_LEAST = 5
SEVERITY = {"low": "Low", "moderate": "Medium", "important": "High", "critical": "Critical"}


def tag(element):
    return element.tag.rpartition("}")[2]


def namespace(product):
    if leap := re.fullmatch(r"openSUSE Leap ([\d.]+) is installed", product):
        return "opensuse.leap:" + leap[1]
    if sles := re.fullmatch(r"SUSE Linux Enterprise (?:Server|Module for .*) (\d\d)(?: SP(\d))?(?:-LTSS)? is installed", product):
        return "sles:" + sles[1] + ("." + sles[2] if sles[2] else "")
    return None


def read(feeds):
    for path in (feeds / "suse/pub/projects/security/oval").glob("*.xml.gz"):
        root = ElementTree.fromstring(gzip.decompress(path.read_bytes()))
        by_id = {e.get("id"): {tag(c): c for c in e} for part in root[2:] for e in part}
        for definition in root[1]:
            title = next(e.text.strip() for e in definition.iter() if tag(e) == "title")
            severity = SEVERITY[next(e.text for e in definition.iter() if tag(e) == "severity").lower()]
            for product in (c for c in definition[1] if tag(c) == "criteria"):  # OR of (products AND packages)
                criterions = [c for c in product.iter() if tag(c) == "criterion"]
                spaces = {namespace(c.get("comment")) for c in criterions} - {None}
                for c in criterions:
                    if " " in c.get("comment").removesuffix(" is installed").removesuffix(" is affected").removesuffix(" is not affected"):
                        continue
                    test = by_id[c.get("test_ref")]
                    name = by_id[test["object"].get("object_ref")]["name"].text
                    state = by_id[test["state"].get("state_ref")]
                    bound = state["evr"] if "evr" in state else state["version"]
                    arches = state["arch"].text.strip("()").split("|") if "arch" in state else [""]
                    fixed = bound.text.removeprefix("0:") if bound.get("operation") == "less than" else ""
                    for space in spaces:
                        for arch in arches if len(arches) == 1 else [""]:
                            yield (title, space, name, "binary", fixed, bound.get("operation") == "equals", arch, "", "", severity,
                                   "fixed" if fixed else "affected")
