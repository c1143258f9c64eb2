/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BLOCK_H
#define MAL_BLOCK_H

#include <linux/types.h>
#include <linux/memalloc.h>

struct mal_payer;

/*
 * A used block of an arena, in the hands of its owner. The owner sets @granules, @length and
 * @is_buffer, then the arena sets @first, which is constant from then on.
 */
struct mal_block {
	u32 first;		/* its first granule */

	/*
	 * Its number of granules; in quarantine, without those that are back. This and @length
	 * change under the arena's lock and under locks of the owner.
	 */
	u32 granules;
	u64 length;		/* bytes that were asked for */
	struct mal_payer *payer;	/* charged for all granules but those back or retired */

	bool is_buffer;		/* counted as a buffer; false: a part of one, see resize.h */

	bool retained;		/* only RELEASE lets it come back; set before it is quarantined */

	/* Under the arena's lock, as is @retained in quarantine: */
	bool quarantined;
	u8 name[MEMALLOC_NAME_LEN];	/* for people; zero-terminated */

	/*
	 * Nobody has it, see arenas.h: it counts as free, and has no payer. Changes, with @length
	 * and @payer, under the lock of an arena.
	 */
	bool ready;
	struct mal_block *next;	/* below it in its stack */

	/* In quarantine: the list of its pieces that are not back yet, see arena.h. */
	u32 first_piece;
	u32 last_piece;
};

#endif /* MAL_BLOCK_H */
