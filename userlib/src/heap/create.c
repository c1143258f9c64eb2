// SPDX-License-Identifier: MIT
/* How heaps are made and destroyed. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../space.h"
#include "visit.h"

/* The caller's configuration, checked, with the defaults filled in. */
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

/*
 * Map the only chunk of a heap that does not grow: the caller's buffer, or one of the heap's own.
 */
static int map_buffer(struct memalloc_heap *heap, const struct memalloc_buffer *borrowed)
{
	struct memalloc_buffer *buffer = &heap->buffers[0];
	int err = 0;

	if (borrowed)
		*buffer = *borrowed;
	else
		err = memalloc_buffer_alloc(heap->mem, bytes_of(heap, heap->chunk), 0, buffer);
	if (err)
		return err;
	err = memalloc_space_map(heap->mem, buffer, 0, heap->base);
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
	err = -ENOMEM;
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		goto out;
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
		err = map_buffer(heap, config.buffer);
	if (err)
		goto unmap_space;
	pthread_mutex_init(&heap->lock, NULL);
	*created = heap;
	goto out;

unmap_space:
	munmap(heap->base, heap->space);
unmap_tags:
	core_destroy(&heap->core);
free_buffers:
	free(heap->buffers);
free_heap:
	free(heap);
out:
	errno = saved_errno;
	return err;
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
	while (heap_next_block(heap, &cursor, &block)) {
		if (!block.requested)
			continue;
		leaks++;
		if (leak)
			leak(&block, data);
	}
	/*
	 * Chunk by chunk: where one is unmapped, another thread may have mapped something already.
	 */
	for (chunk = 0; chunk < heap->frontier; chunk++) {
		struct memalloc_buffer *buffer = &heap->buffers[chunk];
		void *address = address_of(heap, chunk * heap->chunk);

		if (!chunk_is_there(heap, chunk)) {
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
