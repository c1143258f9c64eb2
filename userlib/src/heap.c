// SPDX-License-Identifier: MIT
/*
 * Heaps, by the module's core. A heap has one range of addresses, which is all there, or
 * of which chunks are, where a buffer is mapped. What is not there is in blocks that
 * nobody gets: they are used, with the owner NOT_THERE; such a block is some whole chunks.
 * Of other used blocks, the owner is the number of bytes that were asked for, or MOVING
 * while realloc copies them: to everybody else they are gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "answer.h"
#include "core.h"
#include "space.h"

#define NOT_THERE	UINT64_MAX
#define MOVING		(UINT64_MAX - 1)

struct memalloc_heap {
	struct memalloc *mem;
	char *base;			/* the range */
	size_t space;			/* bytes of addresses from there on that are ours */
	unsigned int shift;		/* from bytes to granules */
	struct mal_heap core;

	/* Without chunks, the only one is the whole range, and stays. */
	bool growing;
	bool borrowed;			/* the buffer is the caller's */
	u32 chunk;			/* granules */
	u32 chunks;			/* that there may be */
	u32 frontier;			/* none was ever there from this one on */
	u32 spare;			/* a chunk that may be empty, or MAL_NONE */
	struct memalloc_buffer *buffers;	/* of each chunk; handle 0: it is not there */

	pthread_mutex_t lock;		/* of core, of the chunks, and of these figures */
	struct memalloc_heap_stats stats;
};

static u64 bytes_of(const struct memalloc_heap *heap, u32 granules)
{
	return (u64)granules << heap->shift;
}

static void *address_of(const struct memalloc_heap *heap, u32 granule)
{
	return heap->base + bytes_of(heap, granule);
}

/* Is the block at @head one that somebody has? */
static bool is_block(const struct memalloc_heap *heap, u32 head)
{
	return mal_block_used(&heap->core, head) &&
	       mal_block_owner(&heap->core, head) < MOVING;
}

/* --- chunks: under the lock ------------------------------------------------ */

static bool is_there(const struct memalloc_heap *heap, u32 chunk)
{
	return chunk < heap->frontier && heap->buffers[chunk].handle;
}

/* Where the free granules end that begin at or before @granule, which is that if there are none. */
static u32 free_end(const struct memalloc_heap *heap, u32 granule)
{
	u32 head = mal_heap_block_of(&heap->core, granule);

	if (mal_block_used(&heap->core, head))
		return granule;
	return head + mal_block_size(&heap->core, head);
}

static bool is_empty(const struct memalloc_heap *heap, u32 chunk)
{
	u32 start = chunk * heap->chunk;

	return is_there(heap, chunk) && free_end(heap, start) >= start + heap->chunk;
}

static int add_chunk(struct memalloc_heap *heap, u32 chunk)
{
	struct memalloc_buffer *buffer = &heap->buffers[chunk];
	u32 start = chunk * heap->chunk;
	int err;

	err = memalloc_buffer_alloc(heap->mem, bytes_of(heap, heap->chunk), 0, buffer);
	if (err)
		return err;
	err = memalloc_space_map(heap->mem, buffer, address_of(heap, start));
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

/* It is empty. If it can't be unmapped, it stays. */
static void remove_chunk(struct memalloc_heap *heap, u32 chunk)
{
	struct memalloc_buffer *buffer = &heap->buffers[chunk];
	u32 start = chunk * heap->chunk;

	if (memalloc_space_unmap(buffer, address_of(heap, start)))
		return;
	mal_heap_alloc_at(&heap->core, start, heap->chunk, NOT_THERE);
	/* A child that has destroyed its heap has given up the handle, which is ours, too. */
	memalloc_buffer_free(heap->mem, buffer);
	buffer->handle = 0;
	heap->stats.chunks--;
}

/*
 * Give chunks back that are all in the free block that has @granule. One that is empty
 * stays, so that not every block at the edge of a chunk takes one and gives it back.
 */
static void trim(struct memalloc_heap *heap, u32 granule)
{
	u32 head = mal_heap_block_of(&heap->core, granule);
	u32 end = free_end(heap, granule) / heap->chunk;
	u32 chunk = (head + heap->chunk - 1) / heap->chunk;

	for (; heap->growing && chunk < end; chunk++) {
		if (heap->spare == MAL_NONE || !is_empty(heap, heap->spare))
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
		if (!is_there(heap, chunk))
			err = add_chunk(heap, chunk);
	if (!err)
		return 0;
	for (chunk = first; chunk <= last; chunk++)
		if (is_empty(heap, chunk) && chunk != heap->spare)
			remove_chunk(heap, chunk);
	return err;
}

/*
 * Add chunks for what is wanted, at the lowest address where that is possible: in a run
 * of chunks that are not there or empty, with what is free on both sides of it.
 */
static int grow(struct memalloc_heap *heap, const struct mal_request *req, u64 owner, u32 *place)
{
	const struct mal_heap *core = &heap->core;
	u32 start = MAL_NONE;
	u32 chunk, at, end;
	int err;

	for (chunk = 0; chunk <= heap->frontier; chunk++) {
		at = chunk * heap->chunk;
		end = core->granules;
		if (chunk < heap->frontier && is_there(heap, chunk))
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

/* Let the used block have @granules, where more is free behind it, or not there. */
static int grow_block(struct memalloc_heap *heap, u32 head, u32 granules)
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

/* --- blocks: under the lock ------------------------------------------------ */

static int take(struct memalloc_heap *heap, const struct mal_request *req, u64 owner, u32 *place)
{
	int err;

	*place = core_alloc(&heap->core, req, owner);
	if (*place == MAL_NONE) {
		err = heap->growing ? grow(heap, req, owner, place) : -ENOMEM;
		if (err)
			return err;
	}
	heap->stats.allocs++;
	heap->stats.allocated += bytes_of(heap, req->size);
	heap->stats.requested += owner;
	return 0;
}

/* The block that begins at @pointer, or why there is none. */
static int find(const struct memalloc_heap *heap, const void *pointer, u32 *head)
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

static void drop(struct memalloc_heap *heap, u32 head)
{
	const u64 bytes = bytes_of(heap, mal_block_size(&heap->core, head));

	heap->stats.requested -= mal_block_owner(&heap->core, head);
	heap->stats.frees++;
	heap->stats.freed += bytes;
	mal_heap_free(&heap->core, head, 0);
	trim(heap, head);
}

/* Let the block have @granules, where it is. */
static int resize(struct memalloc_heap *heap, u32 head, u32 granules, u64 owner)
{
	struct mal_tag *tag = &heap->core.tags[head];
	const u32 before = mal_block_size(&heap->core, head);
	int err = mal_heap_resize(&heap->core, head, 0, granules);

	if (err == -ENOMEM && heap->growing)
		err = grow_block(heap, head, granules);
	if (err)
		return err;
	heap->stats.requested += owner - tag->owner;
	tag->owner = owner;
	if (granules > before)
		heap->stats.allocated += bytes_of(heap, granules - before);
	if (granules < before) {
		heap->stats.freed += bytes_of(heap, before - granules);
		trim(heap, head + granules);
	}
	return 0;
}

/* --- the calls ------------------------------------------------------------- */

static int allocate(struct memalloc_heap *heap, size_t alignment, size_t size, void **block)
{
	struct mal_request req;
	u32 place;
	int err = core_request(&heap->core, heap->shift, size, alignment, &req);

	if (err == -EINVAL)
		return err;
	pthread_mutex_lock(&heap->lock);
	if (!err)
		err = take(heap, &req, size, &place);
	if (!err)
		*block = address_of(heap, place);
	else
		heap->stats.failures++;
	pthread_mutex_unlock(&heap->lock);
	return err;
}

int memalloc_heap_alloc(struct memalloc_heap *heap, size_t size, void **block)
{
	return allocate(heap, 1, size, block);
}

int memalloc_heap_aligned_alloc(struct memalloc_heap *heap, size_t alignment, size_t size,
				void **block)
{
	return allocate(heap, alignment, size, block);
}

int memalloc_heap_calloc(struct memalloc_heap *heap, size_t count, size_t size, void **block)
{
	const size_t granule = (size_t)1 << heap->shift;
	size_t bytes;
	int err;

	if (__builtin_mul_overflow(count, size, &bytes))
		return -EOVERFLOW;
	err = allocate(heap, 1, bytes, block);
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
		return allocate(heap, 1, size, block);
	pthread_mutex_lock(&heap->lock);
	err = find(heap, old, &head);
	if (err)
		goto unlock;
	kept = mal_block_owner(&heap->core, head);
	err = core_request(&heap->core, heap->shift, size, 1, &req);
	if (!err && resize(heap, head, req.size, size)) {
		err = take(heap, &req, size, &place);
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

	/* Nobody can free the old block now, and nobody has to wait for this. */
	memcpy(moved, old, kept);
	pthread_mutex_lock(&heap->lock);
	heap->core.tags[head].owner = kept;
	drop(heap, head);
	pthread_mutex_unlock(&heap->lock);
	return 0;
}

/* Free a block, for which @size bytes were asked; 0: don't check. */
static int give_up(struct memalloc_heap *heap, void *block, size_t size)
{
	u32 head;
	int err;

	if (!block)
		return 0;
	pthread_mutex_lock(&heap->lock);
	err = find(heap, block, &head);
	if (!err && size && size != mal_block_owner(&heap->core, head))
		err = -ERANGE;
	if (!err)
		drop(heap, head);
	pthread_mutex_unlock(&heap->lock);
	return err;
}

int memalloc_heap_free(struct memalloc_heap *heap, void *block)
{
	return give_up(heap, block, 0);
}

int memalloc_heap_free_sized(struct memalloc_heap *heap, void *block, size_t size)
{
	/* No block has 0 bytes, nor as many as that. */
	return give_up(heap, block, size ? size : SIZE_MAX);
}

int memalloc_heap_usable_size(struct memalloc_heap *heap, const void *block, size_t *size)
{
	u32 head;
	int err;

	pthread_mutex_lock(&heap->lock);
	err = find(heap, block, &head);
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

/* The block at @cursor or behind it; false if there is none any more. Under the lock. */
static bool next_block(struct memalloc_heap *heap, u32 *cursor, struct memalloc_heap_block *block)
{
	const struct mal_heap *core = &heap->core;
	u32 head;

	while (*cursor < core->granules) {
		head = mal_heap_block_of(core, *cursor);
		*cursor = head + mal_block_size(core, head);
		if (mal_block_used(core, head) && !is_block(heap, head))
			continue;
		*block = (struct memalloc_heap_block) {
			.address = address_of(heap, head),
			.length = bytes_of(heap, mal_block_size(core, head)),
		};
		if (mal_block_used(core, head))
			block->requested = mal_block_owner(core, head);
		return true;
	}
	return false;
}

int memalloc_heap_visit(struct memalloc_heap *heap,
			int (*visit)(const struct memalloc_heap_block *block, void *data),
			void *data)
{
	struct memalloc_heap_block block;
	u32 cursor = 0;
	bool found;
	int ret = 0;

	do {
		pthread_mutex_lock(&heap->lock);
		found = next_block(heap, &cursor, &block);
		pthread_mutex_unlock(&heap->lock);
		if (found)
			ret = visit(&block, data);
	} while (found && !ret);
	return ret;
}

/* What the caller wants, with all that he left to us. */
static int read_config(struct memalloc *mem, const struct memalloc_heap_config *from,
		       struct memalloc_heap_config *config)
{
	const u64 page = getpagesize();

	if (from->size != sizeof(*from))
		return from->size < sizeof(*from) ? -EINVAL : -E2BIG;
	*config = *from;
	if (!config->fit)
		config->fit = mal_fits[0]->name;
	if (!config->granule)
		config->granule = MEMALLOC_HEAP_GRANULE;
	if (config->flags || !mal_fit_by_name(config->fit) ||
	    config->granule & (config->granule - 1) ||
	    (config->buffer && (config->length || config->chunk)))
		return -EINVAL;
	if (config->chunk) {
		if (config->chunk % config->granule || config->chunk % page)
			return -EINVAL;
		if (!config->length) {
			config->length = mem->region_length;
			if (config->length / config->granule > MAL_HEAP_MAX)
				config->length = config->granule * MAL_HEAP_MAX;
		}
		config->length -= config->length % config->chunk;
	}
	if (config->buffer) {
		config->length = config->buffer->length;
		if (config->length > config->buffer->real_length)
			return -EINVAL;
	}
	if (config->length < config->granule)
		return -EINVAL;
	if (config->length / config->granule > MAL_HEAP_MAX ||
	    (!config->buffer && config->length > mem->region_length) ||
	    config->length > SIZE_MAX / 4)
		return -EFBIG;
	return 0;
}

/* The only chunk: the buffer that we are told to lie in, or one of our own. */
static int add_all(struct memalloc_heap *heap, const struct memalloc_buffer *borrowed)
{
	struct memalloc_buffer *buffer = &heap->buffers[0];
	int err = 0;

	if (borrowed)
		*buffer = *borrowed;
	else
		err = memalloc_buffer_alloc(heap->mem, bytes_of(heap, heap->chunk), 0, buffer);
	if (err)
		return err;
	err = memalloc_space_map(heap->mem, buffer, heap->base);
	if (err && !borrowed)
		memalloc_buffer_free(heap->mem, buffer);
	heap->borrowed = borrowed;
	heap->frontier = 1;
	heap->stats.chunks = 1;
	return err;
}

int memalloc_heap_create(struct memalloc *mem, const struct memalloc_heap_config *from,
			 struct memalloc_heap **created)
{
	struct memalloc_heap_config config;
	struct memalloc_heap *heap;
	int saved_errno = errno;
	size_t alignment;
	u32 granules;
	int err;

	err = read_config(mem, from, &config);
	if (err)
		return err;
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		goto no_memory;
	heap->mem = mem;
	heap->shift = mal_low_bit64(config.granule);
	heap->growing = config.chunk;
	granules = config.length >> heap->shift;
	heap->space = config.buffer ? config.buffer->real_length : bytes_of(heap, granules);
	heap->chunk = config.chunk ? config.chunk >> heap->shift : granules;
	heap->chunks = granules / heap->chunk;
	heap->spare = MAL_NONE;
	heap->buffers = calloc(heap->chunks, sizeof(*heap->buffers));
	if (!heap->buffers)
		goto free_heap;
	if (core_create(&heap->core, granules, mal_fit_by_name(config.fit)))
		goto free_buffers;

	alignment = bytes_of(heap, core_max_align(&heap->core));
	if (alignment < (size_t)getpagesize())
		alignment = getpagesize();
	err = memalloc_space_reserve(heap->space, alignment, (void **)&heap->base);
	if (err)
		goto unmap_tags;
	if (heap->growing)
		mal_heap_alloc_at(&heap->core, 0, granules, NOT_THERE);
	else
		err = add_all(heap, config.buffer);
	if (err)
		goto unmap_space;
	pthread_mutex_init(&heap->lock, NULL);
	*created = heap;
	errno = saved_errno;
	return 0;

unmap_space:
	munmap(heap->base, heap->space);
unmap_tags:
	core_destroy(&heap->core);
	free(heap->buffers);
	free(heap);
	errno = saved_errno;
	return err;

free_buffers:
	free(heap->buffers);
free_heap:
	free(heap);
no_memory:
	errno = saved_errno;
	return -ENOMEM;
}

size_t memalloc_heap_destroy(struct memalloc_heap *heap,
			     void (*leak)(const struct memalloc_heap_block *block, void *data),
			     void *data)
{
	struct memalloc_heap_block block;
	int saved_errno = errno;
	size_t leaks = 0;
	u32 cursor = 0;
	u32 chunk;

	if (!heap)
		return 0;
	while (next_block(heap, &cursor, &block)) {
		if (!block.requested)
			continue;
		leaks++;
		if (leak)
			leak(&block, data);
	}
	/* Piece by piece: where one is gone, another thread may have something already. */
	for (chunk = 0; chunk < heap->frontier; chunk++) {
		struct memalloc_buffer *buffer = &heap->buffers[chunk];
		void *address = address_of(heap, chunk * heap->chunk);

		if (!is_there(heap, chunk)) {
			munmap(address, bytes_of(heap, heap->chunk));
			continue;
		}
		memalloc_buffer_unmap(buffer, address);
		if (!heap->borrowed)
			memalloc_buffer_free(heap->mem, buffer);
	}
	if (heap->frontier < heap->chunks)
		munmap(address_of(heap, heap->frontier * heap->chunk),
		       bytes_of(heap, (heap->chunks - heap->frontier) * heap->chunk));
	core_destroy(&heap->core);
	pthread_mutex_destroy(&heap->lock);
	free(heap->buffers);
	free(heap);
	errno = saved_errno;
	return leaks;
}
