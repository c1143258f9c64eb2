/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_RANGES_H
#define MAL_RANGES_H

#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/memalloc.h>

#include "source/source.h"

/*
 * The memory behind a region's granules: ranges, one or a few, with a gap after each, which is of
 * granules that have no memory. So no block reaches from one range into another.
 *
 * The first range begins at granule 0, and stays as long as the region. The others begin at
 * multiples of its alignment, as their memory does, so that alignments and boundaries mean the same
 * for granules as for addresses. Only memory that the system has in use makes several ranges: it
 * has struct pages, and it does not go by itself.
 */

/* A range, and the granules that it is behind. */
struct mal_stretch {
	u32 first;
	struct mal_range range;
};

struct mal_ranges {
	struct mal_range own;		/* the first; what holds for it holds for all of them */

	/* Those that were added. They change under region->compacting; readers are under RCU. */
	struct mal_stretch __rcu *added[MEMALLOC_RANGES_MAX - 1];
	u32 max;			/* there may be so many, with the first, */
	unsigned long pages_max;	/* of so many pages together */
	u32 granules;			/* of the region, with those of gaps */

	/* Read by READ_ONCE(): */
	u32 pages;			/* of all ranges */
	u32 largest;			/* pages of the largest range */
};

/* The range that is behind *@granule, which becomes the index of its page there. NULL: a gap is. */
const struct mal_range *mal_ranges_find_added(const struct mal_ranges *ranges, u32 *granule);

/*
 * The same for a granule that is known to have memory, since the caller keeps a block there: of a
 * buffer that may be moved, a reference does not. The range stays as long as the block.
 */
static inline const struct mal_range *mal_ranges_find(const struct mal_ranges *ranges, u32 *granule)
{
	if (likely(*granule < ranges->own.pages))
		return &ranges->own;
	return mal_ranges_find_added(ranges, granule);
}

static inline unsigned long mal_ranges_pfn(const struct mal_ranges *ranges, u32 granule)
{
	const struct mal_range *range = mal_ranges_find(ranges, &granule);

	return range->pfn + granule;
}

/* The only one of these that takes any granule. */
static inline bool mal_ranges_poisoned(const struct mal_ranges *ranges, u32 granule)
{
	const struct mal_range *range = mal_ranges_find(ranges, &granule);

	return range && mal_range_is_poisoned(range, granule);
}

static inline void *mal_ranges_address(const struct mal_ranges *ranges, u32 granule)
{
	const struct mal_range *range = mal_ranges_find(ranges, &granule);

	return mal_range_address(range, granule);
}

static inline void mal_ranges_zero_page(const struct mal_ranges *ranges, u32 granule)
{
	const struct mal_range *range = mal_ranges_find(ranges, &granule);

	mal_range_zero_page(range, granule);
}

/* Granules of one range, and its first page frame. */
struct mal_ranges_part {
	u32 first;
	u32 pages;
	unsigned long pfn;
};

/* The range of that number, 0 to MEMALLOC_RANGES_MAX - 1, as it is now. False: there is none. */
bool mal_ranges_get(const struct mal_ranges *ranges, unsigned int number,
		    struct mal_ranges_part *part);

/* @ranges->own has been claimed. There may be @max ranges, of @pages_max together. */
void mal_ranges_init(struct mal_ranges *ranges, u32 max, unsigned long pages_max);

/*
 * Add @stretch, of which the range has been claimed. Under region->compacting. Returns its number.
 * -ENOSPC: there are too many, or there is no place for so many granules.
 */
int mal_ranges_add(struct mal_ranges *ranges, struct mal_stretch *stretch);

/* May a range of @pages be added, and is there a place for it? */
bool mal_ranges_can_add(const struct mal_ranges *ranges, unsigned long pages);

/* The range that was added as @number. NULL: there is none. Under region->compacting. */
struct mal_stretch *mal_ranges_added(const struct mal_ranges *ranges, unsigned int number);

/*
 * Take it out. No granule of it is in use any more; the caller frees it. Under region->compacting.
 * Sleeps.
 */
void mal_ranges_remove(struct mal_ranges *ranges, unsigned int number);

/* Give back all ranges: see mal_range_release(). */
void mal_ranges_release(struct mal_ranges *ranges);

#endif /* MAL_RANGES_H */
