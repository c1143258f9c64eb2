#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on the kernel that can: each failure of the kernel that a call can meet, one after
# the other.
#
#vm --memory 2G --disk 64M --timeout 400
#kernel debug debug-rt

set -eu
. "$SRC/selftests/lib/tap.sh"

load_drivers
load_ok size=256M
run_program failures
run_program failures_system
run_program failures_module

echo "# program: failures_boot"
check nothing_is_left_used is used 0
check unload_after_all_failures wait_until unload_ok
end_checks
end_boot
