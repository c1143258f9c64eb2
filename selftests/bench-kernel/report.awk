# SPDX-License-Identifier: GPL-2.0-only
#
# Tables and verdicts out of kernel.csv and kernel-steps.csv (see scripts/bench-kernel). Exits with
# 1 if something that must be reached is not. -v bound=N: the steps that heap.h states.

BEGIN { FS = "," }

FNR == 1 {
	for (i = 1; i <= NF; i++)
		column[$i] = i
	file++
	next
}

function field(name) { return $column[name] }

function larger(a, b) { return a + 0 > b + 0 ? a + 0 : b + 0 }

# Steps: only the largest number in any call matters.
file == 2 {
	name = field("allocator")
	most_steps[name] = larger(most_steps[name], larger(field("alloc_max"), field("free_max")))
	next
}

!(field("allocator") in known) {
	known[field("allocator")]
	allocators[++count] = field("allocator")
}

field("case") ~ /^(stream|large)$/ {
	line[field("case"), field("allocator")] = $0
	if (field("case") == "stream") {
		pair[field("allocator")] = field("pair_mean")
		pair_median[field("allocator")] = field("pair_median")
		live[field("allocator")] = field("blocks")
	}
	next
}

{
	key = field("case") SUBSEP field("allocator") SUBSEP field("blocks")
	calls = 2 * field("requests") - field("failures")
	sum = field("alloc_mean") * field("requests")
	sum += field("free_mean") * (field("requests") - field("failures"))
	mean[key] = sum / calls
	worst[key] = larger(field("alloc_max"), field("free_max"))
}

function growth(pattern, name) {
	return mean[pattern, name, 1000000] / mean[pattern, name, 1000]
}

function table_stream(stream, sizes,    i, f) {
	printf "\n== %s: blocks come and go, about 12000 live ones, 90 %% of the range in use\n", stream
	printf "   Sizes are 1 to %d granules, each power of two as likely as another.\n", sizes
	print "   Instructions per call; a pair is the allocation and the freeing of one block.\n"
	printf "%-16s|%24s  |%20s  |%24s  |%8s%8s\n", "", "alloc", "free", "pair", "no room", "live"
	printf "%-16s|%7s%8s%9s  |%6s%7s%7s  |%7s%8s%9s  |%8s%8s\n", "", "median", "mean", "max",
		"median", "mean", "max", "median", "mean", "max", "of 8192", "blocks"
	for (i = 1; i <= count; i++) {
		if (!((stream, allocators[i]) in line))
			continue
		split(line[stream, allocators[i]], f, ",")
		printf "%-16s|%7d%8d%9d  |%6d%7d%7d  |%7d%8d%9d  |%8d%8d\n", f[3], f[6], f[7], f[8],
			f[9], f[10], f[11], f[12], f[13], f[14], f[5], f[2]
	}
}

function table_pattern(pattern, text,    i, n, name) {
	printf "\n== %s: %s\n   Instructions per call (alloc or free), mean, by the number of free blocks\n\n",
		pattern, text
	printf "%-16s%11s%11s%11s%11s%9s%16s\n", "", "10^3", "10^4", "10^5", "10^6", "growth",
		"worst at 10^6"
	for (i = 1; i <= count; i++) {
		name = allocators[i]
		if (!((pattern, name, 1000) in mean))
			continue
		printf "%-16s", name
		for (n = 1000; n <= 1000000; n *= 10)
			printf "%11d", mean[pattern, name, n]
		printf "%8.2fx%16d\n", growth(pattern, name), worst[pattern, name, 1000000]
	}
}

function table_steps(    i) {
	print "\n== Steps (visits of a tag or of a bitmap's word) in the costliest call of all cases\n"
	for (i = 1; i <= count; i++)
		if (allocators[i] in most_steps)
			printf "%-16s%6d\n", allocators[i], most_steps[allocators[i]]
}

function verdict(good, text) {
	printf "%s  %s\n", good ? "pass" : "FAIL", text
	failed += !good
}

function check_growth(name, most,    i) {
	if (!(name in known)) {
		verdict(0, name ": not measured")
		return
	}
	for (i = 1; i <= 3; i++)
		verdict(growth(patterns[i], name) <= most,
			sprintf("%s, %s: a call at 10^6 free blocks takes %.2f x that at 10^3; at most %.1f",
				name, patterns[i], growth(patterns[i], name), most))
}

function checks(    i, name) {
	print "\n== What must be reached\n"
	check_growth("good", 1.3)
	check_growth("first", 3)
	check_growth("best", 3)
	check_growth("worst", 3)
	verdict("good" in most_steps && most_steps["good"] <= bound,
		sprintf("good: no call takes more than %d steps; the bound is %d", most_steps["good"], bound))
	verdict(pair["good"] <= 350 && live["good"] >= 10000,
		sprintf("good: a pair takes %d instructions on average (median %d), lock included, with %d " \
			"live blocks; at most 350", pair["good"], pair_median["good"], live["good"]))
	for (i = 1; i <= count; i++) {
		name = allocators[i]
		if (name ~ /^(gen_pool|drm)/)
			verdict(pair["good"] < pair[name],
				sprintf("good: fewer than %s, whose pair takes %d", name, pair[name]))
	}
}

END {
	split("comb full robson", patterns, " ")
	table_stream("stream", 255)
	table_stream("large", 16383)
	table_pattern("comb", "every other granule is free; half of the requests fit only at the far end")
	table_pattern("full", "small holes, two thirds in use; a quarter of the requests finds no room")
	table_pattern("robson", "each hole is one granule short of a power of two; these are asked for")
	table_steps()
	checks()
	exit failed > 0
}
