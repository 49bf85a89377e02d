"""Alpine's secdb: spec/feeds.md 7. An id in several versions counts where the highest of them is, by the order of spec/matching.md 4."""
import functools
import json
import re

import expected

AT_LEAST = 10000
IDS = re.compile(r"(CVE[-_]|GHSA-|XSA-|ALPINE-)([0-9A-Za-z][0-9A-Za-z-]*[0-9A-Za-z]|[0-9A-Za-z])")


def ids(text):
    words = [m for m in (IDS.fullmatch(w.strip("(),;")) for w in text.split()) if m]
    found = [m[1].replace("_", "-") + m[2] for m in words]
    cves = [i for i in found if i.startswith("CVE-")]
    return cves or found


def read(feeds):
    for path in sorted(feeds.glob("alpine/*/*.json*")):
        document = json.loads(path.read_bytes())
        namespace = "alpine:" + document["distroversion"]
        for package in document["packages"] or []:
            package, fixes = package["pkg"], {}
            for version, texts in (package["secfixes"] or {}).items():
                for text in texts or []:
                    for name in ids(text):
                        fixes.setdefault(name, []).append(version)
            for name, versions in fixes.items():
                real = [v for v in versions if v != "0"]
                exact = [v for v in real if expected.apk_exact(v)] or real
                best = max(exact, key=functools.cmp_to_key(expected.apk_compare)) if real else ""
                yield (name, namespace, package["name"], "source", best, not real, "", "", "", "Unknown", "fixed")
