// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much has to be moved so that a request never fails while enough is free, and how much region
 * it takes without moving: for each fit, on streams of requests that no program is kind enough to
 * avoid, and on traces in a region of just their peak.
 *
 *   moves [-g GRANULE] [-n OPERATIONS] [TRACE...]
 *
 * Prints a line of CSV for each stream and fit, whose columns are those of print_row(). GRANULE is
 * that of the traces, in bytes; a stream's sizes are in granules.
 */
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../core/mover.h"
#include "fit.h"
#include "trace.h"

/* As large as a region's default budget, in pages of 4 KiB. */
#define BUDGET		16384
#define NO_BUDGET	(~0ull)

/* The streams of random lives: a region of 256 MiB, in pages, and the largest request. */
#define REGION		65536
#define SIZE_MAX_LOG	12

/* The adversaries: what is live at most, and the largest request. */
#define LIVE		16384
#define LARGE_LOG	7
#define LARGE		(1 << LARGE_LOG)

/* A stream's blocks, in a heap, and what became of its requests. */
struct run {
	struct mal_heap heap;
	struct mover mover;
	u64 budget;		/* of a request; 0: nothing is moved */
	u64 requests;
	u64 in_pieces;		/* requests that found no room, though enough was free, */
	u64 failed;		/* and still none after moves */
	u64 allocated;		/* granules */
	u64 most;		/* granules that were moved for a request */
	u32 live;
	u32 peak;
	u32 end;		/* of the highest block ever */
};

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		err(1, "no memory");
	return memory;
}

static struct run *run_begin(const struct mal_fit *fit, u32 granules, u32 blocks, u64 budget)
{
	struct run *run = allocate(1, sizeof(*run));

	mal_heap_init(&run->heap, allocate(1, mal_heap_bytes(granules)), granules, fit);
	run->mover.heap = &run->heap;
	run->mover.blocks = allocate(blocks, sizeof(*run->mover.blocks));
	run->budget = budget;
	return run;
}

static void run_end(struct run *run)
{
	const char *wrong = mal_heap_check(&run->heap);

	if (wrong)
		errx(1, "%s: %s", run->heap.fit->name, wrong);
	free(run->mover.blocks);
	free(run->heap.tags);
	free(run);
}

/* False: it failed. */
static bool run_alloc(struct run *run, u32 block, u32 size, u32 align)
{
	const struct mal_request req = { .size = size, .align = align };
	const u64 moved = run->mover.moved;
	u32 place = mover_place(&run->heap, &req, block);

	run->requests++;
	if (place == MAL_NONE && run->heap.free >= size) {
		run->in_pieces++;
		if (run->budget && mover_make_room(&run->mover, &req, run->budget) == MAL_DONE)
			place = mover_place(&run->heap, &req, block);
		run->failed += place == MAL_NONE;
		if (run->mover.moved - moved > run->most)
			run->most = run->mover.moved - moved;
	}
	if (place == MAL_NONE)
		return false;
	run->mover.blocks[block] = (struct mover_block) {
		.place = place,
		.size = size,
		.align = align,
	};
	run->allocated += size;
	run->live += size;
	run->peak = max(run->peak, run->live);
	run->end = max(run->end, place + size);
	return true;
}

static void run_free(struct run *run, u32 block)
{
	struct mover_block *gone = &run->mover.blocks[block];

	if (mal_heap_free(&run->heap, gone->place, gone->size))
		errx(1, "%s: a block cannot be freed", run->heap.fit->name);
	run->live -= gone->size;
	gone->size = 0;
}

/* A block becomes shorter where it lies. */
static void run_shrink(struct run *run, u32 block, u32 size)
{
	struct mover_block *shorter = &run->mover.blocks[block];

	if (mal_heap_resize(&run->heap, shorter->place, shorter->size, size))
		errx(1, "%s: a block cannot be shortened", run->heap.fit->name);
	run->live -= shorter->size - size;
	shorter->size = size;
}

/* @theory: the region above the peak that the stream's literature promises; 0: none. */
static void print_row(const char *stream, const struct run *run, double theory)
{
	/* stream, fit, does it move, granules of the region, requests, of these without room in */
	/* one piece, and failed; the highest end above the peak of what was live; theory's */
	printf("%s,%s,%s,%u,%llu,%llu,%llu,%.3f,%.3f,", stream, run->heap.fit->name,
	       run->budget ? "yes" : "no", run->heap.granules, run->requests, run->in_pieces,
	       run->failed, (double)run->end / run->peak, theory);
	/* moved for each granule that was allocated, and for one request at most */
	printf("%.3f,%llu\n", (double)run->mover.moved / run->allocated, run->most);
	fflush(stdout);
}

static double random_share(void)
{
	return (random() + 0.5) / (RAND_MAX + 1.0);
}

/*
 * Blocks of random sizes, log-uniform, live for random times: as much is live as @load says, in
 * hundredths of the region.
 */
static void random_lives(const struct mal_fit *fit, u32 load, u64 operations, u64 budget)
{
	struct run *run = run_begin(fit, REGION, REGION, budget);
	u32 *live = allocate(REGION, sizeof(*live));
	u32 blocks = 0, i;
	char name[16];
	u64 done = 0;

	for (i = 0; i < REGION; i++)
		live[i] = i;
	srandom(1);
	while (done < operations) {
		const u32 size = exp2(random_share() * SIZE_MAX_LOG);

		for (; run->live + size > (u64)REGION * load / 100; done++) {
			const u32 which = random_share() * blocks;
			const u32 gone = live[which];

			run_free(run, gone);
			live[which] = live[--blocks];
			live[blocks] = gone;
		}
		blocks += run_alloc(run, live[blocks], size, 1);
		done++;
	}
	snprintf(name, sizeof(name), "random-%u", load);
	print_row(name, run, 0);
	free(live);
	run_end(run);
}

/* Does the block lie across a granule that is @at modulo @step? */
static bool lies_across(const struct mover_block *block, u32 at, u32 step)
{
	return (at + step - block->place % step) % step < block->size;
}

/*
 * J. M. Robson, "Bounds for some functions concerning dynamic storage allocation", J. ACM 21
 * (1974): against any strategy that does not move. Sizes double; of what is live, those blocks stay
 * that make most places of the next size unusable.
 */
static void robson(const struct mal_fit *fit, u32 granules, u64 budget)
{
	struct run *run = run_begin(fit, granules, 2 * LIVE, budget);
	struct mover_block *blocks = run->mover.blocks;
	u32 at = 0, size, i;

	for (i = 0; i < LIVE; i++)
		run_alloc(run, i, 1, 1);
	for (size = 2; size <= LARGE; size *= 2) {
		const u32 other = at + size / 2;
		u64 here = 0, there = 0;

		for (i = 0; i < 2 * LIVE; i++) {
			if (!blocks[i].size)
				continue;
			here += lies_across(&blocks[i], at, size) * (size - blocks[i].size);
			there += lies_across(&blocks[i], other, size) * (size - blocks[i].size);
		}
		if (there > here)
			at = other;
		for (i = 0; i < 2 * LIVE; i++)
			if (blocks[i].size && !lies_across(&blocks[i], at, size))
				run_free(run, i);
		for (i = 0; i < 2 * LIVE && run->live + size <= LIVE; i++)
			if (!blocks[i].size)
				run_alloc(run, i, size, 1);
	}
	print_row("robson", run, LARGE_LOG / 2.0 + 1 - (LARGE - 1.0) / LIVE);
	run_end(run);
}

/*
 * Blocks of one size, each shortened to a granule when the next one is there: what it leaves is too
 * small for all that follow. That no fit can help.
 */
static void shortened(const struct mal_fit *fit, u32 granules, u64 budget)
{
	struct run *run = run_begin(fit, granules, LIVE, budget);
	u32 block;

	run_alloc(run, 0, LARGE, 1);
	for (block = 1; run->live + LARGE <= LIVE; block++) {
		run_alloc(run, block, LARGE, 1);
		run_shrink(run, block - 1, 1);
	}
	print_row("shortened", run, (double)LARGE * (LIVE - 2 * LARGE) / LIVE);
	run_end(run);
}

/* To make a block longer is to free it, and to allocate again. */
static void do_op(struct run *run, const struct op *op)
{
	const struct mover_block *block = &run->mover.blocks[op->block];

	if (op->kind == OP_RESIZE && op->size <= block->size) {
		run_shrink(run, op->block, op->size);
		return;
	}
	if (op->kind != OP_ALLOC)
		run_free(run, op->block);
	if (op->kind != OP_FREE)
		run_alloc(run, op->block, op->size, op->align);
}

/* A trace in a region of just its peak. */
static void replay(const char *path, const struct mal_fit *fit, u32 granule, u64 budget)
{
	struct trace trace = trace_load(path, granule);
	struct run *run = run_begin(fit, trace.peak_granules, trace.blocks, budget);
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	u32 i;

	for (i = 0; i < trace.count && !run->failed; i++)
		do_op(run, &trace.ops[i]);
	print_row(name, run, 0);
	run_end(run);
	free(trace.ops);
}

static void adversaries(const struct mal_fit *fit)
{
	const u32 enough = LIVE * LARGE;

	robson(fit, enough, 0);
	robson(fit, LIVE, NO_BUDGET);
	shortened(fit, enough, 0);
	shortened(fit, LIVE, NO_BUDGET);
}

int main(int argc, char **argv)
{
	const struct mal_fit *const *fit;
	u64 operations = 1000000;
	u32 granule = 16;
	int option;

	while ((option = getopt(argc, argv, "g:n:")) != -1) {
		if (option == 'g')
			granule = strtoul(optarg, NULL, 10);
		else if (option == 'n')
			operations = strtoull(optarg, NULL, 10);
		else
			errx(2, "usage: moves [-g GRANULE] [-n OPERATIONS] [TRACE...]");
	}
	if (!granule || granule & (granule - 1))
		errx(2, "a granule is a power of two");

	for (fit = mal_fits; *fit; fit++) {
		random_lives(*fit, 90, operations, 0);
		random_lives(*fit, 90, operations, BUDGET);
		random_lives(*fit, 95, operations, 0);
		random_lives(*fit, 95, operations, BUDGET);
		adversaries(*fit);
	}
	for (; optind < argc; optind++)
		replay(argv[optind], mal_fits[0], granule, NO_BUDGET);
	return 0;
}
