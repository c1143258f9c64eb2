#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, on a kernel that keeps half of the memory for CMA: the region is claimed from the other
# half. What drivers get from CMA stays theirs.
#
#vm --memory 2G --append cma=1G
#kernel 7.x debug

set -eu
. "$SRC/selftests/lib/tap.sh"

# Free memory of CMA, in MiB.
cma_free() {
	awk '/CmaFree/ { print int($2 / 1024) }' /proc/meminfo
}

there_is_cma() {
	[ "$(cma_free)" -gt 900 ]
}

cma_stays_free() {
	local before
	before=$(cma_free)
	load_ok size=256M
	[ "$(cma_free)" -gt $((before - 64)) ]
	unload_ok
}

# There is no place for it but CMA's.
large_region_is_refused() {
	[ "$(load size=1000M)" = ENOMEM ]
}

echo "# program: cma"
check there_is_cma there_is_cma
check cma_stays_free cma_stays_free
check large_region_is_refused large_region_is_refused
end_checks
end_boot
