/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_REGION_H
#define MAL_REGION_H

#include <linux/atomic.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>

#include "arena.h"
#include "claim.h"
#include "offset.h"
#include "quarantine.h"

/* A claimed range, what manages it, and its device node. */
struct mal_region {
	const char *name;
	struct mal_claim claim;
	struct mal_arena arena;
	struct mal_offsets offsets;
	struct mal_quarantine quarantine;
	atomic_t clients;		/* open files */

	/*
	 * All mappings of the region's pages, whatever file they were made through,
	 * are in this inode's address space, so that a range can be unmapped from
	 * all processes at once.
	 */
	struct inode *inode;
	struct vfsmount *mnt;		/* of the file system that holds the inode */
	struct miscdevice misc;
};

/*
 * Claim @pages of @node (or NUMA_NO_NODE) and make a region of them, managed with
 * @fit, with a device node of that @name. Sleeps. Errors: those of mal_claim().
 */
struct mal_region *mal_region_create(const char *name, unsigned long pages, int node,
				     const struct mal_fit *fit);

/* Nobody may use the region any more. */
void mal_region_destroy(struct mal_region *region);

static inline struct page *mal_region_page(const struct mal_region *region, u32 granule)
{
	return pfn_to_page(region->claim.pfn + granule);
}

#endif /* MAL_REGION_H */
