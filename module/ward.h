/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_WARD_H
#define MAL_WARD_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

/* The lists of extents in quarantine; see quarantine.h. */

/*
 * What one user has in quarantine. No call of another user scans it, or waits for a scan of it.
 * Only the check in debugfs waits.
 */
struct mal_ward {
	/* Held while extents are scanned. For the order of locks see README.md. */
	struct mutex scan_lock;

	struct mutex lock;		/* of what follows; after @scan_lock, before the arena's */
	struct list_head extents;	/* the next to scan first; taken off with @scan_lock */
	unsigned int count;		/* of @extents */
	unsigned int todo;		/* of @extents, still to be scanned in this pass */
	bool pass_freed_pages;		/* a page came back in this pass; with @scan_lock */
	unsigned int delay_ms;		/* from this pass to the next */
	struct workqueue_struct *wq;
	struct delayed_work work;	/* has a reference to the user if pending or running */
};

/* Of a region: its retained extents, which nobody scans before RELEASE. */
struct mal_quarantine {
	struct mutex lock;		/* of @retained; before the arena's */
	struct list_head retained;
	atomic_t in_transit;		/* extents that are quarantined, and in no list yet */
};

#endif /* MAL_WARD_H */
