/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEVICE_H
#define MAL_DEVICE_H

#include "charge.h"

struct mal_fit;
struct mal_region;

/* What a region is made with. */
struct mal_spec {
	unsigned long pages;
	int node;			/* NUMA_NO_NODE: any */
	const struct mal_fit *fit;
	struct mal_limits limits;
};

/*
 * Claim a range and make a region of it, with device nodes of that @name. Sleeps. Errors: those of
 * claim in source/source.h.
 */
struct mal_region *mal_device_create(const char *name, const struct mal_spec *spec);

/* Nobody may use the region any more. Sleeps. */
void mal_device_destroy(struct mal_region *region);

#endif /* MAL_DEVICE_H */
