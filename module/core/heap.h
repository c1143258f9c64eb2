/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The heap: boundary tags of a range of granules, and an index of its free
 * blocks. It knows nothing of locks, pages or users: the caller brings the
 * memory for tags and index and keeps everybody else out during each call.
 * Places and sizes are numbers of granules.
 *
 * Tags (D. E. Knuth, The Art of Computer Programming, vol. 1, section 2.5) lie
 * in an array beside the range, one per granule; those of a block's first and
 * last granule are in use. So nobody who writes to the range can reach them,
 * both neighbours of a block are found in O(1), and neither splitting nor
 * merging needs memory: no call can fail half-way.
 *
 * A bitmap of block heads with summary levels above it finds the block that
 * holds a given granule: at most MAL_MAP_LEVELS steps up and as many down.
 *
 * Which free block serves a request is the business of a fit; see fit.h.
 *
 * Cost. A step is one visit of a tag or of a bitmap's word. With good fit, D being
 * the longest path in its index, at most 20 (see good.c): no call takes more than
 * MAL_STEPS, which is 4 D and what is done once; an allocation with constraints, so
 * that it may look for two blocks, probe some and leave two, MAL_STEPS_ALIGNED: 7 D
 * and the rest; a sweep MAL_STEPS and two per block. That holds for any number of
 * blocks. The bound of the other fits is in tree.h.
 */
#ifndef MAL_HEAP_H
#define MAL_HEAP_H

#include "platform.h"

/* "No granule": the end of a list, or no block found. */
#define MAL_NONE	0xffffffffu

/* The largest heap, in granules: its size leaves one bit of a tag's word for the state. */
#define MAL_HEAP_MAX	0x40000000u

/* The longest that a call with good fit can take; see above. */
#define MAL_STEPS		128
#define MAL_STEPS_ALIGNED	192

/* A summary level per factor of 64: 64^5 = 2^30 granules. */
#define MAL_MAP_LEVELS	5

/*
 * The head tag of a free block holds the fit's links, that of a used block the
 * caller's @owner and, in @link0, its link. The foot tag of a free block of two
 * granules or more has room for three more of the fit's links. A block of one
 * granule has one tag, which is its head and its foot.
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
	void *index;			/* of the free blocks: the fit's */
	const struct mal_fit *fit;
	u32 granules;
	u32 indexed;			/* the free blocks before this are in the index */
	u32 free;			/* granules in free blocks */
	u32 free_blocks;
	u32 used_blocks;
};

/*
 * What is wanted: @size granules, 1 or more, from a place that is a multiple of
 * @align, a power of two (1: anywhere). 0 in any of the others is no constraint:
 * no multiple of @boundary, a power of two, lies inside; and all of it lies from
 * granule @lo on and before granule @hi.
 */
struct mal_request {
	u32 size;
	u32 align;
	u32 boundary;
	u32 lo;
	u32 hi;
};

/* Bytes of memory, aligned to 8, that a heap of @granules needs; 1 to MAL_HEAP_MAX. */
size_t mal_heap_bytes(u32 granules);

/*
 * Make @heap one free block of @granules. @memory is mal_heap_bytes() of zeros
 * and stays the heap's until the caller forgets the heap; there is nothing to
 * undo.
 */
void mal_heap_init(struct mal_heap *heap, void *memory, u32 granules,
		   const struct mal_fit *fit);

/*
 * Take a block by the fit's rule, at its first placement; its first granule, or
 * MAL_NONE, which is also the answer to a request that no heap of this size can
 * serve. Only where mal_heap_undecided(), mal_heap_sweep() gives the final answer:
 * with constraints, this looks at what the fit picks for the size, at what it picks
 * for a size in which there is always a place, and at MAL_PROBES blocks from where
 * the window begins.
 */
u32 mal_heap_alloc(struct mal_heap *heap, const struct mal_request *req, u64 owner);

#define MAL_PROBES	4

/* After MAL_NONE from mal_heap_alloc(): may a sweep find a place all the same? */
bool mal_heap_undecided(const struct mal_heap *heap, const struct mal_request *req);

/*
 * Look at up to @blocks blocks from the one that holds *@cursor on, and take the
 * first placement. MAL_NONE: none there; *@cursor is where to go on, and
 * @heap->granules when all that could do have been seen. Start with *@cursor at 0.
 * The heap may change between two calls: a placement that is there all the time is
 * found.
 */
u32 mal_heap_sweep(struct mal_heap *heap, const struct mal_request *req, u64 owner,
		   u32 *cursor, u32 blocks);

/*
 * Take the @size granules at @place. Errors, with the heap as it was: -EINVAL, they
 * are none or not all inside the heap; -ENOMEM, they are not all free.
 */
int mal_heap_alloc_at(struct mal_heap *heap, u32 place, u32 size, u64 owner);

/*
 * Give the used block that begins at @head back, and merge it with its free
 * neighbours. @size, unless it is 0, must be the block's. Errors, with the heap
 * as it was: -EINVAL, @head is outside the heap; -ENOENT, no used block begins
 * there; -ERANGE, the size is another one.
 */
int mal_heap_free(struct mal_heap *heap, u32 head, u32 size);

/*
 * Give the @size granules at @place back, which are a part of one used block, or all of
 * it. What is left of the block before and behind them are used blocks with its owner.
 * Errors, with the heap as it was: -EINVAL, they are none or not all inside the heap;
 * -ENOENT, they are not all in one used block.
 */
int mal_heap_free_part(struct mal_heap *heap, u32 place, u32 size);

/*
 * Let the used block that begins at @head have @new_size granules instead of @size,
 * where it is: give back the last ones, or take some from the free block behind. What
 * constraints it was allocated with is not known here. Errors: those of
 * mal_heap_free(); -EINVAL, @new_size is 0; -ENOMEM, so much is not free behind it.
 */
int mal_heap_resize(struct mal_heap *heap, u32 head, u32 size, u32 new_size);

/*
 * Change to another fit; all blocks stay. The switch itself takes no longer with more
 * blocks; then mal_heap_switch_more() indexes up to @blocks more of them each time,
 * until it returns false. In between, every call is allowed and does what it should,
 * but mal_heap_alloc() and mal_heap_largest() know only of the free blocks that are
 * indexed. Another switch may begin at any time.
 */
void mal_heap_switch(struct mal_heap *heap, const struct mal_fit *fit);
bool mal_heap_switch_more(struct mal_heap *heap, u32 blocks);

/* The first granule of the block that holds @granule, which is inside the heap. */
u32 mal_heap_block_of(const struct mal_heap *heap, u32 granule);

/* Granules of the largest free block; 0 if none is free. */
u32 mal_heap_largest(const struct mal_heap *heap);

/* Words of a bitmap that hold so many bits. */
static inline u32 mal_map_words(u32 bits)
{
	return (bits + 63) / 64;
}

/*
 * Everything that must hold between tags, bitmap, index and counters; NULL, or
 * what does not. For tests and debug builds: O(granules).
 */
const char *mal_heap_check(const struct mal_heap *heap);

/*
 * The same in slices, of a heap that may change between two of them, but for the counters
 * and for what the index has beside the free blocks. *@cursor begins with 0; MAL_NONE:
 * all has been seen. A slice ends with the word of the bitmap in which it has seen
 * MAL_CHECK_BLOCKS, and looks at no more than MAL_CHECK_WORDS. With good fit it takes no
 * more than MAL_CHECK_STEPS.
 */
const char *mal_heap_check_slice(const struct mal_heap *heap, u32 *cursor);

#define MAL_CHECK_BLOCKS	16
#define MAL_CHECK_WORDS		64
#define MAL_CHECK_STEPS		1024

/* Of the block that begins at @head: */
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

/* Of a used one: */
static inline u64 mal_block_owner(const struct mal_heap *heap, u32 head)
{
	return heap->tags[head].owner;
}

/* Its link is whatever the caller has set it to since the block became used; it is not moved. */
static inline u32 mal_block_link(const struct mal_heap *heap, u32 head)
{
	return heap->tags[head].link0;
}

static inline void mal_block_set_link(struct mal_heap *heap, u32 head, u32 link)
{
	heap->tags[head].link0 = link;
}

#endif /* MAL_HEAP_H */
