/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CHECK_H
#define MAL_CHECK_H

struct mal_region;

/*
 * Checks whether a region is consistent, also while it is in use. Each function returns "ok",
 * what is wrong, or why it could not check. They sleep, and delay others only briefly.
 *
 * The blocks: the tags of each block, its neighbours, its bit in the bitmap of heads and, if
 * it is free, its links in the index.
 */
const char *mal_check_blocks(struct mal_region *region);

/* The figures of STATS that are sums over all blocks. */
const char *mal_check_sums(struct mal_region *region);

/* The figures of the quarantine, which are sums over what is in its lists. */
const char *mal_check_quarantine(struct mal_region *region);

/* The count of dirty granules, which has to agree with the map of clean memory. */
const char *mal_check_clean(struct mal_region *region);

#endif /* MAL_CHECK_H */
