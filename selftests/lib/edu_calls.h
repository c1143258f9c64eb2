/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls of the driver edu as functions that answer 0 or a negative errno, and those around a
 * program's own accesses to a dma-buf.
 */
#ifndef EDU_CALLS_H
#define EDU_CALLS_H

#include "memalloc_test.h"

#include <linux/dma-buf.h>

#include "edu/edu.h"

static inline int attach_within(int edu, int dmabuf, __u32 direction, struct edu_attach *limits)
{
	limits->fd = dmabuf;
	limits->direction = direction;
	return call(edu, EDU_IOC_ATTACH, limits);
}

static inline int attach(int edu, int dmabuf, __u32 direction)
{
	struct edu_attach no_limits = { 0 };

	return attach_within(edu, dmabuf, direction, &no_limits);
}

static inline int detach(int edu)
{
	return call(edu, EDU_IOC_DETACH, NULL);
}

/* What programs do around their own accesses; @how: DMA_BUF_SYNC_READ, _WRITE or both. */
static inline int cpu_begins(int dmabuf, __u64 how)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | how };

	return call(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

static inline int cpu_ends(int dmabuf, __u64 how)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_END | how };

	return call(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

#endif /* EDU_CALLS_H */
