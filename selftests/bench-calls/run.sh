#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: selftests/bench-calls/run.sh [marked]
#
# In the VM: counts the instructions of getting and giving back a buffer. With "marked", for
# scripts/profile-calls, more operations, for which the region has to be larger; the run folder gets
# a list of these, and the names of the kernel's functions.
#
#vm --icount --memory 1G

set -eu
. "$SRC/selftests/lib/tap.sh"

size=64M list=()
[ $# = 0 ] || size=256M list=("$OUT/operations")
load_ok size=$size
echo "branch mitigations: $(cat /sys/devices/system/cpu/vulnerabilities/spectre_v2)"
sleep 5 # until the kernel has nothing to do in the background
"$tools/count" "${list[@]}"
[ $# = 0 ] || cat /proc/kallsyms >"$OUT/kallsyms"
