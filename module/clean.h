/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CLEAN_H
#define MAL_CLEAN_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "arena.h"

/*
 * Which granules are known to be zero. All are that a new buffer has, until a process maps them;
 * what else can write to a buffer is known when it is given back. Of the free ones, those are that
 * nobody could write to, and those that the background has been at since. Those that are retired
 * count as such.
 */
struct mal_clean {
	struct mal_arena *arena;
	unsigned long pfn;		/* of its first granule */
	u32 granules;			/* that it has */
	atomic_long_t *map;		/* a bit per granule: it is known to be zero */
	atomic_long_t dirty;		/* granules that are not, and that no buffer has */

	/*
	 * The word of @map whose granules are being zeroed in the background, or
	 * MAL_NONE. They stay in the heap: who gets one of them waits.
	 */
	u32 busy;
	wait_queue_head_t waiters;
	struct delayed_work work;
	bool stop;
};

/* For the @granules of @arena, from frame @pfn on, which are zero. Sleeps. -ENOMEM. */
int __must_check mal_clean_init(struct mal_clean *clean, struct mal_arena *arena, unsigned long pfn,
				u32 granules, int node);

/* Nobody may have a buffer any more. Sleeps. */
void mal_clean_destroy(struct mal_clean *clean);

/*
 * Zero what is not known to be zero of [@first, @first + @granules), which the caller got
 * from the heap. Sleeps. -EINTR: a fatal signal arrived; -EHWPOISON: a page of what
 * was to be zeroed is poisoned. In both cases the block may be given back.
 */
int __must_check mal_clean_take(struct mal_clean *clean, u32 first, u32 granules);

/* Whoever has a buffer may write to these granules of it from now on. Sleeps. */
void mal_clean_touch(struct mal_clean *clean, u32 first, u32 granules);

/*
 * The heap is about to get these granules back: what was touched is dirty; if @all may have been
 * written to, all of them are. Sleeps.
 */
void mal_clean_mark_dirty(struct mal_clean *clean, u32 first, u32 granules, bool all);

/* Nobody gets the granule any more, so that it need not be zeroed. */
void mal_clean_retire(struct mal_clean *clean, u32 granule);

/* The heap got something back: to be zeroed in the background, if it has to be. */
void mal_clean_queue(struct mal_clean *clean);

/*
 * Whether nothing is being zeroed in the background; *@dirty is in bytes. If nothing
 * becomes dirty either, and that is so twice with the same *@dirty, it was in between.
 */
bool mal_clean_is_resting(struct mal_clean *clean, u64 *dirty);

/* Bytes of which the map says that they are dirty. Sleeps. */
u64 mal_clean_count_dirty(struct mal_clean *clean);

#endif /* MAL_CLEAN_H */
