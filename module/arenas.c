// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks that are ready to go, for each CPU. Other CPUs take an arena's lock, too: to empty the
 * arena, one lock at a time, for a time that is bounded. So a task may move to another CPU at any
 * time, and a CPU may go offline: its blocks are not lost.
 */
#include <linux/bits.h>
#include <linux/sched.h>

#include "arenas.h"

/* The blocks of @granules that an arena keeps at most. */
static u32 max_ready(u32 granules)
{
	return max_t(u32, MAL_READY_GRANULES / granules, MAL_READY_BLOCKS);
}

static struct mal_block *pop_ready(struct mal_cpu_arena *cpu, u32 granules)
{
	struct mal_block *block = cpu->ready[granules - 1];

	lockdep_assert_held(&cpu->lock);
	if (block) {
		cpu->ready[granules - 1] = block->next;
		cpu->count[granules - 1]--;
		cpu->granules -= granules;
	}
	return block;
}

static void push_ready(struct mal_cpu_arena *cpu, struct mal_block *block)
{
	lockdep_assert_held(&cpu->lock);
	block->next = cpu->ready[block->granules - 1];
	cpu->ready[block->granules - 1] = block;
	cpu->count[block->granules - 1]++;
	cpu->granules += block->granules;
}

struct mal_block *mal_arenas_take(struct mal_arenas *arenas, u32 granules, u64 length,
				  struct mal_payer *payer)
{
	struct mal_cpu_arena *cpu = raw_cpu_ptr(arenas->cpus);
	struct mal_block *block;

	spin_lock(&cpu->lock);
	block = pop_ready(cpu, granules);
	if (block) {
		cpu->used |= BIT(granules - 1);
		cpu->figures.allocs++;
		cpu->figures.allocated += granules;
		cpu->figures.requested += length;
		WRITE_ONCE(block->length, length);
		WRITE_ONCE(block->payer, payer);
		/* Who sees a block that is not ready sees its payer. */
		smp_store_release(&block->ready, false);
	}
	spin_unlock(&cpu->lock);
	return block;
}

/*
 * Release up to @max blocks of @granules, but no more than MAL_READY_SLICE. Returns how many these
 * were.
 */
static u32 release_slice(struct mal_arenas *arenas, struct mal_cpu_arena *cpu, u32 granules,
			 u32 max)
{
	struct mal_block *list = NULL;
	struct mal_block *block;
	u32 n = 0;

	spin_lock(&cpu->lock);
	while (n < min_t(u32, max, MAL_READY_SLICE)) {
		block = pop_ready(cpu, granules);
		if (!block)
			break;
		block->next = list;
		list = block;
		n++;
	}
	if (list)
		arenas->free(arenas, list);
	spin_unlock(&cpu->lock);

	while (list) {
		block = list;
		list = block->next;
		arenas->release(block);
	}
	cond_resched();
	return n;
}

/* Release a stack, or the part of it that came last. Returns how many granules. */
static u64 release_stack(struct mal_arenas *arenas, struct mal_cpu_arena *cpu, u32 granules,
			 u32 max)
{
	u32 left = max;
	u32 n;

	do {
		n = release_slice(arenas, cpu, granules, left);
		left -= n;
	} while (n && left);
	return (u64)(max - left) * granules;
}

/* -ENOSPC: the stack is full; -EBUSY: the arenas are paused. */
static __always_inline int try_to_put(struct mal_arenas *arenas, struct mal_cpu_arena *cpu,
				      struct mal_block *block)
{
	const u32 granules = block->granules;
	int err = 0;

	spin_lock(&cpu->lock);
	if (atomic_read(&arenas->paused)) {
		err = -EBUSY;
	} else if (cpu->count[granules - 1] == max_ready(granules)) {
		err = -ENOSPC;
	} else {
		cpu->used |= BIT(granules - 1);
		cpu->figures.frees++;
		cpu->figures.freed += granules;
		cpu->figures.requested -= block->length;
		WRITE_ONCE(block->ready, true);
		push_ready(cpu, block);
	}
	spin_unlock(&cpu->lock);
	return err;
}

/* As try_to_put(), after room was made. */
static noinline int make_room_and_put(struct mal_arenas *arenas, struct mal_cpu_arena *cpu,
				      struct mal_block *block)
{
	const u32 granules = block->granules;
	int err;

	do {
		release_stack(arenas, cpu, granules, max_ready(granules) / 2);
		err = try_to_put(arenas, cpu, block);
	} while (err == -ENOSPC);
	return err;
}

bool mal_arenas_put(struct mal_arenas *arenas, struct mal_block *block)
{
	struct mal_cpu_arena *cpu = raw_cpu_ptr(arenas->cpus);
	int err;

	might_sleep();
	err = try_to_put(arenas, cpu, block);
	if (unlikely(err == -ENOSPC))
		err = make_room_and_put(arenas, cpu, block);
	if (!err && unlikely(!delayed_work_pending(&arenas->work)))
		queue_delayed_work(system_unbound_wq, &arenas->work, HZ);
	return !err;
}

bool mal_arenas_set_length(struct mal_arenas *arenas, struct mal_block *block, u64 length)
{
	struct mal_cpu_arena *cpu = raw_cpu_ptr(arenas->cpus);
	bool is_paused;

	spin_lock(&cpu->lock);
	is_paused = atomic_read(&arenas->paused);
	if (!is_paused) {
		cpu->figures.requested += length - block->length;
		WRITE_ONCE(block->length, length);
	}
	spin_unlock(&cpu->lock);
	return !is_paused;
}

static u64 empty_arena(struct mal_arenas *arenas, struct mal_cpu_arena *cpu)
{
	u64 released = 0;
	u32 granules;
	bool any;

	/* Who takes the lock after that sees a pause that has begun before. */
	spin_lock(&cpu->lock);
	any = cpu->granules;
	spin_unlock(&cpu->lock);
	for (granules = 1; any && granules <= MAL_READY_MAX; granules++)
		released += release_stack(arenas, cpu, granules, max_ready(granules));
	return released;
}

u64 mal_arenas_empty(struct mal_arenas *arenas)
{
	u64 released = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		released += empty_arena(arenas, per_cpu_ptr(arenas->cpus, cpu));
	return released;
}

u64 mal_arenas_pause(struct mal_arenas *arenas)
{
	atomic_inc(&arenas->paused);
	return mal_arenas_empty(arenas);
}

void mal_arenas_resume(struct mal_arenas *arenas)
{
	/* What was read of the figures was read before: pairs with the read in try_to_put(). */
	smp_mb__before_atomic();
	atomic_dec(&arenas->paused);
}

/* Empty the stacks that the CPU has not used for a while. True: others are left. */
static bool empty_idle_stacks(struct mal_arenas *arenas, struct mal_cpu_arena *cpu)
{
	u32 granules;
	u32 used;

	spin_lock(&cpu->lock);
	used = cpu->used;
	cpu->used = 0;
	spin_unlock(&cpu->lock);
	for (granules = 1; granules <= MAL_READY_MAX; granules++)
		if (!(used & BIT(granules - 1)))
			release_stack(arenas, cpu, granules, max_ready(granules));
	return READ_ONCE(cpu->granules);
}

static void empty_idle_arenas(struct work_struct *work)
{
	struct mal_arenas *arenas = container_of(to_delayed_work(work), struct mal_arenas, work);
	bool again = false;
	int cpu;

	for_each_possible_cpu(cpu)
		again |= empty_idle_stacks(arenas, per_cpu_ptr(arenas->cpus, cpu));
	if (again)
		queue_delayed_work(system_unbound_wq, &arenas->work, HZ);
}

void mal_arenas_add_figures(struct mal_arenas *arenas, struct mal_figures *figures)
{
	int cpu;

	for_each_possible_cpu(cpu)
		mal_figures_add(figures, &per_cpu_ptr(arenas->cpus, cpu)->figures);
}

int mal_arenas_init(struct mal_arenas *arenas,
		    void (*free)(struct mal_arenas *arenas, const struct mal_block *list),
		    void (*release)(struct mal_block *block))
{
	int cpu;

	arenas->cpus = alloc_percpu(struct mal_cpu_arena);
	if (!arenas->cpus)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		spin_lock_init(&per_cpu_ptr(arenas->cpus, cpu)->lock);
	atomic_set(&arenas->paused, 0);
	arenas->free = free;
	arenas->release = release;
	INIT_DELAYED_WORK(&arenas->work, empty_idle_arenas);
	return 0;
}

void mal_arenas_stop(struct mal_arenas *arenas)
{
	mal_arenas_pause(arenas);
	cancel_delayed_work_sync(&arenas->work);
}

void mal_arenas_destroy(struct mal_arenas *arenas)
{
	free_percpu(arenas->cpus);
}
