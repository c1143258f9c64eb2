/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CHARGE_H
#define MAL_CHARGE_H

#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include "ward.h"

struct memalloc_limits;

/* What somebody has, may have at most, or asks for. */
struct mal_amount {
	u64 bytes;
	u64 buffers;
};

#define MAL_NO_LIMIT	{ .bytes = U64_MAX, .buffers = U64_MAX }

/* Of the bytes of users: nobody has set it. Each but root may have all but a sixteenth. */
#define MAL_DEFAULT_BYTES	0

/*
 * What each user and each client may have; see READ_ONCE(). They may change at any time;
 * what is charged by then stays.
 */
extern struct mal_amount mal_user_limit;
extern struct mal_amount mal_client_limit;

/* The users that have a client, or had one whose memory is not back yet. */
struct mal_users {
	struct mutex lock;		/* of @by_uid; after those of wards */
	struct rb_root by_uid;
	u64 default_bytes;		/* that a user may have, if nothing else was said */
	struct workqueue_struct *wq;	/* for what is to be done with their wards, */
	work_func_t scan;		/* which is that */
};

/* All that is charged to one user. */
struct mal_user {
	struct mal_users *users;
	struct rb_node node;		/* in users->by_uid */
	kuid_t uid;
	refcount_t ref;			/* one per payer; 0 only under users->lock */
	struct mal_ward ward;

	spinlock_t lock;		/* of what follows and of all payers; innermost */
	struct mal_amount charged;
	bool was_refused;		/* and the log says so: such a user is not forgotten */
};

/* Who has opened a file, as it was then: for people. */
struct mal_opener {
	pid_t pid;			/* of the process, in the initial namespace */
	kuid_t uid;
	char comm[TASK_COMM_LEN];
};

/*
 * Who pays for what a client allocates: the client itself and its user. It lives on
 * without the client as long as anything is charged.
 */
struct mal_payer {
	struct mal_user *user;
	struct mal_opener opener;	/* of the client */

	/* Under user->lock: */
	struct mal_amount charged;
	struct mal_amount own_limit;	/* of the client, besides mal_client_limit */
	bool closed;			/* the client is gone */
};

/* For a region of that many pages. The work of wards is @scan. Sleeps. -ENOMEM. */
int mal_users_init(struct mal_users *users, unsigned long pages, work_func_t scan);

/* No payer may be left. Sleeps. */
void mal_users_destroy(struct mal_users *users);

void mal_user_get(struct mal_user *user);
void mal_user_put(struct mal_user *user);

/*
 * To look at all users: the next after @user, which is given back, or with NULL the first;
 * or NULL. Sleeps.
 */
struct mal_user *mal_users_next(struct mal_users *users, struct mal_user *user);

/* The payer of a new client, whom this process has opened. Sleeps. NULL: no memory. */
struct mal_payer *mal_payer_open(struct mal_users *users);

/* The client is gone; the payer goes with it, or with its last charge. Sleeps. */
void mal_payer_close(struct mal_payer *payer);

/*
 * Whoever gets a part of the region is charged by the first of these before it is taken
 * from the heap, and no longer by the second after it has returned there. Another
 * controller, like the kernel's own for device memory, would be asked here, too.
 *
 * No charge ever exceeds a limit, not for a moment, but for callers with CAP_SYS_RESOURCE.
 * -EDQUOT: nothing was charged. Both sleep.
 */
int __must_check mal_charge(struct mal_payer *payer, u64 bytes, u64 buffers);
void mal_uncharge(struct mal_payer *payer, u64 bytes, u64 buffers);

/*
 * The charge has been refused: the log says so if it is the first one of that user, and which
 * parameter stood against it. Not if it was a limit that the client has set itself. Sleeps.
 */
void mal_charge_log_refusal(struct mal_payer *payer, u64 bytes, u64 buffers);

/* Fill in the limits that hold for the payer, and what is charged. */
void mal_payer_get_limits(struct mal_payer *payer, struct memalloc_limits *limits);

/*
 * Set the client's own limits that @wanted->flags name. Without @may_raise, those that
 * are lower already stay.
 */
void mal_payer_set_limits(struct mal_payer *payer, const struct memalloc_limits *wanted,
			  bool may_raise);

#endif /* MAL_CHARGE_H */
