// SPDX-License-Identifier: MIT
/* See buffer.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "udmabuf.h"

u64 buffer_real_length(const struct buffer *buffer)
{
	const struct region *region = buffer->region;

	return region_bytes(region, mal_block_size(&region->heap, buffer->first));
}

u64 buffer_offset(const struct buffer *buffer)
{
	return region_bytes(buffer->region, buffer->first);
}

struct buffer *buffer_at(const struct region *region, u32 granule)
{
	u32 head = mal_heap_block_of(&region->heap, granule);

	if (!mal_block_used(&region->heap, head))
		return NULL;
	return (void *)(uintptr_t)mal_block_owner(&region->heap, head);
}

/* Give the memory back, which then reads as zeros again. */
static void release_buffer(struct buffer *buffer)
{
	struct region *region = buffer->region;
	const u64 bytes = buffer_real_length(buffer);
	int err = 0;

	if (region_is_ours(region))
		err = fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				buffer_offset(buffer), bytes);
	region->stats.requested -= buffer->length;
	region->stats.frees++;
	if (err) {
		/* The memory was not cleared: it is given to nobody any more. */
		region->heap.tags[buffer->first].owner = 0;
		region->stats.retired += bytes;
	} else {
		mal_heap_free(&region->heap, buffer->first, 0);
		region->stats.freed += bytes;
	}
	free(buffer);
}

/* The dma-buf at *@link. Its buffer may be gone then. */
static void drop_export(struct export **link)
{
	struct export *export = *link;
	struct buffer *buffer = export->buffer;

	*link = export->next;
	close(export->dmabuf);
	free(export);
	buffer->exports--;
	if (!buffer->users && !buffer->exports)
		release_buffer(buffer);
}

/* Drop the dma-bufs of @buffer, or of all, that nobody else has. */
static void drop_closed_exports(struct region *region, const struct buffer *buffer)
{
	struct export **link = &region->exports;

	while (*link) {
		if ((buffer && (*link)->buffer != buffer) || udmabuf_is_shared((*link)->dmabuf))
			link = &(*link)->next;
		else
			drop_export(link);
	}
}

void buffer_put(struct buffer *buffer)
{
	buffer->users--;
	if (buffer->users)
		return;
	if (buffer->exports)
		drop_closed_exports(buffer->region, buffer);
	else
		release_buffer(buffer);
}

static struct export *find_export(struct buffer *buffer, u64 offset, u64 length)
{
	struct export *export = buffer->region->exports;

	while (export && (export->buffer != buffer || export->offset != offset ||
			  export->length != length))
		export = export->next;
	return export;
}

/* A descriptor; where there are none left, closed exports have some. */
static int create_dmabuf(struct buffer *buffer, u64 offset, u64 length)
{
	struct region *region = buffer->region;
	int dmabuf = udmabuf_create(region->fd, buffer_offset(buffer) + offset, length);

	if (dmabuf != -EMFILE)
		return dmabuf;
	drop_closed_exports(region, NULL);
	return udmabuf_create(region->fd, buffer_offset(buffer) + offset, length);
}

static int add_export(struct buffer *buffer, struct export *export)
{
	struct stat status;

	export->dmabuf = create_dmabuf(buffer, export->offset, export->length);
	if (export->dmabuf < 0)
		return export->dmabuf;
	if (fstat(export->dmabuf, &status)) {
		const int err = -errno;

		close(export->dmabuf);
		return err;
	}
	export->buffer = buffer;
	export->device = status.st_dev;
	export->inode = status.st_ino;
	export->next = buffer->region->exports;
	buffer->region->exports = export;
	buffer->exports++;
	return export->dmabuf;
}

int buffer_export(struct buffer *buffer, u64 offset, u64 length)
{
	struct export *export = find_export(buffer, offset, length);
	int dmabuf;

	if (export)
		return export->dmabuf;
	export = calloc(1, sizeof(*export));
	if (!export)
		return -ENOMEM;
	export->offset = offset;
	export->length = length;
	dmabuf = add_export(buffer, export);
	if (dmabuf < 0)
		free(export);
	return dmabuf;
}

void buffer_check_exports(struct region *region)
{
	drop_closed_exports(region, NULL);
}

void buffer_forget_exports(struct region *region)
{
	while (region->exports)
		drop_export(&region->exports);
}
