// SPDX-License-Identifier: GPL-2.0-only
/* lib/genalloc.c: a bitmap, searched from its beginning. It needs no lock. */
#include <linux/genalloc.h>
#include <linux/slab.h>

#include "bench.h"

/* Addresses begin here, as 0 stands for failure. */
#define BASE	PAGE_SIZE

struct state {
	struct gen_pool *pool;
	unsigned long next;	/* where append() goes on */
};

static int pool_init(struct bench *bench)
{
	struct state *state = kzalloc(sizeof(*state), GFP_KERNEL);
	int err = -ENOMEM;

	if (!state)
		return err;
	state->pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!state->pool)
		goto out_state;
	err = gen_pool_add(state->pool, BASE, (size_t)bench->granules << PAGE_SHIFT, NUMA_NO_NODE);
	if (err)
		goto out_pool;
	gen_pool_set_algo(state->pool, (genpool_algo_t)bench->allocator->kind, NULL);
	bench->state = state;
	return 0;

out_pool:
	gen_pool_destroy(state->pool);
out_state:
	kfree(state);
	return err;
}

static void pool_destroy(struct bench *bench)
{
	struct state *state = bench->state;

	bench_free_all(bench);
	gen_pool_destroy(state->pool);
	kfree(state);
}

static u32 granule_of(unsigned long address)
{
	return address ? (address - BASE) >> PAGE_SHIFT : BENCH_NONE;
}

static u32 pool_alloc(struct bench *bench, u32 slot, u32 size)
{
	struct state *state = bench->state;

	return granule_of(gen_pool_alloc(state->pool, (size_t)size << PAGE_SHIFT));
}

static void pool_free(struct bench *bench, u32 slot)
{
	struct state *state = bench->state;

	gen_pool_free(state->pool, BASE + ((unsigned long)bench->start[slot] << PAGE_SHIFT),
		      (size_t)bench->size[slot] << PAGE_SHIFT);
}

/* The pool's algorithm for append(): no search. */
static unsigned long at_next(unsigned long *map, unsigned long bits, unsigned long start,
			     unsigned int nr, void *data, struct gen_pool *pool,
			     unsigned long start_addr)
{
	struct state *state = data;
	unsigned long at = state->next;

	if (at + nr > bits)
		return bits;
	state->next += nr;
	return at;
}

static u32 pool_append(struct bench *bench, u32 slot, u32 size)
{
	struct state *state = bench->state;

	return granule_of(gen_pool_alloc_algo(state->pool, (size_t)size << PAGE_SHIFT,
					      at_next, state));
}

const struct allocator gen_pool_first = {
	.name = "gen_pool-first",
	.kind = gen_pool_first_fit,
	.init = pool_init,
	.destroy = pool_destroy,
	.alloc = pool_alloc,
	.free = pool_free,
	.append = pool_append,
};

const struct allocator gen_pool_best = {
	.name = "gen_pool-best",
	.kind = gen_pool_best_fit,
	.init = pool_init,
	.destroy = pool_destroy,
	.alloc = pool_alloc,
	.free = pool_free,
	.append = pool_append,
};
