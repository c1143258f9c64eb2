// SPDX-License-Identifier: MIT
/* Buffers in the addresses of the program. See space.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "addresses.h"
#include "process/mapping.h"
#include "space.h"

static int map_buffer(struct memalloc *mem, const struct memalloc_buffer *buffer,
		      unsigned int flags, void *place, void **address)
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
	return map_buffer(mem, buffer, flags, NULL, address);
}

/* Take a mapping away. @reserve: its addresses stay set aside. */
static int unmap_buffer(const struct memalloc_buffer *buffer, void *address, bool reserve)
{
	int saved_errno = errno;
	struct mapping *mapping;
	int err;

	mapping = mapping_take(address, buffer->real_length, &err);
	if (err)
		return err;
	if (reserve)
		err = addresses_clear(address, buffer->real_length);
	else if (munmap(address, buffer->real_length))
		err = -errno;
	if (mapping && err)
		mapping_put_back(mapping);
	else if (mapping)
		mapping_drop(mapping);
	errno = saved_errno;
	return err;
}

int memalloc_buffer_unmap(const struct memalloc_buffer *buffer, void *address)
{
	return unmap_buffer(buffer, address, false);
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

int memalloc_space_map(struct memalloc *mem, const struct memalloc_buffer *buffer,
		       unsigned int flags, void *place)
{
	return map_buffer(mem, buffer, flags, place, &place);
}

int memalloc_space_unmap(const struct memalloc_buffer *buffer, void *place)
{
	return unmap_buffer(buffer, place, true);
}

int memalloc_space_split(void *place, uint64_t length)
{
	int saved_errno = errno;
	int err = mapping_split(place, length);

	errno = saved_errno;
	return err;
}

int memalloc_space_clear(void *place, uint64_t length)
{
	int saved_errno = errno;
	int err = addresses_clear(place, length);

	errno = saved_errno;
	return err;
}

void memalloc_space_forget(void *place, uint64_t length)
{
	int saved_errno = errno;
	int err;
	struct mapping *mapping = mapping_take(place, length, &err);

	if (mapping)
		mapping_drop(mapping);
	errno = saved_errno;
}
