#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Usage: selftests/bench-calls/shared.sh HELD LARGE [PARAMETER=VALUE...]
#
# In the VM, for scripts/count-shared, which says what HELD and LARGE are: processes on all CPUs get
# and give back buffers at the same time. The module is loaded with these parameters. The run folder
# gets the names of the kernel's functions first, which the plugin reads.
#
#vm --emulate --memory 1G

set -eu
. "$SRC/selftests/lib/tap.sh"

load_ok size=64M "${@:3}"
cat /proc/kallsyms >"$OUT/kallsyms"
sleep 5 # until the kernel has nothing to do in the background
"$tools/at_once" "$1" "$2"
