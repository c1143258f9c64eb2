/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_EXTENT_H
#define MAL_EXTENT_H

#include <linux/dma-resv.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/types.h>

#include "block.h"
#include "charge.h"
#include "region.h"

/*
 * A block that somebody pays for, until its last page is back in the arena. A buffer begins with
 * one; what a RESIZE cuts off a buffer, or adds to it, is one, too.
 */
struct mal_extent {
	struct mal_block block;

	/* Constant from creation on. */
	struct mal_region *region;
	struct mal_payer *payer;	/* is charged for what is not back yet, nor retired */

	union {
		/*
		 * While it has users: of the block's pages and length, besides the arena's lock.
		 * Between mmap_lock and the arena's; after that of handles.
		 */
		struct rw_semaphore size_lock;

		/* In quarantine: */
		struct {
			struct list_head node;	/* under the lock of its list */

			/* Of who scans it: the pages that are still to be scanned in this pass, */
			u32 unscanned;
			/* and those of the first piece that were scanned, and are held. */
			u32 scanned;
		};
	};
	struct dma_resv resv;		/* what devices do with it; of all dma-bufs of the buffer */

	/*
	 * Somebody was given a way to the pages, or their address: they may have been
	 * written to, and one may be held still when all users are gone. Set, never
	 * cleared, by those who hold a reference.
	 */
	bool touched;

	/* Any page may have been written to, not only those that were mapped. The same. */
	bool written;
};

static inline struct mal_extent *mal_extent_of(const struct mal_block *block)
{
	return container_of(block, struct mal_extent, block);
}

/* Of zeroed memory; its block has no place yet. */
void mal_extent_init(struct mal_extent *extent, struct mal_region *region,
		     struct mal_payer *payer, u32 pages);

/* Nothing of it is used any more, nor of its block. It was allocated by kmalloc(). */
void mal_extent_destroy(struct mal_extent *extent);

/* The bytes that it has; see @pages. */
static inline u64 mal_extent_size(const struct mal_extent *extent)
{
	return (u64)extent->block.granules << PAGE_SHIFT;
}

static inline struct page *mal_extent_page(const struct mal_extent *extent, u32 index)
{
	return mal_region_page(extent->region, extent->block.first + index);
}

/* Somebody else than a process that maps it gets a way to the pages, or their address. */
static inline void mal_extent_mark_written(struct mal_extent *extent)
{
	WRITE_ONCE(extent->written, true);
	WRITE_ONCE(extent->touched, true);
}

/* Have devices finished? A driver may have dropped its dma-buf before its device has. */
bool mal_extent_devices_are_done(struct mal_extent *extent);

/*
 * No process maps it any more: its pages leave their address space. Whether nobody holds one of
 * them, all are sound, and no device works on them. Sleeps.
 */
bool mal_extent_is_idle(struct mal_extent *extent);

/* The block goes back to the arena, as a whole. The charge stays. Sleeps. */
void mal_extent_free_block(struct mal_extent *extent);

/*
 * Of a quarantined extent, give back all pages that nobody holds, if no device works on it, with
 * the charge; how many those were. Poisoned pages are retired, whoever holds them. *@budget becomes
 * less by the pages that are held, and is not 0; when it is used up, the next call goes on from
 * there. All have been scanned when @extent->unscanned is 0. Only one caller at a time. Sleeps.
 */
u32 mal_extent_free_idle(struct mal_extent *extent, u32 *budget);

#endif /* MAL_EXTENT_H */
