#!/usr/bin/env python3
"""embed.py FILE OUTPUT NAME: the bytes of a file as a C array, for what the program carries along."""
import pathlib
import sys


def main():
    source, output, name = sys.argv[1:]
    data = pathlib.Path(source).read_bytes()
    rows = (", ".join(map(str, data[i:i + 24])) for i in range(0, len(data), 24))
    body = ",\n    ".join(rows)
    pathlib.Path(output).write_text(f'#include "api/{name}.h"\n\n'
                                    f"const unsigned char {name}[] = {{\n    {body},\n}};\n"
                                    f"const size_t {name}_size = sizeof {name};\n")


if __name__ == "__main__":
    main()
