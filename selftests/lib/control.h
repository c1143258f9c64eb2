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

/* One that may have @ranges, of @length_max bytes together. */
static inline int create_growable(int control, const char *name, __u64 length, __u32 ranges,
				  __u64 length_max)
{
	struct memalloc_create create = region_called(name, length);

	create.ranges = ranges;
	create.length_max = length_max;
	return call(control, MEMALLOC_CONTROL_CREATE, &create);
}

static inline struct memalloc_grow growth_of(const char *name, __u64 length)
{
	struct memalloc_grow grow = { .size = sizeof(grow), .length = length, .node = -1 };

	snprintf((char *)grow.name, sizeof(grow.name), "%s", name);
	return grow;
}

/* The number of the range, or a negative errno. */
static inline int grow_region(int control, const char *name, __u64 length)
{
	struct memalloc_grow grow = growth_of(name, length);

	return call(control, MEMALLOC_CONTROL_GROW, &grow) ?: (int)grow.range;
}

static inline struct memalloc_shrink shrinking_of(const char *name, __u32 range)
{
	struct memalloc_shrink shrink = { .size = sizeof(shrink), .range = range };

	snprintf((char *)shrink.name, sizeof(shrink.name), "%s", name);
	return shrink;
}

static inline int shrink_region(int control, const char *name, __u32 range)
{
	struct memalloc_shrink shrink = shrinking_of(name, range);

	return call(control, MEMALLOC_CONTROL_SHRINK, &shrink);
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
