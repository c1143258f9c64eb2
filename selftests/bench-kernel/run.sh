#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#vm --icount --memory 3G --timeout 900
# Usage: selftests/bench-kernel/run.sh UNIT GROUP...
#
# In the VM: runs the benchmark module that counts UNIT (instructions or steps) for each GROUP of
# allocators (ours, or the beginning of names), and prints what it logs.

set -eu

unit=$1
shift
modprobe drm_buddy
dmesg -c >/dev/null
for group; do
	insmod "$BUILD/kernel-$RELEASE/bench-$unit/mal_bench.ko" group="$group"
	rmmod mal_bench
done
echo "branch mitigations: $(cat /sys/devices/system/cpu/vulnerabilities/spectre_v2)"
dmesg | sed -n 's/.*mal_bench: //p'
