#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, where time is instructions: what the calls of one user cost with what another one left
# behind; and which mappings one may have to wait for. What is left behind is counted in pages, and
# so is the region: 128 MiB with pages of 4 KiB.
#
#kernel debian
#vm --icount --memory 2G --timeout 900

set -eu
. "$SRC/selftests/lib/tap.sh"

page=$(python3 -c 'import os; print(os.sysconf("SC_PAGESIZE"))')
load_ok size=$((32768 * page)) user_bytes=0
sleep 5 # until the kernel has nothing to do in the background
run_program bounds
run_program spaces

echo "# program: bounds_boot"
check nothing_is_left_used is used 0
check unload_after_all_counts wait_until unload_ok
end_checks
end_boot
