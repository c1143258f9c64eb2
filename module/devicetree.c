// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions that the device tree asks for: the driver of nodes that are compatible with
 * "memalloc,region". scripts/system/memalloc,region.yaml describes such a node.
 */
#include <linux/device.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/string.h>

#include "device.h"
#include "devicetree.h"
#include "params.h"
#include "parse.h"
#include "regions.h"

static const struct of_device_id devicetree_ids[] = {
	{ .compatible = "memalloc,region" },
	{}
};
MODULE_DEVICE_TABLE(of, devicetree_ids);

bool mal_devicetree_has_regions(void)
{
	struct device_node *node;

	for_each_matching_node(node, devicetree_ids) {
		if (of_device_is_available(node)) {
			of_node_put(node);
			return true;
		}
	}
	return false;
}

/*
 * The name of the region that @node asks for: the label, or else the node's name without what
 * follows an @. Errors are logged for @dev.
 */
static int read_name(struct device *dev, const struct device_node *node, char *to)
{
	const char *label;
	char name[MEMALLOC_NAME_LEN + 1];

	if (of_property_read_string(node, "label", &label))
		snprintf(name, sizeof(name), "%pOFn", node);
	else
		strscpy(name, label, sizeof(name));
	if (!mal_is_name(name))
		return dev_err_probe(dev, -EINVAL,
				     "'%s' is no name of 1 to 31 letters, digits, - or _\n", name);
	strscpy(to, name, MEMALLOC_NAME_LEN);
	return 0;
}

int mal_devicetree_name_region(struct device *dev, unsigned int index, char *name)
{
	struct device_node *node = of_parse_phandle(dev->of_node, "memalloc,regions", index);
	int err;

	if (!node)
		return -ENOENT;
	if (!of_match_node(devicetree_ids, node))
		err = dev_err_probe(dev, -EINVAL, "%pOF is no node of a region\n", node);
	else if (!of_device_is_available(node))
		err = -ENODEV;
	else
		err = read_name(dev, node, name);
	of_node_put(node);
	return err;
}

static int read_fit(struct device *dev, struct mal_spec *spec)
{
	const char *fit;

	if (!of_property_read_string(dev->of_node, "memalloc,fit", &fit))
		spec->fit = mal_parse_fit(fit);
	return spec->fit ? 0 : -EINVAL;
}

static int read_heap(struct device *dev, struct mal_spec *spec)
{
	const char *heap;

	if (of_property_read_string(dev->of_node, "memalloc,heap", &heap))
		return 0;
	if (!mal_is_heap_name(heap))
		return dev_err_probe(dev, -EINVAL, "memalloc,heap: '%s' is no name\n", heap);
	strscpy(spec->heap, heap, sizeof(spec->heap));
	return 0;
}

/* Where the region's memory is, and how it is to be had. */
static int read_memory(struct device *dev, struct mal_spec *spec)
{
	struct device_node *node = of_parse_phandle(dev->of_node, "memory-region", 0);
	const struct reserved_mem *memory = node ? of_reserved_mem_lookup(node) : NULL;
	int err = 0;

	if (!memory) {
		err = dev_err_probe(dev, -EINVAL, "memory-region names no reserved memory\n");
	} else if (of_property_read_bool(node, "no-map")) {
		spec->source = &mal_source_reserved;
	} else if (of_property_read_bool(node, "reusable")) {
		spec->source = &mal_source_cma;
		spec->wish.device = dev;
	} else {
		err = dev_err_probe(dev, -EINVAL,
				    "the memory of memory-region is neither no-map nor reusable\n");
	}
	if (!err) {
		spec->wish.base = memory->base;
		err = mal_count_pages(memory->size, &spec->wish.pages);
	}
	of_node_put(node);
	return err;
}

static void destroy_region(void *name)
{
	if (mal_regions_destroy(name) == -EBUSY)
		pr_warn("region %s stays, since it is used; its device is gone\n",
			(const char *)name);
}

static int devicetree_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct mal_spec spec = {};
	char *name;
	int err = mal_params_get_defaults(&spec);

	if (err)
		return err;
	err = read_name(dev, dev->of_node, spec.name) ?: read_fit(dev, &spec) ?:
	      read_heap(dev, &spec) ?: read_memory(dev, &spec);
	if (err)
		return err;
	name = devm_kstrdup(dev, spec.name, GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	err = mal_regions_create(&spec, 1);
	if (err)
		return dev_err_probe(dev, err, "there is no region %s\n", spec.name);
	return devm_add_action_or_reset(dev, destroy_region, name);
}

static struct platform_driver devicetree_driver = {
	.probe = devicetree_probe,
	.driver = {
		.name = KBUILD_MODNAME,
		.of_match_table = devicetree_ids,
		.suppress_bind_attrs = true,
	},
};

static bool registered;

void mal_devicetree_start(void)
{
	int err;

	/* Most machines with x86 have no device tree. */
	if (!of_have_populated_dt())
		return;
	err = platform_driver_register(&devicetree_driver);
	registered = !err;
	if (err)
		pr_err("there are no regions of the device tree: %pe\n", ERR_PTR(err));
}

void mal_devicetree_stop(void)
{
	if (registered)
		platform_driver_unregister(&devicetree_driver);
}
