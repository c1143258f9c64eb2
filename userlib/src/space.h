/* SPDX-License-Identifier: MIT */
/* Buffers in the addresses of the program: where the kernel likes, or at a place set aside. */
#ifndef SPACE_H
#define SPACE_H

#include "backend.h"

/*
 * memalloc_space_reserve() sets aside addresses for @length bytes from a multiple of @alignment on,
 * a power of two of pages; munmap() gives them back, in whole pages. Until then, a writable mapping
 * of a buffer can be put there and taken away again: no other thread gets the addresses in between,
 * nor after a failure.
 */
int memalloc_space_reserve(size_t length, size_t alignment, void **space);
int memalloc_space_map(struct memalloc *mem, const struct memalloc_buffer *buffer, void *place);
int memalloc_space_unmap(const struct memalloc_buffer *buffer, void *place);

#endif /* SPACE_H */
