/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CLAIM_H
#define MAL_CLAIM_H

/* A contiguous range of page frames taken from running memory. */
struct mal_claim {
	unsigned long pfn;	/* the first frame */
	unsigned long pages;
	unsigned long align;	/* @pfn is a multiple of this power of two */
	int node;
	unsigned long memory_end;	/* the frame after the machine's memory, when claimed */
};

/*
 * Take @pages contiguous pages of @node (NUMA_NO_NODE: of any), zeroed, each with
 * a reference count of one. May take seconds: pages that are in use are moved
 * elsewhere. Sleeps. -ENOMEM: there is no such range now; -EFBIG: the machine has less
 * memory; -EINTR: a fatal signal arrived. On failure, logs the largest range found.
 */
int __must_check mal_claim_range(struct mal_claim *claim, unsigned long pages, int node);

/*
 * Give the range back. Nobody may hold a reference to a page of it, except to poisoned
 * pages: the kernel keeps those.
 */
void mal_claim_release(struct mal_claim *claim);

#endif /* MAL_CLAIM_H */
