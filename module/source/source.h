/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_SOURCE_H
#define MAL_SOURCE_H

#include <linux/types.h>

struct mal_source;

/* A contiguous range of page frames that a source has given. */
struct mal_range {
	const struct mal_source *source;
	unsigned long pfn;	/* the first frame */
	unsigned long pages;
	unsigned long align;	/* @pfn is a multiple of this power of two */
	int node;
	unsigned long memory_end;	/* the frame after the machine's memory, when claimed */
};

/* Where regions come from. */
struct mal_source {
	const char *name;

	/*
	 * Fill in @range with @pages contiguous pages of @node (NUMA_NO_NODE: of any), zeroed,
	 * each with a reference count of one. May take seconds. Sleeps. -ENOMEM: there is no such
	 * range now; -EFBIG: there never can be; -EINTR: a fatal signal arrived. On failure, logs
	 * why.
	 */
	int (*claim)(struct mal_range *range, unsigned long pages, int node);

	/*
	 * Give the range back. Nobody may hold a reference to a page of it, except to poisoned
	 * pages: the kernel keeps those.
	 */
	void (*release)(struct mal_range *range);
};

/* Running memory: what lies there is moved elsewhere. */
extern const struct mal_source mal_source_running;

#endif /* MAL_SOURCE_H */
