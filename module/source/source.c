// SPDX-License-Identifier: GPL-2.0-only
/* The table of sources, and what sources share. */
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "source/source.h"

static const struct mal_source *const sources[] = {
	&mal_source_running,
	&mal_source_reserved,
	&mal_source_cma,
};

const struct mal_source *mal_source_by_name(const char *name)
{
	size_t i;

	if (!*name)
		return sources[0];
	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		if (!strcmp(sources[i]->name, name))
			return sources[i];
	}
	return NULL;
}

unsigned long mal_range_alignment(const struct mal_range *range)
{
	unsigned long align = min(rounddown_pow_of_two(range->pages), MAL_ALIGN_MAX);

	return min(align, 1UL << __ffs(range->pfn));
}

unsigned long mal_memory_end(void)
{
	unsigned long end = 0;
	int node;

	for_each_online_node(node)
		end = max(end, node_end_pfn(node));
	return end;
}

void mal_range_zero_page(const struct mal_range *range, unsigned long index)
{
	if (mal_range_has_pages(range))
		clear_highpage(pfn_to_page(range->pfn + index));
	else
		memset(mal_range_address(range, index), 0, PAGE_SIZE);
}

int mal_range_zero(const struct mal_range *range)
{
	unsigned long i;

	for (i = 0; i < range->pages; i++) {
		mal_range_zero_page(range, i);
		if (IS_ALIGNED(i, MAX_ORDER_NR_PAGES)) {
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
	}
	return 0;
}

void mal_range_give_back(const struct mal_range *range, mal_give_back give_back)
{
	const unsigned long end = range->pfn + range->pages;
	unsigned long first = range->pfn;
	unsigned long pfn;

	for (pfn = first; pfn < end; pfn++) {
		if (IS_ALIGNED(pfn, MAX_ORDER_NR_PAGES))
			cond_resched();
		if (!PageHWPoison(pfn_to_page(pfn)))
			continue;
		if (first < pfn)
			give_back(range, first, pfn - first);
		/* The kernel's own reference to a poisoned page keeps it out of use. */
		put_page(pfn_to_page(pfn));
		first = pfn + 1;
	}
	if (first < end)
		give_back(range, first, end - first);
}
