#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM: the most instructions for which each place in the module holds a spinlock, with 10^3 and
# with 10^6 blocks. held.c tells how they are counted, tools/take_locks.c what is done meanwhile,
# report.awk what is too much. Places are found in the source, so that none is forgotten.
#
#vm --icount --memory 8G --timeout 1200

set -eu -o pipefail
. "$SRC/selftests/lib/tap.sh"

# Locks that held.h does not wrap.
if grep -rnE '\b(raw_)?(spin|read|write)_(try)?lock\w*\(|seqlock\(|\bguard\(' "$SRC/module" \
	--include='*.[ch]' | grep -v '\bspin_lock_init(\|\bspin_lock('; then
	echo "held.h knows spin_lock() only"
	exit 1
fi
# Not that of the kernel's own list of inodes, which is gone through when a device goes away.
places=$(grep -rnE '\bspin_lock\(' "$SRC/module" --include='*.[ch]' | grep -v s_inode_list_lock |
	sed 's|.*/\(.*:[0-9]*\):.*|\1|')

MEMALLOC_KO=$BUILD/kernel-$RELEASE/bench-held/memalloc.ko
modprobe hwpoison_inject
load_ok size=4G
"$tools/take_locks" >/tmp/held
awk -v places="${places//$'\n'/ }" -f "$SRC/selftests/bench-held/report.awk" /tmp/held
