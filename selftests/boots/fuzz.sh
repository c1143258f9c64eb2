#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: fuzz.sh [VARIABLE=VALUE...]
#
# In the VM: random calls, each of which is known how it has to be answered. The variables are
# those of selftests/fuzz/main.c. Then fewer of these, with strangers who guess what those who make
# them have.
#
#vm --memory 1G --timeout 600

set -eu
. "$SRC/selftests/lib/tap.sh"

for setting; do export "${setting?}"; done
modprobe vgem
load_ok size=64M
run_program fuzz
export STRANGERS=${STRANGERS:-3} SEED=$((${SEED:-1} + 1000)) STEPS=${STRANGERS_STEPS:-20000} MINUTES=0
run_program fuzz with strangers

echo "# program: fuzz_boot"
check nothing_is_left_used is used 0
check unload_after_all_calls wait_until unload_ok
end_checks
end_boot
