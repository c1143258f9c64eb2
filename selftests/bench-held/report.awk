# SPDX-License-Identifier: GPL-2.0-only
# Reads what tools/take_locks prints, lines of: fit, number of blocks, place, function, how often it
# took a lock, the longest hold in instructions. Prints a table, by place, with the longest hold of
# any fit that has FEW and MANY blocks. -v places= is a list of all places. Fails if
#  - a lock is held for more than MOST instructions;
#  - it is held longer with many blocks than RATIO (of exact fits: TREE_RATIO) times as long as with
#    few, and by more than SLACK;
#  - a place took no lock, or is not in the list. Blocks are ready with good fit only; what a
#    timer does when it is due, of which the time is not compared, need not come with each fit.
#
# SLACK: not each run of random calls meets the same worst block. TREE_RATIO: exact fits keep free
# blocks in trees, and the path to one of 500,000 is twice as long as to one of 500. What grows with
# the number of blocks itself would be 1,000 times as long.

BEGIN {
	MOST = 5000
	RATIO = 1.5
	TREE_RATIO = 2.5
	SLACK = 150
	FEW = 1000
	MANY = 1000000
	READY = " mal_arenas_take try_to_put free_ready_blocks mal_arenas_set_length " \
		"load_slice release_first mal_magazine_release free_magazine "
	SORT = "sort -t : -k 1,1 -k 2n"
	split(places, list)
	for (i in list)
		unreached[list[i]]
}

{
	fit = $1
	blocks = $2
	place = $3
	kind = fit == "good" ? "good" : "exact"
	name[place] = $4
	holds += $5
	if (!index(" " places " ", " " place " "))
		wrong[place " is no place where the module takes a lock"]
	delete unreached[place]
	if ($6 > MOST)
		wrong[place ", " fit " fit, " blocks " blocks: held for " $6 " instructions"]
	if (!((place, kind, blocks) in longest) || $6 > longest[place, kind, blocks])
		longest[place, kind, blocks] = $6
}

# The longest hold with few blocks, with many, and how many times as long that is.
function figures(place, kind, limit,	few, many) {
	if ((kind == "exact" && index(READY, " " name[place] " ")) || name[place] == "empty_idle_stacks")
		return ""
	if (!((place, kind, FEW) in longest) || !((place, kind, MANY) in longest)) {
		wrong[place ", " kind " fit: took no lock with so many blocks"]
		return
	}
	few = longest[place, kind, FEW]
	many = longest[place, kind, MANY]
	if (many > limit * few && many > few + SLACK)
		wrong[place ", " kind " fit: " few " instructions become " many]
	return sprintf("%8d %8d %6.2f", few, many, few ? many / few : 1)
}

END {
	printf "%-41s %24s   %24s\n", "", "good fit: 10^3 10^6 x", "exact fits: 10^3 10^6 x"
	for (place in name)
		printf "%-14s %-26s %24s   %24s\n", place, name[place],
			figures(place, "good", RATIO), figures(place, "exact", TREE_RATIO) | SORT
	close(SORT)
	print holds " holds; at most " MOST " instructions are allowed"
	for (place in unreached)
		wrong[place " took no lock"]
	for (text in wrong) {
		print "WRONG: " text
		status = 1
	}
	exit status
}
