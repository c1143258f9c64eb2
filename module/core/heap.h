/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The heap: boundary tags of a range of granules, and an index of its free
 * blocks. It knows nothing of locks, pages or users: the caller provides the
 * memory for tags and index, and serializes all calls. Places and sizes are
 * numbers of granules.
 *
 * Tags (D. E. Knuth, The Art of Computer Programming, vol. 1, section 2.5) lie
 * in an array beside the range, one per granule. A block uses the tags of its first
 * and its last granule. So no write to the range can reach a tag, both neighbours
 * of a block are found in O(1), and neither splitting nor merging needs memory: no
 * call can fail half-way.
 *
 * A bitmap of block heads with summary levels above it finds the block that
 * holds a given granule: at most MAL_MAP_LEVELS steps up and as many down.
 *
 * Which free block serves a request is the business of a fit; see fit.h.
 *
 * Cost. A step is one visit of a tag or of a bitmap's word. D is the longest path in
 * the index of good fit, at most 20 nodes (see good.c). With good fit and any number
 * of blocks, these are the bounds:
 *  - a call: MAL_STEPS, which is 4 D and what is done once;
 *  - an allocation with constraints: MAL_STEPS_ALIGNED, which is 7 D and what is done
 *    once; it may search the index twice, probe blocks and leave two free blocks;
 *  - a sweep: MAL_STEPS, and two per block.
 * tree.h has the bound for the other fits.
 */
#ifndef MAL_HEAP_H
#define MAL_HEAP_H

#include "platform.h"

/* "No granule": the end of a list, or no block found. */
#define MAL_NONE	0xffffffffu

/* The most granules of a heap: such a size leaves the top bit of a tag's word for the state. */
#define MAL_HEAP_MAX	0x40000000u

/* The most steps of a call with good fit; see above. */
#define MAL_STEPS		128
#define MAL_STEPS_ALIGNED	192

/* A summary level per factor of 64: 64^5 = 2^30 granules. */
#define MAL_MAP_LEVELS	5

/*
 * The head tag of a free block holds links of the fit. The head tag of a used block
 * holds the caller's @owner and, in @link0, the caller's link. The foot tag of a free
 * block of two granules or more has room for three more links of the fit. A block of
 * one granule has one tag, which is its head and its foot.
 */
struct mal_tag {
	u32 word;		/* size in granules, and MAL_TAG_USED */
	u32 link0;
	union {
		u32 link[2];
		u64 owner;
	};
};

#define MAL_TAG_USED	0x80000000u

static_assert(sizeof(struct mal_tag) == 16, "tags are counted as 16 bytes per granule");

struct mal_fit;

struct mal_heap {
	struct mal_tag *tags;		/* one per granule */
	u64 *map[MAL_MAP_LEVELS];	/* block heads, and their summaries */
	void *index;			/* of the free blocks, as the fit lays it out */
	const struct mal_fit *fit;
	u32 granules;
	u32 indexed;			/* the index has the free blocks that begin before this */
	u32 free;			/* granules in free blocks */
	u32 free_blocks;
	u32 used_blocks;
};

/*
 * A request for a block of @size granules, 1 or more. Its place is a multiple of
 * @align, a power of two (1: no constraint). It crosses no multiple of @boundary, a
 * power of two (0: no constraint). It lies inside the window from granule @lo to
 * before granule @hi (0: no constraint on that side).
 */
struct mal_request {
	u32 size;
	u32 align;
	u32 boundary;
	u32 lo;
	u32 hi;
};

/*
 * The first place, or the last one, for @req, whose size is not 0, in [@start, @end); MAL_NONE:
 * there is none.
 */
u32 mal_request_place(const struct mal_request *req, u32 start, u32 end);
u32 mal_request_last_place(const struct mal_request *req, u32 start, u32 end);

/*
 * The bytes of memory that a heap of @granules, 1 to MAL_HEAP_MAX, needs. The memory has
 * to be aligned to 8 bytes.
 */
size_t mal_heap_bytes(u32 granules);

/*
 * Make @heap one free block of @granules. @memory is mal_heap_bytes() of zeros. The
 * heap uses @memory until the caller stops using the heap; nothing has to be undone.
 */
void mal_heap_init(struct mal_heap *heap, void *memory, u32 granules,
		   const struct mal_fit *fit);

/*
 * Allocate in a free block that the fit picks, at the first place in it that meets
 * the constraints. Returns that place. MAL_NONE: no place was found, or no heap of this
 * size can serve the request. Only if mal_heap_undecided(), mal_heap_sweep() may still
 * find one. With constraints, three things are tried: the block that the fit picks for the
 * size; the block that the fit picks for a size in which there is always a place; and
 * MAL_PROBES blocks from the beginning of the window on.
 */
u32 mal_heap_alloc(struct mal_heap *heap, const struct mal_request *req, u64 owner);

#define MAL_PROBES	4

/* After mal_heap_alloc() returned MAL_NONE: may mal_heap_sweep() find a place? */
bool mal_heap_undecided(const struct mal_heap *heap, const struct mal_request *req);

/*
 * Look at up to @blocks blocks, the first of which holds granule *@cursor, and allocate
 * at the first place. MAL_NONE: these blocks have none, and *@cursor is where the next
 * call has to go on; @heap->granules if all blocks that could do have been seen. Begin
 * with *@cursor at 0. The heap may change between two calls: a place that stays free
 * from the first call to the last is found.
 */
u32 mal_heap_sweep(struct mal_heap *heap, const struct mal_request *req, u64 owner,
		   u32 *cursor, u32 blocks);

/*
 * Allocate the @size granules at @place. Errors, which leave the heap as it was:
 * -EINVAL, @size is 0 or the granules are not all inside the heap; -ENOMEM, they are
 * not all free.
 */
int mal_heap_alloc_at(struct mal_heap *heap, u32 place, u32 size, u64 owner);

/*
 * Free the used block that begins at @head, and merge it with its free neighbours.
 * @size must be the block's size, or 0. Errors, which leave the heap as it was:
 * -EINVAL, @head is outside the heap; -ENOENT, no used block begins there; -ERANGE,
 * the block has another size.
 */
int mal_heap_free(struct mal_heap *heap, u32 head, u32 size);

/*
 * Free the @size granules at @place, which are a part of one used block or the whole
 * block. What remains of the block, before and after these granules, becomes used
 * blocks with the same owner. Errors, which leave the heap as it was: -EINVAL, @size
 * is 0 or the granules are not all inside the heap; -ENOENT, they are not all in one
 * used block.
 */
int mal_heap_free_part(struct mal_heap *heap, u32 place, u32 size);

/*
 * Change the size of the used block that begins at @head from @size, or any size if
 * that is 0, to @new_size, in place: free its last granules, or add granules of the
 * free block after it. The heap does not know which constraints the block was allocated
 * with. Errors, which leave the heap as it was: those of mal_heap_free(); -EINVAL,
 * @new_size is 0; -ENOMEM, the free block after it is missing or too small.
 */
int mal_heap_resize(struct mal_heap *heap, u32 head, u32 size, u32 new_size);

/*
 * The used block that begins at @head, and the used block behind it, exchange their places, with
 * their owners. Their links have no meaning afterwards.
 */
void mal_heap_exchange(struct mal_heap *heap, u32 head);

/*
 * Change to another fit; all blocks stay. mal_heap_switch() empties the index, in a
 * time that does not depend on the number of blocks. Then each mal_heap_switch_more()
 * adds the free ones of up to @blocks more blocks to the index, and returns false when
 * no block is left. In between, all calls are allowed and work, but mal_heap_alloc()
 * and mal_heap_largest() see only free blocks that are in the index. Another switch
 * may begin at any time.
 */
void mal_heap_switch(struct mal_heap *heap, const struct mal_fit *fit);
bool mal_heap_switch_more(struct mal_heap *heap, u32 blocks);

/* The first granule of the block that holds @granule, which is inside the heap. */
u32 mal_heap_block_of(const struct mal_heap *heap, u32 granule);

/* Granules of the largest free block; 0 if no block is free. */
u32 mal_heap_largest(const struct mal_heap *heap);

/* The number of words in a bitmap of @bits bits. */
static inline u32 mal_map_words(u32 bits)
{
	return (bits + 63) / 64;
}

/*
 * Check whether tags, bitmap, index and counters are consistent. Returns NULL, or what
 * is wrong. For tests and debug builds: O(granules).
 */
const char *mal_heap_check(const struct mal_heap *heap);

/*
 * The same check in slices; the heap may change between two slices. Not checked are the
 * counters, and what the index has besides the free blocks. *@cursor is 0 for the first
 * slice, and MAL_NONE after the last. A slice ends after MAL_CHECK_BLOCKS blocks, or after
 * MAL_CHECK_WORDS words of the bitmap. With good fit, a slice takes at most MAL_CHECK_STEPS.
 */
const char *mal_heap_check_slice(const struct mal_heap *heap, u32 *cursor);

#define MAL_CHECK_BLOCKS	4
#define MAL_CHECK_WORDS		32
#define MAL_CHECK_STEPS		80

/* For any block that begins at @head: */
static inline u32 mal_block_size(const struct mal_heap *heap, u32 head)
{
	mal_step();
	return heap->tags[head].word & ~MAL_TAG_USED;
}

static inline bool mal_block_used(const struct mal_heap *heap, u32 head)
{
	mal_step();
	return heap->tags[head].word & MAL_TAG_USED;
}

/* For a used block that begins at @head: */
static inline u64 mal_block_owner(const struct mal_heap *heap, u32 head)
{
	return heap->tags[head].owner;
}

static inline void mal_block_set_owner(struct mal_heap *heap, u32 head, u64 owner)
{
	heap->tags[head].owner = owner;
}

/*
 * The caller's link of a used block. It has no meaning until the caller has set it: a block
 * that mal_heap_free_part() splits off does not get the link of the old block.
 */
static inline u32 mal_block_link(const struct mal_heap *heap, u32 head)
{
	return heap->tags[head].link0;
}

static inline void mal_block_set_link(struct mal_heap *heap, u32 head, u32 link)
{
	heap->tags[head].link0 = link;
}

#endif /* MAL_HEAP_H */
