// SPDX-License-Identifier: GPL-2.0-only
/* The table of calls: the argument and the function of each. */
#include <linux/fs.h>
#include <linux/memalloc.h>

#include "call.h"
#include "calls.h"
#include "client.h"
#include "ioctl.h"
#include "region.h"

static const struct mal_call_type call_types[] = {
	MAL_CALL(MEMALLOC_IOC_INFO, mal_call_info, memalloc_info, fit, 0),
	MAL_CALL(MEMALLOC_IOC_ALLOC, mal_call_alloc, memalloc_alloc, mmap_offset,
		 MEMALLOC_ALLOC_HUGE,
		 MAL_CALL_ANSWER(memalloc_alloc, handle, mmap_offset)),
	MAL_CALL(MEMALLOC_IOC_FREE, mal_call_free, memalloc_free, length, 0),
	MAL_CALL(MEMALLOC_IOC_QUERY, mal_call_query, memalloc_query, mmap_offset,
		 MEMALLOC_QUERY_PHYSICAL),
	MAL_CALL(MEMALLOC_IOC_STATS, mal_call_stats, memalloc_stats, reserved, 0),
	MAL_CALL(MEMALLOC_IOC_LAYOUT, mal_call_layout, memalloc_layout, block_size, 0),
	MAL_CALL(MEMALLOC_IOC_EXPORT, mal_call_export, memalloc_export, reserved, 0),
	MAL_CALL(MEMALLOC_IOC_IMPORT, mal_call_import, memalloc_import, reserved,
		 MEMALLOC_IMPORT_READ_ONLY),
	MAL_CALL(MEMALLOC_IOC_LIMITS, mal_call_limits, memalloc_limits, user_buffers,
		 MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS),
	MAL_CALL(MEMALLOC_IOC_RELEASE, mal_call_release, memalloc_release, length,
		 MEMALLOC_RELEASE_ALL),
	MAL_CALL(MEMALLOC_IOC_SYNC, mal_call_sync, memalloc_sync, length,
		 MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END),
	MAL_CALL(MEMALLOC_IOC_ALLOC_BATCH, mal_call_alloc_batch, memalloc_batch, entry_size, 0,
		 .entries = &call_types[MAL_CALL_INDEX(MEMALLOC_IOC_ALLOC)]),
	MAL_CALL(MEMALLOC_IOC_FREE_BATCH, mal_call_free_batch, memalloc_batch, entry_size, 0,
		 .entries = &call_types[MAL_CALL_INDEX(MEMALLOC_IOC_FREE)]),
	MAL_CALL(MEMALLOC_IOC_RESIZE, mal_call_resize, memalloc_resize, length, 0),
	MAL_CALL(MEMALLOC_IOC_NAME, mal_call_name, memalloc_name, name, 0),
	MAL_CALL(MEMALLOC_IOC_COMPACT, mal_call_compact, memalloc_compact, huge, 0),
	MAL_CALL(MEMALLOC_IOC_TRANSLATE, mal_call_translate, memalloc_translate, physical,
		 MEMALLOC_TRANSLATE_PHYSICAL | MEMALLOC_TRANSLATE_ADDRESS),
};

long mal_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mal_client *client = file->private_data;

	if (mal_range_is_gone(&client->region->ranges.own))
		return -ENODEV;
	return mal_call_run(call_types, ARRAY_SIZE(call_types), client, cmd, arg);
}
