// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region for people and scripts: each file of /sys/class/misc/NAME/ holds one figure of STATS, in
 * the same unit, or a setting of the region, which root can write. Everybody may read the files, so
 * none of them discloses where the region or a buffer lies.
 */
#include <linux/device.h>
#include <linux/miscdevice.h>
#include <linux/sysfs.h>
#include <linux/memalloc.h>

#include "background.h"
#include "core/fit.h"
#include "parse.h"
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

/* These three are the only ones for which nothing that is ready goes back to the heap. */
static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%llu\n",
			  (u64)READ_ONCE(region_of(dev)->ranges.pages) << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(size);

static ssize_t ranges_show(struct device *dev, struct device_attribute *attr, char *text)
{
	const struct mal_ranges *ranges = &region_of(dev)->ranges;
	struct mal_ranges_part part;
	unsigned int i;
	int n = 0;

	for (i = 0; i < MEMALLOC_RANGES_MAX; i++)
		if (mal_ranges_get(ranges, i, &part))
			n += sysfs_emit_at(text, n, "%u %llu\n", i, (u64)part.pages << PAGE_SHIFT);
	return n;
}
static DEVICE_ATTR_RO(ranges);

static ssize_t buffer_max_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%llu\n",
			  (u64)READ_ONCE(region_of(dev)->ranges.largest) << PAGE_SHIFT);
}
static DEVICE_ATTR_RO(buffer_max);

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

/* All buffers stay where they are. */
static ssize_t fit_store(struct device *dev, struct device_attribute *attr, const char *text,
			 size_t length)
{
	const struct mal_fit *fit = mal_parse_fit(text);

	if (!fit)
		return -EINVAL;
	mal_arena_switch(&region_of(dev)->arena, fit);
	return length;
}
static DEVICE_ATTR_RW(fit);

static ssize_t arenas_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%d\n", READ_ONCE(region_of(dev)->arena.wants_ready));
}

static ssize_t arenas_store(struct device *dev, struct device_attribute *attr, const char *text,
			    size_t length)
{
	bool wanted;
	int err = kstrtobool(text, &wanted);

	if (err)
		return err;
	mal_arena_keep_ready(&region_of(dev)->arena, wanted);
	return length;
}
static DEVICE_ATTR_RW(arenas);

static ssize_t compact_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%s\n", mal_mode_name(READ_ONCE(region_of(dev)->compact.mode)));
}

static ssize_t compact_store(struct device *dev, struct device_attribute *attr, const char *text,
			     size_t length)
{
	enum mal_compact_mode mode;
	int err = mal_parse_mode(text, &mode) ?: mal_background_set_mode(region_of(dev), mode);

	return err ?: length;
}
static DEVICE_ATTR_RW(compact);

#define MAL_COMPACT(what, field)						\
static ssize_t compact_##what##_show(struct device *dev, struct device_attribute *attr,	\
				     char *text)				\
{										\
	return mal_format_limit(text, READ_ONCE(region_of(dev)->compact.field));	\
}										\
static ssize_t compact_##what##_store(struct device *dev, struct device_attribute *attr,	\
				      const char *text, size_t length)		\
{										\
	u64 value;								\
	int err = mal_parse_limit(attr->attr.name, text, &value);		\
										\
	if (err)								\
		return err;							\
	WRITE_ONCE(region_of(dev)->compact.field, value);			\
	return length;								\
}										\
static DEVICE_ATTR_RW(compact_##what)

MAL_COMPACT(budget, budget);
MAL_COMPACT(buffer, buffer_max);

static ssize_t compact_threshold_show(struct device *dev, struct device_attribute *attr,
				      char *text)
{
	return sysfs_emit(text, "%u\n", READ_ONCE(region_of(dev)->compact.threshold));
}

static ssize_t compact_threshold_store(struct device *dev, struct device_attribute *attr,
				       const char *text, size_t length)
{
	u32 threshold;
	int err = mal_parse_threshold(text, &threshold);

	if (err)
		return err;
	WRITE_ONCE(region_of(dev)->compact.threshold, threshold);
	return length;
}
static DEVICE_ATTR_RW(compact_threshold);

/* What has been allocated stays when a limit is lowered. */
static ssize_t store_limit(struct mal_users *users, u64 *limit, const char *name,
			   const char *text, size_t length)
{
	u64 value;
	int err = mal_parse_limit(name, text, &value);

	if (err)
		return err;
	WRITE_ONCE(*limit, value);
	mal_users_limits_changed(users);
	return length;
}

#define MAL_LIMIT(of, what)							\
static ssize_t of##_##what##_show(struct device *dev, struct device_attribute *attr,	\
				  char *text)					\
{										\
	return mal_format_limit(text, READ_ONCE(region_of(dev)->users.limits.of.what)); \
}										\
static ssize_t of##_##what##_store(struct device *dev, struct device_attribute *attr,	\
				   const char *text, size_t length)		\
{										\
	return store_limit(&region_of(dev)->users, &region_of(dev)->users.limits.of.what,	\
			   attr->attr.name, text, length);			\
}										\
static DEVICE_ATTR_RW(of##_##what)

MAL_LIMIT(user, bytes);
MAL_LIMIT(user, buffers);
MAL_LIMIT(client, bytes);
MAL_LIMIT(client, buffers);

static struct attribute *mal_region_attrs[] = {
	&dev_attr_size.attr,
	&dev_attr_ranges.attr,
	&dev_attr_buffer_max.attr,
	&dev_attr_used.attr,
	&dev_attr_free.attr,
	&dev_attr_largest_free.attr,
	&dev_attr_fragmentation.attr,
	&dev_attr_buffers.attr,
	&dev_attr_quarantined.attr,
	&dev_attr_fit.attr,
	&dev_attr_arenas.attr,
	&dev_attr_compact.attr,
	&dev_attr_compact_budget.attr,
	&dev_attr_compact_buffer.attr,
	&dev_attr_compact_threshold.attr,
	&dev_attr_user_bytes.attr,
	&dev_attr_user_buffers.attr,
	&dev_attr_client_bytes.attr,
	&dev_attr_client_buffers.attr,
	NULL
};

static const struct attribute_group mal_region_group = { .attrs = mal_region_attrs };

const struct attribute_group *mal_region_groups[] = { &mal_region_group, NULL };
