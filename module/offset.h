/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_OFFSET_H
#define MAL_OFFSET_H

#include <linux/xarray.h>

/*
 * The page offsets that stand for buffers in mmap(). The offsets are divided into bands. A buffer
 * of 2^(k-2) + 1 to 2^(k-1) pages gets one of the slots of 2^k pages in band k, so it may grow to
 * twice its size at least. Band k has as many slots as buffers of that size fit into a region at a
 * time, so a slot is always free, in whatever order buffers come and go. An offset does not
 * disclose where its buffer lies. The bands of regions of up to 128 GiB fit into the 32 bits
 * that mmap2() of a 32-bit program can pass.
 *
 * But a buffer that shrinks keeps its slot. So that nobody can use up a band in this way, there
 * are overflow slots after the bands, each as large as a band.
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

/* Take a free slot for @pages; *@pgoff is where it begins. Sleeps. -ENOMEM: kernel memory. */
int __must_check mal_offset_add(struct mal_offsets *offsets, u32 pages, unsigned long *pgoff);
void mal_offset_remove(struct mal_offsets *offsets, unsigned long pgoff);

/* The most pages that the buffer at @pgoff may have. */
unsigned long mal_offset_max_pages(const struct mal_offsets *offsets, unsigned long pgoff);

/* Would a new buffer of @pages get a slot like that at @pgoff? */
bool mal_offset_suits(const struct mal_offsets *offsets, unsigned long pgoff, u32 pages);

/* Where the slot begins that holds @pgoff. */
unsigned long mal_offset_start(const struct mal_offsets *offsets, unsigned long pgoff);

#endif /* MAL_OFFSET_H */
