#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: sources.sh [REGION...]
#
# In the VM, with two NUMA nodes: regions of running memory on each, one of memory that was reserved
# at boot, and one in a PCI device, all at once. Every test of the stock boot that takes a region
# runs on each of them, or only on the REGIONs of first, second, kept and pages. That takes long, so
# it is not for the stock kernel.
#
#vm --memory 2560M --nodes 2 --disk 64M --timeout 2400 --append memmap=256M$0x40000000
#vm --qemu "-object memory-backend-ram,id=shm,size=256M -device ivshmem-plain,memdev=shm,addr=10"
#kernel 6.12 6.12-rt 7.x debug debug-rt kcsan

set -eu
. "$SRC/selftests/lib/tap.sh"
. "$SRC/selftests/lib/sources.sh"

begin_sources "$@"
for region in "${tested[@]}"; do
	export MEMALLOC_NODE=memalloc-$region
	run_on_region "$MEMALLOC_NODE"
	for program in abi errors errors_sharing batch fit share limits charge limits_set resize \
		resize_errors resize_races name races observe trace dmaheap accounting; do
		run_program "$program"
	done
	for program in abi batch calls dmaheap errors errors_sharing mapping share; do
		run_program "${program}32"
	done
	for program in calls heap heap_growing heap_random pool share; do
		run_program "libmemalloc-$program" "$region"
	done
	run_kernels_heap_test
done
unset MEMALLOC_NODE

end_sources
