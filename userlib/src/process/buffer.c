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

static void drop_dmabuf(struct buffer *buffer)
{
	struct buffer **link = &buffer->region->exported;

	while (*link != buffer)
		link = &(*link)->next_exported;
	*link = buffer->next_exported;
	close(buffer->dmabuf);
	buffer->dmabuf = -1;
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

/* Release it, if nobody has it any more. */
static void check_users(struct buffer *buffer)
{
	if (buffer->users)
		return;
	if (buffer->dmabuf >= 0) {
		if (udmabuf_is_shared(buffer->dmabuf))
			return;
		drop_dmabuf(buffer);
	}
	release_buffer(buffer);
}

void buffer_put(struct buffer *buffer)
{
	buffer->users--;
	check_users(buffer);
}

int buffer_export(struct buffer *buffer)
{
	struct stat status;
	int err;

	buffer->dmabuf = udmabuf_create(buffer->region->fd, buffer_offset(buffer),
					buffer_real_length(buffer));
	if (buffer->dmabuf < 0) {
		err = buffer->dmabuf;
		buffer->dmabuf = -1;
		return err;
	}
	if (fstat(buffer->dmabuf, &status)) {
		err = -errno;
		close(buffer->dmabuf);
		buffer->dmabuf = -1;
		return err;
	}
	buffer->dmabuf_device = status.st_dev;
	buffer->dmabuf_inode = status.st_ino;
	buffer->next_exported = buffer->region->exported;
	buffer->region->exported = buffer;
	return 0;
}

void buffer_check_exports(struct region *region)
{
	struct buffer *buffer, *next;

	for (buffer = region->exported; buffer; buffer = next) {
		next = buffer->next_exported;
		check_users(buffer);
	}
}

void buffer_forget_exports(struct region *region)
{
	while (region->exported) {
		struct buffer *buffer = region->exported;

		drop_dmabuf(buffer);
		check_users(buffer);
	}
}
