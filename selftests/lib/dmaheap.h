/* SPDX-License-Identifier: GPL-2.0-only */
/* The region as one of the kernel's dma-buf heaps, for the test programs that use it so. */
#ifndef DMAHEAP_H
#define DMAHEAP_H

#include "memalloc_test.h"

#include <linux/dma-heap.h>

#define DMAHEAPS	"/dev/dma_heap"
#define DMAHEAP		node_path(DMAHEAPS, NULL)

/* ALLOC of a program that knows @size bytes of the argument. */
#define DMAHEAP_ALLOC(size)	_IOC(_IOC_READ | _IOC_WRITE, DMA_HEAP_IOC_MAGIC, 0, size)

/* Programs open a heap in any mode; what they may do with a buffer is in @fd_flags. */
static inline int open_dmaheap(void)
{
	int heap = open(DMAHEAP, O_RDONLY | O_CLOEXEC);

	return heap < 0 ? -errno : heap;
}

/* The dma-buf of a new buffer, or a negative errno. */
static inline int dmaheap_alloc(int heap, __u64 length, __u32 fd_flags)
{
	struct dma_heap_allocation_data arg = { .len = length, .fd_flags = fd_flags };
	int ret = call(heap, DMA_HEAP_IOCTL_ALLOC, &arg);

	return ret ? ret : (int)arg.fd;
}

#endif /* DMAHEAP_H */
