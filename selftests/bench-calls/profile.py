#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Says where the instructions of each operation go that plugin.c has recorded.

    profile.py RUN FUNCTIONS RESULTS [--top N] [--depth N] [--least PERCENT]

RUN is the VM's run folder, which has what plugin.c and tools/count wrote. FUNCTIONS has what
`nm -A` says of the module's object files. RESULTS gets the file `table` and one for each operation;
all is printed, too.

Of the rounds of an operation, the one is shown that takes the median of instructions. What is
shown is a sum over the whole round, divided by its pairs or pages.

The record has no calls and returns. A block at the beginning of a function is a call of it, or a
jump to it at the end of another one. The block that a call would return to ends the function, and
all that were called by it. Functions that others jump into the middle of are found by their name.
"""

import argparse
import array
import bisect
import collections
import pathlib
import re
import sys

# As in marks.h.
MARK_OPERATION, MARK_ROUND = 0, 1
KERNEL = 1 << 63

PROGRAM = "the program"

# The compiler and the kernel put these between a call and the function that is meant, or between
# that function's end and the return. They count as part of the function that they come from.
DETOUR = re.compile(r"__x86_.*thunk|.*_return_thunk|.*untrain_ret|__SCT__")

# Places that are no functions, though they have names.
LABEL = re.compile(r"_?_?\w+_(start|end)$|_[se]?(text|inittext)$")

INTERRUPT = re.compile(r"asm_(sysvec|common_interrupt|exc_nmi|exc_int3|exc_debug)")

# What kind of work a function of the kernel does, by its name: the first line that matches.
KINDS = [(kind, re.compile(pattern)) for kind, pattern in (
    ("security modules", r"security_|apparmor_|aa_|tomoyo_|landlock_|yama_|cap_|bpf_lsm_"
                         r"|hook_|integrity_|ima_|evm_|lockdown_"),
    ("copies between program and kernel",
     r"_*copy_(from|to)_|_?_?copy_user|rep_movs|__?check_object_size|check_heap_object|__check_heap"
     r"|check_stack_object|__virt_addr_valid|check_zeroed_user|__?(put|get)_user|strncpy_from_user"
     r"|memdup_user|__?clear_user|access_ok|fault_in"),
    ("memory set, copied or compared", r"_*mem(set|cpy|move|cmp|chr)|clear_page|copy_page"
                                       r"|rep_stos|strlen|strcmp"),
    ("slab", r"_*kmem_cache|k[mvz]?[mz]?alloc|_*kmalloc|kfree|kvfree|kvmalloc|_+slab|slab_|_*ksize"
             r"|.*obj_cgroup|___cache|memcg_slab|.*memcg_alloc|.*free_slab|cache_from_obj"
             r"|__unfreeze_partials|get_partial|put_cpu_partial|new_slab|should_fail"
             r"|memcg_list_lru|kmem_|.*kasan|mod_objcg|.*objcg"),
    ("xarrays and trees", r"_*xas?_|_*rb_|_*idr_|_*ida_|_*radix_tree|_*mas_|_*mt_|mab_|mtree"
                          r"|interval_tree|vma_interval|__rb|find_next_bit|_find_"),
    ("locks, counters, RCU", r"_*mutex|_raw_|_*(down|up)_(read|write)|_*rcu|.*call_rcu|refcount"
                             r"|__?cond_resched|preempt|queued_|rwsem|percpu_|_*local_bh"
                             r"|__?srcu|lockref|osq_|__wake_up|wake_up|wake_q|llist"),
    ("charges to the memory cgroup", r".*mem_cgroup|.*memcg|.*page_counter|try_charge|.*cgroup"),
    ("entry, exit, finding the call", r"do_syscall_64|x64_sys_call|syscall_|exit_to_user|irqentry"
                                      r"|__x64_sys_|__se_sys|do_vfs_ioctl|vfs_ioctl|_*fget|_*fdget"
                                      r"|fput|__fput|ksys_|fpregs|switch_fpu|arch_exit"),
    ("scheduler, timers, work", r"_*schedule|.*switch_to|update_|sched_|.*runqueue|try_to_wake|ttwu"
                                r"|enqueue_|dequeue_|pick_next|queue_work|_*queue_delayed|mod_timer"
                                r"|add_timer|hrtimer|timer|__queue_work|insert_work|process_one_work"
                                r"|worker|kick_|set_next|put_prev|check_preempt|resched|finish_task"
                                r"|prepare_task|ktime|tick_|get_work|del_timer|.*timer_base"
                                r"|read_tsc|native_sched|sched"),
    ("files", r"alloc_file|alloc_empty_file|.*dentry|d_|path_|dput|mnt|.*inode|iput|filp|_*file_"
              r"|init_file|anon_|fsnotify|.*fsnotify|locks_|eventpoll|task_work|.*_fs|may_open"
              r"|get_unused_fd|alloc_fd|fd_install|close_fd|pick_file|put_unused|filemap|file"),
)]
REST = "mappings, faults, pages and all other"
MODULE = "the module itself"
INTERRUPTS = "interrupts"


class Function:
    """A function, or a program: what a block of instructions is part of."""

    def __init__(self, name, is_module, source, is_entry):
        self.name = name
        self.is_entry = is_entry            # the assembler code around calls of the kernel
        self.is_detour = bool(DETOUR.match(name))
        self.is_interrupt = bool(INTERRUPT.match(name))
        self.source = source                # its file, if it is the module's
        if name == PROGRAM:
            self.kind = name
        elif is_module:
            self.kind = MODULE
        elif is_entry:
            self.kind = "entry, exit, finding the call"
        else:
            self.kind = next((kind for kind, pattern in KINDS if pattern.match(name)), REST)

    def label(self):
        return f"{self.name} ({self.source})" if self.source else self.name


def read_sources(path):
    """The file of each function of the module; nm -A writes: FILE.o:[ADDRESS] TYPE NAME."""
    sources = collections.defaultdict(set)
    for line in open(path):
        file, _, symbol = line.partition(":")
        *_, kind, name = symbol.split()
        if kind in "tT":
            sources[name].add(re.sub(r"\.o$", ".c", file))
    return {name: " or ".join(sorted(files)) for name, files in sources.items()}


class Functions:
    """All functions of the kernel, as /proc/kallsyms has them."""

    def __init__(self, path, sources):
        self.sources = sources
        self.functions = {PROGRAM: Function(PROGRAM, False, None, False)}
        at = {}
        places = {}
        for line in open(path):
            address, kind, name, *module = line.split()
            address = int(address, 16)
            places[name] = address
            if kind not in "tTwW" or not address:
                continue
            # Of several names for a place, the plainest.
            old = at.get(address)
            if not old or self.plainness(name) < self.plainness(old[0]):
                at[address] = name, module
        if not at:
            sys.exit("profile.py: /proc/kallsyms has no addresses: kptr_restrict?")
        self.addresses = sorted(at)
        self.at = [at[address] for address in self.addresses]
        self.entry = range(places["__entry_text_start"], places["__entry_text_end"])

    @staticmethod
    def plainness(name):
        return bool(LABEL.match(name)), len(name) - len(name.lstrip("_")), name

    def find(self, address):
        """The function that has the address, and whether it begins there."""
        if address < KERNEL:
            return self.functions[PROGRAM], False
        i = bisect.bisect_right(self.addresses, address) - 1
        if i < 0:
            return self.functions[PROGRAM], False
        name, module = self.at[i]
        is_module = module == ["[memalloc]"]
        # The compiler moves what is rarely run elsewhere, by such a name.
        whole = re.sub(r"\.cold(\.\d+)?$", "", name)
        is_begin = address == self.addresses[i] and whole == name
        key = whole, *module
        if key not in self.functions:
            source = self.sources.get(name, "memalloc") if is_module else None
            self.functions[key] = Function(whole, is_module, source, address in self.entry)
        return self.functions[key], is_begin


Block = collections.namedtuple("Block", "begin end instructions function is_begin")


def read_blocks(path, functions):
    blocks = []
    for line in open(path):
        number, begin, end, instructions = line.split()
        begin = int(begin, 16)
        blocks += [None] * (int(number) + 1 - len(blocks))
        blocks[int(number)] = Block(begin, int(end, 16), int(instructions), *functions.find(begin))
    return blocks


def read_rounds(path):
    """For each operation the list of its rounds, which are arrays of numbers of blocks."""
    trace = array.array("I")
    with open(path, "rb") as file:
        trace.frombytes(file.read())
    operations = []
    begin = None
    for i, event in enumerate(trace):
        if event > MARK_ROUND:
            continue
        if begin is not None:
            operations[-1].append(trace[begin:i])
        begin = i + 1 if event == MARK_ROUND else None
        if event == MARK_OPERATION:
            operations.append([])
    if begin is not None:
        operations[-1].append(trace[begin:])
    return operations


class Call:
    """Calls of a function by the same chain of callers, all in one."""

    def __init__(self, function, caller):
        self.function = function
        self.own = 0
        self.times = 0
        self.called = {}
        # On whose behalf, and what kind of work, both for the tables.
        self.owner = caller.owner if caller else PROGRAM
        self.kind = function.kind
        if function.is_interrupt or caller and caller.kind == INTERRUPTS:
            self.kind = self.owner = INTERRUPTS
        elif function.source:
            self.owner = f"{function.source}, and what it calls of the kernel"
        elif function.name.startswith("__x64_sys_"):
            self.owner = f"{function.name[10:]}(), outside the module"
        elif function.name == "asm_exc_page_fault":
            self.owner = "page faults, outside the module"
        elif self.owner == PROGRAM and function.name != PROGRAM:
            self.owner = "entry and exit"

    def call(self, function):
        if function not in self.called:
            self.called[function] = Call(function, self)
        call = self.called[function]
        call.times += 1
        return call

    def total(self):
        return self.own + sum(call.total() for call in self.called.values())

    def all(self):
        yield self
        for call in self.called.values():
            yield from call.all()


def follow(blocks):
    """The tree of calls that these blocks, in the order in which they ran, were part of."""
    root = Call(blocks[0].function, None)
    stack = [(root, None)]      # each with the address that it returns to
    end = None                  # of the block before
    for block in blocks:
        function = block.function
        top = stack[-1][0]
        if function.is_detour:
            top.own += block.instructions
            continue
        if function.name == PROGRAM:
            del stack[1:]
        else:
            back = [i for i, (call, to) in enumerate(stack) if to == block.begin]
            if back:
                del stack[back[-1]:]
            elif function.is_entry and top.function.is_entry:
                pass
            elif block.is_begin:
                stack.append((top.call(function), end))
            else:
                same = [i for i, (call, to) in enumerate(stack) if call.function is function]
                if same:
                    del stack[same[-1] + 1:]
                else:
                    stack.append((top.call(function), None))
        stack[-1][0].own += block.instructions
        end = block.end
    return root


class Operation:
    """An operation: its figures, and the tree of its median round."""

    def __init__(self, line, rounds, blocks):
        what, length, calls, parts, counted = line.rstrip("\n").split("\t")
        self.what = what
        self.kib = int(length) // 1024
        self.calls = int(calls)
        self.parts = int(parts)
        if not rounds:
            sys.exit(f"profile.py: no round of '{what}' was recorded")
        sizes = [block.instructions if block else 0 for block in blocks]
        self.rounds = sorted((sum(map(sizes.__getitem__, round)), i)
                             for i, round in enumerate(rounds))
        self.median, number = self.rounds[len(self.rounds) // 2]
        # The clock counts the same, but for some instructions around it, and for what the head of
        # plugin.c says of faults.
        if abs(self.median - int(counted)) > 50 + self.median // 50:
            sys.exit(f"profile.py: '{what}': {self.median} instructions were recorded, "
                     f"but {counted} counted")
        self.tree = follow([blocks[block] for block in rounds[number]])

    def name(self):
        return f"{self.what}, {self.kib} KiB" if self.kib else self.what

    def file(self):
        return re.sub(r"[^a-z0-9]+", "-", self.name().replace("memalloc: ", "").lower())

    def figure(self, instructions):
        return f"{instructions / self.parts:.{0 if self.parts == 1 else 1}f}"

    def line(self, one_call):
        floor = one_call * self.calls
        return (f"{self.what:42} {self.kib:8} KiB {self.figure(self.median):>9} instructions "
                f"({self.figure(self.rounds[0][0])} to {self.figure(self.rounds[-1][0])}), "
                f"{self.figure(self.median - floor)} above {self.figure(floor)}")

    def sums(self, what):
        """Lines of a table of the tree's own instructions by what(call), largest first; those of
        less than a thousandth are left out."""
        sums = collections.Counter()
        for call in self.tree.all():
            sums[what(call)] += call.own
        for name, own in sorted(sums.items(), key=lambda item: (-item[1], item[0])):
            if own * 1000 >= self.median:
                yield f"{self.figure(own):>10} {100 * own / self.median:5.1f} %  {name}"

    def lines_of_tree(self, call, depth, least, indent=0):
        total = call.total()
        if total * 100 < least * self.median:
            return
        times = ""
        if indent and call.times != self.parts:
            times = f" x {call.times / self.parts:.3g}"
        yield (f"{self.figure(total):>10} {self.figure(call.own):>8}  {'  ' * indent}"
               f"{call.function.label()}{times}")
        if indent < depth:
            for called in call.called.values():
                yield from self.lines_of_tree(called, depth, least, indent + 1)

    def profile(self, one_call, options):
        by_function = list(self.sums(lambda call: call.function.label()))
        yield self.line(one_call)
        yield "\nby what they do:"
        yield from self.sums(lambda call: call.kind)
        yield "\nby who has them run:"
        yield from self.sums(lambda call: call.owner)
        yield f"\nby function, the first {min(options.top, len(by_function))} of {len(by_function)}:"
        yield from by_function[:options.top]
        yield (f"\nby call, in the order of the first one; with what is called, and without; "
               f"from {options.least:g} % on:")
        yield from self.lines_of_tree(self.tree, options.depth, options.least)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("functions", type=pathlib.Path)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--least", type=float, default=1)
    options = parser.parse_args()

    functions = Functions(options.run / "kallsyms", read_sources(options.functions))
    blocks = read_blocks(options.run / "blocks", functions)
    lines = list(open(options.run / "operations"))
    rounds = read_rounds(options.run / "trace")
    if len(lines) != len(rounds):
        sys.exit(f"profile.py: {len(rounds)} operations were recorded, but {len(lines)} counted")
    operations = [Operation(*arguments, blocks) for arguments in zip(lines, rounds)]
    # The first one is calls that do nothing.
    one_call = operations[0].median / operations[0].calls

    texts = {"table": [operation.line(one_call) for operation in operations]}
    for operation in operations:
        texts[operation.file()] = list(operation.profile(one_call, options))
    for file, text in texts.items():
        (options.results / file).write_text("\n".join(text) + "\n")
        print("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
