#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, with a device that does DMA: the example of a driver that has its buffers from the
# module, selftests/copier.
#
#vm --memory 1G --cpus 2 --qemu "-device edu,dma_mask=0xffffffff"

set -eu
. "$SRC/selftests/lib/tap.sh"

copier=${MEMALLOC_KO%/*}/copier/copier.ko
mib=$((1 << 20))

# Its symbols have the version of the API that it was compiled for.
other_version_does_not_load() {
	sed 's/__memalloc_get_1/__memalloc_get_9/g' "$copier" >"$OUT/copier.ko"
	dmesg -C
	[ "$("$tools/kmod" load "$OUT/copier.ko")" = ENOENT ]
	dmesg | grep 'copier: Unknown symbol __memalloc_get_9'
}

needs_its_region() {
	[ "$("$tools/kmod" load "$copier" region=nosuch)" = OK ]
	[ ! -e /dev/copier ]
	dmesg | grep 'copier .*region nosuch'
	rmmod copier
}

loads() {
	[ "$(regions create-of 2 copied $((16 * mib)) $((24 * mib)))" = OK ]
	[ "$("$tools/kmod" load "$copier" region=copied)" = OK ]
	[ -c /dev/copier ]
}

holds_the_module() {
	[ "$(unload)" = EAGAIN ]
	grep -w '^memalloc .* copier' /proc/modules
}

goes() {
	rmmod copier
	wait_until destroyed copied
}

echo "# program: drivers"
check load load_ok size=16M
check other_version_does_not_load other_version_does_not_load
check needs_its_region needs_its_region
check loads loads
end_checks

run_program copier

echo "# program: drivers_after"
check holds_the_module holds_the_module
check goes goes
check unload_after_drivers wait_until unload_ok
end_checks
end_boot
