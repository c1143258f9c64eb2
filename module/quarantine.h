/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_QUARANTINE_H
#define MAL_QUARANTINE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct mal_buffer;

/*
 * Buffers whose last user is gone while a page of theirs is still held, as by
 * direct I/O in flight. Pages that nobody holds come back at once. A pin goes away
 * without telling anyone, so the others are looked at again now and then. And those
 * buffers that are unreleased, which are not looked at before they are released. Each
 * holds a reference to the module.
 */
struct mal_quarantine {
	struct mutex lock;		/* of the lists; before the arena's */
	struct list_head buffers;
	struct list_head unreleased;
	struct delayed_work rescan;	/* pending whenever @buffers is not empty */
};

void mal_quarantine_init(struct mal_quarantine *quarantine);
void mal_quarantine_destroy(struct mal_quarantine *quarantine);

/* Takes over @buffer, which nobody else knows any more, until its pages are back. Sleeps. */
void mal_quarantine_add(struct mal_quarantine *quarantine, struct mal_buffer *buffer);

/*
 * The unreleased buffer whose block begins at @first, and has @pages unless that is 0,
 * is an ordinary one from now on. Sleeps. -ENOENT: there is none; -ERANGE: it has
 * another number of pages.
 */
int mal_quarantine_release(struct mal_quarantine *quarantine, u64 first, u64 pages);
void mal_quarantine_release_all(struct mal_quarantine *quarantine);

/* Whether what the arena counts is what is in the lists. Sleeps. */
bool mal_quarantine_is_sound(struct mal_quarantine *quarantine);

/* Give back what can be given back; whether something was. Sleeps. */
bool mal_quarantine_rescan(struct mal_quarantine *quarantine);

#endif /* MAL_QUARANTINE_H */
