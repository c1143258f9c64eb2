/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_REGIONS_H
#define MAL_REGIONS_H

#include <linux/types.h>

struct mal_region;
struct mal_spec;
struct memalloc_region;

/* All regions, by name. */

/* No region's name: the node that would be its own is the control node. */
#define MAL_CONTROL_NAME	"control"

/* Before the first region. Sleeps. -ENOMEM. */
int __must_check mal_regions_start(void);

/*
 * Make a region of each of @specs, or none. May take half a minute for each. Sleeps. -EEXIST: a
 * name is taken; other errors are those of mal_device_create() and mal_device_register().
 */
int __must_check mal_regions_create(const struct mal_spec *specs, unsigned int count);

/*
 * Destroy the region of that name. Sleeps. -ENOENT: there is none; -EBUSY: somebody uses it, or
 * it is being made or destroyed.
 */
int __must_check mal_regions_destroy(const char *name);

/*
 * The region of that name, for mal_region_put(). Sleeps. -ENOENT: there is none; -EBUSY: it is
 * being made or destroyed.
 */
struct mal_region *mal_regions_get(const char *name);

/*
 * Fill in entries for regions after @cursor, @max at most. Returns how many, and moves @cursor to
 * the last of them. Sleeps.
 */
u32 mal_regions_list(u64 *cursor, struct memalloc_region *regions, u32 max);

/* Nobody uses any region any more, and no source loses one: all are destroyed. Sleeps. */
void mal_regions_stop(void);

#endif /* MAL_REGIONS_H */
