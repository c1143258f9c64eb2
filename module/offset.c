// SPDX-License-Identifier: GPL-2.0-only
/* The device-wide mmap offsets of buffers. */
#include <linux/kernel.h>
#include <linux/log2.h>

#include "buffer.h"
#include "offset.h"

void mal_offsets_init(struct mal_offsets *offsets, unsigned long pages)
{
	unsigned int i;

	/*
	 * Twice the region: slots of a band are up to twice as large as its buffers.
	 * Bands are numbered from 1 on in an offset: nothing is at 0.
	 */
	offsets->band_shift = order_base_2(pages) + 1;
	for (i = 0; i < ARRAY_SIZE(offsets->bands); i++)
		xa_init_flags(&offsets->bands[i], XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
}

void mal_offsets_destroy(struct mal_offsets *offsets)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offsets->bands); i++)
		xa_destroy(&offsets->bands[i]);
}

int mal_offset_add(struct mal_offsets *offsets, struct mal_buffer *buffer)
{
	unsigned int band = order_base_2(buffer->pages);
	u32 last = (1UL << (offsets->band_shift - band)) - 1;
	u32 slot;
	int err;

	err = xa_alloc(&offsets->bands[band], &slot, buffer, XA_LIMIT(0, last), GFP_KERNEL);
	if (err)
		return -ENOMEM;
	buffer->pgoff = (band + 1UL) << offsets->band_shift | (unsigned long)slot << band;
	return 0;
}

static struct xarray *slot_of(struct mal_offsets *offsets, unsigned long pgoff, unsigned long *slot)
{
	unsigned long band = (pgoff >> offsets->band_shift) - 1;

	if (band >= offsets->band_shift)
		return NULL;
	*slot = (pgoff & (BIT(offsets->band_shift) - 1)) >> band;
	return &offsets->bands[band];
}

void mal_offset_remove(struct mal_offsets *offsets, const struct mal_buffer *buffer)
{
	unsigned long slot;
	struct xarray *band = slot_of(offsets, buffer->pgoff, &slot);

	xa_erase(band, slot);
}

struct mal_buffer *mal_offset_lookup(struct mal_offsets *offsets, unsigned long pgoff)
{
	struct mal_buffer *buffer;
	struct xarray *band;
	unsigned long slot;

	band = slot_of(offsets, pgoff, &slot);
	if (!band)
		return NULL;

	/* A buffer removes itself before it is freed: under the lock it is there. */
	xa_lock(band);
	buffer = xa_load(band, slot);
	if (buffer && !kref_get_unless_zero(&buffer->ref))
		buffer = NULL;
	xa_unlock(band);
	return buffer;
}
