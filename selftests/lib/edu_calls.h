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
#include "edu/registers.h"

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

static inline int transfer(int edu, __u64 offset, __u32 length, __u32 direction)
{
	struct edu_transfer arg = { .offset = offset, .length = length, .direction = direction };

	return call(edu, EDU_IOC_TRANSFER, &arg);
}

/* Two open files of one device, or twice the same: what @source has, @target gets. */
static inline int device_copies(int source, __u64 from, int target, __u64 to, size_t length)
{
	size_t done, n;
	int ret = 0;

	for (done = 0; !ret && done < length; done += n) {
		n = length - done < EDU_MAX_MOVE ? length - done : EDU_MAX_MOVE;
		ret = transfer(source, from + done, n, EDU_TO_DEVICE) ?:
			transfer(target, to + done, n, EDU_FROM_DEVICE);
	}
	return ret;
}

static inline int cpu_fills(int dmabuf, void *memory, size_t length, __u32 seed)
{
	int ret = cpu_begins(dmabuf, DMA_BUF_SYNC_WRITE);

	if (ret)
		return ret;
	fill(memory, length, seed);
	return cpu_ends(dmabuf, DMA_BUF_SYNC_WRITE);
}

/* The answer of first_difference(), or a negative errno. */
static inline __s64 cpu_finds(int dmabuf, const void *memory, size_t length, __u32 seed)
{
	int ret = cpu_begins(dmabuf, DMA_BUF_SYNC_READ);
	__s64 difference = first_difference(memory, length, seed);

	return ret ?: cpu_ends(dmabuf, DMA_BUF_SYNC_READ) ?: difference;
}

/*
 * All is in use but two pieces of @length: one behind what was allocated last, and one at the end.
 * What is between stays, since its address is known. And nothing moves but for COMPACT, until
 * move_on_demand(true).
 */
static inline int leave_two_holes(int fd, __u64 length, struct memalloc_alloc *most)
{
	struct memalloc_alloc hole, last;
	struct memalloc_query query;
	struct memalloc_stats stats;

	return move_on_demand(false) ?: alloc_buffer(fd, length, &hole) ?: get_stats(fd, &stats) ?:
	       alloc_buffer(fd, stats.largest_free - length, most) ?:
	       query_physical(fd, most->handle, &query) ?:
	       alloc_buffer(fd, length, &last) ?:
	       free_buffer(fd, hole.handle) ?: free_buffer(fd, last.handle);
}

#endif /* EDU_CALLS_H */
