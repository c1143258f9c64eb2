#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, with two NUMA nodes: several regions, made at load by regions=, or later through the
# control node; and what keeps one from being destroyed.
#
#vm --memory 2G --cpus 2 --nodes 2

set -eu
. "$SRC/selftests/lib/tap.sh"

# refuses CHARACTER EXPECTED REGIONS: at that character, of which the log says what should be there.
refuses() {
	dmesg -C
	[ "$(load regions="$3")" = EINVAL ]
	dmesg | grep -F "memalloc: regions=$3: expected $2 at character $1"
	[ ! -e /sys/class/misc/memalloc ]
}

several() {
	load_ok size=32M regions=video:256M,fpga:64M@1:best user_bytes=16M
	is_region memalloc name=memalloc length=$((32 << 20)) fit=good
	is_region memalloc-video name=video length=$((256 << 20)) fit=good
	is_region memalloc-fpga name=fpga length=$((64 << 20)) fit=best node=1
	[ "$(echo /dev/dma_heap/memalloc*)" = "/dev/dma_heap/memalloc /dev/dma_heap/memalloc-fpga \
/dev/dma_heap/memalloc-video" ]
	[ "$(cat /sys/class/misc/memalloc-{video,fpga}/user_bytes | xargs)" = "16777216 16777216" ]
}

# What is set of one region changes no other.
settings_are_a_regions_own() {
	echo 1M >/sys/class/misc/memalloc-video/client_bytes
	echo worst >/sys/class/misc/memalloc-video/fit
	[ "$(cat /sys/class/misc/memalloc{,-video,-fpga}/client_bytes | xargs)" = "0 1048576 0" ]
	is_region memalloc-video fit=worst
	is_region memalloc-fpga fit=best
	is_region memalloc fit=good
}

without_a_first_one() {
	load_ok regions=video:4M
	is_region memalloc-video length=$((4 << 20))
	[ ! -e /dev/memalloc ]
	unload_ok
	load_ok regions=
	is length $((64 << 20))
	unload_ok
}

first_one_by_name() {
	load_ok regions=memalloc:4M@0:first,other:8M
	is_region memalloc length=$((4 << 20)) fit=first node=0
	is_region memalloc-other length=$((8 << 20)) fit=good
	unload_ok
}

# As libcamera looks for it.
second_heap_name() {
	load_ok heap=linux,cma regions=video:4M,fpga:4M
	[ "$(echo /dev/dma_heap/[lm]*)" = "/dev/dma_heap/linux,cma /dev/dma_heap/memalloc-fpga \
/dev/dma_heap/memalloc-video" ]
	[ -d /sys/class/misc/memalloc-video.dma_heap.linux,cma ]
	unload_ok
	[ ! -e /dev/dma_heap/linux,cma ]
	[ "$(load heap=a/b)" = EINVAL ]
	[ "$(load heap=memalloc)" = EBUSY ]
	dmesg | grep -F "memalloc: /dev/dma_heap/memalloc: the name is taken"
	[ -z "$(ls -d /dev/memalloc* /dev/dma_heap/[lm]* /sys/class/misc/memalloc* 2>/dev/null)" ]
}

# Not EEXIST: modprobe takes that for a module that is loaded.
name_is_taken() {
	local name
	dmesg -C
	[ "$(load regions=video:4M,video:8M)" = EBUSY ]
	[ "$(load size=4M regions=memalloc:4M)" = EBUSY ]
	[ "$(load regions=control:4M)" = EBUSY ]
	for name in video memalloc control; do
		dmesg | grep -F "memalloc: region $name: the name is taken"
	done
	[ -z "$(ls -d /dev/memalloc* /sys/class/misc/memalloc* 2>/dev/null)" ]
}

# All or none: what was claimed for the first is given back.
one_does_not_fit() {
	local before
	load_ok size=4M
	unload_ok
	before=$(awk '/MemFree/ { print $2 }' /proc/meminfo)
	[ "$(load regions=video:256M,fpga:64G)" = EFBIG ]
	[ -z "$(ls -d /dev/memalloc* 2>/dev/null)" ]
	[ $((before - $(awk '/MemFree/ { print $2 }' /proc/meminfo))) -lt 65536 ]
}

# Node 1 has 1 GiB: wherever the first region lies in it, it is in the way of the second. With pages
# of 16 KiB, so are the kernel's own tables of pages, which never go.
obstacles_are_counted() {
	local obstacles="in the best window, .* [1-9][0-9]* others of the kernel"
	[[ "$(uname -r)" != *-16k ]] || obstacles="no range .* reserved since boot"
	load_ok regions=first:256M@1
	dmesg -C
	[ "$(regions create second $((800 << 20)) 1)" = ENOMEM ]
	dmesg | grep -E "memalloc: $obstacles"
	unload_ok
}

# The region, and the longest range that node 1 has left, as the log told who asked for more.
largest_range_of_node_1() {
	dmesg -C
	[ "$(regions create second $((800 << 20)) 1)" = ENOMEM ]
	dmesg | sed -n 's/.*largest range found: \([0-9]*\) MiB.*/\1/p'
}

# Longer than any range that there is. Where the first region lies is chance: as long as it leaves
# nearly all in one piece, it is made again.
made_of_several_ranges() {
	local largest wanted free
	for _ in {1..8}; do
		load_ok regions=first:256M@1
		largest=$(largest_range_of_node_1)
		free=$(awk '/MemFree/ { print int($4 / 1024) }' /sys/devices/system/node/node1/meminfo)
		wanted=$((largest + 48))
		echo "# $largest MiB in one piece, $free MiB free, $wanted MiB wanted"
		[ $((wanted + 64)) -gt "$free" ] || break
		unload_ok
	done
	[ "$(regions create second $((wanted << 20)) 1)" = ENOMEM ]
	[ "$(regions create-of 8 second $((wanted << 20)) 0 1)" = OK ]
	is_region memalloc-second name=second length=$((wanted << 20)) node=1
	[ "$(wc -l </sys/class/misc/memalloc-second/ranges)" -gt 1 ]
	[ "$(awk '{ n += $2 } END { print n }' /sys/class/misc/memalloc-second/ranges)" = \
		$((wanted << 20)) ]
	[ "$(cat /sys/class/misc/memalloc-second/buffer_max)" -le $((largest << 20)) ]
	destroyed second
	unload_ok
}

# Of which no range is left behind.
none_of_several_is_left() {
	local before
	load_ok size=4M
	before=$(awk '/MemFree/ { print $2 }' /proc/meminfo)
	[ "$(regions create-of 16 large $((3 << 30)) 0)" = EFBIG ] ||
		[ "$(regions create-of 16 large $((3 << 30)) 0)" = ENOMEM ]
	[ "$(regions create-of 2 large $((1900 << 20)) 0)" = ENOMEM ]
	[ $((before - $(awk '/MemFree/ { print $2 }' /proc/meminfo))) -lt 65536 ]
	unload_ok
}

grows_by_parameters() {
	local before
	load_ok size=64M ranges=4 size_max=256M
	[ "$(regions grow memalloc $((64 << 20)))" = OK ]
	[ "$(regions grow memalloc $((192 << 20)))" = ENOSPC ]
	is length $((128 << 20))
	[ "$(cat /sys/class/misc/memalloc/size)" = $((128 << 20)) ]
	[ "$(regions shrink memalloc 1)" = OK ]
	is length $((64 << 20))
	before=$(awk '/MemFree/ { print $2 }' /proc/meminfo)
	for _ in {1..10}; do
		[ "$(regions grow memalloc $((64 << 20)))" = OK ]
		[ "$(regions shrink memalloc 1)" = OK ]
	done
	[ $((before - $(awk '/MemFree/ { print $2 }' /proc/meminfo))) -lt 65536 ]
	unload_ok
	[ "$(load ranges=0)" = EINVAL ]
	[ "$(load ranges=17)" = EINVAL ]
	[ "$(load ranges=2 size_max=lots)" = EINVAL ]
	dmesg -C
	[ "$(load size=4M size_max=8M)" = EINVAL ]
	dmesg | grep -F "memalloc: region memalloc: it may grow only if it may have several ranges"
}

made_while_loaded() {
	load_ok size=64M
	[ "$(regions create video $((32 << 20)) 1 best)" = OK ]
	is_region memalloc-video name=video length=$((32 << 20)) node=1 fit=best
	[ -c /dev/dma_heap/memalloc-video ]
	[ "$(regions list | tail -n 1)" = "video $((32 << 20)) 1 best running" ]
	[ "$(regions list | wc -l)" = 2 ]
	[ "$(cd /sys/kernel/debug/memalloc-video && echo *)" = "check clients layout moves table" ]
	destroyed video
	[ -z "$(ls -d /dev/memalloc-video /dev/dma_heap/memalloc-video /sys/class/misc/memalloc-video* \
		/sys/kernel/debug/memalloc-video 2>/dev/null)" ]
}

busy_while_held_by() {
	[ "$(regions create video $((32 << 20)))" = OK ]
	MEMALLOC_NODE=memalloc-video start hold "$1"
	[ "$(regions destroy video)" = EBUSY ]
	[ "$(regions destroy video)" = EBUSY ]
	is_region memalloc-video name=video
	let_go
	wait_until destroyed video
}

# Who looks at a region does not keep it: the file tells no more.
destroyed_while_looked_at() {
	local fd
	[ "$(regions create video $((32 << 20)))" = OK ]
	exec {fd}</sys/kernel/debug/memalloc-video/layout
	grep -q free <&"$fd"
	destroyed video
	[ "$(cat <&"$fd")" = "" ]
	exec {fd}<&-
}

# A module with several regions stays while one of them is in use.
unload_takes_all() {
	[ "$(regions create video $((32 << 20)))" = OK ]
	MEMALLOC_NODE=memalloc-video start hold mapping
	[ "$(unload)" = EAGAIN ]
	let_go
	wait_until unload_ok
	[ -z "$(ls -d /dev/memalloc* 2>/dev/null)" ]
}

name='a name of 1 to 31 letters, digits, - or _'
place='@ and a NUMA node, 0x and an address, or a PCI device/BAR'
long=$(printf 'n%.0s' {1..32})

echo "# program: regions"
check several_at_load several
check settings_are_a_regions_own settings_are_a_regions_own
check unload unload_ok
check without_a_first_one without_a_first_one
check first_one_by_name first_one_by_name
check second_heap_name second_heap_name
check ebusy_name_is_taken name_is_taken
check efbig_none_is_made one_does_not_fit
check einval_no_name refuses 1 "$name" :4M
check einval_name_with_slash refuses 1 "$name" a/b:4M
check einval_name_too_long refuses 1 "$name" "$long:4M"
check einval_no_size refuses 6 "a colon and a size" video
check einval_empty_size refuses 7 "a size" video:
check einval_size_garbage refuses 7 "a size" video:lots
check einval_size_of_zero refuses 7 "a size" video:0
check einval_node_unknown refuses 9 "$place" video:4M@7
check einval_node_garbage refuses 9 "$place" video:4M@x
check einval_fit_unknown refuses 9 "a colon and a fit" video:4M:nosuch
check einval_fit_twice refuses 14 "a comma, or the end" video:4M:best:good
check einval_comma_at_the_end refuses 10 "$name" video:4M,
check einval_in_the_second refuses 15 "a size" video:4M,fpga:x
check enomem_obstacles_are_counted obstacles_are_counted
check made_of_several_ranges made_of_several_ranges
check none_of_several_is_left none_of_several_is_left
check grows_by_parameters grows_by_parameters
check made_while_loaded made_while_loaded
for what in descriptor mapping dmabuf pinned address dmaheap dmaheap-buffer; do
	check "ebusy_while_held_by_$what" busy_while_held_by "$what"
done
check destroyed_while_looked_at destroyed_while_looked_at
end_checks
run_program control
echo "# program: regions_end"
check no_region_is_left test "$(regions list | wc -l)" = 1
check unload_takes_all unload_takes_all
end_checks
end_boot
