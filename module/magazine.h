/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_MAGAZINE_H
#define MAL_MAGAZINE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "block.h"

/*
 * The slots of a magazine. Blocks of fewer granules than there are slots have one for each size;
 * larger ones share the last.
 */
#define MAL_MAGAZINE_SLOTS	16
#define MAL_MAGAZINE_SLICES	(MAL_MAGAZINE_SLOTS / MAL_READY_SLICE)

/* The slices that may be loaded, of all clients: who empties them has a bounded amount of work. */
#define MAL_MAGAZINES_LOADED	512

struct mal_magazines;

/* A part of a magazine, MAL_READY_SLICE slots: what is emptied under one hold of the locks. */
struct mal_magazine_slice {
	/* In the lists of those that are loaded: of all, and of the user. Under all->lock. */
	struct list_head node;
	struct list_head user_node;
	bool is_loaded;			/* it is in the lists: there may be a block */
	struct mal_block **blocks;	/* in the magazine */
};

/*
 * A client's magazine has the last block of each small size that the client has freed, and the last
 * larger one, if nobody had touched it. The client's next block of that size is the same again.
 * Then nothing is written that other clients use, and the owner, the mmap offset and the charge
 * stay as they are. (What its cgroup is charged is written, where the kernel has dmem.)
 *
 * But until then the block is charged, and used in the heap and in all figures. So all magazines
 * are emptied before a request is refused, and before anybody looks at blocks or figures; those of
 * a user, before a charge is refused, and before anybody looks at charges. They are also emptied
 * after a second.
 *
 * Tasks put and take blocks without a lock. Who empties magazines finds the slices that are loaded
 * in lists. Who puts a block into a slice that is not there then adds the slice.
 */
struct mal_magazine {
	struct mal_magazines *all;
	struct list_head *of_user;	/* slices of the user that are loaded */
	struct mal_block *blocks[MAL_MAGAZINE_SLOTS];	/* of 1 granule, of 2, ...; or NULL */
	struct mal_magazine_slice slices[MAL_MAGAZINE_SLICES];
};

/* What went into a magazine and came out again, on one CPU. It counts as freed and allocated. */
struct mal_reuse {
	u64 blocks;
	u64 granules;
};

/* The magazines of all clients. */
struct mal_magazines {
	spinlock_t lock;		/* of the next two; before the heap's */
	struct list_head loaded;	/* slices */
	u32 count;			/* of @loaded */
	atomic_t paused;
	struct mal_reuse __percpu *reuse;
	struct delayed_work work;	/* empties all, a second after one was loaded */

	/* Frees up to MAL_READY_SLICE blocks of the heap. Called under @lock. */
	void (*free)(struct mal_magazines *magazines, struct mal_block *list);

	/* Ends the charge of these blocks. All have one payer, not closed. Called under @lock. */
	void (*uncharge)(struct mal_payer *payer, u64 bytes, u64 buffers);

	/* Destroys the owner of one. Sleeps. */
	void (*release)(struct mal_block *block);
};

/* Not paused, and empty; who charges for blocks sets @uncharge. Sleeps. -ENOMEM. */
int __must_check mal_magazines_init(struct mal_magazines *magazines,
				    void (*free)(struct mal_magazines *magazines,
						 struct mal_block *list),
				    void (*release)(struct mal_block *block));

/* Pause for good. Then nothing is being released any more. Sleeps. */
void mal_magazines_stop(struct mal_magazines *magazines);
void mal_magazines_destroy(struct mal_magazines *magazines);

/* The magazine of a client, in zeroed memory. */
void mal_magazine_init(struct mal_magazine *magazine, struct mal_magazines *all,
		       struct list_head *of_user);

/* The client does not use it any more. Releases what is in it. Sleeps. */
void mal_magazine_destroy(struct mal_magazine *magazine);

static inline u32 mal_magazine_slot(u32 granules)
{
	return min_t(u32, granules, MAL_MAGAZINE_SLOTS) - 1;
}

/* Was there room for a block of @granules a moment ago? */
static inline bool mal_magazine_has_room(const struct mal_magazine *magazine, u32 granules)
{
	const u32 slot = mal_magazine_slot(granules);

	return !READ_ONCE(magazine->blocks[slot]) &&
	       (READ_ONCE(magazine->slices[slot / MAL_READY_SLICE].is_loaded) ||
		READ_ONCE(magazine->all->count) < MAL_MAGAZINES_LOADED);
}

/*
 * Free @block, which nobody has touched, and for which there was room: it is the caller's no
 * longer. Sleeps.
 */
void mal_magazine_put(struct mal_magazine *magazine, struct mal_block *block);

/*
 * Take what is in the slot for blocks of @granules, or NULL. It may be a large block of another
 * size. The caller uses the block, or releases it.
 */
static inline struct mal_block *mal_magazine_take(struct mal_magazine *magazine, u32 granules)
{
	struct mal_block **slot = &magazine->blocks[mal_magazine_slot(granules)];

	return READ_ONCE(*slot) ? xchg(slot, NULL) : NULL;
}

/* Count that @block, which was taken, was freed and is allocated again. */
static inline void mal_magazine_use(struct mal_magazine *magazine, const struct mal_block *block)
{
	struct mal_reuse __percpu *reuse = magazine->all->reuse;

	this_cpu_inc(reuse->blocks);
	this_cpu_add(reuse->granules, block->granules);
}

/* Release @block, which was taken. Sleeps. */
void mal_magazine_release(struct mal_magazines *magazines, struct mal_block *block);

/*
 * Release all blocks that are in magazines now; or, unless that is NULL, in those in the list of a
 * user. Returns how many granules these were. Sleeps.
 */
u64 mal_magazines_empty(struct mal_magazines *magazines, struct list_head *of_user);

/*
 * The same for all; and what is freed before mal_magazines_resume() goes to the heap at once. There
 * can be more than one pause at a time.
 */
u64 mal_magazines_pause(struct mal_magazines *magazines);
void mal_magazines_resume(struct mal_magazines *magazines);

/* Add what was freed and allocated by way of magazines. */
void mal_magazines_add_figures(struct mal_magazines *magazines, struct mal_figures *figures);

#endif /* MAL_MAGAZINE_H */
