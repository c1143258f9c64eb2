// SPDX-License-Identifier: GPL-2.0-only
/* Arguments of calls: copied in and out. */
#include <linux/fault-inject-usercopy.h>
#include <linux/ioctl.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "call.h"

/*
 * The two functions below copy whole words, without a call of the kernel. For arguments, which are
 * short, that takes a fraction of the instructions of copy_from_user() and copy_to_user(). -EFAULT.
 */
static int copy_words_from_user(u64 *to, const u64 __user *from, u32 words)
{
	u32 i;

	might_fault();
	if (should_fail_usercopy() || !user_read_access_begin(from, words * sizeof(*from)))
		return -EFAULT;
	for (i = 0; i < words; i++)
		unsafe_get_user(to[i], &from[i], fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
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
	if (err)
		return err;
	return arg->flags & ~type->flags ? -EINVAL : 0;
}

long mal_call_run(const struct mal_call_type *types, unsigned int count, struct mal_client *client,
		  unsigned int cmd, unsigned long arg)
{
	union mal_call_argument argument;
	struct mal_call call = {
		.client = client,
		.user = (void __user *)arg,
		.arg = &argument,
	};
	const struct mal_call_type *type;
	int err;

	if (MAL_CALL_INDEX(cmd) >= count)
		return -ENOTTY;
	type = &types[array_index_nospec(MAL_CALL_INDEX(cmd), count)];
	if (cmd != type->cmd)
		return -ENOTTY;
	if (get_user(call.user_size, (u32 __user *)call.user))
		return -EFAULT;
	err = mal_call_fetch(type, call.user, call.user_size, &argument.header);
	if (err)
		return err;
	/*
	 * Userspace may have changed the size since it was read. What counts is the size with
	 * which the argument was copied.
	 */
	argument.header.size = call.user_size;

	call.type = type;
	return type->run(&call);
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

int mal_call_respond(const struct mal_call *call)
{
	const u32 size = min(call->user_size, call->type->size);
	const u32 words = size / sizeof(u64);
	u64 __user *user = call->user;
	const u64 *arg = call->arg;

	if (copy_words_to_user(user, arg, words))
		return -EFAULT;
	if (size % sizeof(u64) && copy_to_user(user + words, arg + words, size % sizeof(u64)))
		return -EFAULT;
	return 0;
}
