// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that may map a buffer for DMA, through any of its dma-bufs. What a device has mapped
 * stays where it is. But there are importers that can be asked to let go of it, and map it again
 * for what they do next.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "attachment.h"
#include "buffer.h"
#include "region.h"

/* A device that may map a buffer for DMA. */
struct mal_attachment {
	struct list_head node;		/* in buffer->attachments */
	struct device *dev;
	struct mal_span span;		/* of the buffer, which the device sees */
	struct dma_buf *yielding;	/* its importer can be asked to unmap it; or NULL */

	/* Under attach_lock: */
	struct sg_table sgt;
	u32 place;			/* of the buffer in @sgt; MAL_NONE: @sgt is empty */
	enum dma_data_direction dir;	/* DMA_NONE: not mapped */
};

/* The longest piece at @phys, up to @length, that @dev takes as one segment. */
static size_t segment_length(struct device *dev, phys_addr_t phys, size_t length)
{
	unsigned long boundary = dma_get_seg_boundary(dev);
	unsigned long before_boundary = boundary - (phys & boundary);
	size_t max = min3((size_t)dma_get_max_seg_size(dev), dma_max_mapping_size(dev),
			  (size_t)UINT_MAX);	/* the width of scatterlist.length */

	length = min_t(size_t, length, max_t(size_t, ALIGN_DOWN(max, PAGE_SIZE), PAGE_SIZE));
	return length - 1 > before_boundary ? before_boundary + 1 : length;
}

static void free_sg_table(struct mal_attachment *attachment)
{
	if (attachment->place != MAL_NONE)
		sg_free_table(&attachment->sgt);
	attachment->place = MAL_NONE;
}

/* The table gets the pages of the span of @buffer, in segments that the device takes. */
static int fill_sg_table(struct mal_attachment *attachment, const struct mal_buffer *buffer)
{
	const struct mal_span *span = &attachment->span;
	phys_addr_t phys = mal_extent_phys(&buffer->extent) + mal_span_offset(span);
	size_t size = mal_span_size(span);
	struct sg_table *sgt = &attachment->sgt;
	struct scatterlist *sg;
	unsigned int segments = 0;
	unsigned int i;
	size_t done;
	size_t n;
	int err;

	for (done = 0; done < size; done += n) {
		n = segment_length(attachment->dev, phys + done, size - done);
		segments++;
	}
	err = sg_alloc_table(sgt, segments, GFP_KERNEL_ACCOUNT);
	if (err)
		return err;

	done = 0;
	for_each_sgtable_sg(sgt, sg, i) {
		n = segment_length(attachment->dev, phys + done, size - done);
		sg_set_page(sg, mal_extent_page(&buffer->extent,
						span->first + (done >> PAGE_SHIFT)),
			    n, offset_in_page(done));
		done += n;
	}
	attachment->place = buffer->extent.block.first;
	return 0;
}

struct mal_attachment *mal_attach(struct mal_buffer *buffer, const struct mal_span *span,
				  struct device *dev, struct dma_buf *yielding)
{
	struct mal_range *range = &buffer->extent.region->ranges.own;
	struct mal_attachment *attachment;

	/* A scatter table is one of pages, and so are most of the ways to map one for a device. */
	if (!mal_range_has_pages(range))
		return ERR_PTR(-EOPNOTSUPP);
	if (!mal_range_hold(range))
		return ERR_PTR(-ENODEV);
	attachment = kzalloc(sizeof(*attachment), GFP_KERNEL_ACCOUNT);
	if (!attachment) {
		mal_range_drop(range);
		return ERR_PTR(-ENOMEM);
	}
	attachment->dev = dev;
	attachment->span = *span;
	attachment->yielding = yielding;
	attachment->place = MAL_NONE;
	attachment->dir = DMA_NONE;

	dma_resv_lock(&buffer->extent.resv, NULL);
	mutex_lock(&buffer->attach_lock);
	list_add(&attachment->node, &buffer->attachments);
	mutex_unlock(&buffer->attach_lock);
	dma_resv_unlock(&buffer->extent.resv);
	return attachment;
}

void mal_detach(struct mal_buffer *buffer, struct mal_attachment *attachment)
{
	dma_resv_lock(&buffer->extent.resv, NULL);
	mutex_lock(&buffer->attach_lock);
	list_del(&attachment->node);
	mutex_unlock(&buffer->attach_lock);
	dma_resv_unlock(&buffer->extent.resv);
	free_sg_table(attachment);
	kfree(attachment);
	mal_range_drop(&buffer->extent.region->ranges.own);
}

/* The device gets the buffer where it is now; @buffer has a pin. Under attach_lock. */
static int map_attachment(struct mal_buffer *buffer, struct mal_attachment *attachment,
			  enum dma_data_direction dir)
{
	int err;

	lockdep_assert_held(&buffer->attach_lock);
	if (attachment->dir != DMA_NONE)
		return -EBUSY;
	/* A device that maps the buffer for each frame needs one table, until the buffer moves. */
	if (attachment->place != buffer->extent.block.first) {
		free_sg_table(attachment);
		err = fill_sg_table(attachment, buffer);
		if (err)
			return err;
	}
	err = dma_map_sgtable(attachment->dev, &attachment->sgt, dir, 0);
	if (!err)
		attachment->dir = dir;
	return err;
}

static void count_yielding(struct mal_buffer *buffer, const struct mal_attachment *attachment,
			   int change)
{
	if (!attachment->yielding)
		return;
	dma_resv_assert_held(&buffer->extent.resv);
	WRITE_ONCE(buffer->yielding, buffer->yielding + change);
}

struct sg_table *mal_map_attachment(struct mal_buffer *buffer, struct mal_attachment *attachment,
				    enum dma_data_direction dir)
{
	int err;

	mal_buffer_pin(buffer);
	/* Some importers call this without the reservation lock. */
	mutex_lock(&buffer->attach_lock);
	err = map_attachment(buffer, attachment, dir);
	mutex_unlock(&buffer->attach_lock);
	if (err) {
		mal_buffer_unpin(buffer);
		return ERR_PTR(err);
	}
	count_yielding(buffer, attachment, 1);
	return &attachment->sgt;
}

void mal_unmap_attachment(struct mal_buffer *buffer, struct mal_attachment *attachment)
{
	mutex_lock(&buffer->attach_lock);
	dma_unmap_sgtable(attachment->dev, &attachment->sgt, attachment->dir, 0);
	attachment->dir = DMA_NONE;
	mutex_unlock(&buffer->attach_lock);
	count_yielding(buffer, attachment, -1);
	mal_buffer_unpin(buffer);
}

struct mal_attachment *mal_attachment_of(struct sg_table *sgt)
{
	return container_of(sgt, struct mal_attachment, sgt);
}

bool mal_buffer_is_pinned(const struct mal_buffer *buffer)
{
	/* What was done by way of a pin that is gone was done before: as in mal_buffer_unpin(). */
	return atomic_read_acquire(&buffer->pins) > READ_ONCE(buffer->yielding);
}

/* Importers unmap the buffer while they are asked, or soon after. */
static void ask_importers(struct mal_buffer *buffer)
{
	struct mal_attachment *attachment;

	dma_resv_assert_held(&buffer->extent.resv);
	if (!buffer->yielding || mal_buffer_is_pinned(buffer))
		return;
	/* None is detached meanwhile, so their dma-bufs stay. */
	list_for_each_entry(attachment, &buffer->attachments, node)
		if (attachment->yielding && attachment->dir != DMA_NONE)
			mal_invalidate_mappings(attachment->yielding);
}

bool mal_stop_devices(struct mal_buffer *buffer, unsigned long *patience)
{
	struct dma_resv *resv = &buffer->extent.resv;
	long left;

	/* Who has it works on the buffer, or waits for a device. */
	if (!dma_resv_trylock(resv))
		return false;
	/* Before anybody lets go of it for nothing. */
	if (!*patience && !mal_extent_devices_are_done(&buffer->extent))
		goto unlock;
	ask_importers(buffer);
	if (mal_extent_devices_are_done(&buffer->extent))
		return true;
	/* For so short a time, no signal ends this: ALLOC would fail for one that kills nobody. */
	left = *patience;
	if (left)
		left = dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false, left);
	*patience = max(left, 0L);
	if (left > 0)
		return true;
unlock:
	dma_resv_unlock(resv);
	return false;
}

void mal_resume_devices(struct mal_buffer *buffer)
{
	dma_resv_unlock(&buffer->extent.resv);
}

typedef void (*sync_fn)(struct device *dev, dma_addr_t address, size_t length,
			enum dma_data_direction dir);

/*
 * Of the range of the buffer, what the device sees. The DMA segments cover the device's span, in
 * order. There may be fewer than there are entries in the table.
 */
static void sync_segments(struct mal_attachment *attachment, u64 offset, u64 length, sync_fn sync)
{
	const u64 start = mal_span_offset(&attachment->span);
	const u64 end = min(offset + length, start + mal_span_size(&attachment->span));
	struct scatterlist *sg;
	unsigned int i;

	if (offset < start)
		offset = start;
	if (offset >= end)
		return;
	length = end - offset;
	offset -= start;
	for_each_sgtable_dma_sg(&attachment->sgt, sg, i) {
		size_t n;

		if (offset >= sg_dma_len(sg)) {
			offset -= sg_dma_len(sg);
			continue;
		}
		n = min_t(u64, sg_dma_len(sg) - offset, length);
		sync(attachment->dev, sg_dma_address(sg) + offset, n, attachment->dir);
		length -= n;
		if (!length)
			break;
		offset = 0;
	}
}

/* Hand a range over between the CPU and each device that has the buffer mapped. */
static void sync_attachments(struct mal_buffer *buffer, u64 offset, u64 length, sync_fn sync)
{
	struct mal_attachment *attachment;

	mutex_lock(&buffer->attach_lock);
	list_for_each_entry(attachment, &buffer->attachments, node) {
		if (attachment->dir != DMA_NONE)
			sync_segments(attachment, offset, length, sync);
	}
	mutex_unlock(&buffer->attach_lock);
}

int mal_begin_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length, bool write)
{
	/* Data can't be handed over before devices have finished with it. */
	long left = dma_resv_wait_timeout(&buffer->extent.resv, dma_resv_usage_rw(write), true,
					  MAX_SCHEDULE_TIMEOUT);

	if (left < 0)
		return left;
	sync_attachments(buffer, offset, length, dma_sync_single_for_cpu);
	return 0;
}

void mal_end_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length)
{
	sync_attachments(buffer, offset, length, dma_sync_single_for_device);
}

