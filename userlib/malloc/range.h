/* SPDX-License-Identifier: MIT */
/*
 * The range: one long run of addresses, chosen once, from which everything comes that malloc()
 * gives out. So one comparison says whether a pointer is ours. All that is known of the memory
 * behind it lies in arrays elsewhere, to which the program has no pointers.
 *
 * Choosing addresses maps nothing. The addresses are far from where the kernel puts mappings, and
 * memory is mapped there when it is needed: limits of the process, mlockall() and the kernel's
 * accounts see what is in use, and no more. What the program itself maps there stays; the range
 * goes on around it. If the program maps something beside the range, where the arrays would grow,
 * there is no more memory.
 *
 * The range is divided into slices. A block is a run of slices, and module/core's heap says which
 * are free. Memory is put behind the addresses a chunk at a time (source.h), or, where there is not
 * as much, as many slices as are needed. When a chunk is free, its memory and its addresses go
 * back. Of a chunk that is free in part, the memory of free slices goes back. The zone, one block
 * that stays, has a heap of its own: its memory is always the process's.
 *
 * One lock guards the range. All functions are called with the lock held, if nothing else is said.
 */
#ifndef RANGE_H
#define RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libc.h"
#include "slice.h"

/* "No slice": no block is found. */
#define NO_SLICE	0xffffffffu

struct slab;

struct range {
	char *base;
	size_t limit;		/* bytes from @base on that have ever been used; only grows */
	struct slab *slabs;	/* one for each slice before @limit */
};

extern struct range range HIDDEN;

void range_lock(void);
void range_unlock(void);

/* Choose the addresses, once; @slab_bytes is known of each slice. False: there are none left. */
bool range_init(size_t slab_bytes);

/*
 * From now on, fork() waits until nobody has the lock. To be called before anybody else registers
 * handlers for fork(), so that ours come first in the child. The lock is not held.
 */
void range_watch_forks(void);

/*
 * Bytes from the start of the range to @p. If they are not less than range_limit(), @p is none of
 * our pointers. These two need no lock.
 */
static inline size_t range_offset(const void *p)
{
	return (uintptr_t)p - (uintptr_t)range.base;
}

static inline size_t range_limit(void)
{
	return __atomic_load_n(&range.limit, __ATOMIC_RELAXED);
}

static inline char *range_address(uint32_t slice)
{
	return range.base + ((size_t)slice << SLICE_SHIFT);
}

/*
 * Take a block of @count slices whose first is a multiple of @align; its first slice, or NO_SLICE:
 * there is no memory. @ordinary: memory of the process, if possible. @zero: out: the block is known
 * to be zeros.
 */
uint32_t range_alloc(size_t count, size_t align, bool ordinary, bool *zero);

/* Give the block that begins at @slice back. -ENOENT: no block begins there. */
int range_free(uint32_t slice);

/*
 * Let the block at @slice have @count slices, where it is. -ENOENT: no block begins there;
 * -ENOMEM: they are not free behind it.
 */
int range_resize(uint32_t slice, size_t count);

/* Give all memory back that no block has. */
void range_purge(void);

/* Slices of the block that begins at @slice; 0: none does. */
size_t range_size(uint32_t slice);

/* Move what is in the first @count slices of a block to those of another, if there is a way. */
bool range_move(uint32_t from, uint32_t to, size_t count);

#endif /* RANGE_H */
