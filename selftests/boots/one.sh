#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: one.sh NAME [VARIABLE=VALUE...]
#
# In the VM: runs one test program, for scripts/faults and for whoever works on it. The variables are
# for its environment.
#
#vm --memory 2G --disk 64M

set -eu
. "$SRC/selftests/lib/tap.sh"

load_drivers
load_ok size=256M
for setting in "${@:2}"; do export "${setting?}"; done
run_program "$1"
end_boot
