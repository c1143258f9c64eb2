// SPDX-License-Identifier: GPL-2.0-only
/*
 * Struct pages for memory that the kernel has none for. memremap_pages() makes them, and maps the
 * memory into the kernel's linear mapping. They are ordinary enough for direct I/O.
 */
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "source/source.h"

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
	for (at = base; at < base + length; at += MAL_PAGES_ALIGN) {
		if (pfn_valid(PHYS_PFN(at)))
			return true;
	}
	return false;
}

/*
 * New pages are marked as reserved. VFIO pins reserved pages like any others, but takes them for
 * pages that it does not hold when it should unpin them: they would never come back. KVM, for which
 * a reserved page is no memory, gives these to its guests as memory, then.
 */
static void unmark_reserved(unsigned long pfn, unsigned long n)
{
	for (; n--; pfn++) {
		ClearPageReserved(pfn_to_page(pfn));
		if (IS_ALIGNED(pfn, PHYS_PFN(MAL_PAGES_ALIGN)))
			cond_resched();
	}
}

int mal_range_make_pages(struct mal_range *range, u64 base, u64 length, int node)
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
	unmark_reserved(PHYS_PFN(base), PHYS_PFN(length));
	range->pagemap = map;
	range->node = page_to_nid(pfn_to_page(PHYS_PFN(base)));
	return 0;
}

void mal_range_unmake_pages(struct mal_range *range)
{
	memunmap_pages(range->pagemap);
	kfree(range->pagemap);
}

#else

int mal_range_make_pages(struct mal_range *range, u64 base, u64 length, int node)
{
	return -EOPNOTSUPP;
}

void mal_range_unmake_pages(struct mal_range *range)
{
}

#endif
