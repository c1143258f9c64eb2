# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # the scripts that source it use status
# Sourced by boots/*.sh, which run in the VM: running programs, checks in shell that print TAP,
# loading the module and the drivers that tests need. scripts/static has its checks from here, too.

tools=$BUILD/selftests
status=0 checks=0

# run_program NAME [ARG...]: a test program; what it prints is TAP. MEMALLOC_NODE: on that region.
run_program() {
	echo "# program: $*${MEMALLOC_NODE:+ on $MEMALLOC_NODE}"
	"$tools/$1" "${@:2}" || status=1
}

# What each kind of memory has to pass: those programs on the region with that node.
run_on_region() {
	local MEMALLOC_NODE=$1 program
	export MEMALLOC_NODE
	for program in abilities calls placement zero clean ready mapping direct vgem vivid lifetime \
		disclosed debugfs; do
		run_program "$program"
	done
}

# check NAME COMMAND [ARG...]: one result. COMMAND may be a function; it fails with the first
# command in it that fails, and what it printed is shown then.
check() {
	local name=$1 failed output
	shift
	checks=$((checks + 1))
	output=$(mktemp)
	set +e
	(
		set -ex
		"$@"
	) >"$output" 2>&1
	failed=$?
	set -e
	if [ $failed = 0 ]; then
		echo "ok $checks $name"
	else
		sed 's/^/# /' "$output"
		echo "not ok $checks $name"
		status=1
	fi
	rm "$output"
}

# After the last check of a program.
end_checks() {
	echo "1..$checks"
	checks=0
}

# The kernel's own test of dma-buf heaps, on the one of that node. It tests each that is there, but
# some kernels have others, too small for it: so it finds ours alone.
kernels_heap_test() {
	local heaps
	heaps=$(mktemp -d)
	cp -a "/dev/dma_heap/$1" "$heaps"
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m sh -c 'mount --bind "$1" /dev/dma_heap && exec "$2"' - "$heaps" \
		"$tools/dmabuf-heap" >"$2"
}

# It says FAIL of some things and goes on. Since it prints TAP, OK is on lines of its own.
all_of_it_was_tested() {
	[ "$(sed -nE 's/^(# )?Testing heap: //p' "$2")" = "$1" ]
	[ "$(grep -cE '^  Testing .*: *OK$|^# Testing .*:$' "$2")" = 6 ]
	! grep -E 'skipping|SKIP|FAIL|failed|^not ok' "$2"
}

# run_kernels_heap_test: as run_program.
run_kernels_heap_test() {
	local node=${MEMALLOC_NODE:-memalloc} log
	log=$OUT/dmabuf-heap-$node.log
	echo "# program: dmabuf-heap${MEMALLOC_NODE:+ on $MEMALLOC_NODE}"
	check kernels_own_test_passes kernels_heap_test "$node" "$log"
	sed 's/^/# /' "$log"
	check kernels_own_test_leaves_nothing_out all_of_it_was_tested "$node" "$log"
	end_checks
}

# wait_until COMMAND [ARG...]: false if it does not succeed within 10 seconds.
wait_until() {
	local end=$((SECONDS + 10))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# load [PARAMETER=VALUE...] and unload print OK or the errno.
load() {
	"$tools/kmod" load "$MEMALLOC_KO" "$@" || true
}

unload() {
	"$tools/kmod" unload memalloc || true
}

load_ok() {
	[ "$(load "$@")" = OK ]
}

unload_ok() {
	[ "$(unload)" = OK ]
}

# start NAME [ARG...]: starts a program that says "ready" and waits; let_go ends it.
start() {
	coproc "$tools/$1" "${@:2}"
	read -r line <&"${COPROC[0]}"
	[ "$line" = ready ]
}

let_go() {
	local pid=$COPROC_PID input=${COPROC[1]}
	exec {input}>&-
	wait "$pid"
}

# is NAME VALUE: what the device says of itself (see show.c).
is() {
	"$tools/show" | grep -qx "$1=$2"
}

# is_region NODE NAME=VALUE...: what the region with that node says of itself.
is_region() {
	local value
	for value in "${@:2}"; do
		MEMALLOC_NODE=$1 "$tools/show" | grep -qx "$value"
	done
}

# The calls of the control node (see regions.c): regions create|destroy|list ...
regions() {
	"$tools/regions" "$@"
}

# destroyed NAME: for wait_until, too.
destroyed() {
	[ "$(regions destroy "$1")" = OK ]
}

# create NAME MIB SOURCE PLACE: a region, from another source; prints OK or the errno.
create() {
	regions create "$1" $(($2 << 20)) -1 good "$3" "$4"
}

created() {
	[ "$(create "$@")" = OK ]
}

# create_fails ERRNO MESSAGE MIB SOURCE PLACE
create_fails() {
	dmesg -C
	[ "$(create refused "${@:3}")" = "$1" ]
	dmesg | grep -F memalloc | grep -F "$2"
	[ "$(regions destroy refused)" = ENOENT ]
}

# The kernel's importers of dma-bufs, and the disk. Of vivid there is a camera without DMA; and with
# it, a camera and a screen.
load_drivers() {
	modprobe -a vgem nvme
	modprobe vivid n_devs=2 allocators=0,1 node_types=0x1,0x101
	wait_until test -b /dev/nvme0n1
}

# no_leaks: nothing that the kernel allocated is lost. Only kernels with kmemleak can tell.
no_leaks() {
	local report=/sys/kernel/debug/kmemleak
	sleep 6 # it does not suspect what is younger
	echo scan >"$report"
	echo scan >"$report"
	! grep . "$report"
}

# The end of a boot: its exit status says whether all went well.
end_boot() {
	if [ -e /sys/kernel/debug/kmemleak ]; then
		echo "# program: leaks"
		check nothing_is_leaked no_leaks
		end_checks
	fi
	exit $status
}
