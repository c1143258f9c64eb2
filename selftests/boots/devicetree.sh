#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on arm64: regions that the device tree asks for, one of them for a device; and nodes of
# it that are wrong.
#
#vm --memory 1G --disk 64M --timeout 900 --device-tree selftests/boots/devicetree.dtsi
#vm --qemu "-device edu,addr=03.0,dma_mask=0xffffffff"
#kernel arm64 arm64-16k

set -eu
. "$SRC/selftests/lib/tap.sh"

copier=${MEMALLOC_KO%/*}/copier/copier.ko
mib=$((1 << 20))

in_the_log() {
	dmesg | grep -F "$1"
}

# logged DEVICE MESSAGE
logged() {
	in_the_log "memalloc $1: $2"
}

# Only what the device tree asks for, if no parameter asks for more.
at_load() {
	load_ok
	is_region memalloc-video name=video length=$((128 * mib)) fit=best
	is_region memalloc-camera name=camera length=$((128 * mib)) fit=good
	[ "$(regions list | cut -d ' ' -f 1,5 | sort | xargs)" = "camera cma video reserved" ]
	[ -c /dev/dma_heap/linux,cma ]
	[ ! -e /dev/memalloc ]
}

in_its_own_memory() {
	grep -x ' *60000000-67ffffff : memalloc' /proc/iomem
	[ "$(awk '/CmaFree/ { print $2 }' /proc/meminfo)" -lt $(($(cma_total) - 128 * 1024 + 1)) ]
}

cma_total() {
	awk '/CmaTotal/ { print $2 }' /proc/meminfo
}

all_comes_back() {
	wait_until unload_ok
	[ "$(grep -c memalloc /proc/iomem)" = 0 ]
	[ "$(awk '/CmaFree/ { print $2 }' /proc/meminfo)" -ge 131072 ]
}

again_with_a_first_one() {
	load_ok size=16M
	is length $((16 * mib))
	[ "$(regions list | wc -l)" = 3 ]
}

a_board_loads_the_module() {
	modinfo -F alias "$MEMALLOC_KO" | grep -F 'Cmemalloc,region'
}

busy_is_refused() {
	exec 3<>/dev/memalloc-video
	[ "$(unload)" = EAGAIN ]
	[ "$(regions destroy video)" = EBUSY ]
	exec 3>&-
}

# The driver of a device to which the device tree gives a region.
driver_waits_for_its_region() {
	[ "$(regions destroy camera)" = OK ]
	[ "$("$tools/kmod" load "$copier")" = OK ]
	[ ! -e /dev/copier ]
	grep copier /sys/kernel/debug/devices_deferred
	[ "$(regions create-of 1 camera $((16 * mib)) $((16 * mib)))" = OK ]
	# As when a driver binds to a device.
	echo 0000:00:03.0 >/sys/bus/pci/drivers_probe
	wait_until [ -c /dev/copier ]
}

driver_holds_its_region() {
	[ "$(regions destroy camera)" = EBUSY ]
	rmmod copier
	wait_until destroyed camera
}

echo "# program: devicetree"
check at_load at_load
check in_its_own_memory in_its_own_memory
check no_memory logged no-memory "error -EINVAL: memory-region names no reserved memory"
check memory_of_the_kernel logged kernels-own "error -EINVAL: the memory of memory-region is neither no-map nor reusable"
check memory_of_another_region logged taken "error -EEXIST: there is no region taken"
check same_name logged same-name "error -EEXIST: there is no region camera"
check bad_name logged bad-name "error -EINVAL: 'bad/name' is no name"
check bad_fit in_the_log "fit=perfect is none of"
check a_board_loads_the_module a_board_loads_the_module
check busy_is_refused busy_is_refused
end_checks

load_drivers
echo good >/sys/class/misc/memalloc-video/fit
run_on_region memalloc-video
run_on_region memalloc-camera

echo "# program: devicetree_end"
check all_comes_back all_comes_back
check again_with_a_first_one again_with_a_first_one
check driver_waits_for_its_region driver_waits_for_its_region
check driver_holds_its_region driver_holds_its_region
check unload wait_until unload_ok
end_checks
end_boot
