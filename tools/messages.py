#!/usr/bin/env python3
"""messages.py OUTPUT_FOLDER PROTO...: C for the messages of .proto files by protoc-c, and what they import of protobuf's own, all side by side
(protoc-c keeps folders, which the build cannot name), and descriptors.bin, all of them as one FileDescriptorSet."""
import pathlib
import re
import subprocess
import sys
import tempfile

OURS = ["google/protobuf/timestamp.proto"]
INCLUDE = "/usr/include"


def main():
    output, sources = pathlib.Path(sys.argv[1]), [pathlib.Path(p) for p in sys.argv[2:]]
    files = [str(p) for p in sources] + [f"{INCLUDE}/{p}" for p in OURS]
    paths = [f"-I{folder}" for folder in sorted({str(p.parent) for p in sources})] + [f"-I{INCLUDE}"]
    subprocess.run(["protoc", *paths, "--include_imports", f"--descriptor_set_out={output}/descriptors.bin", *files], check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc-c", *paths, f"--c_out={folder}", *files], check=True)
        for path in pathlib.Path(folder).rglob("*.pb-c.*"):
            (output / path.name).write_text(re.sub(r'(#include ")google/protobuf/', r"\1", path.read_text()))


if __name__ == "__main__":
    main()
