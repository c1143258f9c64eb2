// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of running memory: a contiguous range is claimed from what the system uses.
 *
 * alloc_contig_range() takes a window: it moves the pages that lie there elsewhere. That is
 * expensive, so each window is looked over first, and skipped if it holds an obstacle, a page that
 * can't be moved. Memory pressure removes hardly any of these: most are single pages that the
 * kernel keeps. So if no window can be had, the log says what the obstacles are.
 *
 * A window lies in one zone. ZONE_MOVABLE is not used: a long-term pin of a page there would try to
 * move the page, for ever. The same goes for CMA, which alloc_contig_range() itself refuses without
 * ACR_FLAGS_CMA.
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

/* The search gives up after this time, or when it has looked at all memory so many times. */
#define MAL_CLAIM_SECONDS	30
#define MAL_CLAIM_LOOKS		3

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

/* What a page is to the search. All but MOVABLE are obstacles. */
enum page_kind {
	MOVABLE,		/* or free */
	SLAB,			/* of small objects of the kernel */
	PAGE_TABLE,
	HUGE,			/* of hugetlbfs, which the search leaves alone */
	OTHER,			/* of the kernel */
	RESERVED,		/* since boot; or not memory of the zone */
	PAGE_KINDS
};

struct page_counts {
	unsigned long of[PAGE_KINDS];
};

struct search {
	struct mal_range *range;	/* what is wanted: @pages and @align are set */
	unsigned long window;		/* @pages, rounded up to MAL_CLAIM_STEP */
	unsigned long largest;		/* pages of the largest range that looked movable */
	unsigned long deadline;		/* in jiffies */

	bool reserved;			/* a window has memory that is reserved since boot */

	/* Of the window with the fewest obstacles: its pages, and how many are obstacles. */
	struct page_counts counts;
	unsigned long fewest;
};

static bool out_of_time(const struct search *search)
{
	return fatal_signal_pending(current) || time_after(jiffies, search->deadline);
}

/*
 * What @page is, and in *@pages how many from there on are the same. A guess: nothing is locked,
 * and a page that is in use may turn out to be pinned.
 */
static enum page_kind kind_of(struct page *page, unsigned long *pages)
{
	unsigned long n = 1;

	*pages = 1;
	if (PageReserved(page))
		return RESERVED;
	if (PageHuge(page))
		return HUGE;
	if (PageBuddy(page))
		n <<= min(READ_ONCE(page->private), (unsigned long)BITS_PER_LONG - 1);
	else if (PageHead(page))
		n = compound_nr(page);
	/* What is read while somebody else writes to it may be anything. */
	if (n && n <= MAX_ORDER_NR_PAGES)
		*pages = n;

	/* These come first: newer kernels take no reference to a page of a slab. */
	if (PageSlab(page))
		return SLAB;
	if (PageTable(page))
		return PAGE_TABLE;
	if (!page_count(page) || PageLRU(page) || page_has_movable_ops(page))
		return MOVABLE;
	/* A page that waits on its CPU for the LRU lists: see drain_lru_batches(). */
	return !PageTail(page) && READ_ONCE(page->mapping) ? MOVABLE : OTHER;
}

static bool is_of_zone(const struct page *page, const struct zone *zone)
{
	/* What else is in the page's flags may change; its zone never does. */
	return page && data_race(page_zone(page)) == zone;
}

/* The first frame in [@pfn, @end) that can't be part of a window, or @end. */
static unsigned long first_obstacle(const struct search *search, struct zone *zone,
				    unsigned long pfn, unsigned long end)
{
	while (pfn < end) {
		unsigned long block_end = min(ALIGN(pfn + 1, pageblock_nr_pages), end);
		struct page *page = pfn_to_online_page(pfn);

		if (!is_of_zone(page, zone) || out_of_time(search))
			return pfn;
		while (pfn < block_end) {
			unsigned long n;

			/* It guesses. */
			if (data_race(kind_of(pfn_to_page(pfn), &n)) != MOVABLE)
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
		pfn = pfn_to_online_page(run_end) ? run_end + 1 :
						    ALIGN(run_end + 1, pageblock_nr_pages);
		cond_resched();
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

/* Try each zone of each node that may be used, until @try returns true. */
static bool try_zones(struct search *search, int node,
		      bool (*try)(struct search *search, struct zone *zone))
{
	unsigned int i;
	int nid;

	for (i = 0; i < ARRAY_SIZE(zone_order); i++) {
		for_each_online_node(nid) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[zone_order[i]];

			if ((node != NUMA_NO_NODE && node != nid) || !populated_zone(zone))
				continue;
			if (try(search, zone)) {
				search->range->node = nid;
				return true;
			}
		}
	}
	return false;
}

/* Try windows at multiples of @align. */
static bool claim_aligned(struct search *search, unsigned long align, int node)
{
	search->range->align = align;
	return try_zones(search, node, claim_from_zone);
}

/* Count the pages of [@pfn, @end) by what they are. */
static struct page_counts count_pages(struct zone *zone, unsigned long pfn, unsigned long end)
{
	struct page_counts counts = {};

	while (pfn < end) {
		unsigned long block_end = min(ALIGN(pfn + 1, pageblock_nr_pages), end);
		struct page *page = pfn_to_online_page(pfn);

		if (!is_of_zone(page, zone)) {
			counts.of[RESERVED] += block_end - pfn;
			pfn = block_end;
		}
		while (pfn < block_end) {
			unsigned long n;
			/* It guesses. */
			enum page_kind kind = data_race(kind_of(pfn_to_page(pfn), &n));

			counts.of[kind] += min(n, end - pfn);
			pfn += n;
		}
		cond_resched();
	}
	return counts;
}

/*
 * Find the window of @zone with the fewest obstacles, for the log. Windows with reserved pages
 * don't count: these never go. Returns false, so that the other zones are looked at, too.
 */
static bool count_obstacles(struct search *search, struct zone *zone)
{
	const unsigned long n = search->window / MAL_CLAIM_STEP;
	unsigned long pfn = ALIGN(zone->zone_start_pfn, MAL_CLAIM_STEP);
	struct page_counts *blocks;	/* the last @n of them */
	struct page_counts sum = {};
	unsigned long i;
	int kind;

	if (search->window > zone->spanned_pages)
		return false;
	blocks = kvcalloc(n, sizeof(*blocks), GFP_KERNEL);
	if (!blocks)
		return false;
	for (i = 0; pfn + MAL_CLAIM_STEP <= zone_end_pfn(zone); i++, pfn += MAL_CLAIM_STEP) {
		struct page_counts *block = &blocks[i % n];
		const struct page_counts first = *block;
		unsigned long obstacles = 0;

		if (fatal_signal_pending(current))
			break;
		*block = count_pages(zone, pfn, pfn + MAL_CLAIM_STEP);
		for (kind = 0; kind < PAGE_KINDS; kind++) {
			sum.of[kind] += block->of[kind] - first.of[kind];
			if (kind != MOVABLE)
				obstacles += sum.of[kind];
		}
		search->reserved |= i >= n - 1 && sum.of[RESERVED];
		if (i >= n - 1 && !sum.of[RESERVED] && obstacles < search->fewest) {
			search->fewest = obstacles;
			search->counts = sum;
		}
	}
	kvfree(blocks);
	return false;
}

static int explain_failure(struct search *search, const struct mal_wish *wish)
{
	const int node = wish->node;
	unsigned long pages = search->range->pages;
	unsigned long shift = 20 - PAGE_SHIFT;
	const unsigned long *of = search->counts.of;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (wish->pages > totalram_pages()) {
		pr_err("size: %lu MiB is more than the memory of this machine; largest range found: %lu MiB\n",
		       wish->pages >> shift, search->largest >> shift);
		return -EFBIG;
	}
	pr_err("no contiguous range of %lu MiB could be claimed; largest range found: %lu MiB%s\n",
	       DIV_ROUND_UP(pages, 1UL << shift), search->largest >> shift,
	       search->largest < pages ? "" : ", with pinned pages in it, or memory is short");

	search->fewest = ULONG_MAX;
	try_zones(search, node, count_obstacles);
	if (fatal_signal_pending(current))
		return -EINTR;
	if (search->fewest == ULONG_MAX && search->reserved)
		pr_err("no range of that length is without memory that is reserved since boot\n");
	else if (search->fewest && search->fewest != ULONG_MAX)
		pr_err("in the best window, these pages can't be moved: %lu of slabs, %lu of page tables, %lu of huge pages, %lu others of the kernel\n",
		       of[SLAB], of[PAGE_TABLE], of[HUGE], of[OTHER]);
	return -ENOMEM;
}

/*
 * Pages that programs just got, or files, wait on their CPUs for the LRU lists, and can't be moved
 * until they are there. alloc_contig_range() sends all of them there, but only after it has found
 * that no such page lies in its window. So let it have a small window that is without.
 */
static void drain_lru_batches(int node)
{
	struct mal_range range = { .pages = MAL_CLAIM_STEP };
	struct search search = {
		.range = &range, .window = MAL_CLAIM_STEP, .deadline = jiffies + HZ,
	};

	if (claim_aligned(&search, MAL_CLAIM_STEP, node))
		free_contig_range(range.pfn, range.pages);
}

/* Somebody may hold a page for a moment: so look more than once. */
static bool claim_from_all(struct search *search, unsigned long align, int node)
{
	unsigned int looks = 0;

	for (;;) {
		if (claim_aligned(search, align, node) ||
		    (align > MAL_CLAIM_STEP && claim_aligned(search, MAL_CLAIM_STEP, node)))
			return true;
		if (search->window == ULONG_MAX || ++looks == MAL_CLAIM_LOOKS ||
		    out_of_time(search))
			return false;
		drain_lru_batches(node);
	}
}

static void give_back(const struct mal_range *range, unsigned long pfn, unsigned long pages)
{
	free_contig_range(pfn, pages);
}

static void running_release(struct mal_range *range)
{
	mal_range_give_back(range, give_back);
}

/* Try to claim @search->range->pages. */
static bool claim_pages(struct search *search, const struct mal_wish *wish)
{
	const unsigned long pages = search->range->pages;
	const unsigned long align = clamp(rounddown_pow_of_two(pages),
					  MAL_CLAIM_STEP, MAL_ALIGN_MAX);

	search->window = ALIGN(pages, MAL_CLAIM_STEP);
	/* Don't even try a window that would starve the rest of the system. */
	if (wish->pages > si_mem_available())
		search->window = ULONG_MAX;
	return claim_from_all(search, wish->several ? MAL_CLAIM_STEP : align, wish->node);
}

/* How many pages to try next, after so many could not be had. */
static unsigned long fewer_pages(const struct search *search, const struct mal_wish *wish)
{
	const unsigned long pages = search->range->pages;
	const unsigned long next = min(search->largest, pages - pages / 8);

	return max(ALIGN_DOWN(next, MAL_CLAIM_STEP), wish->pages_min);
}

static int running_claim(struct mal_range *range, const struct mal_wish *wish)
{
	struct search search = {
		.range = range,
		.deadline = jiffies + MAL_CLAIM_SECONDS * HZ,
	};

	range->pages = wish->pages;
	range->memory_end = mal_memory_end();
	while (!claim_pages(&search, wish)) {
		if (range->pages <= wish->pages_min || search.window == ULONG_MAX ||
		    out_of_time(&search))
			return explain_failure(&search, wish);
		range->pages = fewer_pages(&search, wish);
	}
	if (search.window > range->pages)
		free_contig_range(range->pfn + range->pages, search.window - range->pages);
	return 0;
}

const struct mal_source mal_source_running = {
	.name = "running",
	.has_several = true,
	.claim = running_claim,
	.release = running_release,
};
