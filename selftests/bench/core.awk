# SPDX-License-Identifier: GPL-2.0-only
# Tables of what scripts/bench-core has measured, from its CSV; and whether good fit needs about
# as little as best fit: if it does not, the exit status is 1.

BEGIN {
	FS = ","
}

NR == 1 {
	for (i = 1; i <= NF; i++)
		column[$i] = i
	next
}

function value(name) {
	return $column[name]
}

{
	trace = value("trace")
	strategy = value("strategy")
	peak = value("peak_bytes")
	region = value("region_bytes")
	clock = value("clock_ns")
	if (!(trace in operations))
		traces[++trace_count] = trace
	if (!(strategy in known)) {
		known[strategy]
		strategies[++strategy_count] = strategy
	}
	operations[trace] = value("operations")
	peaks[trace] = peak
	rounding[trace] = above(value("rounded_peak_bytes"))
	without[trace, strategy] = above(region)
	with[trace, strategy] = above(region + value("tag_bytes"))
	time[trace, strategy] = costs("_ns")
	steps[trace, strategy] = costs("_steps")
}

function above(bytes) {
	return sprintf("%.2f", 100 * (bytes - peak) / peak)
}

function costs(unit) {
	return value("median" unit) "/" value("p999" unit) "/" value("max" unit)
}

# One row per trace; @lead is a column before the strategies'.
function table(title, width, cells, lead_title, lead,    i, j) {
	printf "\n%s\n%-16s%*s", title, "", lead_title ? 12 : 0, lead_title
	for (j = 1; j <= strategy_count; j++)
		printf "%*s", width, strategies[j]
	print ""
	for (i = 1; i <= trace_count; i++) {
		trace = traces[i]
		printf "%-16s%*s", trace, lead_title ? 12 : 0, lead_title ? lead[trace] : ""
		for (j = 1; j <= strategy_count; j++)
			printf "%*s", width, cells[trace, strategies[j]]
		print ""
	}
}

function verdict(    i, gap, word, failed) {
	print "\nGood fit's region against best fit's; allowed is 1 point of the peak above it:"
	for (i = 1; i <= trace_count; i++) {
		trace = traces[i]
		gap = without[trace, "good"] - without[trace, "best"]
		word = "pass"
		if (gap > 1) {
			word = "FAIL"
			failed = 1
		}
		printf "%s  %-16s%+6.2f\n", word, trace, gap
	}
	return failed + 0
}

END {
	if (!trace_count) {
		print "no trace was replayed"
		exit 1
	}
	print "How traces are replayed: frees before allocations at equal times; realloc is in place when"
	print "it can be, else allocate, then free; size 0 counts as one granule; a granule has " granule
	print "bytes. Peak: the most bytes that were live at a time, as they were asked for; a realloc"
	print "counts as one size at a time. At the end of each search all blocks are checked for"
	print "overlap, and the heap for consistency."

	printf "\n%-16s%12s%14s\n", "", "operations", "peak, bytes"
	for (i = 1; i <= trace_count; i++)
		printf "%-16s%12d%14d\n", traces[i], operations[traces[i]], peaks[traces[i]]

	table("Smallest region that replays the trace, without tags: % above the peak\n" \
	      "(least: what no strategy can go below, from rounding sizes up to granules)",
	      10, without, "least", rounding)
	table("The same with tags, bitmap and index (of the buddy: links and states)", 10, with)
	table("Time of an operation in that region, ns: median/99.9th percentile/maximum\n" \
	      "(each operation's shortest of 7 replays; the clock's own " clock " ns are subtracted)",
	      14, time)
	table("Steps of an operation there (visits of a tag or of a bitmap's word): the same three",
	      14, steps)
	if (!("best" in known)) {
		print "\nThere is no best fit to set good fit against."
		exit 0
	}
	exit verdict()
}
