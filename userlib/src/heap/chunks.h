/* SPDX-License-Identifier: MIT */
/*
 * What a heap is, and its memory.
 *
 * A heap has one range of addresses, in chunks. A chunk is there while a buffer is mapped at its
 * addresses. Chunks that are not there lie in used blocks with the owner NOT_THERE, so that nobody
 * gets them; such a block is one or more whole chunks. The owner of any other used block is the
 * number of bytes that were asked for, or MOVING while realloc copies the block: to all other
 * calls, that block is freed.
 */
#ifndef HEAP_CHUNKS_H
#define HEAP_CHUNKS_H

#include <pthread.h>

#include "../core.h"
#include "../public.h"

#define NOT_THERE	UINT64_MAX
#define MOVING		(UINT64_MAX - 1)

struct memalloc_heap {
	struct memalloc *mem;
	char *base;			/* the range */
	size_t space;			/* bytes of addresses from there on that are set aside */
	unsigned int shift;		/* from bytes to granules */
	struct mal_heap core;

	/* In a heap that does not grow, the whole range is one chunk, which stays. */
	bool growing;
	bool borrowed;			/* the buffer is the caller's */
	u32 chunk;			/* granules */
	u32 chunks;			/* that there may be */
	u32 frontier;			/* from this chunk on, none was ever there */
	u32 spare;			/* a chunk that may be empty, or MAL_NONE */
	struct memalloc_buffer *buffers;	/* of each chunk; handle 0: it is not there */

	pthread_mutex_t lock;		/* of core, of the chunks, and of these figures */
	struct memalloc_heap_stats stats;
};

static inline u64 bytes_of(const struct memalloc_heap *heap, u32 granules)
{
	return (u64)granules << heap->shift;
}

static inline void *address_of(const struct memalloc_heap *heap, u32 granule)
{
	return heap->base + bytes_of(heap, granule);
}

/* Is the block at @head in use by a caller? */
static inline bool is_block(const struct memalloc_heap *heap, u32 head)
{
	return mal_block_used(&heap->core, head) &&
	       mal_block_owner(&heap->core, head) < MOVING;
}

/* All of these with the heap's lock held. */

/* Is there memory behind the chunk? */
static inline bool chunk_is_there(const struct memalloc_heap *heap, u32 chunk)
{
	return chunk < heap->frontier && heap->buffers[chunk].handle;
}

/*
 * Give back the chunks that lie whole in the free block that has @granule. One empty chunk stays,
 * so that a block that comes and goes at the edge of a chunk does not take and give back a chunk
 * each time.
 */
void chunks_trim(struct memalloc_heap *heap, u32 granule);

/*
 * Allocate a block, and add the chunks that it takes, at the lowest address where that is possible:
 * in a run of chunks that are not there or empty, and the free granules on both sides of the run.
 */
int chunks_alloc(struct memalloc_heap *heap, const struct mal_request *req, u64 owner, u32 *place);

/* Let the used block have @granules, where more is free behind it, or not there. */
int chunks_grow_block(struct memalloc_heap *heap, u32 head, u32 granules);

#endif /* HEAP_CHUNKS_H */
