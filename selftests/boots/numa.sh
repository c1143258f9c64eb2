#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, with two NUMA nodes: the region lies on the node that node= names.
#
#vm --memory 2G --cpus 2 --nodes 2

set -eu
. "$SRC/selftests/lib/tap.sh"

region_mib=256

# Free memory of node $1, in MiB.
free_mib() {
	awk '/MemFree/ { print int($4 / 1024) }' "/sys/devices/system/node/node$1/meminfo"
}

# Node $1 has as much free memory as before, when it had $2 MiB. A processor keeps some of what has
# just been freed for itself, and gives it back within seconds.
is_free_again() {
	[ $(($2 - $(free_mib "$1"))) -lt $((region_mib / 4)) ]
}

# The region takes what it needs from node $1 and (nearly) nothing from the other one.
lies_on() {
	local node=$1 other=$((1 - $1)) before other_before
	before=$(free_mib "$node")
	other_before=$(free_mib "$other")
	load_ok size="${region_mib}M" node="$node"
	is node "$node"
	[ $((before - $(free_mib "$node"))) -ge $((region_mib * 3 / 4)) ]
	[ $((other_before - $(free_mib "$other"))) -lt $((region_mib / 2)) ]
	unload_ok
	wait_until is_free_again "$node" "$before"
}

any_node() {
	load_ok size=64M node=-1
	is node 0 || is node 1
	unload_ok
}

refuses() {
	[ "$(load size=64M node="$1")" = EINVAL ]
}

echo "# program: numa"
check node_0 lies_on 0
check node_1 lies_on 1
check node_any any_node
check einval_node_7 refuses 7
check einval_node_99999 refuses 99999
check einval_node_minus_2 refuses -2
end_checks
end_boot
