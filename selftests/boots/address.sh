#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the VM, whose second node has all of its memory above 4 GiB: regions of several sizes at many
# places. What masks are answered to the unprivileged is the same function of one bit, and where a
# region begins does not follow from what is public.
#
#vm --memory 4G --nodes 2

set -eu
. "$SRC/selftests/tap.sh"

seen=$OUT/seen
four_gib=$((1 << 32))

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

# Below 4 GiB or not: one answer for each, and they differ in one mask.
one_bit_is_told() {
	local low high i differ=0
	low=$(awk -v end="$four_gib" '$4 <= end { print $5 }' "$seen" | sort -u)
	high=$(awk -v end="$four_gib" '$4 > end { print $5 }' "$seen" | sort -u)
	[ "$(wc -w <<<"$low")" = 1 ]
	[ "$(wc -w <<<"$high")" = 1 ]
	for i in {0..63}; do
		[ "${low:i:1}" = "${high:i:1}" ] || differ=$((differ + 1))
	done
	[ "$differ" = 1 ]
	# Of 32 bits: it is the rule of the header.
	[ "${low:31:1}" = 0 ]
	[ "${high:31:1}" = 2 ]
}

# For each node and size, three loads. That all of them come to the same place at which
# the search begins by chance is as good as impossible; a fixed order has one place.
places_differ() {
	local places
	places=$(awk '{ print $1, $2, $3 }' "$seen" | sort -u | wc -l)
	echo "$places places in 18 loads, of 6 kinds"
	[ "$places" -ge 9 ]
}

echo "# program: address"
check regions_are_made regions_are_made
check one_bit_is_told one_bit_is_told
check places_differ places_differ
end_checks
end_boot
