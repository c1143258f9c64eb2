// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of memory that was kept from the kernel at boot: by the boot argument memmap= on x86, or
 * a device tree's reserved-memory with no-map. The kernel has not mapped it.
 *
 * Where the kernel has no struct pages for it, memremap_pages() makes some, which are ordinary
 * enough for direct I/O. Other memory is mapped by frame.
 */
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "source/source.h"

/* What memremap_pages() takes, everywhere where we are. */
#define MAL_RESERVED_ALIGN	SZ_2M

/* Can the range be a region's? Whether somebody else has it is not looked at. */
static int check_place(u64 base, u64 length)
{
	if (!base || base + length < base || !IS_ALIGNED(base | length, MAL_RESERVED_ALIGN)) {
		pr_err("reserved: 0x%llx and the length, 0x%llx, have to be multiples of %u KiB\n",
		       base, length, MAL_RESERVED_ALIGN >> 10);
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

#ifdef CONFIG_ZONE_DEVICE

/*
 * arm64 has struct pages for all that its device tree calls memory, but they are no good for what
 * the kernel has not mapped. memremap_pages() may not even be tried there: where it fails, the
 * kernel takes the memory for mapped from then on.
 */
static bool has_unmapped_pages(u64 base, u64 length)
{
	u64 at;

	if (!IS_ENABLED(CONFIG_ARM64))
		return false;
	for (at = base; at < base + length; at += MAL_RESERVED_ALIGN) {
		if (pfn_valid(PHYS_PFN(at)))
			return true;
	}
	return false;
}

/* -EEXIST: the kernel has pages for it; -EOPNOTSUPP: it can't make any. */
static int make_pages(struct mal_range *range, u64 base, u64 length, int node)
{
	struct dev_pagemap *map;
	void *mapped;

	if (has_unmapped_pages(base, length))
		return -EEXIST;
	map = kzalloc(sizeof(*map), GFP_KERNEL);
	if (!map)
		return -ENOMEM;
	map->type = MEMORY_DEVICE_GENERIC;
	map->range.start = base;
	map->range.end = base + length - 1;
	map->nr_range = 1;
	mapped = memremap_pages(map, node);
	if (IS_ERR(mapped)) {
		kfree(map);
		return PTR_ERR(mapped);
	}
	range->private = map;
	range->node = page_to_nid(pfn_to_page(PHYS_PFN(base)));
	return 0;
}

static void unmake_pages(struct mal_range *range)
{
	memunmap_pages(range->private);
	kfree(range->private);
}

#else

static int make_pages(struct mal_range *range, u64 base, u64 length, int node)
{
	return -EOPNOTSUPP;
}

static void unmake_pages(struct mal_range *range)
{
}

#endif

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
		unmake_pages(range);
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
	err = make_pages(range, wish->base, length, wish->node);
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
