// SPDX-License-Identifier: GPL-2.0-only
/*
 * The benchmark as a module: loading it runs everything and logs the figures. See
 * scripts/bench-kernel, which makes tables of them.
 */
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "bench.h"
#include "core/fit.h"

static char *group = "ours";
module_param(group, charp, 0444);
MODULE_PARM_DESC(group, "run ours, or those of the kernel's allocators whose names begin so");

int bench_init(struct bench *bench, const struct allocator *allocator, u32 granules, u32 slots)
{
	size_t bytes = array_size(slots, sizeof(u32));
	int err = -ENOMEM;

	*bench = (struct bench) {
		.allocator = allocator,
		.granules = granules,
		.slots = slots,
		.start = vmalloc(bytes),
		.size = vzalloc(bytes),
		.cost = vzalloc(bytes),
	};
	if (bench->start && bench->size && bench->cost) {
		memset(bench->start, 0xff, bytes);
		err = allocator->init(bench);
	}
	if (err) {
		vfree(bench->start);
		vfree(bench->size);
		vfree(bench->cost);
	}
	return err;
}

void bench_destroy(struct bench *bench)
{
	bench->allocator->destroy(bench);
	vfree(bench->start);
	vfree(bench->size);
	vfree(bench->cost);
}

bool bench_append(struct bench *bench, u32 slot, u32 size)
{
	const struct allocator *allocator = bench->allocator;

	bench->size[slot] = size;
	if (allocator->append)
		bench->start[slot] = allocator->append(bench, slot, size);
	else
		bench->start[slot] = allocator->alloc(bench, slot, size);
	return bench->start[slot] != BENCH_NONE;
}

void bench_free(struct bench *bench, u32 slot)
{
	bench->allocator->free(bench, slot);
	bench->start[slot] = BENCH_NONE;
}

void bench_free_all(struct bench *bench)
{
	u32 slot;

	for (slot = bench->slots; slot--; ) {
		if (bench->start[slot] != BENCH_NONE)
			bench_free(bench, slot);
		cond_resched();
	}
}

static int run_ours(void)
{
	const struct mal_fit *const *fit;
	int err = 0;

	for (fit = mal_fits; !err && *fit; fit++) {
		struct allocator allocator = heap_allocator;

		allocator.name = (*fit)->name;
		allocator.kind = *fit;
		err = bench_cases(&allocator);
	}
	return err;
}

static int run_others(void)
{
	const struct allocator *const allocators[] = {
		&gen_pool_first, &gen_pool_best, &drm_mm_best, &drm_mm_low,
		&drm_buddy_rounded, &drm_buddy_trimmed, &iova_tree, &iova_cached,
	};
	int err = -ENOENT;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(allocators); i++) {
		if (!strstarts(allocators[i]->name, group))
			continue;
		err = bench_cases(allocators[i]);
		if (err)
			break;
	}
	return err;
}

static int __init bench_module_init(void)
{
	int err = bench_calibrate();

	if (err)
		return err;
	return strcmp(group, "ours") ? run_others() : run_ours();
}

static void __exit bench_module_exit(void)
{
}

module_init(bench_module_init);
module_exit(bench_module_exit);
MODULE_DESCRIPTION("Benchmark of memalloc's allocator core and the kernel's allocators of ranges");
MODULE_LICENSE("GPL");
