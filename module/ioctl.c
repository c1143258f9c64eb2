// SPDX-License-Identifier: GPL-2.0-only
/* The table of calls: the argument and the function of each. */
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>
#include <linux/memalloc.h>

#include "call.h"
#include "calls.h"
#include "ioctl.h"

/* What any call's argument fits into. */
union argument {
	struct mal_call_header header;
	u64 words[32];
};

/* @last is the last field of the argument's first version: no argument may be shorter. */
#define CALL(name, function, type, last, known, ...)				\
	[_IOC_NR(name)] = {							\
		.cmd = name,							\
		.run = function,						\
		.size = sizeof(struct type) + BUILD_BUG_ON_ZERO(		\
			offsetof(struct type, flags) != offsetof(struct mal_call_header, flags) || \
			sizeof(struct type) > sizeof(union argument)),		\
		.min_size = offsetofend(struct type, last),			\
		.flags = known,							\
		__VA_ARGS__							\
	}

static const struct mal_call_type call_types[] = {
	CALL(MEMALLOC_IOC_INFO, mal_call_info, memalloc_info, fit, 0),
	CALL(MEMALLOC_IOC_ALLOC, mal_call_alloc, memalloc_alloc, mmap_offset, 0),
	CALL(MEMALLOC_IOC_FREE, mal_call_free, memalloc_free, length, 0),
	CALL(MEMALLOC_IOC_QUERY, mal_call_query, memalloc_query, mmap_offset,
	     MEMALLOC_QUERY_PHYSICAL),
	CALL(MEMALLOC_IOC_STATS, mal_call_stats, memalloc_stats, reserved, 0),
	CALL(MEMALLOC_IOC_LAYOUT, mal_call_layout, memalloc_layout, block_size, 0),
	CALL(MEMALLOC_IOC_EXPORT, mal_call_export, memalloc_export, reserved, 0),
	CALL(MEMALLOC_IOC_IMPORT, mal_call_import, memalloc_import, reserved,
	     MEMALLOC_IMPORT_READ_ONLY),
	CALL(MEMALLOC_IOC_LIMITS, mal_call_limits, memalloc_limits, user_buffers,
	     MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS),
	CALL(MEMALLOC_IOC_RELEASE, mal_call_release, memalloc_release, length,
	     MEMALLOC_RELEASE_ALL),
	CALL(MEMALLOC_IOC_SYNC, mal_call_sync, memalloc_sync, length,
	     MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END),
	CALL(MEMALLOC_IOC_ALLOC_BATCH, mal_call_alloc_batch, memalloc_batch, entry_size, 0,
	     .entries = &call_types[_IOC_NR(MEMALLOC_IOC_ALLOC)]),
	CALL(MEMALLOC_IOC_FREE_BATCH, mal_call_free_batch, memalloc_batch, entry_size, 0,
	     .entries = &call_types[_IOC_NR(MEMALLOC_IOC_FREE)]),
	CALL(MEMALLOC_IOC_RESIZE, mal_call_resize, memalloc_resize, length, 0),
	CALL(MEMALLOC_IOC_NAME, mal_call_name, memalloc_name, name, 0),
};

long mal_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	union argument argument;
	struct mal_call call = {
		.client = file->private_data,
		.user = (void __user *)arg,
		.arg = &argument,
	};
	const struct mal_call_type *type;
	int err;

	if (_IOC_NR(cmd) >= ARRAY_SIZE(call_types))
		return -ENOTTY;
	type = &call_types[array_index_nospec(_IOC_NR(cmd), ARRAY_SIZE(call_types))];
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
