"""Oracle Linux: spec/feeds.md 5. Each package by the criterions beside it and beside what it lies in."""
import bz2
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

FEEDS = Path(__file__).parents[1] / "samples"  # errata of six kinds
AT_LEAST = 60
SEVERITY = {"LOW": "Low", "MODERATE": "Medium", "IMPORTANT": "High", "CRITICAL": "Critical"}
NAME = re.compile(r"\{.*\}")
COMMENT = re.compile(r"Oracle Linux (?P<release>\d+) is installed|Oracle Linux arch is (?P<arch>\S+)|Module (?P<module>\S+) is enabled")


def tag(element):
    return NAME.sub("", element.tag)


def leaves(criteria, around):
    own = [c.get("comment") for c in criteria if tag(c) == "criterion"]
    around = dict(around)
    for comment in own:
        found = COMMENT.fullmatch(comment)
        around.update({k: v for k, v in (found.groupdict() if found else {}).items() if v})
    for comment in own:
        if " is earlier than " in comment:
            yield around, *comment.split(" is earlier than ")
    for inner in (c for c in criteria if tag(c) == "criteria"):
        yield from leaves(inner, around)


def read(feeds):
    root = ElementTree.fromstring(bz2.decompress((feeds / "oracle/security/oval/com.oracle.elsa-all.xml.bz2").read_bytes()))
    for definition in (e for e in root.iter() if tag(e) == "definition"):
        texts = {tag(e): (e.text or "").strip() for e in definition.iter()}
        cpes = [e.text for e in definition.iter() if tag(e) == "cpe"]
        if cpes and all("userspace_ksplice" in c for c in cpes):
            continue
        arches = defaultdict(set)
        for around, name, evr in leaves(next(e for e in definition if tag(e) == "criteria"), {}):
            release = evr.rpartition("-")[2]
            if any(part.startswith("ksplice") for part in release.split(".")) or release.endswith("_fips"):
                continue
            arches["oracle:" + around["release"], name, around.get("module", ""), evr.removeprefix("0:")].add(around.get("arch", ""))
        everywhere = defaultdict(set)
        for (namespace, name, module, _), some in arches.items():
            everywhere[namespace, name, module] |= some
        for (namespace, name, module, evr), some in arches.items():
            shown = {""} if len(some) > 1 and some == everywhere[namespace, name, module] else some
            for arch in [more for a in sorted(shown) for more in ([a, "noarch"] if a else [a]) + (["i686"] if a in ("x86_64", "i386") else [])]:
                yield (texts["title"].partition(":")[0], namespace, name, "binary", evr, False, arch, module, "",
                       SEVERITY.get(texts["severity"], "Unknown"), "fixed")
