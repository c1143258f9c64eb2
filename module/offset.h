/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_OFFSET_H
#define MAL_OFFSET_H

#include <linux/xarray.h>

struct mal_buffer;

/*
 * The page offsets by which buffers are named to mmap(). A buffer of up to 2^k
 * pages gets one of the slots of 2^k pages in band k. No more buffers of more than
 * 2^(k-1) pages fit into a region at a time than band k has slots, so there is
 * always one, whatever the order in which buffers come and go; it says nothing of
 * where the buffer lies; and all offsets of regions of up to 256 GiB fit into the
 * 32 bits that mmap2() of a 32-bit program can pass.
 */
struct mal_offsets {
	unsigned int band_shift;	/* log2 of the pages that a band spans */
	struct xarray bands[32];	/* number of a slot -> buffer */
};

/* For a region of @pages. */
void mal_offsets_init(struct mal_offsets *offsets, unsigned long pages);
void mal_offsets_destroy(struct mal_offsets *offsets);

/* Set @buffer->pgoff and let it be found there. Sleeps. -ENOMEM: kernel memory. */
int mal_offset_add(struct mal_offsets *offsets, struct mal_buffer *buffer);
void mal_offset_remove(struct mal_offsets *offsets, const struct mal_buffer *buffer);

/* The buffer in whose slot @pgoff lies, with a reference; or NULL. */
struct mal_buffer *mal_offset_lookup(struct mal_offsets *offsets, unsigned long pgoff);

#endif /* MAL_OFFSET_H */
