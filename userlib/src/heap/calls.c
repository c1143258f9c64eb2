// SPDX-License-Identifier: MIT
/* Heaps: how blocks are allocated and freed. */
#include <errno.h>
#include <string.h>

#include "../answer.h"
#include "chunks.h"

/* --- blocks: under the lock ------------------------------------------------ */

static int take_block(struct memalloc_heap *heap, const struct mal_request *req, u64 owner,
		      u32 *place)
{
	int err;

	*place = core_alloc(&heap->core, req, owner);
	if (*place == MAL_NONE) {
		err = heap->growing ? chunks_alloc(heap, req, owner, place) : -ENOMEM;
		if (err)
			return err;
	}
	heap->stats.allocs++;
	heap->stats.allocated += bytes_of(heap, req->size);
	heap->stats.requested += owner;
	return 0;
}

/* The block that begins at @pointer, or why there is none. */
static int find_block(const struct memalloc_heap *heap, const void *pointer, u32 *head)
{
	const uintptr_t offset = (uintptr_t)pointer - (uintptr_t)heap->base;
	const u64 granule = offset >> heap->shift;

	if (granule >= heap->core.granules || bytes_of(heap, granule) != offset)
		return -EINVAL;
	*head = mal_heap_block_of(&heap->core, granule);
	if (!is_block(heap, *head))
		return -ENOENT;
	return *head == granule ? 0 : -EINVAL;
}

static void drop_block(struct memalloc_heap *heap, u32 head)
{
	const u64 bytes = bytes_of(heap, mal_block_size(&heap->core, head));

	heap->stats.requested -= mal_block_owner(&heap->core, head);
	heap->stats.frees++;
	heap->stats.freed += bytes;
	mal_heap_free(&heap->core, head, 0);
	chunks_trim(heap, head);
}

/* Let the block have @granules, where it is. */
static int resize_block(struct memalloc_heap *heap, u32 head, u32 granules, u64 owner)
{
	struct mal_tag *tag = &heap->core.tags[head];
	const u32 before = mal_block_size(&heap->core, head);
	int err = mal_heap_resize(&heap->core, head, 0, granules);

	if (err == -ENOMEM && heap->growing)
		err = chunks_grow_block(heap, head, granules);
	if (err)
		return err;
	heap->stats.requested += owner - tag->owner;
	tag->owner = owner;
	if (granules > before)
		heap->stats.allocated += bytes_of(heap, granules - before);
	if (granules < before) {
		heap->stats.freed += bytes_of(heap, before - granules);
		chunks_trim(heap, head + granules);
	}
	return 0;
}

/* --- the calls ------------------------------------------------------------- */

static int alloc_block(struct memalloc_heap *heap, size_t alignment, size_t size, void **block)
{
	struct mal_request req;
	u32 place;
	int err = core_request(&heap->core, heap->shift, size, alignment, &req);

	if (err == -EINVAL)
		return err;
	pthread_mutex_lock(&heap->lock);
	if (!err)
		err = take_block(heap, &req, size, &place);
	if (!err)
		*block = address_of(heap, place);
	else
		heap->stats.failures++;
	pthread_mutex_unlock(&heap->lock);
	return err;
}

int memalloc_heap_alloc(struct memalloc_heap *heap, size_t size, void **block)
{
	return alloc_block(heap, 1, size, block);
}

int memalloc_heap_aligned_alloc(struct memalloc_heap *heap, size_t alignment, size_t size,
				void **block)
{
	return alloc_block(heap, alignment, size, block);
}

int memalloc_heap_calloc(struct memalloc_heap *heap, size_t count, size_t size, void **block)
{
	const size_t granule = (size_t)1 << heap->shift;
	size_t bytes;
	int err;

	if (__builtin_mul_overflow(count, size, &bytes))
		return -EOVERFLOW;
	err = alloc_block(heap, 1, bytes, block);
	if (!err)
		memset(*block, 0, (bytes + granule - 1) & ~(granule - 1));
	return err;
}

int memalloc_heap_realloc(struct memalloc_heap *heap, void *old, size_t size, void **block)
{
	struct mal_request req;
	u32 head, place;
	void *moved = NULL;
	size_t kept;
	int err;

	if (!old)
		return alloc_block(heap, 1, size, block);
	pthread_mutex_lock(&heap->lock);
	err = find_block(heap, old, &head);
	if (err)
		goto unlock;
	kept = mal_block_owner(&heap->core, head);
	err = core_request(&heap->core, heap->shift, size, 1, &req);
	if (!err && resize_block(heap, head, req.size, size)) {
		err = take_block(heap, &req, size, &place);
		if (!err) {
			moved = address_of(heap, place);
			heap->core.tags[head].owner = MOVING;
		}
	}
	if (!err)
		*block = moved ? moved : old;
	else if (err != -EINVAL)
		heap->stats.failures++;
unlock:
	pthread_mutex_unlock(&heap->lock);
	if (!moved)
		return err;

	/* Nobody can free the old block now, so the copy needs no lock. */
	memcpy(moved, old, kept);
	pthread_mutex_lock(&heap->lock);
	heap->core.tags[head].owner = kept;
	drop_block(heap, head);
	pthread_mutex_unlock(&heap->lock);
	return 0;
}

/* Free a block, for which @size bytes were asked; 0: don't check. */
static int free_block(struct memalloc_heap *heap, void *block, size_t size)
{
	u32 head;
	int err;

	if (!block)
		return 0;
	pthread_mutex_lock(&heap->lock);
	err = find_block(heap, block, &head);
	if (!err && size && size != mal_block_owner(&heap->core, head))
		err = -ERANGE;
	if (!err)
		drop_block(heap, head);
	pthread_mutex_unlock(&heap->lock);
	return err;
}

int memalloc_heap_free(struct memalloc_heap *heap, void *block)
{
	return free_block(heap, block, 0);
}

int memalloc_heap_free_sized(struct memalloc_heap *heap, void *block, size_t size)
{
	/* 0 is no block's size, and nor is SIZE_MAX, which is checked. */
	return free_block(heap, block, size ? size : SIZE_MAX);
}

int memalloc_heap_usable_size(struct memalloc_heap *heap, const void *block, size_t *size)
{
	u32 head;
	int err;

	pthread_mutex_lock(&heap->lock);
	err = find_block(heap, block, &head);
	if (!err)
		*size = bytes_of(heap, mal_block_size(&heap->core, head));
	pthread_mutex_unlock(&heap->lock);
	return err;
}

int memalloc_heap_owns(struct memalloc_heap *heap, const void *pointer)
{
	const uintptr_t offset = (uintptr_t)pointer - (uintptr_t)heap->base;
	int owns = 0;

	pthread_mutex_lock(&heap->lock);
	if (offset >> heap->shift < heap->core.granules)
		owns = is_block(heap, mal_heap_block_of(&heap->core, offset >> heap->shift));
	pthread_mutex_unlock(&heap->lock);
	return owns;
}

int memalloc_heap_get_stats(struct memalloc_heap *heap, struct memalloc_heap_stats *stats,
			    size_t size)
{
	struct memalloc_heap_stats answer;

	pthread_mutex_lock(&heap->lock);
	answer = heap->stats;
	answer.free = bytes_of(heap, heap->core.free);
	answer.largest_free = bytes_of(heap, mal_heap_largest(&heap->core));
	answer.free_blocks = heap->core.free_blocks;
	pthread_mutex_unlock(&heap->lock);

	answer.size = size;
	answer.used = answer.allocated - answer.freed;
	answer.length = answer.free + answer.used;
	answer.blocks = answer.allocs - answer.frees;
	answer.fragmentation = answer_fragmentation(answer.free, answer.largest_free);
	return answer_copy(stats, size, sizeof(answer), &answer, sizeof(answer));
}

/* --- where blocks lie ------------------------------------------------------ */

/* The byte of a used block at @pointer, with the lock held: its buffer, and *@place. */
static int find_byte(const struct memalloc_heap *heap, const void *pointer,
		     const struct memalloc_buffer **buffer, struct memalloc_place *place)
{
	const uintptr_t offset = (uintptr_t)pointer - (uintptr_t)heap->base;
	const u64 granule = offset >> heap->shift;
	const u64 chunk_bytes = bytes_of(heap, heap->growing ? heap->chunk : heap->core.granules);
	u64 block_end, chunk_end;
	u32 head;

	if (granule >= heap->core.granules)
		return -EINVAL;
	head = mal_heap_block_of(&heap->core, granule);
	if (!is_block(heap, head))
		return -ENOENT;
	block_end = bytes_of(heap, head + mal_block_size(&heap->core, head));
	chunk_end = (offset / chunk_bytes + 1) * chunk_bytes;
	*buffer = &heap->buffers[offset / chunk_bytes];
	*place = (struct memalloc_place) {
		.handle = (*buffer)->handle,
		.offset = offset % chunk_bytes,
		.length = (block_end < chunk_end ? block_end : chunk_end) - offset,
	};
	return 0;
}

int memalloc_heap_translate(struct memalloc_heap *heap, const void *pointer,
			    struct memalloc_place *place)
{
	const struct memalloc_buffer *buffer;
	struct memalloc_place found, lies;
	int err;

	pthread_mutex_lock(&heap->lock);
	err = find_byte(heap, pointer, &buffer, &found);
	if (!err)
		err = memalloc_buffer_translate(heap->mem, buffer, found.offset, &lies);
	pthread_mutex_unlock(&heap->lock);
	if (err)
		return err;
	found.region_offset = lies.region_offset;
	*place = found;
	return 0;
}

int memalloc_heap_export(struct memalloc_heap *heap, const void *block, unsigned int flags)
{
	const struct memalloc_buffer *buffer;
	struct memalloc_place place;
	u64 length;
	u32 head;
	int ret;

	pthread_mutex_lock(&heap->lock);
	ret = find_block(heap, block, &head);
	if (!ret)
		ret = find_byte(heap, block, &buffer, &place);
	if (!ret) {
		length = bytes_of(heap, mal_block_size(&heap->core, head));
		ret = place.length < length ? -EXDEV :
		      memalloc_buffer_export_part(heap->mem, buffer, place.offset, length, flags);
	}
	pthread_mutex_unlock(&heap->lock);
	return ret;
}
