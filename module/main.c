// SPDX-License-Identifier: GPL-2.0-only
/* Starting and stopping. */
#include <linux/module.h>
#include <linux/slab.h>

#include "control.h"
#include "device.h"
#include "devicetree.h"
#include "params.h"
#include "regions.h"
#include "source/source.h"

static int __init memalloc_init(void)
{
	struct mal_spec *specs;
	unsigned int count;
	int err = mal_params_get(&specs, &count, mal_devicetree_has_regions());

	if (err)
		return err;
	err = mal_regions_start();
	if (err)
		goto free_specs;
	err = mal_control_create();
	if (err)
		goto stop_regions;
	err = mal_regions_create(specs, count);
	if (err)
		goto destroy_control;
	/* From here on nothing may fail: programs have opened the nodes. */
	mal_control_start();
	mal_devicetree_start();
	kfree(specs);
	return 0;

destroy_control:
	mal_control_destroy();
	mal_sources_stop();
stop_regions:
	mal_regions_stop();
free_specs:
	kfree(specs);
	/* modprobe takes EEXIST for a module that is loaded, and newer kernels make EBUSY of it. */
	return err == -EEXIST ? -EBUSY : err;
}

static void __exit memalloc_exit(void)
{
	mal_control_destroy();
	mal_devicetree_stop();
	mal_sources_stop();
	mal_regions_stop();
}

module_init(memalloc_init);
module_exit(memalloc_exit);

MODULE_DESCRIPTION("Buffers of contiguous physical regions, for programs and drivers");
MODULE_AUTHOR("The memalloc developers");
MODULE_LICENSE("GPL");
/* The version of everything here: library, packages and DKMS read it from this line. */
MODULE_VERSION("0.1.0");
