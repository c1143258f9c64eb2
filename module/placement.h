/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PLACEMENT_H
#define MAL_PLACEMENT_H

struct mal_region;
struct mal_bounds;
struct memalloc_alloc;

/*
 * Turn the constraints of @alloc into bounds in @region. -EPERM: the caller may not ask for
 * a window; -EINVAL: no region could meet the constraints, wherever it lay; -EFBIG: the buffer is
 * larger than each range; -EOPNOTSUPP: the region has no huge mappings. A mask or window that does
 * not reach the region, or that the caller may not know to reach it, is no error: @bounds then have
 * no window.
 */
int mal_placement(const struct mal_region *region, const struct memalloc_alloc *alloc,
		  struct mal_bounds *bounds);

/* The same for a driver, which may ask for windows, and know by masks where the region lies. */
int mal_placement_for_driver(const struct mal_region *region, const struct memalloc_alloc *alloc,
			     struct mal_bounds *bounds);

#endif /* MAL_PLACEMENT_H */
