/* SPDX-License-Identifier: MIT */
/* Buffers in the addresses of the program: where the kernel likes, or at a place set aside. */
#ifndef SPACE_H
#define SPACE_H

#include "backend.h"

/*
 * memalloc_space_reserve() sets aside addresses for @length bytes from a multiple of @alignment on,
 * a power of two of pages; munmap() gives them back, in whole pages. Until then, a mapping of a
 * buffer can be put there and taken away again: no other thread gets the addresses in between,
 * nor after a failure. A part of a buffer is mapped as a buffer that has the part's mmap_offset and
 * real_length.
 */
int memalloc_space_reserve(size_t length, size_t alignment, void **space);
int memalloc_space_map(struct memalloc *mem, const struct memalloc_buffer *buffer,
		       unsigned int flags, void *place);
int memalloc_space_unmap(const struct memalloc_buffer *buffer, void *place);

/*
 * The same in steps, for parts of mappings, and for several at once. memalloc_space_clear() takes
 * away what is mapped in @length bytes from @place on. Before that, a mapping of which only some is
 * to go is split, so that @length bytes of it are one of its own. After that, each mapping that is
 * gone is forgotten. -ENOMEM, where that is possible.
 */
int memalloc_space_split(void *place, uint64_t length);
int memalloc_space_clear(void *place, uint64_t length);
void memalloc_space_forget(void *place, uint64_t length);

#endif /* SPACE_H */
