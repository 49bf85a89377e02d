"""EPSS: spec/feeds.md 15."""
import csv
import gzip
from decimal import ROUND_HALF_UP, Decimal

AT_LEAST = 70000


def millionths(text):
    return str((Decimal(text) * 1000000).quantize(Decimal(1), ROUND_HALF_UP))


def read(feeds):
    with gzip.open(feeds / "epss/epss_scores-current.csv.gz", "rt") as f:
        for row in csv.DictReader(line for line in f if not line.startswith("#")):
            yield row["cve"], {"epss": millionths(row["epss"]), "percentile": millionths(row["percentile"])}
