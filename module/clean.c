// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clean memory: knows which granules are zero, and zeroes the others when a buffer gets them, or
 * earlier in the background.
 *
 * The background zeroes free memory in place, one word of the map at a time. It takes nothing out
 * of the heap, so it never makes an allocation fail. Two things keep it away from memory in use.
 * The background writes down its word in @busy, and only then asks, under the arena's lock, whether
 * a block there is free. And an allocation that gets a block there afterwards sees @busy, and waits
 * before it touches the block.
 */
#include <linux/bitops.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "clean.h"

/* A block that is freed and allocated again at once is zeroed by that allocation. */
#define MAL_CLEAN_DELAY_MS	100

/* Granules of which the map is read between two chances for others to run. */
#define MAL_CLEAN_SLICE		32768

/* The first granule of the map's word for @granule, and of the word after it. */
static u32 word_start(u32 granule)
{
	return round_down(granule, BITS_PER_LONG);
}

static u32 next_word(u32 granule)
{
	return word_start(granule) + BITS_PER_LONG;
}

/* The bits of [@first, @end) that are in the word of @first. */
static unsigned long word_mask(u32 first, u32 end)
{
	u32 last = min(end, next_word(first)) - 1;

	return GENMASK(last % BITS_PER_LONG, first % BITS_PER_LONG);
}

/* The bits of @mask, in the word of @first, whose granules are not known to be zero. */
static unsigned long dirty_bits(struct mal_clean *clean, u32 first, unsigned long mask)
{
	/* Who sees a bit also sees the zeros: pairs with zero_granules(). */
	return ~atomic_long_read_acquire(&clean->map[first / BITS_PER_LONG]) & mask;
}

/*
 * Zero the granules of @bits in the word of @first, and mark them in the map; but not poisoned
 * pages, at which the hardware would raise a fault: -EHWPOISON. -ENODEV: the memory is gone.
 */
static int zero_granules(struct mal_clean *clean, u32 first, unsigned long bits)
{
	unsigned long sound = bits;
	unsigned long added;
	unsigned int bit;

	if (!mal_range_enter(&clean->ranges->own))
		return -ENODEV;
	for_each_set_bit(bit, &bits, BITS_PER_LONG) {
		const u32 granule = word_start(first) + bit;

		if (mal_ranges_poisoned(clean->ranges, granule))
			sound &= ~BIT(bit);
		else
			mal_ranges_zero_page(clean->ranges, granule);
	}
	mal_range_leave(&clean->ranges->own);
	/* Zeros first: pairs with dirty_bits(). */
	added = sound & ~atomic_long_fetch_or_release(sound, &clean->map[first / BITS_PER_LONG]);
	/* Zeros before the count, too: pairs with mal_clean_zero(). */
	atomic_long_sub_return_release(hweight_long(added), &clean->dirty);
	return sound == bits ? 0 : -EHWPOISON;
}

/* Is some granule of [@first, @end), which the caller got from the heap, being zeroed? */
static bool is_busy(struct mal_clean *clean, u32 first, u32 end)
{
	/*
	 * Who sees MAL_NONE sees the zeros and the map, too: pairs with zero_free_granules(), which
	 * writes @busy before it looks, under the arena's lock, whether the block is free.
	 */
	u32 busy = smp_load_acquire(&clean->busy);

	return busy != MAL_NONE && busy >= first / BITS_PER_LONG &&
	       busy <= (end - 1) / BITS_PER_LONG;
}

/*
 * Skip the words from granule @at on, where a word begins, in which all is clean; but no more than
 * MAL_CLEAN_SLICE granules. Returns where the next word begins, @end or later if there is none.
 */
static u32 skip_clean_words(struct mal_clean *clean, u32 at, u32 end)
{
	const u32 slice_end = min(end, at + MAL_CLEAN_SLICE);

	while (at < slice_end && !dirty_bits(clean, at, ~0UL))
		at += BITS_PER_LONG;
	return at;
}

/* -EINTR: a fatal signal arrived. */
static int wait_until_rest(struct mal_clean *clean, u32 first, u32 end)
{
	if (!is_busy(clean, first, end) ||
	    !wait_event_killable(clean->waiters, !is_busy(clean, first, end)))
		return 0;
	return -EINTR;
}

int __mal_clean_zero(struct mal_clean *clean, u32 first, u32 granules)
{
	u32 end = first + granules;
	u32 at;
	int err;

	err = wait_until_rest(clean, first, end);
	if (err)
		return err;

	for (at = first; at < end; at = skip_clean_words(clean, next_word(at), end)) {
		unsigned long dirty = dirty_bits(clean, at, word_mask(at, end));

		if (dirty && fatal_signal_pending(current))
			return -EINTR;
		err = dirty ? zero_granules(clean, at, dirty) : 0;
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

void mal_clean_touch(struct mal_clean *clean, u32 first, u32 granules)
{
	u32 end = first + granules;
	u32 at;

	for (at = first; at < end; at = next_word(at)) {
		atomic_long_andnot(word_mask(at, end), &clean->map[at / BITS_PER_LONG]);
		cond_resched();
	}
}

/* How many of [@first, @end) are not known to be zero? */
static u32 count_dirty(struct mal_clean *clean, u32 first, u32 end)
{
	u32 dirty = 0;
	u32 at;

	for (at = first; at < end; at = next_word(at)) {
		dirty += hweight_long(dirty_bits(clean, at, word_mask(at, end)));
		cond_resched();
	}
	return dirty;
}

void mal_clean_mark_dirty(struct mal_clean *clean, u32 first, u32 granules, bool all)
{
	if (all)
		mal_clean_touch(clean, first, granules);
	atomic_long_add(count_dirty(clean, first, first + granules), &clean->dirty);
}

int mal_clean_take_over(struct mal_clean *clean, u32 first, u32 granules)
{
	const u32 end = first + granules;
	int err = wait_until_rest(clean, first, end);

	if (!err)
		atomic_long_sub(count_dirty(clean, first, end), &clean->dirty);
	return err;
}

int mal_clean_copy(struct mal_clean *clean, u32 to, u32 from, u32 granules, bool all)
{
	/* Each of the two is in one range. */
	u8 *target = mal_ranges_address(clean->ranges, to);
	const u8 *source = mal_ranges_address(clean->ranges, from);
	const u32 end = to + granules;
	int err = 0;

	for (; to < end && !err; to++, from++, target += PAGE_SIZE, source += PAGE_SIZE) {
		const unsigned long bit = BIT(to % BITS_PER_LONG);
		atomic_long_t *word = &clean->map[to / BITS_PER_LONG];

		if (all || dirty_bits(clean, from, BIT(from % BITS_PER_LONG))) {
			atomic_long_andnot(bit, word);
			err = mal_range_copy_page(target, source);
		} else if (dirty_bits(clean, to, bit)) {
			mal_ranges_zero_page(clean->ranges, to);
			/* Zeros first: pairs with dirty_bits(). */
			(void)atomic_long_fetch_or_release(bit, word);
		}
		cond_resched();
	}
	return err;
}

void mal_clean_retire(struct mal_clean *clean, u32 granule)
{
	const long bit = BIT(granule % BITS_PER_LONG);

	if (!(atomic_long_fetch_or(bit, &clean->map[granule / BITS_PER_LONG]) & bit))
		atomic_long_dec(&clean->dirty);
}

void mal_clean_forget(struct mal_clean *clean, u32 first, u32 granules)
{
	const u32 end = first + granules;
	u32 at;

	wait_event(clean->waiters, !is_busy(clean, first, end));
	for (at = first; at < end; at = next_word(at)) {
		const unsigned long bits = word_mask(at, end);
		atomic_long_t *word = &clean->map[at / BITS_PER_LONG];

		atomic_long_sub(hweight_long(bits & ~atomic_long_fetch_or(bits, word)),
				&clean->dirty);
		cond_resched();
	}
}

void mal_clean_queue(struct mal_clean *clean)
{
	if (atomic_long_read(&clean->dirty))
		queue_delayed_work(system_unbound_wq, &clean->work,
				   msecs_to_jiffies(MAL_CLEAN_DELAY_MS));
}

/* Zero free dirty granules from @first to the end of its block or word, which is returned. */
static u32 zero_free_granules(struct mal_clean *clean, u32 first)
{
	u32 end;

	WRITE_ONCE(clean->busy, first / BITS_PER_LONG);
	if (mal_arena_is_free(clean->arena, first, &end)) {
		end = min(end, next_word(first));
		zero_granules(clean, first, dirty_bits(clean, first, word_mask(first, end)));
	}
	/* Zeros first: pairs with is_busy(). */
	smp_store_release(&clean->busy, MAL_NONE);
	wake_up_all(&clean->waiters);
	return end;
}

/* One pass through the region. Granules that are freed meanwhile have queued the work again. */
static void clean_work(struct work_struct *work)
{
	struct mal_clean *clean = container_of(to_delayed_work(work), struct mal_clean, work);
	u32 end = clean->ranges->granules;
	u32 at = 0;

	while (at < end && atomic_long_read(&clean->dirty) && !READ_ONCE(clean->stop)) {
		unsigned long dirty = dirty_bits(clean, at, word_mask(at, end));

		if (dirty)
			at = zero_free_granules(clean, word_start(at) + __ffs(dirty));
		else
			at = next_word(at);
		cond_resched();
	}
}

bool mal_clean_is_resting(struct mal_clean *clean, u64 *dirty)
{
	/* As in is_busy(): what was zeroed before is not counted any more. */
	bool resting = smp_load_acquire(&clean->busy) == MAL_NONE;

	*dirty = (u64)atomic_long_read(&clean->dirty) << PAGE_SHIFT;
	return resting;
}

u64 mal_clean_count_dirty(struct mal_clean *clean)
{
	return (u64)count_dirty(clean, 0, clean->ranges->granules) << PAGE_SHIFT;
}

int mal_clean_init(struct mal_clean *clean, struct mal_arena *arena, struct mal_ranges *ranges)
{
	size_t bytes = BITS_TO_LONGS(ranges->granules) * sizeof(*clean->map);

	clean->map = kvmalloc_node(bytes, GFP_KERNEL | __GFP_NOWARN, ranges->own.node);
	if (!clean->map) {
		pr_err("no memory for the map of what is clean, %zu KiB\n", bytes >> 10);
		return -ENOMEM;
	}
	memset(clean->map, 0xff, bytes);
	clean->arena = arena;
	clean->ranges = ranges;
	clean->busy = MAL_NONE;
	init_waitqueue_head(&clean->waiters);
	INIT_DELAYED_WORK(&clean->work, clean_work);
	return 0;
}

void mal_clean_destroy(struct mal_clean *clean)
{
	WRITE_ONCE(clean->stop, true);
	cancel_delayed_work_sync(&clean->work);
	kvfree(clean->map);
}
