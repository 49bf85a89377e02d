"""Go packages of OSV: spec/feeds.md 12."""
from readings import _osv

AT_LEAST = 1000


def read(feeds):
    return _osv.language(feeds, "Go", "go", str.lower)
