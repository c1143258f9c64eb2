/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DMAHEAP_H
#define MAL_DMAHEAP_H

#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/types.h>

struct mal_region;

/*
 * A node of the region in /dev/dma_heap/. To programs that know the kernel's dma-buf heaps, the
 * region is one more of these. The heap of core/heap.h is something else.
 */
struct mal_dmaheap {
	struct list_head node;		/* in the list of all heaps */
	struct mal_region *region;
	const char *name;		/* of the node in /dev/dma_heap/; NULL: there is no node */
	struct miscdevice misc;
};

/*
 * Make the node; the region has its own already. @name: how it is called, or "": as the region's.
 * Sleeps. -ENOMEM, -EBUSY; -EEXIST: there is a node of that name.
 */
int __must_check mal_dmaheap_create(struct mal_dmaheap *dmaheap, struct mal_region *region,
				    const char *name);

/* Also of a heap that has no node. Sleeps. */
void mal_dmaheap_destroy(struct mal_dmaheap *dmaheap);

#endif /* MAL_DMAHEAP_H */
