// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The heap: tags, the bitmap of block heads, splitting and merging. See heap.h.
 *
 * What holds between two calls:
 *  - The blocks cover the range without gap or overlap. Both tags of a block have
 *    the same word: the block's size, with MAL_TAG_USED if the block is used. The
 *    tags between these two mean nothing.
 *  - No two free blocks are neighbours.
 *  - A bit of map[0] is set if and only if a block begins at that granule. A bit of
 *    map[n + 1] is set if and only if the word of map[n] with that number is not 0.
 *  - The index has the free blocks that begin before @indexed, and no other block;
 *    @indexed is the end of the heap, except during a switch.
 *  - @free is the sum of the sizes of the free blocks; @free_blocks and
 *    @used_blocks are the numbers of free and used blocks.
 */
#include "fit.h"

/*
 * map_set() and map_clear() stop at the first word whose summary bit stays as it is,
 * at the latest at the top word: that is never 0, as a block always begins at granule 0.
 */
static void map_set(struct mal_heap *heap, u32 granule)
{
	u64 **level = heap->map;
	u32 at = granule;
	u64 *word, before;

	do {
		word = &(*level++)[at / 64];
		before = *word;
		*word = before | 1ull << at % 64;
		at /= 64;
		mal_step();
	} while (!before);
}

static void map_clear(struct mal_heap *heap, u32 granule)
{
	u64 **level = heap->map;
	u32 at = granule;
	u64 *word;

	do {
		word = &(*level++)[at / 64];
		*word &= ~(1ull << at % 64);
		at /= 64;
		mal_step();
	} while (!*word);
}

u32 mal_heap_block_of(const struct mal_heap *heap, u32 granule)
{
	u64 mask = ~0ull >> (63 - granule % 64);
	u32 at = granule / 64;
	unsigned int level = 0;
	u64 found = heap->map[0][at] & mask;

	mal_step();
	while (!found) {
		/* An earlier word has a head: at least the first word has one. */
		level++;
		mask = (1ull << at % 64) - 1;
		at /= 64;
		found = heap->map[level][at] & mask;
		mal_step();
	}
	at = at * 64 + mal_high_bit64(found);
	while (level--) {
		at = at * 64 + mal_high_bit64(heap->map[level][at]);
		mal_step();
	}
	return at;
}

static void write_tags(struct mal_heap *heap, u32 head, u32 size, u32 state)
{
	struct mal_tag *tags = heap->tags;

	mal_step();
	tags[head].word = size | state;
	mal_step();
	tags[head + size - 1].word = size | state;
}

/* Does a free block begin at @next, the end of another block or of the heap? */
static bool is_free_block(const struct mal_heap *heap, u32 next)
{
	return next < heap->granules && !mal_block_used(heap, next);
}

static inline void add_free(struct mal_heap *heap, u32 head, u32 size)
{
	write_tags(heap, head, size, 0);
	if (mal_is_indexed(heap, head))
		heap->fit->insert(heap, head, size);
	heap->free_blocks++;
}

static void remove_free(struct mal_heap *heap, u32 head, u32 size)
{
	if (mal_is_indexed(heap, head))
		heap->fit->remove(heap, head, size);
	heap->free_blocks--;
}

/* Bytes of the index: enough for every fit, since a switch reuses them. */
static size_t index_bytes(u32 granules)
{
	const struct mal_fit *const *fit;
	size_t bytes, most = 0;

	for (fit = mal_fits; *fit; fit++) {
		bytes = (*fit)->index_bytes(granules);
		if (bytes > most)
			most = bytes;
	}
	return most;
}

size_t mal_heap_bytes(u32 granules)
{
	u64 bytes = (u64)granules * sizeof(struct mal_tag);
	u32 bits = granules;
	unsigned int level;

	for (level = 0; level < MAL_MAP_LEVELS; level++) {
		bits = mal_map_words(bits);
		bytes += (u64)bits * sizeof(u64);
	}
	bytes += index_bytes(granules);
	return bytes == (size_t)bytes ? bytes : SIZE_MAX;
}

void mal_heap_init(struct mal_heap *heap, void *memory, u32 granules,
		   const struct mal_fit *fit)
{
	u64 *map = (u64 *)((struct mal_tag *)memory + granules);
	u32 bits = granules;
	unsigned int level;

	*heap = (struct mal_heap) {
		.tags = memory,
		.fit = fit,
		.granules = granules,
		.indexed = granules,
		.free = granules,
	};
	for (level = 0; level < MAL_MAP_LEVELS; level++) {
		heap->map[level] = map;
		*map = 1;
		bits = mal_map_words(bits);
		map += bits;
	}
	heap->index = map;
	fit->init(heap);
	add_free(heap, 0, granules);
}

/*
 * False if no heap of this size has a place for @req, whatever is free. By the subtractions, a
 * size of 0 becomes one that is too large, and a boundary of 0 one that is never crossed.
 */
static bool is_possible(const struct mal_heap *heap, const struct mal_request *req)
{
	return req->size - 1 < heap->granules && req->lo < heap->granules &&
	       req->size - 1 <= req->boundary - 1;
}

/* @req is_possible(). */
static inline u32 place_between(const struct mal_request *req, u32 start, u32 end)
{
	u32 place = max(start, req->lo);

	if (req->hi && req->hi < end)
		end = req->hi;
	place = (place + req->align - 1) & ~(req->align - 1);
	/* Only a @boundary that is a multiple of @align can be crossed, so @place stays aligned. */
	if (req->boundary && place % req->boundary + req->size > req->boundary)
		place = (place | (req->boundary - 1)) + 1;
	return place + req->size <= end ? place : MAL_NONE;
}

u32 mal_request_place(const struct mal_request *req, u32 start, u32 end)
{
	if (req->lo >= end || req->size - 1 > req->boundary - 1)
		return MAL_NONE;
	return place_between(req, start, end);
}

u32 mal_request_last_place(const struct mal_request *req, u32 start, u32 end)
{
	u32 place;

	if (req->hi && req->hi < end)
		end = req->hi;
	if (req->size > end || req->size - 1 > req->boundary - 1)
		return MAL_NONE;
	place = (end - req->size) & ~(req->align - 1);
	/* As in place_between(): then it ends at the boundary, or before. */
	if (req->boundary && place % req->boundary + req->size > req->boundary)
		place = ((place | (req->boundary - 1)) + 1 - req->size) & ~(req->align - 1);
	return place >= max(start, req->lo) ? place : MAL_NONE;
}

/* The first place in the free block at @head for @req, which is_possible(); or MAL_NONE. */
static u32 placement(const struct mal_heap *heap, u32 head, const struct mal_request *req)
{
	return place_between(req, head, head + mal_block_size(heap, head));
}

/*
 * @size granules at @place are taken from the free block of @whole granules at @head: make
 * free blocks of what remains on either side. Most calls need neither this function nor
 * merge(), so both are noinline, which makes their callers shorter.
 */
static noinline void leave_rest(struct mal_heap *heap, u32 head, u32 whole, u32 place, u32 size)
{
	u32 end = head + whole;

	if (place > head) {
		add_free(heap, head, place - head);
		map_set(heap, place);
	}
	place += size;
	if (place < end) {
		add_free(heap, place, end - place);
		map_set(heap, place);
	}
}

/*
 * Make a used block of the @size granules at @place. They lie in the free block at @head,
 * which the index does not have any more.
 */
static inline u32 occupy(struct mal_heap *heap, u32 head, u32 place, u32 size, u64 owner)
{
	u32 whole = mal_block_size(heap, head);

	write_tags(heap, place, size, MAL_TAG_USED);
	heap->tags[place].owner = owner;
	heap->free -= size;
	heap->used_blocks++;
	if (size != whole)
		leave_rest(heap, head, whole, place, size);
	return place;
}

/* Can a free block be large enough for @req, and still have no place for it? */
static bool is_constrained(const struct mal_request *req)
{
	return (req->align - 1) | req->boundary | req->lo | req->hi;
}

/* Allocate at the first place in the free block at @head; MAL_NONE if it has none. */
static u32 take_placed(struct mal_heap *heap, u32 head, const struct mal_request *req, u64 owner)
{
	u32 place = placement(heap, head, req);

	if (place == MAL_NONE)
		return MAL_NONE;
	remove_free(heap, head, mal_block_size(heap, head));
	return occupy(heap, head, place, req->size, owner);
}

static noinline u32 alloc_constrained(struct mal_heap *heap, const struct mal_request *req,
				      u64 owner)
{
	u32 place = MAL_NONE;
	u32 cursor = 0;
	u32 head, always_enough;

	if (!is_possible(heap, req))
		return MAL_NONE;
	head = heap->fit->find(heap, req->size);
	if (head == MAL_NONE)
		return MAL_NONE;
	place = take_placed(heap, head, req, owner);
	if (place != MAL_NONE)
		return place;

	/* A free block of that many granules has a place, wherever in the window it begins. */
	always_enough = req->size + req->align - 1;
	if (req->boundary)
		always_enough += req->size - 1;
	if (always_enough <= heap->granules) {
		head = heap->fit->find(heap, always_enough);
		if (head != MAL_NONE)
			place = take_placed(heap, head, req, owner);
	}
	if (place == MAL_NONE && (req->lo || req->hi))
		place = mal_heap_sweep(heap, req, owner, &cursor, MAL_PROBES);
	return place;
}

u32 mal_heap_alloc(struct mal_heap *heap, const struct mal_request *req, u64 owner)
{
	u32 head;

	if (is_constrained(req))
		return alloc_constrained(heap, req, owner);
	if (req->size - 1 >= heap->granules)
		return MAL_NONE;
	head = heap->fit->take(heap, req->size);
	if (head == MAL_NONE)
		return MAL_NONE;
	heap->free_blocks--;
	return occupy(heap, head, head, req->size, owner);
}

bool mal_heap_undecided(const struct mal_heap *heap, const struct mal_request *req)
{
	if (!is_possible(heap, req))
		return false;
	return heap->indexed < heap->granules ||
	       (is_constrained(req) && mal_heap_largest(heap) >= req->size);
}

u32 mal_heap_sweep(struct mal_heap *heap, const struct mal_request *req, u64 owner,
		   u32 *cursor, u32 blocks)
{
	u32 end = req->hi && req->hi < heap->granules ? req->hi : heap->granules;
	u32 place = MAL_NONE;
	u32 head;

	*cursor = max(*cursor, req->lo);
	if (!is_possible(heap, req) || *cursor >= end) {
		*cursor = heap->granules;
		return MAL_NONE;
	}

	head = mal_heap_block_of(heap, *cursor);
	while (blocks-- && head < end) {
		if (!mal_block_used(heap, head))
			place = take_placed(heap, head, req, owner);
		if (place != MAL_NONE)
			return place;
		head += mal_block_size(heap, head);
		*cursor = head;
	}
	if (*cursor >= end)
		*cursor = heap->granules;
	return MAL_NONE;
}

int mal_heap_alloc_at(struct mal_heap *heap, u32 place, u32 size, u64 owner)
{
	const struct mal_request req = {
		.size = size,
		.align = 1,
		.lo = place,
		.hi = place + size,
	};
	u32 cursor = place;

	if (place >= heap->granules || size - 1 >= heap->granules - place)
		return -EINVAL;
	return mal_heap_sweep(heap, &req, owner, &cursor, 1) == place ? 0 : -ENOMEM;
}

/* Make one free block of the @size granules at @head and the free blocks next to them. */
static noinline void merge(struct mal_heap *heap, u32 head, u32 size)
{
	u32 next = head + size;
	u32 other;

	if (is_free_block(heap, next)) {
		other = mal_block_size(heap, next);
		remove_free(heap, next, other);
		map_clear(heap, next);
		size += other;
	}
	if (head && !mal_block_used(heap, head - 1)) {	/* a foot tag */
		other = mal_block_size(heap, head - 1);
		map_clear(heap, head);
		head -= other;
		remove_free(heap, head, other);
		size += other;
	}
	add_free(heap, head, size);
}

/* 0 if a used block of @size, or of any size if @size is 0, begins at @head. */
static inline int expect_used(const struct mal_heap *heap, u32 head, u32 size)
{
	if (head >= heap->granules)
		return -EINVAL;
	if (!mal_is_head(heap, head) || !mal_block_used(heap, head))
		return -ENOENT;
	if (size && size != mal_block_size(heap, head))
		return -ERANGE;
	return 0;
}

int mal_heap_free(struct mal_heap *heap, u32 head, u32 size)
{
	int err = expect_used(heap, head, size);
	u32 found;

	if (err)
		return err;
	found = mal_block_size(heap, head);
	heap->free += found;
	heap->used_blocks--;
	if (is_free_block(heap, head + found) || (head && !mal_block_used(heap, head - 1)))
		merge(heap, head, found);
	else
		add_free(heap, head, found);
	return 0;
}

int mal_heap_free_part(struct mal_heap *heap, u32 place, u32 size)
{
	u32 head, before, whole, behind;
	u64 owner;

	if (place >= heap->granules || size - 1 >= heap->granules - place)
		return -EINVAL;
	head = mal_heap_block_of(heap, place);
	before = place - head;
	whole = mal_block_size(heap, head);
	if (!mal_block_used(heap, head) || size > whole - before)
		return -ENOENT;

	/* Split the block, so that the part is a used block of its own. */
	behind = whole - before - size;
	owner = mal_block_owner(heap, head);
	write_tags(heap, place, size, MAL_TAG_USED);
	if (before) {
		write_tags(heap, head, before, MAL_TAG_USED);
		map_set(heap, place);
		heap->used_blocks++;
	}
	if (behind) {
		write_tags(heap, place + size, behind, MAL_TAG_USED);
		heap->tags[place + size].owner = owner;
		map_set(heap, place + size);
		heap->used_blocks++;
	}
	return mal_heap_free(heap, place, size);
}

int mal_heap_resize(struct mal_heap *heap, u32 head, u32 size, u32 new_size)
{
	int err = expect_used(heap, head, size);
	u32 next, end;

	if (err)
		return err;
	if (!new_size)
		return -EINVAL;
	size = mal_block_size(heap, head);
	next = head + size;
	end = next;
	if (next < heap->granules && !mal_block_used(heap, next))
		end += mal_block_size(heap, next);
	if (new_size > end - head)
		return -ENOMEM;
	if (new_size == size)
		return 0;

	if (end > next) {
		remove_free(heap, next, end - next);
		map_clear(heap, next);
	}
	write_tags(heap, head, new_size, MAL_TAG_USED);
	next = head + new_size;
	if (next < end) {
		map_set(heap, next);
		add_free(heap, next, end - next);
	}
	heap->free += size - new_size;
	return 0;
}

void mal_heap_exchange(struct mal_heap *heap, u32 head)
{
	u32 size = mal_block_size(heap, head);
	u32 middle = head + size;
	u32 other = mal_block_size(heap, middle);
	u64 owner = mal_block_owner(heap, head);

	map_clear(heap, middle);
	write_tags(heap, head, other, MAL_TAG_USED);
	heap->tags[head].owner = heap->tags[middle].owner;
	middle = head + other;
	write_tags(heap, middle, size, MAL_TAG_USED);
	heap->tags[middle].owner = owner;
	map_set(heap, middle);
}

void mal_heap_switch(struct mal_heap *heap, const struct mal_fit *fit)
{
	memset(heap->index, 0, index_bytes(heap->granules));
	heap->fit = fit;
	heap->indexed = 0;
	fit->init(heap);
}

bool mal_heap_switch_more(struct mal_heap *heap, u32 blocks)
{
	u32 head = heap->indexed;
	u32 size;

	/*
	 * A block may lie across @indexed by now. It begins before @indexed, so the index has
	 * it if it is free: go on after it.
	 */
	if (head < heap->granules && !mal_is_head(heap, head)) {
		head = mal_heap_block_of(heap, head);
		head += mal_block_size(heap, head);
		heap->indexed = head;
	}
	for (; blocks && head < heap->granules; blocks--) {
		size = mal_block_size(heap, head);
		heap->indexed = head + size;
		if (!mal_block_used(heap, head))
			heap->fit->insert(heap, head, size);
		head += size;
	}
	return head < heap->granules;
}

u32 mal_heap_largest(const struct mal_heap *heap)
{
	return heap->fit->largest(heap);
}
