"""Ubuntu's OSV records: spec/feeds.md 2."""
import re

from readings import _osv

AT_LEAST = 100000
RELEASE = re.compile(r"Ubuntu:(Pro:)?([0-9.]+)(:LTS)?")


def entries(record):
    """{(pro, release, source): [fixed or ""]}"""
    found = {}
    for affected in record["affected"]:
        m = RELEASE.fullmatch(affected["package"]["ecosystem"])
        if m:
            found.setdefault((bool(m[1]), m[2], affected["package"]["name"]), []).extend(f for _, f, _ in _osv.intervals(affected))
    return found


def read(feeds):
    for record in _osv.records(feeds, "Ubuntu"):
        if not record["id"].startswith("UBUNTU-"):
            continue
        level, = [_osv.word(s["score"]) for s in record["severity"] if s["type"] == "Ubuntu"] or ["Unknown"]
        found = entries(record)
        for (pro, release, source), fixes in found.items():
            if pro and (False, release, source) in found:
                continue
            ends = any(found.get((True, release, source), []))
            for fixed in [""] if pro else fixes:
                yield (record["upstream"][0], f"ubuntu:{release}", source, "source", fixed, False, "", "", "", level,
                       "fixed" if fixed else "will_not_fix" if pro or ends else "affected")
