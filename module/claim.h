/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CLAIM_H
#define MAL_CLAIM_H

/* A contiguous range of page frames taken from running memory. */
struct mal_claim {
	unsigned long pfn;	/* the first frame */
	unsigned long pages;
	unsigned long align;	/* a power of two, in pages, that @pfn is a multiple of */
	int node;
	unsigned long memory_end;	/* the frame behind all memory that the machine had then */
};

/*
 * Take @pages contiguous pages of @node (NUMA_NO_NODE: of any), zeroed, each with
 * a reference count of one. May take seconds: pages that are in use are moved
 * elsewhere. Sleeps. -ENOMEM: there is no such range now; -EFBIG: there is less
 * memory than that; -EINTR: a fatal signal arrived. Says in the log what the
 * largest range is when it fails.
 */
int __must_check mal_claim_range(struct mal_claim *claim, unsigned long pages, int node);

/*
 * Give the range back. Nobody may hold a reference to a page of it, but for poisoned
 * ones, which the kernel keeps for itself.
 */
void mal_claim_release(struct mal_claim *claim);

#endif /* MAL_CLAIM_H */
