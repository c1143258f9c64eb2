// SPDX-License-Identifier: GPL-2.0-only
/* Arguments of calls: copied in and out. */
#include <linux/ioctl.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "call.h"

int mal_call_fetch(const struct mal_call_type *type, const void __user *user, u32 user_size,
		   struct mal_call_header *arg)
{
	int err;

	if (user_size < type->min_size)
		return -EINVAL;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
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
	if (copy_to_user(call->user, call->arg, min(call->user_size, call->type->size)))
		return -EFAULT;
	return 0;
}
