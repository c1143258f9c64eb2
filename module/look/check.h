/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CHECK_H
#define MAL_CHECK_H

struct mal_region;

/*
 * Whether what must hold holds, of a region that is in use. "ok", or in words what is
 * wrong, or why it can't be told. They sleep, and nobody waits long for them.
 *
 * Of the blocks: each one's tags, its neighbours, its place in the bitmap of heads and, if
 * it is free, in the index.
 */
const char *mal_check_blocks(struct mal_region *region);

/* Of the figures of STATS, all that are sums of blocks. */
const char *mal_check_sums(struct mal_region *region);

/* Of those of the quarantine, that they are sums of its buffers. */
const char *mal_check_quarantine(struct mal_region *region);

/* Of what is dirty, that it is what the map of clean memory says. */
const char *mal_check_clean(struct mal_region *region);

#endif /* MAL_CHECK_H */
