/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a V4L2 driver's queues need to have their buffers from memalloc. It stands in for
 * vb2_dma_sg_memops: the cookie of a plane is the struct sg_table that the queue's device has
 * mapped. But it is for VB2_MMAP and VB2_DMABUF alone, and there is no address for the CPU.
 */
#ifndef MEMALLOC_VB2_H
#define MEMALLOC_VB2_H

#include <linux/memalloc_driver.h>
#include <media/v4l2-dev.h>
#include <media/videobuf2-core.h>

/*
 * A queue with memalloc_vb2_ops as its mem_ops, a device that does DMA as its dev, and a lock. No
 * limit holds for its buffers: who may open its node can fill the region.
 */
struct memalloc_vb2_queue {
	struct vb2_queue vb2;
	struct memalloc_holder *holder;	/* of the region; is put after the queue is released */
	u32 dma_mask_bits;		/* as for memalloc_buffer_alloc() */
};

extern const struct vb2_mem_ops memalloc_vb2_ops;

/*
 * Unregisters a node whose queue is one, and has the queue released. In 6.1,
 * vb2_video_unregister_device() leaves a queue alone while VIDIOC_REQBUFS allocates its first
 * buffers. Does nothing if @video is not registered.
 */
void memalloc_vb2_unregister(struct video_device *video);

#endif /* MEMALLOC_VB2_H */
