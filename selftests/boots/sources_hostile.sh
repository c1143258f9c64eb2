#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: sources_hostile.sh [REGION...]
#
# In the VM, with the regions of boots/sources.sh: the attacks and random calls, on each of them or
# only on the REGIONs. The attack that loads the module itself is not among them.
#
#vm --memory 2560M --nodes 2 --disk 64M --timeout 2400 --append memmap=256M$0x40000000
#vm --qemu "-object memory-backend-ram,id=shm,size=256M -device ivshmem-plain,memdev=shm,addr=10"
#kernel 6.12

set -eu
. "$SRC/selftests/lib/tap.sh"
. "$SRC/selftests/lib/sources.sh"

begin_sources "$@"
for region in "${tested[@]}"; do
	export MEMALLOC_NODE=memalloc-$region
	for attack in "$SRC"/selftests/hostile/*.c; do
		[ "${attack##*/}" = unloaded.c ] || run_program "hostile/$(basename "$attack" .c)"
	done
	# Last, since it leaves its limits behind.
	run_program fuzz
	STRANGERS=3 SEED=1001 STEPS=20000 run_program fuzz with strangers
done
unset MEMALLOC_NODE

end_sources
