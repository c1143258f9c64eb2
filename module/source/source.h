/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_SOURCE_H
#define MAL_SOURCE_H

#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <asm/page.h>

struct dev_pagemap;
struct device;
struct mal_source;

/* What a region's range is to be. */
struct mal_wish {
	unsigned long pages;
	int node;		/* NUMA_NO_NODE: any */
	u64 base;		/* the physical address, where it is known; else 0 */
	struct device *device;	/* whose memory it is, of sources that take one; else NULL */
};

/*
 * A contiguous range of page frames that a source has given. Most have struct pages, in the
 * kernel's linear mapping. Others are mapped by frame, write-combined, into programs and into the
 * kernel: nobody can pin or poison a page of these.
 */
struct mal_range {
	const struct mal_source *source;
	void *private;		/* the source's own */
	struct dev_pagemap *pagemap;	/* of mal_range_make_pages() */
	unsigned long pfn;	/* the first frame */
	unsigned long pages;
	unsigned long align;	/* @pfn is a multiple of this power of two */
	void *mapping;		/* the kernel's own; NULL: the range has struct pages */
	bool no_long_pins;	/* what pins a page for long fails, or tries for ever */
	int node;
	unsigned long memory_end;	/* the frame after the machine's memory, when claimed */
};

/* Where regions come from. */
struct mal_source {
	const char *name;
	bool takes_base;	/* it has to be told where */

	/*
	 * Fill in @range as wished; each page has a reference count of one, and is yet to be
	 * zeroed. May take seconds. Sleeps. -ENOMEM: there is no such range now; -EFBIG: there
	 * never can be; -EINTR: a fatal signal arrived; -EINVAL, -EEXIST: a range can't be there,
	 * or something else is; -EOPNOTSUPP: this kernel can't. On failure, logs why.
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

/* The CMA of a device: a reusable reserved-memory of the device tree. */
extern const struct mal_source mal_source_cma;

/* The source of that name; "": the first. NULL: there is none. */
const struct mal_source *mal_source_by_name(const char *name);

static inline bool mal_range_has_pages(const struct mal_range *range)
{
	return !range->mapping;
}

/* Is page @index poisoned: does the hardware raise a fault there? */
static inline bool mal_range_is_poisoned(const struct mal_range *range, unsigned long index)
{
	return mal_range_has_pages(range) && PageHWPoison(pfn_to_page(range->pfn + index));
}

/* Where the kernel has page @index, and those after it, in its own memory. */
static inline void *mal_range_address(const struct mal_range *range, unsigned long index)
{
	if (mal_range_has_pages(range))
		return page_address(pfn_to_page(range->pfn + index));
	return range->mapping + (index << PAGE_SHIFT);
}

/* Zero page @index, which is not poisoned. */
void mal_range_zero_page(const struct mal_range *range, unsigned long index);

/* Zero all of the range. -EINTR: a fatal signal arrived. Sleeps. */
int __must_check mal_range_zero(const struct mal_range *range);

/* For sources. */

/* The largest alignment of a region, in pages. */
#define MAL_ALIGN_MAX	(SZ_1G >> PAGE_SHIFT)

/* The alignment of a range that has its place: no more than its length has. */
unsigned long mal_range_alignment(const struct mal_range *range);

/* The frame after all memory of the machine. */
unsigned long mal_memory_end(void);

/* Where pages are made, base and length have to be multiples of this. */
#define MAL_PAGES_ALIGN	SZ_2M

/*
 * Make struct pages for a range at @base, for which the kernel has none, and find out its node.
 * Sleeps. -EEXIST: the kernel has some; -EOPNOTSUPP: it can't make any; -ENOMEM, or another error
 * of memremap_pages().
 */
int __must_check mal_range_make_pages(struct mal_range *range, u64 base, u64 length, int node);

/* Nobody may hold a page. Sleeps. */
void mal_range_unmake_pages(struct mal_range *range);

/* Gives @pages of the range, from frame @pfn on, back to where they came from. */
typedef void (*mal_give_back)(const struct mal_range *range, unsigned long pfn,
			      unsigned long pages);

/* Give back all of the range, except poisoned pages: the kernel keeps those. Sleeps. */
void mal_range_give_back(const struct mal_range *range, mal_give_back give_back);

#endif /* MAL_SOURCE_H */
