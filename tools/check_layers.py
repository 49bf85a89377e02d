#!/usr/bin/env python3
"""Fails when a source file includes a module that its row in ARCHITECTURE.md does not allow, or when the rows and
meson.build disagree."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def table():
    """The module table: folder -> set of folders it may include."""
    rows = {}
    for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines():
        m = re.match(r"\| `(\w+)/` \| ([^|]*) \|", line)
        if m:
            rows[m[1]] = set(re.findall(r"\w+", m[2]))
    return rows


def built():
    """The rows of meson.build: what each library links."""
    text = (ROOT / "meson.build").read_text()
    return {m[1]: set(re.findall(r"\w+", m[2])) for m in re.finditer(r"^  \['(\w+)', \[(.*)\]\],$", text, re.M)}


def main():
    allowed, faults = table(), []
    if len(allowed) < 10:
        faults.append("ARCHITECTURE.md: the module table was not found")
    for name, uses in built().items():
        if allowed.get(name) != uses | ({"nothing"} if not uses else set()):
            faults.append(f"{name}: ARCHITECTURE.md says {allowed.get(name)}, meson.build {uses}")
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        module = path.relative_to(ROOT / "src").parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            m = re.match(r'#include "(\w+)/', line)
            if m and m[1] != module and m[1] not in allowed.get(module, set()) and "everything" not in allowed.get(module, set()):
                faults.append(f"{path.relative_to(ROOT)}:{number}: {module}/ may not include {m[1]}/")
    print("\n".join(faults) or "includes obey the module table")
    return 1 if faults else 0


sys.exit(main())
