#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on a kernel that is told to let no device reach memory other than through bounce
# buffers: two devices that do DMA, with the driver in selftests/edu. They and the CPU see what
# the others wrote when memory is handed over, and only then. The buffers are 64 MiB, as x86 has them
# by itself; arm64 has 1 MiB where devices reach all memory.
#
# The VM's clock counts instructions: so it leaps over the time that transfers take.
#
#vm --icount --memory 1G --timeout 600 --append swiotlb=32768,force
#vm --qemu "-device edu,dma_mask=0xffffffff -device edu,dma_mask=0xffffffff"

set -eu
. "$SRC/selftests/lib/tap.sh"

load_ok size=64M
insmod "${MEMALLOC_KO%/*}/edu/edu.ko"
modprobe vgem
run_program dma

echo "# program: swiotlb"
check nothing_is_left_used is used 0
check unload_after_dma wait_until unload_ok
end_checks
end_boot
