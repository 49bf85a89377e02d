"""AlmaLinux's OSV records: spec/feeds.md 6."""
from readings import _osv

AT_LEAST = 50000


def read(feeds):
    return _osv.rpm(feeds, ["AlmaLinux:8", "AlmaLinux:9"], "AlmaLinux", "almalinux", "ALSA-", "binary")
