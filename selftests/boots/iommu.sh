#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, with an IOMMU: a device that does DMA reaches only what is mapped for it. First its
# driver is the kernel's, selftests/copier; then a program, by VFIO.
#
#vm --memory 1G --timeout 600 --append "intel_iommu=on memmap=16M$0x30000000"
#vm --qemu "-device intel-iommu -device edu,dma_mask=0xffffffff"
#vm --qemu "-object memory-backend-ram,id=card,size=16M,share=on"
#vm --qemu "-device ivshmem-plain,memdev=card,addr=10"
#kernel stock 6.12 6.12-rt 7.x debug-7.x

set -eu
. "$SRC/selftests/lib/tap.sh"

copier=${MEMALLOC_KO%/*}/copier/copier.ko
mib=$((1 << 20))
device=''

behind_an_iommu() {
	[ "$(regions create-of 2 copied $((16 * mib)) $((24 * mib)))" = OK ]
	[ "$("$tools/kmod" load "$copier" region=copied)" = OK ]
	[ -e "/sys/bus/pci/drivers/copier/$device/iommu_group" ]
}

region_in_a_card() {
	echo memalloc >"/sys/bus/pci/devices/$card/driver_override"
	created card 16 pci "$card/2"
}

# VFIO wants an IOMMU that remaps interrupts, too. QEMU's does, unless KVM has the interrupts.
given_to_programs() {
	rmmod copier
	[ ! -e "/sys/bus/pci/devices/$device/driver" ]
	modprobe vfio_iommu_type1 allow_unsafe_interrupts=1
	modprobe vfio-pci
	echo vfio-pci >"/sys/bus/pci/devices/$device/driver_override"
	echo "$device" >/sys/bus/pci/drivers_probe
	[ -e "/sys/bus/pci/drivers/vfio-pci/$device" ]
}

card=0000:00:10.0
device=$(basename "$(dirname "$(grep -l 0x11e8 /sys/bus/pci/devices/*/device)")")
load_ok size=64M

echo "# program: iommu"
check behind_an_iommu behind_an_iommu
end_checks

run_program copier

echo "# program: iommu_vfio"
check given_to_programs given_to_programs
check example "$BUILD/examples/vfio" "$device"
end_checks

echo "# program: iommu_regions"
check region_in_a_card region_in_a_card
check region_in_reserved_memory created kept 16 reserved 0x30000000
end_checks

export VFIO_DEVICE=$device
VFIO_BY=/dev/vfio/vfio run_program vfio
VFIO_BY=/dev/vfio/vfio MEMALLOC_NODE=memalloc-kept run_program vfio
# Debian's kernels do not have that.
if modprobe -q iommufd; then
	VFIO_BY=/dev/iommu run_program vfio
fi

echo "# program: iommu_end"
check nothing_is_left_used is used 0
check nothing_is_left_in_reserved_memory is_region memalloc-kept used=0 quarantined=0
check region_in_a_card_goes wait_until destroyed card
check nothing_of_the_driver_is_left wait_until destroyed copied
check unload wait_until unload_ok
end_checks
end_boot
