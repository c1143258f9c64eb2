#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, whose second node has its memory from 6 to 10 GiB: regions of several sizes at many
# places, on either side of 8 GiB, too. What masks are answered to the unprivileged is the same
# function of one bit, and where a region begins does not follow from what is public.
#
#vm --memory 8G --nodes 2
#kernel debian

set -eu
. "$SRC/selftests/lib/tap.sh"

seen=$OUT/seen
four_gib=$((1 << 32))
page_bits=$(python3 -c 'import os; print(os.sysconf("SC_PAGESIZE").bit_length() - 1)')

# look NODE SIZE: a line of what was seen: node, size, begin, end, masks.
look() {
	local -A said
	load_ok size="$2" node="$1" user_bytes=0
	while IFS='=' read -r key value; do said[$key]=$value; done <<<"$("$tools/region")"
	unload_ok
	[ -n "${said[masks]}" ]
	echo "$1 $2 ${said[begin]} ${said[end]} ${said[masks]}" >>"$seen"
}

regions_are_made() {
	local node size
	rm -f "$seen"
	for node in 0 1; do
		for size in 16M 48M 200M; do
			look "$node" "$size"
			look "$node" "$size"
			look "$node" "$size"
		done
	done
	[ "$(wc -l <"$seen")" = 18 ]
	cat "$seen"
}

# masks BITS: what is answered to masks of 1, 2 ... 64 bits, if those of so many reach the region. 1:
# not a page; 2: no room; 0: a buffer.
masks() {
	local bits
	for bits in {1..64}; do
		echo -n $((bits < page_bits ? 1 : bits < $1 ? 2 : 0))
	done
}

# Below 4 GiB or not: one answer for each. Those that are not take a mask of all memory.
one_bit_is_told() {
	local low high
	low=$(awk -v end="$four_gib" '$4 <= end { print $5 }' "$seen" | sort -u)
	high=$(awk -v end="$four_gib" '$4 > end { print $5 }' "$seen" | sort -u)
	[ "$(wc -w <<<"$low")" = 1 ]
	[ "$(wc -w <<<"$high")" = 1 ]
	[ "$low" = "$(masks 32)" ]
	[ "$high" = "$(masks 34)" ]
}

# For each node and size, three loads. A search in a fixed order comes to nine places in all, as
# what was just given back is passed over. One that begins at one of 16 windows comes to 16 or so; to
# less than 11 about once in 100,000 runs.
places_differ() {
	local places
	places=$(awk '{ print $1, $2, $3 }' "$seen" | sort -u | wc -l)
	echo "$places places in 18 loads, of 6 kinds"
	[ "$places" -ge 11 ]
}

echo "# program: address"
check regions_are_made regions_are_made
check one_bit_is_told one_bit_is_told
check places_differ places_differ
end_checks
end_boot
