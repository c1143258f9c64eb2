// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions in the CMA of a device: memory that the device tree reserves, and that the kernel uses
 * for pages that it can move elsewhere until the device wants it. These pages are in the kernel's
 * linear mapping, and ordinary ones but for one thing: before the kernel pins one for long, it
 * tries to move it, for ever.
 */
#include <linux/dma-mapping.h>
#include <linux/of_reserved_mem.h>
#include <linux/slab.h>

#include "source/source.h"

/* What dma_alloc_pages() has given. */
struct cma_pages {
	struct device *dev;
	dma_addr_t dma;			/* of the range's first page */
};

static void give_back(const struct mal_range *range, unsigned long pfn, unsigned long pages)
{
	const struct cma_pages *cma = range->private;

	dma_free_pages(cma->dev, pages << PAGE_SHIFT, pfn_to_page(pfn),
		       cma->dma + PFN_PHYS(pfn - range->pfn), DMA_BIDIRECTIONAL);
}

static void cma_release_range(struct mal_range *range)
{
	struct cma_pages *cma = range->private;

	mal_range_give_back(range, give_back);
	of_reserved_mem_device_release(cma->dev);
	put_device(cma->dev);
	kfree(cma);
}

static int alloc_pages_of(struct device *dev, const struct mal_wish *wish, struct mal_range *range,
			  dma_addr_t *dma)
{
	const size_t length = wish->pages << PAGE_SHIFT;
	struct page *page;
	int err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));

	if (err)
		return err;
	page = dma_alloc_pages(dev, length, dma, DMA_BIDIRECTIONAL, GFP_KERNEL | __GFP_NOWARN);
	if (!page)
		return -ENOMEM;
	/* Small requests may be served from elsewhere. */
	if (page_to_phys(page) != wish->base) {
		dma_free_pages(dev, length, page, *dma, DMA_BIDIRECTIONAL);
		return -ENOMEM;
	}
	range->pfn = page_to_pfn(page);
	range->pages = wish->pages;
	return 0;
}

static int cma_claim_range(struct mal_range *range, const struct mal_wish *wish)
{
	struct device *dev = wish->device;
	struct cma_pages *cma;
	int err;

	if (!dev) {
		pr_err("cma: only a device of the device tree has such memory\n");
		return -EINVAL;
	}
	cma = kzalloc(sizeof(*cma), GFP_KERNEL);
	if (!cma)
		return -ENOMEM;
	err = of_reserved_mem_device_init_by_idx(dev, dev->of_node, 0);
	if (err) {
		dev_err(dev, "cma: this kernel makes no CMA of its memory-region: %pe\n",
			ERR_PTR(err));
		err = -EOPNOTSUPP;
		goto free_cma;
	}
	err = alloc_pages_of(dev, wish, range, &cma->dma);
	if (err) {
		dev_err(dev, "cma: no %lu KiB in a row could be had of its memory-region: %pe\n",
			wish->pages << (PAGE_SHIFT - 10), ERR_PTR(err));
		goto release_memory;
	}

	cma->dev = get_device(dev);
	range->private = cma;
	range->no_long_pins = true;
	range->align = mal_range_alignment(range);
	range->node = page_to_nid(pfn_to_page(range->pfn));
	range->memory_end = mal_memory_end();
	return 0;

release_memory:
	of_reserved_mem_device_release(dev);
free_cma:
	kfree(cma);
	return err;
}

const struct mal_source mal_source_cma = {
	.name = "cma",
	.claim = cma_claim_range,
	.release = cma_release_range,
};
