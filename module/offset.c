// SPDX-License-Identifier: GPL-2.0-only
/* The device-wide mmap offsets of buffers. */
#include <linux/kernel.h>
#include <linux/log2.h>

#include "offset.h"

void mal_offsets_init(struct mal_offsets *offsets, unsigned long pages)
{
	unsigned int i;

	/*
	 * Four times the region: slots of a band are up to four times as large as its
	 * buffers. Bands are numbered from 1 on in an offset: nothing is at 0.
	 */
	offsets->band_shift = order_base_2(pages) + 2;
	for (i = 0; i < ARRAY_SIZE(offsets->bands); i++)
		xa_init_flags(&offsets->bands[i], XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	xa_init_flags(&offsets->overflow, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
}

void mal_offsets_destroy(struct mal_offsets *offsets)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offsets->bands); i++)
		xa_destroy(&offsets->bands[i]);
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

int mal_offset_add(struct mal_offsets *offsets, u32 pages, unsigned long *pgoff)
{
	unsigned int band = band_of(pages);
	u32 last = (1UL << (offsets->band_shift - band)) - 1;
	u32 slot;
	int err;

	err = xa_alloc(&offsets->bands[band], &slot, xa_mk_value(0), XA_LIMIT(0, last), GFP_KERNEL);
	if (err == -EBUSY)
		return add_overflow_slot(offsets, pgoff);
	if (err)
		return -ENOMEM;
	*pgoff = (band + 1UL) << offsets->band_shift | (unsigned long)slot << band;
	return 0;
}

unsigned long mal_offset_max_pages(const struct mal_offsets *offsets, unsigned long pgoff)
{
	unsigned long band = (pgoff >> offsets->band_shift) - 1;

	return BIT(min_t(unsigned long, band, offsets->band_shift));
}

bool mal_offset_suits(const struct mal_offsets *offsets, unsigned long pgoff, u32 pages)
{
	return (pgoff >> offsets->band_shift) - 1 == band_of(pages);
}

unsigned long mal_offset_start(const struct mal_offsets *offsets, unsigned long pgoff)
{
	return ALIGN_DOWN(pgoff, mal_offset_max_pages(offsets, pgoff));
}

void mal_offset_remove(struct mal_offsets *offsets, unsigned long pgoff)
{
	unsigned long band = (pgoff >> offsets->band_shift) - 1;

	if (band < MAL_BANDS)
		xa_erase(&offsets->bands[band], (pgoff & (BIT(offsets->band_shift) - 1)) >> band);
	else
		xa_erase(&offsets->overflow, band - MAL_BANDS);
}
