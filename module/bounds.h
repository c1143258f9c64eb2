/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BOUNDS_H
#define MAL_BOUNDS_H

#include "core/heap.h"
#include "ranges.h"

/*
 * What a buffer asks of its place, for as long as it lives. Ranges come and go meanwhile, so the
 * addresses that it may have are page frames here. To the heap, that is a window of granules in
 * each range.
 */
struct mal_bounds {
	struct mal_request req;		/* in any range; mostly without a window */

	/* Frames [@first, @end). @end is 0: any, and the others mean nothing. */
	u64 end;
	u64 first;
	bool whole_ranges;	/* a range in which some frames are not allowed is not allowed */
};

/*
 * What to ask of the heap for the next range in which @bounds has a window; of the first, if
 * *@number is 0. If there is no window, that is one request for all ranges. False: there is no
 * further range.
 */
bool mal_bounds_next(const struct mal_ranges *ranges, const struct mal_bounds *bounds,
		     unsigned int *number, struct mal_request *req);

/* The same for the range that has @granule. False: @bounds has no window there. */
bool mal_bounds_at(const struct mal_ranges *ranges, const struct mal_bounds *bounds, u32 granule,
		   struct mal_request *req);

/* Do @bounds have all of each range, also of those that may be added? */
bool mal_bounds_are_wide(const struct mal_ranges *ranges, const struct mal_bounds *bounds);

/* Is [@first, @first + @granules) within the frames of @bounds? It is a block, or part of one. */
bool mal_bounds_hold(const struct mal_ranges *ranges, const struct mal_bounds *bounds, u32 first,
		     u32 granules);

#endif /* MAL_BOUNDS_H */
