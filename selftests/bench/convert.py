#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Converts allocation traces of other projects into the format that trace.h describes.

    convert.py FILE OUT

The format is told by the name of FILE:

    *.zip       Android's memory_replay: one text file
    *.trace.gz  wee_alloc: Alloc(SIZE), and Free(K), K the number of the allocation
    *.csv       MiniMalloc: buffers that live from `lower` to `upper`
"""

import csv
import gzip
import io
import re
import sys
import zipfile


def memory_replay(path):
    with zipfile.ZipFile(path) as archive:
        [member] = archive.namelist()
        text = io.TextIOWrapper(archive.open(member), "ascii")
        for line in text:
            _, call, pointer, *rest = line.split()
            pointer = pointer[2:]
            if call == "malloc":
                yield "a", pointer, rest[0]
            elif call == "calloc":
                yield "a", pointer, int(rest[0]) * int(rest[1])
            elif call == "memalign":
                yield "a", pointer, rest[1], rest[0]
            elif call == "realloc":
                old = rest[0][2:]
                yield ("r", old, pointer, rest[1]) if int(old, 16) else ("a", pointer, rest[1])
            elif call == "free":
                if int(pointer, 16):
                    yield "f", pointer
            elif call != "thread_done":
                sys.exit(f"{path}: unknown call {call}")


def wee_alloc(path):
    number = 0
    with gzip.open(path, "rt", encoding="ascii") as text:
        for line in text:
            match = re.fullmatch(r"(Alloc|Free)\((\d+)\),", line.strip())
            if not match:
                sys.exit(f"{path}: unknown line {line!r}")
            what, value = match.groups()
            if what == "Free":
                yield "f", f"{int(value):x}"
            else:
                yield "a", f"{number:x}", value
                number += 1


def minimalloc(path):
    """At equal times frees come first, for a buffer does not live at its `upper`."""
    events = []
    with open(path, newline="", encoding="ascii") as text:
        for number, row in enumerate(csv.DictReader(text)):
            events.append((int(row["lower"]), 1, number, int(row["size"])))
            events.append((int(row["upper"]), 0, number, None))
    for _, is_alloc, number, size in sorted(events):
        yield ("a", f"{number:x}", size) if is_alloc else ("f", f"{number:x}")


FORMATS = {".zip": memory_replay, ".trace.gz": wee_alloc, ".csv": minimalloc}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = sys.argv[1:]
    for ending, convert in FORMATS.items():
        if source.endswith(ending):
            with open(target, "w", encoding="ascii") as out:
                for operation in convert(source):
                    print(*operation, file=out)
            return
    sys.exit(f"{source}: not a format that is known\n\n{__doc__}")


main()
