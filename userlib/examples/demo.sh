#!/bin/bash
# SPDX-License-Identifier: MIT
# The demo's part in the VM, run by scripts/demo: loads the drivers and the module,
# and runs the example programs. The picture goes to $OUT. Any mismatch ends it.
set -eu -o pipefail

examples=$BUILD/examples

say() { printf '\n== %s\n' "$*"; }

modprobe vivid n_devs=2 multiplanar=1,2
modprobe -a nvme vgem
insmod "$MEMALLOC_KO" size=256M

say "The module claimed one contiguous region of this machine's running memory."
"$examples/layout" "before"

say "The smallest program: allocate, map, write."
"$examples/hello"

say "A camera writes into buffers that a program reads."
"$examples/camera" "$OUT/frame.png"

say "Another camera has two planes a frame: each is a dma-buf, and all are parts of one buffer."
"$examples/planes"

say "A ring that is mapped twice in a row never wraps."
"$examples/ring"

say "A disk writes into a buffer that a graphics driver takes over."
"$examples/disk" /dev/nvme0n1

say "A request fits nowhere: buffers are moved for it, while a program and the camera use them."
"$examples/pieces" "$examples/camera" "$OUT/moved.png" 60 | grep -v ' reads '

say "All programs have ended, and everything came back."
"$examples/layout" "after"

rmmod memalloc
