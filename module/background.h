/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BACKGROUND_H
#define MAL_BACKGROUND_H

#include "region.h"

/* Before all else here. */
void mal_background_init(struct mal_region *region);

/*
 * From now on, buffers of the region are moved only when @mode says. Sleeps. -ENOMEM, -EINTR: there
 * can be no thread for it, or a fatal signal arrived; the mode stays.
 */
int __must_check mal_background_set_mode(struct mal_region *region, enum mal_compact_mode mode);

/* Nobody sets the mode any more. Sleeps. */
void mal_background_end(struct mal_region *region);

#endif /* MAL_BACKGROUND_H */
