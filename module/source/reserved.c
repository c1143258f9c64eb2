// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of memory that was kept from the kernel at boot: by the boot argument memmap= on x86, or
 * a device tree's reserved-memory with no-map. The kernel does not know its pages. memremap_pages()
 * makes some for it, which are ordinary enough for direct I/O, and maps it for the kernel.
 */
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "source/source.h"

#ifdef CONFIG_ZONE_DEVICE

/* May pages be made there? Whether somebody else uses the range is not looked at. */
static int check_place(u64 base, u64 length)
{
	const unsigned long align = memremap_compat_align();

	if (!base || base + length < base || !IS_ALIGNED(base | length, align)) {
		pr_err("reserved: 0x%llx and the length, 0x%llx, have to be multiples of %lu KiB\n",
		       base, length, align >> 10);
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

static struct dev_pagemap *make_pages(u64 base, u64 length, int node)
{
	struct dev_pagemap *map = kzalloc(sizeof(*map), GFP_KERNEL);
	void *mapped;

	if (!map)
		return ERR_PTR(-ENOMEM);
	map->type = MEMORY_DEVICE_GENERIC;
	map->range.start = base;
	map->range.end = base + length - 1;
	map->nr_range = 1;
	mapped = memremap_pages(map, node);
	if (IS_ERR(mapped)) {
		kfree(map);
		return ERR_CAST(mapped);
	}
	return map;
}

static void reserved_release(struct mal_range *range)
{
	struct dev_pagemap *map = range->private;

	memunmap_pages(map);
	release_mem_region(map->range.start, range_len(&map->range));
	kfree(map);
}

static int reserved_claim(struct mal_range *range, const struct mal_wish *wish)
{
	const u64 length = (u64)wish->pages << PAGE_SHIFT;
	struct dev_pagemap *map;
	int err = check_place(wish->base, length);

	if (err)
		return err;
	if (!request_mem_region(wish->base, length, KBUILD_MODNAME)) {
		pr_err("reserved: somebody uses a part of 0x%llx-0x%llx, see /proc/iomem\n",
		       wish->base, wish->base + length - 1);
		return -EEXIST;
	}
	map = make_pages(wish->base, length, wish->node);
	if (IS_ERR(map)) {
		pr_err("reserved: there are no pages for 0x%llx-0x%llx: %pe\n", wish->base,
		       wish->base + length - 1, map);
		release_mem_region(wish->base, length);
		return PTR_ERR(map);
	}

	range->private = map;
	range->pfn = PHYS_PFN(wish->base);
	range->pages = wish->pages;
	range->align = min(1UL << __ffs(range->pfn), MAL_ALIGN_MAX);
	range->node = page_to_nid(pfn_to_page(range->pfn));
	range->memory_end = max(mal_memory_end(), range->pfn + range->pages);
	err = mal_range_zero(range);
	if (err)
		reserved_release(range);
	return err;
}

#else

static int reserved_claim(struct mal_range *range, const struct mal_wish *wish)
{
	pr_err("reserved: this kernel makes no pages for it, without CONFIG_ZONE_DEVICE\n");
	return -EOPNOTSUPP;
}

static void reserved_release(struct mal_range *range)
{
}

#endif

const struct mal_source mal_source_reserved = {
	.name = "reserved",
	.takes_base = true,
	.claim = reserved_claim,
	.release = reserved_release,
};
