// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region gets a further range, or gives one back, while it is in use.
 *
 * To give a range back, nothing is allocated there any more: what is free becomes a gap, and so
 * does what gets free later. Meanwhile the buffers are moved to other ranges. What is held for a
 * moment only, as by direct I/O, is waited for. If something stays, the range is as it was.
 */
#include <linux/delay.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compact.h"
#include "grow.h"
#include "quarantine.h"

/* So long, and so often, what stays is waited for; and is tried again with each of so many. */
#define MAL_SHRINK_POLL_MS	20
#define MAL_SHRINK_TRIES	50
#define MAL_SHRINK_POLLS	5

static struct mal_stretch *claim_stretch(struct mal_region *region, const struct mal_wish *wish)
{
	struct mal_stretch *stretch = kzalloc(sizeof(*stretch), GFP_KERNEL);
	int err;

	if (!stretch)
		return ERR_PTR(-ENOMEM);
	err = mal_range_claim(&stretch->range, region->ranges.own.source, wish, NULL);
	if (err)
		goto free;
	err = mal_range_zero(&stretch->range);
	if (!err)
		return stretch;
	mal_range_release(&stretch->range);
free:
	kfree(stretch);
	return ERR_PTR(err);
}

static void release_stretch(struct mal_stretch *stretch)
{
	mal_range_release(&stretch->range);
	kfree(stretch);
}

static int add_stretch(struct mal_region *region, struct mal_stretch *stretch)
{
	const unsigned long pages = stretch->range.pages;
	int number;

	if (mutex_lock_killable(&region->compacting))
		return -EINTR;
	number = mal_ranges_add(&region->ranges, stretch);
	if (number > 0) {
		mal_arena_open(&region->arena, stretch->first, stretch->first + pages);
		mal_users_set_pages(&region->users, region->ranges.pages);
	}
	mutex_unlock(&region->compacting);
	return number;
}

int mal_grow(struct mal_region *region, unsigned long pages, unsigned long pages_min, int node)
{
	const struct mal_wish wish = {
		.pages = pages,
		.pages_min = pages_min,
		.several = true,
		.node = node,
	};
	struct mal_stretch *stretch;
	int number;

	if (!region->ranges.own.source->has_several)
		return -EOPNOTSUPP;
	if (!mal_ranges_can_add(&region->ranges, pages))
		return -ENOSPC;
	stretch = claim_stretch(region, &wish);
	if (IS_ERR(stretch))
		return PTR_ERR(stretch);
	number = add_stretch(region, stretch);
	if (number < 0)
		release_stretch(stretch);
	return number;
}

/* Nothing is in use in what is closing. Does anybody hold a page, even so? */
static bool is_held(const struct mal_stretch *stretch)
{
	unsigned long page = 0;

	/* Who walks page tables without a lock may still take a reference to a page until then. */
	synchronize_rcu();
	return mal_range_is_held(&stretch->range, &page);
}

/* What nobody holds any more need not wait until it is looked at. */
static void scan_quarantine(struct mal_region *region)
{
	struct mal_user *user = NULL;

	while ((user = mal_users_next(&region->users, user)))
		(void)mal_quarantine_scan(user);
}

/* Move all buffers out of the range, which is closing. */
static int empty_range(struct mal_compaction *compaction, const struct mal_stretch *stretch)
{
	struct mal_region *region = compaction->region;
	const u32 first = stretch->first;
	const u32 end = first + stretch->range.pages;
	unsigned int tries;

	for (tries = 0; tries < MAL_SHRINK_TRIES; tries++) {
		enum mal_outcome outcome = MAL_DONE;

		if (!(tries % MAL_SHRINK_POLLS))
			outcome = mal_compact_evacuate(compaction, first, end);
		if (outcome == MAL_STOPPED)
			return compaction->err;
		if (outcome == MAL_NO_PLACE)
			return -EBUSY;
		scan_quarantine(region);
		if (mal_arena_is_closed(&region->arena) && !is_held(stretch))
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		msleep(MAL_SHRINK_POLL_MS);
	}
	return -EBUSY;
}

/* What is counted, up to granule @end. */
struct quarantined {
	u32 end;
	u64 granules;
};

static void count_quarantined(const struct mal_arena_piece *piece, void *data)
{
	struct quarantined *quarantined = data;

	if (piece->first >= quarantined->end)
		return;
	if (piece->state == MEMALLOC_BLOCK_QUARANTINED || piece->state == MEMALLOC_BLOCK_RETAINED)
		quarantined->granules += piece->granules;
}

/* Say what is left in [@first, @end). */
static void count_rest(struct mal_region *region, u32 first, u32 end, struct mal_shrink *shrink)
{
	struct quarantined quarantined = { .end = end };
	u32 at = first;

	mal_compact_count_stays(region, first, end, shrink->stays);
	while (at < end) {
		mal_arena_visit(&region->arena, &at, MAL_ARENA_SLICE, count_quarantined,
				&quarantined);
		cond_resched();
	}
	shrink->quarantined = quarantined.granules;
}

/* Take the range out of the region, if it can be emptied. Under region->compacting. */
static int remove_stretch(struct mal_region *region, unsigned int number,
			  const struct mal_stretch *stretch, struct mal_shrink *shrink)
{
	struct mal_compaction compaction = { .room.budget = U64_MAX, .region = region };
	const u32 first = stretch->first;
	const u32 end = first + stretch->range.pages;
	int err;

	mal_arena_begin_closing(&region->arena, first, end);
	err = empty_range(&compaction, stretch);
	shrink->length = stretch->range.pages;
	shrink->moves = compaction.moves;
	shrink->moved = compaction.moved;
	if (err == -EBUSY)
		count_rest(region, first, end, shrink);
	mal_arena_end_closing(&region->arena, !err);
	if (err) {
		/* What came back meanwhile was passed over. */
		mal_clean_queue(&region->clean);
		return err;
	}
	mal_clean_forget(&region->clean, first, end - first);
	mal_ranges_remove(&region->ranges, number);
	mal_users_set_pages(&region->users, region->ranges.pages);
	return 0;
}

int mal_shrink(struct mal_region *region, unsigned int number, struct mal_shrink *shrink)
{
	struct mal_stretch *stretch;
	int err;

	*shrink = (struct mal_shrink) {};
	if (!number)
		return -EINVAL;
	err = mal_compact_begin(region);
	if (err)
		return err;
	stretch = mal_ranges_added(&region->ranges, number);
	err = stretch ? remove_stretch(region, number, stretch, shrink) : -ENOENT;
	mal_compact_end(region);
	if (!err)
		release_stretch(stretch);
	return err;
}
