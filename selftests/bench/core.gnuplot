# SPDX-License-Identifier: GPL-2.0-only
# The plot of scripts/bench-core: reads `csv`, writes `svg`. A row per trace, and in it a line per
# strategy: on the left the region that it needs, on the right what an operation costs there.

set datafile separator comma
strategies = system("cut -d, -f5 '".csv."' | tail -n +2 | awk '!seen[$0]++' | xargs")
rows_of(s) = sprintf("< awk -F, '$5 == \"%s\"' '%s'", word(strategies, s), csv)
stats rows_of(1) using 2 nooutput
rows = STATS_records

# Where in row @r the line of strategy @s is.
line(r, s) = r + 0.74 * ((s - 0.5) / words(strategies) - 0.5)
above(bytes, peak) = 100.0 * (bytes - peak) / peak
least(x, low) = x < low ? low : x

colors = "#0060c0 #e08000 #009060 #c02050 #7050b0 #505050"
shapes = "7 5 9 11 13 4"
do for [s = 1 : words(colors)] {
	set linetype s linecolor rgb word(colors, s) pointtype int(word(shapes, s))
}

height = 130 + rows * (12 + 9 * words(strategies))
set terminal svg size 1150, height font "sans-serif,13" background "white" noenhanced
set output svg
set multiplot

# Rows begin at the top, and every other one is shaded.
set yrange [rows - 0.5 : -0.5]
do for [r = 0 : rows - 1 : 2] {
	set object r + 1 rectangle from graph 0, first r - 0.5 to graph 1, first r + 0.5 \
		fillcolor "#f0f2f5" fillstyle solid noborder behind
}
set tmargin at screen 1 - 72.0 / height
set bmargin at screen 60.0 / height
set grid xtics linecolor "#c8c8c8" linetype 1 linewidth 0.5
set border 1 linecolor "#808080"
set tics scale 0 textcolor "#202020"
set xtics nomirror

set lmargin at screen 0.13
set rmargin at screen 0.56
set title "Smallest region that replays the trace, without tags" offset 0, -0.3
set xlabel "above the peak of live bytes, % (root scale)"
set nonlinear x via sqrt(x) inverse x * x
set xrange [0 : *]
set xtics (0, 2, 5, 10, 20, 40, 70, 100, 150, 200, 300)
unset key
do for [s = 1 : words(strategies)] {
	set label s word(strategies, s) point linetype s pointtype int(word(shapes, s)) \
		pointsize 0.9 offset 1, 0 \
		at screen 0.13 + 0.09 * (s - 1), screen 1 - 20.0 / height
}
plot rows_of(1) using (NaN):0:yticlabels(1) with points, \
	for [s = 1 : words(strategies)] rows_of(s) using (above($6, $3)):(line($0, s)) \
	with points linetype s pointsize 0.8

set lmargin at screen 0.6
set rmargin at screen 0.97
set title "Time of an operation there"
set xlabel "median, 99.9th percentile (mark), maximum; ns"
unset nonlinear x
unset label
set logscale x
set xrange [1 : *]
set xtics autofreq
set format x "%.0f"
set format y ""
plot for [s = 1 : words(strategies)] rows_of(s) \
	using (least($13, 1)):(line($0, s)):(least($12, 1)):14 \
	with xerrorbars linetype s pointsize 0.7
unset multiplot
