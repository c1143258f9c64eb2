// SPDX-License-Identifier: MIT
/* Buffers: their handles, their mappings, and their way to others as dma-bufs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "addresses.h"
#include "backend.h"

int memalloc_buffer_alloc(struct memalloc *mem, uint64_t length, uint64_t alignment,
			  struct memalloc_buffer *buffer)
{
	struct memalloc_alloc alloc = {
		.size = sizeof(alloc),
		.length = length,
		.alignment = alignment,
	};
	int err;

	err = memalloc_call(mem, MEMALLOC_IOC_ALLOC, &alloc);
	if (err)
		return err;
	*buffer = (struct memalloc_buffer) {
		.length = length,
		.real_length = alloc.real_length,
		.mmap_offset = alloc.mmap_offset,
		.handle = alloc.handle,
		.access = MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE,
	};
	return 0;
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

int memalloc_map_file(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		      void *place, void **address)
{
	void *mapped = addresses_map(place, buffer->real_length, protection, mem->fd,
				     buffer->mmap_offset);

	if (mapped == MAP_FAILED)
		return -errno;
	*address = mapped;
	return 0;
}

static int map(struct memalloc *mem, const struct memalloc_buffer *buffer, unsigned int flags,
	       void *place, void **address)
{
	int protection = PROT_READ;
	int saved_errno = errno;
	int err;

	if (flags & ~MEMALLOC_READ_ONLY)
		return -EINVAL;
	if (!buffer->handle)
		return -ENOENT;
	/* On a 32-bit machine, a buffer may be larger than the address space. */
	if ((size_t)buffer->real_length != buffer->real_length)
		return -ENOMEM;
	if (!(flags & MEMALLOC_READ_ONLY))
		protection |= PROT_WRITE;

	err = mem->operations->map(mem, buffer, protection, place, address);
	errno = saved_errno;
	return err;
}

int memalloc_buffer_map(struct memalloc *mem, const struct memalloc_buffer *buffer,
			unsigned int flags, void **address)
{
	return map(mem, buffer, flags, NULL, address);
}

int memalloc_space_clear(void *place, size_t length)
{
	void *mapped = mmap(place, length, PROT_NONE, NOTHING | MAP_FIXED, -1, 0);

	return mapped == MAP_FAILED ? -errno : 0;
}

/* Take a mapping away; with @reserve, keep its place as memalloc_space_reserve() made it. */
static int unmap(const struct memalloc_buffer *buffer, void *address, bool reserve)
{
	int saved_errno = errno;
	struct mapping *mapping;
	int err;

	mapping = memalloc_mapping_take(address, buffer->real_length, &err);
	if (err)
		return err;
	if (reserve)
		err = memalloc_space_clear(address, buffer->real_length);
	else if (munmap(address, buffer->real_length))
		err = -errno;
	if (mapping && err)
		memalloc_mapping_put_back(mapping);
	else if (mapping)
		memalloc_mapping_drop(mapping);
	errno = saved_errno;
	return err;
}

int memalloc_buffer_unmap(const struct memalloc_buffer *buffer, void *address)
{
	return unmap(buffer, address, false);
}

int memalloc_space_reserve(size_t length, size_t alignment, void **space)
{
	const size_t page = getpagesize();
	const size_t pages = (length + page - 1) & ~(page - 1);
	int saved_errno = errno;
	void *addresses;

	if (pages < length)
		return -ENOMEM;
	addresses = addresses_reserve(pages, alignment);
	errno = saved_errno;
	if (!addresses)
		return -ENOMEM;
	*space = addresses;
	return 0;
}

int memalloc_space_map(struct memalloc *mem, const struct memalloc_buffer *buffer, void *place)
{
	return map(mem, buffer, 0, place, &place);
}

int memalloc_space_unmap(const struct memalloc_buffer *buffer, void *place)
{
	return unmap(buffer, place, true);
}

int memalloc_buffer_export(struct memalloc *mem, const struct memalloc_buffer *buffer,
			   unsigned int flags)
{
	struct memalloc_export args = {
		.size = sizeof(args),
		.handle = buffer->handle,
		.open_flags = O_CLOEXEC,
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
