/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of the core share: making heaps, and short forms of the calls. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdlib.h>
#include <sys/mman.h>

#include "fit.h"
#include "tap.h"

/* What platform.h counts with MAL_COUNT_STEPS. */
u64 mal_steps;

/* Exactly the memory that a heap asks for, so that the sanitizer sees a step beyond it. */
static inline struct mal_heap heap_make_fit(u32 granules, const struct mal_fit *fit)
{
	struct mal_heap heap;
	void *memory = calloc(1, mal_heap_bytes(granules));

	EXPECT(memory);
	mal_heap_init(&heap, memory, granules, fit);
	return heap;
}

static inline struct mal_heap heap_make(u32 granules)
{
	return heap_make_fit(granules, mal_fits[0]);
}

static inline void heap_drop(struct mal_heap *heap)
{
	free(heap->tags);
}

/*
 * A heap whose memory is mapped, so that only what is touched of it ever exists: the
 * largest one has 16 GiB of tags.
 */
static inline struct mal_heap heap_map_fit(u32 granules, const struct mal_fit *fit)
{
	struct mal_heap heap;
	void *memory = mmap(NULL, mal_heap_bytes(granules), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	EXPECT(memory != MAP_FAILED);
	mal_heap_init(&heap, memory, granules, fit);
	return heap;
}

static inline struct mal_heap heap_map(u32 granules)
{
	return heap_map_fit(granules, mal_fits[0]);
}

static inline void heap_unmap(struct mal_heap *heap)
{
	EXPECT(munmap(heap->tags, mal_heap_bytes(heap->granules)) == 0);
}

static inline u32 take_aligned(struct mal_heap *heap, u32 size, u32 align)
{
	const struct mal_request req = { .size = size, .align = align };

	return mal_heap_alloc(heap, &req, 0);
}

static inline u32 take(struct mal_heap *heap, u32 size)
{
	return take_aligned(heap, size, 1);
}

/* Take just this free block, whatever the fit would pick. */
static inline u32 take_block(struct mal_heap *heap, u32 head)
{
	const struct mal_request req = { .size = mal_block_size(heap, head), .align = 1 };
	u32 cursor = head;

	return mal_heap_sweep(heap, &req, 0, &cursor, 1);
}

#define EXPECT_SOUND(heap)						\
do {									\
	const char *wrong_ = mal_heap_check(heap);			\
									\
	EXPECT_OR(!wrong_, "the heap is damaged: %s", wrong_);		\
} while (0)

/* A generator whose seed makes a run come again: xorshift64 of G. Marsaglia. */
static inline u32 random_u32(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 32;
}

/* 1 to @max. */
static inline u32 random_upto(u64 *state, u32 max)
{
	return 1 + random_u32(state) % max;
}

#endif /* FIXTURE_H */
