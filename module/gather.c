// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is pinned for long is gathered at the end of the region, so that it does not lie between
 * what can be moved. As the kernel does with pages of CMA, a buffer is moved before it is pinned.
 *
 * Only those wait for that who use the buffer, and who pins it is one of them. So it counts against
 * nobody's bounds; but the buffer has those of all that are moved for requests.
 */
#include "arena.h"
#include "compact.h"
#include "gather.h"
#include "region.h"

/* So many blocks are looked at for a place, from the end of the region on. */
#define MAL_GATHER_LOOKS	128

static void copy_piece(const struct mal_arena_piece *piece, void *data)
{
	*(struct mal_arena_piece *)data = *piece;
}

/* The last place in the piece that the buffer may have; MAL_NONE: none. */
static u32 place_in(const struct mal_arena_piece *piece, const struct mal_buffer *buffer, u32 pages)
{
	struct mal_request req;

	if (piece->state != MEMALLOC_BLOCK_FREE ||
	    !mal_bounds_at(&buffer->extent.region->ranges, &buffer->bounds, piece->first, &req))
		return MAL_NONE;
	req.size = pages;
	return mal_request_last_place(&req, piece->first, piece->first + piece->granules);
}

/*
 * Move the claimed buffer to the highest free place of the first range, which stays as long as the
 * region; above it, if it lies there. But only if that is soon found.
 */
static void move_up(struct mal_buffer *buffer, u32 pages)
{
	struct mal_region *region = buffer->extent.region;
	struct mal_arena_piece piece = { .first = region->ranges.own.pages };
	const u32 first = buffer->extent.block.first;
	unsigned long patience = 0;
	u32 looks;

	for (looks = 0; looks < MAL_GATHER_LOOKS && piece.first; looks++) {
		u32 at = piece.first - 1;
		u32 place;

		mal_arena_visit(&region->arena, &at, 1, copy_piece, &piece);
		if (piece.first <= first && first < region->ranges.own.pages)
			break;
		place = place_in(&piece, buffer, pages);
		/* Another may have taken it meanwhile. */
		if (place != MAL_NONE && mal_move(buffer, pages, place, place + pages,
						  &patience) != MAL_STAYS_NO_ROOM)
			break;
	}
}

static bool may_gather(const struct mal_buffer *buffer, u32 pages)
{
	const struct mal_region *region = buffer->extent.region;

	return mal_compact_allows(buffer) &&
	       (u64)pages << PAGE_SHIFT <= READ_ONCE(region->compact.budget);
}

/* Returns its number of pages; 0: it can't be claimed. */
static u32 claim(struct mal_buffer *buffer)
{
	struct mal_arena *arena = &buffer->extent.region->arena;
	u32 pages = 0;

	spin_lock(&arena->lock);
	if (mal_buffer_claim(buffer))
		pages = buffer->extent.block.granules;
	spin_unlock(&arena->lock);
	return pages;
}

void mal_gather(struct mal_buffer *buffer)
{
	struct mal_region *region = buffer->extent.region;
	u32 pages;

	if (READ_ONCE(region->compact.mode) == MAL_COMPACT_NEVER || !mal_can_move(region) ||
	    mal_buffer_stays(buffer))
		return;
	/* A driver may hold locks, for which others wait who have nothing to do with the region. */
	if (!mal_compact_try_begin(region))
		return;
	pages = claim(buffer);
	if (pages) {
		if (may_gather(buffer, pages))
			move_up(buffer, pages);
		mal_buffer_end_claim(buffer);
	}
	mal_compact_end(region);
}
