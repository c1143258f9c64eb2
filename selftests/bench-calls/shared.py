#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Says what CPUs share that get and give back buffers at the same time, as shared.c has counted it.

    shared.py RUN FUNCTIONS [--least N] [--top N]

RUN is the VM's run folder, which has what shared.c wrote. FUNCTIONS has what `nm -A` says of the
module's object files. Shown are the lines of memory that at least two CPUs use, and one writes to,
each at least N times in a thousand of its own pairs of ALLOC and FREE. What comes less often, as a
stack that is filled again, is only counted.
"""

import argparse
import bisect
import collections
import pathlib
import re
import sys

from profile import Functions, read_sources

LINE = 64
IMAGE = 0xffffffff80000000      # from here on, the kernel's and its modules' own data

# Functions of the kernel that take a lock, and those where they wait for it.
TAKE = re.compile(r"(_raw_|rt_)(spin|read|write)_(try)?lock|mutex_(try)?lock|down_(read|write)")
WAIT = re.compile(r".*queued_(spin|read|write)_lock_slowpath|__mutex_lock_(\w+_)?slowpath"
                  r"|rwsem_down_\w+_slowpath|rtlock_slowlock|rt_mutex_slowlock")

# Functions of charge.c that take the lock of the client's own payer. All others take the user's; the
# payer's, which they take inside that, counts as one more.
PAYERS = ["mal_charge", "charge_credit", "mal_uncharge"]


class Data:
    """The names of what lies in the kernel's and its modules' own data."""

    def __init__(self, path):
        lines = (line.split() for line in open(path))
        names = sorted((int(address, 16), name) for address, _, name, *_ in lines)
        self.addresses = [address for address, _ in names]
        self.names = [name for _, name in names]

    def name(self, line):
        i = bisect.bisect_right(self.addresses, line + LINE - 1) - 1
        return f", at {self.names[i]}" if line >= IMAGE and i >= 0 else ""


class Counts:
    """What shared.c has counted."""

    def __init__(self, path, functions):
        self.functions = functions
        self.calls = collections.Counter()      # of mal_ioctl, by CPU
        self.taken = collections.Counter()      # locks, by the module's function and the kernel's
        self.waited = collections.Counter()     # by the module's function
        self.lines = collections.defaultdict(list)
        for line in open(path):
            what, cpu, count, *places = line.split()
            places = [int(place, 16) for place in places]
            if what == "run":
                self.add_run(int(cpu), int(count), *places)
            else:
                self.lines[places[1] // LINE].append((what, int(cpu), int(count), *places))

    def add_run(self, cpu, count, site, block, before):
        function, is_begin = self.functions.find(block)
        if not is_begin:
            return
        caller, _ = self.functions.find(site)
        if function.name == "mal_ioctl":
            self.calls[cpu] += count
        elif TAKE.match(function.name) and before:
            self.taken[caller, function.name] += count
        elif WAIT.match(function.name):
            self.waited[caller] += count

    def acquisitions(self, source, but=()):
        """How often functions of a file of the module took locks, but for these functions."""
        return sum(count for (caller, _), count in self.taken.items()
                   if caller.source == source and caller.name not in but)

    def users(self, line, whats):
        """How often each CPU used the line: whats are reads, or writes, or both."""
        users = collections.Counter()
        for what, cpu, count, *_ in self.lines[line]:
            if what in whats:
                users[cpu] += count
        return users

    def frequent(self, line, whats, least):
        """Of these CPUs, those that did so that often."""
        return {cpu for cpu, count in self.users(line, whats).items()
                if count * 2000 >= least * self.calls[cpu]}


def table_of_locks(counts, total):
    yield "locks, by the function that takes them: a thousand calls take, a million wait"
    waited = counts.waited.copy()
    for (caller, name), count in sorted(counts.taken.items(), key=lambda item: -item[1]):
        # Of a function that takes two kinds of locks, all waits are with the more frequent.
        waits = waited.pop(caller, 0)
        yield f"{1e3 * count / total:10.2f} {1e6 * waits / total:10.1f}  {name} in {caller.label()}"
    for caller, waits in waited.items():
        yield f"{'':10} {1e6 * waits / total:10.1f}  a lock of the kernel's, from {caller.label()}"


def describe_line(counts, line, data):
    """The line, and under it the functions that use it, with the bytes in it where they do."""
    uses = counts.lines[line]
    address = min(use[5] for use in uses) // LINE * LINE
    writers = counts.users(line, ["write"])
    yield (f"{address:x} (physical {line * LINE:x}{data.name(address)}), writes of each CPU: "
           + " ".join(str(writers[cpu]) for cpu in sorted(counts.calls)))
    by_function = collections.defaultdict(collections.Counter)
    offsets = collections.defaultdict(set)
    for what, cpu, count, code, place, _ in uses:
        function, _ = counts.functions.find(code)
        by_function[what, function][cpu] += count
        offsets[what, function].add(place % LINE)
    # Writes first, and then the most frequent.
    for use, cpus in sorted(by_function.items(), reverse=True,
                            key=lambda item: (item[0][0], sum(item[1].values()))):
        what, function = use
        by = f"CPU {min(cpus)}" if len(cpus) == 1 else f"{len(cpus)} CPUs"
        places = " ".join(f"+{offset}" for offset in sorted(offsets[use]))
        yield f"{sum(cpus.values()):10} {what + 's':6} by {by:7} {function.label()}: {places}"


def describe_lines(counts, lines, data, top, what):
    yield f"{what}: {len(lines) or 'none'}"
    if len(lines) > top:
        yield f"the {top} most written to of these, by address:"
        lines = sorted(sorted(lines, key=lambda line: -counts.users(line, ["write"]).total())[:top])
    for line in lines:
        yield from describe_line(counts, line, data)


def report(counts, data, least, top):
    total = sum(counts.calls.values())
    root = counts.acquisitions("arena.c")
    user = counts.acquisitions("charge.c", but=PAYERS)
    lines = sorted(counts.lines)
    writers = {line: counts.frequent(line, ["write"], least) for line in lines}
    written = [line for line in lines if len(writers[line]) > 1]
    read = [line for line in lines if len(writers[line]) == 1 and
            len(counts.frequent(line, ["write", "read"], least)) > 1]
    rare = sum(len(counts.users(line, ["write"])) > 1 for line in lines) - len(written)

    yield (f"{len(counts.calls)} CPUs made {total} calls of ALLOC and FREE, each "
           f"{min(counts.calls.values())} to {max(counts.calls.values())}")
    yield f"{32 * root / total:10.4f} acquisitions of the root's lock per 32 calls"
    yield f"{32 * user / total:10.4f} acquisitions of the user's lock per 32 calls"
    yield (f"{1e6 * sum(counts.waited.values()) / total:10.1f} acquisitions of any lock per "
           f"million calls had to wait")
    yield ""
    yield from table_of_locks(counts, total)
    yield ""
    yield from describe_lines(counts, written, data, top, "lines of memory that two CPUs or more "
                              f"write to, {least:g} times in a thousand pairs")
    yield from describe_lines(counts, read, data, top, "and that one writes to, and others read")
    yield f"lines that two CPUs or more wrote to, at least one of them less often: {rare}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("functions", type=pathlib.Path)
    parser.add_argument("--least", type=float, default=10)
    parser.add_argument("--top", type=int, default=20)
    options = parser.parse_args()

    names = options.run / "kallsyms"
    counts = Counts(options.run / "counts", Functions(names, read_sources(options.functions)))
    if len(counts.calls) < 2:
        sys.exit("shared.py: fewer than two CPUs made calls in the time that was recorded")
    print("\n".join(report(counts, Data(names), options.least, options.top)))


if __name__ == "__main__":
    main()
