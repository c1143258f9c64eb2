#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on arm64, with devices that do not see the CPU's caches: which lines of the caches are
# written back, or thrown away, each time that memory is handed over.
#
#kernel arm64 arm64-16k
#vm --memory 1G --not-coherent --qemu "-device edu,dma_mask=0xffffffff -device edu,dma_mask=0xffffffff"

set -eu
. "$SRC/selftests/lib/tap.sh"

load_ok size=64M
insmod "${MEMALLOC_KO%/*}/edu/edu.ko"
run_program caches

echo "# program: caches_boot"
check nothing_is_left_used is used 0
check unload_after_dma wait_until unload_ok
end_checks
end_boot
