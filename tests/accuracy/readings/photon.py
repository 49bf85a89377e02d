"""Photon OS: spec/feeds.md 11. The OVAL file, by its tests, objects and states; the program reads comments."""
import gzip
import re
import xml.etree.ElementTree as ElementTree

SEVERITY = {"low": "Low", "moderate": "Medium", "medium": "Medium", "important": "High", "critical": "Critical"}


def tag(element):
    return element.tag.rpartition("}")[2]


def child(element, name):
    return next((c for c in element.iter() if tag(c) == name), None)


def by_id(root, part):
    return {e.get("id"): e for e in child(root, part)}


def text(element, name):
    found = child(element, name)
    return (found.text or "").strip() if found is not None else ""


def read(feeds):
    for path in sorted((feeds / "photon/photon_oval_definitions").glob("*.xml.gz")):
        root = ElementTree.fromstring(gzip.decompress(path.read_bytes()))
        release = re.search(r"photon(\d+)", path.name).group(1)
        tests, objects, states = (by_id(root, part) for part in ("tests", "objects", "states"))
        for definition in child(root, "definitions"):
            fixes = set()
            for criterion in (c for c in definition.iter() if tag(c) == "criterion"):
                test = tests[criterion.get("test_ref")]
                state = states[child(test, "state").get("state_ref")]
                evr = child(state, "evr")
                if evr is not None and evr.get("operation") == "less than":
                    fixes.add((text(objects[child(test, "object").get("object_ref")], "name"), evr.text.removeprefix("0:")))
            severity = SEVERITY.get(text(definition, "severity").lower(), "Unknown")
            for cve in {(c.text or "").strip() for c in definition.iter() if tag(c) == "cve"} - {""}:
                for name, evr in fixes:
                    yield cve, f"photon:{release}", name, "binary", evr, False, "", "", "", severity, "fixed"
