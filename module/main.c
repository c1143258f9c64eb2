// SPDX-License-Identifier: GPL-2.0-only
/* Starting and stopping. */
#include <linux/module.h>

#include "core/fit.h"
#include "device.h"
#include "params.h"
#include "region.h"

static struct mal_region *region;

static int __init memalloc_init(void)
{
	struct mal_params params;
	int err = mal_params_get(&params);

	if (err)
		return err;
	region = mal_device_create(KBUILD_MODNAME, params.pages, params.node, params.fit);
	if (IS_ERR(region))
		return PTR_ERR(region);
	pr_info("region of %lu KiB on node %d, fit %s\n", params.pages << (PAGE_SHIFT - 10),
		region->range.node, params.fit->name);
	mal_params_attach(region);
	return 0;
}

static void __exit memalloc_exit(void)
{
	mal_params_attach(NULL);
	mal_device_destroy(region);
}

module_init(memalloc_init);
module_exit(memalloc_exit);

MODULE_DESCRIPTION("Buffers of one contiguous physical region, for programs and drivers");
MODULE_AUTHOR("The memalloc developers");
MODULE_LICENSE("GPL");
/* The version of everything here: library, packages and DKMS read it from this line. */
MODULE_VERSION("0.1.0");
