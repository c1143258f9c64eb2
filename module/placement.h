/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PLACEMENT_H
#define MAL_PLACEMENT_H

struct mal_region;
struct mal_request;
struct memalloc_alloc;

/*
 * What @alloc wants, in granules of @region. -EPERM: the caller may not ask for that;
 * -EINVAL: what no region can satisfy, wherever it lies; -EFBIG: more than this one has.
 */
int mal_placement(const struct mal_region *region, const struct memalloc_alloc *alloc,
		  struct mal_request *req);

#endif /* MAL_PLACEMENT_H */
