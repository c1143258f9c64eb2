# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # the scripts that source it use tested
# Sourced by boots that have regions from all sources at once, each of 256 MiB. Their VMs have two
# NUMA nodes, memory that was reserved at boot, and a PCI device with memory.

regions=(first second kept pages)
card=0000:00:10.0

all_at_once() {
	local bytes=$((256 << 20))
	echo memalloc >"/sys/bus/pci/devices/$card/driver_override"
	load_ok regions="first:256M@0,second:256M@1,kept:256M@0x40000000,pages:256M@$card/2/cached"
	[ "$(regions list | cut -d ' ' -f 1,2,5 | xargs)" = "first $bytes running \
second $bytes running kept $bytes reserved pages $bytes pci" ]
	is_region memalloc-first node=0
	is_region memalloc-second node=1
}

nothing_is_left_used() {
	local region
	for region in "${regions[@]}"; do
		is_region "memalloc-$region" used=0 quarantined=0
	done
}

# How such a boot begins, and in $tested the regions that it is for: those that are named, or all.
begin_sources() {
	echo "# program: sources"
	check all_at_once all_at_once
	end_checks
	load_drivers
	[ $# -gt 0 ] || set -- "${regions[@]}"
	tested=("$@")
}

# The end of such a boot.
end_sources() {
	echo "# program: sources_end"
	check nothing_is_left_used nothing_is_left_used
	check unload wait_until unload_ok
	end_checks
	end_boot
}
