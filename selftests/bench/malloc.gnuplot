# SPDX-License-Identifier: GPL-2.0-only
# The plot of scripts/bench-malloc: reads `csv`, the medians, and writes `svg`. For each case the
# allocators side by side, as multiples of the first one, which is ours: time and peak memory.

set datafile separator comma
set terminal svg size 1100,750 background "white" font "sans,12"
set output svg
allocators = system("cut -d, -f2 '".csv."' | tail -n +2 | awk '!seen[$0]++' | xargs")
column_of(name, n) = sprintf("< awk -F, 'NR > 1 { if (!($1 in first)) first[$1] = $%d; " . \
	"if ($2 == \"%s\") print $1 \",\" $%d / first[$1] }' '%s'", n, name, n, csv)

set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 noborder
set boxwidth 0.9
set yrange [0:4]
set grid ytics
set key outside top center horizontal
set multiplot layout 2,1
set ylabel "processor time, ours = 1, cut at 4"
plot for [i = 1:words(allocators)] column_of(word(allocators, i), 4) using 2:xtic(1) \
	title word(allocators, i)
set ylabel "peak memory, ours = 1, cut at 4"
plot for [i = 1:words(allocators)] column_of(word(allocators, i), 5) using 2:xtic(1) \
	title word(allocators, i)
unset multiplot
