// SPDX-License-Identifier: GPL-2.0-only
/* Arguments of calls: copied in and out. */
#include <linux/fault-inject-usercopy.h>
#include <linux/ioctl.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "call.h"

/*
 * Arguments are copied by whole words, without a call of the kernel: they are short, and so that
 * takes a fraction of the instructions of copy_from_user() and copy_to_user(). -EFAULT.
 */
static __always_inline int read_words(u64 *to, const u64 __user *from, u32 words)
{
	u32 i;

	/* Two a turn: arguments of calls are a dozen words. */
	for (i = 0; i + 1 < words; i += 2) {
		unsafe_get_user(to[i], &from[i], fault);
		unsafe_get_user(to[i + 1], &from[i + 1], fault);
	}
	if (i < words)
		unsafe_get_user(to[i], &from[i], fault);
	return 0;

fault:
	return -EFAULT;
}

static int copy_words_from_user(u64 *to, const u64 __user *from, u32 words)
{
	int err;

	might_fault();
	if (should_fail_usercopy() || !user_read_access_begin(from, words * sizeof(*from)))
		return -EFAULT;
	err = read_words(to, from, words);
	user_read_access_end();
	return err;
}

static int copy_words_to_user(u64 __user *to, const u64 *from, u32 words)
{
	u32 i;

	might_fault();
	if (should_fail_usercopy() || !user_write_access_begin(to, words * sizeof(*to)))
		return -EFAULT;
	for (i = 0; i < words; i++)
		unsafe_put_user(from[i], &to[i], fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

static int check_flags(const struct mal_call_type *type, const struct mal_call_header *arg)
{
	return arg->flags & ~type->flags ? -EINVAL : 0;
}

int mal_call_fetch(const struct mal_call_type *type, const void __user *user, u32 user_size,
		   struct mal_call_header *arg)
{
	int err;

	if (user_size < type->min_size)
		return -EINVAL;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	if (likely(user_size == type->size))
		err = copy_words_from_user((u64 *)arg, user, type->size / sizeof(u64));
	else
		err = copy_struct_from_user(arg, type->size, user, user_size);
	return err ?: check_flags(type, arg);
}

/* Userspace knows another length of the argument, or has made a mistake. */
static noinline int fetch_other_length(struct mal_call *call)
{
	struct mal_call_header *arg = call->arg;
	int err;

	if (get_user(call->user_size, (u32 __user *)call->user))
		return -EFAULT;
	err = mal_call_fetch(call->type, call->user, call->user_size, arg);
	/*
	 * Userspace may have changed the size since it was read. What counts is the size with
	 * which the argument was copied.
	 */
	arg->size = call->user_size;
	return err;
}

/*
 * Copy in the argument of the call, whose type is set. Most programs know the argument as it is
 * here: then all is read at one go.
 */
static int fetch_argument(struct mal_call *call)
{
	const struct mal_call_type *type = call->type;
	struct mal_call_header *arg = call->arg;
	const void __user *user = call->user;
	u32 size;
	int err;

	might_fault();
	if (should_fail_usercopy())
		return -EFAULT;
	if (unlikely(!user_read_access_begin(user, type->size)))
		return fetch_other_length(call);
	unsafe_get_user(size, (const u32 __user *)user, fault);
	if (unlikely(size != type->size)) {
		user_read_access_end();
		return fetch_other_length(call);
	}
	err = read_words((u64 *)arg, user, size / sizeof(u64));
	user_read_access_end();
	/* As in fetch_other_length(). */
	arg->size = size;
	call->user_size = size;
	return err ?: check_flags(type, arg);

fault:
	user_read_access_end();
	return -EFAULT;
}

long mal_call_run(const struct mal_call_type *types, unsigned int count, struct mal_client *client,
		  unsigned int cmd, unsigned long arg)
{
	union mal_call_argument argument __uninitialized;
	struct mal_call call __uninitialized;
	int err;

	if (MAL_CALL_INDEX(cmd) >= count)
		return -ENOTTY;
	call.type = &types[array_index_nospec(MAL_CALL_INDEX(cmd), count)];
	if (cmd != call.type->cmd)
		return -ENOTTY;
	call.client = client;
	call.user = (void __user *)arg;
	call.arg = &argument;
	err = fetch_argument(&call);
	return err ?: call.type->run(&call);
}

int mal_call_copy_entries(u8 __user *to, u32 stride, const void *entries, size_t size, u32 n)
{
	const size_t known = min_t(size_t, stride, size);
	u32 i;

	for (i = 0; i < n; i++, to += stride, entries += size) {
		if (copy_to_user(to, entries, known) || clear_user(to + known, stride - known))
			return -EFAULT;
	}
	return 0;
}

int mal_call_answer(const struct mal_call_type *type, void __user *user, u32 user_size,
		    const void *arg)
{
	const u32 end = min(user_size, type->answer_end ?: type->size);
	const u32 start = type->answer_start;
	const u32 words = (end - start) / sizeof(u64);
	const u32 copied = start + words * sizeof(u64);

	if (copy_words_to_user(user + start, arg + start, words))
		return -EFAULT;
	if (copied < end && copy_to_user(user + copied, arg + copied, end - copied))
		return -EFAULT;
	return 0;
}
