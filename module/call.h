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

	/* The answer: these bytes of the argument. @answer_end 0: to the end. */
	u32 answer_start;
	u32 answer_end;
	const struct mal_call_type *entries;	/* a batch: the kind of its entries */
};

/* What any call's argument fits into. */
union mal_call_argument {
	struct mal_call_header header;
	u64 words[40];
};

/* For a line of the table: only the fields from @first to @last are copied out. */
#define MAL_CALL_ANSWER(type, first, last)					\
	.answer_start = offsetof(struct type, first),				\
	.answer_end = offsetofend(struct type, last)

/* A table has calls of one kind of node: 64 numbers are theirs. */
#define MAL_CALL_INDEX(cmd)	(_IOC_NR(cmd) % 64)

/* A line of it. @last is the last field of the argument's first version: none may be shorter. */
#define MAL_CALL(name, function, type, last, known, ...)			\
	[MAL_CALL_INDEX(name)] = {						\
		.cmd = name,							\
		.run = function,						\
		.size = sizeof(struct type) + BUILD_BUG_ON_ZERO(		\
			offsetof(struct type, flags) != offsetof(struct mal_call_header, flags) || \
			sizeof(struct type) > sizeof(union mal_call_argument) ||	\
			sizeof(struct type) % sizeof(u64)),				\
		.min_size = offsetofend(struct type, last),			\
		.flags = known,							\
		__VA_ARGS__							\
	}

/*
 * Run the call @cmd of a table with @count lines. @client: if the node is a region's. -ENOTTY:
 * there is no such call; else the errors of mal_call_fetch() and of the call.
 */
long mal_call_run(const struct mal_call_type *types, unsigned int count, struct mal_client *client,
		  unsigned int cmd, unsigned long arg);

/*
 * Copy in an argument of which userspace knows @user_size bytes. -EFAULT; -EINVAL: the argument
 * is too short, or has unknown flags; -E2BIG: it is longer than a page, or a byte that this
 * module does not know is not zero.
 */
int mal_call_fetch(const struct mal_call_type *type, const void __user *user, u32 user_size,
		   struct mal_call_header *arg);

/*
 * Copy @n entries of @size bytes to an array of userspace that has one every @stride bytes. Bytes
 * of an entry that are unknown here become zero. -EFAULT.
 */
int __must_check mal_call_copy_entries(u8 __user *to, u32 stride, const void *entries, size_t size,
				       u32 n);

/*
 * Copy the answer out, as far as userspace, which knows @user_size bytes of the argument, knows it.
 * -EFAULT.
 */
int __must_check mal_call_answer(const struct mal_call_type *type, void __user *user,
				 u32 user_size, const void *arg);

/* The same for the call's own argument. */
static inline int __must_check mal_call_respond(const struct mal_call *call)
{
	return mal_call_answer(call->type, call->user, call->user_size, call->arg);
}

#endif /* MAL_CALL_H */
