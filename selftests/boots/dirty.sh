#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on a kernel that does not clear pages when it gives them out, whose memory is full of
# what another program left there: new buffers are zero all the same. The stock kernel clears
# pages, and so hides it if the module forgets to.
#
#vm --memory 1G --append init_on_alloc=0

set -eu
. "$SRC/selftests/lib/tap.sh"

echo "# program: dirty"
dirty=$("$tools/leave_dirty")
check most_memory_is_dirty test "$dirty" -gt 600
check load load_ok size=256M
end_checks

run_program zero
end_boot
