"""Debian's tracker: spec/feeds.md 1, and design.md 9 for what is never affected, undetermined and at its end of life."""
import json
import subprocess

NUMBERS = {"buster": "debian:10", "bullseye": "debian:11", "bookworm": "debian:12", "trixie": "debian:13", "forky": "debian:14",
           "sid": "debian:unstable"}
URGENCY = {"unimportant": "Negligible", "end-of-life": "Negligible", "low": "Low", "medium": "Medium", "high": "High"}


def state(entry):
    if entry["status"] == "resolved":
        return "fixed"
    if entry["urgency"] == "end-of-life":
        return "end_of_life"
    return "will_not_fix" if entry.get("nodsa_reason") == "ignored" else "affected"


def read(feeds):
    raw = subprocess.run(["zstd", "-dcq", feeds / "debian/tracker/data/json.zst"], stdout=subprocess.PIPE, check=True).stdout
    for package, issues in json.loads(raw).items():
        for name, issue in issues.items():
            for codename, entry in issue["releases"].items():
                fixed = entry.get("fixed_version", "")
                if codename not in NUMBERS or entry["status"] == "undetermined" or (entry["status"] == "resolved" and not fixed):
                    continue
                never = entry["status"] == "resolved" and fixed == "0"
                yield (name, NUMBERS[codename], package, "source", "" if never or entry["status"] == "open" else fixed, never, "", "", "",
                       URGENCY.get(entry["urgency"].rstrip("*"), "Unknown"), state(entry))
