// SPDX-License-Identifier: GPL-2.0-only
/*
 * drivers/gpu/drm/drm_mm.c: trees of nodes, one node per block. Its users embed the node
 * in an object of theirs and bring the lock; so no node is allocated here while it is
 * measured, and the lock is a spinlock.
 */
#include <drm/drm_mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "bench.h"

struct state {
	spinlock_t lock;	/* of @mm */
	enum drm_mm_insert_mode mode;
	struct drm_mm mm;
	struct drm_mm_node *nodes;	/* one per slot */
};

static const enum drm_mm_insert_mode best = DRM_MM_INSERT_BEST, low = DRM_MM_INSERT_LOW;

static int nodes_init(struct bench *bench)
{
	struct state *state = kzalloc(sizeof(*state), GFP_KERNEL);

	if (!state)
		return -ENOMEM;
	state->nodes = vzalloc(array_size(bench->slots, sizeof(*state->nodes)));
	if (!state->nodes) {
		kfree(state);
		return -ENOMEM;
	}
	spin_lock_init(&state->lock);
	state->mode = *(const enum drm_mm_insert_mode *)bench->allocator->kind;
	drm_mm_init(&state->mm, 0, bench->granules);
	bench->state = state;
	return 0;
}

/* The mm owns no memory but the nodes, so that those in use can just go. */
static void nodes_destroy(struct bench *bench)
{
	struct state *state = bench->state;

	vfree(state->nodes);
	kfree(state);
}

static u32 nodes_alloc(struct bench *bench, u32 slot, u32 size)
{
	struct state *state = bench->state;
	struct drm_mm_node *node = &state->nodes[slot];
	int err;

	spin_lock(&state->lock);
	err = drm_mm_insert_node_in_range(&state->mm, node, size, 0, 0, 0, U64_MAX, state->mode);
	spin_unlock(&state->lock);
	return err ? BENCH_NONE : node->start;
}

static void nodes_free(struct bench *bench, u32 slot)
{
	struct state *state = bench->state;

	spin_lock(&state->lock);
	drm_mm_remove_node(&state->nodes[slot]);
	spin_unlock(&state->lock);
}

const struct allocator drm_mm_best = {
	.name = "drm_mm-best",
	.kind = &best,
	.large_sizes = true,
	.init = nodes_init,
	.destroy = nodes_destroy,
	.alloc = nodes_alloc,
	.free = nodes_free,
};

const struct allocator drm_mm_low = {
	.name = "drm_mm-low",
	.kind = &low,
	.large_sizes = true,
	.init = nodes_init,
	.destroy = nodes_destroy,
	.alloc = nodes_alloc,
	.free = nodes_free,
};
