/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_COMPACT_H
#define MAL_COMPACT_H

#include <linux/types.h>

#include "move.h"

/* What a compaction may do, and what it has done. */
struct mal_compaction {
	u32 wanted;		/* granules that are to be free in one block; 0: all that can */
	u64 budget;		/* granules that may still be copied */
	struct mal_payer *payer;	/* for mal_move() */

	u32 largest;		/* granules of the largest free block, in the end */
	u64 moves;		/* buffers that were moved */
	u64 moved;		/* granules of these */

	/* Granules of buffers that stay: as a move has found, or as is to be seen in the end. */
	u64 stays[MAL_STAYS_REASONS];
};

/*
 * Move buffers of @region, if that can be, to get a larger free block. Sleeps. -ENOMEM: the kernel
 * itself is out of memory; -EINTR: a fatal signal arrived.
 */
int mal_compact(struct mal_region *region, struct mal_compaction *compaction);

#endif /* MAL_COMPACT_H */
