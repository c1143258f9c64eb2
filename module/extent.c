// SPDX-License-Identifier: GPL-2.0-only
/* The extent: how a block that had users goes back to the arena, once nothing holds its pages. */
#include <linux/slab.h>

#include "extent.h"
#include "look/trace.h"

void mal_extent_init(struct mal_extent *extent, struct mal_region *region,
		     struct mal_payer *payer, u32 pages)
{
	extent->region = region;
	extent->block.payer = payer;
	extent->block.first = MAL_NONE;
	extent->block.granules = pages;
	init_rwsem(&extent->size_lock);
	dma_resv_init(&extent->resv);
}

void mal_extent_destroy(struct mal_extent *extent)
{
	dma_resv_fini(&extent->resv);
	kfree(extent);
}

/* @pages of the extent, from @first on, are about to go back to the heap. */
static void mark_part_dirty(const struct mal_extent *extent, u32 first, u32 pages)
{
	if (extent->touched)
		mal_clean_mark_dirty(&extent->region->clean, first, pages, extent->written);
}

bool mal_extent_free_block(struct mal_extent *extent, bool may_be_ready)
{
	struct mal_region *region = extent->region;
	struct mal_block *block = &extent->block;
	bool is_ready;

	trace_memalloc_free(region->name, block, block->first, block->granules);
	mark_part_dirty(extent, block->first, block->granules);
	WRITE_ONCE(extent->touched, false);
	WRITE_ONCE(extent->written, false);
	is_ready = may_be_ready && mal_arenas_put(&region->arena.cpus, block);
	if (is_ready)
		return true;
	mal_arena_free(&region->arena, block);
	block->first = MAL_NONE;
	mal_clean_queue(&region->clean);
	return false;
}

/* @pages have gone. With the last page, the charge for the buffer itself ends. */
static void uncharge_part(struct mal_extent *extent, u32 pages)
{
	const struct mal_block *block = &extent->block;

	mal_uncharge(block->payer, (u64)pages << PAGE_SHIFT, !block->granules && block->is_buffer);
}

/* Free a part of the quarantined extent, and its charge. */
static void free_part(struct mal_extent *extent, u32 first, u32 pages)
{
	trace_memalloc_free(extent->region->name, &extent->block, first, pages);
	mark_part_dirty(extent, first, pages);
	mal_arena_free_part(&extent->region->arena, &extent->block, first, pages);
	uncharge_part(extent, pages);
}

/* Retire a page of the quarantined extent, and free its charge. */
static void retire_page(struct mal_extent *extent, u32 page)
{
	mark_part_dirty(extent, page, 1);
	mal_clean_retire(&extent->region->clean, page);
	mal_arena_retire(&extent->region->arena, &extent->block, page);
	uncharge_part(extent, 1);
}

/*
 * Whether nobody holds the page, and it is not poisoned. No process has it mapped any more, so
 * nobody can get hold of it from now on. The count is frozen, not only read: that orders the last
 * holder's accesses before those that follow. In any case, the page leaves its address space.
 */
static bool is_idle_page(struct page *page)
{
	if (!page_ref_freeze(page, 1)) {
		mal_space_remove_page(page);
		return false;
	}
	page->mapping = NULL;
	page_ref_unfreeze(page, 1);
	return !PageHWPoison(page);
}

bool mal_extent_devices_are_done(struct mal_extent *extent)
{
	return dma_resv_test_signaled(&extent->resv, DMA_RESV_USAGE_BOOKKEEP);
}

/*
 * The number of idle pages from @first on, up to the first that is not, or @end. *@poisoned: the
 * page after them is poisoned. Memory without pages is idle.
 */
static u32 count_idle(const struct mal_extent *extent, u32 first, u32 end, bool *poisoned)
{
	struct mal_region *region = extent->region;
	u32 at;

	*poisoned = false;
	if (!mal_range_enter_pages(&region->range))
		return end - first;
	for (at = first; at < end; at++) {
		if (!is_idle_page(mal_region_page(region, at)))
			break;
		if (IS_ALIGNED(at + 1, MAX_ORDER_NR_PAGES))
			cond_resched();
	}
	*poisoned = at < end && mal_range_is_poisoned(&region->range, at);
	mal_range_leave(&region->range);
	return at - first;
}

/* Scan the next pages of the first piece: free a run of idle pages, or pass one that is held. */
static u32 scan_piece(struct mal_extent *extent, u32 *budget)
{
	struct mal_arena *arena = &extent->region->arena;
	u32 first, pages, at, idle;
	bool poisoned;

	mal_arena_first_piece(arena, &extent->block, &first, &pages);
	at = first + extent->scanned;
	idle = count_idle(extent, at, first + pages, &poisoned);
	extent->unscanned -= idle ?: 1;
	if (idle) {
		extent->scanned = 0;
		free_part(extent, at, idle);
	} else if (poisoned) {
		extent->scanned = 0;
		idle = 1;
		retire_page(extent, at);
	} else {
		--*budget;
		extent->scanned++;
		if (extent->scanned == pages) {
			extent->scanned = 0;
			mal_arena_rotate_pieces(arena, &extent->block);
		}
	}
	return idle;
}

u32 mal_extent_scan(struct mal_extent *extent, u32 *budget)
{
	u32 returned = 0;

	if (!mal_extent_devices_are_done(extent)) {
		--*budget;
		extent->unscanned = 0;
		return 0;
	}
	if (!extent->unscanned) {
		extent->unscanned = extent->block.granules;
		extent->scanned = 0;
	}
	while (extent->unscanned && *budget) {
		returned += scan_piece(extent, budget);
		cond_resched();
	}
	if (returned)
		mal_clean_queue(&extent->region->clean);
	return returned;
}

/* All pages leave their address space. True: all are idle. */
static bool all_pages_leave_space(struct mal_extent *extent)
{
	const u32 end = extent->block.first + extent->block.granules;
	u32 at = extent->block.first;
	bool poisoned;
	u32 idle = 0;

	while (at < end) {
		u32 n = count_idle(extent, at, end, &poisoned);

		idle += n;
		at += n + 1;
		cond_resched();
	}
	return idle == extent->block.granules;
}

bool __mal_extent_detach_pages(struct mal_extent *extent)
{
	return all_pages_leave_space(extent) && mal_extent_devices_are_done(extent);
}
