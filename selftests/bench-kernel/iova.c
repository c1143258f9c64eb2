// SPDX-License-Identifier: GPL-2.0-only
/*
 * drivers/iommu/iova.c: a tree of used blocks, searched from the top of the range down
 * ("tree"); and with its caches of freed blocks of up to 32 pages before it ("cached").
 * It has a lock of its own and allocates its nodes itself.
 */
#include <linux/iova.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "bench.h"

/* Pages begin here, as 0 stands for failure. */
#define BASE	1

struct state {
	struct iova_domain domain;
	struct iova **nodes;	/* of each slot; "cached" has none */
};

static int iova_init(struct bench *bench)
{
	struct state *state = kzalloc(sizeof(*state), GFP_KERNEL);
	int err = -ENOMEM;

	if (!state)
		return err;
	state->nodes = vmalloc(array_size(bench->slots, sizeof(*state->nodes)));
	if (!state->nodes)
		goto out_state;
	err = iova_cache_get();
	if (err)
		goto out_nodes;
	/*
	 * With pages of one byte all of the range lies below 4 GiB; where it goes beyond,
	 * the place where the last search ended is not kept.
	 */
	init_iova_domain(&state->domain, 1, BASE);
	err = iova_domain_init_rcaches(&state->domain);
	if (err)
		goto out_cache;
	bench->state = state;
	return 0;

out_cache:
	iova_cache_put();
out_nodes:
	vfree(state->nodes);
out_state:
	kfree(state);
	return err;
}

static void iova_destroy(struct bench *bench)
{
	struct state *state = bench->state;

	put_iova_domain(&state->domain);
	iova_cache_put();
	vfree(state->nodes);
	kfree(state);
}

/* The highest page of the range. */
static unsigned long limit(const struct bench *bench)
{
	return BASE + bench->granules - 1;
}

static u32 tree_alloc(struct bench *bench, u32 slot, u32 size)
{
	struct state *state = bench->state;
	struct iova *node = alloc_iova(&state->domain, size, limit(bench), false);

	state->nodes[slot] = node;
	return node ? node->pfn_lo - BASE : BENCH_NONE;
}

static void tree_free(struct bench *bench, u32 slot)
{
	struct state *state = bench->state;

	__free_iova(&state->domain, state->nodes[slot]);
}

const struct allocator iova_tree = {
	.name = "iova",
	.init = iova_init,
	.destroy = iova_destroy,
	.alloc = tree_alloc,
	.free = tree_free,
};

static u32 cached_alloc(struct bench *bench, u32 slot, u32 size)
{
	struct state *state = bench->state;
	unsigned long page = alloc_iova_fast(&state->domain, size, limit(bench), true);

	return page ? page - BASE : BENCH_NONE;
}

static void cached_free(struct bench *bench, u32 slot)
{
	struct state *state = bench->state;

	free_iova_fast(&state->domain, BASE + bench->start[slot], bench->size[slot]);
}

const struct allocator iova_cached = {
	.name = "iova-cached",
	.stream_only = true,	/* what is freed goes to the caches */
	.init = iova_init,
	.destroy = iova_destroy,
	.alloc = cached_alloc,
	.free = cached_free,
};
