"""Rocky Linux's OSV records: spec/feeds.md 6. They name sources: of 653 names none is a "-libs"."""
from readings import _osv

AT_LEAST = 5000


def read(feeds):
    return _osv.rpm(feeds, ["Rocky Linux"], "Rocky Linux", "rocky", "R[LX]SA-", "source")
