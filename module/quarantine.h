/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_QUARANTINE_H
#define MAL_QUARANTINE_H

#include <linux/types.h>

struct mal_extent;
struct mal_quarantine;
struct mal_user;
struct mal_users;
struct work_struct;

/*
 * An extent is in quarantine if its last user is gone and a page of it is still held, as by
 * direct I/O in flight, or if it is retained. Pages that nobody holds come back at once, unless
 * the extent is retained. Nobody is notified when a pin goes away, so the other pages are
 * scanned again now and then: see quarantine.c for what that costs, and whom. Each extent in
 * quarantine holds a reference to the region, and to the module.
 */

void mal_quarantine_init(struct mal_quarantine *quarantine);
void mal_quarantine_destroy(struct mal_quarantine *quarantine);

/* The work of a user's ward. */
void mal_quarantine_work(struct work_struct *work);

/*
 * Takes over @extent, which nobody else uses any more, until its pages are back. Sleeps; scans each
 * page once.
 */
void mal_quarantine_add(struct mal_quarantine *quarantine, struct mal_extent *extent);

/*
 * The extent whose block begins at @first is no longer retained: its pages may come back. Sleeps.
 * -ENOENT: no retained extent begins there; -ERANGE: @pages is not 0, and not its number of pages.
 */
int mal_quarantine_release(struct mal_quarantine *quarantine, u64 first, u64 pages);
void mal_quarantine_release_all(struct mal_quarantine *quarantine);

/*
 * Scan the quarantine of @user, at a bounded cost. True: something may have come back since the
 * caller was refused. Sleeps; waits only for scans of the same user, and killably.
 */
bool mal_quarantine_scan(struct mal_user *user);

/* The pages in all lists; *@retained: those that wait for RELEASE. Sleeps. */
u64 mal_quarantine_count(struct mal_quarantine *quarantine, struct mal_users *users,
			 u64 *retained);

#endif /* MAL_QUARANTINE_H */
