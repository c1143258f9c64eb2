/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEVICE_H
#define MAL_DEVICE_H

struct mal_fit;
struct mal_region;

/*
 * Claim @pages of @node (or NUMA_NO_NODE) and make a region of them, managed with
 * @fit, with device nodes of that @name. Sleeps. Errors: those of claim in source/source.h.
 */
struct mal_region *mal_device_create(const char *name, unsigned long pages, int node,
				     const struct mal_fit *fit);

/* Nobody may use the region any more. Sleeps. */
void mal_device_destroy(struct mal_region *region);

#endif /* MAL_DEVICE_H */
