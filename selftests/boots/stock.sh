#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on the distribution's kernel without boot arguments: all test programs, with a region
# of a quarter of the memory.
#
#vm --memory 2G --disk 64M --timeout 600

set -eu
. "$SRC/selftests/tap.sh"

load_drivers
load_ok size=512M
for program in abi calls errors fit zero mapping share lifetime races vivid vgem direct \
	libmemalloc abi32 calls32 errors32 mapping32 share32; do
	run_program "$program"
done

echo "# program: stock"
check region_is_as_large_as_asked_for is length $((512 << 20))
check nothing_is_left_used is used 0
check unload_after_all_tests wait_until unload_ok
end_checks
end_boot
