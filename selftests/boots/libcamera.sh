#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM: libcamera of Debian 13, as it is, which has its frames from a heap by the name linux,cma.
# It runs as a member of the group that may use the region, and makes the frames itself.
#
#vm --memory 1G --timeout 600 --release trixie:python3-libcamera,libcamera-ipa
#kernel stock

set -eu
. "$SRC/selftests/lib/tap.sh"

member=1000 group=44 # video
other=/tmp/other

# Debian 13, where files may be written.
other_release_is_there() {
	local dir
	modprobe overlay
	mkdir -p /tmp/{upper,work} "$other"
	mount -t overlay -o "lowerdir=$OTHER_ROOT,upperdir=/tmp/upper,workdir=/tmp/work" overlay "$other"
	for dir in /dev /proc /sys; do
		mount --rbind "$dir" "$other$dir"
	done
	mkdir -p "$other/usr/share/libcamera/pipeline/virtual"
	cat >"$other/usr/share/libcamera/pipeline/virtual/virtual.yaml" <<-END
		"frames":
		  supported_formats:
		  - width: 640
		    height: 480
		    frame_rates: [30, 60]
		  test_pattern: "bars"
		  location: "CameraLocationFront"
		  model: "frames of its own"
	END
}

# As the udev rule of the packages does.
of_the_group() {
	chgrp "$group" "$1"
	chmod 660 "$1"
}

loads() {
	load_ok size=64M heap=linux,cma
	[ "$(ls /dev/dma_heap)" = "$(printf '%s\n' linux,cma memalloc)" ]
	of_the_group /dev/dma_heap/linux,cma
}

in_other_release() {
	chroot --userspec="$1" "$other" "${@:2}"
}

frames() {
	in_other_release "$1" python3 /tmp/libcamera_frames.py
}

# The bars have several colours.
captures_into_buffers() {
	local exporter length values n=0
	cp selftests/sharing/libcamera_frames.py "$other/tmp"
	frames "$member:$group" >/tmp/frames
	cat /tmp/frames
	while read -r exporter length values; do
		[ "$exporter" = memalloc ]
		[ "$length" -gt 100000 ]
		[ "$values" -gt 4 ]
		n=$((n + 1))
	done </tmp/frames
	[ "$n" -ge 4 ]
}

all_comes_back() {
	wait_until is used 0
}

# libcamera finds no other heap.
stranger_is_refused() {
	if frames 1001:1001; then return 1; fi
	is used 0
}

echo "# program: libcamera"
check other_release_is_there other_release_is_there
check loads loads
check captures_into_buffers captures_into_buffers
check all_comes_back all_comes_back
check stranger_is_refused stranger_is_refused
check unload wait_until unload_ok
end_checks
end_boot
