/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_SOURCE_H
#define MAL_SOURCE_H

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <asm/page.h>
#include <linux/memalloc.h>

struct dev_pagemap;
struct device;
struct mal_source;

/* What a region's range is to be. */
struct mal_wish {
	unsigned long pages;
	unsigned long pages_min;	/* fewer will do, but so many, where the source can tell */
	bool several;		/* there will be others, beside which it has to fit */
	int node;		/* NUMA_NO_NODE: any */
	u64 base;		/* the physical address, where it is known; else 0 */
	struct device *device;	/* whose memory it is, of sources that take one; else NULL */
	char bar[MEMALLOC_NAME_LEN];	/* memalloc_create.bar, of sources that take one; else "" */
};

/*
 * Memory that can go, such as that of a device which is unplugged. The source says so by @lose.
 * From then on the memory is gone: the CPU does not use it, and no further device is attached.
 * Its struct pages, if it has any, are there until the source gets the memory back, when nobody
 * holds it any more.
 */
enum mal_range_state {
	MAL_RANGE_THERE,
	MAL_RANGE_GONE,
	MAL_RANGE_RELEASED,
};

/*
 * A contiguous range of page frames that a source has given. Most have struct pages, in the
 * kernel's linear mapping. Others are mapped by frame, write-combined or uncached, into programs
 * and into the kernel: nobody can pin or poison a page of these.
 */
struct mal_range {
	const struct mal_source *source;
	void *private;		/* the source's own */
	struct dev_pagemap *pagemap;	/* of mal_range_make_pages() */
	unsigned long pfn;	/* the first frame */
	unsigned long pages;
	unsigned long align;	/* @pfn is a multiple of this power of two */
	void *mapping;		/* the kernel's own; NULL: the range has struct pages */
	bool uncached;		/* mapped by frame, and not even write-combined */
	bool no_long_pins;	/* what pins a page for long fails, or tries for ever */
	int node;
	unsigned long memory_end;	/* the frame after the machine's memory, when claimed */

	/* Only if @can_go: */
	bool can_go;		/* set by claim, before the source can call @lose */
	enum mal_range_state state;	/* under @use */
	struct rw_semaphore use;	/* for reading: while the memory or its pages are used */
	atomic_t holds;		/* devices that may use the memory: see mal_range_hold() */
	void (*lose)(struct mal_range *range);
};

/* Where regions come from. */
struct mal_source {
	const char *name;
	bool takes_base;	/* it has to be told where: by mal_wish.base, */
	bool takes_bar;		/* or by mal_wish.bar */
	bool has_several;	/* a region may have several ranges of it */

	/*
	 * Fill in @range as wished; each page has a reference count of one, and is yet to be
	 * zeroed. May take seconds. Sleeps. -ENOMEM: there is no such range now; -EFBIG: there
	 * never can be; -EINTR: a fatal signal arrived; -EINVAL, -EEXIST: a range can't be there,
	 * or something else is; -EOPNOTSUPP: this kernel can't; -EBUSY: somebody has the
	 * device, or its memory; -ENODEV: there is no such device. On failure, logs why.
	 */
	int (*claim)(struct mal_range *range, const struct mal_wish *wish);

	/*
	 * Give the range back. Nobody may hold a reference to a page of it, except to poisoned
	 * pages: the kernel keeps those. Sleeps.
	 */
	void (*release)(struct mal_range *range);

	/*
	 * The module goes, and claims nothing any more. May lose ranges. Sleeps. NULL: nothing to
	 * do.
	 */
	void (*stop)(void);
};

/*
 * Claim a range from @source: see claim. @lose will be called if the range's memory goes before
 * mal_range_release(), even before this returns: it has to call mal_range_lose().
 */
int __must_check mal_range_claim(struct mal_range *range, const struct mal_source *source,
				 const struct mal_wish *wish,
				 void (*lose)(struct mal_range *range));

/* Give the range back to its source; see release there. Only the first call does so. Sleeps. */
void mal_range_release(struct mal_range *range);

/* The memory is gone. Waits for those who have entered. Sleeps. */
void mal_range_lose(struct mal_range *range);

/* Running memory: what lies there is moved elsewhere. The source if none is named. */
extern const struct mal_source mal_source_running;

/* Memory that was kept from the kernel at boot. */
extern const struct mal_source mal_source_reserved;

/* The CMA of a device: a reusable reserved-memory of the device tree. */
extern const struct mal_source mal_source_cma;

void mal_sources_stop(void);

#ifdef CONFIG_PCI
/* Memory of PCI devices. */
extern const struct mal_source mal_source_pci;
#endif

/* The source of that name; "": the first. NULL: there is none. */
const struct mal_source *mal_source_by_name(const char *name);

static inline bool mal_range_has_pages(const struct mal_range *range)
{
	return !range->mapping;
}

/* The answer may be out of date at once, unless the caller has entered. */
static inline bool mal_range_is_gone(const struct mal_range *range)
{
	return READ_ONCE(range->state) != MAL_RANGE_THERE;
}

static inline void mal_range_leave(struct mal_range *range)
{
	if (range->can_go)
		up_read(&range->use);
}

/*
 * The CPU may use the memory until mal_range_leave(), and whoever enters may not enter again
 * before. Sleeps. False: the memory is gone.
 */
static inline bool __must_check mal_range_enter(struct mal_range *range)
{
	if (!range->can_go)
		return true;
	down_read(&range->use);
	if (range->state == MAL_RANGE_THERE)
		return true;
	up_read(&range->use);
	return false;
}

/*
 * Likewise, for the struct pages alone, which stay longer. False: there are none, or not any more.
 */
static inline bool __must_check mal_range_enter_pages(struct mal_range *range)
{
	if (!mal_range_has_pages(range))
		return false;
	if (!range->can_go)
		return true;
	down_read(&range->use);
	if (range->state != MAL_RANGE_RELEASED)
		return true;
	up_read(&range->use);
	return false;
}

/*
 * A device may use the memory until mal_range_drop(), also after it is gone. Sleeps. False: it is
 * gone already.
 */
bool __must_check mal_range_hold(struct mal_range *range);
void mal_range_drop(struct mal_range *range);

/*
 * Does a device still use memory that is gone, or does anybody hold one of its pages from page
 * *@page on? *@page: the first such page. All mappings are gone. Sleeps.
 */
bool mal_range_is_held(const struct mal_range *range, unsigned long *page);

/*
 * Is page @index poisoned: does the hardware raise a fault there? This function and those that
 * follow are for who has entered the range, or made it.
 */
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

/*
 * Copy a page at @from to @to; both are the kernel's addresses of pages of ranges. -EHWPOISON: the
 * hardware has found a fault in @from. Not every architecture can tell.
 */
int __must_check mal_range_copy_page(void *to, const void *from);

/*
 * Zero all of the range, which the caller has not entered. Sleeps. -EINTR: a fatal signal arrived;
 * -ENODEV: the memory is gone.
 */
int __must_check mal_range_zero(struct mal_range *range);

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
