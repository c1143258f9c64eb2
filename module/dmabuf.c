// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers as dma-bufs: what other processes, drivers and devices see of them. Through a
 * read-only dma-buf nobody can write, through a write-only dma-buf nobody can read.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "buffer.h"
#include "dmabuf.h"
#include "look/trace.h"
#include "mapping.h"
#include "region.h"

/* A device that may map a buffer for DMA. */
struct mal_attachment {
	struct list_head node;		/* in buffer->attachments */
	struct device *dev;

	/* Under attach_lock: */
	struct sg_table sgt;
	u32 place;			/* of the buffer in @sgt; MAL_NONE: @sgt is empty */
	enum dma_data_direction dir;	/* DMA_NONE: not mapped */
};

static bool dmabuf_readable(const struct dma_buf *dmabuf)
{
	return dmabuf->file->f_mode & FMODE_READ;
}

static bool dmabuf_writable(const struct dma_buf *dmabuf)
{
	return dmabuf->file->f_mode & FMODE_WRITE;
}

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

/* The table gets the pages of @buffer, in segments that the device takes. */
static int fill_sg_table(struct mal_attachment *attachment, const struct mal_buffer *buffer)
{
	phys_addr_t phys = mal_extent_phys(&buffer->extent);
	size_t size = mal_extent_size(&buffer->extent);
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
		sg_set_page(sg, mal_extent_page(&buffer->extent, done >> PAGE_SHIFT), n,
			    offset_in_page(done));
		done += n;
	}
	attachment->place = buffer->extent.block.first;
	return 0;
}

static int dmabuf_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct mal_buffer *buffer = dmabuf->priv;
	struct mal_range *range = &buffer->extent.region->range;
	struct mal_attachment *attachment;

	/* A scatter table is one of pages, and so are most of the ways to map one for a device. */
	if (!mal_range_has_pages(range))
		return -EOPNOTSUPP;
	if (!mal_range_hold(range))
		return -ENODEV;
	attachment = kzalloc(sizeof(*attachment), GFP_KERNEL_ACCOUNT);
	if (!attachment) {
		mal_range_drop(range);
		return -ENOMEM;
	}
	attachment->dev = attach->dev;
	attachment->place = MAL_NONE;
	attachment->dir = DMA_NONE;
	attach->priv = attachment;

	mutex_lock(&buffer->attach_lock);
	list_add(&attachment->node, &buffer->attachments);
	mutex_unlock(&buffer->attach_lock);
	return 0;
}

static void dmabuf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct mal_buffer *buffer = dmabuf->priv;
	struct mal_attachment *attachment = attach->priv;

	mutex_lock(&buffer->attach_lock);
	list_del(&attachment->node);
	mutex_unlock(&buffer->attach_lock);
	free_sg_table(attachment);
	kfree(attachment);
	mal_range_drop(&buffer->extent.region->range);
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

/* Some importers call this without the reservation lock, so attach_lock is needed. */
static struct sg_table *dmabuf_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct mal_buffer *buffer = attach->dmabuf->priv;
	struct mal_attachment *attachment = attach->priv;
	int err;

	if (dir != DMA_TO_DEVICE && !dmabuf_writable(attach->dmabuf))
		return ERR_PTR(-EACCES);
	if (dir != DMA_FROM_DEVICE && !dmabuf_readable(attach->dmabuf))
		return ERR_PTR(-EACCES);

	mal_buffer_pin(buffer);
	mutex_lock(&buffer->attach_lock);
	err = map_attachment(buffer, attachment, dir);
	mutex_unlock(&buffer->attach_lock);
	if (!err)
		return &attachment->sgt;
	mal_buffer_unpin(buffer);
	return ERR_PTR(err);
}

static void dmabuf_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	struct mal_buffer *buffer = attach->dmabuf->priv;
	struct mal_attachment *attachment = attach->priv;

	mutex_lock(&buffer->attach_lock);
	attachment->dir = DMA_NONE;
	dma_unmap_sgtable(attachment->dev, sgt, dir, 0);
	mutex_unlock(&buffer->attach_lock);
	mal_buffer_unpin(buffer);
}

typedef void (*sync_fn)(struct device *dev, dma_addr_t address, size_t length,
			enum dma_data_direction dir);

/*
 * The DMA segments cover the buffer, in order. There may be fewer than there are entries in the
 * table.
 */
static void sync_segments(struct mal_attachment *attachment, u64 offset, u64 length, sync_fn sync)
{
	struct scatterlist *sg;
	unsigned int i;

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

int mal_dmabuf_begin_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length, bool write)
{
	/* Data can't be handed over before devices have finished with it. */
	long left = dma_resv_wait_timeout(&buffer->extent.resv, dma_resv_usage_rw(write), true,
					  MAX_SCHEDULE_TIMEOUT);

	if (left < 0)
		return left;
	sync_attachments(buffer, offset, length, dma_sync_single_for_cpu);
	return 0;
}

void mal_dmabuf_end_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length)
{
	sync_attachments(buffer, offset, length, dma_sync_single_for_device);
}

static int dmabuf_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return mal_dmabuf_begin_cpu_access(dmabuf->priv, 0, dmabuf->size, dir != DMA_FROM_DEVICE);
}

static int dmabuf_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	mal_dmabuf_end_cpu_access(dmabuf->priv, 0, dmabuf->size);
	return 0;
}

/* Drivers map what they have imported through files of their own, which may be open for more. */
static int dmabuf_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	if (!dmabuf_readable(dmabuf))
		return -EACCES;
	return mal_map(dmabuf->priv, vma->vm_pgoff, dmabuf_writable(dmabuf), false, vma);
}

/* The region is never in highmem: it is mapped into the kernel already. */
static int dmabuf_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct mal_buffer *buffer = dmabuf->priv;
	const struct mal_extent *extent = &buffer->extent;

	mal_buffer_pin(buffer);
	iosys_map_set_vaddr(map, mal_range_address(&extent->region->range, extent->block.first));
	return 0;
}

static void dmabuf_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	mal_buffer_unpin(dmabuf->priv);
}

static void dmabuf_release(struct dma_buf *dmabuf)
{
	struct mal_buffer *buffer = dmabuf->priv;
	struct mal_region *region = buffer->extent.region;

	mal_buffer_unshare(buffer);
	mal_region_put(region);
}

#define DMABUF_OPS					\
	.attach = dmabuf_attach,			\
	.detach = dmabuf_detach,			\
	.map_dma_buf = dmabuf_map,			\
	.unmap_dma_buf = dmabuf_unmap,			\
	.begin_cpu_access = dmabuf_begin_cpu_access,	\
	.end_cpu_access = dmabuf_end_cpu_access,	\
	.mmap = dmabuf_mmap,				\
	.release = dmabuf_release

/*
 * A kernel mapping can be read and written, so only dma-bufs for both offer one. Whoever has one
 * uses it without asking: there is none of memory that can go.
 */
static const struct dma_buf_ops restricted_ops = { DMABUF_OPS };
static const struct dma_buf_ops writable_ops = {
	DMABUF_OPS,
	.vmap = dmabuf_vmap,
	.vunmap = dmabuf_vunmap,
};

int mal_dmabuf_export(struct mal_buffer *buffer, unsigned int open_flags, struct file **file)
{
	unsigned int access = open_flags & O_ACCMODE;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	int fd;

	fd = get_unused_fd_flags(open_flags & O_CLOEXEC);
	if (fd < 0)
		return fd;

	info.ops = access == O_RDWR && !buffer->extent.region->range.can_go ? &writable_ops :
									      &restricted_ops;
	info.size = mal_extent_size(&buffer->extent);
	info.flags = access;
	info.priv = mal_buffer_share(buffer);
	info.resv = &buffer->extent.resv;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		mal_buffer_unshare(buffer);
		put_unused_fd(fd);
		return PTR_ERR(dmabuf);
	}
	mal_region_get(buffer->extent.region);
	trace_memalloc_export(buffer->extent.region->name, &buffer->extent.block,
			      buffer->extent.block.first, buffer->extent.block.granules);
	*file = dmabuf->file;
	return fd;
}

struct mal_buffer *mal_dmabuf_import(struct mal_region *region, int fd, bool *writable)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);
	struct mal_buffer *buffer;

	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	buffer = dmabuf->priv;
	if ((dmabuf->ops != &writable_ops && dmabuf->ops != &restricted_ops) ||
	    buffer->extent.region != region)
		buffer = ERR_PTR(-EINVAL);
	else if (!dmabuf_readable(dmabuf))
		buffer = ERR_PTR(-EACCES);
	else
		mal_buffer_share(buffer);
	*writable = dmabuf_writable(dmabuf);
	dma_buf_put(dmabuf);
	return buffer;
}

MODULE_IMPORT_NS("DMA_BUF");
