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
 * direct I/O in flight. A pin goes away without telling anyone, so they are looked
 * at again now and then. Each holds a reference to the module.
 */
struct mal_quarantine {
	struct mutex lock;		/* of @buffers; before the arena's */
	struct list_head buffers;
	struct delayed_work rescan;	/* pending whenever @buffers is not empty */
};

void mal_quarantine_init(struct mal_quarantine *quarantine);
void mal_quarantine_destroy(struct mal_quarantine *quarantine);

/* Takes over @buffer, which nobody else knows any more, until its pages are idle. Sleeps. */
void mal_quarantine_add(struct mal_quarantine *quarantine, struct mal_buffer *buffer);

/* Give back what can be given back; whether something was. Sleeps. */
bool mal_quarantine_rescan(struct mal_quarantine *quarantine);

#endif /* MAL_QUARANTINE_H */
