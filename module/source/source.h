/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_SOURCE_H
#define MAL_SOURCE_H

#include <linux/sizes.h>
#include <linux/types.h>
#include <asm/page.h>

struct mal_source;

/* What a region's range is to be. */
struct mal_wish {
	unsigned long pages;
	int node;		/* NUMA_NO_NODE: any */
	u64 base;		/* the physical address, of sources that take one; else 0 */
};

/* A contiguous range of page frames that a source has given. */
struct mal_range {
	const struct mal_source *source;
	void *private;		/* the source's own */
	unsigned long pfn;	/* the first frame */
	unsigned long pages;
	unsigned long align;	/* @pfn is a multiple of this power of two */
	int node;
	unsigned long memory_end;	/* the frame after the machine's memory, when claimed */
};

/* Where regions come from. */
struct mal_source {
	const char *name;
	bool takes_base;	/* it has to be told where */

	/*
	 * Fill in @range as wished, with zeroed pages that have a reference count of one each. May
	 * take seconds. Sleeps. -ENOMEM: there is no such range now; -EFBIG: there never can be;
	 * -EINTR: a fatal signal arrived; -EINVAL, -EEXIST: a range can't be there, or something
	 * else is; -EOPNOTSUPP: this kernel can't. On failure, logs why.
	 */
	int (*claim)(struct mal_range *range, const struct mal_wish *wish);

	/*
	 * Give the range back. Nobody may hold a reference to a page of it, except to poisoned
	 * pages: the kernel keeps those.
	 */
	void (*release)(struct mal_range *range);
};

/* Running memory: what lies there is moved elsewhere. The source if none is named. */
extern const struct mal_source mal_source_running;

/* Memory that was kept from the kernel at boot. */
extern const struct mal_source mal_source_reserved;

/* The source of that name; "": the first. NULL: there is none. */
const struct mal_source *mal_source_by_name(const char *name);

/* For sources. */

/* The largest alignment of a region, in pages. */
#define MAL_ALIGN_MAX	(SZ_1G >> PAGE_SHIFT)

/* The frame after all memory of the machine. */
unsigned long mal_memory_end(void);

/* What is in the range is gone. -EINTR: a fatal signal arrived. Sleeps. */
int __must_check mal_range_zero(const struct mal_range *range);

#endif /* MAL_SOURCE_H */
