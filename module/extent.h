/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_EXTENT_H
#define MAL_EXTENT_H

#include <linux/dma-resv.h>
#include <linux/list.h>
#include <linux/rwsem.h>
#include <linux/types.h>

#include "block.h"
#include "charge.h"
#include "region.h"

/*
 * A block that somebody pays for, until its last page is back in the arena. A struct mal_buffer
 * begins with its extent. The pages that RESIZE cuts off a buffer, or adds to it, are an extent of
 * their own for a while.
 */
struct mal_extent {
	struct mal_block block;

	/* Constant from creation on, as is the block's payer while it has users. */
	struct mal_region *region;

	union {
		/*
		 * While the extent has users. Together with the arena's lock, protects the block's
		 * granules and length. After mmap_lock and handles->lock, before the arena's.
		 */
		struct rw_semaphore size_lock;

		/* In quarantine: */
		struct {
			struct list_head node;	/* under the lock of its list */

			/* Under ward->scan_lock: pages still to be scanned in this pass, */
			u32 unscanned;
			/* and held pages of the first piece that have been scanned. */
			u32 scanned;
		};
	};
	struct mal_dmem_ref dmem;	/* what cgroup pays; a part that was cut off shares it */

	struct dma_resv resv;		/* fences of devices, for all dma-bufs of the buffer */

	/*
	 * Somebody could touch the pages, now or before: by a mapping, a dma-buf or the address.
	 * So they may have been written to, and a page may still be held when all users are
	 * gone. Set by those who hold a reference, and never cleared.
	 */
	bool touched;

	/* Likewise: any page may have been written to, not only those that were mapped. */
	bool written;
};

static inline struct mal_extent *mal_extent_of(const struct mal_block *block)
{
	return container_of(block, struct mal_extent, block);
}

/* @extent is zeroed memory. Its block has no place yet. */
void mal_extent_init(struct mal_extent *extent, struct mal_region *region,
		     struct mal_payer *payer, u32 pages);

/* Neither the extent nor its block is in use. Frees the extent, by kfree(). */
void mal_extent_destroy(struct mal_extent *extent);

/* In bytes; see block.granules for what may change it. */
static inline u64 mal_extent_size(const struct mal_extent *extent)
{
	return (u64)extent->block.granules << PAGE_SHIFT;
}

static inline struct page *mal_extent_page(const struct mal_extent *extent, u32 index)
{
	return mal_region_page(extent->region, extent->block.first + index);
}

/* The physical address of its first byte. */
static inline phys_addr_t mal_extent_phys(const struct mal_extent *extent)
{
	return PFN_PHYS(mal_ranges_pfn(&extent->region->ranges, extent->block.first));
}

/* A device, the kernel or a reader of the address may write to any page from now on. */
static inline void mal_extent_mark_written(struct mal_extent *extent)
{
	WRITE_ONCE(extent->written, true);
	WRITE_ONCE(extent->touched, true);
}

/* Have devices finished? A driver may drop its dma-buf before its device has. */
bool mal_extent_devices_are_done(struct mal_extent *extent);

/*
 * No process maps the extent any more: its pages leave their address space. True: nobody holds a
 * page, no page is poisoned, and no device works on the extent; or the extent was never touched,
 * and its pages are not looked at. Sleeps.
 */
bool __mal_extent_detach_pages(struct mal_extent *extent);

static inline bool mal_extent_detach_pages(struct mal_extent *extent)
{
	return !extent->touched || __mal_extent_detach_pages(extent);
}

/*
 * Give the whole block back to the arena. The charge stays. True, only if it @may_be_ready: the
 * extent has become that of a ready block, and is the caller's no longer. Sleeps.
 */
bool mal_extent_free_block(struct mal_extent *extent, bool may_be_ready);

/*
 * Scan a quarantined extent, if no device works on it: give back the pages that nobody holds, and
 * their charge. Poisoned pages are retired, whoever holds them. Returns the number of both. Each
 * page that is held takes 1 from *@budget, which is not 0 at first. When the budget is used up, the
 * next call continues there. The pass is over when @extent->unscanned is 0. One caller at a time.
 * Sleeps.
 */
u32 mal_extent_scan(struct mal_extent *extent, u32 *budget);

#endif /* MAL_EXTENT_H */
