/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_OFFSET_H
#define MAL_OFFSET_H

#include <linux/xarray.h>

/*
 * The page offsets that stand for buffers in mmap(). The offsets are divided into bands. A buffer
 * of 2^(k-2) + 1 to 2^(k-1) pages gets one of the slots of 2^k pages in band k, so it may grow to
 * twice its size at least.
 *
 * Which slot follows from the place of the buffer: slot n of band k is for the buffer that begins
 * in chunk n of the region, if this is divided into chunks of 2^(k-2) pages. No two buffers of the
 * band begin in the same chunk, since each is longer than a chunk. So a new buffer has its slot
 * without a search, and without a lock.
 *
 * But a buffer that shrinks keeps its slot, and when it is shorter than a chunk, another may begin
 * in the same chunk. Then the slot of the shrunken one is written down as kept, and the other one
 * gets an overflow slot. These are after the bands, each as large as a band.
 *
 * The bands of regions of up to 128 GiB fit into the 32 bits that mmap2() of a 32-bit program can
 * pass.
 */
#define MAL_BANDS	32

struct mal_offsets {
	unsigned int band_shift;	/* log2 of the pages that a band spans */
	struct xarray kept;		/* by shrunken buffers; the index is where a slot begins */
	struct xarray overflow;		/* slots that are taken, by number */
};

/* For a region of @pages. */
void mal_offsets_init(struct mal_offsets *offsets, unsigned long pages);
void mal_offsets_destroy(struct mal_offsets *offsets);

/*
 * Take the slot of a new buffer of @pages that begins at granule @first; *@pgoff is where the slot
 * begins. Sleeps. -ENOMEM: kernel memory.
 */
int __must_check mal_offset_add(struct mal_offsets *offsets, u32 first, u32 pages,
				unsigned long *pgoff);
void mal_offset_remove(struct mal_offsets *offsets, unsigned long pgoff);

/*
 * The buffer at @pgoff is about to shrink to @pages. Its slot stays its own, also if the buffer
 * does not shrink in the end. Sleeps. -ENOMEM.
 */
int __must_check mal_offset_keep(struct mal_offsets *offsets, unsigned long pgoff, u32 pages);

/* The most pages that the buffer at @pgoff may have. */
unsigned long mal_offset_max_pages(const struct mal_offsets *offsets, unsigned long pgoff);

bool mal_offset_is_overflow(const struct mal_offsets *offsets, unsigned long pgoff);

/* Where the slot begins that holds @pgoff. */
unsigned long mal_offset_start(const struct mal_offsets *offsets, unsigned long pgoff);

#endif /* MAL_OFFSET_H */
