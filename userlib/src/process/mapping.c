// SPDX-License-Identifier: MIT
/* See mapping.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../addresses.h"
#include "buffer.h"
#include "mapping.h"

struct mapping {
	uintptr_t address;	/* first: what the tree compares */
	u64 length;
	struct buffer *buffer;
	u64 offset;		/* of what is mapped, in the buffer */
};

static void *mappings;		/* a tree, by address */

static int compare_addresses(const void *a, const void *b)
{
	const uintptr_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The buffer that may be mapped as @buffer says, with one user more. */
static int get_mappable(struct region *region, const struct memalloc_buffer *buffer,
			int protection, struct buffer **found)
{
	const u64 granule = buffer->mmap_offset >> region->shift;
	u64 rest;

	if (!region_is_ours(region))
		return -EBADF;
	/* As mmap() does before it asks a device. */
	if (!buffer->real_length ||
	    buffer->mmap_offset & (region_bytes(region, 1) - 1))
		return -EINVAL;
	*found = granule < region->heap.granules ? buffer_at(region, granule) : NULL;
	if (!*found || !((*found)->handle[false] || (*found)->handle[true]))
		return -ENOENT;
	rest = buffer_offset(*found) + buffer_real_length(*found) - buffer->mmap_offset;
	if (buffer->real_length > rest)
		return -EINVAL;
	if (protection & PROT_WRITE && !(*found)->handle[true])
		return -EACCES;
	(*found)->users++;
	region->users++;
	return 0;
}

/* Without the lock. */
static void put_mappable(struct buffer *buffer)
{
	struct region *region = buffer->region;

	region_lock();
	buffer_put(buffer);
	region_put(region);
	region_unlock();
}

/*
 * Remember a mapping, with the lock held. If another one is known at its address, the program
 * unmapped that itself: *@stale is to be dropped.
 */
static int insert_mapping(struct mapping *mapping, struct mapping **stale)
{
	struct mapping **found = tsearch(mapping, &mappings, compare_addresses);

	*stale = NULL;
	if (found && *found != mapping) {
		*stale = *found;
		*found = mapping;
	}
	return found ? 0 : -ENOMEM;
}

static int add_mapping(struct mapping *mapping)
{
	struct mapping *stale;
	int err;

	region_lock();
	err = insert_mapping(mapping, &stale);
	region_unlock();
	if (stale)
		mapping_drop(stale);
	return err;
}

int process_map(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		void *place, void **address)
{
	struct mapping *mapping = malloc(sizeof(*mapping));
	void *mapped;
	int err;

	if (!mapping)
		return -ENOMEM;
	region_lock();
	err = get_mappable(mem->region, buffer, protection, &mapping->buffer);
	region_unlock();
	if (err)
		goto free_mapping;

	err = memalloc_map_file(mem, buffer, protection, place, &mapped);
	if (err)
		goto put_buffer;
	mapping->address = (uintptr_t)mapped;
	mapping->length = buffer->real_length;
	mapping->offset = buffer->mmap_offset - buffer_offset(mapping->buffer);
	err = add_mapping(mapping);
	if (err)
		goto unmap;
	*address = mapped;
	return 0;

unmap:
	if (place)
		addresses_clear(place, buffer->real_length);
	else
		munmap(mapped, buffer->real_length);
put_buffer:
	put_mappable(mapping->buffer);
free_mapping:
	free(mapping);
	return err;
}

struct mapping *mapping_take(void *address, uint64_t length, int *err)
{
	const uintptr_t key = (uintptr_t)address;
	struct mapping *const *found;
	struct mapping *mapping = NULL;

	*err = 0;
	region_lock();
	found = tfind(&key, &mappings, compare_addresses);
	if (found && (*found)->length != length) {
		*err = -EINVAL;
	} else if (found) {
		mapping = *found;
		tdelete(mapping, &mappings, compare_addresses);
	}
	region_unlock();
	return mapping;
}

void mapping_drop(struct mapping *mapping)
{
	put_mappable(mapping->buffer);
	free(mapping);
}

void mapping_put_back(struct mapping *mapping)
{
	/* Where there is no memory to remember it, the buffer is kept for good. */
	add_mapping(mapping);
}

/* With the lock held; *@rest is the second one. False: there is nothing to split. */
static bool cut_mapping(struct mapping *mapping, uint64_t length, struct mapping *rest)
{
	if (mapping->length <= length)
		return false;
	*rest = (struct mapping) {
		.address = mapping->address + length,
		.length = mapping->length - length,
		.buffer = mapping->buffer,
		.offset = mapping->offset + length,
	};
	return true;
}

int mapping_split(void *address, uint64_t length)
{
	struct mapping *rest = malloc(sizeof(*rest)), *stale = NULL;
	const uintptr_t key = (uintptr_t)address;
	struct mapping *const *found;
	bool splits;
	int err = 0;

	if (!rest)
		return -ENOMEM;
	region_lock();
	found = tfind(&key, &mappings, compare_addresses);
	splits = found && cut_mapping(*found, length, rest);
	if (splits) {
		struct mapping *mapping = *found;

		err = insert_mapping(rest, &stale);
		splits = !err;
		if (splits) {
			mapping->length = length;
			rest->buffer->users++;
			rest->buffer->region->users++;
		}
	}
	region_unlock();
	if (stale)
		mapping_drop(stale);
	if (!splits)
		free(rest);
	return err;
}

/* For tfind(): the mapping that has that address. */
static int compare_to_range(const void *address, const void *mapping)
{
	const uintptr_t *at = address;
	const struct mapping *m = mapping;

	return *at < m->address ? -1 : *at - m->address >= m->length;
}

struct buffer *mapping_buffer(const struct region *region, uint64_t address, uint64_t *offset)
{
	const uintptr_t key = address;
	struct mapping *const *found = tfind(&key, &mappings, compare_to_range);

	if (!found || (*found)->buffer->region != region)
		return NULL;
	*offset = (*found)->offset + (key - (*found)->address);
	return (*found)->buffer;
}
