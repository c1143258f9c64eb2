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
 * Extents are in quarantine whose last user is gone while a page of theirs is still held, as by
 * direct I/O in flight. Pages that nobody holds come back at once. A pin goes away without telling
 * anyone, so the others are looked at again now and then: see quarantine.c for what that costs, and
 * whom. Each extent there holds a reference to the module.
 */

void mal_quarantine_init(struct mal_quarantine *quarantine);
void mal_quarantine_destroy(struct mal_quarantine *quarantine);

/* The work of a user's ward. */
void mal_quarantine_work(struct work_struct *work);

/*
 * Takes over @extent, which nobody else knows any more, until its pages are back. Sleeps as long as
 * it takes to scan each of its pages once.
 */
void mal_quarantine_add(struct mal_quarantine *quarantine, struct mal_extent *extent);

/*
 * The retained extent whose block begins at @first, and has @pages unless that is 0,
 * is an ordinary one from now on. Sleeps. -ENOENT: there is none; -ERANGE: it has
 * another number of pages.
 */
int mal_quarantine_release(struct mal_quarantine *quarantine, u64 first, u64 pages);
void mal_quarantine_release_all(struct mal_quarantine *quarantine);

/*
 * Give back what can be given back of what @user has there, at a bounded cost; whether something
 * may have come back since the caller was refused. Sleeps; waits for other callers of that user
 * alone, and a fatal signal ends that.
 */
bool mal_quarantine_scan(struct mal_user *user);

/* The pages that are in the lists, in *@retained those that wait for RELEASE. Sleeps. */
u64 mal_quarantine_count(struct mal_quarantine *quarantine, struct mal_users *users,
			 u64 *retained);

#endif /* MAL_QUARANTINE_H */
