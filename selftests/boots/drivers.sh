#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, with a device that does DMA: the examples of drivers that have their buffers from the
# module, selftests/copier and selftests/video.
#
#vm --memory 1G --cpus 2 --qemu "-device edu,dma_mask=0xffffffff"

set -eu
. "$SRC/selftests/lib/tap.sh"

copier=${MEMALLOC_KO%/*}/copier/copier.ko
video=${MEMALLOC_KO%/*}/video/video_copier.ko
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
	dmesg | grep 'copier .*: there is no region'
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
	wait_until [ ! -e /dev/copier ]
}

video_loads() {
	modprobe -a videodev videobuf2-v4l2
	[ "$("$tools/kmod" load "$video" region=copied)" = OK ]
	wait_until [ -c /dev/video1 ]
}

# v4l2-ctl knows nothing of memalloc.
streams() {
	local status=0
	head -c $((4 * 64 * 48)) /dev/urandom >"$OUT/frames"
	v4l2-ctl --device 0 --stream-out-mmap 4 --stream-from "$OUT/frames" --stream-loop &
	timeout 60 v4l2-ctl --device 1 --stream-mmap 4 --stream-count 4 --stream-to "$OUT/copied" ||
		status=$?
	kill $!
	wait $! || true
	[ "$status" = 0 ]
	cmp "$OUT/frames" "$OUT/copied"
}

video_goes() {
	rmmod video_copier
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
check video_loads video_loads
check streams streams
end_checks

run_program video

echo "# program: drivers_end"
check video_goes video_goes
check unload_after_drivers wait_until unload_ok
end_checks
end_boot
