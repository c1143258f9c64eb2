// SPDX-License-Identifier: GPL-2.0-only
/* Which block each fit picks; trees that are as deep as they get; and switches. */
#include "oracle.h"

/*
 * Free blocks of these sizes, in the order of their addresses, with a used granule behind
 * each. The last one is all that is left.
 */
static const u32 row[] = { 6, 9, 4, 12, 4, 9, 12, 5 };

#define ROW	(sizeof(row) / sizeof(*row))

static u32 at[ROW];

static struct mal_heap row_heap(const struct mal_fit *fit)
{
	struct mal_heap heap;
	u32 granules = 0;
	u32 i;

	for (i = 0; i < ROW; i++)
		granules += row[i] + 1;
	heap = heap_make_fit(granules, fit);
	granules = 0;
	for (i = 0; i < ROW; i++) {
		at[i] = granules;
		granules += row[i];
		EXPECT(mal_heap_alloc_at(&heap, granules++, 1, 0) == 0);
	}
	EXPECT_SOUND(&heap);
	return heap;
}

/* Which of the row's blocks is picked for @size; ROW: none. */
static u32 picked(struct mal_heap *heap, u32 size)
{
	u32 place = take(heap, size);
	u32 i;

	EXPECT_SOUND(heap);
	for (i = 0; i < ROW && at[i] != place; i++)
		;
	EXPECT(i < ROW || place == MAL_NONE);
	return i;
}

static void first_fit(void)
{
	struct mal_heap heap = row_heap(&mal_fit_first);

	EXPECT(picked(&heap, 5) == 0);
	EXPECT(picked(&heap, 5) == 1);
	EXPECT(picked(&heap, 11) == 3);
	EXPECT(picked(&heap, 12) == 6);
	EXPECT(picked(&heap, 12) == ROW);
	EXPECT(take(&heap, 4) == at[1] + 5);
	EXPECT(picked(&heap, 4) == 2);
	heap_drop(&heap);
}

static void best_fit(void)
{
	struct mal_heap heap = row_heap(&mal_fit_best);

	EXPECT(picked(&heap, 4) == 2);
	EXPECT(picked(&heap, 4) == 4);
	EXPECT(picked(&heap, 4) == 7);
	EXPECT(picked(&heap, 7) == 1);
	EXPECT(picked(&heap, 7) == 5);
	EXPECT(picked(&heap, 7) == 3);
	EXPECT(picked(&heap, 12) == 6);
	EXPECT(picked(&heap, 12) == ROW);
	heap_drop(&heap);
}

static void worst_fit(void)
{
	struct mal_heap heap = row_heap(&mal_fit_worst);

	EXPECT(picked(&heap, 12) == 3);
	EXPECT(picked(&heap, 12) == 6);
	EXPECT(picked(&heap, 1) == 1);
	EXPECT(picked(&heap, 9) == 5);
	EXPECT(picked(&heap, 9) == ROW);
	EXPECT(mal_heap_largest(&heap) == 8);
	heap_drop(&heap);
}

static void next_fit(void)
{
	struct mal_heap heap = row_heap(&mal_fit_next);

	EXPECT(picked(&heap, 4) == 0);
	EXPECT(picked(&heap, 4) == 1);
	EXPECT(picked(&heap, 12) == 3);
	EXPECT(picked(&heap, 4) == 4);
	EXPECT(picked(&heap, 9) == 5);
	EXPECT(picked(&heap, 12) == 6);
	EXPECT(picked(&heap, 12) == ROW);
	EXPECT(picked(&heap, 5) == 7);
	EXPECT(take(&heap, 4) == at[1] + 4);	/* round the end */
	EXPECT(picked(&heap, 4) == 2);
	heap_drop(&heap);
}

/* Blocks of one size, freed in the one order; good fit takes them in the other one. */
static void freed_and_taken(u32 size, u32 count, const u32 *freed, const u32 *taken)
{
	struct mal_heap heap = heap_make(count * (size + 1));
	u32 i;

	for (i = 0; i < count; i++)
		EXPECT(take(&heap, size) == i * (size + 1) && take(&heap, 1) != MAL_NONE);
	for (i = 0; i < count; i++)
		EXPECT(mal_heap_free(&heap, freed[i] * (size + 1), size) == 0);
	for (i = 0; i < count; i++) {
		EXPECT_SOUND(&heap);
		EXPECT(heap.fit->find(&heap, size) == taken[i] * (size + 1));
		EXPECT(take(&heap, size) == taken[i] * (size + 1));
	}
	heap_drop(&heap);
}

/* As many as a list keeps in order: freed in every order, taken from the lowest on. */
static void lowest_first(u32 size, u32 *freed, u32 left)
{
	static const u32 rising[] = { 0, 1, 2, 3, 4 };
	u32 i, other;

	if (!left) {
		freed_and_taken(size, 5, freed, rising);
		return;
	}
	for (i = 0; i < left; i++) {
		other = freed[i];
		freed[i] = freed[left - 1];
		freed[left - 1] = other;
		lowest_first(size, freed, left - 1);
		freed[left - 1] = freed[i];
		freed[i] = other;
	}
}

static void good_fit(void)
{
	static const u32 rising[] = { 0, 1, 2, 3, 4, 5 };
	static const u32 last_are_swapped[] = { 0, 1, 2, 3, 5, 4 };
	struct mal_heap heap = row_heap(&mal_fit_good);
	u32 order[] = { 0, 1, 2, 3, 4 };

	EXPECT(picked(&heap, 4) == 2);
	EXPECT(picked(&heap, 4) == 4);
	EXPECT(picked(&heap, 4) == 7);
	EXPECT(picked(&heap, 7) == 1);
	EXPECT(picked(&heap, 12) == 3);
	heap_drop(&heap);

	/* In a list, which is in order no further, and in a trie. */
	lowest_first(1, order, 5);
	freed_and_taken(1, 6, rising, last_are_swapped);
	lowest_first(299, order, 5);
}

/* Powers of two from 1 on, which are one path: of a tree by address, and by size. */
static void deep_trees(void)
{
	const struct mal_fit *const *fit;
	struct oracle oracle;
	struct mal_heap heap;
	u32 i, place;

	for (fit = mal_fits; *fit; fit++) {
		heap = heap_make_fit(1u << 15, *fit);
		oracle = oracle_make(1u << 15, *fit);
		for (i = 1; i < 1u << 15; i += i)
			oracle_alloc_at(&oracle, &heap, i, (i + 1) / 2);
		oracle_compare(&oracle, &heap);
		for (i = 1; i < 1u << 15; i += i) {
			const struct mal_request req = { .size = i / 2 + 1, .align = 1 };

			place = oracle_alloc(&oracle, &heap, &req, 1);
			oracle_compare(&oracle, &heap);
			if (place != MAL_NONE)
				oracle_release(&oracle, &heap, place, req.size);
			oracle_compare(&oracle, &heap);
		}
		heap_drop(&heap);
		oracle_drop(&oracle);
	}
}

/* Heaps of @granules, just above and below what a number of bits can address, too. */
static void fill_and_drain(u32 granules, const struct mal_fit *fit)
{
	struct mal_heap heap = heap_make_fit(granules, fit);
	u32 i;

	for (i = 0; i < granules; i++)
		EXPECT(take(&heap, 1) == i);
	EXPECT(take(&heap, 1) == MAL_NONE);
	/* The first and the last, or the last but one. */
	for (i = 0; i < granules; i += 2)
		EXPECT(mal_heap_free(&heap, i, 1) == 0);
	EXPECT_SOUND(&heap);
	EXPECT(heap.free_blocks == (granules + 1) / 2);
	for (i = 0; i < granules; i += 2)
		EXPECT(take(&heap, 1) % 2 == 0);
	EXPECT(heap.free == 0);
	heap_drop(&heap);
}

static void every_size_of_heap(void)
{
	const struct mal_fit *const *fit;
	u32 granules;

	for (fit = mal_fits; *fit; fit++)
		for (granules = 1; granules <= 66; granules++)
			fill_and_drain(granules, *fit);
}

/* Between any two fits, with calls between the slices; then the new one rules. */
static void switch_fit(const struct mal_fit *from, const struct mal_fit *to)
{
	struct mal_heap heap = heap_make_fit(300, from);
	struct oracle oracle = oracle_make(300, from);
	struct mal_request req = { .align = 1 };
	u64 state = 5;
	u32 i, slices = 0;

	for (i = 0; i < 60; i++)
		oracle_alloc_at(&oracle, &heap, random_u32(&state) % 300,
				random_upto(&state, 4));
	oracle_switch(&oracle, &heap, to);
	EXPECT(heap.fit == to && mal_heap_largest(&heap) == 0);
	do {
		oracle_compare(&oracle, &heap);
		req.size = random_upto(&state, 4);
		oracle_alloc(&oracle, &heap, &req, 7);
		oracle_compare(&oracle, &heap);
		oracle_release(&oracle, &heap,
			       oracle_start(&oracle, random_u32(&state) % 300), 0);
		oracle_compare(&oracle, &heap);
		slices++;
	} while (mal_heap_switch_more(&heap, random_upto(&state, 3)));
	EXPECT(slices > 10 && heap.indexed == 300);
	while (heap.free) {
		req.size = random_upto(&state, mal_heap_largest(&heap));
		EXPECT(oracle_alloc(&oracle, &heap, &req, 1) != MAL_NONE);
		oracle_compare(&oracle, &heap);
	}
	EXPECT(!mal_heap_switch_more(&heap, 1));
	heap_drop(&heap);
	oracle_drop(&oracle);
}

static void every_switch(void)
{
	const struct mal_fit *const *from, *const *to;

	for (from = mal_fits; *from; from++)
		for (to = mal_fits; *to; to++)
			switch_fit(*from, *to);
}

/* An allocation that the index does not know of yet is found by a sweep. */
static void alloc_during_a_switch(void)
{
	struct mal_request req = { .size = 12, .align = 1 };
	struct mal_heap heap = row_heap(&mal_fit_first);
	u32 cursor = 0;

	mal_heap_switch(&heap, &mal_fit_best);
	EXPECT(mal_heap_switch_more(&heap, 3) && heap.indexed == at[1] + 9);
	EXPECT(mal_heap_largest(&heap) == 9);
	EXPECT(mal_heap_alloc(&heap, &req, 0) == MAL_NONE && mal_heap_undecided(&heap, &req));
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, ROW * 2) == at[3]);
	EXPECT_SOUND(&heap);
	/* A block that is freed merges across the border of what is indexed. */
	EXPECT(mal_heap_free(&heap, at[1] + 9, 1) == 0);
	EXPECT(mal_heap_largest(&heap) == 14);
	EXPECT_SOUND(&heap);
	EXPECT(!mal_heap_switch_more(&heap, 100));
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_alloc(&heap, &req, 0) == at[6]);
	EXPECT(!mal_heap_undecided(&heap, &req));
	heap_drop(&heap);
}

static const struct tap_test tests[] = {
	{ "good fit picks the smallest, then a low one", good_fit },
	{ "first fit picks the lowest address", first_fit },
	{ "best fit picks the smallest, then the lowest", best_fit },
	{ "worst fit picks the largest, then the lowest", worst_fit },
	{ "next fit goes on where it left off", next_fit },
	{ "deep trees", deep_trees },
	{ "heaps of every size", every_size_of_heap },
	{ "every switch", every_switch },
	{ "alloc during a switch", alloc_during_a_switch },
};

int main(void)
{
	return TAP_RUN(tests);
}
