// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks a region, also while it is in use: nothing is stopped for a check. What has to hold
 * for one block holds at any time, so blocks are checked in slices. A sum over all blocks is
 * compared only if no block changed from before the first slice until after the last.
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

static void add_to_sums(const struct mal_arena_piece *piece, void *data)
{
	const u64 length = (u64)piece->granules << PAGE_SHIFT;
	struct memalloc_stats *sums = data;

	if (piece->state == MEMALLOC_BLOCK_GAP)
		return;
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
		sums->requested += READ_ONCE(piece->block->length);
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

/*
 * @buffers of @stats has quarantined buffers, too. Their pieces can't be counted as buffers, so it
 * is compared only if there is none.
 */
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

/* Under @compacting: blocks that are being moved may be free to some, and in use to others. */
static const char *check_sums(struct mal_region *region)
{
	struct memalloc_stats sums, stats;
	unsigned int i;

	lockdep_assert_held(&region->compacting);
	for (i = 0; i < MAL_CHECK_TRIES; i++) {
		const u64 changes = mal_arena_changes(&region->arena);
		u32 cursor = 0;

		sums = (struct memalloc_stats) {};
		while (cursor < region->ranges.granules) {
			cond_resched();
			mal_arena_visit(&region->arena, &cursor, MAL_ARENA_SLICE, add_to_sums,
					&sums);
		}
		mal_arena_stats(&region->arena, &stats);
		if (mal_arena_changes(&region->arena) == changes)
			return compare_sums(&sums, &stats);
	}
	return "not checked: blocks come and go";
}

const char *mal_check_sums(struct mal_region *region)
{
	const char *wrong;

	mutex_lock(&region->compacting);
	wrong = check_sums(region);
	mutex_unlock(&region->compacting);
	return wrong;
}

const char *mal_check_quarantine(struct mal_region *region)
{
	struct mal_quarantine *quarantine = &region->quarantine;
	struct memalloc_stats stats;
	u64 pages, retained;
	unsigned int i;

	for (i = 0; i < MAL_CHECK_TRIES; i++) {
		const u64 changes = mal_arena_changes(&region->arena);

		if (atomic_read(&quarantine->in_transit))
			continue;
		pages = mal_quarantine_count(quarantine, &region->users, &retained);
		if (atomic_read(&quarantine->in_transit))
			continue;
		mal_arena_stats(&region->arena, &stats);
		if (mal_arena_changes(&region->arena) != changes)
			continue;
		if (stats.quarantined == pages << PAGE_SHIFT &&
		    stats.retained == retained << PAGE_SHIFT)
			return ok;
		return "its buffers are not what is counted";
	}
	return "not checked: buffers come and go";
}

/*
 * The map says that the pages of a buffer are dirty, and when it is freed, they are counted. So
 * count and map are compared only while there is no buffer and no page is being zeroed.
 */
const char *mal_check_clean(struct mal_region *region)
{
	struct mal_clean *clean = &region->clean;
	const u64 changes = mal_arena_changes(&region->arena);
	u64 counted, counted_after, found;
	struct memalloc_stats stats;

	mal_arena_stats(&region->arena, &stats);
	if (stats.used != stats.retired)
		return "not checked: there are buffers";
	if (!mal_clean_is_resting(clean, &counted))
		return "not checked: memory is being zeroed";
	found = mal_clean_count_dirty(clean);
	if (!mal_clean_is_resting(clean, &counted_after) || counted != counted_after)
		return "not checked: memory is being zeroed";
	if (mal_arena_changes(&region->arena) != changes)
		return "not checked: buffers come and go";
	return counted == found ? ok : "dirty is wrong";
}
