"""What the program loaded of each real source, against an independent reading of the same files (readings/NAME.py).

    read(feeds) -> tuples (key or id, namespace, package, "source" or "binary", fixed, negative, arch, module, cpe, severity, state)
                   of affected ranges, or (id, {field: value}) of what is said of an id as such

All of them are compared, in both directions.
"""
import importlib.util
import subprocess
from collections import Counter
from pathlib import Path

import helpers
import pytest

READINGS = sorted(p.stem for p in (Path(__file__).parent / "readings").glob("[a-z]*.py"))
DUMP = helpers.ECLAIR.parent / "tests/unit/feed_dump"
SHOWN = 8
METADATA = ("severity", "scores", "epss", "percentile", "kev_added", "kev_due", "cpes")


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "readings" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loaded(db, feed):
    """[(key, id, rest of the fields)]"""
    assert DUMP.exists(), f"{DUMP} is not built: the accuracy tests want a build with -Dtests=true"
    p = subprocess.run([DUMP, db, feed], stdout=subprocess.PIPE, check=True)
    for line in p.stdout.decode("utf-8", "surrogateescape").splitlines():
        key, advisory, _, *rest = line.split("\t")
        yield key, advisory, rest


def rows_of(db, feed, by_key):
    ranges, metadata = Counter(), {}
    for key, advisory, rest in loaded(db, feed):
        name = key if by_key else advisory
        if len(rest) == len(METADATA):
            metadata[name] = {f: v for f, v in zip(METADATA, rest) if v}
            continue
        namespace, package, kind, _, fixed, negative, arch, module, cpe, severity, state = rest
        ranges[name, namespace, package, kind, fixed, negative == "1", arch, module, cpe, severity, state] += 1
    return ranges, metadata


@pytest.mark.parametrize("name", READINGS)
def test_reading(name, tmp_path):
    module = load(name)
    feed, db = getattr(module, "FEED", name), tmp_path / "one.db"
    feeds = getattr(module, "FEEDS", None) or helpers.need_data("feeds")  # its own: samples beside the tests
    expected = list(module.read(feeds))
    assert len(expected) >= getattr(module, "AT_LEAST", 200)
    helpers.update(db, feeds, feed, timeout=600)
    ranges, metadata = rows_of(db, feed, getattr(module, "BY_KEY", False))
    wanted = Counter(tuple(e[:9]) + (("", "") if e[5] else tuple(e[9:])) for e in expected if not isinstance(e[1], dict))
    missed, extra = wanted - ranges, ranges - wanted
    assert not missed and not extra, (sum(missed.values()), sum(extra.values()), list(missed)[:SHOWN], list(extra)[:SHOWN])
    said = {e[0]: e[1] for e in expected if isinstance(e[1], dict)}
    assert said.keys() == metadata.keys()
    wrong = [(k, said[k], metadata[k]) for k in said if said[k] != metadata[k]]
    assert not wrong, (len(wrong), wrong[:SHOWN])
