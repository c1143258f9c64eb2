// SPDX-License-Identifier: GPL-2.0-only
/* How a buffer, or a part of one, gets its memory, and gives it back. */

#include "alloc.h"
#include "bounds.h"
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

/* In each range where @bounds has a window, of what the heap has. */
static int try_windows(struct mal_extent *extent, const struct mal_bounds *bounds)
{
	struct mal_region *region = extent->region;
	struct mal_block *block = &extent->block;
	unsigned int number = 0;
	struct mal_request req;
	int err = -ENOMEM;

	while (err == -ENOMEM && mal_bounds_next(&region->ranges, bounds, &number, &req)) {
		err = mal_arena_try_alloc(&region->arena, block, &req);
		if (err || mal_bounds_hold(&region->ranges, bounds, block->first, block->granules))
			continue;
		/* The range has gone meanwhile, and now another one is there. */
		mal_arena_free(&region->arena, block);
		block->first = MAL_NONE;
		err = -ENOMEM;
	}
	return err;
}

/* As mal_arena_alloc(). */
static noinline int take_in_windows(struct mal_extent *extent, const struct mal_bounds *bounds)
{
	struct mal_arena *arena = &extent->region->arena;
	int err = try_windows(extent, bounds);

	if (err != -ENOMEM)
		return err;
	mal_arena_pause_ready(arena);
	err = try_windows(extent, bounds);
	mal_arena_resume_ready(arena);
	return err;
}

static int take_in_bounds(struct mal_extent *extent, const struct mal_bounds *bounds)
{
	if (unlikely(bounds->end))
		return take_in_windows(extent, bounds);
	return mal_arena_alloc(&extent->region->arena, &extent->block, &bounds->req);
}

static int take_block(struct mal_extent *extent, const struct mal_bounds *bounds)
{
	int err = take_in_bounds(extent, bounds);

	if (err == -ENOMEM && mal_quarantine_scan(extent->block.payer->user))
		err = take_in_bounds(extent, bounds);
	return err;
}

void mal_retire_poisoned(struct mal_region *region, u32 first, u32 pages)
{
	u32 at;

	if (!mal_range_enter_pages(&region->ranges.own))
		return;
	for (at = first; at < first + pages; at++) {
		bool poisoned;

		/* They are free, so their range may go meanwhile. */
		rcu_read_lock();
		poisoned = mal_ranges_poisoned(&region->ranges, at);
		rcu_read_unlock();
		if (poisoned && mal_arena_retire_free(&region->arena, at))
			mal_clean_retire(&region->clean, at);
		if (IS_ALIGNED(at + 1, MAX_ORDER_NR_PAGES))
			cond_resched();
	}
	mal_range_leave(&region->ranges.own);
}

int mal_alloc_charged(struct mal_extent *extent, const struct mal_bounds *bounds)
{
	struct mal_region *region = extent->region;
	const struct mal_block *block = &extent->block;
	int err = 0;

	for (;;) {
		u32 first;

		if (block->first == MAL_NONE)
			err = take_block(extent, bounds);
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

int mal_alloc(struct mal_extent *extent, const struct mal_bounds *bounds)
{
	const struct mal_block *block = &extent->block;
	const u64 bytes = mal_extent_size(extent);
	int err = mal_alloc_charge(block->payer, bytes, block->is_buffer);

	if (err)
		return err;
	err = mal_alloc_charge_group(extent->region, block->payer, bytes, &extent->dmem) ?:
	      mal_alloc_charged(extent, bounds);
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
