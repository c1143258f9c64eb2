// SPDX-License-Identifier: GPL-2.0-only
/* Puts a region together: the claimed range, what manages it, and the device nodes. */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "background.h"
#include "buffer.h"
#include "client.h"
#include "device.h"
#include "dmaheap.h"
#include "grow.h"
#include "ioctl.h"
#include "look/debugfs.h"
#include "look/sysfs.h"
#include "quarantine.h"
#include "region.h"

/* From one look to the next at whether memory that is gone is held; from one line of the log. */
#define MAL_VACATE_POLL_MS	20
#define MAL_VACATE_LOG_SECONDS	10

struct mal_device {
	struct mal_region region;
	struct mal_dmaheap dmaheap;
	struct mal_dmaheap second_dmaheap;	/* with a name of its own, if it has one */
	char second_name[MEMALLOC_NAME_LEN];
	struct dentry *debugfs;
	bool registered;		/* it has nodes */
	char node_name[sizeof(KBUILD_MODNAME "-") + MEMALLOC_NAME_LEN];
};

static struct mal_device *device_of(struct mal_region *region)
{
	return container_of(region, struct mal_device, region);
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = mal_client_open,
	.release = mal_client_release,
	.show_fdinfo = mal_client_show_fdinfo,
	.mmap = mal_client_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.unlocked_ioctl = mal_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static void mapping_file_closed(struct mal_spaces *spaces)
{
	mal_region_put(container_of(spaces, struct mal_region, spaces));
}

/* The region with the module's name has the short node. */
static void name_node(struct mal_device *device)
{
	const char *name = device->region.name;

	if (!strcmp(name, KBUILD_MODNAME))
		strscpy(device->node_name, name, sizeof(device->node_name));
	else
		snprintf(device->node_name, sizeof(device->node_name), KBUILD_MODNAME "-%s", name);
}

/* The region's own range: all that is wished for, or what leaves enough to as many others. */
static int claim_own(struct mal_region *region, const struct mal_spec *spec,
		     void (*lose)(struct mal_range *range))
{
	const u32 max = spec->source->has_several ? spec->ranges : 1;
	struct mal_wish wish = spec->wish;
	int err;

	if (max == 1 && spec->pages_max > wish.pages) {
		pr_err("region %s: it may grow only if it may have several ranges\n",
		       region->name);
		return -EINVAL;
	}
	wish.pages_min = DIV_ROUND_UP(wish.pages, max);
	wish.several = max > 1;
	err = mal_range_claim(&region->ranges.own, spec->source, &wish, lose);
	if (!err)
		mal_ranges_init(&region->ranges, max, max(spec->pages_max, wish.pages));
	return err;
}

/* Claim others, until the region has what is wished for. */
static int claim_others(struct mal_region *region, const struct mal_spec *spec)
{
	u32 left = region->ranges.max - 1;
	int number = 0;

	for (; number >= 0 && region->ranges.pages < spec->wish.pages; left--) {
		const unsigned long rest = spec->wish.pages - region->ranges.pages;

		number = mal_grow(region, rest, DIV_ROUND_UP(rest, left), spec->wish.node);
	}
	return min(number, 0);
}

struct mal_region *mal_device_create(const struct mal_spec *spec,
				     void (*lose)(struct mal_range *range))
{
	struct mal_device *device = kzalloc(sizeof(*device), GFP_KERNEL);
	struct mal_region *region;
	int err;

	if (!device)
		return ERR_PTR(-ENOMEM);
	region = &device->region;
	strscpy(region->name, spec->name, sizeof(region->name));
	name_node(device);
	strscpy(device->second_name, spec->heap, sizeof(device->second_name));

	err = claim_own(region, spec, lose);
	if (err)
		goto free_device;

	/* clean.h takes all of the region to be zero from now on. */
	err = mal_range_zero(&region->ranges.own);
	if (err)
		goto release_range;

	err = mal_arena_init(&region->arena, region->ranges.pages, region->ranges.granules,
			     spec->fit, region->ranges.own.node, mal_buffer_release);
	if (err)
		goto release_range;
	mal_arena_keep_ready(&region->arena, spec->arenas);

	err = mal_clean_init(&region->clean, &region->arena, &region->ranges);
	if (err)
		goto destroy_arena;

	err = mal_spaces_init(&region->spaces, mapping_file_closed);
	if (err)
		goto destroy_clean;

	err = mal_users_init(&region->users, region->name, region->ranges.pages, &spec->limits,
			     mal_quarantine_work, &region->arena.magazines);
	if (err)
		goto destroy_spaces;

	err = mal_dmem_init(&region->dmem, region->name,
			    (u64)region->ranges.pages_max << PAGE_SHIFT);
	if (err)
		goto destroy_users;

	mal_offsets_init(&region->offsets, region->ranges.granules);
	mal_quarantine_init(&region->quarantine);
	mutex_init(&region->clients_lock);
	mutex_init(&region->compacting);
	INIT_LIST_HEAD(&region->client_list);
	region->compact = spec->compact;
	mal_background_init(region);
	err = claim_others(region, spec);
	if (!err)
		return region;
	mal_device_destroy(region);
	return ERR_PTR(err);

destroy_users:
	mal_users_destroy(&region->users);
destroy_spaces:
	mal_spaces_destroy(&region->spaces);
destroy_clean:
	mal_clean_destroy(&region->clean);
destroy_arena:
	mal_arena_destroy(&region->arena);
release_range:
	mal_range_release(&region->ranges.own);
free_device:
	kfree(device);
	return ERR_PTR(err);
}

int mal_device_register(struct mal_region *region)
{
	struct mal_device *device = device_of(region);
	int err = mal_background_set_mode(region, region->compact.mode);

	if (err)
		return err;
	region->misc.minor = MISC_DYNAMIC_MINOR;
	region->misc.name = device->node_name;
	region->misc.fops = &device_fops;
	region->misc.mode = 0660;
	region->misc.groups = mal_region_groups;
	err = misc_register(&region->misc);
	if (err)
		goto failure;
	err = mal_dmaheap_create(&device->dmaheap, region, "");
	if (err)
		goto deregister;
	if (device->second_name[0])
		err = mal_dmaheap_create(&device->second_dmaheap, region, device->second_name);
	if (err)
		goto destroy_dmaheap;
	device->debugfs = mal_debugfs_create(region);
	device->registered = true;
	return 0;

destroy_dmaheap:
	mal_dmaheap_destroy(&device->dmaheap);
deregister:
	misc_deregister(&region->misc);
failure:
	return err == -EBUSY ? -ENOSPC : err;
}

void mal_device_start(struct mal_region *region)
{
	/* Who sees this also sees the complete region: pairs with mal_region_try_get(). */
	smp_wmb();
	refcount_set(&region->ref, 1);
}

void mal_device_remove_nodes(struct mal_region *region)
{
	struct mal_device *device = device_of(region);

	if (!device->registered)
		return;
	debugfs_remove(device->debugfs);
	mal_dmaheap_destroy(&device->second_dmaheap);
	mal_dmaheap_destroy(&device->dmaheap);
	misc_deregister(&region->misc);
	device->registered = false;
}

void mal_device_vacate(struct mal_region *region)
{
	const struct mal_range *range = &region->ranges.own;
	const unsigned long start = jiffies;
	unsigned int seconds = MAL_VACATE_LOG_SECONDS;
	unsigned long page = 0;

	mal_spaces_unmap_all(&region->spaces);
	mal_quarantine_release_all(&region->quarantine);
	/* Who walks page tables without a lock may still take a reference to a page until then. */
	synchronize_rcu();
	while (mal_range_is_held(range, &page)) {
		if (time_after(jiffies, start + seconds * HZ)) {
			pr_warn("region %s: its memory is gone, and still held by %s, for %u seconds now\n",
				region->name, atomic_read(&range->holds) ? "devices" : "pins",
				seconds);
			seconds += MAL_VACATE_LOG_SECONDS;
		}
		msleep(MAL_VACATE_POLL_MS);
	}
}

void mal_device_destroy(struct mal_region *region)
{
	mal_device_remove_nodes(region);
	mal_background_end(region);
	/* While all is there that it takes to release what is ready. */
	mal_arena_stop(&region->arena);
	mal_dmem_destroy(&region->dmem);
	mal_users_destroy(&region->users);
	mal_quarantine_destroy(&region->quarantine);
	mal_offsets_destroy(&region->offsets);
	mal_spaces_destroy(&region->spaces);
	mal_clean_destroy(&region->clean);
	mal_arena_destroy(&region->arena);
	mal_ranges_release(&region->ranges);
	mutex_destroy(&region->compacting);
	mutex_destroy(&region->clients_lock);
	kfree(device_of(region));
}
