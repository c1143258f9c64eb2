// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves buffers in the background: while what is free lies in too many pieces, the largest one is
 * made larger, so that the next large request need not wait for that. One step at a time is taken,
 * which moves a bounded number of bytes, and the pauses are many times as long as the steps.
 *
 * A pause ends when a CPU has nothing better to do. But while it takes a step, the thread is as
 * important as any other: who touches what is being moved, or needs room now, waits for it.
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

/* The pause after a step, and how many times as long as the step it is at least. */
#define MAL_PAUSE_MS		100
#define MAL_PAUSE_STEPS		20

/* How often is looked whether there is something to be done; and how seldom, after vain steps. */
#define MAL_POLL_MS		500
#define MAL_POLL_MAX_MS		32000

/* The same figure as STATS.fragmentation, but what is ready is in nobody's way. */
static bool is_fragmented(struct mal_region *region)
{
	const u64 free = mal_arena_count_free(&region->arena);
	const u64 largest = mal_arena_largest(&region->arena);

	return free > largest &&
	       1000 * (free - largest) > free * READ_ONCE(region->compact.threshold);
}

/*
 * Make the largest free block larger: twice as large if that can be had, else by half of that, and
 * so on. Returns how many buffers were moved.
 */
static u64 enlarge(struct mal_region *region)
{
	const u32 free = mal_arena_count_free(&region->arena);
	const u32 largest = mal_arena_largest(&region->arena);
	struct mal_compaction step = {
		.room.req.align = 1,
		.room.budget = MAL_STEP_BYTES >> PAGE_SHIFT,
		.region = region,
		.bounded = true,
		.looks_max = MAL_STEP_LOOKS,
	};
	u32 more;

	for (more = min(free - largest, largest ?: 1); more && !step.moves; more /= 2) {
		step.room.req.size = largest + more;
		if (mal_compact(&step) == MAL_STOPPED)
			break;
	}
	return step.moves;
}

/* False: there was nothing to move, or it could not be moved. */
static bool take_step(struct mal_region *region)
{
	u64 moves = 0;

	if (mal_compact_begin(region))
		return false;
	/* What was ready is in the heap now. */
	if (is_fragmented(region))
		moves = enlarge(region);
	mal_compact_end(region);
	return moves;
}

/* Returns how long to pause, in milliseconds; *@poll: the last pause after a vain step. */
static u64 take_step_if_needed(struct mal_region *region, u64 *poll)
{
	const u64 start = ktime_get_ns();
	bool moved;

	if (!is_fragmented(region)) {
		*poll = MAL_POLL_MS;
		return *poll;
	}
	set_user_nice(current, 0);
	moved = take_step(region);
	set_user_nice(current, MAX_NICE);
	if (!moved) {
		*poll = min_t(u64, *poll * 2, MAL_POLL_MAX_MS);
		return *poll;
	}
	*poll = MAL_POLL_MS;
	return max_t(u64, MAL_PAUSE_MS,
		     div_u64((ktime_get_ns() - start) * MAL_PAUSE_STEPS, NSEC_PER_MSEC));
}

static bool is_wanted(const struct mal_region *region)
{
	return READ_ONCE(region->compact.mode) == MAL_COMPACT_BACKGROUND && mal_can_move(region);
}

static int move_in_background(void *data)
{
	struct mal_region *region = data;
	wait_queue_head_t *waiters = &region->background.waiters;
	u64 poll = MAL_POLL_MS;
	u64 pause;

	set_user_nice(current, MAX_NICE);
	for (;;) {
		wait_event_idle(*waiters, is_wanted(region) || kthread_should_stop());
		if (kthread_should_stop())
			return 0;
		pause = take_step_if_needed(region, &poll);
		wait_event_idle_timeout(*waiters, kthread_should_stop(), msecs_to_jiffies(pause));
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
	return 0;
}

void mal_background_end(struct mal_region *region)
{
	if (region->background.task)
		kthread_stop(region->background.task);
}
