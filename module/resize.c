// SPDX-License-Identifier: GPL-2.0-only
/* Making a buffer longer or shorter where it lies. */
#include <linux/slab.h>

#include "alloc.h"
#include "buffer.h"
#include "mapping.h"
#include "resize.h"

/* An extent without a block. */
static struct mal_extent *new_part(const struct mal_buffer *buffer, u32 pages)
{
	struct mal_extent *part = kzalloc(sizeof(*part), GFP_KERNEL_ACCOUNT);

	if (!part)
		return ERR_PTR(-ENOMEM);
	mal_extent_init(part, buffer->extent.region, buffer->extent.block.payer, pages);
	return part;
}

/* The granule at which @buffer must end at the latest, by its constraints. */
static u32 end_max(const struct mal_buffer *buffer, u32 first)
{
	const struct mal_ranges *ranges = &buffer->extent.region->ranges;
	struct mal_request req;
	u32 end;

	/* It has been moved from there, and the range is gone. */
	if (!mal_bounds_at(ranges, &buffer->bounds, first, &req))
		return first;
	end = req.hi ?: ranges->granules;
	if (req.boundary)
		end = min(end, (first | (req.boundary - 1)) + 1);
	return end;
}

/* There is no room behind @first; or the buffer has been moved from there meanwhile. */
static int no_room(const struct mal_buffer *buffer, u32 first)
{
	return READ_ONCE(buffer->extent.block.first) == first ? -ENOMEM : -EAGAIN;
}

struct mal_extent *mal_resize_prepare(struct mal_buffer *buffer, u32 pages, u32 new_pages)
{
	struct mal_offsets *offsets = &buffer->extent.region->offsets;
	/* It may be moved meanwhile. */
	const u32 first = READ_ONCE(buffer->extent.block.first);
	const struct mal_bounds tail = {
		.req.size = new_pages - pages,
		.req.align = 1,
		.req.lo = first + pages,
		.req.hi = first + new_pages,
	};
	struct mal_extent *part;
	int err;

	if (new_pages == pages)
		return NULL;
	if (new_pages < pages) {
		/* From here on, the slot may be in the books. */
		WRITE_ONCE(buffer->reusable, false);
		err = mal_offset_keep(offsets, buffer->pgoff, new_pages);
		return err ? ERR_PTR(err) : new_part(buffer, 0);
	}
	if (new_pages > mal_offset_max_pages(offsets, buffer->pgoff))
		return ERR_PTR(-ENOSPC);
	if (tail.req.hi > end_max(buffer, first))
		return ERR_PTR(no_room(buffer, first));
	part = new_part(buffer, tail.req.size);
	if (IS_ERR(part))
		return part;
	err = mal_alloc(part, &tail);
	if (!err)
		return part;
	mal_extent_destroy(part);
	return ERR_PTR(err == -ENOMEM ? no_room(buffer, first) : err);
}

int mal_resize(struct mal_buffer *buffer, struct mal_extent *part, u32 new_pages, u64 length)
{
	struct mal_extent *extent = &buffer->extent;

	if (!mal_extent_devices_are_done(extent))
		return -EBUSY;
	/*
	 * Faults check the size and map pages under this lock. So no page that is cut off here gets
	 * mapped later, and mal_resize_finish() unmaps those that are.
	 */
	down_write(&extent->size_lock);
	/*
	 * Those who fault at the same time may have inserted huge entries already: see map_huge().
	 * And since 6.12, fork() copies huge entries while others unmap them.
	 */
	if (buffer->huge && new_pages < extent->block.granules && mal_is_mapped(buffer)) {
		up_write(&extent->size_lock);
		return -EBUSY;
	}
	/* The last: other memory may have come to the same granules meanwhile. */
	if (new_pages > extent->block.granules &&
	    (part->block.first != extent->block.first + extent->block.granules ||
	     !mal_bounds_hold(&extent->region->ranges, &buffer->bounds, part->block.first,
			      part->block.granules))) {
		up_write(&extent->size_lock);
		return -EAGAIN;
	}
	if (part)
		WRITE_ONCE(buffer->reusable, false);
	if (new_pages < extent->block.granules) {
		part->touched = extent->touched;
		part->written = extent->written;
		part->dmem = mal_dmem_share(extent->dmem);
	} else if (part) {
		mal_dmem_join(&extent->region->dmem, extent->dmem, &part->dmem);
	}
	mal_arena_resize(&extent->region->arena, &extent->block, part ? &part->block : NULL,
			 new_pages, length);
	up_write(&extent->size_lock);
	return 0;
}

void mal_resize_finish(struct mal_buffer *buffer, struct mal_extent *part, u32 new_pages)
{
	u64 bytes;
	bool is_idle;

	if (!part)
		return;
	if (!part->block.granules) {
		mal_extent_destroy(part);
		return;
	}
	mal_unmap(buffer, new_pages, part->block.granules);
	bytes = mal_extent_size(part);
	is_idle = mal_extent_detach_pages(part);
	mal_free(part, is_idle);
	if (is_idle)
		mal_dmem_take_off(&buffer->extent.region->dmem, buffer->extent.dmem, bytes);
}
