#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM: a region so large that, wherever it lies, 512 MiB or 1 GiB is inside it, beyond which
# some DMA mask does not reach.
#
#vm --memory 1536M

set -eu
. "$SRC/selftests/lib/tap.sh"

load_ok size=600M
export REGION_IS_CUT=yes
run_program placement
end_boot
