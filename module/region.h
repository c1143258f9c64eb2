/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_REGION_H
#define MAL_REGION_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mutex.h>

#include "arena.h"
#include "charge.h"
#include "claim.h"
#include "clean.h"
#include "dmaheap.h"
#include "offset.h"
#include "quarantine.h"
#include "space.h"

/* A claimed range, what manages it, and its device nodes. */
struct mal_region {
	const char *name;
	struct mal_claim claim;
	struct mal_arena arena;
	struct mal_clean clean;
	struct mal_offsets offsets;
	struct mal_quarantine quarantine;
	struct mal_users users;
	atomic_t clients;		/* open files */
	atomic64_t client_ids;		/* the last one's */
	struct mutex clients_lock;	/* of @client_list; before those of clients */
	struct list_head client_list;
	atomic64_t abandoned_buffers;	/* see struct memalloc_stats */
	atomic64_t abandoned_bytes;
	struct mal_spaces spaces;
	struct miscdevice misc;
	struct mal_dmaheap dmaheap;
	struct dentry *debugfs;
};

/*
 * Claim @pages of @node (or NUMA_NO_NODE) and make a region of them, managed with
 * @fit, with device nodes of that @name. Sleeps. Errors: those of mal_claim().
 */
struct mal_region *mal_region_create(const char *name, unsigned long pages, int node,
				     const struct mal_fit *fit);

/* Nobody may use the region any more. */
void mal_region_destroy(struct mal_region *region);

/* Somebody who asked for a buffer of @length gets @err instead: count and trace it. */
void mal_region_failure(struct mal_region *region, u64 length, int err);

static inline struct page *mal_region_page(const struct mal_region *region, u32 granule)
{
	return pfn_to_page(region->claim.pfn + granule);
}

#endif /* MAL_REGION_H */
