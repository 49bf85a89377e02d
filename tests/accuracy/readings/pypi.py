"""PyPI packages of OSV: spec/feeds.md 12; names as PEP 503 has them."""
import re

from readings import _osv

AT_LEAST = 10000


def read(feeds):
    return _osv.language(feeds, "PyPI", "pypi", lambda name: re.sub(r"[-_.]+", "-", name).lower())
