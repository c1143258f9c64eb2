/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CLEAN_H
#define MAL_CLEAN_H

#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "arena.h"
#include "ranges.h"

/*
 * Which granules are known to be zero. All granules of a new buffer are zero. A granule of a buffer
 * stops being known to be zero when a process maps it. Other writers, such as devices, are
 * considered only when the buffer is given back. A free granule is known to be zero if nobody could
 * write to it, or once the background has zeroed it. Retired granules count as zero.
 */
struct mal_clean {
	struct mal_arena *arena;
	struct mal_ranges *ranges;	/* what is behind the arena's granules */
	atomic_long_t *map;		/* a bit per granule: it is known to be zero */
	atomic_long_t dirty;		/* granules not known to be zero, and of no buffer */

	/*
	 * The word of @map whose granules are being zeroed in the background, or
	 * MAL_NONE. These granules stay in the heap; an allocation of one of them waits.
	 */
	u32 busy;
	wait_queue_head_t waiters;
	struct delayed_work work;
	bool stop;
};

/* @arena is of the granules of @ranges, whose pages are all zero. Sleeps. -ENOMEM. */
int __must_check mal_clean_init(struct mal_clean *clean, struct mal_arena *arena,
				struct mal_ranges *ranges);

/* Nobody may have a buffer any more. Sleeps. */
void mal_clean_destroy(struct mal_clean *clean);

/*
 * Make [@first, @first + @granules) zero: zero the granules that are not known to be. The caller
 * got them from the heap. Sleeps. -EINTR: a fatal signal arrived; -EHWPOISON: a page that was
 * to be zeroed is poisoned; -ENODEV: the memory is gone. After all of them, the block can be given
 * back.
 */
int __must_check __mal_clean_zero(struct mal_clean *clean, u32 first, u32 granules);

static inline int __must_check mal_clean_zero(struct mal_clean *clean, u32 first, u32 granules)
{
	/* A dirty granule is counted until it has been zeroed: pairs with zero_granules(). */
	bool dirty = atomic_long_read_acquire(&clean->dirty);
	/* Who sees MAL_NONE sees the end of what the background did: as in is_busy(). */
	bool busy = smp_load_acquire(&clean->busy) != MAL_NONE;

	return dirty || busy ? __mal_clean_zero(clean, first, granules) : 0;
}

/*
 * The caller got [@first, @first + @granules) from the heap, and will do mal_clean_copy() to all of
 * these granules; or mal_clean_mark_dirty(). Sleeps. -EINTR: a fatal signal arrived, and nothing is
 * to be done.
 */
int __must_check mal_clean_take_over(struct mal_clean *clean, u32 first, u32 granules);

/*
 * Make what is at @to, @granules that were taken over, the same as what is at @from, which is in a
 * buffer that nobody touches meanwhile. @all: those at @from that are known to be zero may have
 * been written to as well. The range has pages, and can't go. Sleeps. -EHWPOISON: see
 * mal_range_copy_page().
 */
int __must_check mal_clean_copy(struct mal_clean *clean, u32 to, u32 from, u32 granules, bool all);

/* From now on a process may write to these granules of a buffer. Sleeps. */
void mal_clean_touch(struct mal_clean *clean, u32 first, u32 granules);

/*
 * The heap is about to get these granules back. Those that were touched are dirty; if @all may have
 * been written to, all of them are. Sleeps.
 */
void mal_clean_mark_dirty(struct mal_clean *clean, u32 first, u32 granules, bool all);

/* @granule is never given out again, so it need not be zeroed. */
void mal_clean_retire(struct mal_clean *clean, u32 granule);

/*
 * What is behind these granules, which are all in gaps, is about to go. What comes there next is
 * zero. Sleeps.
 */
void mal_clean_forget(struct mal_clean *clean, u32 first, u32 granules);

/* The heap got granules back: if any are dirty, zero them in the background. */
void mal_clean_queue(struct mal_clean *clean);

/*
 * Whether nothing is being zeroed in the background now; *@dirty: the dirty bytes. If two calls
 * answer true with the same *@dirty, and nothing became dirty in between, nothing was zeroed in
 * between.
 */
bool mal_clean_is_resting(struct mal_clean *clean, u64 *dirty);

/* Bytes that the map says are not known to be zero. Sleeps. */
u64 mal_clean_count_dirty(struct mal_clean *clean);

#endif /* MAL_CLEAN_H */
