// SPDX-License-Identifier: GPL-2.0-only
/* The table of sources, and what sources share. */
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "source/source.h"

static const struct mal_source *const sources[] = {
	&mal_source_running,
	&mal_source_reserved,
	&mal_source_cma,
#ifdef CONFIG_PCI
	&mal_source_pci,
#endif
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

void mal_sources_stop(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		if (sources[i]->stop)
			sources[i]->stop();
	}
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

int mal_range_claim(struct mal_range *range, const struct mal_source *source,
		    const struct mal_wish *wish, void (*lose)(struct mal_range *range))
{
	range->source = source;
	range->lose = lose;
	range->state = MAL_RANGE_THERE;
	init_rwsem(&range->use);
	atomic_set(&range->holds, 0);
	return source->claim(range, wish);
}

/* The states follow one another. False: the range has @state already, or a later one. */
static bool advance(struct mal_range *range, enum mal_range_state state)
{
	bool advances;

	down_write(&range->use);
	advances = range->state < state;
	if (advances)
		WRITE_ONCE(range->state, state);
	up_write(&range->use);
	return advances;
}

void mal_range_lose(struct mal_range *range)
{
	advance(range, MAL_RANGE_GONE);
}

void mal_range_release(struct mal_range *range)
{
	if (advance(range, MAL_RANGE_RELEASED))
		range->source->release(range);
}

bool mal_range_hold(struct mal_range *range)
{
	if (!mal_range_enter(range))
		return false;
	atomic_inc(&range->holds);
	mal_range_leave(range);
	return true;
}

void mal_range_drop(struct mal_range *range)
{
	/* What was done while holding comes before: pairs with mal_range_is_held(). */
	(void)atomic_dec_return_release(&range->holds);
}

static bool is_held_page(struct page *page)
{
	/* A poisoned page is the kernel's. */
	return page_count(page) != 1 && !PageHWPoison(page);
}

bool mal_range_is_held(const struct mal_range *range, unsigned long *page)
{
	if (atomic_read_acquire(&range->holds))
		return true;
	if (!mal_range_has_pages(range))
		return false;
	for (; *page < range->pages; ++*page) {
		if (is_held_page(pfn_to_page(range->pfn + *page)))
			return true;
		if (IS_ALIGNED(*page, MAX_ORDER_NR_PAGES))
			cond_resched();
	}
	/* What was done with the pages comes before. */
	smp_mb();
	return false;
}

/* memset_io() of x86 may write byte by byte: slow, and not what registers take. */
static void zero_frame(void __iomem *frame)
{
	size_t at;

	for (at = 0; at < PAGE_SIZE; at += sizeof(u64))
		__raw_writeq(0, frame + at);
}

void mal_range_zero_page(const struct mal_range *range, unsigned long index)
{
	if (mal_range_has_pages(range)) {
		clear_highpage(pfn_to_page(range->pfn + index));
		flush_dcache_page(pfn_to_page(range->pfn + index));
	} else {
		zero_frame((void __iomem *)mal_range_address(range, index));
	}
}

int mal_range_copy_page(void *to, const void *from)
{
	/* A region is never in highmem. */
	unsigned long left = copy_mc_to_kernel(to, from, PAGE_SIZE);

	/* A program may have instructions there. */
	flush_dcache_page(virt_to_page(to));
	return left ? -EHWPOISON : 0;
}

/* -ENODEV: the memory is gone. */
static int enter_and_zero(struct mal_range *range, unsigned long index)
{
	if (!mal_range_enter(range))
		return -ENODEV;
	mal_range_zero_page(range, index);
	mal_range_leave(range);
	return 0;
}

int mal_range_zero(struct mal_range *range)
{
	unsigned long i;

	for (i = 0; i < range->pages; i++) {
		int err = enter_and_zero(range, i);

		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
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
