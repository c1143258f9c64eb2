#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, with two PCI devices that have no driver: of one, BAR 2 is 256 MiB of memory
# (prefetchable); of the other, BAR 0 is 1 MiB of registers. Regions there, and what happens to
# these when the device goes.
#
#vm --memory 1G --disk 64M --timeout 600
#vm --qemu "-object memory-backend-ram,id=shm,size=256M,share=on"
#vm --qemu "-device ivshmem-plain,memdev=shm,addr=10 -device edu,addr=11"
#kernel stock debug debug-rt kcsan debian

set -eu
. "$SRC/selftests/lib/tap.sh"

mib=$((1 << 20))
sysfs=/sys/bus/pci/devices
card=0000:00:10.0
registers=0000:00:11.0

bound() {
	[ "$(basename "$(readlink "$sysfs/$1/driver")")" = "$2" ]
}

# begins BAR: where it is in the physical address space, in hexadecimal digits.
begins() {
	printf %x "$(awk -v line=$((${1#*/} + 1)) 'NR == line { print $1 }' "$sysfs/${1%/*}/resource")"
}

# That BAR of the device is claimed.
is_claimed() {
	grep -x " *0*$(begins "$1")-[0-9a-f]* : memalloc" /proc/iomem
}

is_not_claimed() {
	if is_claimed "$1"; then return 1; fi
}

at_load() {
	echo memalloc >"$sysfs/$card/driver_override"
	load_ok size=16M regions="card:48M@$card/2:best,cards-node:4M@0"
	is_region memalloc-card name=card length=$((48 * mib)) fit=best
	is_region memalloc-cards-node name=cards-node length=$((4 * mib)) node=0
	[ "$(regions list | grep '^card ' | cut -d ' ' -f 5)" = pci ]
	bound "$card" memalloc
	is_claimed "$card/2"
}

# A destroyed region gives the BAR back; the device stays bound.
comes_and_goes() {
	destroyed card
	is_not_claimed "$card/2"
	bound "$card" memalloc
	created card 64 pci "$card/2"
	destroyed card
	created card 16 pci "$card/2/cached"
	destroyed card
}

# has_type NODE BAR TYPE: so the kernel and programs have the memory mapped. Only x86 tells.
has_type() {
	[ -e /sys/kernel/debug/x86 ] || return 0
	MEMALLOC_NODE=$1 start hold mapping
	grep -i "$(begins "$2")" /sys/kernel/debug/x86/pat_memtype_list | grep -F "$3"
	let_go
}

prefetchable_is_write_combined() {
	created card 64 pci "$card/2"
	is_region memalloc-card source=pci memory=16
	has_type memalloc-card "$card/2" write-combining
	wait_until destroyed card
}

others_are_uncached() {
	echo memalloc >"$sysfs/$registers/driver_override"
	created registers 1 pci "$registers/0"
	is_region memalloc-registers memory=24
	has_type memalloc-registers "$registers/0" uncached
	[ "$(MEMALLOC_NODE=memalloc-registers "$tools/registers")" = "10000ed edcba987" ]
	wait_until destroyed registers
}

busy_while_open() {
	created card 64 pci "$card/2"
	exec 3<>/dev/memalloc-card
	[ "$(regions destroy card)" = EBUSY ]
	[ "$(create second 4 pci "$card/2")" = EBUSY ]
	exec 3>&-
	wait_until destroyed card
}

another_driver_is_busy() {
	local nvme
	nvme=$(basename "$(readlink -f /sys/class/nvme/nvme0/device)")
	create_fails EBUSY "another driver has the device" 1 pci "$nvme/0"
}

# All that is there goes with the device, at once.
unplugged() {
	created card 64 pci "$card/2"
	exec 3<>/dev/memalloc-card
	echo 1 >"$sysfs/$card/remove"
	[ ! -e /dev/memalloc-card ]
	[ ! -e "$sysfs/$card" ]
	[ "$(create card 64 pci "$card/2")" = ENODEV ]
	[ "$(unload)" = EAGAIN ]
	exec 3>&-
	echo 1 >/sys/bus/pci/rescan
	echo memalloc >"$sysfs/$card/driver_override"
	created card 64 pci "$card/2"
	echo "$card" >/sys/bus/pci/drivers/memalloc/unbind
	is_not_claimed "$card/2"
}

# The driver goes with the module, and the device is free for others.
driver_is_gone() {
	[ ! -e /sys/bus/pci/drivers/memalloc ]
	[ ! -e "$sysfs/$card/driver" ]
	[ -z "$(ls -d /dev/memalloc* 2>/dev/null)" ]
}

unload_with_a_region() {
	load_ok size=16M
	created card 64 pci "$card/2"
	unload_ok
	driver_is_gone
}

not_without_override() {
	echo "$card" >/sys/bus/pci/drivers/memalloc/unbind
	echo >"$sysfs/$card/driver_override"
	create_fails EBUSY "first write memalloc to its driver_override" 4 pci "$card/2"
	echo memalloc >"$sysfs/$card/driver_override"
}

malformed() {
	local bar
	for bar in "$card" "$card/" "$card/6" "$card/25" "$card/2/" "$card/2/hot" 00:10.0/2 \
		0000:00:20.0/2 0000:00:10.8/2 100000000:00:10.0/2 x; do
		create_fails EINVAL "pci: '$bar' is no device and BAR" 4 pci "$bar"
	done
}

load_drivers
echo "# program: pci"
check at_load at_load
check comes_and_goes comes_and_goes
check prefetchable_is_write_combined prefetchable_is_write_combined
check others_are_uncached others_are_uncached
check ebusy_while_open busy_while_open
check ebusy_without_override not_without_override
check ebusy_another_driver another_driver_is_busy
check enodev_no_such_device create_fails ENODEV "pci: there is no device for" 4 pci 0000:00:12.0/2
check efbig_more_than_the_bar create_fails EFBIG "BAR 2 has only 262144 KiB" 512 pci "$card/2"
check einval_no_such_bar create_fails EINVAL "BAR 5 is no memory" 4 pci "$card/5"
check einval_cached_not_aligned create_fails EINVAL "have to be multiples of 2048 KiB" 1 pci "$card/2/cached"
check einval_malformed malformed
end_checks

# What can be done with the memory, and then without.
try_region() {
	echo "# program: pci_$1"
	check made created "$1" 256 pci "$2"
	end_checks
	run_on_region "memalloc-$1"
	echo "# program: pci_${1}_end"
	check destroyed wait_until destroyed "$1"
	end_checks
	MEMALLOC_NODE=memalloc-$1 MEMALLOC_BAR=$2 run_program gone
}

try_region frames "$card/2"
try_region pages "$card/2/cached"

echo "# program: pci_end"
check unplugged unplugged
check unload wait_until unload_ok
check driver_is_gone driver_is_gone
check unload_with_a_region unload_with_a_region
end_checks
end_boot
