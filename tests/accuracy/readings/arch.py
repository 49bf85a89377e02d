"""Arch's tracker: spec/feeds.md 11."""
import json
import subprocess

AT_LEAST = 8000
BY_KEY = True


def read(feeds):
    raw = subprocess.run(["zstd", "-dcq", feeds / "arch/issues/all.json.zst"], stdout=subprocess.PIPE, check=True).stdout
    for group in json.loads(raw):
        never = group["status"] == "Not affected"
        fixed = "" if never else group["fixed"] or ""
        state = "fixed" if fixed or never else {"Unknown": "under_investigation", "Vulnerable": "affected"}[group["status"]]
        for issue in group["issues"]:
            for package in group["packages"]:
                yield (f"{group['name']}/{issue}", "arch", package, "binary", fixed, never, "", "", "", group["severity"], state)
