// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of running memory: a contiguous range is claimed from what the system uses.
 *
 * alloc_contig_range() takes a window: it moves the pages that lie there elsewhere. That is
 * expensive, so each window is looked over first, and skipped if it holds a page that can't be
 * moved. A window lies in one zone. ZONE_MOVABLE is not used: a long-term pin of a page there
 * would try to move the page, for ever. The same goes for CMA, which alloc_contig_range() itself
 * refuses without ACR_FLAGS_CMA.
 *
 * In each zone the search begins at one of the first windows, by chance. Otherwise everybody who
 * knows the machine and these lines would know where the region most likely lies. The search does
 * not begin at just any window: where a region was, the kernel next puts pages that can't be moved,
 * and most memory is to stay free of them.
 */
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/memory_hotplug.h>
#include <linux/nodemask.h>
#include <linux/random.h>
#include <linux/sched/signal.h>

#include "source/source.h"

/* The search gives up after this time. */
#define MAL_CLAIM_SECONDS	30

/* alloc_contig_range() is best called for multiples of this. */
#define MAL_CLAIM_STEP		max_t(unsigned long, pageblock_nr_pages, MAX_ORDER_NR_PAGES)

/* The search begins at one of the first windows of a zone, this many. */
#define MAL_CLAIM_BEGINNINGS	16

/*
 * Low memory first: devices with 32 address bits then reach all buffers. On arm64, ZONE_DMA is what
 * devices with even fewer bits reach; where there are none, it is all low memory. On x86, it is
 * 16 MiB for ISA devices, which stay theirs.
 */
static const enum zone_type zone_order[] = {
#ifdef CONFIG_ZONE_DMA32
	ZONE_DMA32,
#endif
#if defined(CONFIG_ZONE_DMA) && !defined(CONFIG_X86)
	ZONE_DMA,
#endif
	ZONE_NORMAL,
};

struct search {
	struct mal_range *range;	/* what is wanted: @pages and @align are set */
	unsigned long window;		/* @pages, rounded up to MAL_CLAIM_STEP */
	unsigned long largest;		/* pages of the largest range that looked movable */
	unsigned long deadline;		/* in jiffies */
};

static bool out_of_time(const struct search *search)
{
	return fatal_signal_pending(current) || time_after(jiffies, search->deadline);
}

/*
 * Pages from @page on that are free or can be moved, or 0. A guess: nothing is
 * locked, and a page that is in use may turn out to be pinned.
 */
static unsigned long movable_pages(struct page *page)
{
	unsigned long order;

	if (PageReserved(page) || PageHuge(page))
		return 0;
	if (PageBuddy(page)) {
		order = READ_ONCE(page->private);
		return order <= ilog2(MAX_ORDER_NR_PAGES) ? 1UL << order : 1;
	}
	if (page_count(page) && !PageLRU(page) && !page_has_movable_ops(page))
		return 0;
	return PageHead(page) ? compound_nr(page) : 1;
}

/* The first frame in [@pfn, @end) that can't be part of a window, or @end. */
static unsigned long first_obstacle(const struct search *search, struct zone *zone,
				    unsigned long pfn, unsigned long end)
{
	while (pfn < end) {
		unsigned long block_end = min(ALIGN(pfn + 1, pageblock_nr_pages), end);
		struct page *page = pfn_to_online_page(pfn);

		if (!page || page_zone(page) != zone || out_of_time(search))
			return pfn;
		while (pfn < block_end) {
			unsigned long n = movable_pages(pfn_to_page(pfn));

			if (!n)
				return pfn;
			pfn += n;
		}
		cond_resched();
	}
	return end;
}

/* Try the windows in [@start, @end), a run of pages that look movable. */
static bool claim_from_run(struct search *search, unsigned long start, unsigned long end)
{
	struct mal_range *range = search->range;
	unsigned long pfn;

	start = ALIGN(start, MAL_CLAIM_STEP);
	end = ALIGN_DOWN(end, MAL_CLAIM_STEP);
	if (start < end)
		search->largest = max(search->largest, end - start);

	for (pfn = ALIGN(start, range->align); pfn < end && end - pfn >= search->window;
	     pfn += range->align) {
		if (out_of_time(search))
			return false;
		if (!alloc_contig_range(pfn, pfn + search->window, ACR_FLAGS_NONE,
					GFP_KERNEL | __GFP_NOWARN)) {
			range->pfn = pfn;
			return true;
		}
	}
	return false;
}

/* Try the runs that begin in [@pfn, @last). */
static bool claim_from_runs(struct search *search, struct zone *zone, unsigned long pfn,
			    unsigned long last)
{
	while (pfn < last && !out_of_time(search)) {
		unsigned long run_end = first_obstacle(search, zone, pfn, zone_end_pfn(zone));

		if (claim_from_run(search, pfn, run_end))
			return true;
		pfn = run_end + 1;
	}
	return false;
}

static bool claim_from_zone(struct search *search, struct zone *zone)
{
	unsigned long start = zone->zone_start_pfn;
	unsigned long windows = clamp(zone->spanned_pages / search->range->align, 1UL,
				      (unsigned long)MAL_CLAIM_BEGINNINGS);
	unsigned long first = start + get_random_u64() % windows * search->range->align;

	return claim_from_runs(search, zone, first, zone_end_pfn(zone)) ||
	       claim_from_runs(search, zone, start, first);
}

/* Try each zone of each node that may be used, with windows at multiples of @align. */
static bool claim_aligned(struct search *search, unsigned long align, int node)
{
	unsigned int i;
	int nid;

	search->range->align = align;
	for (i = 0; i < ARRAY_SIZE(zone_order); i++) {
		for_each_online_node(nid) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[zone_order[i]];

			if ((node != NUMA_NO_NODE && node != nid) || !populated_zone(zone))
				continue;
			if (claim_from_zone(search, zone)) {
				search->range->node = nid;
				return true;
			}
		}
	}
	return false;
}

static int explain_failure(const struct search *search)
{
	unsigned long pages = search->range->pages;
	unsigned long shift = 20 - PAGE_SHIFT;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (pages > totalram_pages()) {
		pr_err("size: %lu MiB is more than the memory of this machine; largest range found: %lu MiB\n",
		       pages >> shift, search->largest >> shift);
		return -EFBIG;
	}
	pr_err("no contiguous range of %lu MiB could be claimed; largest range found: %lu MiB%s\n",
	       DIV_ROUND_UP(pages, 1UL << shift), search->largest >> shift,
	       search->largest < pages ? "" : ", with pinned pages in it, or memory is short");
	return -ENOMEM;
}

static void give_back(const struct mal_range *range, unsigned long pfn, unsigned long pages)
{
	free_contig_range(pfn, pages);
}

static void running_release(struct mal_range *range)
{
	mal_range_give_back(range, give_back);
}

static int running_claim(struct mal_range *range, const struct mal_wish *wish)
{
	const unsigned long pages = wish->pages;
	struct search search = {
		.range = range,
		.window = ALIGN(pages, MAL_CLAIM_STEP),
		.deadline = jiffies + MAL_CLAIM_SECONDS * HZ,
	};
	unsigned long align = clamp(rounddown_pow_of_two(pages),
				    MAL_CLAIM_STEP, MAL_ALIGN_MAX);

	range->pages = pages;
	range->memory_end = mal_memory_end();
	/* Don't even try a window that would starve the rest of the system. */
	if (pages > si_mem_available())
		search.window = ULONG_MAX;
	if (!claim_aligned(&search, align, wish->node) &&
	    !claim_aligned(&search, MAL_CLAIM_STEP, wish->node))
		return explain_failure(&search);

	if (search.window > pages)
		free_contig_range(range->pfn + pages, search.window - pages);
	return 0;
}

const struct mal_source mal_source_running = {
	.name = "running",
	.claim = running_claim,
	.release = running_release,
};
