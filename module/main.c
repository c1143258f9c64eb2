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
	struct mal_spec spec;
	int err = mal_params_get(&spec);

	if (err)
		return err;
	region = mal_device_create(KBUILD_MODNAME, &spec);
	if (IS_ERR(region))
		return PTR_ERR(region);
	pr_info("region of %lu KiB on node %d, fit %s\n", spec.pages << (PAGE_SHIFT - 10),
		region->range.node, spec.fit->name);
	return 0;
}

static void __exit memalloc_exit(void)
{
	mal_device_destroy(region);
}

module_init(memalloc_init);
module_exit(memalloc_exit);

MODULE_DESCRIPTION("Buffers of one contiguous physical region, for programs and drivers");
MODULE_AUTHOR("The memalloc developers");
MODULE_LICENSE("GPL");
/* The version of everything here: library, packages and DKMS read it from this line. */
MODULE_VERSION("0.1.0");
