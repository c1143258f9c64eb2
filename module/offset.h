/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_OFFSET_H
#define MAL_OFFSET_H

#include <linux/xarray.h>

/*
 * The page offsets by which buffers are named to mmap(). A buffer of up to 2^(k-1)
 * pages gets one of the slots of 2^k pages in band k: it may grow to twice its size at
 * least. No more buffers of more than 2^(k-2) pages fit into a region at a time than
 * band k has slots, so there is always one, whatever the order in which buffers come
 * and go; it says nothing of where the buffer lies; and all offsets of regions of up to
 * 128 GiB fit into the 32 bits that mmap2() of a 32-bit program can pass.
 *
 * But buffers that have shrunk keep their slots. So that nobody can use up a band in this
 * way, there are further slots behind the bands, each as large as a band.
 */
#define MAL_BANDS	32

struct mal_offsets {
	unsigned int band_shift;	/* log2 of the pages that a band spans */
	struct xarray bands[MAL_BANDS];	/* slots that are taken, by number */
	struct xarray overflow;
};

/* For a region of @pages. */
void mal_offsets_init(struct mal_offsets *offsets, unsigned long pages);
void mal_offsets_destroy(struct mal_offsets *offsets);

/* *@pgoff is a slot for @pages that nobody else has. Sleeps. -ENOMEM: kernel memory. */
int __must_check mal_offset_add(struct mal_offsets *offsets, u32 pages, unsigned long *pgoff);
void mal_offset_remove(struct mal_offsets *offsets, unsigned long pgoff);

/* The pages that the buffer at @pgoff may have at most. */
unsigned long mal_offset_room(const struct mal_offsets *offsets, unsigned long pgoff);

#endif /* MAL_OFFSET_H */
