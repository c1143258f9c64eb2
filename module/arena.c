// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arena: a heap under a spinlock, with its figures. Nothing that is done
 * under the lock takes longer with more blocks or granules; what has to look at all
 * blocks does so in slices and drops the lock between them.
 */
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/memalloc.h>

#include "arena.h"
#include "core/fit.h"

/* [@first, @first + @granules) is free: that becomes a gap. Under the lock. */
static void make_gap(struct mal_arena *arena, u32 first, u32 granules)
{
	lockdep_assert_held(&arena->lock);
	if (WARN_ON_ONCE(mal_heap_alloc_at(&arena->heap, first, granules, (uintptr_t)&arena->gap)))
		return;
	arena->gaps += granules;
	arena->changes++;
}

/* The free block that has @granule becomes a gap. Under the lock. */
static noinline void close_free_block(struct mal_arena *arena, u32 granule)
{
	const u32 head = mal_heap_block_of(&arena->heap, granule);

	lockdep_assert_held(&arena->lock);
	make_gap(arena, head, mal_block_size(&arena->heap, head));
}

/* @granule has become free. Under the lock. */
static inline void close_if_closing(struct mal_arena *arena, u32 granule)
{
	lockdep_assert_held(&arena->lock);
	if (unlikely(granule >= arena->closing_first && granule < arena->closing_end))
		close_free_block(arena, granule);
}

static void free_block(struct mal_arena *arena, const struct mal_block *block)
{
	lockdep_assert_held(&arena->lock);
	if (WARN_ON_ONCE(mal_heap_free(&arena->heap, block->first, block->granules)))
		return;
	close_if_closing(arena, block->first);
	arena->figures.frees += block->is_buffer;
	arena->figures.freed += block->granules;
	arena->figures.requested -= block->length;
	arena->changes++;
}

/* The heap gets back blocks that were ready. At most MAL_READY_SLICE. None is while closing. */
static void free_ready_blocks(struct mal_arenas *cpus, const struct mal_block *list)
{
	struct mal_arena *arena = container_of(cpus, struct mal_arena, cpus);
	const struct mal_block *block;

	spin_lock(&arena->lock);
	for (block = list; block; block = block->next) {
		WARN_ON_ONCE(mal_heap_free(&arena->heap, block->first, block->granules));
		arena->changes++;
	}
	spin_unlock(&arena->lock);
}

/* Likewise from magazines: nobody has counted that these are free. */
static void free_magazine(struct mal_magazines *magazines, struct mal_block *list)
{
	struct mal_arena *arena = container_of(magazines, struct mal_arena, magazines);
	struct mal_block *block;

	spin_lock(&arena->lock);
	for (block = list; block; block = block->next) {
		if (unlikely(READ_ONCE(block->claimed))) {
			WRITE_ONCE(block->left, true);
			WRITE_ONCE(block->ready, true);
		} else {
			free_block(arena, block);
		}
	}
	spin_unlock(&arena->lock);
}

u64 mal_arena_empty_ready(struct mal_arena *arena)
{
	return mal_magazines_empty(&arena->magazines, NULL) + mal_arenas_empty(&arena->cpus);
}

u64 mal_arena_pause_ready(struct mal_arena *arena)
{
	return mal_magazines_pause(&arena->magazines) + mal_arenas_pause(&arena->cpus);
}

void mal_arena_resume_ready(struct mal_arena *arena)
{
	mal_arenas_resume(&arena->cpus);
	mal_magazines_resume(&arena->magazines);
}

int mal_arena_init(struct mal_arena *arena, u32 pages, u32 granules, const struct mal_fit *fit,
		   int node, void (*release)(struct mal_block *block))
{
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN;
	size_t bytes = mal_heap_bytes(granules);

	arena->memory = kvmalloc_node(bytes, gfp, node);
	/* The tags of a very large region are more than that allows. */
	if (!arena->memory && bytes > INT_MAX)
		arena->memory = __vmalloc(bytes, gfp);
	if (!arena->memory) {
		pr_err("no memory for the tags, %zu KiB\n", bytes >> 10);
		return -ENOMEM;
	}
	if (mal_arenas_init(&arena->cpus, free_ready_blocks, release))
		goto free_memory;
	if (mal_magazines_init(&arena->magazines, free_magazine, release))
		goto destroy_arenas;
	mal_arena_pause_ready(arena);
	arena->wants_ready = false;
	arena->keeps_ready = false;
	spin_lock_init(&arena->lock);
	mutex_init(&arena->switching);
	mal_heap_init(&arena->heap, arena->memory, granules, fit);
	if (pages < granules) {
		spin_lock(&arena->lock);
		make_gap(arena, pages, granules - pages);
		spin_unlock(&arena->lock);
	}
	return 0;

destroy_arenas:
	mal_arenas_destroy(&arena->cpus);
free_memory:
	kvfree(arena->memory);
	return -ENOMEM;
}

void mal_arena_stop(struct mal_arena *arena)
{
	mal_magazines_stop(&arena->magazines);
	mal_arenas_stop(&arena->cpus);
}

void mal_arena_destroy(struct mal_arena *arena)
{
	mal_magazines_destroy(&arena->magazines);
	mal_arenas_destroy(&arena->cpus);
	mutex_destroy(&arena->switching);
	kvfree(arena->memory);
}

/* The fit or the wish has changed, or is about to: blocks may be ready now, or no longer. */
static void change_ready(struct mal_arena *arena, const struct mal_fit *fit, bool wanted)
{
	const bool keeps = wanted && fit == &mal_fit_good;

	lockdep_assert_held(&arena->switching);
	if (keeps && !arena->keeps_ready)
		mal_arena_resume_ready(arena);
	if (!keeps && arena->keeps_ready)
		mal_arena_pause_ready(arena);
	WRITE_ONCE(arena->wants_ready, wanted);
	WRITE_ONCE(arena->keeps_ready, keeps);
}

void mal_arena_keep_ready(struct mal_arena *arena, bool wanted)
{
	mutex_lock(&arena->switching);
	change_ready(arena, arena->heap.fit, wanted);
	mutex_unlock(&arena->switching);
}

void mal_arena_switch(struct mal_arena *arena, const struct mal_fit *fit)
{
	bool more = true;

	mutex_lock(&arena->switching);
	/* The heap gets a slice back under one hold of the lock: not into the index of any fit. */
	mal_arena_pause_ready(arena);
	spin_lock(&arena->lock);
	mal_heap_switch(&arena->heap, fit);
	spin_unlock(&arena->lock);
	while (more) {
		cond_resched();
		spin_lock(&arena->lock);
		more = mal_heap_switch_more(&arena->heap, MAL_ARENA_SWITCH_SLICE);
		spin_unlock(&arena->lock);
	}
	change_ready(arena, fit, arena->wants_ready);
	mal_arena_resume_ready(arena);
	mutex_unlock(&arena->switching);
}

const struct mal_fit *mal_arena_fit(struct mal_arena *arena)
{
	const struct mal_fit *fit;

	spin_lock(&arena->lock);
	fit = arena->heap.fit;
	spin_unlock(&arena->lock);
	return fit;
}

/* The heap has allocated @block at @first. Under the lock. */
static void count_allocation(struct mal_arena *arena, struct mal_block *block, u32 first)
{
	lockdep_assert_held(&arena->lock);
	block->first = first;
	arena->figures.allocs += block->is_buffer;
	arena->figures.allocated += block->granules;
	arena->figures.requested += block->length;
	arena->changes++;
}

/* Search all blocks, a slice at a time, for a placement that the fit did not find. */
static int sweep_arena(struct mal_arena *arena, struct mal_block *block,
		       const struct mal_request *req)
{
	u32 cursor = 0;
	int err = -ENOMEM;

	while (err == -ENOMEM && cursor < arena->heap.granules) {
		u32 first;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		spin_lock(&arena->lock);
		first = mal_heap_sweep(&arena->heap, req, (uintptr_t)block, &cursor,
				       MAL_ARENA_SLICE);
		if (first != MAL_NONE) {
			count_allocation(arena, block, first);
			err = 0;
		}
		spin_unlock(&arena->lock);
	}
	return err;
}

int mal_arena_try_alloc(struct mal_arena *arena, struct mal_block *block,
			const struct mal_request *req)
{
	bool undecided = false;
	int err = -ENOMEM;
	u32 first;

	spin_lock(&arena->lock);
	first = mal_heap_alloc(&arena->heap, req, (uintptr_t)block);
	if (first != MAL_NONE) {
		count_allocation(arena, block, first);
		err = 0;
	} else {
		undecided = mal_heap_undecided(&arena->heap, req);
	}
	spin_unlock(&arena->lock);

	return undecided ? sweep_arena(arena, block, req) : err;
}

int mal_arena_alloc(struct mal_arena *arena, struct mal_block *block,
		    const struct mal_request *req)
{
	int err;

	might_sleep();
	err = mal_arena_try_alloc(arena, block, req);
	if (err != -ENOMEM)
		return err;
	/* Now nothing is ready. That may be the work of another call, which has the same need. */
	mal_arena_pause_ready(arena);
	err = mal_arena_try_alloc(arena, block, req);
	mal_arena_resume_ready(arena);
	return err;
}

void mal_arena_free(struct mal_arena *arena, const struct mal_block *block)
{
	spin_lock(&arena->lock);
	free_block(arena, block);
	spin_unlock(&arena->lock);
}

void mal_arena_resize(struct mal_arena *arena, struct mal_block *block,
		      struct mal_block *part, u32 granules, u64 length)
{
	struct mal_heap *heap = &arena->heap;
	int err = 0;

	/* What is free for a moment is so only under the lock. */
	spin_lock(&arena->lock);
	if (granules < block->granules) {
		part->first = block->first + granules;
		part->granules = block->granules - granules;
		err = mal_heap_resize(heap, block->first, block->granules, granules) ?:
		      mal_heap_alloc_at(heap, part->first, part->granules, (uintptr_t)part);
	} else if (granules > block->granules) {
		err = mal_heap_free(heap, part->first, part->granules) ?:
		      mal_heap_resize(heap, block->first, block->granules, granules);
		part->granules = 0;
	}
	WARN_ON_ONCE(err);
	arena->figures.requested += length - block->length;
	block->length = length;
	block->granules = granules;
	arena->changes++;
	spin_unlock(&arena->lock);
}

int mal_arena_alloc_before(struct mal_arena *arena, const struct mal_block *block,
			   struct mal_block *gap, const struct mal_request *req)
{
	struct mal_heap *heap = &arena->heap;
	int err = -ENOENT;
	u32 head, place;

	spin_lock(&arena->lock);
	if (!block->first)
		goto unlock;
	head = mal_heap_block_of(heap, block->first - 1);
	if (mal_block_used(heap, head))
		goto unlock;
	place = mal_request_place(req, head, block->first + req->size);
	err = -ENOMEM;
	if (place < block->first) {
		gap->granules = min(block->first - place, req->size);
		err = mal_heap_alloc_at(heap, place, gap->granules, (uintptr_t)gap);
		if (!WARN_ON_ONCE(err))
			count_allocation(arena, gap, place);
	}
unlock:
	spin_unlock(&arena->lock);
	return err;
}

void mal_arena_swap(struct mal_arena *arena, struct mal_block *block, struct mal_block *other)
{
	spin_lock(&arena->lock);
	if (other->first + other->granules == block->first) {
		mal_heap_exchange(&arena->heap, other->first);
		block->first = other->first;
		other->first += block->granules;
	} else {
		swap(block->first, other->first);
		mal_block_set_owner(&arena->heap, block->first, (uintptr_t)block);
		mal_block_set_owner(&arena->heap, other->first, (uintptr_t)other);
	}
	arena->changes++;
	spin_unlock(&arena->lock);
}

void mal_arena_copy_name(struct mal_arena *arena, u8 *to, const u8 *from)
{
	spin_lock(&arena->lock);
	memcpy(to, from, MEMALLOC_NAME_LEN);
	spin_unlock(&arena->lock);
}

void mal_arena_quarantine(struct mal_arena *arena, struct mal_block *block)
{
	spin_lock(&arena->lock);
	block->quarantined = true;
	block->first_piece = block->first;
	block->last_piece = block->first;
	mal_block_set_link(&arena->heap, block->first, MAL_NONE);
	arena->quarantined += block->granules;
	arena->figures.requested -= block->length;
	if (block->retained)
		arena->retained += block->granules;
	arena->changes++;
	spin_unlock(&arena->lock);
}

void mal_arena_first_piece(struct mal_arena *arena, const struct mal_block *block, u32 *first,
			   u32 *granules)
{
	spin_lock(&arena->lock);
	*first = block->first_piece;
	*granules = mal_block_size(&arena->heap, block->first_piece);
	spin_unlock(&arena->lock);
}

/* Take the first piece out of the list. Under the lock. */
static u32 pop_piece(struct mal_arena *arena, struct mal_block *block)
{
	const u32 piece = block->first_piece;

	lockdep_assert_held(&arena->lock);
	block->first_piece = mal_block_link(&arena->heap, piece);
	return piece;
}

static void push_first_piece(struct mal_arena *arena, struct mal_block *block, u32 piece)
{
	lockdep_assert_held(&arena->lock);
	mal_block_set_link(&arena->heap, piece, block->first_piece);
	if (block->first_piece == MAL_NONE)
		block->last_piece = piece;
	block->first_piece = piece;
}

static void push_last_piece(struct mal_arena *arena, struct mal_block *block, u32 piece)
{
	lockdep_assert_held(&arena->lock);
	mal_block_set_link(&arena->heap, piece, MAL_NONE);
	if (block->first_piece == MAL_NONE)
		block->first_piece = piece;
	else
		mal_block_set_link(&arena->heap, block->last_piece, piece);
	block->last_piece = piece;
}

void mal_arena_rotate_pieces(struct mal_arena *arena, struct mal_block *block)
{
	spin_lock(&arena->lock);
	push_last_piece(arena, block, pop_piece(arena, block));
	spin_unlock(&arena->lock);
}

/* Take granules off the first piece. False, by a bug only: they are not all in it. */
static bool free_part_of_piece(struct mal_arena *arena, struct mal_block *block, u32 first,
			       u32 granules)
{
	const u32 piece = pop_piece(arena, block);
	const u32 piece_end = piece + mal_block_size(&arena->heap, piece);
	const u32 end = first + granules;

	if (WARN_ON_ONCE(first < piece || end > piece_end ||
			 mal_heap_free_part(&arena->heap, first, granules))) {
		push_first_piece(arena, block, piece);
		return false;
	}
	if (end < piece_end)
		push_first_piece(arena, block, end);
	if (first > piece)
		push_last_piece(arena, block, piece);
	block->granules -= granules;
	arena->quarantined -= granules;
	arena->figures.frees += !block->granules && block->is_buffer;
	arena->changes++;
	return true;
}

void mal_arena_free_part(struct mal_arena *arena, struct mal_block *block, u32 first,
			 u32 granules)
{
	spin_lock(&arena->lock);
	if (free_part_of_piece(arena, block, first, granules)) {
		arena->figures.freed += granules;
		close_if_closing(arena, first);
	}
	spin_unlock(&arena->lock);
}

/* Make @granule, if it is free, a used block without owner. Under the lock. */
static bool retire_if_free(struct mal_arena *arena, u32 granule)
{
	lockdep_assert_held(&arena->lock);
	if (mal_heap_alloc_at(&arena->heap, granule, 1, 0))
		return false;
	arena->retired++;
	arena->changes++;
	return true;
}

void mal_arena_retire(struct mal_arena *arena, struct mal_block *block, u32 granule)
{
	spin_lock(&arena->lock);
	if (free_part_of_piece(arena, block, granule, 1))
		WARN_ON_ONCE(!retire_if_free(arena, granule));
	spin_unlock(&arena->lock);
}

bool mal_arena_retire_free(struct mal_arena *arena, u32 granule)
{
	bool retired;

	spin_lock(&arena->lock);
	retired = retire_if_free(arena, granule);
	arena->figures.allocated += retired;
	spin_unlock(&arena->lock);
	return retired;
}

void mal_arena_end_retention(struct mal_arena *arena, struct mal_block *block)
{
	spin_lock(&arena->lock);
	block->retained = false;
	arena->retained -= block->granules;
	arena->changes++;
	spin_unlock(&arena->lock);
}

void mal_arena_open(struct mal_arena *arena, u32 first, u32 end)
{
	spin_lock(&arena->lock);
	if (!WARN_ON_ONCE(mal_heap_free_part(&arena->heap, first, end - first))) {
		arena->gaps -= end - first;
		arena->changes++;
	}
	spin_unlock(&arena->lock);
}

/* Do to each block of [@first, @end), under the lock, what @visit does. True: it always did. */
static bool visit_blocks(struct mal_arena *arena, u32 first, u32 end,
			 bool (*visit)(struct mal_arena *arena, u32 head))
{
	bool all = true;
	u32 at = first;

	while (at < end) {
		u32 head;

		cond_resched();
		spin_lock(&arena->lock);
		head = mal_heap_block_of(&arena->heap, at);
		at = head + mal_block_size(&arena->heap, head);
		all &= visit(arena, head);
		spin_unlock(&arena->lock);
	}
	return all;
}

static bool is_gap(const struct mal_arena *arena, u32 head)
{
	return mal_block_used(&arena->heap, head) &&
	       mal_block_owner(&arena->heap, head) == (uintptr_t)&arena->gap;
}

static bool is_retired(const struct mal_arena *arena, u32 head)
{
	return mal_block_used(&arena->heap, head) && !mal_block_owner(&arena->heap, head);
}

/* What is neither in use nor in quarantine is out of use from now on. */
static bool close_block(struct mal_arena *arena, u32 head)
{
	lockdep_assert_held(&arena->lock);
	if (!mal_block_used(&arena->heap, head))
		close_free_block(arena, head);
	return is_gap(arena, head) || is_retired(arena, head);
}

static bool reopen_block(struct mal_arena *arena, u32 head)
{
	const u32 granules = mal_block_size(&arena->heap, head);

	lockdep_assert_held(&arena->lock);
	if (is_gap(arena, head) && !WARN_ON_ONCE(mal_heap_free(&arena->heap, head, granules))) {
		arena->gaps -= granules;
		arena->changes++;
	}
	return true;
}

/* The block, a gap or retired, becomes part of the gap before it. */
static bool merge_with_gap(struct mal_arena *arena, u32 head)
{
	struct mal_heap *heap = &arena->heap;
	const u32 granules = mal_block_size(heap, head);
	const u32 gap = mal_heap_block_of(heap, head - 1);
	const u32 before = mal_block_size(heap, gap);

	lockdep_assert_held(&arena->lock);
	if (is_retired(arena, head)) {
		arena->retired -= granules;
		arena->figures.freed += granules;
		arena->gaps += granules;
	}
	arena->changes++;
	return !WARN_ON_ONCE(mal_heap_free(heap, head, granules) ||
			     mal_heap_resize(heap, gap, before, before + granules));
}

void mal_arena_begin_closing(struct mal_arena *arena, u32 first, u32 end)
{
	spin_lock(&arena->lock);
	arena->closing_first = first;
	arena->closing_end = end;
	spin_unlock(&arena->lock);
	visit_blocks(arena, first, end, close_block);
}

bool mal_arena_is_closed(struct mal_arena *arena)
{
	/* A block that is closed stays so. */
	return visit_blocks(arena, arena->closing_first, arena->closing_end, close_block);
}

void mal_arena_end_closing(struct mal_arena *arena, bool closed)
{
	const u32 first = arena->closing_first;
	const u32 end = arena->closing_end;

	spin_lock(&arena->lock);
	arena->closing_first = 0;
	arena->closing_end = 0;
	spin_unlock(&arena->lock);
	if (closed)
		visit_blocks(arena, first, min(end + 1, arena->heap.granules), merge_with_gap);
	else
		visit_blocks(arena, first, end, reopen_block);
}

void mal_arena_count_failure(struct mal_arena *arena)
{
	spin_lock(&arena->lock);
	arena->failures++;
	spin_unlock(&arena->lock);
}

void mal_arena_stats(struct mal_arena *arena, struct memalloc_stats *stats)
{
	const struct mal_heap *heap = &arena->heap;
	struct mal_figures figures = {};

	/* Half-way to another fit, the heap does not know its largest free block. */
	mutex_lock(&arena->switching);
	stats->ready = mal_arena_pause_ready(arena) << PAGE_SHIFT;
	mal_arenas_add_figures(&arena->cpus, &figures);
	mal_magazines_add_figures(&arena->magazines, &figures);
	spin_lock(&arena->lock);
	mal_figures_add(&figures, &arena->figures);
	stats->region_length = (heap->granules - arena->gaps) << PAGE_SHIFT;
	stats->free = (u64)heap->free << PAGE_SHIFT;
	stats->largest_free = (u64)mal_heap_largest(heap) << PAGE_SHIFT;
	stats->free_blocks = heap->free_blocks;
	stats->used = (heap->granules - arena->gaps - heap->free) << PAGE_SHIFT;
	stats->requested = figures.requested;
	stats->quarantined = arena->quarantined << PAGE_SHIFT;
	stats->retained = arena->retained << PAGE_SHIFT;
	stats->retired = arena->retired << PAGE_SHIFT;
	stats->buffers = figures.allocs - figures.frees;
	stats->allocs = figures.allocs;
	stats->frees = figures.frees;
	stats->failures = arena->failures;
	stats->allocated = figures.allocated << PAGE_SHIFT;
	stats->freed = figures.freed << PAGE_SHIFT;
	spin_unlock(&arena->lock);
	mal_arena_resume_ready(arena);
	mutex_unlock(&arena->switching);

	if (stats->free)
		stats->fragmentation = div64_u64(1000 * (stats->free - stats->largest_free),
						 stats->free);
}

u64 mal_arena_changes(struct mal_arena *arena)
{
	u64 changes;

	spin_lock(&arena->lock);
	changes = arena->changes;
	spin_unlock(&arena->lock);
	return changes;
}

bool mal_arena_is_free(struct mal_arena *arena, u32 granule, u32 *end)
{
	bool used;
	u32 head;

	spin_lock(&arena->lock);
	head = mal_heap_block_of(&arena->heap, granule);
	used = mal_block_used(&arena->heap, head);
	*end = head + mal_block_size(&arena->heap, head);
	spin_unlock(&arena->lock);
	return !used;
}

u32 mal_arena_count_free(struct mal_arena *arena)
{
	u32 granules;

	spin_lock(&arena->lock);
	granules = arena->heap.free;
	spin_unlock(&arena->lock);
	return granules;
}

u32 mal_arena_largest(struct mal_arena *arena)
{
	u32 granules;

	spin_lock(&arena->lock);
	granules = mal_heap_largest(&arena->heap);
	spin_unlock(&arena->lock);
	return granules;
}

/* Of a used block. @block lives longer than the heap's block, so under the lock it is there. */
static u32 state_of(const struct mal_arena *arena, const struct mal_block *block)
{
	lockdep_assert_held(&arena->lock);
	if (!block)
		return MEMALLOC_BLOCK_RETIRED;
	if (block == &arena->gap)
		return MEMALLOC_BLOCK_GAP;
	/* Pairs with mal_arenas_take(). */
	if (smp_load_acquire(&block->ready))
		return MEMALLOC_BLOCK_FREE;
	if (!block->quarantined)
		return MEMALLOC_BLOCK_USED;
	return block->retained ? MEMALLOC_BLOCK_RETAINED : MEMALLOC_BLOCK_QUARANTINED;
}

u32 mal_arena_visit(struct mal_arena *arena, u32 *cursor, u32 max, mal_arena_visitor visit,
		    void *data)
{
	const struct mal_heap *heap = &arena->heap;
	u32 head;
	u32 n;

	spin_lock(&arena->lock);
	/* A block can become ready meanwhile: its payer, which was seen before, stays in memory. */
	rcu_read_lock();
	head = mal_heap_block_of(heap, *cursor);
	for (n = 0; n < min_t(u32, max, MAL_ARENA_SLICE) && head < heap->granules; n++) {
		struct mal_arena_piece piece = {
			.first = head,
			.granules = mal_block_size(heap, head),
			.state = MEMALLOC_BLOCK_FREE,
		};
		if (mal_block_used(heap, head)) {
			piece.block = (void *)(uintptr_t)mal_block_owner(heap, head);
			piece.state = state_of(arena, piece.block);
		}
		if (piece.state == MEMALLOC_BLOCK_FREE || piece.state == MEMALLOC_BLOCK_GAP)
			piece.block = NULL;
		visit(&piece, data);
		head += piece.granules;
	}
	rcu_read_unlock();
	spin_unlock(&arena->lock);
	*cursor = head;
	return n;
}

const char *mal_arena_check(struct mal_arena *arena)
{
	const char *wrong = NULL;
	u32 cursor = 0;

	while (!wrong && cursor != MAL_NONE) {
		cond_resched();
		spin_lock(&arena->lock);
		wrong = mal_heap_check_slice(&arena->heap, &cursor);
		spin_unlock(&arena->lock);
	}
	return wrong;
}
