// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the allocators are put through. All get the same requests from the same seeds.
 *
 * A stream: a program's life in a steady state. Each step frees the block of a random slot
 * and allocates one of a random size there. The range has room for 10/9 of what the blocks
 * take on average, so that 90 % of it is in use.
 *
 * The others: a range in which a given number of free blocks lie between used ones, so
 * that none can merge with another. Some blocks are allocated and freed again in another
 * order, over and over, so the layout always comes back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/prandom.h>
#include <linux/sched.h>

#include "bench.h"

#define SEED		20240607

#define STREAM_BLOCKS	12288
#define STREAM_WARMUP	(3 * STREAM_BLOCKS)	/* steps: to fill the slots, and then some */
#define STREAM_MEASURED	8192

#define MOST_FREE	1000000	/* free blocks: 10^3 to 10^6 */
#define BATCH		64	/* blocks at a time */
#define BATCHES		16
#define FEWEST		8	/* requests: more only while all took less than BUDGET */
#define BUDGET		50000000

struct results {
	u32 requests;
	u32 failures;
	struct samples alloc, free, pair;
};

static int results_init(struct results *results, u32 room)
{
	*results = (struct results) {};
	if (samples_init(&results->alloc, room) || samples_init(&results->free, room) ||
	    samples_init(&results->pair, room))
		return -ENOMEM;
	return 0;
}

static void results_destroy(struct results *results)
{
	samples_destroy(&results->alloc);
	samples_destroy(&results->free);
	samples_destroy(&results->pair);
}

static void results_log(struct results *results, const char *name, u32 blocks,
			const struct allocator *allocator)
{
	struct figures alloc = samples_figures(&results->alloc);
	struct figures free = samples_figures(&results->free);
	struct figures pair = samples_figures(&results->pair);

	pr_info("row: %s,%u,%s,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u\n", name, blocks, allocator->name,
		results->requests, results->failures,
		alloc.median, alloc.mean, alloc.max,
		free.median, free.mean, free.max,
		pair.median, pair.mean, pair.max);
}

/* A request that finds no room costs as well, and counts as an allocation. */
static u32 measured_alloc(struct bench *bench, struct results *results, u32 slot, u32 size)
{
	u32 cost = bench_timed_alloc(bench, slot, size);

	samples_add(&results->alloc, cost);
	results->requests++;
	results->failures += bench->start[slot] == BENCH_NONE;
	return cost;
}

static u32 measured_free(struct bench *bench, struct results *results, u32 slot)
{
	u32 cost = bench_timed_free(bench, slot);

	samples_add(&results->free, cost);
	samples_add(&results->pair, bench->cost[slot] + cost);
	return cost;
}

/* 1 to @n. */
static u32 up_to(struct rnd_state *rnd, u32 n)
{
	return prandom_u32_state(rnd) % n + 1;
}

/* Less than 2^@bits; each number of bits is as likely as another. */
static u32 stream_size(struct rnd_state *rnd, unsigned int bits)
{
	u32 power = 1u << (up_to(rnd, bits) - 1);

	return power + up_to(rnd, power) - 1;
}

static int stream(const struct allocator *allocator, const char *name, unsigned int bits)
{
	/* The average size is that of (3 * 2^n - 1) / 2, n being 0 to @bits - 1. */
	const u32 demand = STREAM_BLOCKS / (2 * bits) * (3 * ((1u << bits) - 1) - bits);
	struct rnd_state rnd;
	struct results results;
	struct bench bench;
	u32 step, live = 0;
	int err;

	err = bench_init(&bench, allocator, demand / 9 * 10, STREAM_BLOCKS);
	if (err)
		return err;
	err = results_init(&results, STREAM_MEASURED);
	if (err)
		goto out;

	prandom_seed_state(&rnd, SEED);
	for (step = 0; step < STREAM_WARMUP + STREAM_MEASURED; step++) {
		u32 slot = step < STREAM_BLOCKS ? step : up_to(&rnd, STREAM_BLOCKS) - 1;
		u32 size = stream_size(&rnd, bits);
		bool used = bench.start[slot] != BENCH_NONE;

		if (step < STREAM_WARMUP) {
			if (used)
				bench_timed_free(&bench, slot);
			bench_timed_alloc(&bench, slot, size);
		} else {
			if (used)
				measured_free(&bench, &results, slot);
			measured_alloc(&bench, &results, slot, size);
		}
		live += bench.start[slot] != BENCH_NONE;
		live -= used;
		cond_resched();
	}
	results_log(&results, name, live, allocator);
out:
	results_destroy(&results);
	bench_destroy(&bench);
	return err;
}

struct pattern {
	const char *name;
	u32 (*used)(struct rnd_state *rnd);	/* the size of a used block, */
	u32 (*hole)(struct rnd_state *rnd);	/* of a free one, */
	u32 last_hole;				/* of the last one if that is another, */
	u32 (*request)(struct rnd_state *rnd);	/* and of one that is allocated */
};

static u32 one(struct rnd_state *rnd)
{
	return 1;
}

static u32 one_or_two(struct rnd_state *rnd)
{
	return up_to(rnd, 2);
}

static u32 one_to_three(struct rnd_state *rnd)
{
	return up_to(rnd, 3);
}

static u32 one_to_four(struct rnd_state *rnd)
{
	return up_to(rnd, 4);
}

static u32 one_to_eight(struct rnd_state *rnd)
{
	return up_to(rnd, 8);
}

/* 1, 2, 4 ... 512, each half as likely as the one before. */
static u32 power_of_two(struct rnd_state *rnd)
{
	return 1u << __builtin_ctz(prandom_u32_state(rnd) | 1u << 9);
}

static u32 short_of_power(struct rnd_state *rnd)
{
	return 2 * power_of_two(rnd) - 1;
}

/* Every other granule is free; half of the requests fit only at the end that is filled last. */
static const struct pattern comb = { "comb", one, one, 2 * BATCH, one_or_two };

/* Two thirds are in use, in small pieces; a quarter of the requests finds no room. */
static const struct pattern full = { "full", one_to_eight, one_to_three, 0, one_to_four };

/*
 * What J. M. Robson's worst case ("Bounds for some functions concerning dynamic storage
 * allocation", JACM 21, 1974) comes to: single used granules that keep each hole one
 * granule short of the next power of two, while powers of two are asked for.
 */
static const struct pattern robson = { "robson", one, short_of_power, 0, power_of_two };

/* The size of what goes into @slot of @slots. */
static u32 layout_size(const struct pattern *pattern, struct rnd_state *rnd, u32 slot, u32 slots)
{
	if (slot % 2)
		return pattern->used(rnd);
	if (pattern->last_hole && slot == slots - 2)
		return pattern->last_hole;
	return pattern->hole(rnd);
}

/*
 * Fill slots 2 i with blocks that will be holes, 2 i + 1 with those that stay, in a row;
 * then empty the holes, the last in address order first, as drm_buddy's sorted lists are
 * quick only then.
 */
static int lay_out(struct bench *bench, const struct pattern *pattern, u32 holes)
{
	const u32 slots = 2 * holes;
	bool down, exact = !bench->allocator->rounds;
	struct rnd_state rnd;
	u32 slot, i;

	prandom_seed_state(&rnd, SEED);
	for (slot = 0; slot < slots; slot++) {
		if (!bench_append(bench, slot, layout_size(pattern, &rnd, slot, slots)))
			return -ENOSPC;
		cond_resched();
	}
	down = bench->start[0] > bench->start[slots - 1];
	for (slot = 1; exact && slot < slots; slot++) {
		u32 low = down ? slot : slot - 1, high = down ? slot - 1 : slot;

		/* Not in a row: this would not measure what it says. */
		if (bench->start[low] + bench->size[low] != bench->start[high])
			return -ERANGE;
	}
	for (i = 0; i < holes; i++) {
		bench_free(bench, down ? 2 * i : 2 * (holes - 1 - i));
		cond_resched();
	}
	return 0;
}

/* Slots from @first on are for the blocks that come and go. */
static void churn(struct bench *bench, const struct pattern *pattern, u32 first,
		  struct results *results)
{
	struct rnd_state rnd;
	u64 spent = 0;
	u32 batch, i;

	prandom_seed_state(&rnd, SEED + 1);
	for (batch = 0; batch < BATCHES && spent < BUDGET; batch++) {
		for (i = 0; i < BATCH && (i < FEWEST || spent < BUDGET); i++) {
			spent += measured_alloc(bench, results, first + i, pattern->request(&rnd));
			cond_resched();
		}
		for (i = 0; i < BATCH; i++) {
			u32 slot = first + i * 37 % BATCH;

			if (bench->start[slot] != BENCH_NONE)
				spent += measured_free(bench, results, slot);
			cond_resched();
		}
	}
}

static int free_blocks(const struct allocator *allocator, const struct pattern *pattern,
		       u32 holes)
{
	struct results results;
	struct rnd_state rnd;
	struct bench bench;
	u32 granules = 0;
	u32 slot;
	int err;

	prandom_seed_state(&rnd, SEED);
	for (slot = 0; slot < 2 * holes; slot++)
		granules += layout_size(pattern, &rnd, slot, 2 * holes);

	err = bench_init(&bench, allocator, granules << allocator->rounds, 2 * holes + BATCH);
	if (err)
		return err;
	err = results_init(&results, BATCHES * BATCH);
	if (!err)
		err = lay_out(&bench, pattern, holes);
	if (!err) {
		churn(&bench, pattern, 2 * holes, &results);
		results_log(&results, pattern->name, holes, allocator);
	}
	results_destroy(&results);
	bench_destroy(&bench);
	return err;
}

int bench_cases(const struct allocator *allocator)
{
	const struct pattern *const patterns[] = { &comb, &full, &robson };
	u32 holes;
	unsigned int i;
	int err = stream(allocator, "stream", 8);

	/* The classes of good fit have tries only for sizes from 128 on, deep ones for large. */
	if (!err && allocator->large_sizes)
		err = stream(allocator, "large", 14);
	for (i = 0; !allocator->stream_only && i < ARRAY_SIZE(patterns); i++)
		for (holes = 1000; !err && holes <= MOST_FREE; holes *= 10)
			err = free_blocks(allocator, patterns[i], holes);
	if (err)
		pr_err("%s: error %d\n", allocator->name, err);
	return err;
}
