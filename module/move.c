// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving a buffer while programs use it.
 *
 * Devices that can be asked let go of the buffer. Its size_lock is held for writing, so that no
 * page fault maps a page, and nobody pins the buffer. All mappings are removed. Then the reference
 * count of each page is frozen at 0, which works only if nobody holds the page; and who would take
 * a reference now finds that there is no page, and ends in a page fault. What was mapped and not
 * held can't be reached any more: it is copied, the blocks change places, and the faults that wait
 * map the new pages.
 *
 * What can fail has failed before the first page is frozen, or is undone page by page. The idiom of
 * freezing is that of the kernel's page migration (mm/migrate.c).
 */
#include <linux/page_ref.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/wait_bit.h>

#include "alloc.h"
#include "attachment.h"
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
	return mal_range_has_pages(&region->ranges.own) && !region->ranges.own.can_go;
}

enum mal_stay mal_buffer_stays(const struct mal_buffer *buffer)
{
	if (READ_ONCE(buffer->disclosed))
		return MAL_STAYS_DISCLOSED;
	if (mal_buffer_is_pinned(buffer))
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

/* Nobody has the buffer any more, and somebody may wait for the claim to end. */
static bool is_given_up(const struct mal_buffer *buffer)
{
	return !kref_read(&buffer->ref) || READ_ONCE(buffer->extent.block.left);
}

/* Or for this task. */
static bool must_stop(const struct mal_buffer *buffer)
{
	return is_given_up(buffer) || fatal_signal_pending(current);
}

/* Thaw @pages from granule @first on. If @gone, they leave their address space. */
static void thaw(const struct mal_region *region, u32 first, u32 pages, bool gone)
{
	const unsigned long pfn = mal_ranges_pfn(&region->ranges, first);
	u32 i;

	for (i = 0; i < pages; i++) {
		struct page *page = pfn_to_page(pfn + i);

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
	const u32 first = extent->block.first;
	const unsigned long pfn = mal_ranges_pfn(&extent->region->ranges, first);
	enum mal_stay stays = MAL_MOVES;
	u32 i;

	for (i = 0; i < extent->block.granules; i++) {
		if (IS_ALIGNED(i, MAL_MOVE_SLICE)) {
			cond_resched();
			if (must_stop(buffer))
				stays = MAL_STAYS_GOING;
		}
		if (!stays && !freeze_page(pfn_to_page(pfn + i)))
			stays = MAL_STAYS_HELD;
		if (stays) {
			thaw(extent->region, first, i, false);
			break;
		}
	}
	return stays;
}

/* Write back what was copied from the buffer's first @pages to granule @to, the last page first. */
static void copy_back(const struct mal_buffer *buffer, u32 to, u32 pages)
{
	const struct mal_extent *extent = &buffer->extent;
	struct mal_region *region = extent->region;

	while (pages--) {
		if (!mal_clean_copy(&region->clean, extent->block.first + pages, to + pages, 1,
				    extent->written))
			continue;
		/* Who touches the page gets SIGBUS, not what another page had. */
		SetPageHWPoison(mal_extent_page(extent, pages));
		pr_err("region %s: page %u of a buffer is lost, to a fault of the memory\n",
		       region->name, pages);
	}
}

/*
 * Copy the buffer, which nobody can reach, to granule @to, from its first page to its last. The
 * new place may reach into the old one from below. Then only a fault of the memory ends that early,
 * which is undone; or that nobody needs the buffer any more.
 */
static enum mal_stay copy(const struct mal_buffer *buffer, u32 to)
{
	const struct mal_extent *extent = &buffer->extent;
	const u32 pages = extent->block.granules;
	const u32 from = extent->block.first;
	const bool overlaps = to < from && from - to < pages;
	const u32 slice = overlaps ? 1 : MAL_MOVE_SLICE;
	u32 done, n;

	for (done = 0; done < pages; done += n) {
		if (overlaps ? is_given_up(buffer) : must_stop(buffer))
			return MAL_STAYS_GOING;
		n = min(pages - done, slice);
		if (!mal_clean_copy(&extent->region->clean, to + done, from + done, n,
				    extent->written))
			continue;
		if (overlaps)
			copy_back(buffer, to, done);
		return MAL_STAYS_HELD;
	}
	return MAL_MOVES;
}

/* The same; then the buffer changes places with @target. */
static enum mal_stay copy_and_swap(struct mal_buffer *buffer, struct mal_extent *target)
{
	struct mal_extent *extent = &buffer->extent;
	struct mal_region *region = extent->region;
	const u32 from = extent->block.first;
	enum mal_stay stays = copy(buffer, target->block.first);

	if (!stays) {
		mal_arena_swap(&region->arena, &extent->block, &target->block);
		trace_memalloc_move(region->name, &extent->block, from, extent->block.granules);
	}
	return stays;
}

/* Under size_lock, held for writing. After success, @target has what the buffer has left. */
static enum mal_stay move_to(struct mal_buffer *buffer, struct mal_extent *target, u32 pages)
{
	struct mal_extent *extent = &buffer->extent;
	const u32 from = extent->block.first;
	enum mal_stay stays;

	lockdep_assert_held_write(&extent->size_lock);
	if (extent->block.granules != pages)
		return MAL_STAYS_GOING;
	stays = mal_buffer_stays(buffer);
	/* Not even one that yields. */
	if (!stays && atomic_read_acquire(&buffer->pins))
		stays = MAL_STAYS_MAPPED;
	if (stays)
		return stays;

	/* Of pages that nobody has touched, nobody holds any. */
	if (!extent->touched)
		return copy_and_swap(buffer, target);

	mal_unmap(buffer, 0, pages);
	stays = freeze(buffer);
	if (stays)
		return stays;
	stays = copy_and_swap(buffer, target);
	if (!stays)
		target->written = extent->written;
	thaw(extent->region, from, pages, !stays);
	return stays;
}

/* The same, with all locks. */
static enum mal_stay stop_and_move(struct mal_buffer *buffer, struct mal_extent *target, u32 pages,
				   unsigned long *patience)
{
	struct mal_extent *extent = &buffer->extent;
	u64 *longest = &extent->region->moves.longest;
	enum mal_stay stays;
	u64 start;

	if (!mal_stop_devices(buffer, patience))
		return MAL_STAYS_MAPPED;
	/*
	 * Most of the unmapping is done while faults need not wait: only what is touched meanwhile
	 * comes back. Once there is a file, it is known whether entries may be huge.
	 */
	if (READ_ONCE(buffer->mapping_file) && !mal_buffer_stays(buffer))
		mal_unmap(buffer, 0, pages);
	start = ktime_get_ns();
	down_write(&extent->size_lock);
	stays = move_to(buffer, target, pages);
	up_write(&extent->size_lock);
	WRITE_ONCE(*longest, max(*longest, ktime_get_ns() - start));
	mal_resume_devices(buffer);
	return stays;
}

u32 mal_buffer_moves(const struct mal_buffer *buffer)
{
	lockdep_assert_held(&buffer->extent.region->compacting);
	return buffer->moves_second == (u32)ktime_get_seconds() ? buffer->moves : 0;
}

/* A move of @buffer, of @pages, has ended. */
static void account_move(struct mal_buffer *buffer, u32 pages, enum mal_stay stays)
{
	struct mal_move_figures *figures = &buffer->extent.region->moves;

	/* Its mappings are gone all the same: enough for this second. */
	buffer->moves = stays ? MAL_MOVES_MAX : mal_buffer_moves(buffer) + 1;
	buffer->moves_second = ktime_get_seconds();
	if (stays) {
		WRITE_ONCE(figures->stays[stays], figures->stays[stays] + 1);
		trace_memalloc_stay(buffer->extent.region->name, &buffer->extent.block, stays);
	} else {
		WRITE_ONCE(figures->moves, figures->moves + 1);
		WRITE_ONCE(figures->moved, figures->moved + pages);
	}
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

/* The mmap offset stays, so it will not be that of the buffer's place any more. */
static enum mal_stay keep_offset(struct mal_buffer *buffer)
{
	WRITE_ONCE(buffer->reusable, false);
	if (mal_offset_keep(&buffer->extent.region->offsets, buffer->pgoff, 0))
		return MAL_STAYS_NO_MEMORY;
	return MAL_MOVES;
}

/*
 * Move the buffer of @pages to @target, or to a place that begins there and ends before the buffer
 * does. Nothing may be ready.
 */
static enum mal_stay move_to_target(struct mal_buffer *buffer, struct mal_extent *target, u32 pages,
				    unsigned long *patience)
{
	struct mal_extent *extent = &buffer->extent;
	struct mal_region *region = extent->region;
	struct mal_block *block = &target->block;
	enum mal_stay stays = keep_offset(buffer);
	bool poisoned = false;

	if (stays)
		goto free;
	stays = MAL_STAYS_GOING;
	if (mal_clean_take_over(&region->clean, block->first, block->granules))
		goto free;
	/* From here on its memory counts as dirty no longer, or as soon as it is free again. */
	poisoned = is_poisoned(target);
	stays = MAL_STAYS_NO_ROOM;
	if (!poisoned) {
		stays = stop_and_move(buffer, target, pages, patience);
		account_move(buffer, pages, stays);
	}
	mal_clean_mark_dirty(&region->clean, block->first, block->granules, target->written);
free:
	mal_arena_free(&region->arena, block);
	mal_clean_queue(&region->clean);
	if (poisoned)
		mal_retire_poisoned(region, block->first, block->granules);
	return stays;
}

/* @req of a buffer that has @pages now, between @lo and @hi. False: that can't be. */
static bool limit_request(struct mal_request *req, u32 pages, u32 lo, u32 hi)
{
	req->size = pages;
	req->lo = max(req->lo, lo);
	if (hi && (!req->hi || hi < req->hi))
		req->hi = hi;
	return !req->hi || req->lo < req->hi;
}

/* What @buffer, of @pages, moves to, or by. It has no place yet, and nobody pays for it. */
static struct mal_extent make_target(const struct mal_buffer *buffer, u32 pages)
{
	return (struct mal_extent) {
		.block.first = MAL_NONE,
		.block.granules = pages,
		.region = buffer->extent.region,
	};
}

enum mal_stay mal_move(struct mal_buffer *buffer, u32 pages, u32 lo, u32 hi,
		       unsigned long *patience)
{
	struct mal_extent target = make_target(buffer, pages);
	struct mal_move_figures *figures = &target.region->moves;
	enum mal_stay stays;
	struct mal_request req;
	unsigned int number = 0;
	int err = -ENOMEM;

	WRITE_ONCE(figures->target, pages);
	/* Nothing is ready: what would be released here might be what is claimed. */
	while (err == -ENOMEM &&
	       mal_bounds_next(&target.region->ranges, &buffer->bounds, &number, &req))
		if (limit_request(&req, pages, lo, hi))
			err = mal_arena_try_alloc(&target.region->arena, &target.block, &req);
	if (err)
		stays = err == -ENOMEM ? MAL_STAYS_NO_ROOM : MAL_STAYS_GOING;
	else
		stays = move_to_target(buffer, &target, pages, patience);
	WRITE_ONCE(figures->target, 0);
	return stays;
}

enum mal_stay mal_slide(struct mal_buffer *buffer, u32 pages, u32 lo, unsigned long *patience)
{
	struct mal_extent target = make_target(buffer, pages);
	struct mal_move_figures *figures = &target.region->moves;
	enum mal_stay stays;
	struct mal_request req;
	int err;

	if (!mal_bounds_at(&target.region->ranges, &buffer->bounds, buffer->extent.block.first,
			   &req) || !limit_request(&req, pages, lo, 0))
		return MAL_STAYS_NO_ROOM;
	WRITE_ONCE(figures->target, pages);
	err = mal_arena_alloc_before(&target.region->arena, &buffer->extent.block, &target.block,
				     &req);
	if (err)
		stays = err == -ENOENT ? MAL_MOVES : MAL_STAYS_NO_ROOM;
	else
		stays = move_to_target(buffer, &target, pages, patience);
	WRITE_ONCE(figures->target, 0);
	return stays;
}
