#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on a kernel with the cgroup controller of devices' memory: what groups have of a region.
#
#vm --memory 1G
#kernel debug-7.x

set -eu
. "$SRC/selftests/lib/tap.sh"

begin() {
	echo +dmem >/sys/fs/cgroup/cgroup.subtree_control
	load_ok size=64M
}

echo "# program: dmem_begin"
check begin begin
end_checks

run_program dmem

echo "# program: dmem_end"
check unload wait_until unload_ok
end_checks
end_boot
