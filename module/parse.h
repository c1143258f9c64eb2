/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PARSE_H
#define MAL_PARSE_H

#include <linux/types.h>

#include "region.h"

struct mal_fit;

/* Settings as people write them, in parameters and in sysfs. A line's end does no harm. */

/* May a region have that name? */
bool mal_is_name(const char *text);

/* May a node in /dev/dma_heap/ have that name? The kernel's have commas, too. */
bool mal_is_heap_name(const char *text);

/*
 * Like memparse(), but what is not a size is refused, and one that is too large for @bytes is as
 * large as can be. -EINVAL.
 */
int mal_parse_size(const char *text, u64 *bytes);

/* Is @node NUMA_NO_NODE, or online? -EINVAL, which the log explains. */
int mal_check_node(int node);

/*
 * The pages of a region of @bytes. -EINVAL: that is not a multiple of a page above 0; -EFBIG: it is
 * more than a region can have. The log explains both.
 */
int mal_count_pages(u64 bytes, unsigned long *pages);

/*
 * A limit of charge.h, for the setting @name: 0 is none, and "default" what user_bytes begins
 * with. -EINVAL, which the log explains.
 */
int mal_parse_limit(const char *name, const char *text, u64 *limit);

/* The limit as a line in @text, a page of sysfs. Returns its length. */
int mal_format_limit(char *text, u64 limit);

/* When buffers are moved. -EINVAL, which the log explains. */
int mal_parse_mode(const char *text, enum mal_compact_mode *mode);
const char *mal_mode_name(enum mal_compact_mode mode);

/* Of the fragmentation, in thousandths. -EINVAL, which the log explains. */
int mal_parse_threshold(const char *text, u32 *threshold);

/* NULL: there is no such fit; the log says which there are. */
const struct mal_fit *mal_parse_fit(const char *text);

#endif /* MAL_PARSE_H */
