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
for program in abi abilities calls errors errors_sharing batch fit placement zero clean ready kept \
	mapping huge share parts translate lifetime disclosed limits charge limits_set resize resize_errors resize_races \
	move demand background gather ranges name races observe trace debugfs dmaheap vivid vgem direct accounting; do
	run_program "$program"
done
# Other architectures' 32-bit programs would take a compiler of their own.
if [ "$(uname -m)" = x86_64 ]; then
	for program in abi batch calls dmaheap errors errors_sharing mapping share; do
		run_program "${program}32"
	done
fi
for program in calls heap heap_growing heap_random pool view; do
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

run_kernels_heap_test

echo "# program: stock"
check region_is_as_large_as_asked_for is length $((512 << 20))
check nothing_is_left_used is used 0
check unload_after_all_tests wait_until unload_ok
end_checks
end_boot
