// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps pages of buffers out of use until nothing holds them any more.
 *
 * A scan goes through the pages of one user's extents, and begins where the last scan ended. Each
 * extent knows the pieces of its block that are not back yet. A scan ends after MAL_SCAN_PAGES
 * pages that are still held: its cost is bounded by what it returns plus a constant, whatever
 * anybody has in quarantine. A work item of the user scans, and so do those of his calls that fail
 * for want of memory.
 *
 * A pass is as many scans as it takes to see all of the user's extents. After a pass in which
 * nothing came back, the work waits twice as long until it begins the next.
 */
#include <linux/module.h>

#include "charge.h"
#include "extent.h"
#include "look/trace.h"
#include "quarantine.h"
#include "region.h"

/* One scan sees no more pages than this that are still held. */
#define MAL_SCAN_PAGES		1024

/* From one scan to the next; from one pass to the next at least, and at most. */
#define MAL_DELAY_MS		50
#define MAL_DELAY_MAX_MS	1600

static void destroy_extent(struct mal_extent *extent)
{
	struct mal_region *region = extent->region;

	mal_extent_destroy(extent);
	mal_region_put(region);
	module_put(THIS_MODULE);
}

static unsigned int ward_count(struct mal_ward *ward)
{
	unsigned int count;

	mutex_lock(&ward->lock);
	count = ward->count;
	mutex_unlock(&ward->lock);
	return count;
}

/* The next extent to scan; the first one begins a pass. NULL: there is none. */
static struct mal_extent *ward_next(struct mal_ward *ward)
{
	struct mal_extent *extent;

	mutex_lock(&ward->lock);
	if (!ward->todo) {
		ward->todo = ward->count;
		ward->pass_freed_pages = false;
	}
	extent = list_first_entry_or_null(&ward->extents, struct mal_extent, node);
	mutex_unlock(&ward->lock);
	return extent;
}

/* All of the extent, the first of the ward, has been scanned. The last one ends the pass. */
static void ward_scanned(struct mal_ward *ward, struct mal_extent *extent)
{
	const bool is_back = !extent->block.granules;

	mutex_lock(&ward->lock);
	if (is_back) {
		list_del(&extent->node);
		ward->count--;
	} else {
		list_move_tail(&extent->node, &ward->extents);
	}
	ward->todo--;
	if (!ward->todo && ward->pass_freed_pages)
		ward->delay_ms = MAL_DELAY_MS;
	else if (!ward->todo)
		ward->delay_ms = min(2 * ward->delay_ms, (unsigned int)MAL_DELAY_MAX_MS);
	mutex_unlock(&ward->lock);
	if (is_back)
		destroy_extent(extent);
}

/* Scan each extent once, within the bound. */
static void ward_scan(struct mal_ward *ward)
{
	unsigned int extents = ward_count(ward);
	u32 budget = MAL_SCAN_PAGES;
	struct mal_extent *extent;

	lockdep_assert_held(&ward->scan_lock);
	while (budget && extents--) {
		extent = ward_next(ward);
		if (!extent)
			break;
		if (mal_extent_scan(extent, &budget))
			ward->pass_freed_pages = true;
		if (!extent->unscanned)
			ward_scanned(ward, extent);
		cond_resched();
	}
}

void mal_quarantine_work(struct work_struct *work)
{
	struct mal_ward *ward = container_of(to_delayed_work(work), struct mal_ward, work);
	struct mal_user *user = container_of(ward, struct mal_user, ward);
	unsigned int delay_ms;
	bool again;

	/* Otherwise a call of the user is scanning, and does this work: don't wait for the call. */
	if (mutex_trylock(&ward->scan_lock)) {
		ward_scan(ward);
		mutex_unlock(&ward->scan_lock);
	}
	mutex_lock(&ward->lock);
	delay_ms = ward->todo ? MAL_DELAY_MS : ward->delay_ms;
	again = ward->count && queue_delayed_work(ward->wq, &ward->work,
						  msecs_to_jiffies(delay_ms));
	mutex_unlock(&ward->lock);
	if (!again)
		mal_user_put(user);
}

static void ward_add(struct mal_extent *extent)
{
	const unsigned long delay = msecs_to_jiffies(MAL_DELAY_MS);
	struct mal_user *user = extent->block.payer->user;
	struct mal_ward *ward = &user->ward;
	bool was_pending;

	/* One for the work; one until the mutex is unlocked, as the work may put the last one. */
	mal_user_get(user);
	mal_user_get(user);
	mutex_lock(&ward->lock);
	list_add_tail(&extent->node, &ward->extents);
	ward->count++;
	/* Work that is due soon stays as it is: a steady stream of extents must not put it off. */
	if (ward->delay_ms > MAL_DELAY_MS)
		was_pending = mod_delayed_work(ward->wq, &ward->work, delay);
	else
		was_pending = !queue_delayed_work(ward->wq, &ward->work, delay);
	ward->delay_ms = MAL_DELAY_MS;
	mutex_unlock(&ward->lock);
	mal_user_put(user);
	if (was_pending)
		mal_user_put(user);
}

bool mal_quarantine_scan(struct mal_user *user)
{
	struct mal_ward *ward = &user->ward;
	/* The scan that is going on may return what was missing. */
	bool was_scanning = !mutex_trylock(&ward->scan_lock);
	bool any;

	if (was_scanning && mutex_lock_killable(&ward->scan_lock))
		return false;
	any = ward_count(ward);
	if (any)
		ward_scan(ward);
	mutex_unlock(&ward->scan_lock);
	return any || was_scanning;
}

/* Free the pages of a quarantined extent that nobody holds; the others go to the ward. */
static void admit_extent(struct mal_extent *extent)
{
	u32 unlimited = U32_MAX;

	mal_extent_scan(extent, &unlimited);
	if (extent->block.granules)
		ward_add(extent);
	else
		destroy_extent(extent);
}

void mal_quarantine_add(struct mal_quarantine *quarantine, struct mal_extent *extent)
{
	struct mal_region *region = extent->region;

	/* The caller came through a file of ours, which holds these references, too. */
	__module_get(THIS_MODULE);
	mal_region_get(region);

	trace_memalloc_quarantine(region->name, &extent->block, extent->block.first,
				  extent->block.granules);
	atomic_inc(&quarantine->in_transit);
	/* These fields share their memory with size_lock, which is not used any more. */
	extent->unscanned = 0;
	extent->scanned = 0;
	mal_arena_quarantine(&region->arena, &extent->block);
	if (extent->block.retained) {
		mutex_lock(&quarantine->lock);
		list_add_tail(&extent->node, &quarantine->retained);
		mutex_unlock(&quarantine->lock);
	} else {
		admit_extent(extent);
	}
	/* Nobody calls RELEASE any more. */
	if (mal_range_is_gone(&region->ranges.own))
		mal_quarantine_release_all(quarantine);
	atomic_dec(&quarantine->in_transit);
}

/* Move a retained extent to the list @released. */
static void release_extent(struct mal_quarantine *quarantine, struct mal_extent *extent,
			   struct list_head *released)
{
	lockdep_assert_held(&quarantine->lock);
	atomic_inc(&quarantine->in_transit);
	mal_arena_end_retention(&extent->region->arena, &extent->block);
	list_move_tail(&extent->node, released);
}

/* Admit all extents of @released, without the lock. */
static void admit_released(struct mal_quarantine *quarantine, struct list_head *released)
{
	struct mal_extent *extent;
	struct mal_extent *next;

	list_for_each_entry_safe(extent, next, released, node) {
		list_del(&extent->node);
		admit_extent(extent);
		atomic_dec(&quarantine->in_transit);
		cond_resched();
	}
}

int mal_quarantine_release(struct mal_quarantine *quarantine, u64 first, u64 pages)
{
	struct mal_extent *extent;
	LIST_HEAD(released);
	int err = -ENOENT;

	mutex_lock(&quarantine->lock);
	list_for_each_entry(extent, &quarantine->retained, node) {
		if (extent->block.first != first)
			continue;
		err = pages && pages != extent->block.granules ? -ERANGE : 0;
		if (!err)
			release_extent(quarantine, extent, &released);
		break;
	}
	mutex_unlock(&quarantine->lock);
	admit_released(quarantine, &released);
	return err;
}

void mal_quarantine_release_all(struct mal_quarantine *quarantine)
{
	struct mal_extent *extent;
	struct mal_extent *next;
	LIST_HEAD(released);

	mutex_lock(&quarantine->lock);
	list_for_each_entry_safe(extent, next, &quarantine->retained, node)
		release_extent(quarantine, extent, &released);
	mutex_unlock(&quarantine->lock);
	admit_released(quarantine, &released);
}

static u64 count_pages(const struct list_head *extents)
{
	const struct mal_extent *extent;
	u64 pages = 0;

	list_for_each_entry(extent, extents, node)
		pages += extent->block.granules;
	return pages;
}

u64 mal_quarantine_count(struct mal_quarantine *quarantine, struct mal_users *users,
			 u64 *retained)
{
	struct mal_user *user = NULL;
	u64 pages;

	mutex_lock(&quarantine->lock);
	*retained = count_pages(&quarantine->retained);
	mutex_unlock(&quarantine->lock);
	pages = *retained;

	while ((user = mal_users_next(users, user))) {
		struct mal_ward *ward = &user->ward;

		mutex_lock(&ward->scan_lock);
		mutex_lock(&ward->lock);
		pages += count_pages(&ward->extents);
		mutex_unlock(&ward->lock);
		mutex_unlock(&ward->scan_lock);
	}
	return pages;
}

void mal_quarantine_init(struct mal_quarantine *quarantine)
{
	mutex_init(&quarantine->lock);
	INIT_LIST_HEAD(&quarantine->retained);
	atomic_set(&quarantine->in_transit, 0);
}

void mal_quarantine_destroy(struct mal_quarantine *quarantine)
{
	WARN_ON(!list_empty(&quarantine->retained));
	mutex_destroy(&quarantine->lock);
}
