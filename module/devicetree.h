/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEVICETREE_H
#define MAL_DEVICETREE_H

#include <linux/types.h>

struct device;

/* Does the device tree ask for a region? */
bool mal_devicetree_has_regions(void);

/*
 * Make the regions that the device tree asks for, now and for nodes that are added later. A region
 * that can't be made is missing, and the log says why. Sleeps.
 */
void mal_devicetree_start(void);

/*
 * The name, of MEMALLOC_NAME_LEN bytes, of the region that phandle @index of the property
 * "memalloc,regions" of @dev stands for, whether it is there or not. -ENOENT: there is no such
 * phandle; -EINVAL: it is not of a region's node; -ENODEV: the node is disabled.
 */
int mal_devicetree_name_region(struct device *dev, unsigned int index, char *name);

/* Nobody uses any region any more. Sleeps. */
void mal_devicetree_stop(void);

#endif /* MAL_DEVICETREE_H */
