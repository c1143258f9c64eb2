// SPDX-License-Identifier: GPL-2.0-only
/* How a buffer, or a part of one, gets its memory, and gives it back. */

#include "alloc.h"
#include "extent.h"
#include "look/trace.h"
#include "quarantine.h"

int mal_alloc_charge(struct mal_payer *payer, u64 bytes, u32 buffers)
{
	int err = mal_charge(payer, bytes, buffers);

	if (!err)
		return 0;
	if (mal_quarantine_scan(payer->user))
		err = mal_charge(payer, bytes, buffers);
	if (err)
		mal_charge_log_refusal(payer, bytes, buffers);
	return err;
}

static int take_block(struct mal_extent *extent, const struct mal_request *req)
{
	struct mal_arena *arena = &extent->region->arena;
	struct mal_block *block = &extent->block;
	int err = mal_arena_alloc(arena, block, req);

	if (err == -ENOMEM && mal_quarantine_scan(block->payer->user))
		err = mal_arena_alloc(arena, block, req);
	return err;
}

void mal_retire_poisoned(struct mal_region *region, u32 first, u32 pages)
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

int mal_alloc_charged(struct mal_extent *extent, const struct mal_request *req)
{
	struct mal_region *region = extent->region;
	const struct mal_block *block = &extent->block;
	int err = 0;

	for (;;) {
		u32 first;

		if (block->first == MAL_NONE)
			err = take_block(extent, req);
		if (err)
			return err;
		first = block->first;
		trace_memalloc_alloc(region->name, block, first, block->granules);
		err = mal_clean_zero(&region->clean, first, block->granules);
		if (!err)
			return 0;
		mal_extent_free_block(extent, false);
		if (err != -EHWPOISON)
			return err;
		mal_retire_poisoned(region, first, block->granules);
	}
}

static void uncharge_extent(const struct mal_extent *extent)
{
	mal_uncharge(extent->block.payer, mal_extent_size(extent), extent->block.is_buffer);
}

int mal_alloc(struct mal_extent *extent, const struct mal_request *req)
{
	const struct mal_block *block = &extent->block;
	int err = mal_alloc_charge(block->payer, mal_extent_size(extent), block->is_buffer);

	if (err)
		return err;
	err = mal_alloc_charged(extent, req);
	if (err)
		uncharge_extent(extent);
	return err;
}

void mal_free(struct mal_extent *extent, bool is_idle)
{
	if (is_idle && !extent->block.retained) {
		mal_extent_free_block(extent, false);
		uncharge_extent(extent);
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
