/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEVICE_H
#define MAL_DEVICE_H

#include <linux/memalloc.h>

#include "charge.h"
#include "source/source.h"

struct mal_fit;
struct mal_region;

/* What a region is made with. */
struct mal_spec {
	char name[MEMALLOC_NAME_LEN];
	const struct mal_source *source;
	struct mal_wish wish;
	const struct mal_fit *fit;
	struct mal_limits limits;
};

/*
 * Claim a range and make a region of it. It has no nodes yet. Sleeps. Errors: those of claim in
 * source/source.h.
 */
struct mal_region *mal_device_create(const struct mal_spec *spec);

/*
 * Make the region's nodes. Until mal_device_start(), they can't be opened. Sleeps. -ENOMEM;
 * -ENOSPC: the kernel has no number left for a node.
 */
int __must_check mal_device_register(struct mal_region *region);

/* From now on, the nodes can be opened. */
void mal_device_start(struct mal_region *region);

/*
 * The region was not started, or mal_region_retire() has said that nobody uses it any more. Sleeps.
 */
void mal_device_destroy(struct mal_region *region);

#endif /* MAL_DEVICE_H */
