/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arguments of all calls, in one union. Whoever adds a call adds its struct here, and a line
 * to the tables of calls that use the union: fuzz/calls.c and hostile/calls.h.
 */
#ifndef ARGUMENT_H
#define ARGUMENT_H

#include <linux/dma-heap.h>
#include <linux/memalloc.h>

union argument {
	struct {		/* how each but @heap and @other begins */
		__u32 size;
		__u32 flags;
	} header;
	struct memalloc_info info;
	struct memalloc_alloc alloc;
	struct memalloc_free free;
	struct memalloc_query query;
	struct memalloc_stats stats;
	struct memalloc_layout layout;
	struct memalloc_export export;
	struct memalloc_import import;
	struct memalloc_limits limits;
	struct memalloc_release release;
	struct memalloc_sync sync;
	struct memalloc_resize resize;
	struct memalloc_name name;
	struct memalloc_batch batch;
	struct memalloc_compact compact;
	struct memalloc_translate translate;
	struct dma_heap_allocation_data heap;
	/* Of calls that are no ioctl, see fuzz/calls.c. */
	struct {
		__u64 size;	/* none: 0 */
		__u64 what;
		__u64 offset;
		__u64 length;
		__u64 prot;
		__u64 flags;
		__s64 fd;
	} other;
};

#endif /* ARGUMENT_H */
