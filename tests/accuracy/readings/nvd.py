"""NVD: spec/feeds.md 14; what a score is called by: docs/severity.md."""
import gzip
import json
from decimal import Decimal

AT_LEAST = 14000


def severity(version, base):
    if base >= 7:
        return "High" if version == "2.0" or base < 9 else "Critical"
    return "Medium" if base >= 4 else "Low" if base or version == "2.0" else "Negligible"


def read(feeds):
    for path in sorted(feeds.glob("nvd/feeds/json/cve/2.0/*.json.gz")):
        for element in json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)["vulnerabilities"]:
            cve, scores = element["cve"], []
            for metrics in cve.get("metrics", {}).values():
                scores += [(m.get("type"), m["cvssData"]) for m in metrics]
            scores.sort(key=lambda s: (s[0] == "Primary", s[1]["version"]), reverse=True)
            if cve["vulnStatus"] == "Rejected" or not scores:
                continue
            best = scores[0][1]
            texts = [f"{s['version']}:{int(s['baseScore'] * 10)}:{s['vectorString']}" for _, s in scores]
            yield cve["id"], {"severity": severity(best["version"], best["baseScore"]), "scores": ",".join(texts)}
