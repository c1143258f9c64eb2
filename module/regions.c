// SPDX-License-Identifier: GPL-2.0-only
/*
 * All regions, by name. A name is taken before its region is made, and is free again after its
 * region is gone: meanwhile regions_lock, which is held for a moment only, is not needed.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core/fit.h"
#include "device.h"
#include "region.h"
#include "regions.h"

struct entry {
	struct list_head node;		/* in entries */
	struct mal_region *region;	/* NULL: being made, or being destroyed */
	u64 id;				/* never used for another entry; not 0 */
	char name[MEMALLOC_NAME_LEN];
};

static DEFINE_MUTEX(regions_lock);	/* of what follows, and of entry->region */
static LIST_HEAD(entries);		/* by their IDs */
static u64 last_id;

static struct entry *find_entry(const char *name)
{
	struct entry *entry;

	lockdep_assert_held(&regions_lock);
	list_for_each_entry(entry, &entries, node) {
		if (!strcmp(entry->name, name))
			return entry;
	}
	return NULL;
}

static struct entry *reserve_name(const char *name)
{
	struct entry *entry = kzalloc(sizeof(*entry), GFP_KERNEL);

	if (!entry)
		return ERR_PTR(-ENOMEM);
	strscpy(entry->name, name, sizeof(entry->name));
	mutex_lock(&regions_lock);
	if (!strcmp(name, MAL_CONTROL_NAME) || find_entry(name)) {
		kfree(entry);
		entry = ERR_PTR(-EEXIST);
	} else {
		entry->id = ++last_id;
		list_add_tail(&entry->node, &entries);
	}
	mutex_unlock(&regions_lock);
	return entry;
}

static void release_name(struct entry *entry)
{
	mutex_lock(&regions_lock);
	list_del(&entry->node);
	mutex_unlock(&regions_lock);
	kfree(entry);
}

/* A region that is being made. */
struct making {
	struct entry *entry;
	struct mal_region *region;
};

static int make_region(struct making *making, const struct mal_spec *spec)
{
	struct mal_region *region;
	struct entry *entry = reserve_name(spec->name);

	if (IS_ERR(entry))
		return PTR_ERR(entry);
	region = mal_device_create(spec);
	if (IS_ERR(region)) {
		release_name(entry);
		return PTR_ERR(region);
	}
	*making = (struct making) { .entry = entry, .region = region };
	return 0;
}

static void publish_region(const struct making *making)
{
	struct mal_region *region = making->region;

	pr_info("region %s: %lu KiB on node %d, fit %s\n", region->name,
		region->range.pages << (PAGE_SHIFT - 10), region->range.node,
		mal_arena_fit(&region->arena)->name);
	mal_device_start(region);
	mutex_lock(&regions_lock);
	making->entry->region = region;
	mutex_unlock(&regions_lock);
}

int mal_regions_create(const struct mal_spec *specs, unsigned int count)
{
	struct making *making = kcalloc(count, sizeof(*making), GFP_KERNEL);
	unsigned int made;
	unsigned int i;
	int err = 0;

	if (!making)
		return -ENOMEM;
	for (made = 0; made < count && !err; made += !err)
		err = make_region(&making[made], &specs[made]);
	/* A program may open a node as soon as it is there: all else has gone well before. */
	for (i = 0; i < made && !err; i++)
		err = mal_device_register(making[i].region);
	for (i = 0; i < made; i++) {
		if (!err) {
			publish_region(&making[i]);
		} else {
			mal_device_destroy(making[i].region);
			release_name(making[i].entry);
		}
	}
	kfree(making);
	return err;
}

int mal_regions_destroy(const char *name)
{
	struct mal_region *region = NULL;
	struct entry *entry;
	int err = -EBUSY;

	mutex_lock(&regions_lock);
	entry = find_entry(name);
	if (!entry) {
		err = -ENOENT;
	} else if (entry->region && mal_region_retire(entry->region)) {
		swap(region, entry->region);
		err = 0;
	}
	mutex_unlock(&regions_lock);
	if (err)
		return err;
	mal_device_destroy(region);
	release_name(entry);
	return 0;
}

static void describe_region(struct mal_region *region, struct memalloc_region *to)
{
	*to = (struct memalloc_region) {
		.length = (u64)region->range.pages << PAGE_SHIFT,
		.node = region->range.node,
	};
	strscpy(to->name, region->name, sizeof(to->name));
	strscpy(to->source, region->range.source->name, sizeof(to->source));
	strscpy(to->fit, mal_arena_fit(&region->arena)->name, sizeof(to->fit));
}

u32 mal_regions_list(u64 *cursor, struct memalloc_region *regions, u32 max)
{
	struct entry *entry;
	u32 n = 0;

	mutex_lock(&regions_lock);
	list_for_each_entry(entry, &entries, node) {
		if (n == max)
			break;
		if (entry->id <= *cursor || !entry->region)
			continue;
		describe_region(entry->region, &regions[n++]);
		*cursor = entry->id;
	}
	mutex_unlock(&regions_lock);
	return n;
}

void mal_regions_destroy_all(void)
{
	struct entry *entry;
	struct entry *next;

	list_for_each_entry_safe(entry, next, &entries, node)
		WARN_ON(mal_regions_destroy(entry->name));
}
