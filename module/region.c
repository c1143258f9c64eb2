// SPDX-License-Identifier: GPL-2.0-only
/* The region: puts the claimed range, the arena over it, and the device nodes together. */
#include <linux/slab.h>

#include "client.h"
#include "debugfs.h"
#include "region.h"
#include "sysfs.h"
#include "trace.h"

struct mal_region *mal_region_create(const char *name, unsigned long pages, int node,
				     const struct mal_fit *fit)
{
	struct mal_region *region = kzalloc(sizeof(*region), GFP_KERNEL);
	int err;

	if (!region)
		return ERR_PTR(-ENOMEM);
	region->name = name;

	err = mal_claim(&region->claim, pages, node);
	if (err)
		goto free_region;

	err = mal_arena_init(&region->arena, pages, fit, region->claim.node);
	if (err)
		goto release_claim;

	err = mal_clean_init(&region->clean, pages, region->claim.node);
	if (err)
		goto destroy_arena;

	err = mal_spaces_init(&region->spaces);
	if (err)
		goto destroy_clean;

	err = mal_users_init(&region->users, pages);
	if (err)
		goto destroy_spaces;

	mal_offsets_init(&region->offsets, pages);
	mal_quarantine_init(&region->quarantine);
	mutex_init(&region->clients_lock);
	INIT_LIST_HEAD(&region->client_list);

	err = mal_dmaheap_create(&region->dmaheap, name);
	if (err)
		goto destroy_users;

	/* Nothing may fail after this: who has opened the node by then would be left without. */
	region->misc.minor = MISC_DYNAMIC_MINOR;
	region->misc.name = name;
	region->misc.fops = &mal_client_fops;
	region->misc.mode = 0660;
	region->misc.groups = mal_region_groups;
	err = misc_register(&region->misc);
	if (err)
		goto destroy_dmaheap;
	mal_dmaheap_start(&region->dmaheap);
	mal_debugfs_create(region);
	return region;

destroy_dmaheap:
	mal_dmaheap_destroy(&region->dmaheap);
destroy_users:
	mal_users_destroy(&region->users);
destroy_spaces:
	mal_spaces_destroy(&region->spaces);
destroy_clean:
	mal_clean_destroy(&region->clean);
destroy_arena:
	mal_arena_destroy(&region->arena);
release_claim:
	mal_claim_release(&region->claim);
free_region:
	kfree(region);
	return ERR_PTR(err);
}

void mal_region_destroy(struct mal_region *region)
{
	mal_debugfs_destroy(region);
	misc_deregister(&region->misc);
	mal_dmaheap_destroy(&region->dmaheap);
	mal_users_destroy(&region->users);
	mal_quarantine_destroy(&region->quarantine);
	mal_offsets_destroy(&region->offsets);
	mal_spaces_destroy(&region->spaces);
	mal_clean_destroy(&region->clean);
	mal_arena_destroy(&region->arena);
	mal_claim_release(&region->claim);
	mutex_destroy(&region->clients_lock);
	kfree(region);
}

void mal_region_failure(struct mal_region *region, u64 length, int err)
{
	if (err == -ENOMEM || err == -EFBIG)
		mal_arena_count_failure(&region->arena);
	trace_memalloc_failure(region, length, err);
}
