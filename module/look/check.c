// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks a region, also while it is in use: nothing is stopped for a check. What has to hold
 * for one block holds at any time, so blocks are checked in slices. A sum over all blocks is
 * compared only if no block came, went or changed its state from before the first slice until
 * after the last. The arena's figures show this: each such change changes a figure that never
 * returns to its old value.
 */
#include <linux/memalloc.h>

#include "check.h"
#include "quarantine.h"
#include "region.h"

#define MAL_CHECK_TRIES	5

static const char ok[] = "ok";

const char *mal_check_blocks(struct mal_region *region)
{
	return mal_arena_check(&region->arena) ?: ok;
}

/* Did no block change between the two? @failures may differ: a failed ALLOC changes no block. */
static bool is_unchanged(const struct memalloc_stats *before, const struct memalloc_stats *after)
{
	return before->allocs == after->allocs && before->frees == after->frees &&
	       before->allocated == after->allocated && before->freed == after->freed &&
	       before->requested == after->requested &&
	       before->quarantined == after->quarantined &&
	       before->retained == after->retained && before->retired == after->retired;
}

static void add_to_sums(const struct mal_arena_piece *piece, void *data)
{
	const u64 length = (u64)piece->granules << PAGE_SHIFT;
	struct memalloc_stats *sums = data;

	sums->region_length += length;
	if (piece->state == MEMALLOC_BLOCK_FREE) {
		sums->free += length;
		sums->largest_free = max_t(u64, sums->largest_free, length);
		sums->free_blocks++;
		return;
	}
	sums->used += length;
	switch (piece->state) {
	case MEMALLOC_BLOCK_USED:
		sums->requested += piece->block->length;
		sums->buffers += piece->block->is_buffer;
		break;
	case MEMALLOC_BLOCK_RETAINED:
		sums->retained += length;
		fallthrough;
	case MEMALLOC_BLOCK_QUARANTINED:
		sums->quarantined += length;
		break;
	case MEMALLOC_BLOCK_RETIRED:
		sums->retired += length;
		break;
	}
}

/* A quarantined buffer may have several blocks, so @buffers is compared only without any. */
static const char *compare_sums(const struct memalloc_stats *sums,
				const struct memalloc_stats *stats)
{
	if (sums->region_length != stats->region_length)
		return "the blocks are not the region";
	if (sums->free != stats->free)
		return "free is wrong";
	if (sums->largest_free != stats->largest_free)
		return "largest_free is wrong";
	if (sums->free_blocks != stats->free_blocks)
		return "free_blocks is wrong";
	if (sums->used != stats->used)
		return "used is wrong";
	if (sums->requested != stats->requested)
		return "requested is wrong";
	if (sums->quarantined != stats->quarantined)
		return "quarantined is wrong";
	if (sums->retained != stats->retained)
		return "retained is wrong";
	if (sums->retired != stats->retired)
		return "retired is wrong";
	if (!sums->quarantined && sums->buffers != stats->buffers)
		return "buffers is wrong";
	if (stats->used != stats->allocated - stats->freed)
		return "allocated or freed is wrong";
	return ok;
}

const char *mal_check_sums(struct mal_region *region)
{
	struct memalloc_stats before, sums, after;
	unsigned int i;

	for (i = 0; i < MAL_CHECK_TRIES; i++) {
		u32 cursor = 0;

		sums = (struct memalloc_stats) {};
		mal_arena_stats(&region->arena, &before);
		while (cursor < region->claim.pages) {
			cond_resched();
			mal_arena_visit(&region->arena, &cursor, MAL_ARENA_SLICE, add_to_sums,
					&sums);
		}
		mal_arena_stats(&region->arena, &after);
		if (is_unchanged(&before, &after))
			return compare_sums(&sums, &after);
	}
	return "not checked: blocks come and go";
}

const char *mal_check_quarantine(struct mal_region *region)
{
	struct mal_quarantine *quarantine = &region->quarantine;
	struct memalloc_stats before, after;
	u64 pages, retained;
	unsigned int i;

	for (i = 0; i < MAL_CHECK_TRIES; i++) {
		mal_arena_stats(&region->arena, &before);
		if (atomic_read(&quarantine->in_transit))
			continue;
		pages = mal_quarantine_count(quarantine, &region->users, &retained);
		if (atomic_read(&quarantine->in_transit))
			continue;
		mal_arena_stats(&region->arena, &after);
		if (!is_unchanged(&before, &after))
			continue;
		if (after.quarantined == pages << PAGE_SHIFT &&
		    after.retained == retained << PAGE_SHIFT)
			return ok;
		return "its buffers are not what is counted";
	}
	return "not checked: buffers come and go";
}

/*
 * When a buffer is freed, its pages are counted as dirty before the map says that they are.
 * So count and map are compared only while there is no buffer and no page is being zeroed.
 */
const char *mal_check_clean(struct mal_region *region)
{
	struct mal_clean *clean = &region->clean;
	struct memalloc_stats before, after;
	u64 counted, found;

	mal_arena_stats(&region->arena, &before);
	if (before.used != before.retired)
		return "not checked: there are buffers";
	if (!mal_clean_is_resting(clean, &counted))
		return "not checked: memory is being zeroed";
	found = mal_clean_count_dirty(clean);
	if (!mal_clean_is_resting(clean, &after.dirty) || counted != after.dirty)
		return "not checked: memory is being zeroed";
	mal_arena_stats(&region->arena, &after);
	if (!is_unchanged(&before, &after))
		return "not checked: buffers come and go";
	return counted == found ? ok : "dirty is wrong";
}
