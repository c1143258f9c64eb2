/* SPDX-License-Identifier: MIT */
/* Addresses that are set aside, and mappings at them. Lengths and alignments are whole pages. */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* Of mmap(): address space without memory. */
#define NOTHING		(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* Set @length bytes aside that begin at a multiple of @alignment, a power of two; or NULL. */
static inline void *addresses_reserve(size_t length, size_t alignment)
{
	const size_t all = length + alignment - getpagesize();
	size_t before;
	char *start;

	if (all < length)
		return NULL;
	start = mmap(NULL, all, PROT_NONE, NOTHING, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)start & (alignment - 1);
	if (before)
		munmap(start, before);
	if (all > before + length)
		munmap(start + before + length, all - before - length);
	return start + before;
}

/* Take away what is mapped in addresses that are set aside. 0 or -errno. */
static inline int addresses_clear(void *place, size_t length)
{
	void *mapped = mmap(place, length, PROT_NONE, NOTHING | MAP_FIXED, -1, 0);

	return mapped == MAP_FAILED ? -errno : 0;
}

/*
 * mmap() of a file, shared, at @place or, if that is NULL, anywhere. At a fixed address, the kernel
 * unmaps what is there before it knows whether it can map the file: another thread might get the
 * addresses. So this maps elsewhere, and then moves the mapping.
 */
static inline void *addresses_map(void *place, size_t length, int protection, int fd, off_t offset)
{
	void *mapped = mmap(NULL, length, protection, MAP_SHARED, fd, offset);
	void *moved;

	if (mapped == MAP_FAILED || !place)
		return mapped;
	moved = mremap(mapped, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	if (moved == MAP_FAILED)
		munmap(mapped, length);
	return moved;
}

#endif /* ADDRESSES_H */
