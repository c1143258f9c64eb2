/* SPDX-License-Identifier: MIT */
/*
 * The range: one long run of addresses, chosen once, from which everything comes
 * that malloc() gives out. So a pointer is told to be ours by one comparison, and all
 * that is known of the memory behind it lies in arrays elsewhere, which the program has no
 * pointers to.
 *
 * To choose addresses is not to have them. They are far from where the kernel puts mappings, and
 * nothing is mapped at them before there is use for it: so limits of the process, mlockall() and
 * the kernel's accounts see what there is, and no more. Whoever maps something there all the same
 * keeps it; the range goes on around it. If that is beside the range, where the arrays
 * would grow, there is no more memory.
 *
 * The range is divided into slices. A block is a run of slices, and module/core's heap says
 * which are free. Memory is put behind the addresses a chunk at a time (source.h), or, where
 * there is not so much, as many slices as are needed. It goes back, and the addresses
 * with it, when a chunk is free; of those that are free in part, it is the memory of slices.
 * A zone, one block that stays, has a heap of its own: its memory is always the process's.
 *
 * One lock. All of this is called with it held, where nothing else is said.
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
 * From now on, fork() waits until nobody has the lock. Before anybody else asks to be called at
 * a fork, so that in the child it is done first. The lock is not held.
 */
void range_watch_forks(void);

/*
 * How many bytes from the start of the range @p is; if it is not before range_limit(), @p
 * is none of our pointers. These two may be asked without the lock.
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
 * Take a block of @count slices whose first is a multiple of @align; its first slice, or
 * NO_SLICE: there is no memory. @ordinary: rather not memory of the device. @zero: out: it
 * is known to be zeros.
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
