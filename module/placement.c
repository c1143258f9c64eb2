// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a buffer may lie: turns the constraints of an ALLOC, which are about physical addresses,
 * into those of the heap, which are about granules counted from the region's start.
 *
 * The region starts at a multiple of its largest alignment. So alignments and boundaries up to
 * the largest mean the same for addresses and for granules, and the result does not disclose where
 * the region lies. The result of a larger boundary would, so the largest is taken in its place,
 * which is stricter.
 *
 * DMA masks of all widths, tried one after the other, would disclose it, too. So the unprivileged
 * learn one thing by masks: whether all of the region is within 32 bits. For them, a mask reaches
 * all of the region or nothing. It reaches all if it reaches all memory of the machine, or if it
 * has 32 bits or more and the region is within 32 bits.
 */
#include <linux/capability.h>
#include <linux/log2.h>
#include <linux/memalloc.h>

#include "core/heap.h"
#include "mapping.h"
#include "placement.h"
#include "region.h"

/* Frames [@first, @end). */
struct window {
	u64 first;
	u64 end;
};

/* The frames that both the DMA mask and the window allow. */
static int get_window(const struct memalloc_alloc *alloc, struct window *window)
{
	const u64 in_page = PAGE_SIZE - 1;
	const u64 start = alloc->window_start;
	const u64 last = alloc->window_end;

	*window = (struct window) { .end = 1ULL << (64 - PAGE_SHIFT) };
	if (alloc->dma_mask_bits > 64)
		return -EINVAL;
	if (alloc->dma_mask_bits && alloc->dma_mask_bits < 64)
		window->end = (1ULL << alloc->dma_mask_bits) >> PAGE_SHIFT;
	if (start || last) {
		if (start > last)
			return -EINVAL;
		/* Whole frames only. */
		window->first = (start >> PAGE_SHIFT) + !!(start & in_page);
		window->end = min(window->end,
				  (last >> PAGE_SHIFT) + ((last & in_page) == in_page));
	}
	return window->first < window->end ? 0 : -EINVAL;
}

/*
 * Does a DMA mask that ends before frame @end reach all of the region, as far as the
 * unprivileged may know?
 */
static bool mask_is_known_to_reach(const struct mal_region *region, u64 end)
{
	const u64 in_32_bits = 1ULL << (32 - PAGE_SHIFT);

	return end >= in_32_bits &&
	       (end >= region->range.memory_end ||
		region->range.pfn + region->range.pages <= in_32_bits);
}

static noinline int place_constrained(const struct mal_region *region,
				      const struct memalloc_alloc *alloc, struct mal_request *req)
{
	const u64 huge = alloc->flags & MEMALLOC_ALLOC_HUGE ? mal_huge_pages(&region->range) : 1;
	const u64 align = max((alloc->alignment ?: PAGE_SIZE) >> PAGE_SHIFT, huge);
	const u64 boundary = min_t(u64, alloc->boundary >> PAGE_SHIFT, region->range.align);
	const u64 first = region->range.pfn;
	const u64 last = first + region->range.pages;
	const u64 more = (alloc->length - 1) >> PAGE_SHIFT;	/* than one granule */
	struct window window;
	int err;

	if (!huge)
		return -EOPNOTSUPP;
	if ((alloc->window_start || alloc->window_end) && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	err = get_window(alloc, &window);
	if (err)
		return err;
	if (!alloc->length || more >= window.end - window.first)
		return -EINVAL;
	if ((alloc->alignment && !is_power_of_2(alloc->alignment)) || align > region->range.align)
		return -EINVAL;
	if (alloc->boundary && (!is_power_of_2(alloc->boundary) || more >= boundary))
		return -EINVAL;
	if (more >= region->range.pages)
		return -EFBIG;

	*req = (struct mal_request) {
		.size = more + 1,
		.align = max_t(u64, align, 1),
		.boundary = boundary,
	};
	if (alloc->dma_mask_bits && !mask_is_known_to_reach(region, window.end) &&
	    !capable(CAP_SYS_RAWIO))
		window.end = 0;
	if (window.end <= first || window.first >= last) {
		req->lo = region->range.pages;	/* there is no such granule: no room */
		return 0;
	}
	if (window.first > first)
		req->lo = window.first - first;
	if (window.end < last)
		req->hi = window.end - first;
	return 0;
}

int mal_placement(const struct mal_region *region, const struct memalloc_alloc *alloc,
		  struct mal_request *req)
{
	const u64 more = (alloc->length - 1) >> PAGE_SHIFT;	/* than one granule */

	if (alloc->flags || alloc->alignment || alloc->boundary || alloc->dma_mask_bits ||
	    alloc->window_start || alloc->window_end)
		return place_constrained(region, alloc, req);
	if (!alloc->length)
		return -EINVAL;
	if (more >= region->range.pages)
		return -EFBIG;
	*req = (struct mal_request) { .size = more + 1, .align = 1 };
	return 0;
}
