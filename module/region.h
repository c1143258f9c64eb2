/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_REGION_H
#define MAL_REGION_H

#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/memalloc.h>

#include "arena.h"
#include "charge.h"
#include "dmem.h"
#include "ranges.h"
#include "clean.h"
#include "offset.h"
#include "space.h"
#include "ward.h"

/*
 * When buffers are moved to make room; an administrator's COMPACT moves them always. Each mode has
 * what the one before it has.
 */
enum mal_compact_mode {
	MAL_COMPACT_NEVER,
	MAL_COMPACT_ON_DEMAND,	/* for a request that finds no room; and before one is pinned */
	MAL_COMPACT_BACKGROUND,	/* before there is such a request, see background.c */
};

/* Settings, which the administrator may change at any time: READ_ONCE(). */
struct mal_compact_settings {
	enum mal_compact_mode mode;
	u64 budget;		/* bytes that may be copied for one request */
	u64 buffer_max;		/* bytes of a buffer; a larger one only an administrator moves */
	u32 threshold;		/* in the background, they move while fragmentation is above */
};

/* Why a buffer stays where it is. */
enum mal_stay {
	MAL_MOVES,		/* it does not */
	MAL_STAYS_HELD,		/* something holds a page, or a page is poisoned */
	MAL_STAYS_MAPPED,	/* a device or the kernel has it mapped, or has not finished */
	MAL_STAYS_DISCLOSED,	/* somebody knows its address */
	MAL_STAYS_HUGE,		/* programs have mapped it by huge entries */
	MAL_STAYS_NO_ROOM,	/* there is no other place for it */
	MAL_STAYS_NO_MEMORY,	/* the kernel itself is out of memory */
	MAL_STAYS_GOING,	/* it is being freed, or resized; or a fatal signal arrived */
	MAL_STAYS_REASONS,
};

/*
 * What moves have done since the region was made. Written under region->compacting, but @served;
 * read by READ_ONCE().
 */
struct mal_move_figures {
	u64 moves;			/* buffers that were moved, */
	u64 moved;			/* and their granules */
	u64 stays[MAL_STAYS_REASONS];	/* moves that were tried, and why they were not done */
	u64 longest;			/* nanoseconds for which a move had faults wait */
	atomic64_t served;		/* requests that got memory only after moves */
	u64 over_budget;		/* requests for which bounds did not allow that */
	u32 target;			/* now: granules that a buffer is being moved to */
};

/* Who moves buffers in the background, see background.c. */
struct mal_background {
	struct task_struct *task;	/* NULL: the region has never been in that mode */
	wait_queue_head_t waiters;	/* for the mode */
};

/* Memory that was claimed, and all that manages it. */
struct mal_region {
	char name[MEMALLOC_NAME_LEN];

	/*
	 * One for whoever has made the region, and one each for an open file of it, a dma-buf, the
	 * file of a buffer's mappings, an extent in quarantine, a driver that holds the region and
	 * a driver's share of a buffer. The region can be destroyed when the first is the last. 0:
	 * it is being made or destroyed.
	 *
	 * But when the range's memory has gone, the first is given up, and whoever gives up the
	 * last calls @unused.
	 */
	refcount_t ref;
	void (*unused)(struct mal_region *region);
	struct work_struct unused_work;	/* for that */
	struct mal_ranges ranges;
	struct mal_arena arena;
	struct mal_clean clean;
	struct mal_offsets offsets;
	struct mal_quarantine quarantine;
	struct mal_users users;
	struct mal_dmem dmem;
	atomic_t clients;		/* open files */
	atomic64_t client_ids;		/* the last that was given out */
	struct mutex clients_lock;	/* of @client_list; before those of clients */
	struct list_head client_list;
	atomic64_t abandoned_buffers;	/* see struct memalloc_stats */
	atomic64_t abandoned_bytes;
	struct mutex compacting;	/* held by who moves buffers; before their locks */
	struct mal_compact_settings compact;
	struct mal_background background;
	struct mal_move_figures moves;
	struct mal_spaces spaces;
	struct miscdevice misc;		/* the node that clients open */
};

/* For who has found the region by its node. False: it is being made or destroyed. */
static inline bool __must_check mal_region_try_get(struct mal_region *region)
{
	if (!refcount_inc_not_zero(&region->ref))
		return false;
	/* Pairs with mal_device_start(). */
	smp_rmb();
	return true;
}

static inline void mal_region_get(struct mal_region *region)
{
	refcount_inc(&region->ref);
}

/* The region may be gone after that. */
static inline void mal_region_put(struct mal_region *region)
{
	if (refcount_dec_and_test(&region->ref))
		region->unused(region);
}

/* For who has made the region: true if nobody else uses it, and then nobody will any more. */
static inline bool __must_check mal_region_retire(struct mal_region *region)
{
	return refcount_dec_if_one(&region->ref);
}

/* Only where the memory has pages. */
static inline struct page *mal_region_page(const struct mal_region *region, u32 granule)
{
	return pfn_to_page(mal_ranges_pfn(&region->ranges, granule));
}

#endif /* MAL_REGION_H */
