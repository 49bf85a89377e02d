"""Red Hat's advisories of OSV: spec/feeds.md 12.1."""
import re

from readings import _osv

FEED = "redhat-osv"
AT_LEAST = 100000
SYSTEM = {"baseos", "server", "client", "workstation", "computenode", "fastdatapath"}
PRODUCTS = ("enterprise_linux", "rhel_eus", "rhel_eus_long_life", "rhel_aus", "rhel_e4s", "rhel_tus", "rhel_els", "rhel_mission_critical")
STREAM = re.compile(r"([A-Za-z0-9._+-]+):([A-Za-z0-9._+-]+)")


def namespace(product):
    """The last edition "elN" counts, else the version of what is RHEL itself."""
    parts = product.split(":")
    layers = [m[1] for m in (re.fullmatch(r"el(\d{1,2})", p) for p in parts[2:]) if m]
    if layers:
        return "rhel:" + layers[-1]
    version = re.match(r"\d{1,2}(?=\.|$)", parts[1]) if len(parts) > 1 else None
    return "rhel:" + version[0] if version and (parts[0] in PRODUCTS or parts[0].startswith("rhel_extras")) else None


def cpe(product):
    name, edition = product.split(":")[0], product.rpartition(":")[2]
    system = name in ("rhel_els", "rhev_hypervisor") or (name == "enterprise_linux" or name.startswith("rhel_")) and edition in SYSTEM
    return f"cpe:/{'o' if system else 'a'}:redhat:{product}"


def read(feeds):
    for record in _osv.records(feeds, "Red Hat"):
        words = record.get("summary", "").split()
        streams = [m[0] for m in (STREAM.match(w) for w in words) if m and m[0] != record["id"]]
        for affected in record.get("affected") or []:
            product = affected["package"]["ecosystem"].removeprefix("Red Hat:")
            where = namespace(product)
            for _, fixed, _ in _osv.intervals(affected):
                fixed = fixed.removeprefix("0:")
                modular = ".module" in fixed
                if not where or not fixed or modular and not streams:
                    continue
                for module in streams if modular else [""]:
                    yield (record["id"], where, affected["package"]["name"], "binary", fixed, False, "", module, cpe(product),
                           _osv.severity(record, {}), "fixed")
