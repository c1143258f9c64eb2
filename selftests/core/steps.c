// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bounds on steps that heap.h states, against the worst that could be thought of.
 * The core must be compiled with MAL_COUNT_STEPS.
 */
#include "fixture.h"
#include "tree.h"

/* Good fit's classes from 2^b on have b - 6 open bits, its tries paths of as many nodes. */
#define OPEN		17
#define BASE		(1u << (OPEN + 6))

static u64 worst, worst_aligned;

static void begin(void)
{
	worst = 0;
	worst_aligned = 0;
}

static void end(void)
{
	printf("# worst: %llu steps of %u, %llu of %u aligned\n", worst, MAL_STEPS,
	       worst_aligned, MAL_STEPS_ALIGNED);
	EXPECT_OR(worst, "no step was counted: compile all with -DMAL_COUNT_STEPS");
	EXPECT(worst <= MAL_STEPS);
	EXPECT(worst_aligned <= MAL_STEPS_ALIGNED);
}

/* The same for the fits that keep their blocks in trees. */
static void end_trees(void)
{
	u64 steps = worst > worst_aligned ? worst : worst_aligned;

	printf("# worst: %llu steps of %u\n", steps, MAL_TREE_STEPS);
	EXPECT(steps > MAL_TREE_STEPS / 8 && steps <= MAL_TREE_STEPS);
}

/* The calls, counted. */
static u32 counted_alloc(struct mal_heap *heap, u32 size, u32 align)
{
	u64 *most = align == 1 ? &worst : &worst_aligned;
	u32 place;

	mal_steps = 0;
	place = take_aligned(heap, size, align);
	if (mal_steps > *most)
		*most = mal_steps;
	return place;
}

static void counted_free(struct mal_heap *heap, u32 place)
{
	mal_steps = 0;
	EXPECT(mal_heap_free(heap, place, 0) == 0);
	if (mal_steps > worst)
		worst = mal_steps;
	mal_steps = 0;
	mal_heap_largest(heap);
	if (mal_steps > worst)
		worst = mal_steps;
}

static void counted_free_part(struct mal_heap *heap, u32 place, u32 size)
{
	mal_steps = 0;
	EXPECT(mal_heap_free_part(heap, place, size) == 0);
	if (mal_steps > worst)
		worst = mal_steps;
}

/* Blocks that are still used, and used ones behind each, so that they stay apart. */
struct row {
	u32 size[80];
	u32 head[80];
	u32 count;
};

static void row_add(struct row *row, u32 size)
{
	row->size[row->count++] = size;
}

/* In a heap of their own, of which all else is used, too. */
static struct mal_heap row_lay(struct row *row)
{
	struct mal_heap heap = heap_map(MAL_HEAP_MAX);
	u32 i;

	for (i = 0; i < row->count; i++) {
		row->head[i] = take(&heap, row->size[i]);
		EXPECT(row->head[i] != MAL_NONE && take(&heap, 1) != MAL_NONE);
	}
	EXPECT(take(&heap, heap.free) != MAL_NONE);
	return heap;
}

/* Free them in the order in which they were added. */
static void row_free(struct row *row, struct mal_heap *heap)
{
	u32 i;

	for (i = 0; i < row->count; i++)
		counted_free(heap, row->head[i]);
}

/* The path of a class that keeps to the side of the ones, in a class from @base on. */
static void row_add_ones(struct row *row, u32 base, u32 open)
{
	u32 d;

	for (d = 0; d < open; d++)
		row_add(row, base + (1u << open) - (1u << (open - d)));
}

/* What follows below a root of @base on the path that keeps to the side of the zeros. */
static void row_add_zeros(struct row *row, u32 base, u32 open)
{
	u32 d;

	for (d = 1; d < open; d++)
		row_add(row, base + (1u << (open - d)) - 1);
}

/*
 * The request is one more than the largest block on a long path of its own class, so
 * that the path is walked in vain. The next class has a long path too, of which the
 * root is the least and has to be replaced by a leaf at the end. And what is left
 * of it belongs at the end of a third path.
 */
static void alloc_on_long_paths(void)
{
	u32 size = BASE + (1u << OPEN) - 1;
	struct row row = { .count = 0 };
	struct mal_heap heap;
	u32 least, place, align;

	row_add_ones(&row, BASE, OPEN);
	least = row.count;
	row_add(&row, 2 * BASE);
	row_add_zeros(&row, 2 * BASE, OPEN + 1);
	row_add(&row, BASE - (1u << OPEN));
	row_add_zeros(&row, BASE - (1u << OPEN), OPEN - 1);
	row_add(&row, 8 * BASE);	/* for alignments that need that much */
	heap = row_lay(&row);
	row_free(&row, &heap);

	begin();
	EXPECT(counted_alloc(&heap, size, 1) == row.head[least]);
	EXPECT(worst > 4 * OPEN);
	counted_free(&heap, row.head[least]);
	for (align = 2; align <= 4 * BASE; align *= 2) {
		place = counted_alloc(&heap, size, align);
		EXPECT(place != MAL_NONE);
		counted_free(&heap, place);
	}
	heap_unmap(&heap);
	end();
}

/* One granule between two blocks, each the root of a long path; the sum goes into a third. */
static void free_on_paths(bool as_part)
{
	struct row row = { .count = 0 };
	struct mal_heap heap;

	row_add(&row, BASE / 2);
	row_add(&row, BASE);
	row_add_zeros(&row, BASE / 2, OPEN - 1);
	row_add_zeros(&row, BASE, OPEN);
	row_add(&row, BASE / 2 * 3);
	row_add_zeros(&row, BASE / 2 * 3, OPEN);
	heap = row_lay(&row);
	row_free(&row, &heap);

	begin();
	if (as_part)
		counted_free_part(&heap, row.head[0] + row.size[0], 1);
	else
		counted_free(&heap, row.head[0] + row.size[0]);
	EXPECT(mal_block_size(&heap, row.head[0]) == BASE / 2 * 3 + 1);
	EXPECT(worst > 3 * (OPEN - 1));
	heap_unmap(&heap);
	end();
}

static void free_on_long_paths(void)
{
	free_on_paths(false);
}

static void free_part_on_long_paths(void)
{
	free_on_paths(true);
}

/* From the middle of a block that begins so long before that its head is hard to find. */
static void free_part_of_all(void)
{
	struct mal_heap heap = heap_map(MAL_HEAP_MAX);

	begin();
	EXPECT(take(&heap, MAL_HEAP_MAX) == 0);
	counted_free_part(&heap, MAL_HEAP_MAX / 2 + 1, MAL_HEAP_MAX / 4);
	counted_free_part(&heap, MAL_HEAP_MAX - 2, 1);
	EXPECT(heap.used_blocks == 3);
	heap_unmap(&heap);
	end();
}

/* Long runs on tries that are as full as they get. */
static void random_run(const struct mal_fit *fit, u32 granules, u32 base, u32 spread, u32 live,
		       u32 rounds)
{
	struct mal_heap heap = heap_map_fit(granules, fit);
	u32 *place = malloc(live * sizeof(*place));
	u64 state = 17;
	u32 i, round;

	for (i = 0; i < live; i++)
		place[i] = MAL_NONE;
	for (round = 0; round < rounds; round++) {
		i = random_u32(&state) % live;
		if (place[i] != MAL_NONE)
			counted_free(&heap, place[i]);
		place[i] = counted_alloc(&heap, base + random_u32(&state) % spread,
					 random_u32(&state) % 4 ? 1 :
					 1u << random_u32(&state) % 10);
	}
	EXPECT_SOUND(&heap);
	free(place);
	heap_unmap(&heap);
}

static void random_runs(void)
{
	begin();
	random_run(&mal_fit_good, 1u << 22, 1, 100, 80000, 200000);
	random_run(&mal_fit_good, 1u << 22, 1, 10000, 800, 200000);
	random_run(&mal_fit_good, 1u << 22, 1024, 4096, 2000, 200000);
	random_run(&mal_fit_good, 1u << 22, 4096, 128, 1000, 200000);
	end();
}

/* A path through the whole tree: of one-granule blocks, each at a power of two. */
static void alloc_and_free_in_deep_trees(void)
{
	const struct mal_fit *const *fit;
	struct mal_heap heap;
	u32 at, place;

	begin();
	for (fit = mal_fits; *fit; fit++) {
		heap = heap_map_fit(MAL_HEAP_MAX, *fit);
		EXPECT(take(&heap, 2) == 0);
		for (at = 2; at < MAL_HEAP_MAX; at += at)
			EXPECT(mal_heap_alloc_at(&heap, at, 1, 0) == 0 &&
			       mal_heap_alloc_at(&heap, at + 1, at - 1, 0) == 0);
		for (at = MAL_HEAP_MAX / 2; at > 1; at /= 2)
			counted_free(&heap, at);
		for (at = 2; at < MAL_HEAP_MAX; at += at) {
			place = counted_alloc(&heap, 1, 1);
			EXPECT(place != MAL_NONE);
			counted_free(&heap, place);
			place = counted_alloc(&heap, 1, at);
			if (place != MAL_NONE)
				counted_free(&heap, place);
		}
		for (at = 2; at < MAL_HEAP_MAX; at += at)
			counted_free(&heap, at + 1);
		heap_unmap(&heap);
	}
	end_trees();
}

static void random_runs_in_trees(void)
{
	const struct mal_fit *const *fit;

	begin();
	for (fit = mal_fits; *fit; fit++) {
		random_run(*fit, 1u << 22, 1, 100, 80000, 50000);
		random_run(*fit, 1u << 22, 1, 10000, 800, 50000);
	}
	end_trees();
}

/* Whatever happens between its slices, a check finds nothing wrong, and gets to the end. */
static void check_in_slices(void)
{
	struct mal_heap heap = heap_make(100 * 64 + 10);
	u64 most = 0, state = 1;
	u32 cursor = 0, slices, i;

	for (i = 0; i < heap.granules; i++)
		EXPECT(take(&heap, 1) == i);
	for (i = 0; i < heap.granules; i += 2)
		EXPECT(mal_heap_free(&heap, i, 1) == 0);
	for (slices = 0; cursor != MAL_NONE; slices++) {
		const char *wrong;

		mal_steps = 0;
		wrong = mal_heap_check_slice(&heap, &cursor);
		EXPECT_OR(!wrong, "the heap is damaged: %s", wrong);
		most = mal_steps > most ? mal_steps : most;
		for (i = 0; i < 10; i++) {
			mal_heap_free(&heap, random_u32(&state) % heap.granules, 0);
			take(&heap, 1 + random_u32(&state) % 2);
		}
	}
	/* Twice all blocks, and most of them stay as they are. */
	printf("# worst: %llu steps of %u, %u slices\n", most, MAL_CHECK_STEPS, slices);
	EXPECT(most > MAL_CHECK_STEPS / 4 && most <= MAL_CHECK_STEPS);
	i = 2 * heap.granules / MAL_CHECK_BLOCKS;
	EXPECT(slices > i / 2 && slices <= i + 1);
	heap_drop(&heap);
}

/* An empty heap is a lot of words without a block: they are not looked at all at once. */
static void check_of_empty_words(void)
{
	struct mal_heap heap = heap_make(64 * 6400);
	u32 cursor = 0, slices;

	for (slices = 0; cursor != MAL_NONE; slices++)
		EXPECT(!mal_heap_check_slice(&heap, &cursor));
	EXPECT(slices == 2 * 6400 / 32);
	heap_drop(&heap);
}

/* A heap of 60 words with so many blocks each: a slice ends after four, also inside a word. */
static void expect_slices(u32 blocks)
{
	struct mal_heap heap = heap_make(64 * 60);
	u32 cursor = 0, slices, i;

	for (i = 0; i < 60 * blocks; i++)
		EXPECT(take(&heap, i % blocks ? 64 / blocks : 64 / blocks + 64 % blocks) !=
		       MAL_NONE);
	for (slices = 0; cursor != MAL_NONE; slices++)
		EXPECT(!mal_heap_check_slice(&heap, &cursor));
	EXPECT(slices == 2 * 60 * blocks / 4);
	heap_drop(&heap);
}

static void check_of_few_blocks(void)
{
	expect_slices(1);
	expect_slices(3);
	expect_slices(4);
	expect_slices(5);
}

static const struct tap_test tests[] = {
	{ "alloc on long paths", alloc_on_long_paths },
	{ "free on long paths", free_on_long_paths },
	{ "free a part on long paths", free_part_on_long_paths },
	{ "free a part of all", free_part_of_all },
	{ "random runs", random_runs },
	{ "deep trees", alloc_and_free_in_deep_trees },
	{ "random runs in trees", random_runs_in_trees },
	{ "check in slices", check_in_slices },
	{ "check of empty words", check_of_empty_words },
	{ "check of few blocks", check_of_few_blocks },
};

int main(void)
{
	return TAP_RUN(tests);
}
