// SPDX-License-Identifier: GPL-2.0-only
/* Room is made by moving blocks: what is cheapest, what stays, and that it always works. */
#include "fixture.h"
#include "mover.h"

#define BLOCKS	128
#define NO_END	(~0ull)

static struct mover_block blocks[BLOCKS];

/* Makes a heap of what @text shows: a letter for each granule of a block, a point for free ones. */
static struct mover draw(struct mal_heap *heap, const char *text)
{
	struct mover mover = { .heap = heap, .blocks = blocks };
	u32 granules = strlen(text);
	u32 at, size;

	memset(blocks, 0, sizeof(blocks));
	*heap = heap_make(granules);
	for (at = 0; at < granules; at += size) {
		struct mover_block *block = &blocks[(unsigned char)text[at]];

		for (size = 1; text[at + size] == text[at]; size++)
			;
		if (text[at] == '.')
			continue;
		*block = (struct mover_block) { .place = at, .size = size, .align = 1 };
		EXPECT(mal_heap_alloc_at(heap, at, size, block - blocks) == 0);
	}
	return mover;
}

/* Does the heap look like @text? */
static bool looks_like(const struct mal_heap *heap, const char *text)
{
	u32 at;

	for (at = 0; at < heap->granules; at++) {
		u32 head = mal_heap_block_of(heap, at);
		char seen = mal_block_used(heap, head) ? mal_block_owner(heap, head) : '.';

		if (text[at] != seen)
			return false;
	}
	return true;
}

static enum mal_outcome make_room(struct mover *mover, u32 size)
{
	const struct mal_request req = { .size = size, .align = 1 };

	return mover_make_room(mover, &req, NO_END);
}

static void the_least_moves(void)
{
	struct mal_heap heap;
	struct mover mover = draw(&heap, "aaa...bb..cccc...d..eeeee....");

	EXPECT(make_room(&mover, 5) == MAL_DONE);
	EXPECT(mover.moved == 1);
	EXPECT(mal_heap_largest(&heap) >= 5);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void nothing_moves_for_what_there_is(void)
{
	struct mal_heap heap;
	struct mover mover = draw(&heap, "aaa...bb.");

	EXPECT(make_room(&mover, 3) == MAL_DONE);
	EXPECT(mover.moved == 0);
	heap_drop(&heap);
}

/* No other free block has room for them. */
static void large_ones_slide(void)
{
	struct mal_heap heap;
	struct mover mover = draw(&heap, "..aaaaaaa.bbbb.");

	EXPECT(make_room(&mover, 3) == MAL_DONE);
	EXPECT(looks_like(&heap, "aaaaaaa...bbbb."));
	EXPECT(make_room(&mover, 4) == MAL_DONE);
	EXPECT(looks_like(&heap, "aaaaaaabbbb...."));
	EXPECT(mover.moved == 7 + 4);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* The small one moves to where there is room, the large one slides. */
static void both(void)
{
	struct mal_heap heap;
	struct mover mover = draw(&heap, "xxx.yyyyyyyyyy..aaa.b");

	EXPECT(make_room(&mover, 4) == MAL_DONE);
	EXPECT(mover.moved == 1 + 3);
	EXPECT(looks_like(&heap, "xxxbyyyyyyyyyyaaa...."));
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void round_what_stays(void)
{
	struct mal_heap heap;
	struct mover mover = draw(&heap, "..a..bbbb...cccccc..");

	blocks['a'].stays = true;
	EXPECT(make_room(&mover, 4) == MAL_DONE);
	EXPECT(blocks['a'].place == 2);
	EXPECT(mal_heap_largest(&heap) >= 4);
	blocks['b'].is_held = true;
	blocks['c'].is_held = true;
	EXPECT(make_room(&mover, 9) == MAL_NO_PLACE);
	EXPECT(blocks['a'].place == 2);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void within_the_budget(void)
{
	const struct mal_request req = { .size = 4, .align = 1 };
	struct mal_heap heap;
	struct mover mover = draw(&heap, "..aaaaaaaaa..");

	EXPECT(mover_make_room(&mover, &req, 8) == MAL_OVER_BUDGET);
	EXPECT(mover.moved == 0);
	EXPECT(mover_make_room(&mover, &req, 9) == MAL_DONE);
	EXPECT(mover.moved == 9 && !mover.room.budget);
	heap_drop(&heap);
}

/* The window for an aligned request has to have a place for it; others are too short. */
static void requests_with_constraints(void)
{
	const struct mal_request aligned = { .size = 4, .align = 8 };
	const struct mal_request high = { .size = 4, .align = 1, .lo = 12 };
	const struct mal_request impossible = { .size = 4, .align = 1, .hi = 3 };
	const struct mal_request bounded = { .size = 4, .align = 1, .boundary = 2 };
	struct mal_heap heap;
	struct mover mover = draw(&heap, "aa...b...cc..d...e");

	EXPECT(mover_make_room(&mover, &impossible, NO_END) == MAL_NO_PLACE);
	EXPECT(mover_make_room(&mover, &bounded, NO_END) == MAL_NO_PLACE);
	EXPECT(mover.moved == 0);
	EXPECT(mover_make_room(&mover, &high, NO_END) == MAL_DONE);
	EXPECT(mal_heap_alloc(&heap, &high, 'h') >= 12);
	EXPECT(mover_make_room(&mover, &aligned, NO_END) == MAL_DONE);
	EXPECT(mal_heap_alloc(&heap, &aligned, 'h') % 8 == 0);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void aligned_blocks_stay_aligned(void)
{
	struct mal_heap heap;
	struct mover mover = draw(&heap, "bbbbbb......aaaaaaaa....");

	blocks['a'].align = 4;
	blocks['b'].stays = true;
	EXPECT(make_room(&mover, 9) == MAL_NO_PLACE);
	EXPECT(make_room(&mover, 8) == MAL_DONE);
	EXPECT(looks_like(&heap, "bbbbbb..aaaaaaaa........"));
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* Many one after the other that are held: of no use to plans, but no plan has to try them again. */
static void many_that_stay(void)
{
	char text[4 * MAL_OBSTACLES_MAX + 2] = "";
	struct mal_heap heap;
	struct mover mover;
	u32 i;

	for (i = 0; i < 2 * MAL_OBSTACLES_MAX; i++)
		snprintf(text + 2 * i, 3, ".%c", 33 + 14 + i);
	mover = draw(&heap, text);
	for (i = 0; i < BLOCKS; i++)
		blocks[i].is_held = true;
	EXPECT(make_room(&mover, 2) == MAL_NO_PLACE);
	EXPECT(mover.room.n_obstacles == MAL_OBSTACLES_MAX);
	for (i = 0; i < BLOCKS; i++)
		blocks[i].is_known_then = true;
	EXPECT(make_room(&mover, 2) == MAL_NO_PLACE);
	EXPECT(mover.room.n_obstacles == 0);
	EXPECT(mover.moved == 0);
	heap_drop(&heap);
}

static u32 calls;

static enum mal_outcome says_done(struct mal_room *room, u32 at, u32 lo, u32 hi)
{
	(void)room, (void)at, (void)lo, (void)hi;
	calls++;
	return MAL_DONE;
}

static enum mal_outcome stops(struct mal_room *room, u32 at, u32 lo, u32 hi)
{
	says_done(room, at, lo, hi);
	return MAL_STOPPED;
}

static enum mal_outcome costs_more(struct mal_room *room, u32 at, u32 lo, u32 hi)
{
	says_done(room, at, lo, hi);
	return MAL_OVER_BUDGET;
}

static enum mal_outcome slide_says_done(struct mal_room *room, u32 at, u32 lo)
{
	return says_done(room, at, lo, 0);
}

/* Others take what becomes free, again and again. */
static void ends_without_room(void)
{
	static const struct mal_mover in_vain = { mover_look, says_done, slide_says_done };
	static const struct mal_mover stopped = { mover_look, stops, slide_says_done };
	static const struct mal_mover larger = { mover_look, costs_more, slide_says_done };
	struct mal_heap heap;
	struct mover mover = draw(&heap, "x..a..x");

	mover.functions = &in_vain;
	calls = 0;
	EXPECT(make_room(&mover, 4) == MAL_NO_PLACE);
	EXPECT(calls >= MAL_PLANS_MAX);
	mover.functions = &stopped;
	calls = 0;
	EXPECT(make_room(&mover, 4) == MAL_STOPPED && calls == 1);
	mover.functions = &larger;
	calls = 0;
	EXPECT(make_room(&mover, 4) == MAL_OVER_BUDGET && calls == 1);
	heap_drop(&heap);
}

/* A heap in pieces, with blocks that stay or are held. */
static struct mover make_pieces(struct mal_heap *heap, u64 *state)
{
	struct mover mover = { .heap = heap, .blocks = blocks };
	u32 granules = 30 + random_upto(state, 200);
	u32 pins = random_upto(state, 4) > 2 ? 0 : random_upto(state, 8);
	u32 align = random_upto(state, 2) > 1 ? 4 : 1;
	u32 i;

	*heap = heap_make(granules);
	memset(blocks, 0, sizeof(blocks));
	for (i = 0; i < BLOCKS; i++) {
		struct mover_block *block = &blocks[i];
		struct mal_request req = {};

		block->size = random_upto(state, 1 << random_upto(state, 4));
		block->align = random_upto(state, 5) > 4 ? align : 1;
		block->stays = pins && random_upto(state, 12) == 1;
		block->is_held = pins && random_upto(state, 12) == 1;
		req.size = block->size;
		req.align = block->align;
		block->place = mal_heap_alloc(heap, &req, i);
		if (block->place == MAL_NONE)
			block->size = 0;
	}
	for (i = 0; i < BLOCKS; i++) {
		if (!blocks[i].size || random_upto(state, 3) > 1)
			continue;
		EXPECT(mal_heap_free(heap, blocks[i].place, blocks[i].size) == 0);
		blocks[i].size = 0;
	}
	return mover;
}

/* Granules that are free between two blocks that stay, the most of them. */
static u32 most_free_in_a_run(const struct mal_heap *heap)
{
	u32 at, size, sum = 0, most = 0;

	for (at = 0; at < heap->granules; at += size) {
		size = mal_block_size(heap, at);
		if (!mal_block_used(heap, at)) {
			sum += size;
		} else {
			const struct mover_block *block = &blocks[mal_block_owner(heap, at)];

			if (block->stays || block->is_held || block->align > 1)
				sum = 0;
		}
		most = max(most, sum);
	}
	return most;
}

static void expect_all_there(const struct mal_heap *heap, const struct mover_block *before)
{
	u32 i;

	for (i = 0; i < BLOCKS; i++) {
		const struct mover_block *block = &blocks[i];

		if (!block->size)
			continue;
		EXPECT(mal_heap_block_of(heap, block->place) == block->place);
		EXPECT(mal_block_used(heap, block->place));
		EXPECT(mal_block_size(heap, block->place) == block->size);
		EXPECT(mal_block_owner(heap, block->place) == i);
		EXPECT(block->place % block->align == 0);
		EXPECT((!block->stays && !block->is_held) || block->place == before[i].place);
	}
	EXPECT_SOUND(heap);
}

/* What lies between two blocks that stay can always be moved together. */
static void whatever_the_pieces_are(void)
{
	static struct mover_block before[BLOCKS];
	u64 state = 88172645463325252ull;
	u32 round, made = 0, not_made = 0;

	for (round = 0; round < 20000; round++) {
		struct mal_heap heap;
		struct mover mover = make_pieces(&heap, &state);
		const u32 free = heap.free, can = most_free_in_a_run(&heap);
		const u64 budget = random_upto(&state, 3) > 1 ? NO_END : random_upto(&state, 60);
		const struct mal_request req = {
			.size = random_upto(&state, free + 2),
			.align = 1,
		};
		enum mal_outcome outcome;

		memcpy(before, blocks, sizeof(blocks));
		outcome = mover_make_room(&mover, &req, budget);
		EXPECT(heap.free == free);
		EXPECT(budget == NO_END || mover.moved <= budget);
		expect_all_there(&heap, before);
		EXPECT((outcome == MAL_DONE) == (mal_heap_largest(&heap) >= req.size));
		if (budget == NO_END && req.size <= can)
			EXPECT(outcome == MAL_DONE);
		if (outcome == MAL_DONE)
			made++;
		else
			not_made++;
		heap_drop(&heap);
	}
	EXPECT(made > 1000 && not_made > 1000);
}

static const struct tap_test tests[] = {
	{ "the_least_moves", the_least_moves },
	{ "nothing_moves_for_what_there_is", nothing_moves_for_what_there_is },
	{ "large_ones_slide", large_ones_slide },
	{ "both", both },
	{ "round_what_stays", round_what_stays },
	{ "within_the_budget", within_the_budget },
	{ "requests_with_constraints", requests_with_constraints },
	{ "aligned_blocks_stay_aligned", aligned_blocks_stay_aligned },
	{ "many_that_stay", many_that_stay },
	{ "ends_without_room", ends_without_room },
	{ "whatever_the_pieces_are", whatever_the_pieces_are },
};

int main(void)
{
	return TAP_RUN(tests);
}
