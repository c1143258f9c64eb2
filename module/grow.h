/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_GROW_H
#define MAL_GROW_H

#include "region.h"

/*
 * Add a range of @pages, or if these are not to be had, of @pages_min or more, from NUMA node
 * @node, to @region, which is in use or about to be. The caller keeps the region. Returns the
 * range's number. Sleeps, for as long as the source takes. -EOPNOTSUPP: the region's source has one
 * range only; -ENOSPC: there are as many ranges as there may be, or so many granules don't fit into
 * the region; or as claim in source/source.h.
 */
int mal_grow(struct mal_region *region, unsigned long pages, unsigned long pages_min,
	     int node);

/* What a shrink has done, and what is left in the range. In granules, but @moves. */
struct mal_shrink {
	u64 length;			/* of the range */
	u64 moves;			/* buffers that were moved, */
	u64 moved;			/* and their granules */
	u64 quarantined;		/* freed, and held by somebody; or waits for RELEASE */
	u64 stays[MAL_STAYS_REASONS];
};

/*
 * Move all buffers out of the range of that @number, and give the range back. The caller keeps the
 * region. Sleeps. -EINVAL: it is the first, which stays; -ENOENT: there is none of that number;
 * -EBUSY: something stays in it, and @shrink says what; -EINTR: a fatal signal arrived.
 */
int mal_shrink(struct mal_region *region, unsigned int number, struct mal_shrink *shrink);

#endif /* MAL_GROW_H */
