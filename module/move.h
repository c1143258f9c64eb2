/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_MOVE_H
#define MAL_MOVE_H

#include <linux/types.h>

#include "buffer.h"

/* Can buffers of @region be moved at all? */
bool mal_can_move(const struct mal_region *region);

/* What is to be seen without a look at pages. The caller has the arena's lock, or a reference. */
enum mal_stay mal_buffer_stays(const struct mal_buffer *buffer);

/*
 * How often the buffer has been moved in this second; MAL_MOVES_MAX if that was tried and not done.
 * Under region->compacting.
 */
u32 mal_buffer_moves(const struct mal_buffer *buffer);

/* A buffer that was moved so often in a second is moved for no request until the next. */
#define MAL_MOVES_MAX	16

/*
 * A claim keeps the buffer in memory, also if its last reference goes meanwhile: who gives up that
 * one waits until the claim ends. The caller has the arena's lock, under which the block was found
 * in use, and region->compacting. False: the last reference is gone.
 */
bool __must_check mal_buffer_claim(struct mal_buffer *buffer);
void mal_buffer_end_claim(struct mal_buffer *buffer);

/*
 * Move the claimed buffer, of @pages, to a place that its constraints allow, from granule @lo on
 * and before granule @hi, or before the end of the region if @hi is 0. Nothing is charged. Nothing
 * may be ready. Who touches a mapping waits. What devices have begun is waited for, see
 * mal_stop_devices(). Sleeps.
 */
enum mal_stay mal_move(struct mal_buffer *buffer, u32 pages, u32 lo, u32 hi,
		       unsigned long *patience);

/*
 * The same down to the lowest place that begins in the free block before the buffer, from granule
 * @lo on. The new place may reach into the old one. If there is no such block, nothing is moved.
 */
enum mal_stay mal_slide(struct mal_buffer *buffer, u32 pages, u32 lo, unsigned long *patience);

#endif /* MAL_MOVE_H */
