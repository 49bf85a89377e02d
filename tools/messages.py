#!/usr/bin/env python3
"""messages.py OUTPUT_FOLDER ROOT PROTO... [-- PROTO...]: C for the messages of .proto files below ROOT by protoc-c, and what they import of
protobuf's own, all side by side (protoc-c keeps folders, which the build cannot name), and descriptors.bin, all of them, and those behind
"--", as one FileDescriptorSet."""
import pathlib
import re
import subprocess
import sys
import tempfile

OURS = ["google/protobuf/timestamp.proto"]
INCLUDE = "/usr/include"


def main():
    output, root = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    sources = [p if p == "--" else str(pathlib.Path(p).resolve()) for p in sys.argv[3:]]
    at = sources.index("--") if "--" in sources else len(sources)
    paths, imported = [f"-I{root}", f"-I{INCLUDE}"], [f"{INCLUDE}/{p}" for p in OURS]
    subprocess.run(["protoc", *paths, "--include_imports", f"--descriptor_set_out={output}/descriptors.bin",
                    *sources[:at], *sources[at + 1:], *imported], check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc-c", *paths, f"--c_out={folder}", *sources[:at], *imported], check=True)
        for path in pathlib.Path(folder).rglob("*.pb-c.*"):
            (output / path.name).write_text(re.sub(r'(#include ")[\w/]+/(\w+\.pb-c\.h")', r"\1\2", path.read_text()))


if __name__ == "__main__":
    main()
