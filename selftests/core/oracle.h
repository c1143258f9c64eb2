/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle: a plain array that says of each granule to which block it belongs,
 * and does everything by looking at all of it. It shares no idea with the heap.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "fixture.h"

struct oracle {
	u32 granules;
	u32 *block;		/* number of the used block that holds it, or 0 */
	u32 last;		/* number given out last */
};

static inline struct oracle oracle_make(u32 granules)
{
	struct oracle oracle = { .granules = granules };

	oracle.block = calloc(granules, sizeof(u32));
	EXPECT(oracle.block);
	return oracle;
}

static inline void oracle_drop(struct oracle *oracle)
{
	free(oracle->block);
}

/* Granules from @at on that belong to the same block, or are as free. */
static inline u32 oracle_run(const struct oracle *oracle, u32 at)
{
	u32 end = at;

	while (end < oracle->granules && oracle->block[end] == oracle->block[at])
		end++;
	return end - at;
}

/* Where the run that holds @at begins. */
static inline u32 oracle_start(const struct oracle *oracle, u32 at)
{
	while (at && oracle->block[at - 1] == oracle->block[at])
		at--;
	return at;
}

/* Is there a free run in which @size granules can lie at a multiple of @align? */
static inline bool oracle_has_room(const struct oracle *oracle, u32 size, u32 align)
{
	u32 at, run, place;

	for (at = 0; at < oracle->granules; at += run) {
		run = oracle_run(oracle, at);
		for (place = at; place < at + run && place % align; place++)
			;
		if (!oracle->block[at] && size <= at + run - place)
			return true;
	}
	return false;
}

/* The smallest free run of @size or more, and the largest of all; 0 if there is none. */
static inline u32 oracle_smallest(const struct oracle *oracle, u32 size)
{
	u32 smallest = 0;
	u32 at, run;

	for (at = 0; at < oracle->granules; at += run) {
		run = oracle_run(oracle, at);
		if (!oracle->block[at] && run >= size && (!smallest || run < smallest))
			smallest = run;
	}
	return smallest;
}

static inline u32 oracle_largest(const struct oracle *oracle)
{
	u32 largest = 0;
	u32 at, run;

	for (at = 0; at < oracle->granules; at += run) {
		run = oracle_run(oracle, at);
		if (!oracle->block[at] && run > largest)
			largest = run;
	}
	return largest;
}

static inline u32 oracle_take(struct oracle *oracle, u32 place, u32 size)
{
	u32 number = ++oracle->last;
	u32 at;

	EXPECT(size && place < oracle->granules && size <= oracle->granules - place);
	for (at = place; at < place + size; at++) {
		EXPECT(!oracle->block[at]);
		oracle->block[at] = number;
	}
	return number;
}

static inline void oracle_free(struct oracle *oracle, u32 place)
{
	u32 end = place + oracle_run(oracle, place);

	EXPECT(oracle->block[place]);
	while (place < end)
		oracle->block[place++] = 0;
}

/* The heap has the very blocks of the oracle, in good order, owners and figures too. */
static inline void oracle_compare(const struct oracle *oracle, const struct mal_heap *heap)
{
	u32 free = 0, free_blocks = 0, used_blocks = 0;
	u32 at, run;

	EXPECT_SOUND(heap);
	for (at = 0; at < oracle->granules; at += run) {
		run = oracle_run(oracle, at);
		EXPECT(mal_heap_block_of(heap, at + run - 1) == at);
		EXPECT(mal_block_size(heap, at) == run);
		EXPECT(mal_block_used(heap, at) == (oracle->block[at] != 0));
		if (oracle->block[at]) {
			EXPECT(mal_block_owner(heap, at) == oracle->block[at]);
			used_blocks++;
		} else {
			free += run;
			free_blocks++;
		}
	}
	EXPECT(heap->free == free);
	EXPECT(heap->free_blocks == free_blocks);
	EXPECT(heap->used_blocks == used_blocks);
	EXPECT(mal_heap_largest(heap) == oracle_largest(oracle));
}

/*
 * Ask both for a block, by the fit and, if that finds nothing, by a sweep in slices
 * of @slice blocks. Expects what is promised: success if and only if there is room;
 * without a sweep if there is an easy place; good fit's choice. True: it was given.
 */
static inline bool oracle_alloc(struct oracle *oracle, struct mal_heap *heap, u32 size,
				u32 align, u32 slice)
{
	const struct mal_request req = { .size = size, .align = align };
	bool room = oracle_has_room(oracle, size, align);
	u32 smallest = oracle_smallest(oracle, size);
	u64 owner = oracle->last + 1;
	u32 cursor = 0;
	u32 place, start;

	place = mal_heap_alloc(heap, &req, owner);
	if (place == MAL_NONE) {
		EXPECT(oracle_largest(oracle) < size + align - 1);
		while (place == MAL_NONE && cursor < oracle->granules)
			place = mal_heap_sweep(heap, &req, owner, &cursor, slice);
		smallest = 0;
	}
	EXPECT((place != MAL_NONE) == room);
	if (place == MAL_NONE)
		return false;

	EXPECT(place % align == 0);
	start = oracle_start(oracle, place);
	EXPECT(place - start < align);
	if (smallest && align == 1)
		EXPECT(oracle_run(oracle, start) == smallest);
	oracle_take(oracle, place, size);
	return true;
}

/* Give the block at @place back to both. */
static inline void oracle_release(struct oracle *oracle, struct mal_heap *heap, u32 place)
{
	EXPECT(mal_heap_free(heap, place, oracle_run(oracle, place)) == 0);
	oracle_free(oracle, place);
}

#endif /* ORACLE_H */
