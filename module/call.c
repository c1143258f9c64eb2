// SPDX-License-Identifier: GPL-2.0-only
/* Arguments of calls: copied in and out. */
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

int mal_call_respond(const struct mal_call *call)
{
	if (copy_to_user(call->user, call->arg, min(call->user_size, call->type->size)))
		return -EFAULT;
	return 0;
}
