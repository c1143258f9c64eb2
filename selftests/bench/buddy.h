/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The binary buddy system of the textbooks (D. E. Knuth, The Art of Computer Programming,
 * vol. 1, section 2.5), which the benchmarks set beside the core. A block has a power
 * of two of granules and lies at a multiple of its size. The range need not be a power of
 * two: it begins as the fewest blocks that cover it. As with the core, what the allocator
 * writes down is kept beside the range, not in it.
 */
#ifndef BUDDY_H
#define BUDDY_H

#include "platform.h"

#define BUDDY_ORDERS	31
#define BUDDY_NONE	0xffffffffu

struct buddy {
	u32 (*link)[2];			/* of free blocks: next and previous of their order */
	unsigned char *state;		/* of granules: of the block that begins there */
	u32 granules;
	u32 filled;			/* orders that have a free block */
	u32 first[BUDDY_ORDERS];
};

/* Bytes of memory that a range of @granules needs. */
size_t buddy_bytes(u32 granules);

/* @memory is buddy_bytes() of zeros. */
void buddy_init(struct buddy *buddy, void *memory, u32 granules);

/* The first granule of a block of @size or more at a multiple of @align, or BUDDY_NONE. */
u32 buddy_alloc(struct buddy *buddy, u32 size, u32 align);

/* Is the block large enough for @size, and not twice what that takes? */
bool buddy_resize(struct buddy *buddy, u32 head, u32 size);

void buddy_free(struct buddy *buddy, u32 head);

/* NULL, or what is not sound; *@free is how many granules are. */
const char *buddy_check(const struct buddy *buddy, u32 *free);

#endif /* BUDDY_H */
