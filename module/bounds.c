// SPDX-License-Identifier: GPL-2.0-only
/* From page frames that a buffer may have to granules. */
#include <linux/minmax.h>

#include "bounds.h"

/* The window of @bounds in @part. False: there is none. */
static bool window_in_part(const struct mal_bounds *bounds, const struct mal_ranges_part *part,
			   struct mal_request *req)
{
	const u64 part_end = (u64)part->pfn + part->pages;
	const u64 first = max_t(u64, bounds->first, part->pfn);
	const u64 end = min(bounds->end, part_end);

	if (first >= end || (bounds->whole_ranges && end - first != part->pages))
		return false;
	*req = bounds->req;
	req->lo = part->first + (first - part->pfn);
	req->hi = part->first + (end - part->pfn);
	return true;
}

bool mal_bounds_next(const struct mal_ranges *ranges, const struct mal_bounds *bounds,
		     unsigned int *number, struct mal_request *req)
{
	struct mal_ranges_part part;

	if (!bounds->end) {
		*req = bounds->req;
		return !(*number)++;
	}
	while (*number < MEMALLOC_RANGES_MAX) {
		if (mal_ranges_get(ranges, (*number)++, &part) &&
		    window_in_part(bounds, &part, req))
			return true;
	}
	return false;
}

bool mal_bounds_at(const struct mal_ranges *ranges, const struct mal_bounds *bounds, u32 granule,
		   struct mal_request *req)
{
	struct mal_ranges_part part;
	unsigned int i;

	if (!bounds->end) {
		*req = bounds->req;
		return true;
	}
	for (i = 0; i < MEMALLOC_RANGES_MAX; i++) {
		if (mal_ranges_get(ranges, i, &part) && granule - part.first < part.pages)
			return window_in_part(bounds, &part, req);
	}
	return false;
}

bool mal_bounds_are_wide(const struct mal_ranges *ranges, const struct mal_bounds *bounds)
{
	const u64 pfn = ranges->own.pfn;

	if (ranges->max > 1)
		return !bounds->first && bounds->end > U64_MAX >> PAGE_SHIFT;
	return bounds->first <= pfn && bounds->end >= pfn + ranges->own.pages;
}

bool mal_bounds_hold(const struct mal_ranges *ranges, const struct mal_bounds *bounds, u32 first,
		     u32 granules)
{
	struct mal_request req;

	return !bounds->end || (mal_bounds_at(ranges, bounds, first, &req) && first >= req.lo &&
				first + granules <= req.hi);
}
