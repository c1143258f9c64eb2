#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM: pages in which the hardware finds faults. The module gives everything but those back,
# and can be loaded again.
#
#vm --memory 1G

set -eu
. "$SRC/selftests/lib/tap.sh"

modprobe hwpoison_inject
load_ok size=64M
run_program poison

# The pages that are retired now are blocks of their own.
retired_pages_add_up() {
	grep -x "blocks: ok" /sys/kernel/debug/memalloc/check
	grep -x "sums: ok" /sys/kernel/debug/memalloc/check
	! is retired 0
}

echo "# program: poison_boot"
check retired_pages_add_up retired_pages_add_up
check unload_with_poisoned_pages wait_until unload_ok
check load_again load_ok size=64M
check nothing_is_retired_then is used 0
end_checks
end_boot
