/* SPDX-License-Identifier: GPL-2.0-only */
/* The calls of /dev/memalloc-control as functions that answer as those of device.h. */
#ifndef CONTROL_H
#define CONTROL_H

#include "memalloc_test.h"

#define CONTROL		"/dev/memalloc-control"

static inline int open_control(void)
{
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline struct memalloc_create region_called(const char *name, __u64 length)
{
	struct memalloc_create create = {
		.size = sizeof(create),
		.length = length,
		.node = -1,
	};

	snprintf((char *)create.name, sizeof(create.name), "%s", name);
	return create;
}

static inline int create_region(int control, const char *name, __u64 length)
{
	struct memalloc_create create = region_called(name, length);

	return call(control, MEMALLOC_CONTROL_CREATE, &create);
}

static inline int destroy_region(int control, const char *name)
{
	struct memalloc_destroy destroy = { .size = sizeof(destroy) };

	snprintf((char *)destroy.name, sizeof(destroy.name), "%s", name);
	return call(control, MEMALLOC_CONTROL_DESTROY, &destroy);
}

/* How many regions are in @regions then, or a negative errno. */
static inline int list_regions(int control, __u64 *cursor, struct memalloc_region *regions,
			       __u32 count)
{
	struct memalloc_list list = {
		.size = sizeof(list),
		.cursor = *cursor,
		.regions = (uintptr_t)regions,
		.count = count,
		.region_size = sizeof(*regions),
	};
	int ret = call(control, MEMALLOC_CONTROL_LIST, &list);

	*cursor = list.cursor;
	return ret ?: (int)list.count;
}

#endif /* CONTROL_H */
