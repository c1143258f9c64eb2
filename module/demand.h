/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEMAND_H
#define MAL_DEMAND_H

#include <linux/err.h>

#include "buffer.h"

/*
 * @create answered -ENOMEM. If there is no room, though enough is free, make room by moving other
 * buffers, within the settings of the region, and call @create again. Sleeps. -ENOMEM; -EINTR: a
 * fatal signal arrived; or what @create answers.
 */
struct mal_buffer *mal_create_by_moves(struct mal_region *region, struct mal_payer *payer,
				       u64 length, const struct mal_request *req,
				       struct mal_buffer *(*create)(struct mal_region *region,
								    struct mal_payer *payer,
								    u64 length,
								    const struct mal_request *req));

/* mal_buffer_create(), with moves if need be. */
static inline struct mal_buffer *mal_demand_create(struct mal_region *region,
						   struct mal_payer *payer, u64 length,
						   const struct mal_request *req)
{
	struct mal_buffer *buffer = mal_buffer_create(region, payer, length, req);

	if (likely(buffer != ERR_PTR(-ENOMEM)))
		return buffer;
	return mal_create_by_moves(region, payer, length, req, mal_buffer_create);
}

/* mal_buffer_create_charged(), likewise. */
static inline struct mal_buffer *mal_demand_create_charged(struct mal_region *region,
							   struct mal_payer *payer, u64 length,
							   const struct mal_request *req)
{
	struct mal_buffer *buffer = mal_buffer_create_charged(region, payer, length, req);

	if (likely(buffer != ERR_PTR(-ENOMEM)))
		return buffer;
	return mal_create_by_moves(region, payer, length, req, mal_buffer_create_charged);
}

#endif /* MAL_DEMAND_H */
