// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving a buffer while programs use it.
 *
 * The buffer's size_lock is held for writing, so that no page fault maps a page, and nobody pins
 * the buffer. All mappings are removed. Then the reference count of each page is frozen at 0, which
 * works only if nobody holds the page; and who would take a reference now finds that there is no
 * page, and ends in a page fault. What was mapped and not held can't be reached any more: it is
 * copied, the blocks change places, and the faults that wait map the new pages.
 *
 * What can fail has failed before the first page is frozen, or is undone page by page. The idiom of
 * freezing is that of the kernel's page migration (mm/migrate.c).
 */
#include <linux/page_ref.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "alloc.h"
#include "look/trace.h"
#include "mapping.h"
#include "move.h"
#include "region.h"

/* Pages that are frozen, or copied, between two chances for others to stop the move. */
#define MAL_MOVE_SLICE	64

/* How often a page is tried to be frozen. */
#define MAL_FREEZE_TRIES	8

bool mal_can_move(const struct mal_region *region)
{
	/* Of memory without pages, nobody knows who holds it. */
	return mal_range_has_pages(&region->range) && !region->range.can_go;
}

enum mal_stay mal_buffer_stays(const struct mal_buffer *buffer)
{
	if (READ_ONCE(buffer->disclosed))
		return MAL_STAYS_DISCLOSED;
	/* What was done by way of a pin that is gone was done before: as in mal_buffer_unpin(). */
	if (atomic_read_acquire(&buffer->pins))
		return MAL_STAYS_MAPPED;
	/*
	 * Since 6.12, fork() copies huge entries while others unmap them. What has a file is no new
	 * buffer, of which @huge is still to be set.
	 */
	if (READ_ONCE(buffer->mapping_file) && buffer->huge)
		return MAL_STAYS_HUGE;
	return MAL_MOVES;
}

static void end_claim(struct mal_block *block)
{
	/* Who waits sees the move, and the buffer may be gone: pairs with wait_for_claim(). */
	smp_store_release(&block->claimed, false);
	/* Who begins to wait sees the end, or is seen here. Only the address is used. */
	smp_mb();
	wake_up_var(&block->claimed);
}

bool mal_buffer_claim(struct mal_buffer *buffer)
{
	struct mal_block *block = &buffer->extent.block;

	lockdep_assert_held(&buffer->extent.region->compacting);
	lockdep_assert_held(&buffer->extent.region->arena.lock);
	WRITE_ONCE(block->claimed, true);
	/* Either this sees that the last reference is gone, or release_buffer() sees the claim. */
	smp_mb();
	if (!kref_read(&buffer->ref)) {
		end_claim(block);
		return false;
	}
	/* A new buffer is complete: pairs with mal_buffer_create_charged(). */
	smp_acquire__after_ctrl_dep();
	return true;
}

void mal_buffer_end_claim(struct mal_buffer *buffer)
{
	struct mal_region *region = buffer->extent.region;
	struct mal_block *block = &buffer->extent.block;
	bool left;

	lockdep_assert_held(&region->compacting);
	spin_lock(&region->arena.lock);
	left = block->left;
	if (!left)
		end_claim(block);
	spin_unlock(&region->arena.lock);
	if (!left)
		return;

	/* A magazine has given back the block. Before another can begin at its place: */
	mal_offset_remove(&region->offsets, buffer->pgoff);
	mal_arena_free(&region->arena, block);
	end_claim(block);
}

/* Somebody waits for the claim to end, or for this task. */
static bool must_stop(const struct mal_buffer *buffer)
{
	return !kref_read(&buffer->ref) || READ_ONCE(buffer->extent.block.left) ||
	       fatal_signal_pending(current);
}

/* Thaw the first @pages. If @gone, they leave their address space: others are there now. */
static void thaw(const struct mal_extent *extent, u32 pages, bool gone)
{
	u32 i;

	for (i = 0; i < pages; i++) {
		struct page *page = mal_extent_page(extent, i);

		if (gone)
			mal_space_remove_page(page);
		page_ref_unfreeze(page, 1);
		if (IS_ALIGNED(i + 1, MAL_MOVE_SLICE))
			cond_resched();
	}
}

/*
 * False: somebody holds the page, or it is poisoned. Who looks for pages by number, or comes from
 * an old entry of a page table, holds it for a moment.
 */
static bool freeze_page(struct page *page)
{
	unsigned int tries;

	for (tries = 0; tries < MAL_FREEZE_TRIES; tries++) {
		if (page_ref_freeze(page, 1)) {
			if (!PageHWPoison(page))
				return true;
			page_ref_unfreeze(page, 1);
			break;
		}
		cond_resched();
		cpu_relax();
	}
	return false;
}

/* Freeze all pages, none of which is mapped. After a failure, none is frozen. */
static enum mal_stay freeze(const struct mal_buffer *buffer)
{
	const struct mal_extent *extent = &buffer->extent;
	enum mal_stay stays = MAL_MOVES;
	u32 i;

	for (i = 0; i < extent->block.granules; i++) {
		if (IS_ALIGNED(i, MAL_MOVE_SLICE)) {
			cond_resched();
			if (must_stop(buffer))
				stays = MAL_STAYS_GOING;
		}
		if (!stays && !freeze_page(mal_extent_page(extent, i)))
			stays = MAL_STAYS_HELD;
		if (stays) {
			thaw(extent, i, false);
			break;
		}
	}
	return stays;
}

/* Nobody can reach the buffer: copy it to the block of @target, and exchange the blocks. */
static enum mal_stay copy_and_swap(struct mal_buffer *buffer, struct mal_extent *target)
{
	struct mal_extent *extent = &buffer->extent;
	struct mal_region *region = extent->region;
	const u32 pages = extent->block.granules;
	const u32 to = target->block.first;
	const u32 from = extent->block.first;
	u32 done, n;

	for (done = 0; done < pages; done += n) {
		if (must_stop(buffer))
			return MAL_STAYS_GOING;
		n = min_t(u32, pages - done, MAL_MOVE_SLICE);
		if (mal_clean_copy(&region->clean, to + done, from + done, n, extent->written))
			return MAL_STAYS_HELD;
	}
	mal_arena_swap(&region->arena, &extent->block, &target->block);
	trace_memalloc_move(region->name, &extent->block, from, pages);
	return MAL_MOVES;
}

/* Under size_lock, held for writing. After success, @target has the old place. */
static enum mal_stay move_to(struct mal_buffer *buffer, struct mal_extent *target)
{
	struct mal_extent *extent = &buffer->extent;
	enum mal_stay stays;

	lockdep_assert_held_write(&extent->size_lock);
	if (extent->block.granules != target->block.granules)
		return MAL_STAYS_GOING;
	stays = mal_buffer_stays(buffer);
	if (!stays && !mal_extent_devices_are_done(extent))
		stays = MAL_STAYS_MAPPED;
	if (stays)
		return stays;

	/* Of pages that nobody has touched, nobody holds any. */
	if (!extent->touched)
		return copy_and_swap(buffer, target);

	mal_unmap(buffer, 0, extent->block.granules);
	stays = freeze(buffer);
	if (stays)
		return stays;
	stays = copy_and_swap(buffer, target);
	if (!stays)
		target->written = extent->written;
	thaw(stays ? extent : target, extent->block.granules, !stays);
	return stays;
}

static bool is_poisoned(const struct mal_extent *extent)
{
	u32 i;

	for (i = 0; i < extent->block.granules; i++) {
		if (PageHWPoison(mal_extent_page(extent, i)))
			return true;
		if (IS_ALIGNED(i + 1, MAL_MOVE_SLICE))
			cond_resched();
	}
	return false;
}

/* @target, of memory that counts as dirty no longer, or as soon as it is free again. */
static enum mal_stay move_to_place(struct mal_buffer *buffer, struct mal_extent *target)
{
	struct mal_extent *extent = &buffer->extent;
	struct mal_region *region = extent->region;
	const u32 pages = target->block.granules;
	const bool poisoned = is_poisoned(target);
	enum mal_stay stays = MAL_STAYS_NO_ROOM;

	if (!poisoned) {
		down_write(&extent->size_lock);
		stays = move_to(buffer, target);
		up_write(&extent->size_lock);
	}
	mal_clean_mark_dirty(&region->clean, target->block.first, pages, target->written);
	mal_arena_free(&region->arena, &target->block);
	mal_clean_queue(&region->clean);
	if (poisoned)
		mal_retire_poisoned(region, target->block.first, pages);
	return stays;
}

/* What @buffer asks for, between @lo and @hi. False: that can't be. */
static bool limit_request(const struct mal_buffer *buffer, u32 pages, u32 lo, u32 hi,
			  struct mal_request *req)
{
	*req = buffer->req;
	req->size = pages;
	req->lo = max(req->lo, lo);
	if (hi && (!req->hi || hi < req->hi))
		req->hi = hi;
	return !req->hi || req->lo < req->hi;
}

enum mal_stay mal_move(struct mal_buffer *buffer, struct mal_payer *payer, u32 lo, u32 hi)
{
	struct mal_region *region = buffer->extent.region;
	struct mal_extent target = {
		.block.payer = payer,
		.block.first = MAL_NONE,
		.block.granules = READ_ONCE(buffer->extent.block.granules),
		.region = region,
	};
	const u32 pages = target.block.granules;
	struct mal_request req;
	int err;

	if (!limit_request(buffer, pages, lo, hi, &req))
		return MAL_STAYS_NO_ROOM;
	/* The mmap offset stays, so it will not be that of the buffer's place any more. */
	WRITE_ONCE(buffer->reusable, false);
	if (mal_offset_keep(&region->offsets, buffer->pgoff, 0))
		return MAL_STAYS_NO_MEMORY;
	/* Nothing is ready: what would be released here might be what is claimed. */
	err = mal_arena_try_alloc(&region->arena, &target.block, &req);
	if (err)
		return err == -ENOMEM ? MAL_STAYS_NO_ROOM : MAL_STAYS_GOING;
	if (!mal_clean_take_over(&region->clean, target.block.first, pages))
		return move_to_place(buffer, &target);
	mal_arena_free(&region->arena, &target.block);
	mal_clean_queue(&region->clean);
	return MAL_STAYS_GOING;
}
