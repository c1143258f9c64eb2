// SPDX-License-Identifier: GPL-2.0-only
/*
 * drivers/gpu/drm/drm_buddy.c, as its users get contiguous memory from it: they ask for
 * the next power of two, and may give back ("trim") what they don't need of it.
 *
 * It allocates its nodes itself, with GFP_KERNEL, so its users take a mutex. A spinlock
 * and interrupts that are off do here: memory is plenty, so nothing sleeps.
 */
#include <drm/drm_buddy.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "bench.h"

struct state {
	spinlock_t lock;	/* of @mm */
	struct drm_buddy mm;
	struct list_head *blocks;	/* of each slot; several make up a trimmed one */
};

static int buddy_init(struct bench *bench)
{
	struct state *state = kzalloc(sizeof(*state), GFP_KERNEL);
	int err = -ENOMEM;
	u32 slot;

	if (!state)
		return err;
	state->blocks = vmalloc(array_size(bench->slots, sizeof(*state->blocks)));
	if (!state->blocks)
		goto out_state;
	for (slot = 0; slot < bench->slots; slot++)
		INIT_LIST_HEAD(&state->blocks[slot]);
	err = drm_buddy_init(&state->mm, (u64)bench->granules << PAGE_SHIFT, PAGE_SIZE);
	if (err)
		goto out_blocks;
	spin_lock_init(&state->lock);
	bench->state = state;
	return 0;

out_blocks:
	vfree(state->blocks);
out_state:
	kfree(state);
	return err;
}

static void buddy_destroy(struct bench *bench)
{
	struct state *state = bench->state;

	bench_free_all(bench);
	drm_buddy_fini(&state->mm);
	vfree(state->blocks);
	kfree(state);
}

static u32 buddy_alloc(struct bench *bench, u32 slot, u32 size)
{
	struct state *state = bench->state;
	struct list_head *blocks = &state->blocks[slot];
	u64 bytes = (u64)roundup_pow_of_two(size) << PAGE_SHIFT;
	int err;

	spin_lock(&state->lock);
	/* As "alignment" its own size: one block or none. */
	err = drm_buddy_alloc_blocks(&state->mm, 0, state->mm.size, bytes, bytes, blocks, 0);
	if (!err && bench->allocator->kind)
		drm_buddy_block_trim(&state->mm, (u64)size << PAGE_SHIFT, blocks);
	spin_unlock(&state->lock);
	if (err)
		return BENCH_NONE;
	return drm_buddy_block_offset(list_first_entry(blocks, struct drm_buddy_block, link)) >>
	       PAGE_SHIFT;
}

static void buddy_free(struct bench *bench, u32 slot)
{
	struct state *state = bench->state;
	struct drm_buddy_block *block, *next;

	spin_lock(&state->lock);
	/* What drm_buddy_free_list() does, but that calls cond_resched(). */
	list_for_each_entry_safe(block, next, &state->blocks[slot], link)
		drm_buddy_free_block(&state->mm, block);
	INIT_LIST_HEAD(&state->blocks[slot]);
	spin_unlock(&state->lock);
}

const struct allocator drm_buddy_rounded = {
	.name = "drm_buddy",
	.rounds = true,
	.large_sizes = true,
	.init = buddy_init,
	.destroy = buddy_destroy,
	.alloc = buddy_alloc,
	.free = buddy_free,
};

const struct allocator drm_buddy_trimmed = {
	.name = "drm_buddy-trim",
	.kind = drm_buddy_block_trim,
	.stream_only = true,	/* its lists, walked for each block, are out of order */
	.init = buddy_init,
	.destroy = buddy_destroy,
	.alloc = buddy_alloc,
	.free = buddy_free,
};
