/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BLOCK_H
#define MAL_BLOCK_H

#include <linux/types.h>
#include <linux/memalloc.h>

/*
 * A used block of an arena, as its owner has it. Where it lies is constant. The owner sets
 * @granules, @length and @is_buffer before the arena gives it a place.
 */
struct mal_block {
	u32 first;		/* the granule that it begins at */

	/*
	 * The granules that it has; once it is quarantined, those that are not back yet. As
	 * @length, it changes under the arena's lock, and under others of the owner.
	 */
	u32 granules;
	u64 length;		/* bytes that were asked for */

	bool is_buffer;		/* figures count it as one; it is no part of another */

	/* Under the arena's lock: */
	bool quarantined;
	bool retained;		/* only RELEASE lets it come back; set before it is quarantined */
	u8 name[MEMALLOC_NAME_LEN];	/* for people; zero-terminated */

	/* Of a quarantined block: the pieces that are left of it, a list, see arena.h. */
	u32 first_piece;
	u32 last_piece;
};

#endif /* MAL_BLOCK_H */
