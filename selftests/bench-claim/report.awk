# SPDX-License-Identifier: GPL-2.0-only
# A table of the rows of run.sh: of each claim, how often it succeeded, and the median of the seconds
# that it took.

BEGIN {
	FS = ","
	OFS = " | "
}

{
	sub(/^row: /, "")
	claim = $1 OFS $2 OFS $3
	if (!(claim in tried))
		claims[++count] = claim
	seconds[claim, ++tried[claim]] = $5
	claimed[claim] += $4 == "claimed"
}

function median(claim, i, j, kept) {
	for (i = 2; i <= tried[claim]; i++) {
		kept = seconds[claim, i]
		for (j = i - 1; j && seconds[claim, j] > kept; j--)
			seconds[claim, j + 1] = seconds[claim, j]
		seconds[claim, j + 1] = kept
	}
	return seconds[claim, int((tried[claim] + 1) / 2)]
}

END {
	print "load", "what", "MiB", "claimed", "seconds"
	print "---|---|---|---|---"
	for (i = 1; i <= count; i++)
		print claims[i], claimed[claims[i]] + 0 " of " tried[claims[i]], median(claims[i])
}
