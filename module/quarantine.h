/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_QUARANTINE_H
#define MAL_QUARANTINE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct mal_buffer;
struct mal_payer;
struct mal_users;

/*
 * Buffers are in quarantine whose last user is gone while a page of theirs is still held, as by
 * direct I/O in flight. Pages that nobody holds come back at once. A pin goes away without telling
 * anyone, so the others are looked at again now and then: see quarantine.c for what that costs, and
 * whom. Each buffer there holds a reference to the module.
 */

/* What one user has in quarantine. Nobody else ever looks at it, nor waits for who does. */
struct mal_ward {
	/* Held while buffers are looked at; after mmap_lock, before all others of the module. */
	struct mutex looking;

	struct mutex lock;		/* of what follows; after @looking, before the arena's */
	struct list_head buffers;	/* the next to look at first; taken off with @looking */
	unsigned int count;		/* of them */
	unsigned int todo;		/* of them, in this pass */
	bool returned;			/* something came back in this pass; with @looking */
	unsigned int delay_ms;		/* from this pass to the next */
	struct workqueue_struct *wq;
	struct delayed_work work;	/* pending or running: it has a reference to the user */
};

/* Of a region: the buffers that are unreleased, which nobody looks at before RELEASE. */
struct mal_quarantine {
	struct mutex lock;		/* of @unreleased; before the arena's */
	struct list_head unreleased;
	atomic_t coming;		/* buffers that are quarantined, and in no list yet */
};

void mal_quarantine_init(struct mal_quarantine *quarantine);
void mal_quarantine_destroy(struct mal_quarantine *quarantine);

/* The ward's work is done on @wq. */
void mal_ward_init(struct mal_ward *ward, struct workqueue_struct *wq);

/* The ward is empty, and its work neither pending nor running. */
void mal_ward_destroy(struct mal_ward *ward);

/*
 * Takes over @buffer, which nobody else knows any more, until its pages are back. Sleeps as long as
 * it takes to look at each of its pages once.
 */
void mal_quarantine_add(struct mal_quarantine *quarantine, struct mal_buffer *buffer);

/*
 * The unreleased buffer whose block begins at @first, and has @pages unless that is 0,
 * is an ordinary one from now on. Sleeps. -ENOENT: there is none; -ERANGE: it has
 * another number of pages.
 */
int mal_quarantine_release(struct mal_quarantine *quarantine, u64 first, u64 pages);
void mal_quarantine_release_all(struct mal_quarantine *quarantine);

/*
 * Give back what can be given back of what the user of @payer has there, at a bounded cost;
 * whether something may have come back since the caller was refused. Sleeps; waits for other
 * callers of that user alone, and a fatal signal ends that.
 */
bool mal_quarantine_look(struct mal_payer *payer);

/* The pages that are in the lists, in *@unreleased those that wait for RELEASE. Sleeps. */
u64 mal_quarantine_count(struct mal_quarantine *quarantine, struct mal_users *users,
			 u64 *unreleased);

#endif /* MAL_QUARANTINE_H */
