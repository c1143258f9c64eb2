/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BLOCK_H
#define MAL_BLOCK_H

#include <linux/types.h>
#include <linux/memalloc.h>

struct mal_payer;

/*
 * A used block of an arena, in the hands of its owner. The owner sets @granules, @length and
 * @is_buffer, then the arena sets @first.
 */
struct mal_block {
	u32 first;		/* its first granule; changes like @granules */

	/*
	 * Its number of granules; in quarantine, without those that are back. This and @length
	 * change under the arena's lock and under locks of the owner.
	 */
	u32 granules;
	u64 length;		/* bytes that were asked for */

	/* Charged for all granules but those back or retired. NULL: a buffer is moved there now. */
	struct mal_payer *payer;

	bool is_buffer;		/* counted as a buffer; false: a part of one, see resize.h */

	bool retained;		/* only RELEASE lets it come back; set before it is quarantined */

	/* Under the arena's lock, as is @retained in quarantine: */
	bool quarantined;
	u8 name[MEMALLOC_NAME_LEN];	/* for people; zero-terminated */

	/*
	 * Nobody has it, see arenas.h: it counts as free, and has no payer. Changes, with @length
	 * and @payer, under the lock of an arena.
	 */
	bool ready;

	/*
	 * Somebody is about to move it. If a magazine gives it back meanwhile, it is left: nobody
	 * has it, and who is about to move it gives it to the heap. Under the arena's lock, but for
	 * the end of a claim.
	 */
	bool claimed;
	bool left;
	struct mal_block *next;	/* in a stack, or in a list of what becomes free */

	/* In quarantine: the list of its pieces that are not back yet, see arena.h. */
	u32 first_piece;
	u32 last_piece;
};

/* What has been counted since the region was made; see struct memalloc_stats. */
struct mal_figures {
	u64 allocs;
	u64 frees;
	u64 allocated;			/* granules */
	u64 freed;			/* granules */
	u64 requested;			/* now: bytes, of buffers that are not quarantined */
};

static inline void mal_figures_add(struct mal_figures *sum, const struct mal_figures *part)
{
	sum->allocs += part->allocs;
	sum->frees += part->frees;
	sum->allocated += part->allocated;
	sum->freed += part->freed;
	sum->requested += part->requested;
}

/* The most blocks that were ready, and that the heap gets back under one hold of the locks. */
#define MAL_READY_SLICE		8

#endif /* MAL_BLOCK_H */
