#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: run.sh LOAD [MINUTES [ROUNDS]]
#
# In the VM: how much contiguous memory can be had while the machine is busy, and how long it takes:
# by memalloc, and as one page of 1 GiB, which is out of CMA if the kernel set that aside at boot
# (hugetlb_cma=). The load is there for MINUTES, and before each claim for 5 seconds more.
#
# Prints a line "row: LOAD,WHAT,MIB,claimed|refused,SECONDS" for each claim, what the module says of
# those that it refused, and the table of report.awk. The seconds of memalloc are those of loading
# and unloading the module, zeroing of the memory included.
#
# LOAD  cache: reading a disk, processes that come and go, and some that take and leave memory
#       files: the same, and small files, whose inodes and names the kernel keeps in memory
#       none:  none, and no waiting for it
#
#vm --memory 4G --cpus 2 --disk 3500M --timeout 3600

set -eu
. "$SRC/selftests/lib/tap.sh"

load=$1 name=$1 minutes=${2:-6} rounds=${3:-3}
huge=/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages
files=/run/files
rows=/run/rows
stop=/run/stop
huge_from="1 GiB page"
! grep -q hugetlb_cma= /proc/cmdline || huge_from="1 GiB page of CMA"

case "$load" in
cache | files | none) ;;
*) echo "run.sh: there is no load '$load', only cache, files and none" && exit 2 ;;
esac

read_all() {
	local at
	while :; do
		for at in {0..3400..100}; do
			[ ! -e $stop ] || return 0
			dd if=/dev/nvme0n1 of=/dev/null bs=1M skip="$at" count=100 2>/dev/null
		done
	done
}

make_files() {
	local i=0 file
	while [ ! -e $stop ]; do
		mkdir "$files/$i"
		for file in {1..200}; do echo "$file" >"$files/$i/$file"; done
		[ $i -lt 100 ] || rm -r "${files:?}/$((i - 100))"
		i=$((i + 1))
	done
	rm -rf $files/[0-9]*
}

prepare() {
	modprobe nvme
	modprobe ext4
	wait_until test -b /dev/nvme0n1
	mkdir -p $files
	mkfs.ext4 -q -E nodiscard /dev/nvme0n1 400M
	mount /dev/nvme0n1 $files
}

# load_for SECONDS
load_for() {
	[ "$load" != none ] || return 0
	rm -f $stop
	read_all &
	[ "$load" != files ] || make_files &
	(cd /run && stress-ng --quiet --fork 2 --vm 1 --vm-bytes 300M --pipe 1 --timeout "$1") ||
		echo "# stress-ng: exit status $?"
	touch $stop
	wait
}

# row WHAT MIB COMMAND...: the claim, timed.
row() {
	local what=$1 mib=$2 start verdict=refused
	shift 2
	start=$(date +%s%N)
	if "$@"; then verdict=claimed; fi
	echo "row: $name,$what,$mib,$verdict,$(awk -v ns=$(($(date +%s%N) - start)) \
		'BEGIN { printf "%.2f", ns / 1e9 }')" | tee -a $rows
}

claim_running() {
	dmesg -C
	case $(load size="$1M") in
	OK) wait_until unload_ok ;;
	ENOMEM) dmesg | grep memalloc: | sed 's/^/# /' && return 1 ;;
	*) echo "the load failed for another reason" && exit 1 ;;
	esac
}

claim_huge() {
	echo 1 >$huge
	[ "$(cat $huge)" = 1 ]
}

free_memory() {
	awk '/MemFree|MemAvailable|SReclaimable|SUnreclaim/ { print "# " $1, int($2 / 1024), "MiB" }' \
		/proc/meminfo
}

# claim_all HOW
claim_all() {
	local mib
	for mib in 64 256 512 1024; do
		load_for 5
		row "memalloc$1" $mib claim_running $mib
	done
	if [ -e $huge ]; then
		load_for 5
		row "$huge_from$1" 1024 claim_huge
		echo 0 >$huge
	fi
}

if [ "$load" != none ]; then
	prepare
	echo "# the load goes on for $minutes minutes"
	load_for $((minutes * 60))
fi
free_memory
for ((round = 0; round < rounds; round++)); do
	claim_all ""
done

# What an administrator can do besides.
load=none
echo 3 >/proc/sys/vm/drop_caches
echo 1 >/proc/sys/vm/compact_memory
free_memory
claim_running 4 # reads the programs that this takes again
claim_all " after drop_caches"
awk -f "$SRC/selftests/bench-claim/report.awk" $rows
