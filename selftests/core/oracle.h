/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle: a plain array that says of each granule to which block it belongs,
 * and does everything by looking at all of it, each fit's rule to the letter. It
 * shares no idea with the heap.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "fixture.h"

struct oracle {
	u32 granules;
	u32 *block;		/* number of the used block that holds it, or 0 */
	u32 last;		/* number given out last */
	const struct mal_fit *fit;
	u32 rover;		/* next fit: where it left off */
};

static inline struct oracle oracle_make(u32 granules, const struct mal_fit *fit)
{
	struct oracle oracle = { .granules = granules, .fit = fit };

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

/* Are the @size granules at @at inside the heap, and free? */
static inline bool oracle_is_free(const struct oracle *oracle, u32 at, u32 size)
{
	if (at > oracle->granules || size > oracle->granules - at)
		return false;
	while (size--)
		if (oracle->block[at + size])
			return false;
	return true;
}

/* The first place for a request in the run at @at, or MAL_NONE. */
static inline u32 oracle_place(const struct oracle *oracle, u32 at, const struct mal_request *req)
{
	u32 end = at + oracle_run(oracle, at);
	u64 last;

	if (!req->size || oracle->block[at])
		return MAL_NONE;
	for (; at < end; at++) {
		last = (u64)at + req->size - 1;
		if (last < end && at % req->align == 0 && at >= req->lo &&
		    (!req->hi || last < req->hi) &&
		    (!req->boundary || at / req->boundary == last / req->boundary))
			return at;
	}
	return MAL_NONE;
}

/* Of the first @runs runs from the one that holds @at on, the first that has a place. */
static inline u32 oracle_sweep(const struct oracle *oracle, const struct mal_request *req,
			       u32 at, u32 runs)
{
	u32 place = MAL_NONE;

	if (at >= oracle->granules)
		return MAL_NONE;
	for (at = oracle_start(oracle, at); at < oracle->granules && runs--;
	     at += oracle_run(oracle, at)) {
		place = oracle_place(oracle, at, req);
		if (place != MAL_NONE)
			break;
	}
	return place;
}

/* Does the rule prefer the run at @at to @other, which has a lower address? */
static inline bool oracle_prefers(const struct oracle *oracle, u32 at, u32 other)
{
	const char *rule = oracle->fit->name;

	if (!strcmp(rule, "good") || !strcmp(rule, "best"))
		return oracle_run(oracle, at) < oracle_run(oracle, other);
	if (!strcmp(rule, "worst"))
		return oracle_run(oracle, at) > oracle_run(oracle, other);
	if (!strcmp(rule, "next"))
		return other < oracle->rover && at >= oracle->rover;
	EXPECT(!strcmp(rule, "first"));
	return false;
}

/* The free run of @size or more that the rule picks among those that begin before @before. */
static inline u32 oracle_pick(const struct oracle *oracle, u32 size, u32 before)
{
	u32 pick = MAL_NONE;
	u32 at;

	for (at = 0; at < before; at += oracle_run(oracle, at))
		if (!oracle->block[at] && oracle_run(oracle, at) >= size &&
		    (pick == MAL_NONE || oracle_prefers(oracle, at, pick)))
			pick = at;
	return pick;
}

static inline u32 oracle_largest(const struct oracle *oracle, u32 before)
{
	u32 largest = 0;
	u32 at, run;

	for (at = 0; at < before; at += run) {
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

	EXPECT(size && oracle_is_free(oracle, place, size));
	for (at = place; at < place + size; at++)
		oracle->block[at] = number;
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
	EXPECT(mal_heap_largest(heap) == oracle_largest(oracle, heap->indexed));
}

static inline bool oracle_constrains(const struct mal_request *req)
{
	return req->align > 1 || req->boundary || req->lo || req->hi;
}

/*
 * Is @place what the fit's pick for @wanted leads to? If not, true in @fails if it could
 * be that the pick, which good fit has a choice for, has no place for the request.
 */
static inline bool oracle_explains(struct oracle *oracle, const struct mal_request *req,
				   u32 wanted, u32 before, u32 place, bool *fails)
{
	u32 pick = oracle_pick(oracle, wanted, before);
	bool any = !strcmp(oracle->fit->name, "good");
	u32 size, at;

	*fails = pick == MAL_NONE;
	if (pick == MAL_NONE)
		return false;
	if (!strcmp(oracle->fit->name, "next") && !oracle_constrains(req))
		oracle->rover = pick + wanted;
	size = oracle_run(oracle, pick);
	for (at = 0; at < before; at += oracle_run(oracle, at)) {
		if (oracle->block[at] || oracle_run(oracle, at) != size || (at != pick && !any))
			continue;
		if (oracle_place(oracle, at, req) == MAL_NONE)
			*fails = true;
		else if (oracle_place(oracle, at, req) == place)
			return true;
	}
	return false;
}

/* mal_heap_alloc() answered @place: was that right? */
static inline void oracle_expect(struct oracle *oracle, const struct mal_request *req,
				 u32 before, u32 place)
{
	u64 sure = (u64)req->size + req->align - 1 + (req->boundary ? req->size - 1 : 0);
	bool fails, none = oracle_pick(oracle, req->size, before) == MAL_NONE;

	if (!req->size || req->lo >= oracle->granules ||
	    (req->boundary && req->size > req->boundary)) {
		EXPECT(place == MAL_NONE);
		return;
	}
	if (oracle_explains(oracle, req, req->size, before, place, &fails))
		return;
	EXPECT(fails);
	if (!none && sure <= oracle->granules) {
		if (oracle_explains(oracle, req, sure, before, place, &fails))
			return;
		EXPECT(fails);
	}
	if (!none && (req->lo || req->hi))
		EXPECT(place == oracle_sweep(oracle, req, req->lo, MAL_PROBES));
	else
		EXPECT(place == MAL_NONE);
}

/*
 * Ask both for a block, by the fit and, if that is not the last word, by a sweep in
 * slices of @slice blocks. Its place, or MAL_NONE.
 */
static inline u32 oracle_alloc(struct oracle *oracle, struct mal_heap *heap,
			       const struct mal_request *req, u32 slice)
{
	u32 first = oracle_sweep(oracle, req, 0, MAL_NONE);
	u64 owner = oracle->last + 1;
	u32 cursor = 0;
	bool undecided;
	u32 place;

	place = mal_heap_alloc(heap, req, owner);
	oracle_expect(oracle, req, heap->indexed, place);
	if (place == MAL_NONE) {
		undecided = mal_heap_undecided(heap, req);
		while (place == MAL_NONE && cursor < oracle->granules)
			place = mal_heap_sweep(heap, req, owner, &cursor, slice);
		EXPECT(place == first);
		EXPECT(place == MAL_NONE || undecided);
	}
	if (place != MAL_NONE)
		oracle_take(oracle, place, req->size);
	return place;
}

static inline int oracle_alloc_at(struct oracle *oracle, struct mal_heap *heap, u32 place,
				  u32 size)
{
	int err = mal_heap_alloc_at(heap, place, size, oracle->last + 1);

	if (!size || place >= oracle->granules || size > oracle->granules - place) {
		EXPECT(err == -EINVAL);
	} else if (!oracle_is_free(oracle, place, size)) {
		EXPECT(err == -ENOMEM);
	} else {
		EXPECT(err == 0);
		oracle_take(oracle, place, size);
	}
	return err;
}

/* What free() and resize() say of a block of @size at @place, or of any size if that is 0. */
static inline int oracle_block_error(const struct oracle *oracle, u32 place, u32 size)
{
	if (place >= oracle->granules)
		return -EINVAL;
	if (!oracle->block[place] || oracle_start(oracle, place) != place)
		return -ENOENT;
	return size && size != oracle_run(oracle, place) ? -ERANGE : 0;
}

static inline int oracle_resize(struct oracle *oracle, struct mal_heap *heap, u32 place,
				u32 size, u32 new_size)
{
	int err = mal_heap_resize(heap, place, size, new_size);
	int expected = oracle_block_error(oracle, place, size);
	u32 number, at;

	if (!expected && !new_size)
		expected = -EINVAL;
	if (!expected) {
		size = oracle_run(oracle, place);
		if (new_size > size &&
		    !oracle_is_free(oracle, place + size, new_size - size))
			expected = -ENOMEM;
	}
	EXPECT(err == expected);
	if (err)
		return err;
	number = oracle->block[place];
	for (at = 0; at < size || at < new_size; at++)
		oracle->block[place + at] = at < new_size ? number : 0;
	return 0;
}

/* Give the block at @place back to both. */
static inline int oracle_release(struct oracle *oracle, struct mal_heap *heap, u32 place,
				 u32 size)
{
	int err = mal_heap_free(heap, place, size);

	EXPECT(err == oracle_block_error(oracle, place, size));
	if (!err)
		oracle_free(oracle, place);
	return err;
}

/* Give a part of a block back to both. */
static inline int oracle_release_part(struct oracle *oracle, struct mal_heap *heap, u32 place,
				      u32 size)
{
	int err = mal_heap_free_part(heap, place, size);
	int expected = 0;
	u32 number, end, at;

	if (!size || place >= oracle->granules || size > oracle->granules - place)
		expected = -EINVAL;
	else if (!oracle->block[place] ||
		 oracle_start(oracle, place + size - 1) != oracle_start(oracle, place))
		expected = -ENOENT;
	EXPECT(err == expected);
	if (err)
		return err;

	number = oracle->block[place];
	for (at = place; at < place + size; at++)
		oracle->block[at] = 0;
	/* The end of the block has the same owner; another name keeps the two apart. */
	if (at < oracle->granules && oracle->block[at] == number) {
		EXPECT(mal_block_owner(heap, at) == number);
		number = ++oracle->last;
		heap->tags[at].owner = number;
		for (end = at + oracle_run(oracle, at); at < end; at++)
			oracle->block[at] = number;
	}
	return 0;
}

static inline void oracle_switch(struct oracle *oracle, struct mal_heap *heap,
				 const struct mal_fit *fit)
{
	mal_heap_switch(heap, fit);
	oracle->fit = fit;
	oracle->rover = 0;
}

#endif /* ORACLE_H */
