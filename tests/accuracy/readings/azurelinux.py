"""Azure Linux and CBL-Mariner: spec/feeds.md 11; definitions published with anchore/vunnel (Apache-2.0)."""
import xml.etree.ElementTree as ElementTree
from pathlib import Path

FEEDS = Path(__file__).parents[1] / "samples"
AT_LEAST = 7
NAMESPACES = {"azurelinux-3.0-oval.xml": "azurelinux:3", "cbl-mariner-2.0-oval.xml": "mariner:2"}
D = "{http://oval.mitre.org/XMLSchema/oval-definitions-5}"
L = "{http://oval.mitre.org/XMLSchema/oval-definitions-5#linux}"


def read(feeds):
    for path in sorted((feeds / "azurelinux").glob("*-oval.xml")):
        root = ElementTree.parse(path).getroot()
        by_id = {e.get("id"): e for e in root.iter() if e.get("id")}
        for definition in root.iter(D + "definition"):
            metadata = definition.find(D + "metadata")
            if metadata.findtext(D + "patchable") == "Not Applicable":
                continue
            for criterion in definition.iter(D + "criterion"):
                test = by_id[criterion.get("test_ref")]
                evr = by_id[test.find(L + "state").get("state_ref")].find(L + "evr")
                name = by_id[test.find(L + "object").get("object_ref")].findtext(L + "name")
                if evr.get("operation") not in ("less than", "less than or equal"):
                    continue
                fixed = evr.text.removeprefix("0:") if evr.get("operation") == "less than" else ""
                yield (metadata.find(D + "reference").get("ref_id"), NAMESPACES[path.name], name, "source", fixed, False, "", "", "",
                       metadata.findtext(D + "severity"), "fixed" if fixed else "affected")
