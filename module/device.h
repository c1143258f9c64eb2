/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEVICE_H
#define MAL_DEVICE_H

#include <linux/memalloc.h>

#include "charge.h"
#include "region.h"
#include "source/source.h"

struct mal_fit;

/* What a region is made with. */
struct mal_spec {
	char name[MEMALLOC_NAME_LEN];
	const struct mal_source *source;
	struct mal_wish wish;
	u32 ranges;			/* of which it may have so many, if the source can */
	unsigned long pages_max;	/* that it may grow to; fewer than wished: it may not */
	const struct mal_fit *fit;
	bool arenas;			/* CPUs keep blocks ready */
	struct mal_limits limits;
	struct mal_compact_settings compact;
	char heap[MEMALLOC_NAME_LEN];	/* the second name of its node in /dev/dma_heap/, or "" */
};

/*
 * Claim a range, or a few, and make a region of them. It has no nodes yet. @lose: see
 * mal_range_claim(). Sleeps.
 * Errors: those of claim in source/source.h, and -ENODEV: the memory is gone.
 */
struct mal_region *mal_device_create(const struct mal_spec *spec,
				     void (*lose)(struct mal_range *range));

/*
 * Make the region's nodes, and have its buffers moved in the background if that is wanted. Until
 * mal_device_start(), the nodes can't be opened. Sleeps. -ENOMEM; -EINTR: a fatal signal arrived;
 * -ENOSPC: the kernel has no number left for a node; -EEXIST: the second name of its node in
 * /dev/dma_heap/ is taken.
 */
int __must_check mal_device_register(struct mal_region *region);

/* From now on, the nodes can be opened. */
void mal_device_start(struct mal_region *region);

/* Nobody opens the region from now on. Sleeps. */
void mal_device_remove_nodes(struct mal_region *region);

/*
 * The memory is gone: unmap all of it, and wait until devices, and whatever pins its pages, are
 * done. Sleeps, for as long as they take; the log says every ten seconds that they are waited for.
 */
void mal_device_vacate(struct mal_region *region);

/*
 * The region was not started, or mal_region_retire() or the last mal_region_put() has
 * said that nobody uses it any more. Sleeps.
 */
void mal_device_destroy(struct mal_region *region);

#endif /* MAL_DEVICE_H */
