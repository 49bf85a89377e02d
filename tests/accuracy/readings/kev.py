"""CISA's known exploited vulnerabilities: spec/feeds.md 15. Read from the CSV form of the same day."""
import csv
import subprocess

AT_LEAST = 1400


def read(feeds):
    path = feeds / "cisa/sites/default/files/csv/known_exploited_vulnerabilities.csv.zst"
    text = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True, text=True).stdout
    for row in csv.DictReader(text.splitlines(keepends=True)):
        yield row["cveID"], {"kev_added": row["dateAdded"], "kev_due": row["dueDate"]}
