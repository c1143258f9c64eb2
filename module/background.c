// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves buffers in the background: while what is free lies in too many pieces, the largest one is
 * made larger, so that the next large request need not wait for that. One step at a time is taken,
 * which moves a bounded number of bytes, and the pauses are many times as long as the steps.
 *
 * A pause ends at the lowest priority. But while it takes a step, the thread is as important as any
 * other: who touches what is being moved, or needs room now, waits for it.
 */
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <linux/wait.h>

#include "arena.h"
#include "background.h"
#include "compact.h"
#include "region.h"

/* Of a step: bytes that are moved, and blocks that are looked at. */
#define MAL_STEP_BYTES		(16UL << 20)
#define MAL_STEP_LOOKS		200000

/* The pause after a step, and how many times as long as the step it is in between. */
#define MAL_PAUSE_MIN_MS	100
#define MAL_PAUSE_MAX_MS	2000
#define MAL_PAUSE_STEPS		20

/* How often is looked whether there is something to be done; and how seldom, when that is vain. */
#define MAL_POLL_MS		500
#define MAL_POLL_MAX_MS		32000

/* How the steps go. */
struct progress {
	u32 free;	/* granules that were free, */
	u32 best;	/* and the most of these that were in one block */
	u32 more;	/* by so many granules, that is to grow next; 0: by as many as it has */
	u64 poll;	/* milliseconds to the next look */
};

static const struct progress no_progress = { .poll = MAL_POLL_MS };

/* Memory that can't be moved is never in the mode, whatever its settings say. */
static bool is_wanted(const struct mal_region *region)
{
	return READ_ONCE(region->compact.mode) == MAL_COMPACT_BACKGROUND && mal_can_move(region);
}

/* Free granules that one block could have: none reaches from one range into another. */
static u32 count_free(struct mal_region *region)
{
	return min(mal_arena_count_free(&region->arena), READ_ONCE(region->ranges.largest));
}

/* As STATS.fragmentation has it, but for what is free in several ranges. */
static bool is_fragmented(const struct mal_region *region, u64 free, u64 largest)
{
	return free > largest &&
	       1000 * (free - largest) > free * READ_ONCE(region->compact.threshold);
}

/* What is ready for somebody counts as in use here: so that is sometimes seen too early. */
static bool seems_fragmented(struct mal_region *region)
{
	return is_fragmented(region, count_free(region),
			     mal_arena_largest(&region->arena));
}

/* Make the largest free block larger. False: it is not larger than any was. */
static bool enlarge(struct mal_region *region, struct progress *progress, u32 free, u32 largest)
{
	struct mal_compaction step = {
		.room.req.align = 1,
		.room.budget = MAL_STEP_BYTES >> PAGE_SHIFT,
		.region = region,
		.bounded = true,
		.looks_max = MAL_STEP_LOOKS,
	};
	const u32 most = min(free - largest, largest ?: 1);

	if (progress->free != free) {
		progress->free = free;
		progress->best = largest;
	}
	if (!progress->more || progress->more > most)
		progress->more = most;
	step.room.req.size = largest + progress->more;
	(void)mal_compact(&step);
	/* Steps that make it as large as it was before would never end. */
	largest = mal_arena_largest(&region->arena);
	if (largest <= progress->best)
		return false;
	progress->best = largest;
	return true;
}

/* Returns how long to pause, in milliseconds. */
static u64 take_step(struct mal_region *region, struct progress *progress)
{
	const u64 start = ktime_get_ns();
	const u32 free = count_free(region);
	const u32 largest = mal_arena_largest(&region->arena);
	u64 pause;

	if (!is_wanted(region) || !is_fragmented(region, free, largest))
		return MAL_POLL_MS;
	if (enlarge(region, progress, free, largest)) {
		progress->more *= 2;
		progress->poll = MAL_POLL_MS;
	} else {
		progress->more /= 2;
	}
	/* Nothing at all is to be had. */
	if (!progress->more) {
		progress->poll = min_t(u64, progress->poll * 2, MAL_POLL_MAX_MS);
		return progress->poll;
	}
	pause = div_u64((ktime_get_ns() - start) * MAL_PAUSE_STEPS, NSEC_PER_MSEC);
	return clamp_t(u64, pause, MAL_PAUSE_MIN_MS, MAL_PAUSE_MAX_MS);
}

static u64 take_step_if_needed(struct mal_region *region, struct progress *progress)
{
	u64 pause = MAL_POLL_MS;

	if (!seems_fragmented(region))
		return pause;
	set_user_nice(current, 0);
	/* If somebody else moves buffers, that is as good. */
	if (mal_compact_try_begin(region)) {
		pause = take_step(region, progress);
		mal_compact_end(region);
	}
	set_user_nice(current, MAX_NICE);
	return pause;
}

static int move_in_background(void *data)
{
	struct mal_region *region = data;
	wait_queue_head_t *waiters = &region->background.waiters;
	struct progress progress = no_progress;
	u64 pause;

	set_user_nice(current, MAX_NICE);
	for (;;) {
		wait_event_idle(*waiters, is_wanted(region) || kthread_should_stop());
		if (kthread_should_stop())
			return 0;
		pause = take_step_if_needed(region, &progress);
		wait_event_idle_timeout(*waiters, !is_wanted(region) || kthread_should_stop(),
					msecs_to_jiffies(pause));
		if (!is_wanted(region))
			progress = no_progress;
	}
}

/* There is a thread from now on. Two may ask for it at a time. */
static int begin(struct mal_region *region)
{
	struct task_struct *task;

	if (READ_ONCE(region->background.task))
		return 0;
	task = kthread_create(move_in_background, region, KBUILD_MODNAME "/%s", region->name);
	if (IS_ERR(task))
		return PTR_ERR(task);
	if (cmpxchg(&region->background.task, NULL, task))
		kthread_stop(task);
	else
		wake_up_process(task);
	return 0;
}

void mal_background_init(struct mal_region *region)
{
	init_waitqueue_head(&region->background.waiters);
}

int mal_background_set_mode(struct mal_region *region, enum mal_compact_mode mode)
{
	int err = mode == MAL_COMPACT_BACKGROUND ? begin(region) : 0;

	if (err)
		return err;
	WRITE_ONCE(region->compact.mode, mode);
	wake_up(&region->background.waiters);
	/* A step that has begun ends first. */
	if (mode != MAL_COMPACT_BACKGROUND && !mutex_lock_killable(&region->compacting))
		mutex_unlock(&region->compacting);
	return 0;
}

void mal_background_end(struct mal_region *region)
{
	if (region->background.task)
		kthread_stop(region->background.task);
}
