/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_REGION_H
#define MAL_REGION_H

#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>

#include "arena.h"
#include "charge.h"
#include "source/source.h"
#include "clean.h"
#include "offset.h"
#include "space.h"
#include "ward.h"

/* A claimed range, and all that manages it. */
struct mal_region {
	const char *name;
	struct mal_range range;
	struct mal_arena arena;
	struct mal_clean clean;
	struct mal_offsets offsets;
	struct mal_quarantine quarantine;
	struct mal_users users;
	atomic_t clients;		/* open files */
	atomic64_t client_ids;		/* the last that was given out */
	struct mutex clients_lock;	/* of @client_list; before those of clients */
	struct list_head client_list;
	atomic64_t abandoned_buffers;	/* see struct memalloc_stats */
	atomic64_t abandoned_bytes;
	struct mal_spaces spaces;
	struct miscdevice misc;		/* the node that clients open */
};

static inline struct page *mal_region_page(const struct mal_region *region, u32 granule)
{
	return pfn_to_page(region->range.pfn + granule);
}

#endif /* MAL_REGION_H */
