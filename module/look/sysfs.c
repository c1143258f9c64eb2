// SPDX-License-Identifier: GPL-2.0-only
/*
 * Figures of a region for people and scripts: each file of /sys/class/misc/NAME/ holds one
 * figure of STATS, in the same unit, or the fit. Everybody may read the files, so none of
 * them discloses where the region or a buffer lies.
 */
#include <linux/device.h>
#include <linux/miscdevice.h>
#include <linux/sysfs.h>
#include <linux/memalloc.h>

#include "core/fit.h"
#include "region.h"
#include "sysfs.h"

static struct mal_region *region_of(struct device *dev)
{
	return container_of(dev_get_drvdata(dev), struct mal_region, misc);
}

#define MAL_FIGURE(name, field)							\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *text)						\
{										\
	struct memalloc_stats stats = {};					\
										\
	mal_arena_stats(&region_of(dev)->arena, &stats);			\
	return sysfs_emit(text, "%llu\n", (u64)stats.field);			\
}										\
static DEVICE_ATTR_RO(name)

MAL_FIGURE(size, region_length);
MAL_FIGURE(used, used);
MAL_FIGURE(free, free);
MAL_FIGURE(largest_free, largest_free);
MAL_FIGURE(fragmentation, fragmentation);
MAL_FIGURE(buffers, buffers);
MAL_FIGURE(quarantined, quarantined);

static ssize_t fit_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%s\n", mal_arena_fit(&region_of(dev)->arena)->name);
}
static DEVICE_ATTR_RO(fit);

static struct attribute *mal_region_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_used.attr,
	&dev_attr_free.attr,
	&dev_attr_largest_free.attr,
	&dev_attr_fragmentation.attr,
	&dev_attr_buffers.attr,
	&dev_attr_quarantined.attr,
	&dev_attr_fit.attr,
	NULL
};

static const struct attribute_group mal_region_group = { .attrs = mal_region_attrs };

const struct attribute_group *mal_region_groups[] = { &mal_region_group, NULL };
