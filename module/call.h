/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CALL_H
#define MAL_CALL_H

#include <linux/types.h>

struct mal_client;

/* What every argument begins with. */
struct mal_call_header {
	u32 size;
	u32 flags;
};

/* A call under way. */
struct mal_call {
	const struct mal_call_type *type;
	struct mal_client *client;
	void __user *user;	/* the argument, */
	u32 user_size;		/* as long as userspace knows it */
	void *arg;		/* our copy */
};

/* What a call is like. */
struct mal_call_type {
	unsigned int cmd;
	int (*run)(struct mal_call *call);
	u32 size;		/* of the argument, as long as we know it */
	u32 min_size;
	u32 flags;		/* the known ones */
	const struct mal_call_type *entries;	/* of a batch: its entries are these arguments */
};

/*
 * Copy in an argument of which userspace knows @user_size bytes. -EFAULT; -EINVAL: it is too
 * short, or has unknown flags; -E2BIG: what is unknown in it is not zero.
 */
int mal_call_fetch(const struct mal_call_type *type, const void __user *user, u32 user_size,
		   struct mal_call_header *arg);

/* Tell userspace the answer: of the argument, what both sides know. -EFAULT. */
int __must_check mal_call_respond(const struct mal_call *call);

#endif /* MAL_CALL_H */
