// SPDX-License-Identifier: GPL-2.0-only
/*
 * Good fit's tries, which begin at 128 granules: a row of blocks, kept apart by used
 * ones, that come and go in every order.
 */
#include "fixture.h"

#define DEPTH_MAX	8

/* A heap at one point of a sequence. */
struct state {
	struct mal_heap heap;
	size_t bytes;
};

static u64 sequences;

static struct state state_make(u32 granules)
{
	struct state state = {
		.heap = heap_make(granules),
		.bytes = mal_heap_bytes(granules),
	};

	return state;
}

static void state_drop(struct state *state)
{
	heap_drop(&state->heap);
}

/* The figures differ, and what the pointers lead to; the pointers stay. */
static void state_copy(struct state *to, const struct state *from)
{
	memcpy(to->heap.tags, from->heap.tags, from->bytes);
	to->heap.free = from->heap.free;
	to->heap.free_blocks = from->heap.free_blocks;
	to->heap.used_blocks = from->heap.used_blocks;
}

#define ROW	6

struct row {
	u32 size[ROW];
	u32 head[ROW];
	u32 smallest, largest;
};

static u32 row_smallest(const struct row *row, const struct mal_heap *heap, u32 size)
{
	u32 smallest = 0;
	u32 i;

	for (i = 0; i < ROW; i++)
		if (!mal_block_used(heap, row->head[i]) && row->size[i] >= size &&
		    (!smallest || row->size[i] < smallest))
			smallest = row->size[i];
	return smallest;
}

static void row_check(const struct row *row, const struct mal_heap *heap)
{
	u32 size, found, largest = 0;

	EXPECT_SOUND(heap);
	for (size = row->smallest - 1; size <= row->largest + 1; size++) {
		found = heap->fit->find(heap, size);
		EXPECT(row_smallest(row, heap, size) ==
		       (found == MAL_NONE ? 0 : mal_block_size(heap, found)));
		if (found != MAL_NONE)
			largest = mal_block_size(heap, found);
	}
	EXPECT(mal_heap_largest(heap) == largest);
}

/* From states[0] on, let each block come or go, then up to @depth - 1 more. */
static void each_toggle(const struct row *row, struct state *states, unsigned int depth)
{
	struct mal_heap *heap = &states[1].heap;
	u32 i;

	if (!depth)
		return;
	for (i = 0; i < ROW; i++) {
		state_copy(&states[1], &states[0]);
		if (mal_block_used(heap, row->head[i]))
			EXPECT(mal_heap_free(heap, row->head[i], row->size[i]) == 0);
		else
			EXPECT(take_block(heap, row->head[i]) == row->head[i]);
		sequences++;
		row_check(row, heap);
		each_toggle(row, &states[1], depth - 1);
	}
}

static void each_row_sequence(struct row *row, unsigned int depth)
{
	struct state states[DEPTH_MAX + 1];
	u32 granules = 0;
	unsigned int i;

	row->smallest = row->size[0];
	row->largest = row->size[0];
	for (i = 0; i < ROW; i++) {
		granules += row->size[i] + 1;
		if (row->size[i] < row->smallest)
			row->smallest = row->size[i];
		if (row->size[i] > row->largest)
			row->largest = row->size[i];
	}
	for (i = 0; i <= depth; i++)
		states[i] = state_make(granules);
	for (i = 0; i < ROW; i++) {
		row->head[i] = take(&states[0].heap, row->size[i]);
		EXPECT(take(&states[0].heap, 1) == row->head[i] + row->size[i]);
	}
	EXPECT(states[0].heap.free == 0);
	sequences = 0;
	each_toggle(row, states, depth);
	printf("# %llu sequences\n", sequences);
	for (i = 0; i <= depth; i++)
		state_drop(&states[i]);
}

/* All of one class with two open bits, two of them equal. */
static void trie_shallow(void)
{
	struct row row = { .size = { 256, 257, 258, 259, 257, 258 } };

	each_row_sequence(&row, 6);
}

/* Three open bits: paths of four nodes. */
static void trie_deep(void)
{
	struct row row = { .size = { 519, 512, 513, 514, 516, 513 } };

	each_row_sequence(&row, 6);
}

/* The ends of neighbouring classes, and of the sizes without open bits. */
static void trie_borders(void)
{
	struct row row = { .size = { 127, 128, 129, 130, 255, 256 } };

	each_row_sequence(&row, 6);
}

static const struct tap_test tests[] = {
	{ "every order in a shallow trie", trie_shallow },
	{ "every order in a deep trie", trie_deep },
	{ "every order at the borders of classes", trie_borders },
};

int main(void)
{
	return TAP_RUN(tests);
}
