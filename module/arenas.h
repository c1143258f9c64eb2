/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_ARENAS_H
#define MAL_ARENAS_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "block.h"

/*
 * Each CPU has an arena in front of the heap: stacks of small blocks that are ready to go, one
 * stack for each size. CPUs that allocate and free small blocks then share nothing (J. Bonwick,
 * J. Adams, "Magazines and Vmem", USENIX 2001).
 *
 * To the heap a ready block is used, and its owner stays as it is. But nobody has the block, and
 * nobody pays for it: the block counts as free. The arenas are emptied, and their blocks are
 * released to the heap, before a request fails and before somebody looks at all blocks. So what an
 * arena holds, no request misses. A stack is also emptied if its CPU has not used it for a second.
 *
 * Paused, the arenas are empty, and take in nothing.
 */

/* Granules of the largest block that is kept ready. */
#define MAL_READY_MAX		16

/* Granules of each size that a CPU keeps at most, but MAL_READY_BLOCKS blocks if these are more. */
#define MAL_READY_GRANULES	64
#define MAL_READY_BLOCKS	4

struct mal_cpu_arena {
	spinlock_t lock;		/* of all below; before the heap's */
	u32 used;			/* a bit for each stack, used in this second */
	u32 granules;			/* ready now */
	u32 count[MAL_READY_MAX];	/* blocks of a stack */
	struct mal_block *ready[MAL_READY_MAX];
	struct mal_figures figures;	/* of what came from here and went here */
};

/* The arenas of all CPUs. */
struct mal_arenas {
	struct mal_cpu_arena __percpu *cpus;
	atomic_t paused;

	/* The heap gets back blocks. Under the CPU's lock: no block is in neither. */
	void (*free)(struct mal_arenas *arenas, const struct mal_block *list);

	/* And then the owner of one. Sleeps. */
	void (*release)(struct mal_block *block);
	struct delayed_work work;
};

/* Not paused, and empty. Sleeps. -ENOMEM. */
int __must_check mal_arenas_init(struct mal_arenas *arenas,
				 void (*free)(struct mal_arenas *arenas,
					      const struct mal_block *list),
				 void (*release)(struct mal_block *block));

/*
 * Nobody uses the arenas any more: release what is ready. When this returns, @release is not
 * running, and will not be called again. Sleeps.
 */
void mal_arenas_stop(struct mal_arenas *arenas);

/* They are empty: either were always paused, or are stopped. */
void mal_arenas_destroy(struct mal_arenas *arenas);

/*
 * Allocate a ready block of @granules, of which @length bytes are asked for, for @payer. NULL: this
 * CPU has none.
 */
struct mal_block *mal_arenas_take(struct mal_arenas *arenas, u32 granules, u64 length,
				  struct mal_payer *payer);

/*
 * Free @block, of at most MAL_READY_MAX granules: it is ready now, and the caller's no longer. If
 * the stack is full, half of it is released. False: the arenas are paused, and nothing was done.
 * Sleeps.
 */
bool mal_arenas_put(struct mal_arenas *arenas, struct mal_block *block);

/*
 * @length bytes of @block, which is allocated, are asked for from now on. False: the arenas are
 * paused, and nothing was done.
 */
bool mal_arenas_set_length(struct mal_arenas *arenas, struct mal_block *block, u64 length);

/* Release all that is ready. Returns how many granules these were. Sleeps. */
u64 mal_arenas_empty(struct mal_arenas *arenas);

/*
 * Pause: the heap has all that was ready, and the figures stay as they are. But others may still be
 * releasing the owners of blocks. Returns the same. Each pause needs an end. Sleeps.
 */
u64 mal_arenas_pause(struct mal_arenas *arenas);
void mal_arenas_resume(struct mal_arenas *arenas);

/* While the arenas are paused: add up what all of them have counted. */
void mal_arenas_add_figures(struct mal_arenas *arenas, struct mal_figures *figures);

#endif /* MAL_ARENAS_H */
