#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM: counts the instructions of getting and giving back a buffer.
#
#vm --icount --memory 1G

set -eu
. "$SRC/selftests/lib/tap.sh"

load_ok size=64M
echo "branch mitigations: $(cat /sys/devices/system/cpu/vulnerabilities/spectre_v2)"
sleep 5 # until the kernel has nothing to do in the background
"$tools/count"
