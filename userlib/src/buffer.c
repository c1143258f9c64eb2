// SPDX-License-Identifier: MIT
/* Buffers: their handles, and their way to others as dma-bufs. Their mappings are in space.c. */
#include <errno.h>
#include <fcntl.h>

#include "backend.h"

static int alloc_buffer(struct memalloc *mem, struct memalloc_alloc *alloc,
			struct memalloc_buffer *buffer)
{
	int err;

	alloc->size = sizeof(*alloc);
	err = memalloc_call(mem, MEMALLOC_IOC_ALLOC, alloc);
	if (err)
		return err;
	*buffer = (struct memalloc_buffer) {
		.length = alloc->length,
		.real_length = alloc->real_length,
		.mmap_offset = alloc->mmap_offset,
		.handle = alloc->handle,
		.access = MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE,
	};
	return 0;
}

int memalloc_buffer_alloc(struct memalloc *mem, uint64_t length, uint64_t alignment,
			  struct memalloc_buffer *buffer)
{
	struct memalloc_alloc alloc = { .length = length, .alignment = alignment };

	return alloc_buffer(mem, &alloc, buffer);
}

int memalloc_buffer_alloc_huge(struct memalloc *mem, uint64_t length,
			       struct memalloc_buffer *buffer)
{
	struct memalloc_alloc alloc = { .flags = MEMALLOC_ALLOC_HUGE, .length = length };

	return alloc_buffer(mem, &alloc, buffer);
}

int memalloc_buffer_free(struct memalloc *mem, struct memalloc_buffer *buffer)
{
	struct memalloc_free args = {
		.size = sizeof(args),
		.handle = buffer->handle,
		.length = buffer->length,
	};
	int err;

	err = memalloc_call(mem, MEMALLOC_IOC_FREE, &args);
	if (err)
		return err;
	buffer->handle = 0;
	return 0;
}

int memalloc_buffer_query(struct memalloc *mem, uint32_t handle,
			  struct memalloc_buffer *buffer)
{
	struct memalloc_query query = {
		.size = sizeof(query),
		.handle = handle,
	};
	int err;

	err = memalloc_call(mem, MEMALLOC_IOC_QUERY, &query);
	if (err)
		return err;
	*buffer = (struct memalloc_buffer) {
		.length = query.length,
		.real_length = query.real_length,
		.mmap_offset = query.mmap_offset,
		.handle = handle,
		.access = query.access,
	};
	return 0;
}

int memalloc_buffer_export(struct memalloc *mem, const struct memalloc_buffer *buffer,
			   unsigned int flags)
{
	return memalloc_buffer_export_part(mem, buffer, 0, 0, flags);
}

int memalloc_buffer_export_part(struct memalloc *mem, const struct memalloc_buffer *buffer,
				uint64_t offset, uint64_t length, unsigned int flags)
{
	struct memalloc_export args = {
		.size = sizeof(args),
		.handle = buffer->handle,
		.open_flags = O_CLOEXEC,
		.offset = offset,
		.length = length,
	};
	int err;

	if (flags & ~MEMALLOC_READ_ONLY)
		return -EINVAL;
	args.open_flags |= flags & MEMALLOC_READ_ONLY ? O_RDONLY : O_RDWR;

	err = memalloc_call(mem, MEMALLOC_IOC_EXPORT, &args);
	return err ? err : args.fd;
}

int memalloc_buffer_import(struct memalloc *mem, int fd, unsigned int flags,
			   struct memalloc_buffer *buffer)
{
	struct memalloc_import args = {
		.size = sizeof(args),
		.fd = fd,
	};
	int err;

	if (flags & ~MEMALLOC_READ_ONLY)
		return -EINVAL;
	if (flags & MEMALLOC_READ_ONLY)
		args.flags |= MEMALLOC_IMPORT_READ_ONLY;

	err = memalloc_call(mem, MEMALLOC_IOC_IMPORT, &args);
	if (err)
		return err;
	*buffer = (struct memalloc_buffer) {
		.length = args.length,
		.real_length = args.real_length,
		.mmap_offset = args.mmap_offset,
		.handle = args.handle,
		.access = args.access,
	};
	return 0;
}

static int translate(struct memalloc *mem, struct memalloc_translate *args,
		     struct memalloc_place *place)
{
	int err;

	args->size = sizeof(*args);
	err = memalloc_call(mem, MEMALLOC_IOC_TRANSLATE, args);
	if (err)
		return err;
	*place = (struct memalloc_place) {
		.handle = args->handle,
		.offset = args->offset,
		.length = args->length,
		.region_offset = args->region_offset,
	};
	return 0;
}

int memalloc_translate(struct memalloc *mem, const void *address, struct memalloc_place *place)
{
	struct memalloc_translate args = {
		.flags = MEMALLOC_TRANSLATE_ADDRESS,
		.address = (uintptr_t)address,
	};

	return translate(mem, &args, place);
}

int memalloc_buffer_translate(struct memalloc *mem, const struct memalloc_buffer *buffer,
			      uint64_t offset, struct memalloc_place *place)
{
	struct memalloc_translate args = { .handle = buffer->handle, .offset = offset };

	return translate(mem, &args, place);
}
