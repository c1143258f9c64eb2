/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CALL_H
#define MAL_CALL_H

#include <linux/types.h>

struct mal_client;

/* The beginning of every argument. */
struct mal_call_header {
	u32 size;
	u32 flags;
};

/* A call under way. */
struct mal_call {
	const struct mal_call_type *type;
	struct mal_client *client;
	void __user *user;	/* the argument */
	u32 user_size;		/* the length that userspace knows */
	void *arg;		/* a copy, of the length that this module knows */
};

/* A kind of call. */
struct mal_call_type {
	unsigned int cmd;
	int (*run)(struct mal_call *call);
	u32 size;		/* of the argument; the length that this module knows */
	u32 min_size;
	u32 flags;		/* all that are known */
	const struct mal_call_type *entries;	/* a batch: the kind of its entries */
};

/*
 * Copy in an argument of which userspace knows @user_size bytes. -EFAULT; -EINVAL: the argument
 * is too short, or has unknown flags; -E2BIG: it is longer than a page, or a byte that this
 * module does not know is not zero.
 */
int mal_call_fetch(const struct mal_call_type *type, const void __user *user, u32 user_size,
		   struct mal_call_header *arg);

/* Copy the answer out: the part of the argument that both sides know. -EFAULT. */
int __must_check mal_call_respond(const struct mal_call *call);

#endif /* MAL_CALL_H */
