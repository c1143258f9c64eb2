#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM: the drop-in malloc on memory of the device. Its own tests and real programs run there
# as on that of the process; and what happens when the device is full, or forked.
#
# What it asks of the kernel others ask, too, so it does not have to run on those that look harder.
#
#vm --memory 2G --timeout 600
#kernel debian

set -eu
. "$SRC/selftests/lib/tap.sh"

library=$BUILD/lib/libmemalloc-malloc.so
export MEMALLOC_MALLOC_BACKEND=device

# allocate MIB: what the device says is in use while a program has so much; or that it got nothing.
allocate() {
	LD_PRELOAD=$library python3 -c 'import sys
try:
	memory = bytearray(int(sys.argv[1]) << 20)
	print(open("/sys/class/misc/memalloc/used").read().strip())
except MemoryError:
	print("no memory")' "$1"
}

load_ok size=256M

for program in malloc malloc_misuse malloc_memory malloc_fork malloc_wait; do
	echo "# program: $program on the device"
	"$BUILD/userlib/$program" || status=1
done
echo "# program: malloc-programs on the device"
"$SRC/userlib/tests/malloc-programs" "$BUILD" || status=1

memory_is_the_devices() {
	[ "$(allocate 20)" -ge $((20 << 20)) ]
}

process_memory_on_request() {
	[ "$(MEMALLOC_MALLOC_BACKEND=process allocate 20)" = 0 ]
}

full_falls_back() {
	[ "$(allocate 400)" -ge $((200 << 20)) ]
}

full_fails_on_request() {
	[ "$(MEMALLOC_MALLOC_FULL=fail allocate 400)" = "no memory" ]
	[ "$(MEMALLOC_MALLOC_FULL=fail allocate 200)" -ge $((200 << 20)) ]
}

# What it got before the device was full goes back, and is enough for others.
failure_keeps_nothing() {
	MEMALLOC_MALLOC_FULL=fail LD_PRELOAD=$library python3 -c 'def used():
	return int(open("/sys/class/misc/memalloc/used").read())
before = used()
for i in range(2):
	try:
		bytearray(400 << 20)
		raise AssertionError
	except MemoryError:
		assert used() <= before + (4 << 20), "nothing is kept"
memory = bytearray(200 << 20)'
}

# The second of three has 30 MiB from before fork(), which are its own then, and new ones.
forked() {
	LD_PRELOAD=$library python3 -c 'import os
def used():
	return int(open("/sys/class/misc/memalloc/used").read())
memory = bytearray(30 << 20)
before = used()
assert before >= 30 << 20
child = os.fork()
if not child:
	assert used() == before, "the copy is memory of the process"
	memory[:] = b"c" * len(memory)
	more = bytearray(20 << 20)
	assert used() >= before + (20 << 20), "new memory is the devices"
	os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert memory == bytearray(30 << 20), "the child changes nothing"
assert used() == before'
}

# Who can't have a child's memory copied has no child, and goes on.
forked_without_memory() {
	LD_PRELOAD=$library python3 -c 'import os, resource, signal
memory = bytearray(b"p") * (30 << 20)
none = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (1 << 20, none[1]))
child = os.fork()
if not child:
	os._exit(0)
resource.setrlimit(resource.RLIMIT_AS, none)
assert os.waitpid(child, 0)[1] & 127 == signal.SIGABRT
assert memory == b"p" * (30 << 20)' 2>"$OUT/forked"
	grep 'memalloc: fork(0x[0-9a-f]*): no memory for the child' "$OUT/forked"
}

# Daemons close all descriptors; then the file that gets that number is left alone.
descriptor_is_closed() {
	LD_PRELOAD=$library python3 -c 'import os
os.closerange(3, 1024)
file = open("/dev/zero", "rb")
os.dup2(file.fileno(), 500)
memory = bytearray(100 << 20)
assert not os.fork() or os.wait()[1] == 0
del memory
assert os.read(500, 2) == bytes(2)'
}

# A program that closes all descriptors opens the device itself, and gets our number.
descriptor_is_the_programs() {
	LD_PRELOAD=$library python3 -c 'import fcntl, os, struct
blocks = [bytearray(4 << 20) for i in range(20)]
os.closerange(3, 1024)
own = os.open("/dev/memalloc", os.O_RDWR)
os.dup2(own, 500)
os.close(own)
def call(number, format, *values):
	argument = bytearray(struct.pack(format, *values))
	fcntl.ioctl(500, 0xbe00 + number, argument)
	return struct.unpack(format, argument)
# ALLOC of 4 MiB: size, flags, length, alignment, handle, reserved, real_length, mmap_offset
handles = [call(1, "IIQQIIQQ", 48, 0, 4 << 20, 0, 0, 0, 0, 0)[4] for i in range(20)]
del blocks
more = [bytearray(4 << 20) for i in range(20)]
if not os.fork():
	os._exit(0)
assert os.wait()[1] == 0
for handle in handles:
	# FREE: size, flags, handle, reserved, length
	call(2, "IIIIQ", 24, 0, handle, 0, 4 << 20)
assert b"memalloc-handles:\t0" in open("/proc/self/fdinfo/500", "rb").read()'
}

# get_all LIBRARY: how many MiB a program gets.
get_all() {
	LD_PRELOAD=$1 MEMALLOC_MALLOC_BACKEND=process python3 -c 'blocks = []
try:
	while True:
		blocks.append(bytearray((1 << 20) - 1000))
except MemoryError:
	got = len(blocks)
del blocks
print(got)'
}

# Where each byte that may be written is set aside, and there is little: as with any malloc.
memory_is_not_overcommitted() {
	local committed without with
	committed=$(awk '/^Committed_AS/ { print $2 }' /proc/meminfo)
	echo $((committed + (150 << 10))) >/proc/sys/vm/overcommit_kbytes
	echo 2 >/proc/sys/vm/overcommit_memory
	without=$(get_all "")
	with=$(get_all "$library")
	echo 0 >/proc/sys/vm/overcommit_memory
	[ "$without" -gt 80 ]
	[ "$with" -ge $((without - 16)) ]
}

echo "# program: malloc"
check memory_is_the_devices memory_is_the_devices
check process_memory_on_request process_memory_on_request
check full_falls_back full_falls_back
check full_fails_on_request full_fails_on_request
check failure_keeps_nothing failure_keeps_nothing
check forked forked
check forked_without_memory forked_without_memory
check descriptor_is_closed descriptor_is_closed
check descriptor_is_the_programs descriptor_is_the_programs
check memory_is_not_overcommitted memory_is_not_overcommitted
check nothing_is_left_used is used 0
check unload wait_until unload_ok
check without_the_device env LD_PRELOAD="$library" python3 -c 'bytearray(20 << 20)'
end_checks
end_boot
