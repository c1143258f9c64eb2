/* SPDX-License-Identifier: MIT */
/* In what units memory comes and goes, and what to say when there is none. */
#ifndef SLICE_H
#define SLICE_H

#include <errno.h>
#include <stddef.h>

#define SLICE_SHIFT	16
#define SLICE_BYTES	((size_t)1 << SLICE_SHIFT)
#define CHUNK_SHIFT	22
#define CHUNK_BYTES	((size_t)1 << CHUNK_SHIFT)
#define CHUNK_SLICES	(CHUNK_BYTES / SLICE_BYTES)

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#ifndef noinline
#define noinline	__attribute__((noinline))
#endif

/* The answer of a call for which there is no memory. */
static inline void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

#endif /* SLICE_H */
