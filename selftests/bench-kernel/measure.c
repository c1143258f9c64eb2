// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counting what one call takes, and the figures of many.
 *
 * Under QEMU's -icount the time stamp counter counts instructions. That is checked with a
 * loop of known length. Interrupts are off during a call, and what the same measurement
 * finds for calls that do nothing is subtracted.
 *
 * Built with MAL_COUNT_STEPS the "clock" counts the steps of the core (platform.h) instead.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <asm/msr.h>

#include "bench.h"
#include "core/platform.h"

/* Subtracted from each call. */
static u32 alloc_overhead, free_overhead;

#ifdef MAL_COUNT_STEPS

u64 mal_steps;

static u64 clock(void)
{
	return mal_steps;
}

static int check_clock(void)
{
	pr_info("counted are steps, the unit of the bounds in heap.h\n");
	return 0;
}

#else

static u64 clock(void)
{
	return rdtsc_ordered();
}

/* Two instructions a round. */
static noinline u64 known_loop(unsigned long rounds)
{
	u64 begin = clock();

	asm volatile("1:	dec	%0\n\t"
		     "jnz	1b" : "+r" (rounds));
	return clock() - begin;
}

static int check_clock(void)
{
	const unsigned long rounds = 1000000;
	unsigned long flags;
	u64 ticks;

	local_irq_save(flags);
	ticks = known_loop(rounds);
	local_irq_restore(flags);
	pr_info("calibration: %lu instructions of a known loop took %llu ticks of the clock\n",
		2 * rounds, ticks);
	if (ticks >= 2 * rounds && ticks < 2 * rounds + rounds / 1000)
		return 0;
	pr_err("the clock does not count instructions; this needs QEMU's -icount shift=0\n");
	return -ENODEV;
}

#endif

u32 bench_timed_alloc(struct bench *bench, u32 slot, u32 size)
{
	unsigned long flags;
	u32 start, spent;
	u64 begin;

	bench->size[slot] = size;
	preempt_disable();
	local_irq_save(flags);
	begin = clock();
	start = bench->allocator->alloc(bench, slot, size);
	spent = clock() - begin;
	local_irq_restore(flags);
	preempt_enable();
	bench->start[slot] = start;
	bench->cost[slot] = spent - min(spent, alloc_overhead);
	return bench->cost[slot];
}

u32 bench_timed_free(struct bench *bench, u32 slot)
{
	unsigned long flags;
	u32 spent;
	u64 begin;

	preempt_disable();
	local_irq_save(flags);
	begin = clock();
	bench->allocator->free(bench, slot);
	spent = clock() - begin;
	local_irq_restore(flags);
	preempt_enable();
	bench->start[slot] = BENCH_NONE;
	return spent - min(spent, free_overhead);
}

/* The allocator that does nothing. */
static int empty_init(struct bench *bench)
{
	return 0;
}

static void empty_destroy(struct bench *bench)
{
}

static u32 empty_alloc(struct bench *bench, u32 slot, u32 size)
{
	return 0;
}

static void empty_free(struct bench *bench, u32 slot)
{
}

int bench_calibrate(void)
{
	static const struct allocator empty = {
		.init = empty_init,
		.destroy = empty_destroy,
		.alloc = empty_alloc,
		.free = empty_free,
	};
	struct bench bench;
	int err = check_clock();

	if (!err)
		err = bench_init(&bench, &empty, 1, 1);
	if (err)
		return err;
	alloc_overhead = bench_timed_alloc(&bench, 0, 1);
	free_overhead = bench_timed_free(&bench, 0);
	pr_info("calibration: calls that do nothing measure %u (alloc) and %u (free): subtracted\n",
		alloc_overhead, free_overhead);
	bench_destroy(&bench);
	return 0;
}

int samples_init(struct samples *samples, u32 room)
{
	samples->values = vmalloc(array_size(room, sizeof(u32)));
	samples->count = 0;
	samples->room = room;
	return samples->values ? 0 : -ENOMEM;
}

void samples_destroy(struct samples *samples)
{
	vfree(samples->values);
}

void samples_add(struct samples *samples, u32 value)
{
	if (!WARN_ON_ONCE(samples->count == samples->room))
		samples->values[samples->count++] = value;
}

static int compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return (x > y) - (x < y);
}

struct figures samples_figures(struct samples *samples)
{
	u64 sum = 0;
	u32 i;

	if (!samples->count)
		return (struct figures) {};
	sort(samples->values, samples->count, sizeof(u32), compare, NULL);
	for (i = 0; i < samples->count; i++)
		sum += samples->values[i];
	return (struct figures) {
		.median = samples->values[samples->count / 2],
		.mean = (sum + samples->count / 2) / samples->count,
		.max = samples->values[samples->count - 1],
	};
}
