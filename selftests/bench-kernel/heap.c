// SPDX-License-Identifier: GPL-2.0-only
/* Ours: a heap and its spinlock, as the module's arena has it. */
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "bench.h"
#include "core/fit.h"

struct arena {
	spinlock_t lock;	/* of @heap */
	struct mal_heap heap;
	void *memory;
};

static int heap_init(struct bench *bench)
{
	const struct mal_fit *fit = bench->allocator->kind;
	struct arena *arena = kzalloc(sizeof(*arena), GFP_KERNEL);

	if (!arena)
		return -ENOMEM;
	arena->memory = vzalloc(mal_heap_bytes(bench->granules));
	if (!arena->memory) {
		kfree(arena);
		return -ENOMEM;
	}
	spin_lock_init(&arena->lock);
	mal_heap_init(&arena->heap, arena->memory, bench->granules, fit);
	bench->state = arena;
	return 0;
}

static void heap_destroy(struct bench *bench)
{
	struct arena *arena = bench->state;

	vfree(arena->memory);
	kfree(arena);
}

static u32 heap_alloc(struct bench *bench, u32 slot, u32 size)
{
	struct mal_request req = { .size = size, .align = 1 };
	struct arena *arena = bench->state;
	u32 start;

	spin_lock(&arena->lock);
	start = mal_heap_alloc(&arena->heap, &req, slot);
	spin_unlock(&arena->lock);
	return start;
}

static void heap_free(struct bench *bench, u32 slot)
{
	struct arena *arena = bench->state;
	int err;

	spin_lock(&arena->lock);
	err = mal_heap_free(&arena->heap, bench->start[slot], bench->size[slot]);
	spin_unlock(&arena->lock);
	WARN_ON(err);
}

const struct allocator heap_allocator = {
	.large_sizes = true,
	.init = heap_init,
	.destroy = heap_destroy,
	.alloc = heap_alloc,
	.free = heap_free,
};
