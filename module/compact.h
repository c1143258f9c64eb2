/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_COMPACT_H
#define MAL_COMPACT_H

#include <linux/types.h>

#include "core/room.h"
#include "move.h"

/* What a compaction is to do, and may do, and what it has done. The rest is zero at first. */
struct mal_compaction {
	/* For what there is to be room, and what that may cost; of size 0: for all that is free. */
	struct mal_room room;
	struct mal_region *region;

	bool bounded;		/* large buffers stay, and those that have been moved enough */
	u32 closing_first;	/* no room is made in these granules */
	u32 closing_end;
	u32 no_room_for;	/* what comes out of these and is so large finds no room */
	struct mal_bounds last;	/* of the buffer that was tried to be moved last */
	u32 looks_max;		/* at so many blocks, the budget is used up; 0: no limit */

	unsigned long patience;	/* jiffies for which devices may still be waited for */
	u32 looks;		/* at blocks, so many */
	int err;		/* why it was stopped */
	u64 moves;		/* buffers that were moved */
	u64 moved;		/* granules of these */
	u64 held;		/* granules of buffers that were found to be held */
};

/*
 * From now on the caller alone moves buffers of @region, and nothing is ready. Sleeps. -EINTR: a
 * fatal signal arrived, and nothing is to be ended.
 */
int __must_check mal_compact_begin(struct mal_region *region);

/* The same, at once. False: somebody else moves buffers, and nothing is to be ended. */
bool __must_check mal_compact_try_begin(struct mal_region *region);
void mal_compact_end(struct mal_region *region);

/*
 * Between these two: move buffers to make room. The outcome is never MAL_STAYS. MAL_STOPPED:
 * @compaction->err is -ENOMEM, the kernel itself is out of memory, or -EINTR, a fatal signal
 * arrived. If the region is one whose buffers can't be moved, there is MAL_NO_PLACE. Sleeps.
 */
enum mal_outcome mal_compact(struct mal_compaction *compaction);

/*
 * Between these two: move all buffers out of granules [@first, @end), in which nothing can be
 * allocated, and make room for them elsewhere. Each is tried, also after one stays. MAL_DONE;
 * MAL_NO_PLACE: some found no room; MAL_STOPPED, as above. Sleeps.
 */
enum mal_outcome mal_compact_evacuate(struct mal_compaction *compaction, u32 first, u32 end);

/* Between these two: is @buffer within the bounds for moves that no administrator asked for? */
bool mal_compact_allows(const struct mal_buffer *buffer);

/*
 * Add granules of buffers in [@first, @end) of @region that can be seen to stay now, and why; as
 * MAL_MOVES, of those that could be moved. Sleeps.
 */
void mal_compact_count_stays(struct mal_region *region, u32 first, u32 end, u64 *stays);

#endif /* MAL_COMPACT_H */
