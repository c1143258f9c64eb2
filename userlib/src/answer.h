/* SPDX-License-Identifier: MIT */
/* Structs of figures, of which the caller may know more or less than the library. */
#ifndef ANSWER_H
#define ANSWER_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Fill in the caller's struct, of @size bytes, with the library's, of @known bytes. What the
 * library does not know is zero. -EINVAL: @size is less than the first version's, @least.
 */
static inline int answer_copy(void *to, size_t size, size_t least, const void *answer, size_t known)
{
	if (size < least)
		return -EINVAL;
	memset(to, 0, size);
	memcpy(to, answer, size < known ? size : known);
	return 0;
}

/* How much of the free bytes is not in the largest block, in thousandths. */
static inline uint32_t answer_fragmentation(uint64_t free, uint64_t largest_free)
{
	return free ? 1000 * (free - largest_free) / free : 0;
}

#endif /* ANSWER_H */
