// SPDX-License-Identifier: GPL-2.0-only
/* The last blocks that a client has freed, for its next ones. */
#include <linux/kernel.h>
#include <linux/sched.h>

#include "magazine.h"

/* Take the slice out of the lists. Returns the blocks that are in it, a list. Under the lock. */
static struct mal_block *unload(struct mal_magazines *magazines, struct mal_magazine_slice *slice)
{
	struct mal_block *list = NULL;
	u32 i;

	lockdep_assert_held(&magazines->lock);
	list_del(&slice->node);
	list_del(&slice->user_node);
	WRITE_ONCE(magazines->count, magazines->count - 1);
	WRITE_ONCE(slice->is_loaded, false);
	/* Who puts a block that is not seen here sees that: pairs with mal_magazine_put(). */
	smp_mb();
	for (i = 0; i < MAL_READY_SLICE; i++) {
		struct mal_block *block = NULL;

		if (READ_ONCE(slice->blocks[i]))
			block = xchg(&slice->blocks[i], NULL);
		if (!block)
			continue;
		block->next = list;
		list = block;
	}
	return list;
}

/* Free the blocks of @list, if any, and end their charge. How many granules? Under the lock. */
static u64 give_back(struct mal_magazines *magazines, struct mal_block *list)
{
	const struct mal_block *block;
	u64 granules = 0;
	u32 n = 0;

	lockdep_assert_held(&magazines->lock);
	if (!list)
		return 0;
	for (block = list; block; block = block->next) {
		granules += block->granules;
		n++;
	}
	magazines->free(magazines, list);
	magazines->uncharge(list->payer, granules << PAGE_SHIFT, n);
	return granules;
}

static void release_list(struct mal_magazines *magazines, struct mal_block *list)
{
	while (list) {
		struct mal_block *block = list;

		list = block->next;
		magazines->release(block);
	}
	cond_resched();
}

/* Release the blocks of @slice. */
static void release_slice(struct mal_magazines *magazines, struct mal_magazine_slice *slice)
{
	struct mal_block *list = NULL;

	spin_lock(&magazines->lock);
	if (slice->is_loaded)
		list = unload(magazines, slice);
	give_back(magazines, list);
	spin_unlock(&magazines->lock);
	release_list(magazines, list);
}

/* Release the blocks of the slice that was loaded first. *@granules grows. False: there is none. */
static bool release_first(struct mal_magazines *magazines, struct list_head *of_user,
			  u64 *granules)
{
	struct mal_magazine_slice *slice;
	struct mal_block *list = NULL;

	spin_lock(&magazines->lock);
	if (of_user)
		slice = list_first_entry_or_null(of_user, typeof(*slice), user_node);
	else
		slice = list_first_entry_or_null(&magazines->loaded, typeof(*slice), node);
	if (slice)
		list = unload(magazines, slice);
	*granules += give_back(magazines, list);
	spin_unlock(&magazines->lock);
	release_list(magazines, list);
	return slice;
}

u64 mal_magazines_empty(struct mal_magazines *magazines, struct list_head *of_user)
{
	u64 granules = 0;
	u32 left;

	/*
	 * Clients may load theirs again and again: those that come later are last in the list. Who
	 * empties magazines at the same time has given back what it took, or has not begun.
	 */
	spin_lock(&magazines->lock);
	left = magazines->count;
	spin_unlock(&magazines->lock);
	while (left && release_first(magazines, of_user, &granules))
		left--;
	return granules;
}

u64 mal_magazines_pause(struct mal_magazines *magazines)
{
	/* Who takes the lock after that sees the pause. */
	atomic_inc(&magazines->paused);
	return mal_magazines_empty(magazines, NULL);
}

void mal_magazines_resume(struct mal_magazines *magazines)
{
	atomic_dec(&magazines->paused);
}

/* A block was put into the slice. */
static noinline void load_slice(struct mal_magazine *magazine, struct mal_magazine_slice *slice)
{
	struct mal_magazines *magazines = magazine->all;
	bool is_too_much;

	spin_lock(&magazines->lock);
	if (!slice->is_loaded) {
		list_add_tail(&slice->node, &magazines->loaded);
		list_add_tail(&slice->user_node, magazine->of_user);
		WRITE_ONCE(magazines->count, magazines->count + 1);
		WRITE_ONCE(slice->is_loaded, true);
	}
	is_too_much = magazines->count > MAL_MAGAZINES_LOADED || atomic_read(&magazines->paused);
	spin_unlock(&magazines->lock);
	if (is_too_much)
		release_slice(magazines, slice);
	else
		queue_delayed_work(system_unbound_wq, &magazines->work, HZ);
}

void mal_magazine_release(struct mal_magazines *magazines, struct mal_block *block)
{
	block->next = NULL;
	spin_lock(&magazines->lock);
	give_back(magazines, block);
	spin_unlock(&magazines->lock);
	release_list(magazines, block);
}

void mal_magazine_put(struct mal_magazine *magazine, struct mal_block *block)
{
	const u32 slot = mal_magazine_slot(block->granules);
	struct mal_magazine_slice *slice = &magazine->slices[slot / MAL_READY_SLICE];

	if (unlikely(cmpxchg(&magazine->blocks[slot], NULL, block))) {
		/* Another task has put one there meanwhile. */
		mal_magazine_release(magazine->all, block);
		return;
	}
	/* After the block is there: pairs with unload(). */
	if (unlikely(!READ_ONCE(slice->is_loaded)))
		load_slice(magazine, slice);
}

void mal_magazine_init(struct mal_magazine *magazine, struct mal_magazines *all,
		       struct list_head *of_user)
{
	u32 i;

	magazine->all = all;
	magazine->of_user = of_user;
	for (i = 0; i < MAL_MAGAZINE_SLICES; i++)
		magazine->slices[i].blocks = &magazine->blocks[i * MAL_READY_SLICE];
}

void mal_magazine_destroy(struct mal_magazine *magazine)
{
	u32 i;

	for (i = 0; i < MAL_MAGAZINE_SLICES; i++)
		release_slice(magazine->all, &magazine->slices[i]);
}

void mal_magazines_add_figures(struct mal_magazines *magazines, struct mal_figures *figures)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct mal_reuse *reuse = per_cpu_ptr(magazines->reuse, cpu);
		const u64 blocks = READ_ONCE(reuse->blocks);
		const u64 granules = READ_ONCE(reuse->granules);

		figures->allocs += blocks;
		figures->frees += blocks;
		figures->allocated += granules;
		figures->freed += granules;
	}
}

static void empty_all(struct work_struct *work)
{
	struct mal_magazines *magazines =
		container_of(to_delayed_work(work), struct mal_magazines, work);

	mal_magazines_empty(magazines, NULL);
}

int mal_magazines_init(struct mal_magazines *magazines,
		       void (*free)(struct mal_magazines *magazines, struct mal_block *list),
		       void (*release)(struct mal_block *block))
{
	magazines->reuse = alloc_percpu(struct mal_reuse);
	if (!magazines->reuse)
		return -ENOMEM;
	spin_lock_init(&magazines->lock);
	INIT_LIST_HEAD(&magazines->loaded);
	magazines->count = 0;
	atomic_set(&magazines->paused, 0);
	magazines->free = free;
	magazines->release = release;
	INIT_DELAYED_WORK(&magazines->work, empty_all);
	return 0;
}

void mal_magazines_stop(struct mal_magazines *magazines)
{
	mal_magazines_pause(magazines);
	cancel_delayed_work_sync(&magazines->work);
}

void mal_magazines_destroy(struct mal_magazines *magazines)
{
	free_percpu(magazines->reuse);
}
