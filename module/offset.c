// SPDX-License-Identifier: GPL-2.0-only
/* The mmap offsets of a region's buffers. */
#include <linux/kernel.h>
#include <linux/log2.h>

#include "offset.h"

void mal_offsets_init(struct mal_offsets *offsets, unsigned long pages)
{
	/*
	 * Four times the region: a slot is four times as large as its chunk. Bands are numbered
	 * from 1 on in an offset: nothing is at 0.
	 */
	offsets->band_shift = order_base_2(pages) + 2;
	xa_init_flags(&offsets->kept, XA_FLAGS_ACCOUNT);
	xa_init_flags(&offsets->overflow, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
}

void mal_offsets_destroy(struct mal_offsets *offsets)
{
	xa_destroy(&offsets->kept);
	xa_destroy(&offsets->overflow);
}

/* A slot behind the bands, as far as offsets of bytes can name them. */
static int add_overflow_slot(struct mal_offsets *offsets, unsigned long *pgoff)
{
	const unsigned long bands = LLONG_MAX >> PAGE_SHIFT >> offsets->band_shift;
	u32 last = min_t(unsigned long, bands - MAL_BANDS - 1, U32_MAX) - 1;
	u32 slot;
	int err;

	err = xa_alloc(&offsets->overflow, &slot, xa_mk_value(0), XA_LIMIT(0, last), GFP_KERNEL);
	if (err)
		return -ENOMEM;
	*pgoff = (slot + MAL_BANDS + 1UL) << offsets->band_shift;
	return 0;
}

/* The band of new buffers of @pages. */
static unsigned int band_of(u32 pages)
{
	return order_base_2(pages) + 1;
}

static unsigned int chunk_shift(unsigned int band)
{
	return max(band, 2U) - 2;
}

/* Where the slot begins of a new buffer at @first. */
static unsigned long slot_of_place(const struct mal_offsets *offsets, u32 first, u32 pages)
{
	const unsigned int band = band_of(pages);
	const unsigned long slot = first >> chunk_shift(band);

	return (band + 1UL) << offsets->band_shift | slot << band;
}

static bool is_kept(struct mal_offsets *offsets, unsigned long pgoff)
{
	return unlikely(!xa_empty(&offsets->kept)) && xa_load(&offsets->kept, pgoff);
}

int mal_offset_add(struct mal_offsets *offsets, u32 first, u32 pages, unsigned long *pgoff)
{
	*pgoff = slot_of_place(offsets, first, pages);
	return is_kept(offsets, *pgoff) ? add_overflow_slot(offsets, pgoff) : 0;
}

/* The band of the slot at @pgoff; MAL_BANDS and above: it is an overflow slot. */
static unsigned long band_at(const struct mal_offsets *offsets, unsigned long pgoff)
{
	return (pgoff >> offsets->band_shift) - 1;
}

int mal_offset_keep(struct mal_offsets *offsets, unsigned long pgoff, u32 pages)
{
	const unsigned long band = band_at(offsets, pgoff);

	if (band >= MAL_BANDS || pages >> chunk_shift(band))
		return 0;
	return xa_err(xa_store(&offsets->kept, pgoff, xa_mk_value(0), GFP_KERNEL));
}

bool mal_offset_is_overflow(const struct mal_offsets *offsets, unsigned long pgoff)
{
	return band_at(offsets, pgoff) >= MAL_BANDS;
}

unsigned long mal_offset_max_pages(const struct mal_offsets *offsets, unsigned long pgoff)
{
	const unsigned long band = band_at(offsets, pgoff);

	return BIT(min_t(unsigned long, band, offsets->band_shift));
}

unsigned long mal_offset_start(const struct mal_offsets *offsets, unsigned long pgoff)
{
	return ALIGN_DOWN(pgoff, mal_offset_max_pages(offsets, pgoff));
}

void mal_offset_remove(struct mal_offsets *offsets, unsigned long pgoff)
{
	const unsigned long band = band_at(offsets, pgoff);

	if (band >= MAL_BANDS)
		xa_erase(&offsets->overflow, band - MAL_BANDS);
	else if (is_kept(offsets, pgoff))
		xa_erase(&offsets->kept, pgoff);
}
