// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers as dma-bufs: what other processes, drivers and devices see of them. Through a
 * read-only dma-buf nobody can write, through a write-only dma-buf nobody can read.
 */
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>

#include "attachment.h"
#include "buffer.h"
#include "dmabuf.h"
#include "gather.h"
#include "look/trace.h"
#include "mapping.h"
#include "region.h"

static bool dmabuf_readable(const struct dma_buf *dmabuf)
{
	return dmabuf->file->f_mode & FMODE_READ;
}

static bool dmabuf_writable(const struct dma_buf *dmabuf)
{
	return dmabuf->file->f_mode & FMODE_WRITE;
}

static int dmabuf_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	mal_gather(dmabuf->priv);
	return mal_attach(dmabuf->priv, attach);
}

static void dmabuf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	mal_detach(dmabuf->priv, attach);
}

static int dmabuf_pin(struct dma_buf_attachment *attach)
{
	mal_buffer_pin(attach->dmabuf->priv);
	return 0;
}

static void dmabuf_unpin(struct dma_buf_attachment *attach)
{
	mal_buffer_unpin(attach->dmabuf->priv);
}

static struct sg_table *dmabuf_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	if (dir != DMA_TO_DEVICE && !dmabuf_writable(attach->dmabuf))
		return ERR_PTR(-EACCES);
	if (dir != DMA_FROM_DEVICE && !dmabuf_readable(attach->dmabuf))
		return ERR_PTR(-EACCES);
	return mal_map_attachment(attach->dmabuf->priv, attach->priv, dir);
}

static void dmabuf_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	mal_unmap_attachment(attach->dmabuf->priv, attach->priv);
}

static int dmabuf_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return mal_begin_cpu_access(dmabuf->priv, 0, dmabuf->size, dir != DMA_FROM_DEVICE);
}

static int dmabuf_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	mal_end_cpu_access(dmabuf->priv, 0, dmabuf->size);
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
	.pin = MAL_IMPORTERS_YIELD ? dmabuf_pin : NULL,	\
	.unpin = MAL_IMPORTERS_YIELD ? dmabuf_unpin : NULL, \
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
