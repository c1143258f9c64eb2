// SPDX-License-Identifier: MIT
/* Chunks come and go. See chunks.h. */
#include <errno.h>

#include "../space.h"
#include "chunks.h"

/* The end of the free block that has @granule; @granule, if that is used. */
static u32 free_end(const struct memalloc_heap *heap, u32 granule)
{
	u32 head = mal_heap_block_of(&heap->core, granule);

	if (mal_block_used(&heap->core, head))
		return granule;
	return head + mal_block_size(&heap->core, head);
}

static bool chunk_is_empty(const struct memalloc_heap *heap, u32 chunk)
{
	u32 start = chunk * heap->chunk;

	return chunk_is_there(heap, chunk) && free_end(heap, start) >= start + heap->chunk;
}

static int add_chunk(struct memalloc_heap *heap, u32 chunk)
{
	struct memalloc_buffer *buffer = &heap->buffers[chunk];
	u32 start = chunk * heap->chunk;
	int err;

	err = memalloc_buffer_alloc(heap->mem, bytes_of(heap, heap->chunk), 0, buffer);
	if (err)
		return err;
	err = memalloc_space_map(heap->mem, buffer, 0, address_of(heap, start));
	if (err) {
		memalloc_buffer_free(heap->mem, buffer);
		return err;
	}
	mal_heap_free_part(&heap->core, start, heap->chunk);
	if (chunk >= heap->frontier)
		heap->frontier = chunk + 1;
	heap->stats.chunks++;
	return 0;
}

/* The chunk is empty. If it can't be unmapped, it stays. */
static void remove_chunk(struct memalloc_heap *heap, u32 chunk)
{
	struct memalloc_buffer *buffer = &heap->buffers[chunk];
	u32 start = chunk * heap->chunk;

	if (memalloc_space_unmap(buffer, address_of(heap, start)))
		return;
	mal_heap_alloc_at(&heap->core, start, heap->chunk, NOT_THERE);
	/* This fails if a child of fork() has destroyed its heap: the handle was the same. */
	memalloc_buffer_free(heap->mem, buffer);
	buffer->handle = 0;
	heap->stats.chunks--;
}

void chunks_trim(struct memalloc_heap *heap, u32 granule)
{
	u32 head = mal_heap_block_of(&heap->core, granule);
	u32 end = free_end(heap, granule) / heap->chunk;
	u32 chunk = (head + heap->chunk - 1) / heap->chunk;

	for (; heap->growing && chunk < end; chunk++) {
		if (heap->spare == MAL_NONE || !chunk_is_empty(heap, heap->spare))
			heap->spare = chunk;
		else if (chunk != heap->spare)
			remove_chunk(heap, chunk);
	}
}

/* Add the chunks that are missing from @place on, where all is free or not there. */
static int add_chunks(struct memalloc_heap *heap, u32 place, u32 size)
{
	u32 first = place / heap->chunk, last = (place + size - 1) / heap->chunk;
	u32 chunk;
	int err = 0;

	for (chunk = first; chunk <= last && !err; chunk++)
		if (!chunk_is_there(heap, chunk))
			err = add_chunk(heap, chunk);
	if (!err)
		return 0;
	for (chunk = first; chunk <= last; chunk++)
		if (chunk_is_empty(heap, chunk) && chunk != heap->spare)
			remove_chunk(heap, chunk);
	return err;
}

int chunks_alloc(struct memalloc_heap *heap, const struct mal_request *req, u64 owner, u32 *place)
{
	const struct mal_heap *core = &heap->core;
	u32 start = MAL_NONE;
	u32 chunk, at, end;
	int err;

	for (chunk = 0; chunk <= heap->frontier; chunk++) {
		at = chunk * heap->chunk;
		end = core->granules;
		if (chunk < heap->frontier && chunk_is_there(heap, chunk))
			end = free_end(heap, at);
		else if (start == MAL_NONE && at && at < end && !mal_block_used(core, at - 1))
			start = at - mal_block_size(core, at - 1);
		else if (start == MAL_NONE)
			start = at;
		if (start == MAL_NONE || (chunk < heap->frontier && end >= at + heap->chunk))
			continue;	/* no run, or it goes on */

		*place = (start + req->align - 1) & ~(req->align - 1);
		if (*place + req->size <= end) {
			err = add_chunks(heap, *place, req->size);
			return err ? err : mal_heap_alloc_at(&heap->core, *place, req->size,
							     owner);
		}
		start = MAL_NONE;
	}
	return -ENOMEM;
}

int chunks_grow_block(struct memalloc_heap *heap, u32 head, u32 granules)
{
	const struct mal_heap *core = &heap->core;
	const u32 next = head + mal_block_size(core, head);
	u32 at = next;
	int err;

	while (at < core->granules && at < head + granules &&
	       (!mal_block_used(core, at) || mal_block_owner(core, at) == NOT_THERE))
		at += mal_block_size(core, at);
	if (at < head + granules)
		return -ENOMEM;
	err = add_chunks(heap, next, head + granules - next);
	return err ? err : mal_heap_resize(&heap->core, head, 0, granules);
}
