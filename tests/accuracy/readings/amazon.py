"""Amazon Linux: spec/feeds.md 10."""
import gzip
import xml.etree.ElementTree as ElementTree

SEVERITY = {"low": "Low", "medium": "Medium", "important": "High", "critical": "Critical"}
PLACES = {"amzn:2018.03": "2018.03/updates/x86_64/m", "amzn:2": "2/core/2.0/x86_64/m"}


def read(feeds):
    for namespace, place in PLACES.items():
        root = ElementTree.fromstring(gzip.decompress((feeds / "amazon" / place / "repodata/updateinfo.xml.gz").read_bytes()))
        for update in root.iter("update"):
            packages = set()
            for p in update.iter("package"):
                epoch = p.get("epoch") or "0"
                evr = (epoch + ":" if epoch != "0" else "") + p.get("version") + "-" + p.get("release")
                packages.add((p.get("name"), evr, p.get("arch")))
            for name, evr, arch in packages:
                if update.get("type") == "security" and arch != "src":
                    yield (update.findtext("id"), namespace, name, "binary", evr, False, "" if arch == "noarch" else arch, "", "",
                           SEVERITY.get(update.findtext("severity"), "Unknown"), "fixed")
