/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DMAHEAP_H
#define MAL_DMAHEAP_H

#include <linux/miscdevice.h>
#include <linux/types.h>

struct mal_region;

/*
 * The region's node in /dev/dma_heap/. To programs that know the kernel's dma-buf heaps,
 * the region is one more of these. The heap of core/heap.h is something else.
 */
struct mal_dmaheap {
	struct mal_region *region;
	struct miscdevice misc;
};

/* Make the node; the region has its own already. Sleeps. -ENOMEM, -EBUSY. */
int mal_dmaheap_create(struct mal_dmaheap *dmaheap, struct mal_region *region);

void mal_dmaheap_destroy(struct mal_dmaheap *dmaheap);

#endif /* MAL_DMAHEAP_H */
