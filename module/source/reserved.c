// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of memory that was kept from the kernel at boot: by the boot argument memmap= on x86, or
 * a device tree's reserved-memory with no-map. The kernel has not mapped it.
 *
 * Where the kernel has no struct pages for it, pages.c makes some. Other memory is mapped by frame.
 */
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>

#include "source/source.h"

/* Can the range be a region's? Whether somebody else has it is not looked at. */
static int check_place(u64 base, u64 length)
{
	if (!base || base + length < base || !IS_ALIGNED(base | length, MAL_PAGES_ALIGN)) {
		pr_err("reserved: 0x%llx and the length, 0x%llx, have to be multiples of %u KiB\n",
		       base, length, MAL_PAGES_ALIGN >> 10);
		return -EINVAL;
	}
	if (region_intersects(base, length, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT) {
		pr_err("reserved: the kernel uses memory in 0x%llx-0x%llx itself: it was not reserved at boot\n",
		       base, base + length - 1);
		return -EEXIST;
	}
	return 0;
}

/* Map it by frame. */
static int map_frames(struct mal_range *range, u64 base, u64 length, int node)
{
	range->mapping = memremap(base, length, MEMREMAP_WC);
	range->node = node;
	return range->mapping ? 0 : -ENOMEM;
}

static void reserved_release(struct mal_range *range)
{
	if (mal_range_has_pages(range))
		mal_range_unmake_pages(range);
	else
		memunmap(range->mapping);
	release_mem_region(PFN_PHYS(range->pfn), (u64)range->pages << PAGE_SHIFT);
}

static int reserved_claim(struct mal_range *range, const struct mal_wish *wish)
{
	const u64 length = (u64)wish->pages << PAGE_SHIFT;
	int err = check_place(wish->base, length);

	if (err)
		return err;
	if (!request_mem_region(wish->base, length, KBUILD_MODNAME)) {
		pr_err("reserved: somebody uses a part of 0x%llx-0x%llx, see /proc/iomem\n",
		       wish->base, wish->base + length - 1);
		return -EEXIST;
	}
	err = mal_range_make_pages(range, wish->base, length, wish->node);
	if (err == -EEXIST || err == -EOPNOTSUPP)
		err = map_frames(range, wish->base, length, wish->node);
	if (err) {
		pr_err("reserved: 0x%llx-0x%llx can't be mapped: %pe\n", wish->base,
		       wish->base + length - 1, ERR_PTR(err));
		release_mem_region(wish->base, length);
		return err;
	}

	range->pfn = PHYS_PFN(wish->base);
	range->pages = wish->pages;
	range->align = mal_range_alignment(range);
	range->memory_end = max(mal_memory_end(), range->pfn + range->pages);
	return 0;
}

const struct mal_source mal_source_reserved = {
	.name = "reserved",
	.takes_base = true,
	.claim = reserved_claim,
	.release = reserved_release,
};
