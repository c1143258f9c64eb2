#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM: attacks, each a program of selftests/hostile, on the module and on those who use it.
#
#vm --memory 2G --disk 64M --timeout 1200

set -eu
. "$SRC/selftests/lib/tap.sh"

load_drivers
load_ok size=256M
for attack in "$SRC"/selftests/hostile/*.c; do
	run_program "hostile/$(basename "$attack" .c)"
done

echo "# program: hostile"
check nothing_is_left_used is used 0
check nothing_is_left_in_quarantine is quarantined 0
check unload_after_all_attacks wait_until unload_ok
end_checks
end_boot
