# SPDX-License-Identifier: GPL-2.0-only
# Tables of what scripts/bench-malloc has measured, from its CSV, and the medians as CSV (figures);
# and whether what must be reached is: if it is not, the exit status is 1.

BEGIN {
	FS = ","
	OFS = ","
	allocator_count = split(allocators, allocator, " ")
	count = split(programs, list, " ")
	for (i = 1; i <= count; i++)
		is_program[list[i]]
	unit["elapsed"] = unit["processor"] = "ms"
	unit["peak"] = "MiB"
}

NR == 1 {
	next
}

{
	if (!($1 in known)) {
		known[$1]
		cases[++case_count] = $1
	}
	key = $1 SUBSEP $2
	n = ++runs[key]
	value["elapsed", key, n] = $4 / 1000
	value["processor", key, n] = $5 / 1000
	value["peak", key, n] = $6 / 1024
}

# The runs of one case and allocator, in order.
function sort_runs(what, key,    n, i, j, v) {
	n = runs[key]
	for (i = 1; i <= n; i++) {
		v = value[what, key, i]
		for (j = i - 1; j >= 1 && sorted[j] > v; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = v
	}
	return n
}

function median(what, key,    n) {
	n = sort_runs(what, key)
	return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

# Half of the runs are that near, in percent of the median.
function spread(what, key,    n) {
	n = sort_runs(what, key)
	return 50 * (sorted[int((3 * n + 3) / 4)] - sorted[int((n + 3) / 4)]) / median(what, key)
}

function selected(i, which) {
	return which == "all" || (cases[i] in is_program) == (which == "programs")
}

# The geometric mean of an allocator's medians, each divided by that of ours.
function mean(what, j, which,    i, sum, n) {
	for (i = 1; i <= case_count; i++) {
		if (!selected(i, which))
			continue
		sum += log(medians[what, i, j] / medians[what, i, 1])
		n++
	}
	return n ? exp(sum / n) : 1
}

function table(what, title,    i, j) {
	printf "\n%s, %s: median, and in brackets how near to it half of the runs are, in %%\n%-12s", \
		title, unit[what], ""
	for (j = 1; j <= allocator_count; j++)
		printf "%16s", allocator[j]
	print ""
	for (i = 1; i <= case_count; i++) {
		printf "%-12s", cases[i]
		for (j = 1; j <= allocator_count; j++) {
			key = cases[i] SUBSEP allocator[j]
			printf "%16s", sprintf("%.1f (%2.0f)", medians[what, i, j], spread(what, key))
		}
		print ""
	}
	means(what, "workloads")
	means(what, "programs")
	means(what, "all")
}

function means(what, which,    j) {
	printf "%-12s", which
	for (j = 1; j <= allocator_count; j++)
		printf "%16s", sprintf("x %.2f", mean(what, j, which))
	print ""
}

function must(good, text) {
	printf "%s  %s\n", good ? "pass" : "FAIL", text
	failed = failed || !good
}

END {
	if (!case_count) {
		print "nothing was measured"
		exit 1
	}
	split("elapsed processor peak", whats, " ")
	print "case,allocator,elapsed_ms,processor_ms,peak_mib" >figures
	for (i = 1; i <= case_count; i++) {
		for (j = 1; j <= allocator_count; j++) {
			key = cases[i] SUBSEP allocator[j]
			for (k = 1; k <= 3; k++)
				medians[whats[k], i, j] = median(whats[k], key)
			print cases[i], allocator[j], medians["elapsed", i, j], \
				medians["processor", i, j], medians["peak", i, j] >figures
		}
	}
	print "The lines that begin with workloads, programs and all: geometric means of these medians,"
	print "in which ours is 1."
	table("elapsed", "Time that passed")
	table("processor", "Time of the processors")
	table("peak", "Peak of resident memory")

	print "\nWhat must be reached, in geometric means:"
	for (j = 2; j <= allocator_count; j++) {
		if (allocator[j] !~ /^(glibc|jemalloc|mimalloc)$/)
			continue
		for (k = 1; k <= 2; k++) {
			ratio = 1 / mean(whats[k], j, "all")
			text = sprintf("%s time is %.2f times that of %s", whats[k], ratio, allocator[j])
			if (allocator[j] == "mimalloc")
				print (ratio <= 1 ? "goal  " : "miss  ") text " (a goal: 1)"
			else
				must(ratio <= 1, text " (at most 1)")
		}
	}
	best = 0
	for (j = 2; j <= allocator_count; j++)
		if (!best || mean("peak", j, "programs") < mean("peak", best, "programs"))
			best = j
	ratio = 1 / mean("peak", best, "programs")
	must(ratio <= 1.15, sprintf("peak memory of the programs is %.2f times that of %s, " \
				    "the best of the others (at most 1.15)", ratio, allocator[best]))
	exit failed
}
