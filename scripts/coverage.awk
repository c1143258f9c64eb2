# SPDX-License-Identifier: GPL-2.0-only
# Adds up gcov's reports, files *.gcov: how many lines and branches were reached, and which were
# not. Several reports may have the same line: an inline function of a header is in several objects,
# and each boot of a VM has reports of its own. The line counts once, and is reached if one report
# says so. The same goes for each branch of the line.
#
# Only sources in a folder module/ count; a kernel's headers do not. With -v explained=FILE, that
# file names lines that need not be reached as "FILE: LINE OF CODE", each below a comment that says
# why. The exit status is 0 if all other lines were reached.

BEGIN {
	while (explained && (getline line <explained) > 0)
		if (line !~ /^#/)
			excuse[line]
}
/^ *-: *0:Source:/ {
	file = ""
	if ($0 ~ /module\//) {
		file = $0
		sub(/.*\//, "", file)
	}
}
file && /^ *[-#=0-9*]+: *[1-9][0-9]*:/ {
	split($0, part, ":")
	branch = 0
	source = $0
	sub(/^[^:]*:[^:]*:[ \t]*/, "", source)
	at = file ":" (part[2] + 0)
	text[at] = source
	if (part[1] !~ /-/) {
		line_seen[at]
		if (part[1] !~ /[#=]/)
			line_hit[at]
	}
}
file && /^branch / {
	seen[at, branch] = at
	if ($0 ~ /taken [1-9]/)
		hit[at, branch]
	branch++
}
END {
	for (at in line_seen) {
		lines++
		if (at in line_hit)
			reached_lines++
		else
			unreached[at]
	}
	for (key in seen) {
		branches++
		if (key in hit)
			reached_branches++
		else
			unreached[seen[key]]
	}
	printf "%d of %d lines, %d of %d branches\n", reached_lines, lines, reached_branches, branches
	for (at in unreached) {
		source = at
		sub(/:.*/, "", source)
		source = source ": " text[at]
		if (source in excuse) {
			explained_lines++
			used[source]
		} else {
			print "not reached: " at ": " text[at] | "sort -t: -k2,2 -k3,3n"
			missing++
		}
	}
	close("sort -t: -k2,2 -k3,3n")
	for (source in excuse)
		if (source && !(source in used)) {
			print "explained, but reached or gone: " source
			missing++
		}
	if (explained)
		printf "not reached, and explained in %s: %d lines\n", explained, explained_lines
	exit !lines || missing
}
