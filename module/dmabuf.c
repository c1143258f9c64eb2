// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers, or spans of them, as dma-bufs: what other processes, drivers and devices see of them.
 * Through a read-only dma-buf nobody can write, through a write-only dma-buf nobody can read; and
 * through the dma-buf of a span nobody reaches the rest.
 */
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "attachment.h"
#include "buffer.h"
#include "dmabuf.h"
#include "gather.h"
#include "look/trace.h"
#include "mapping.h"
#include "region.h"

/* What a dma-buf is of. It has a share, so the buffer keeps its size. */
struct mal_dmabuf {
	struct mal_buffer *buffer;
	struct mal_span span;
};

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
	const struct mal_dmabuf *exported = dmabuf->priv;
	struct mal_attachment *attachment;

	mal_gather(exported->buffer);
	attachment = mal_attach(exported->buffer, &exported->span, attach->dev,
				mal_importer_yields(attach) ? dmabuf : NULL);
	attach->priv = attachment;
	return PTR_ERR_OR_ZERO(attachment);
}

static void dmabuf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	const struct mal_dmabuf *exported = dmabuf->priv;

	mal_detach(exported->buffer, attach->priv);
}

static int dmabuf_pin(struct dma_buf_attachment *attach)
{
	const struct mal_dmabuf *exported = attach->dmabuf->priv;

	mal_buffer_pin(exported->buffer);
	return 0;
}

static void dmabuf_unpin(struct dma_buf_attachment *attach)
{
	const struct mal_dmabuf *exported = attach->dmabuf->priv;

	mal_buffer_unpin(exported->buffer);
}

static struct sg_table *dmabuf_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	const struct mal_dmabuf *exported = attach->dmabuf->priv;

	if (dir != DMA_TO_DEVICE && !dmabuf_writable(attach->dmabuf))
		return ERR_PTR(-EACCES);
	if (dir != DMA_FROM_DEVICE && !dmabuf_readable(attach->dmabuf))
		return ERR_PTR(-EACCES);
	return mal_map_attachment(exported->buffer, attach->priv, dir);
}

static void dmabuf_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	const struct mal_dmabuf *exported = attach->dmabuf->priv;

	mal_unmap_attachment(exported->buffer, attach->priv);
}

static int dmabuf_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	const struct mal_dmabuf *exported = dmabuf->priv;

	return mal_begin_cpu_access(exported->buffer, mal_span_offset(&exported->span),
				    dmabuf->size, dir != DMA_FROM_DEVICE);
}

static int dmabuf_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	const struct mal_dmabuf *exported = dmabuf->priv;

	mal_end_cpu_access(exported->buffer, mal_span_offset(&exported->span), dmabuf->size);
	return 0;
}

/* Drivers map what they have imported through files of their own, which may be open for more. */
static int dmabuf_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	const struct mal_dmabuf *exported = dmabuf->priv;

	if (!dmabuf_readable(dmabuf))
		return -EACCES;
	/* The kernel has seen to it that @vma ends with the dma-buf. */
	return mal_map(exported->buffer, exported->span.first + vma->vm_pgoff,
		       dmabuf_writable(dmabuf), false, vma);
}

/* The region is never in highmem: it is mapped into the kernel already. */
static int dmabuf_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	const struct mal_dmabuf *exported = dmabuf->priv;
	const struct mal_extent *extent = &exported->buffer->extent;

	mal_buffer_pin(exported->buffer);
	iosys_map_set_vaddr(map,
			    mal_ranges_address(&extent->region->ranges,
					       extent->block.first + exported->span.first));
	return 0;
}

static void dmabuf_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	const struct mal_dmabuf *exported = dmabuf->priv;

	mal_buffer_unpin(exported->buffer);
}

static void dmabuf_release(struct dma_buf *dmabuf)
{
	struct mal_dmabuf *exported = dmabuf->priv;
	struct mal_region *region = exported->buffer->extent.region;

	mal_buffer_unshare(exported->buffer);
	mal_region_put(region);
	kfree(exported);
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

/* The dma-buf takes over the share of @exported, and @exported itself. */
static struct dma_buf *make_dmabuf(struct mal_dmabuf *exported, unsigned int access)
{
	struct mal_extent *extent = &exported->buffer->extent;
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = access == O_RDWR && !extent->region->ranges.own.can_go ? &writable_ops :
								       &restricted_ops;
	info.size = mal_span_size(&exported->span);
	info.flags = access;
	info.priv = exported;
	info.resv = &extent->resv;
	return dma_buf_export(&info);
}

struct dma_buf *mal_dmabuf_create(struct mal_buffer *buffer, const struct mal_span *span,
				  unsigned int access)
{
	const struct mal_block *block = &buffer->extent.block;
	struct mal_dmabuf *exported;
	struct dma_buf *dmabuf;

	exported = kmalloc(sizeof(*exported), GFP_KERNEL_ACCOUNT);
	if (!exported)
		return ERR_PTR(-ENOMEM);
	exported->buffer = mal_buffer_share(buffer);
	exported->span = *span;
	dmabuf = make_dmabuf(exported, access);
	if (IS_ERR(dmabuf)) {
		mal_buffer_unshare(buffer);
		kfree(exported);
		return dmabuf;
	}
	mal_region_get(buffer->extent.region);
	trace_memalloc_export(buffer->extent.region->name, block,
			      READ_ONCE(block->first) + span->first, span->pages);
	return dmabuf;
}

int mal_dmabuf_export(struct mal_buffer *buffer, const struct mal_span *span,
		      unsigned int open_flags, struct file **file)
{
	struct dma_buf *dmabuf;
	int fd;

	fd = get_unused_fd_flags(open_flags & O_CLOEXEC);
	if (fd < 0)
		return fd;
	dmabuf = mal_dmabuf_create(buffer, span, open_flags & O_ACCMODE);
	if (IS_ERR(dmabuf)) {
		put_unused_fd(fd);
		return PTR_ERR(dmabuf);
	}
	*file = dmabuf->file;
	return fd;
}

/* May @dmabuf give a client of @region a handle, which is for a whole buffer? 0 or an errno. */
static int check_import(const struct dma_buf *dmabuf, const struct mal_region *region)
{
	const struct mal_dmabuf *exported = dmabuf->priv;

	if ((dmabuf->ops != &writable_ops && dmabuf->ops != &restricted_ops) ||
	    exported->buffer->extent.region != region)
		return -EINVAL;
	if (!dmabuf_readable(dmabuf))
		return -EACCES;
	return dmabuf->size == mal_extent_size(&exported->buffer->extent) ? 0 : -EOPNOTSUPP;
}

struct mal_buffer *mal_dmabuf_import(struct mal_region *region, int fd, bool *writable)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);
	const struct mal_dmabuf *exported;
	struct mal_buffer *buffer;
	int err;

	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	exported = dmabuf->priv;
	err = check_import(dmabuf, region);
	buffer = err ? ERR_PTR(err) : mal_buffer_share(exported->buffer);
	*writable = dmabuf_writable(dmabuf);
	dma_buf_put(dmabuf);
	return buffer;
}

MODULE_IMPORT_NS("DMA_BUF");
