#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: module.sh [CHECK...]
#
# In the VM: loading and unloading the module. What it refuses and how it says so, that it can be
# interrupted, that it stays while anything of it is in use, and that it gives everything back. With
# CHECKs, only these.
#
#vm --memory 2G --timeout 600

set -eu
. "$SRC/selftests/lib/tap.sh"
wanted=$*
page_kib=$(python3 -c 'import os; print(os.sysconf("SC_PAGESIZE") // 1024)')

# refuses ERRNO MESSAGE PARAMETER...: so, with a line in the log that matches, and in time.
refuses() {
	local errno=$1 message=$2 start=$SECONDS
	shift 2
	dmesg -C
	[ "$(load "$@")" = "$errno" ]
	dmesg | grep -E "memalloc: .*$message"
	[ $((SECONDS - start)) -lt 40 ]
	[ ! -e /dev/memalloc ]
	[ ! -e /dev/dma_heap/memalloc ]
}

# The region is claimed, and the log says so in one line without an address.
says_one_line_without_address() {
	dmesg -C
	load_ok size=256M
	is length $((256 << 20))
	[ "$(dmesg | grep -c memalloc:)" = 1 ]
	dmesg | grep -E 'memalloc: region memalloc: 262144 KiB on node 0, fit good$'
	unload_ok
}

# limits_are USER_BYTES USER_BUFFERS CLIENT_BYTES CLIENT_BUFFERS
limits_are() {
	[ "$(cat /sys/class/misc/memalloc/{user,client}_{bytes,buffers} | xargs)" = "$*" ]
}

all_by_default() {
	load_ok
	is length $((64 << 20))
	is fit good
	limits_are default 0 0 0
	unload_ok
}

each_fit_is_chosen() {
	local fit
	for fit in good first best worst next; do
		load_ok size=4M fit="$fit"
		is fit "$fit"
		[ "$(cat /sys/module/memalloc/parameters/fit)" = "$fit" ]
		unload_ok
	done
}

each_limit_is_set() {
	load_ok size=4M user_bytes=1G user_buffers=1k client_bytes=12345 client_buffers=0
	limits_are $((1 << 30)) 1024 12345 0
	unload_ok
	load_ok size=4M user_bytes=0
	limits_are 0 0 0 0
	unload_ok
}

# compact_is MODE THRESHOLD
compact_is() {
	[ "$(cat /sys/class/misc/memalloc/compact{,_threshold} | xargs)" = "$*" ]
}

each_mode_is_chosen() {
	local mode
	for mode in never demand background; do
		load_ok size=4M compact="$mode" compact_threshold=250
		compact_is "$mode" 250
		[ "$mode" != background ] || pgrep memalloc/
		unload_ok
		[ -z "$(pgrep memalloc/)" ]
	done
	load_ok size=4M
	compact_is demand 500
	[ -z "$(pgrep memalloc/)" ]
	unload_ok
}

size_of() {
	load_ok size="$1"
	is length "$2"
	unload_ok
}

every_parameter_is_described() {
	local parameter
	load_ok
	for parameter in /sys/module/memalloc/parameters/*; do
		[ "$(stat -c %a "$parameter")" = 444 ]
		modinfo -F parm "$MEMALLOC_KO" |
			grep -E "^${parameter##*/}:[[:alpha:]].*default.* \([a-z]+\)$"
	done
	for parameter in size node fit {user,client}_{bytes,buffers}; do
		[ -e "/sys/module/memalloc/parameters/$parameter" ]
	done
	unload_ok
}

stays_while_held_by() {
	load_ok
	start hold "$1"
	[ "$(unload)" = EAGAIN ]
	[ "$(unload)" = EAGAIN ]
	[ -c /dev/memalloc ]
	let_go
	wait_until unload_ok
}

# Reading or not: an open file of debugfs runs code of the module when it is closed.
stays_while_debugfs_is_open() {
	local file fd
	load_ok
	for file in layout table clients moves check; do
		exec {fd}<"/sys/kernel/debug/memalloc/$file"
		[ "$(unload)" = EAGAIN ]
		grep -q . <&"$fd"
		[ "$(unload)" = EAGAIN ]
		exec {fd}<&-
	done
	unload_ok
}

# Of the module's files some are there, some are not: nobody who opens one gets into trouble.
unload_while_debugfs_is_read() {
	local reader cycle unloaded=0
	while :; do cat /sys/kernel/debug/memalloc/* || true; done >/dev/null 2>&1 &
	reader=$!
	for cycle in {1..20}; do
		load_ok size=4M
		wait_until unload_ok
		unloaded=$cycle
	done
	kill "$reader"
	[ "$unloaded" = 20 ]
}

# Whoever watches events of the module does not keep it, and loses nothing but these.
unload_while_traced() {
	local events=/sys/kernel/tracing/events/memalloc
	mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
	[ ! -e "$events" ]
	load_ok
	[ "$(cd "$events" && echo memalloc_*)" = "memalloc_alloc memalloc_export memalloc_failure\
 memalloc_free memalloc_map memalloc_move memalloc_quarantine memalloc_stay\
 memalloc_wait" ]
	echo 1 >"$events/enable"
	start hold descriptor
	let_go
	grep -q memalloc_alloc: /sys/kernel/tracing/trace
	wait_until unload_ok
	[ ! -e "$events" ]
	load_ok
	[ "$(cat "$events/enable")" = 0 ]
	unload_ok
}

# Which client left how much behind is told, to those who want to know, without an address. On
# kernels without dynamic debugging nobody can want to.
log_tells_what_was_abandoned() {
	local control=/sys/kernel/debug/dynamic_debug/control
	[ -e "$control" ] || return 0
	load_ok
	dmesg -C
	start hold descriptor
	let_go
	! dmesg | grep memalloc || return 1
	echo "module memalloc +p" >"$control"
	start hold descriptor
	let_go
	dmesg | grep -E 'memalloc: client of hold\[[0-9]+\] is gone with 1 buffers of 1048576 bytes$'
	[ "$(dmesg | grep -c memalloc:)" = 1 ]
	wait_until unload_ok
}

# Both nodes, and beside them those that the kernel's own heaps have.
nodes_come_and_go() {
	local before
	before=$(ls /dev/dma_heap || true)
	load_ok
	[ -c /dev/memalloc ]
	[ -c /dev/dma_heap/memalloc ]
	[ "$(cd /sys/kernel/debug/memalloc && echo *)" = "check clients layout moves table" ]
	[ "$(ls /dev/dma_heap)" = "$(sort <<<"$before${before:+$'\n'}memalloc")" ]
	unload_ok
	[ ! -e /dev/memalloc ]
	[ ! -e /sys/kernel/debug/memalloc ]
	[ "$(ls /dev/dma_heap || true)" = "$before" ]
}

# A small region is gone before its zeroing was to begin; of a large one, much is left to zero.
unload_while_it_zeroes() {
	load_ok size=4M
	[ "$("$tools/unload_zeroing" before)" = OK ]
	sleep 0.3 # what is forgotten begins now
	wait_until load_ok size=512M # somebody may hold a page for a moment
	[ "$("$tools/unload_zeroing" while)" = OK ]
	load_ok size=4M
	is dirty 0
	unload_ok
}

# Free memory, with the free pages that each processor keeps for itself.
free_kib() {
	echo 1 >/proc/sys/vm/stat_refresh
	awk -v kib="$page_kib" '$1 == "nr_free_pages" || $1 == "count:" { pages += $2 }
		END { print pages * kib }' /proc/zoneinfo
}

now_ms() {
	date +%s%3N
}

# Killed when a quarter of its time is over, loading stops short and leaves nothing behind. It may
# take as long as a whole load: the kernel clears or checks the range in one go. A load that is over
# when it is killed, or before, is tried again, and killed earlier: the first load took longer, since
# pages had to be moved, or the host was busy; or somebody held a page for a moment, so that no range
# was found.
load_is_killed() {
	local loader start whole before part result=0
	start=$(now_ms)
	load_ok size=512M
	whole=$(($(now_ms) - start))
	unload_ok

	before=$(free_kib)
	for part in 4 8 16 32; do
		dmesg -C
		"$tools/kmod" load "$MEMALLOC_KO" size=512M &
		loader=$!
		sleep "$(printf %d.%03d $((whole / part / 1000)) $((whole / part % 1000)))"
		start=$SECONDS
		kill -KILL "$loader" || true
		result=0
		wait "$loader" || result=$?
		[ "$result" != 137 ] || [ -e /sys/module/memalloc ] || break
		[ ! -e /sys/module/memalloc ] || unload_ok
	done
	[ "$result" = 137 ]
	[ $((SECONDS - start)) -le $((5 + whole / 1000)) ]
	[ ! -e /sys/module/memalloc ]
	! dmesg | grep 'memalloc: region ' || return 1
	[ $((before - $(free_kib))) -lt 65536 ]
	wait_until load_ok size=512M # somebody may hold a page for a moment
	unload_ok
}

no_range_is_found() {
	start fragment
	refuses ENOMEM 'largest range found: [1-9][0-9]* MiB' size=512M
	let_go
	wait_until load_ok size=512M
	unload_ok
}

cycles_leak_nothing() {
	local cycle second now
	for cycle in {1..20}; do
		load_ok size=64M
		unload_ok
		echo 3 >/proc/sys/vm/drop_caches
		now=$(free_kib)
		[ "$cycle" != 2 ] || second=$now
	done
	[ $((second - now)) -lt 1024 ]
}

# A check that failed half-way may have left the module loaded; the next one begins without.
check_module() {
	[[ " ${wanted:-$1} " = *" $1 "* ]] || return 0
	check "$@"
	[ ! -e /sys/module/memalloc ] || wait_until unload_ok || true
}

largest='largest range found: [0-9]+ MiB'
nearly_all=$(awk '$1 == "MemTotal:" { print int($2 / 1024 * 0.97) }' /proc/meminfo)M
echo "# program: module"
check_module einval_size_zero refuses EINVAL 'size=0 ' size=0
check_module einval_size_not_of_pages refuses EINVAL 'size=12345 ' size=12345
check_module einval_size_garbage refuses EINVAL 'size=lots ' size=lots
check_module einval_size_bad_suffix refuses EINVAL 'size=64Q ' size=64Q
check_module einval_size_trailing_garbage refuses EINVAL 'size=64MB ' size=64MB
check_module einval_size_negative refuses EINVAL 'size=-64M ' size=-64M
check_module efbig_size_4P refuses EFBIG 'more than a region can have' size=4P
check_module efbig_size_that_wraps refuses EFBIG 'more than a region can have' size=17179869184G
check_module efbig_size_above_memory refuses EFBIG "16384 MiB.*$largest" size=16G
check_module enomem_size_of_nearly_all_memory refuses ENOMEM "$largest" size="$nearly_all"
check_module einval_fit_unknown refuses EINVAL 'fit=nosuch ' fit=nosuch
check_module einval_node_unknown refuses EINVAL 'node=99 ' node=99
check_module einval_compact_unknown refuses EINVAL 'compact=often ' compact=often
check_module einval_compact_threshold_large refuses EINVAL 'compact_threshold=1001 ' compact_threshold=1001
check_module einval_user_bytes_garbage refuses EINVAL 'user_bytes=lots ' user_bytes=lots
check_module einval_user_buffers_negative refuses EINVAL 'user_buffers=-1 ' user_buffers=-1
check_module einval_client_bytes_bad_suffix refuses EINVAL 'client_bytes=1Q ' client_bytes=1Q
check_module einval_client_buffers_empty refuses EINVAL 'client_buffers= ' client_buffers=
check_module values_by_default all_by_default
check_module size_in_bytes size_of 8454144 8454144
check_module size_in_kib size_of 64k 65536
check_module fit_by_name each_fit_is_chosen
check_module limits_by_number each_limit_is_set
check_module moves_by_mode each_mode_is_chosen
check_module log_line says_one_line_without_address
check_module parameters_are_described every_parameter_is_described
check_module load_is_killed_while_it_clears load_is_killed
check_module enomem_all_ranges_have_pinned_pages no_range_is_found
check_module stays_while_a_descriptor_is_open stays_while_held_by descriptor
check_module stays_while_a_buffer_is_mapped stays_while_held_by mapping
check_module stays_while_a_dmabuf_is_open stays_while_held_by dmabuf
check_module stays_while_a_page_is_pinned stays_while_held_by pinned
check_module stays_while_a_buffer_is_retained stays_while_held_by address
check_module stays_while_a_dmaheap_is_open stays_while_held_by dmaheap
check_module stays_while_a_dmaheap_buffer_is_open stays_while_held_by dmaheap-buffer
check_module stays_while_debugfs_is_open stays_while_debugfs_is_open
check_module unload_while_debugfs_is_read unload_while_debugfs_is_read
check_module unload_while_traced unload_while_traced
check_module log_tells_what_was_abandoned log_tells_what_was_abandoned
check_module nodes_come_and_go nodes_come_and_go
check_module unload_while_free_memory_is_zeroed unload_while_it_zeroes
check_module unload_in_the_middle_of_munmap "$tools/unload" "$MEMALLOC_KO" 8
check_module cycles_of_load_and_unload cycles_leak_nothing
end_checks
end_boot
