#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on the distribution's kernel without boot arguments: all test programs, with a region
# of a quarter of the memory.
#
#vm --memory 2G --disk 64M --timeout 600

set -eu
. "$SRC/selftests/lib/tap.sh"

load_drivers
load_ok size=512M
for program in abi abilities calls errors errors_sharing batch fit placement zero clean mapping share \
	lifetime disclosed limits charge limits_set resize resize_errors resize_races name races \
	observe trace debugfs dmaheap vivid vgem direct accounting; do
	run_program "$program"
done
# Other architectures' 32-bit programs would take a compiler of their own.
if [ "$(uname -m)" = x86_64 ]; then
	for program in abi batch calls dmaheap errors errors_sharing mapping share; do
		run_program "${program}32"
	done
fi
for program in calls heap heap_growing heap_random pool; do
	run_program "libmemalloc-$program" /dev/memalloc
	run_program "libmemalloc-$program" process:512M
done
run_program libmemalloc-share /dev/memalloc
run_program libmemalloc-process process:512M
run_program libmemalloc-model

# The program of each manual page, which says what it prints. Those of section 7 tell of the drop-in
# malloc.
echo "# program: man"
prints_what_the_page_says() {
	local said preload=
	[[ $1 != *.7 ]] || preload=$BUILD/lib/libmemalloc-malloc.so
	said=$(LD_PRELOAD=$preload "$1")
	echo "$said" | diff "$1.out" -
}
for output in "$tools"/man/*.out; do
	page=${output%.out}
	check "${page##*/}" prints_what_the_page_says "$page"
done
end_checks

# The kernel's own test of dma-buf heaps. It tests each that is there, but some kernels have others,
# too small for it: so it finds ours alone.
heap_log=$OUT/dmabuf-heap.log
kernels_heap_test() {
	local heaps
	heaps=$(mktemp -d)
	cp -a /dev/dma_heap/memalloc "$heaps"
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m sh -c 'mount --bind "$1" /dev/dma_heap && exec "$2"' - "$heaps" \
		"$tools/dmabuf-heap" >"$heap_log"
}

# It says FAIL of some things and goes on. Since it prints TAP, OK is on lines of its own.
all_of_it_was_tested() {
	[ "$(sed -nE 's/^(# )?Testing heap: //p' "$heap_log")" = memalloc ]
	[ "$(grep -cE '^  Testing .*: *OK$|^# Testing .*:$' "$heap_log")" = 6 ]
	! grep -E 'skipping|SKIP|FAIL|failed|^not ok' "$heap_log"
}

echo "# program: dmabuf-heap"
check kernels_own_test_passes kernels_heap_test
sed 's/^/# /' "$heap_log"
check kernels_own_test_leaves_nothing_out all_of_it_was_tested
end_checks

echo "# program: stock"
check region_is_as_large_as_asked_for is length $((512 << 20))
check nothing_is_left_used is used 0
check unload_after_all_tests wait_until unload_ok
end_checks
end_boot
