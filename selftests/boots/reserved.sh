#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, whose kernel was told at boot to leave 512 MiB of its memory alone: regions there. Only
# x86 has that argument.
#
#vm --memory 2G --disk 64M --timeout 600 --append memmap=512M$0x50000000
#kernel stock 6.12 6.12-rt 7.x

set -eu
. "$SRC/selftests/lib/tap.sh"

mib=$((1 << 20))
begin=0x50000000
end=$((begin + 512 * mib))

at_load() {
	load_ok size=16M regions=kept:256M@"$begin"
	is_region memalloc-kept name=kept length=$((256 * mib)) fit=good
	[ "$(regions list | tail -n 1 | cut -d ' ' -f 5)" = reserved ]
	grep -x ' *50000000-5fffffff : memalloc' /proc/iomem
}

side_by_side() {
	created next 64 reserved $((begin + 256 * mib))
	created last 64 reserved $((end - 64 * mib))
	create_fails EEXIST "somebody uses a part of" 64 reserved $((end - 96 * mib))
	destroyed next
	destroyed last
	created last 256 reserved $((end - 256 * mib))
	destroyed last
}

# While no region is there, /dev/mem reaches the memory.
contents_are_gone() {
	local last=$((end - 64 * mib))
	head -c "$mib" /dev/zero | tr '\0' x | dd of=/dev/mem bs=64K seek=$((last / 65536)) iflag=fullblock
	[ "$(dd if=/dev/mem bs=4096 skip=$((last / 4096)) count=1 | tr -cd x | wc -c)" = 4096 ]
	created again 64 reserved "$last"
	MEMALLOC_NODE=memalloc-again "$tools/zero"
	wait_until destroyed again
}

lines_in_iomem() {
	[ "$(grep -c memalloc /proc/iomem)" = "$1" ]
}

echo "# program: reserved"
check at_load at_load
check side_by_side side_by_side
check eexist_memory_of_the_kernel create_fails EEXIST "the kernel uses memory in" 64 reserved $((64 * mib))
check eexist_partly_of_the_kernel create_fails EEXIST "the kernel uses memory in" 64 reserved $((end - 32 * mib))
check eexist_a_device create_fails EEXIST "somebody uses a part of" 2 reserved 0xfec00000
check eexist_another_region create_fails EEXIST "somebody uses a part of" 64 reserved $begin
check einval_base_not_aligned create_fails EINVAL "multiples of 2048 KiB" 64 reserved $((end - 64 * mib + 4096))
check einval_length_not_aligned create_fails EINVAL "multiples of 2048 KiB" 1 reserved $((end - 64 * mib))
check einval_that_wraps create_fails EINVAL "multiples of 2048 KiB" 4 reserved 0xffffffffffe00000
check contents_are_gone contents_are_gone
end_checks

load_drivers
run_on_region memalloc-kept

echo "# program: reserved_end"
check nothing_is_left_used is_region memalloc-kept used=0
check one_line_in_iomem lines_in_iomem 1
check unload wait_until unload_ok
check none_in_iomem lines_in_iomem 0
end_checks
end_boot
