# SPDX-License-Identifier: GPL-2.0-only
# Draws kernel.csv, in the current folder, as kernel.png (see scripts/bench-kernel): ours in thick
# lines and full colour, the kernel's own allocators in thin dashed lines and grey.

set terminal pngcairo size 1700,1250 font "sans,12"
set output "kernel.png"
set datafile separator ","

names(pattern) = system(sprintf("awk -F, '$1 == \"%s\" && !seen[$3]++ { print $3 }' kernel.csv", \
	pattern))
rows(pattern, name) = sprintf("<awk -F, '$1 == \"%s\" && $3 == \"%s\"' kernel.csv", pattern, name)
ours(name) = system(sprintf("grep -c '^stream,[0-9]*,%s,' kernel-steps.csv", name)) + 0
call(requests, failures, alloc, free) = \
	(requests * alloc + (requests - failures) * free) / (2 * requests - failures)

set multiplot layout 2,2 title "Instructions, counted in the kernel (means)" font ",16"
set rmargin 20
set border 3
set tics nomirror
set grid ytics linewidth 0.5
set logscale y
set format y "10^{%T}"
set ylabel "instructions"

set title "A pair of alloc and free, about 12000 live blocks"
set style fill solid 0.8
set boxwidth 0.7
set xtics rotate by -45 noenhanced
set yrange [100:*]
unset key
plot "<grep ^stream, kernel.csv" \
	using 0:13:(ours(strcol(3)) ? 0x3070b0 : 0xa0a0a0):xtic(3) with boxes linecolor rgb variable, \
	"" using 0:13:(sprintf("%d", $13)) with labels font ",10" offset 0,0.6

set logscale x
set xrange [800:1250000]
set xtics norotate ("10^3" 1e3, "10^4" 1e4, "10^5" 1e5, "10^6" 1e6) enhanced
set xlabel "free blocks"
set key outside right top noenhanced
do for [pattern in "comb full robson"] {
	set title sprintf("%s: a call of alloc or free", pattern)
	list = names(pattern)
	plot for [i = 1:words(list)] rows(pattern, word(list, i)) \
		using 2:(call($4, $5, $7, $10)) with linespoints linetype i pointtype i \
		linewidth (ours(word(list, i)) ? 3 : 1.2) dashtype 2 - ours(word(list, i)) \
		title word(list, i)
}
unset multiplot
