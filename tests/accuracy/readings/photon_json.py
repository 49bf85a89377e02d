"""Photon OS: spec/feeds.md 11, the JSON; entries published with MaineK00n/vuls-data-update and anchore/vunnel (Apache-2.0)."""
import json
import re
from pathlib import Path

FEEDS = Path(__file__).parents[1] / "samples"
FEED = "photon"
AT_LEAST = 7
BOUNDS = ((9, "Critical"), (7, "High"), (4, "Medium"), (0.1, "Low"))


def read(feeds):
    for path in (feeds / "photon/photon_cve_metadata").glob("cve_data_photon*.json"):
        namespace = "photon:" + re.search(r"photon(\d+)\.0", path.name)[1]
        for row in json.loads(path.read_text()):
            if not row["cve_id"].startswith("CVE-"):
                continue
            negative = row["status"] == "Not Affected"
            fixed = "" if negative or row["res_ver"] == "NA" else row["res_ver"]
            severity = next((name for bound, name in BOUNDS if (row["cve_score"] or 0) >= bound), "Unknown")
            yield (row["cve_id"], namespace, row["pkg"], "binary", fixed, negative, "", "", "", severity,
                   "fixed" if fixed else "affected")
