#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on a kernel that is told to let no device reach memory other than through bounce
# buffers: two devices that do DMA, with the driver in selftests/edu. They and the CPU see what
# the others wrote when memory is handed over, and only then. The buffers are 128 MiB: arm64 makes
# 1 MiB of them where devices reach all memory, and takes the usual 64 MiB for no wish.
#
# The VM's clock counts instructions: so it leaps over the time that transfers take.
#
#vm --icount --memory 1G --timeout 600 --append swiotlb=65536,force
#vm --qemu "-device edu,dma_mask=0xffffffff -device edu,dma_mask=0xffffffff"

set -eu
. "$SRC/selftests/lib/tap.sh"

load_ok size=64M
insmod "${MEMALLOC_KO%/*}/edu/edu.ko"
modprobe vgem
run_program dma
# Where both kinds of importers can be, see module/compat.h.
if [ "$(uname -r | cut -d. -f1)" -ge 7 ]; then
	run_program yields
fi

echo "# program: swiotlb"
check nothing_is_left_used is used 0
check unload_after_dma wait_until unload_ok
end_checks
end_boot
