// SPDX-License-Identifier: GPL-2.0-only
/* How a buffer, or a part of one, gets its memory, and gives it back. */

#include "alloc.h"
#include "extent.h"
#include "look/trace.h"
#include "quarantine.h"

/* Charge for the block that @extent is about to take. */
static int charge_extent(const struct mal_extent *extent)
{
	const bool buffers = extent->block.is_buffer;
	const u64 bytes = mal_extent_size(extent);
	int err = mal_charge(extent->payer, bytes, buffers);

	if (!err)
		return 0;
	if (mal_quarantine_scan(extent->payer->user))
		err = mal_charge(extent->payer, bytes, buffers);
	if (err)
		mal_charge_log_refusal(extent->payer, bytes, buffers);
	return err;
}

static void uncharge_extent(const struct mal_extent *extent)
{
	mal_uncharge(extent->payer, mal_extent_size(extent), extent->block.is_buffer);
}

/* Charge for a block and take it. */
static int alloc_block(struct mal_extent *extent, const struct mal_request *req)
{
	struct mal_region *region = extent->region;
	struct mal_block *block = &extent->block;
	int err = charge_extent(extent);

	if (err)
		return err;
	err = mal_arena_alloc(&region->arena, block, req);
	if (err == -ENOMEM && mal_quarantine_scan(extent->payer->user))
		err = mal_arena_alloc(&region->arena, block, req);
	if (err) {
		uncharge_extent(extent);
		return err;
	}
	trace_memalloc_alloc(region->name, block, block->first, block->granules);
	return 0;
}

/* Pages that were given back; others may have taken some of them by now. */
static void retire_poisoned(struct mal_region *region, u32 first, u32 pages)
{
	u32 at;

	if (!mal_range_enter_pages(&region->range))
		return;
	for (at = first; at < first + pages; at++) {
		if (mal_range_is_poisoned(&region->range, at) &&
		    mal_arena_retire_free(&region->arena, at))
			mal_clean_retire(&region->clean, at);
		if (IS_ALIGNED(at + 1, MAX_ORDER_NR_PAGES))
			cond_resched();
	}
	mal_range_leave(&region->range);
}

int mal_alloc(struct mal_extent *extent, const struct mal_request *req)
{
	struct mal_region *region = extent->region;
	const struct mal_block *block = &extent->block;
	int err;

	for (;;) {
		err = alloc_block(extent, req);
		if (err)
			return err;
		err = mal_clean_zero(&region->clean, block->first, block->granules);
		if (!err)
			return 0;
		mal_alloc_undo(extent);
		if (err != -EHWPOISON)
			return err;
		retire_poisoned(region, block->first, block->granules);
	}
}

void mal_alloc_undo(struct mal_extent *extent)
{
	mal_extent_free_block(extent);
	uncharge_extent(extent);
}

void mal_free(struct mal_extent *extent, bool is_idle)
{
	if (is_idle && !extent->block.retained) {
		mal_alloc_undo(extent);
		mal_extent_destroy(extent);
	} else {
		mal_quarantine_add(&extent->region->quarantine, extent);
	}
}

void mal_alloc_failed(struct mal_region *region, u64 length, int err)
{
	if (err == -ENOMEM || err == -EFBIG)
		mal_arena_count_failure(&region->arena);
	trace_memalloc_failure(region->name, length, err);
}
