/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CHARGE_H
#define MAL_CHARGE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include "magazine.h"
#include "space.h"
#include "ward.h"

struct memalloc_limits;

/* An amount that is charged, asked for, or a limit. */
struct mal_amount {
	u64 bytes;
	u64 buffers;
};

#define MAL_NO_LIMIT	{ .bytes = U64_MAX, .buffers = U64_MAX }

/* No limit is set for the bytes of users: each one but root may have all but a sixteenth. */
#define MAL_DEFAULT_BYTES	0

/*
 * The limits of each user and of each client. The administrator may change them at any time, hence
 * READ_ONCE(), and then calls mal_users_limits_changed(). Charges above a lowered limit stay.
 */
struct mal_limits {
	struct mal_amount user;
	struct mal_amount client;
};

/* The users that have a client, or had one whose memory is not back yet, or were refused memory. */
struct mal_users {
	const char *region;		/* its name, for the log */
	struct mutex lock;		/* of @by_uid; after those of wards */
	struct rb_root by_uid;
	struct mal_limits limits;
	atomic_t changes;		/* of limits: how many */
	u64 default_bytes;		/* the limit of a user, if none was set */
	struct workqueue_struct *wq;	/* of the work of wards */
	work_func_t scan;		/* the work of a ward */
	struct mal_magazines *magazines;	/* of all clients of the region */
};

/* All that is charged to one user. */
struct mal_user {
	struct mal_users *users;
	struct rb_node node;		/* in users->by_uid */
	kuid_t uid;
	refcount_t ref;			/* of payers and others; 0 only under users->lock */
	struct mal_ward ward;
	struct list_head magazines;	/* slices that are loaded; under users->magazines->lock */

	/* Under region->compacting: in that second, so many bytes were moved for its requests. */
	u64 moves_second;
	u64 moved;
	bool keeps_count;	/* such a user is kept until unload, for the sake of that */

	spinlock_t lock;		/* of what follows, and of payers */
	struct list_head creditors;	/* payers that have credit, or may have some */
	unsigned int revoking;		/* tasks that take the credit of all: nobody gets any */
	struct mal_amount charged;	/* with the credit of all payers */
	bool was_refused;		/* the log says so; such a user is kept until unload */
};

/* The process that opened a file, as it was then; or a driver, without PID or UID: for people. */
struct mal_opener {
	pid_t pid;			/* of the process, in the initial namespace */
	kuid_t uid;
	char comm[TASK_COMM_LEN];
};

/*
 * Pays for what a client allocates: the client and its user are charged together. A payer
 * outlives its client as long as anything is charged.
 *
 * What a client gives back stays charged to the user, as the payer's credit, and the client's next
 * charges take it from there: so they need no lock of the user, and write to nothing that other
 * clients use. Before a charge is refused, the credit of all payers of the user is taken back, and
 * their magazines are emptied.
 * Whoever looks sees no credit: it is part of no figure.
 */
struct mal_payer {
	struct mal_user *user;
	struct mal_opener opener;	/* of the client */
	struct mal_spare spare;		/* made by the client, and paid by its cgroup */
	struct mal_magazine magazine;	/* of the client; what is in it is charged */

	/* Under user->lock: */
	struct list_head node;		/* in user->creditors, while @has_credit */
	struct mal_amount charged;	/* with the credit */
	struct mal_amount own_limit;	/* of the client, besides users->limits.client */
	bool closed;			/* the client is gone: no credit any more */

	spinlock_t lock;		/* of what follows; after user->lock, innermost */
	bool has_credit;		/* what comes back becomes credit; else there is none */
	struct mal_amount credit;
	int changes;			/* users->changes, when the limits were last looked at */

	struct rcu_head rcu;
};

/* For the region of that name, of @pages. @scan is the work of wards. Sleeps. -ENOMEM. */
int mal_users_init(struct mal_users *users, const char *region, unsigned long pages,
		   const struct mal_limits *limits, work_func_t scan,
		   struct mal_magazines *magazines);

/* Called after a limit was written to. */
static inline void mal_users_limits_changed(struct mal_users *users)
{
	/* Who sees the change sees the limit: pairs with begin_credit(). */
	smp_mb__before_atomic();
	atomic_inc(&users->changes);
}

/* The region has @pages now, of which the default limit of a user depends. */
void mal_users_set_pages(struct mal_users *users, unsigned long pages);

/* No payer may be left. Sleeps. */
void mal_users_destroy(struct mal_users *users);

void mal_user_get(struct mal_user *user);
void mal_user_put(struct mal_user *user);

/*
 * Iterates over all users: returns the one after @user, with a reference, and drops the reference
 * to @user. @user NULL: begins; returns NULL: there are no more. Sleeps.
 */
struct mal_user *mal_users_next(struct mal_users *users, struct mal_user *user);

/* A payer for a client that this process opens. Sleeps. NULL: no memory. */
struct mal_payer *mal_payer_open(struct mal_users *users);

/*
 * A payer for a driver, which is a user of its own, the system: no limit holds for it. @driver: the
 * name for people. Sleeps. NULL: no memory.
 */
struct mal_payer *mal_payer_open_system(struct mal_users *users, const char *driver);

/*
 * The client is gone. The payer goes now, or with its last charge; but its memory only when all
 * readers under RCU are done. Sleeps.
 */
void mal_payer_close(struct mal_payer *payer);

/*
 * mal_charge() is called before memory is taken from the heap, mal_uncharge() after it has returned
 * there. What cgroups may have is charged besides: see dmem.h.
 *
 * No charge ever exceeds a limit, not for a moment, but for callers with CAP_SYS_RESOURCE.
 * -EDQUOT: nothing was charged. mal_charge() sleeps; mal_uncharge() only if the payer is closed.
 */
int __must_check mal_charge(struct mal_payer *payer, u64 bytes, u64 buffers);
void mal_uncharge(struct mal_payer *payer, u64 bytes, u64 buffers);

/*
 * A charge was refused, also after a scan of the quarantine. The first time for a user, log it,
 * with the name of the limit; but not if the client has set the limit
 * itself. Sleeps.
 */
void mal_charge_log_refusal(struct mal_payer *payer, u64 bytes, u64 buffers);

/* The user of drivers' payers, for which no limit holds. */
static inline bool mal_user_is_system(const struct mal_user *user)
{
	return !uid_valid(user->uid);
}

/*
 * True: what is charged to the payer is within each limit that was set before the call. False: it
 * is not, or that is not known. Takes no lock.
 */
static inline bool mal_payer_is_within_limits(const struct mal_payer *payer)
{
	return READ_ONCE(payer->has_credit) &&
	       READ_ONCE(payer->changes) == atomic_read(&payer->user->users->changes);
}

/* Fill in the limits of the payer, and what is charged to it. Sleeps. */
void mal_payer_get_limits(struct mal_payer *payer, struct memalloc_limits *limits);

/*
 * Set the client's own limits that @wanted->flags name. Without @may_raise, a limit that is
 * already lower stays.
 */
void mal_payer_set_limits(struct mal_payer *payer, const struct memalloc_limits *wanted,
			  bool may_raise);

#endif /* MAL_CHARGE_H */
