# SPDX-License-Identifier: GPL-2.0-only
# A table of what selftests/bench/moves.c has printed; and whether moving keeps its promises with good
# fit, at 90 and 95 % load and on each trace: if it does not, the exit status is 1.

BEGIN {
	FS = ","
	print "\nRequests that fail though enough is free, without moving and with: random lives at 90 and 95 %"
	print "load, adversaries, and traces in a region of their peak. The region that an adversary takes from"
	print "an allocator that does not move, above what is live at most; and what is moved, per byte allocated"
	print "and for one request at most, in granules. A request's budget is 16384 with random lives."
	printf "\n%-22s%-7s%10s%10s%9s%10s%8s%9s%9s\n", "", "", "requests", "without", "region",
	       "(theory)", "with", "moved", "at most"
}

{
	key = $1 FS $2
}

$3 == "no" {
	without[key] = $7
	region[key] = $8
	theory[key] = $9
	next
}

{
	adversary = theory[key] > 0
	printf "%-22s%-7s%10d%10s%9s%10s%8d%9.3f%9d\n", substr($1, 1, 21), $2, $5,
	       key in without && !adversary ? without[key] : "",
	       adversary ? sprintf("%.2f", region[key]) : "",
	       adversary ? sprintf("(%.2f)", theory[key]) : "", $7, $10, $11
	if (($1 == "random-90" && $10 > 0.5) || ($1 == "random-95" && $10 > 2)) {
		print "bench-core: " $1 ", " $2 ": too much is moved" >"/dev/stderr"
		status = 1
	}
	if ($7 && !adversary && $2 == "good") {
		print "bench-core: " $1 ", " $2 ": a request failed though enough is free" >"/dev/stderr"
		status = 1
	}
}

END {
	exit status
}
