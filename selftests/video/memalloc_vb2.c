// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory operations of videobuf2 for buffers of memalloc. They know nothing of the driver
 * beside them: take them over as they are.
 *
 * A plane is a buffer that was allocated here, or the dma-buf of somebody else.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/slab.h>
#include <media/videobuf2-v4l2.h>

#include "memalloc_vb2.h"

struct plane {
	struct mal_buffer *buffer;	/* NULL: a dma-buf, by */
	struct dma_buf_attachment *attachment;
	struct device *dev;
	enum dma_data_direction dir;
	struct sg_table *sgt;		/* NULL: the device does not have it */
};

static struct plane *create_plane(struct device *dev, enum dma_data_direction dir)
{
	struct plane *plane = kzalloc(sizeof(*plane), GFP_KERNEL);

	if (!plane)
		return NULL;
	plane->dev = dev;
	plane->dir = dir;
	return plane;
}

/* The program may write to it, too, whatever the device does: see plane_put(). */
static void *plane_alloc(struct vb2_buffer *vb, struct device *dev, unsigned long size)
{
	const struct memalloc_vb2_queue *queue =
		container_of(vb->vb2_queue, struct memalloc_vb2_queue, vb2);
	const struct memalloc_alloc wanted = {
		.length = size,
		.dma_mask_bits = queue->dma_mask_bits,
	};
	struct plane *plane = create_plane(dev, DMA_BIDIRECTIONAL);
	int err;

	if (!plane)
		return ERR_PTR(-ENOMEM);
	plane->buffer = memalloc_buffer_alloc(queue->holder, &wanted, NULL);
	err = PTR_ERR_OR_ZERO(plane->buffer);
	if (err)
		goto free_plane;
	plane->sgt = memalloc_buffer_map(plane->buffer, dev, plane->dir);
	err = PTR_ERR_OR_ZERO(plane->sgt);
	if (!err)
		return plane;
	memalloc_buffer_put(plane->buffer);
free_plane:
	kfree(plane);
	return ERR_PTR(err);
}

static void plane_put(void *private)
{
	struct plane *plane = private;

	/* Or unmapping would bring back what the device last wrote. */
	dma_sync_sgtable_for_device(plane->dev, plane->sgt, plane->dir);
	memalloc_buffer_unmap(plane->buffer, plane->sgt);
	memalloc_buffer_put(plane->buffer);
	kfree(plane);
}

/* Who maps a buffer, or has a dma-buf of it, keeps it without the queue. */
static unsigned int plane_num_users(void *private)
{
	return 1;
}

static int plane_mmap(void *private, struct vm_area_struct *vma)
{
	const struct plane *plane = private;

	return memalloc_buffer_mmap(plane->buffer, vma, true);
}

static struct dma_buf *plane_get_dmabuf(struct vb2_buffer *vb, void *private, unsigned long flags)
{
	const struct plane *plane = private;

	return memalloc_buffer_export(plane->buffer, flags);
}

/* Between CPU and device; of a dma-buf, that is for its exporter. */
static void plane_prepare(void *private)
{
	const struct plane *plane = private;

	if (plane->buffer)
		dma_sync_sgtable_for_device(plane->dev, plane->sgt, plane->dir);
}

/* Also in interrupts, by vb2_buffer_done(). */
static void plane_finish(void *private)
{
	const struct plane *plane = private;

	if (plane->buffer)
		dma_sync_sgtable_for_cpu(plane->dev, plane->sgt, plane->dir);
}

static void *plane_cookie(struct vb2_buffer *vb, void *private)
{
	const struct plane *plane = private;

	return plane->sgt;
}

static void *plane_attach_dmabuf(struct vb2_buffer *vb, struct device *dev, struct dma_buf *dmabuf,
				 unsigned long size)
{
	struct plane *plane;
	int err;

	if (dmabuf->size < size)
		return ERR_PTR(-EFAULT);
	plane = create_plane(dev, vb->vb2_queue->dma_dir);
	if (!plane)
		return ERR_PTR(-ENOMEM);
	plane->attachment = dma_buf_attach(dmabuf, dev);
	err = PTR_ERR_OR_ZERO(plane->attachment);
	if (!err)
		return plane;
	kfree(plane);
	return ERR_PTR(err);
}

static int plane_map_dmabuf(void *private)
{
	struct plane *plane = private;
	struct sg_table *sgt = dma_buf_map_attachment_unlocked(plane->attachment, plane->dir);

	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	plane->sgt = sgt;
	return 0;
}

static void plane_unmap_dmabuf(void *private)
{
	struct plane *plane = private;

	dma_buf_unmap_attachment_unlocked(plane->attachment, plane->sgt, plane->dir);
	plane->sgt = NULL;
}

static void plane_detach_dmabuf(void *private)
{
	struct plane *plane = private;

	dma_buf_detach(plane->attachment->dmabuf, plane->attachment);
	kfree(plane);
}

const struct vb2_mem_ops memalloc_vb2_ops = {
	.alloc = plane_alloc,
	.put = plane_put,
	.num_users = plane_num_users,
	.mmap = plane_mmap,
	.get_dmabuf = plane_get_dmabuf,
	.prepare = plane_prepare,
	.finish = plane_finish,
	.cookie = plane_cookie,
	.attach_dmabuf = plane_attach_dmabuf,
	.map_dmabuf = plane_map_dmabuf,
	.unmap_dmabuf = plane_unmap_dmabuf,
	.detach_dmabuf = plane_detach_dmabuf,
};

void memalloc_vb2_unregister(struct video_device *video)
{
	struct vb2_queue *queue = video->queue;

	if (!video_is_registered(video))
		return;
	get_device(&video->dev);
	video_unregister_device(video);
	mutex_lock(queue->lock);
	vb2_queue_release(queue);
	queue->owner = NULL;
	mutex_unlock(queue->lock);
	put_device(&video->dev);
}

MODULE_INFO(import_ns, "DMA_BUF");
