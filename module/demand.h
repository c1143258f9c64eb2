/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEMAND_H
#define MAL_DEMAND_H

#include <linux/err.h>

#include "buffer.h"

/* mal_buffer_create() or mal_buffer_create_charged(). */
typedef struct mal_buffer *(*mal_buffer_creator)(struct mal_region *region,
						 struct mal_payer *payer, u64 length,
						 const struct mal_bounds *bounds);

/*
 * @create answered -ENOMEM. If there is no room, though enough is free, make room by moving other
 * buffers, within the settings of the region, and call @create again. Sleeps. -ENOMEM; -EINTR: a
 * fatal signal arrived; or what @create answers.
 */
struct mal_buffer *mal_create_by_moves(struct mal_region *region, struct mal_payer *payer,
				       u64 length, const struct mal_bounds *bounds,
				       mal_buffer_creator create);

/* @create, with moves if need be. */
static __always_inline struct mal_buffer *
mal_demand_create(struct mal_region *region, struct mal_payer *payer, u64 length,
		  const struct mal_bounds *bounds, mal_buffer_creator create)
{
	struct mal_buffer *buffer = create(region, payer, length, bounds);

	if (likely(buffer != ERR_PTR(-ENOMEM)))
		return buffer;
	return mal_create_by_moves(region, payer, length, bounds, create);
}

#endif /* MAL_DEMAND_H */
