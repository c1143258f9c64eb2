// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a buffer may lie: turns the constraints of an ALLOC, which are about physical addresses,
 * into those of bounds.h: alignments of granules, and page frames.
 *
 * Each range starts at a multiple of the region's largest alignment. So alignments and boundaries
 * up to the largest mean the same for addresses and for granules, and the result does not disclose
 * where the region lies. The result of a larger boundary would, so the largest is taken in its
 * place, which is stricter.
 *
 * DMA masks of all widths, tried one after the other, would disclose it, too. So the unprivileged
 * learn one thing by masks: whether all of a range is within 32 bits. For them, a mask reaches
 * all of a range or nothing. It reaches all if it reaches all memory of the machine, or if it
 * has 32 bits or more and the range is within 32 bits.
 */
#include <linux/capability.h>
#include <linux/log2.h>
#include <linux/memalloc.h>

#include "bounds.h"
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
 * The unprivileged give a DMA mask that ends before frame @end: allow what it reaches, as far as
 * they may know.
 */
static void bound_by_mask(const struct mal_region *region, u64 end, struct mal_bounds *bounds)
{
	const u64 in_32_bits = 1ULL << (32 - PAGE_SHIFT);
	const u64 memory_end = region->ranges.own.memory_end;

	/* All 64 bits. */
	if (end > U64_MAX >> PAGE_SHIFT)
		return;
	bounds->whole_ranges = true;
	if (end < in_32_bits)
		bounds->end = 1;
	else if (end < memory_end)
		bounds->end = in_32_bits;
	else
		bounds->end = memory_end;	/* as it was when the region was made */
}

static noinline int place_constrained(const struct mal_region *region,
				      const struct memalloc_alloc *alloc, bool is_driver,
				      struct mal_bounds *bounds)
{
	const struct mal_range *range = &region->ranges.own;
	const u64 huge = alloc->flags & MEMALLOC_ALLOC_HUGE ? mal_huge_pages(range) : 1;
	const u64 align = max((alloc->alignment ?: PAGE_SIZE) >> PAGE_SHIFT, huge);
	const u64 boundary = min_t(u64, alloc->boundary >> PAGE_SHIFT, range->align);
	const u64 more = (alloc->length - 1) >> PAGE_SHIFT;	/* than one granule */
	struct window window;
	int err;

	if (!huge)
		return -EOPNOTSUPP;
	if ((alloc->window_start || alloc->window_end) && !is_driver && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	err = get_window(alloc, &window);
	if (err)
		return err;
	if (!alloc->length || more >= window.end - window.first)
		return -EINVAL;
	if ((alloc->alignment && !is_power_of_2(alloc->alignment)) || align > range->align)
		return -EINVAL;
	if (alloc->boundary && (!is_power_of_2(alloc->boundary) || more >= boundary))
		return -EINVAL;
	if (more >= READ_ONCE(region->ranges.largest))
		return -EFBIG;

	*bounds = (struct mal_bounds) {
		.req.size = more + 1,
		.req.align = max_t(u64, align, 1),
		.req.boundary = boundary,
	};
	bounds->first = window.first;
	bounds->end = window.end;
	if (alloc->dma_mask_bits && !is_driver && !capable(CAP_SYS_RAWIO))
		bound_by_mask(region, window.end, bounds);
	if (mal_bounds_are_wide(&region->ranges, bounds))
		bounds->end = 0;
	return 0;
}

int mal_placement(const struct mal_region *region, const struct memalloc_alloc *alloc,
		  struct mal_bounds *bounds)
{
	const u64 more = (alloc->length - 1) >> PAGE_SHIFT;	/* than one granule */

	if (alloc->flags || alloc->alignment || alloc->boundary || alloc->dma_mask_bits ||
	    alloc->window_start || alloc->window_end)
		return place_constrained(region, alloc, false, bounds);
	if (!alloc->length)
		return -EINVAL;
	if (more >= READ_ONCE(region->ranges.largest))
		return -EFBIG;
	*bounds = (struct mal_bounds) { .req.size = more + 1, .req.align = 1 };
	return 0;
}

int mal_placement_for_driver(const struct mal_region *region, const struct memalloc_alloc *alloc,
			     struct mal_bounds *bounds)
{
	return place_constrained(region, alloc, true, bounds);
}
