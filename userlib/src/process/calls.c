// SPDX-License-Identifier: MIT
/* See calls.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../answer.h"
#include "calls.h"
#include "handle.h"
#include "mapping.h"

static u32 access_bits(bool writable)
{
	return MEMALLOC_ACCESS_READ | (writable ? MEMALLOC_ACCESS_WRITE : 0);
}

/* Fill in the struct of a caller, who knows @size bytes of it. Its first version had @least. */
static int respond_to_call(void *to, u32 size, size_t least, const void *answer, size_t known)
{
	if (size > (u32)getpagesize())
		return -E2BIG;
	return answer_copy(to, size, least, answer, known);
}

static int info_call(struct region *region, void *argument)
{
	struct memalloc_info *info = argument;
	struct memalloc_info answer = {
		.size = info->size,
		.features = MEMALLOC_FEATURE_TRANSLATE |
			    (region->has_udmabuf ? MEMALLOC_FEATURE_DMABUF |
						   MEMALLOC_FEATURE_PARTS : 0),
		.region_length = region_bytes(region, region->heap.granules),
		.granule = region_bytes(region, 1),
		.node = -1,
		.max_alignment = region_bytes(region, core_max_align(&region->heap)),
		.fit = "good",
		.client = 1,
		.memory = MEMALLOC_MEMORY_PAGES | MEMALLOC_MEMORY_LONG_PINS |
			  MEMALLOC_MEMORY_CACHED,
		.source = "process",
		.ranges = 1,
		.ranges_max = 1,
		.buffer_max = region_bytes(region, region->heap.granules),
		.layout_length = region_bytes(region, region->heap.granules),
		.range_lengths[0] = region_bytes(region, region->heap.granules),
	};

	memcpy(answer.name, region->name, sizeof(answer.name));
	return respond_to_call(info, info->size, offsetof(struct memalloc_info, client), &answer,
			       sizeof(answer));
}

static int stats_call(struct region *region, void *argument)
{
	struct memalloc_stats *stats = argument;
	const struct mal_heap *heap = &region->heap;
	struct memalloc_stats answer;

	buffer_check_exports(region);
	answer = region->stats;
	answer.size = stats->size;
	answer.region_length = region_bytes(region, heap->granules);
	answer.free = region_bytes(region, heap->free);
	answer.largest_free = region_bytes(region, mal_heap_largest(heap));
	answer.free_blocks = heap->free_blocks;
	answer.used = answer.region_length - answer.free;
	answer.buffers = answer.allocs - answer.frees;
	answer.clients = 1;
	answer.fragmentation = answer_fragmentation(answer.free, answer.largest_free);
	return respond_to_call(stats, stats->size, offsetof(struct memalloc_stats, dirty), &answer,
			       sizeof(answer));
}

static int make_buffer(struct region *region, struct memalloc_alloc *alloc)
{
	struct mal_request req;
	struct buffer *buffer;
	struct handle *handle;
	int err;

	if (alloc->flags)
		return alloc->flags == MEMALLOC_ALLOC_HUGE ? -EOPNOTSUPP : -EINVAL;
	err = core_request(&region->heap, region->shift, alloc->length,
			   alloc->alignment ? alloc->alignment : 1, &req);
	if (err)
		return err;

	buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return -ENOMEM;
	buffer->region = region;
	buffer->length = alloc->length;
	buffer->first = core_alloc(&region->heap, &req, (uintptr_t)buffer);
	if (buffer->first == MAL_NONE) {
		buffer_check_exports(region);
		buffer->first = core_alloc(&region->heap, &req, (uintptr_t)buffer);
	}
	if (buffer->first == MAL_NONE)
		goto free_buffer;
	handle = handle_add(buffer, true);
	if (!handle)
		goto free_block;

	region->stats.requested += buffer->length;
	region->stats.allocs++;
	region->stats.allocated += buffer_real_length(buffer);
	alloc->handle = handle->id;
	alloc->real_length = buffer_real_length(buffer);
	alloc->mmap_offset = buffer_offset(buffer);
	return 0;

free_block:
	mal_heap_free(&region->heap, buffer->first, 0);
free_buffer:
	free(buffer);
	return -ENOMEM;
}

static int alloc_call(struct region *region, void *argument)
{
	int err = make_buffer(region, argument);

	if (err == -ENOMEM || err == -EFBIG)
		region->stats.failures++;
	return err;
}

static int free_call(struct region *region, void *argument)
{
	const struct memalloc_free *free = argument;
	struct handle *handle = handle_find(region, free->handle);

	if (!handle)
		return -ENOENT;
	if (free->length && free->length != handle->buffer->length)
		return -ERANGE;
	handle_remove(handle);
	return 0;
}

static int query_call(struct region *region, void *argument)
{
	struct memalloc_query *query = argument;
	const struct handle *handle = handle_find(region, query->handle);

	if (!handle)
		return -ENOENT;
	query->access = access_bits(handle->writable);
	query->length = handle->buffer->length;
	query->real_length = buffer_real_length(handle->buffer);
	query->mmap_offset = buffer_offset(handle->buffer);
	return 0;
}

static int layout_call(struct region *region, void *argument)
{
	struct memalloc_layout *layout = argument;
	struct memalloc_block *blocks = (void *)(uintptr_t)layout->blocks;
	const struct mal_heap *heap = &region->heap;
	const struct buffer *buffer;
	u32 head, count = 0;

	buffer_check_exports(region);
	head = mal_heap_block_of(heap, layout->offset >> region->shift);
	while (count < layout->count && head < heap->granules) {
		struct memalloc_block *block = &blocks[count++];

		*block = (struct memalloc_block) {
			.offset = region_bytes(region, head),
			.length = region_bytes(region, mal_block_size(heap, head)),
		};
		if (mal_block_used(heap, head)) {
			buffer = buffer_at(region, head);
			block->state = buffer ? MEMALLOC_BLOCK_USED : MEMALLOC_BLOCK_RETIRED;
			if (buffer)
				block->handle = buffer->handle[buffer->handle[true] != 0];
		}
		head += mal_block_size(heap, head);
	}
	layout->count = count;
	layout->offset = region_bytes(region, head);
	return 0;
}

static int export_call(struct region *region, void *argument)
{
	struct memalloc_export *export = argument;
	const struct handle *handle = handle_find(region, export->handle);
	const u64 granule = region_bytes(region, 1);
	u64 size, length;
	int dmabuf;

	if (export->offset & (granule - 1) || export->length & (granule - 1))
		return -EINVAL;
	if (!handle)
		return -ENOENT;
	/* A dma-buf of udmabuf can be written by whoever has it. */
	if ((export->open_flags & O_ACCMODE) == O_RDONLY)
		return -EOPNOTSUPP;
	if (!handle->writable)
		return -EACCES;
	size = buffer_real_length(handle->buffer);
	if (export->offset >= size || export->length > size - export->offset)
		return -EINVAL;
	length = export->length ? export->length : size - export->offset;
	dmabuf = buffer_export(handle->buffer, export->offset, length);
	if (dmabuf < 0)
		return dmabuf;
	export->fd = fcntl(dmabuf, F_DUPFD_CLOEXEC, 0);
	if (export->fd >= 0)
		return 0;
	return errno == EINVAL ? -EMFILE : -errno;	/* EINVAL: a limit of 0 descriptors */
}

static int import_call(struct region *region, void *argument)
{
	struct memalloc_import *import = argument;
	const bool writable = !(import->flags & MEMALLOC_IMPORT_READ_ONLY);
	const struct export *export = region->exports;
	const int flags = fcntl(import->fd, F_GETFL);
	struct buffer *buffer;
	struct stat status;

	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	if (fstat(import->fd, &status))
		return -errno;
	while (export && (export->device != status.st_dev || export->inode != status.st_ino))
		export = export->next;
	if (!export)
		return -EINVAL;
	buffer = export->buffer;
	if (export->length != buffer_real_length(buffer))
		return -EOPNOTSUPP;
	if (!buffer->handle[writable] && !handle_add(buffer, writable))
		return -ENOMEM;

	import->handle = buffer->handle[writable];
	import->length = buffer->length;
	import->real_length = buffer_real_length(buffer);
	import->mmap_offset = buffer_offset(buffer);
	import->access = access_bits(writable);
	return 0;
}

static int translate_call(struct region *region, void *argument)
{
	struct memalloc_translate *translate = argument;
	const bool by_address = translate->flags & MEMALLOC_TRANSLATE_ADDRESS;
	const struct handle *handle;
	struct buffer *buffer;
	uint64_t offset = translate->offset;

	if (translate->flags & MEMALLOC_TRANSLATE_PHYSICAL)
		return -EOPNOTSUPP;
	if (by_address) {
		buffer = mapping_buffer(region, translate->address, &offset);
		if (!buffer)
			return -ENXIO;
		translate->handle = buffer->handle[buffer->handle[true] != 0];
	} else {
		handle = handle_find(region, translate->handle);
		if (!handle)
			return -ENOENT;
		buffer = handle->buffer;
	}
	if (offset >= buffer_real_length(buffer))
		return -EINVAL;
	translate->offset = offset;
	translate->length = buffer_real_length(buffer) - offset;
	translate->region_offset = buffer_offset(buffer) + offset;
	return 0;
}

int process_call(struct memalloc *mem, unsigned long request, void *argument)
{
	static const struct call {
		unsigned long request;
		int (*run)(struct region *region, void *argument);
	} calls[] = {
		{ MEMALLOC_IOC_INFO, info_call },
		{ MEMALLOC_IOC_ALLOC, alloc_call },
		{ MEMALLOC_IOC_FREE, free_call },
		{ MEMALLOC_IOC_QUERY, query_call },
		{ MEMALLOC_IOC_STATS, stats_call },
		{ MEMALLOC_IOC_LAYOUT, layout_call },
		{ MEMALLOC_IOC_EXPORT, export_call },
		{ MEMALLOC_IOC_IMPORT, import_call },
		{ MEMALLOC_IOC_TRANSLATE, translate_call },
		{ 0, NULL }
	};
	const struct call *call = calls;
	int err = -ENOTTY;

	while (call->run && call->request != request)
		call++;
	region_lock();
	if (!region_is_ours(mem->region))
		err = -EBADF;
	else if (call->run)
		err = call->run(mem->region, argument);
	region_unlock();
	return err;
}
