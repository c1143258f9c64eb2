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
	mal_dmem_put(&extent->dmem);
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

bool mal_extent_devices_are_done(struct mal_extent *extent)
{
	/* Most extents never had a fence. */
	return !rcu_access_pointer(extent->resv.fences) ||
	       dma_resv_test_signaled(&extent->resv, DMA_RESV_USAGE_BOOKKEEP);
}

/* Up to @end, pages from @first on whose structs are an array. */
static u32 end_of_array(const struct mal_region *region, u32 first, u32 end)
{
	const unsigned long pfn = mal_ranges_pfn(&region->ranges, first);

	return min_t(unsigned long, end, first + ALIGN(pfn + 1, MAX_ORDER_NR_PAGES) - pfn);
}

/*
 * The number of idle pages of an array, up to the first that is not. Nobody holds an idle page, and
 * it is not poisoned. The pages have left their address space.
 */
static u32 count_idle_in_array(struct page *pages, u32 n)
{
	struct page *page;

	for (page = pages; page < pages + n; page++)
		if (page_ref_count(page) != 1 || PageHWPoison(page))
			break;
	/* The last holders' accesses come before those that follow: pairs with their decrements. */
	smp_acquire__after_ctrl_dep();
	return page - pages;
}

/*
 * The number of idle pages from @first on, up to the first that is not, or @end. *@poisoned: the
 * page after them is poisoned. Memory without pages is idle.
 */
static u32 count_idle(const struct mal_extent *extent, u32 first, u32 end, bool *poisoned)
{
	struct mal_region *region = extent->region;
	u32 at = first;
	u32 array_end;

	*poisoned = false;
	if (!mal_range_enter_pages(&region->ranges.own))
		return end - first;
	for (;;) {
		array_end = end_of_array(region, at, end);
		at += count_idle_in_array(mal_region_page(region, at), array_end - at);
		if (at < array_end || at == end)
			break;
		cond_resched();
	}
	*poisoned = at < end && mal_ranges_poisoned(&region->ranges, at);
	mal_range_leave(&region->ranges.own);
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

static void array_leaves_space(struct page *pages, u32 n)
{
	struct page *page;

	for (page = pages; page < pages + n; page++)
		mal_space_remove_page(page);
}

/*
 * All pages leave their address space. No process has them mapped any more. Who has read an entry
 * of a page table before, and takes a reference now, reads the entry again, and drops it.
 */
static void leave_space(struct mal_region *region, u32 first, u32 end)
{
	u32 array_end;
	u32 at;

	for (at = first;; at = array_end) {
		array_end = end_of_array(region, at, end);
		array_leaves_space(mal_region_page(region, at), array_end - at);
		if (array_end == end)
			break;
		cond_resched();
	}
	/*
	 * All that before the look at the counts. Either that sees a new holder's increment, or the
	 * holder sees that the page is not mapped, and in no address space: pairs with the kernel's
	 * atomic increment.
	 */
	smp_mb();
}

/* True: all pages are idle. In any case, nobody uses the address space that they have left. */
static bool all_pages_are_idle(struct mal_region *region, u32 first, u32 end)
{
	bool all = true;
	u32 at = first;

	for (;;) {
		const u32 array_end = end_of_array(region, at, end);

		at += count_idle_in_array(mal_region_page(region, at), array_end - at);
		if (at < array_end) {
			all = false;
			mal_space_wait_for_holder(mal_region_page(region, at));
			at++;
		}
		if (at == end)
			return all;
		cond_resched();
	}
}

bool __mal_extent_detach_pages(struct mal_extent *extent)
{
	struct mal_region *region = extent->region;
	const u32 first = extent->block.first;
	const u32 end = first + extent->block.granules;
	bool idle = true;

	if (mal_range_enter_pages(&region->ranges.own)) {
		leave_space(region, first, end);
		idle = all_pages_are_idle(region, first, end);
		mal_range_leave(&region->ranges.own);
	}
	return idle && mal_extent_devices_are_done(extent);
}
