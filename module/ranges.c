// SPDX-License-Identifier: GPL-2.0-only
/* The ranges of a region, and where their granules are. */
#include <linux/slab.h>

#include "core/heap.h"
#include "ranges.h"

#define MAL_ADDED_MAX	(MEMALLOC_RANGES_MAX - 1)

const struct mal_range *mal_ranges_find_added(const struct mal_ranges *ranges, u32 *granule)
{
	const struct mal_range *found = NULL;
	unsigned int i;

	rcu_read_lock();
	for (i = 0; i < MAL_ADDED_MAX && !found; i++) {
		const struct mal_stretch *stretch = rcu_dereference(ranges->added[i]);

		if (!stretch || *granule - stretch->first >= stretch->range.pages)
			continue;
		*granule -= stretch->first;
		found = &stretch->range;
	}
	rcu_read_unlock();
	return found;
}

bool mal_ranges_get(const struct mal_ranges *ranges, unsigned int number,
		    struct mal_ranges_part *part)
{
	const struct mal_stretch *stretch;

	*part = (struct mal_ranges_part) { .pages = ranges->own.pages, .pfn = ranges->own.pfn };
	if (!number)
		return true;
	rcu_read_lock();
	stretch = rcu_dereference(ranges->added[number - 1]);
	if (stretch)
		*part = (struct mal_ranges_part) {
			.first = stretch->first,
			.pages = stretch->range.pages,
			.pfn = stretch->range.pfn,
		};
	rcu_read_unlock();
	return stretch;
}

void mal_ranges_init(struct mal_ranges *ranges, u32 max, unsigned long pages_max)
{
	const u64 granules = pages_max + (u64)(max - 1) * ranges->own.align;

	ranges->max = max;
	ranges->pages_max = pages_max;
	ranges->granules = min_t(u64, granules, MAL_HEAP_MAX);
	ranges->pages = ranges->own.pages;
	ranges->largest = ranges->own.pages;
}

/* Is [@first, @end) in a gap, and no neighbour of a range? */
static bool is_in_gap(const struct mal_ranges *ranges, u64 first, u64 end)
{
	struct mal_ranges_part part;
	unsigned int i;

	if (end > ranges->granules)
		return false;
	for (i = 0; i < MEMALLOC_RANGES_MAX; i++)
		if (mal_ranges_get(ranges, i, &part) && first <= part.first + part.pages &&
		    end >= part.first)
			return false;
	return true;
}

/* The lowest place for a range of @pages; MAL_NONE: there is none. */
static u32 find_place(const struct mal_ranges *ranges, unsigned long pages)
{
	struct mal_ranges_part part;
	u32 place = MAL_NONE;
	unsigned int i;

	for (i = 0; i < MEMALLOC_RANGES_MAX; i++) {
		u64 first;

		if (!mal_ranges_get(ranges, i, &part))
			continue;
		first = ALIGN((u64)part.first + part.pages + 1, ranges->own.align);
		if (first < place && is_in_gap(ranges, first, first + pages))
			place = first;
	}
	return place;
}

static int find_number(const struct mal_ranges *ranges)
{
	unsigned int i;

	for (i = 1; i < ranges->max; i++)
		if (!rcu_access_pointer(ranges->added[i - 1]))
			return i;
	return -ENOSPC;
}

bool mal_ranges_can_add(const struct mal_ranges *ranges, unsigned long pages)
{
	return find_number(ranges) > 0 &&
	       pages <= ranges->pages_max - READ_ONCE(ranges->pages) &&
	       find_place(ranges, pages) != MAL_NONE;
}

static void count_pages(struct mal_ranges *ranges)
{
	struct mal_ranges_part part;
	u32 largest = 0;
	u32 pages = 0;
	unsigned int i;

	for (i = 0; i < MEMALLOC_RANGES_MAX; i++) {
		if (!mal_ranges_get(ranges, i, &part))
			continue;
		pages += part.pages;
		largest = max(largest, part.pages);
	}
	WRITE_ONCE(ranges->pages, pages);
	WRITE_ONCE(ranges->largest, largest);
}

int mal_ranges_add(struct mal_ranges *ranges, struct mal_stretch *stretch)
{
	const int number = find_number(ranges);

	if (!mal_ranges_can_add(ranges, stretch->range.pages))
		return -ENOSPC;
	stretch->first = find_place(ranges, stretch->range.pages);
	rcu_assign_pointer(ranges->added[number - 1], stretch);
	count_pages(ranges);
	return number;
}

struct mal_stretch *mal_ranges_added(const struct mal_ranges *ranges, unsigned int number)
{
	if (!number || number >= MEMALLOC_RANGES_MAX)
		return NULL;
	return rcu_dereference_protected(ranges->added[number - 1], true);
}

void mal_ranges_remove(struct mal_ranges *ranges, unsigned int number)
{
	RCU_INIT_POINTER(ranges->added[number - 1], NULL);
	count_pages(ranges);
	synchronize_rcu();
}

void mal_ranges_release(struct mal_ranges *ranges)
{
	unsigned int i;

	for (i = 1; i < MEMALLOC_RANGES_MAX; i++) {
		struct mal_stretch *stretch = mal_ranges_added(ranges, i);

		if (!stretch)
			continue;
		mal_ranges_remove(ranges, i);
		mal_range_release(&stretch->range);
		kfree(stretch);
	}
	mal_range_release(&ranges->own);
}
