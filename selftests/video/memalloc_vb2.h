/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a V4L2 driver's queues need to have their buffers from memalloc. It stands in for
 * vb2_dma_sg_memops: the cookie of a plane is the struct sg_table that the queue's device has
 * mapped.
 */
#ifndef MEMALLOC_VB2_H
#define MEMALLOC_VB2_H

#include <linux/memalloc_driver.h>
#include <media/videobuf2-core.h>

/* A queue with memalloc_vb2_ops as its mem_ops, and a device that does DMA as its dev. */
struct memalloc_vb2_queue {
	struct vb2_queue vb2;
	struct memalloc_holder *holder;	/* of the region; outlives the queue */
};

extern const struct vb2_mem_ops memalloc_vb2_ops;

#endif /* MEMALLOC_VB2_H */
