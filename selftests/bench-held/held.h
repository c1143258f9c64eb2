/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The compiler puts this before each file of the module that `make bench-held` builds. There, each
 * place that takes a spinlock notes for how long the lock was held at most. See held.c.
 */
#ifndef HELD_H
#define HELD_H

/* These have inline functions that take locks of the kernel, so they come before the macros. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>

/* A place that takes a lock. */
struct held_site {
	struct held_site *next;
	const char *file;
	const char *function;
	unsigned int line;
	u64 holds;
	u64 longest;
};

void held_lock(spinlock_t *lock, struct held_site *site);
void held_unlock(spinlock_t *lock);

#define spin_lock(lock)								\
do {										\
	static struct held_site held_site = {					\
		.file = __FILE__,						\
		.function = __func__,						\
		.line = __LINE__,						\
	};									\
										\
	held_lock(lock, &held_site);						\
} while (0)

#define spin_unlock(lock)	held_unlock(lock)

#endif /* HELD_H */
