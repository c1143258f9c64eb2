// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replays a trace on every strategy of the core, and on a buddy system: the smallest
 * region that it fits in, and what an operation costs there.
 *
 *   core [-g GRANULE] TRACE [STRATEGY=GRANULES]...
 *
 * Prints for each strategy a line of CSV, whose columns are those of print_row(). With
 * STRATEGY=GRANULES it measures these, in regions of that size, and does not search.
 *
 * Compiled with MAL_COUNT_STEPS, an operation's cost is its steps (see heap.h); else it is
 * nanoseconds. scripts/bench-core runs both and says how to read the figures.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "buddy.h"
#include "fit.h"
#include "trace.h"

#ifdef MAL_COUNT_STEPS
u64 mal_steps;

#define ROUNDS	1
#define PER_UNIT	1.0

static u64 cost_now(void)
{
	return mal_steps;
}
#else
/* An operation's time is its shortest of so many replays: what disturbs one, disturbs few. */
#define ROUNDS		7
#define PER_UNIT	ticks_per_ns()

static u64 clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Unlike clock_gettime(), fenced on both sides: no part of an operation slips past a reading. */
static u64 cost_now(void)
{
#ifdef __x86_64__
	u64 now;

	__builtin_ia32_lfence();
	now = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return now;
#else
	return clock_ns();
#endif
}

static double ticks_per_ns(void)
{
	static double ratio;
	u64 start, ticks, ns;

	if (!ratio) {
		start = clock_ns();
		ticks = cost_now();
		do
			ns = clock_ns() - start;
		while (ns < 50000000);
		ratio = (double)(cost_now() - ticks) / ns;
	}
	return ratio;
}
#endif

/* So much may be spent on the search: operations, and 16 tags that are zeroed for one. */
#define SEARCH_BUDGET	25000000ull
#define PROBES_MIN	48

/* A range and who manages it. */
struct space {
	const char *strategy;
	const struct mal_fit *fit;	/* NULL: the buddy system */
	struct mal_heap heap;
	struct buddy buddy;
};

static u32 granule = 16;		/* bytes */

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		err(1, "no memory");
	return memory;
}

static size_t space_bytes(const struct space *space, u32 granules)
{
	return space->fit ? mal_heap_bytes(granules) : buddy_bytes(granules);
}

/* Memory is kept from one replay to the next, so that page faults disturb only the first. */
static void space_init(struct space *space, u32 granules)
{
	static void *memory;
	static size_t room;
	size_t bytes = space_bytes(space, granules);

	if (bytes > room) {
		free(memory);
		memory = allocate(1, bytes);
		room = bytes;
	} else {
		memset(memory, 0, bytes);
	}
	if (space->fit)
		mal_heap_init(&space->heap, memory, granules, space->fit);
	else
		buddy_init(&space->buddy, memory, granules);
}

static u32 space_alloc(struct space *space, u32 size, u32 align)
{
	const struct mal_request req = { .size = size, .align = align };
	u32 cursor = 0;
	u32 place;

	if (!space->fit)
		return buddy_alloc(&space->buddy, size, align);
	place = mal_heap_alloc(&space->heap, &req, 0);
	if (place == MAL_NONE && mal_heap_undecided(&space->heap, &req))
		place = mal_heap_sweep(&space->heap, &req, 0, &cursor, MAL_NONE);
	return place;
}

static void space_free(struct space *space, u32 place, u32 size)
{
	if (!space->fit)
		buddy_free(&space->buddy, place);
	else if (mal_heap_free(&space->heap, place, size))
		errx(1, "%s: a block cannot be freed", space->strategy);
}

static bool space_resize(struct space *space, u32 place, u32 size)
{
	if (!space->fit)
		return buddy_resize(&space->buddy, place, size);
	return mal_heap_resize(&space->heap, place, 0, size) == 0;
}

/* Ends the program unless all is sound; a buddy's blocks are larger than what is asked for. */
static void space_check(const struct space *space, u32 free_granules)
{
	const char *wrong;
	u32 found;

	if (space->fit) {
		wrong = mal_heap_check(&space->heap);
		found = space->heap.free;
	} else {
		wrong = buddy_check(&space->buddy, &found);
	}
	if (wrong)
		errx(1, "%s: %s", space->strategy, wrong);
	if (space->fit ? found != free_granules : found > free_granules)
		errx(1, "%s: %u granules are free, %u should be", space->strategy, found,
		     free_granules);
}

/* False: no room. @place is where the operation's block lies. */
static bool do_op(struct space *space, const struct op *op, u32 *place)
{
	u32 to;

	if (op->kind == OP_FREE) {
		space_free(space, *place, op->size);
		return true;
	}
	if (op->kind == OP_RESIZE && space_resize(space, *place, op->size))
		return true;
	to = space_alloc(space, op->size, op->align);
	if (to == MAL_NONE)
		return false;
	if (op->kind == OP_RESIZE)
		space_free(space, *place, 0);
	*place = to;
	return true;
}

static bool fits(struct space *space, const struct trace *trace, u32 granules)
{
	u32 *places = allocate(trace->blocks, sizeof(*places));
	u32 i;

	space_init(space, granules);
	for (i = 0; i < trace->count; i++)
		if (!do_op(space, &trace->ops[i], &places[trace->ops[i].block]))
			break;
	free(places);
	return i == trace->count;
}

/* The smallest that does, if of all between the two the smaller do not and the larger do. */
static u32 bisect(struct space *space, const struct trace *trace, u32 fails, u32 does)
{
	u32 middle;

	while (does - fails > trace->unit) {
		middle = fails + (does - fails) / trace->unit / 2 * trace->unit;
		if (fits(space, trace, middle))
			does = middle;
		else
			fails = middle;
	}
	return does;
}

/*
 * The smallest region that could be found, in the unit of the trace's sizes. A region may
 * do although a larger one does not, so that what bisection finds is a first guess; sizes
 * that are evenly spread below it get their chance, too: for a short trace each of them,
 * so that the answer is exact.
 */
static u32 smallest_region(struct space *space, const struct trace *trace)
{
	u32 unit = trace->unit;
	u32 least = trace->peak_granules;
	u32 fails = least - unit;
	u32 does = least;
	u32 probes, step, probe;

	while (!fits(space, trace, does)) {
		fails = does;
		does += (does / unit / 8 + 1) * unit;
		if (does > MAL_HEAP_MAX)
			errx(1, "%s: fits in no region", space->strategy);
	}
	does = bisect(space, trace, fails, does);

	probes = SEARCH_BUDGET / (trace->count + does / 16);
	if (probes < PROBES_MIN)
		probes = PROBES_MIN;
	step = ((does - least) / unit / probes + 1) * unit;
	fails = least - unit;
	for (probe = least; probe < does; probe += step) {
		if (fits(space, trace, probe))
			return bisect(space, trace, fails, probe);
		fails = probe;
	}
	return does;
}

/* Change the owner of a block's granules; all must have had the one that is expected. */
static void shade(const struct space *space, u32 *owners, u32 granules, u32 place, u32 size,
		  u32 from, u32 to)
{
	u32 at;

	if (place >= granules || size > granules - place)
		errx(1, "%s: a block reaches out of the region", space->strategy);
	for (at = place; at < place + size; at++) {
		if (owners[at] != from)
			errx(1, "%s: two blocks overlap", space->strategy);
		owners[at] = to;
	}
}

/*
 * Replay once more with each granule's owner written down beside it: no block may reach
 * into another, nor lie where it must not. What is left at the end is freed, too.
 */
static void verify(struct space *space, const struct trace *trace, u32 granules)
{
	u32 *owners = allocate(granules, sizeof(*owners));
	u32 *places = allocate(trace->blocks, sizeof(*places));
	u32 *sizes = allocate(trace->blocks, sizeof(*sizes));
	u32 live = 0;
	u32 i;

	space_init(space, granules);
	for (i = 0; i < trace->count; i++) {
		const struct op *op = &trace->ops[i];
		u32 block = op->block;
		u32 before = places[block];

		if (!do_op(space, op, &places[block]))
			errx(1, "%s: a replay ends differently from one before", space->strategy);
		if (op->kind == OP_RESIZE && places[block] != before)
			shade(space, owners, granules, places[block], op->size, 0, block + 1);
		if (op->kind != OP_ALLOC)
			shade(space, owners, granules, before, sizes[block], block + 1, 0);
		if (op->kind == OP_ALLOC || (op->kind == OP_RESIZE && places[block] == before))
			shade(space, owners, granules, places[block], op->size, 0, block + 1);
		if (places[block] & (op->align - 1))
			errx(1, "%s: a block is not aligned", space->strategy);
		live -= sizes[block];
		sizes[block] = op->kind == OP_FREE ? 0 : op->size;
		live += sizes[block];
	}
	space_check(space, granules - live);

	for (i = 0; i < trace->blocks; i++)
		if (sizes[i])
			space_free(space, places[i], 0);
	space_check(space, granules);
	free(sizes);
	free(places);
	free(owners);
}

static int compare(const void *a, const void *b)
{
	u32 left = *(const u32 *)a, right = *(const u32 *)b;

	return left < right ? -1 : left > right;
}

/* What it costs to look at the clock. */
static u32 cost_of_nothing(void)
{
	u32 costs[1001];
	u32 i;
	u64 start;

	for (i = 0; i < 1001; i++) {
		start = cost_now();
		costs[i] = cost_now() - start;
	}
	qsort(costs, 1001, sizeof(*costs), compare);
	return costs[500];
}

/* What each operation costs above looking at the clock, in increasing order. */
static u32 *measure(struct space *space, const struct trace *trace, u32 granules, u32 nothing)
{
	u32 *places = allocate(trace->blocks, sizeof(*places));
	u32 *costs = allocate(trace->count, sizeof(*costs));
	u32 round, i, cost;
	u64 start;

	for (round = 0; round < ROUNDS; round++) {
		space_init(space, granules);
		for (i = 0; i < trace->count; i++) {
			const struct op *op = &trace->ops[i];

			start = cost_now();
			if (!do_op(space, op, &places[op->block]))
				errx(1, "%s: a region of %u granules is too small",
				     space->strategy, granules);
			cost = cost_now() - start;
			cost -= cost < nothing ? cost : nothing;
			if (!round || cost < costs[i])
				costs[i] = cost;
		}
	}
	free(places);
	qsort(costs, trace->count, sizeof(*costs), compare);
	return costs;
}

static void print_row(struct space *space, const struct trace *trace, u32 granules)
{
	u32 nothing = cost_of_nothing();
	u32 *costs = measure(space, trace, granules, nothing);

	/* operations, peak as asked for, peak in granules, strategy, region, tags and index */
	printf("%u,%llu,%llu,%s,%llu,%zu,", trace->count, trace->peak_bytes,
	       (u64)trace->peak_granules * granule, space->strategy, (u64)granules * granule,
	       space_bytes(space, granules));
	/* what it costs to look at the clock; median, 99.9th percentile, maximum without that */
	printf("%.0f,%.0f,%.0f,%.0f\n", nothing / PER_UNIT, costs[trace->count / 2] / PER_UNIT,
	       costs[(u32)((trace->count - 1) * 999ull / 1000)] / PER_UNIT,
	       costs[trace->count - 1] / PER_UNIT);
	fflush(stdout);
	free(costs);
}

/* The region that an argument STRATEGY=GRANULES gives; 0: none. */
static u32 given_region(const char *strategy, char **arguments)
{
	size_t length = strlen(strategy);

	for (; *arguments; arguments++)
		if (!strncmp(*arguments, strategy, length) && (*arguments)[length] == '=')
			return strtoul(*arguments + length + 1, NULL, 10);
	return 0;
}

static void run(const struct mal_fit *fit, const struct trace *trace, char **arguments)
{
	struct space space = { .strategy = fit ? fit->name : "buddy", .fit = fit };
	u32 granules;

	if (*arguments) {
		granules = given_region(space.strategy, arguments);
		if (!granules)
			return;
	} else {
		granules = smallest_region(&space, trace);
		verify(&space, trace, granules);
	}
	print_row(&space, trace, granules);
}

int main(int argc, char **argv)
{
	const struct mal_fit *const *fit;
	struct trace trace;
	int option;

	while ((option = getopt(argc, argv, "g:")) != -1) {
		granule = option == 'g' ? strtoul(optarg, NULL, 10) : 0;
		if (!granule || granule & (granule - 1))
			errx(2, "a granule is a power of two");
	}
	if (optind == argc)
		errx(2, "usage: core [-g GRANULE] TRACE [STRATEGY=GRANULES]...");

	trace = trace_load(argv[optind], granule);
	for (fit = mal_fits; *fit; fit++)
		run(*fit, &trace, argv + optind + 1);
	run(NULL, &trace, argv + optind + 1);
	free(trace.ops);
	return 0;
}
