// SPDX-License-Identifier: GPL-2.0-only
/*
 * All regions, by name. A name is taken before its region is made, and is free again after its
 * region is gone: meanwhile regions_lock, which is held for a moment only, is not needed.
 *
 * If a region's memory goes, its nodes and its name go at once. The source gets the memory back
 * when no device and no pin holds it any more. The region itself is destroyed when its last user,
 * such as an open file, is gone.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "core/fit.h"
#include "device.h"
#include "region.h"
#include "regions.h"

struct entry {
	struct list_head node;		/* in entries */
	struct mal_region *region;	/* NULL: being made, or being destroyed */
	struct mal_region *lost;	/* its memory has gone: for @work */
	struct work_struct work;
	u64 id;				/* never used for another entry; not 0 */
	char name[MEMALLOC_NAME_LEN];
};

static DEFINE_MUTEX(regions_lock);	/* of what follows, and of entry->region */
static LIST_HEAD(entries);		/* by their IDs */
static u64 last_id;

/* Takes regions out of service whose memory has gone. */
static struct workqueue_struct *regions_wq;

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
		pr_err("region %s: the name is taken\n", name);
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

static void destroy_region(struct work_struct *work)
{
	mal_device_destroy(container_of(work, struct mal_region, unused_work));
}

/* The last user may be work of the region itself. */
static void destroy_region_later(struct mal_region *region)
{
	INIT_WORK(&region->unused_work, destroy_region);
	queue_work(regions_wq, &region->unused_work);
}

static void take_out_of_service(struct work_struct *work)
{
	struct entry *entry = container_of(work, struct entry, work);
	struct mal_region *region = entry->lost;

	pr_info("region %s: its memory is gone\n", region->name);
	mal_device_remove_nodes(region);
	release_name(entry);
	mal_device_vacate(region);
	mal_range_release(&region->ranges.own);
	mal_region_put(region);
}

/* Under regions_lock. */
static void lose_region(struct entry *entry)
{
	lockdep_assert_held(&regions_lock);
	entry->lost = entry->region;
	entry->region = NULL;
	INIT_WORK(&entry->work, take_out_of_service);
	queue_work(regions_wq, &entry->work);
}

/*
 * The source says that the memory goes. A region that is being made is lost when it is published.
 */
static void lose_range(struct mal_range *range)
{
	struct entry *entry;

	mal_range_lose(range);
	mutex_lock(&regions_lock);
	list_for_each_entry(entry, &entries, node) {
		if (entry->region && &entry->region->ranges.own == range) {
			lose_region(entry);
			break;
		}
	}
	mutex_unlock(&regions_lock);
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
	region = mal_device_create(spec, lose_range);
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
		(unsigned long)region->ranges.pages << (PAGE_SHIFT - 10), region->ranges.own.node,
		mal_arena_fit(&region->arena)->name);
	region->unused = destroy_region_later;
	mal_device_start(region);
	mutex_lock(&regions_lock);
	making->entry->region = region;
	if (mal_range_is_gone(&region->ranges.own))
		lose_region(making->entry);
	mutex_unlock(&regions_lock);
}

int mal_regions_start(void)
{
	regions_wq = alloc_workqueue(KBUILD_MODNAME "-regions", WQ_UNBOUND, 0);
	return regions_wq ? 0 : -ENOMEM;
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

struct mal_region *mal_regions_get(const char *name)
{
	struct mal_region *region = ERR_PTR(-ENOENT);
	struct entry *entry;

	mutex_lock(&regions_lock);
	entry = find_entry(name);
	if (entry)
		region = entry->region ?: ERR_PTR(-EBUSY);
	if (!IS_ERR(region) && !mal_region_try_get(region))
		region = ERR_PTR(-EBUSY);
	mutex_unlock(&regions_lock);
	return region;
}

static void describe_region(struct mal_region *region, struct memalloc_region *to)
{
	*to = (struct memalloc_region) {
		.length = (u64)READ_ONCE(region->ranges.pages) << PAGE_SHIFT,
		.node = region->ranges.own.node,
	};
	strscpy(to->name, region->name, sizeof(to->name));
	strscpy(to->source, region->ranges.own.source->name, sizeof(to->source));
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

void mal_regions_stop(void)
{
	struct entry *entry;
	struct entry *next;

	list_for_each_entry_safe(entry, next, &entries, node)
		WARN_ON(mal_regions_destroy(entry->name));
	destroy_workqueue(regions_wq);
}
