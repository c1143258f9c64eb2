/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PLACEMENT_H
#define MAL_PLACEMENT_H

struct mal_region;
struct mal_request;
struct memalloc_alloc;

/*
 * Turn the constraints of @alloc into granules of @region. -EPERM: the caller may not ask for
 * a window; -EINVAL: no region could meet the constraints, wherever it lay; -EFBIG: the buffer is
 * larger than the region; -EOPNOTSUPP: the region has no huge mappings. A mask or window that does
 * not reach the region, or that the caller may not know to reach it, is no error: @req then fits
 * nowhere.
 */
int mal_placement(const struct mal_region *region, const struct memalloc_alloc *alloc,
		  struct mal_request *req);

#endif /* MAL_PLACEMENT_H */
