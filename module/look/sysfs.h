/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_SYSFS_H
#define MAL_SYSFS_H

struct attribute_group;

/* For the region's device. Its driver data must be the miscdevice in a struct mal_region. */
extern const struct attribute_group *mal_region_groups[];

#endif /* MAL_SYSFS_H */
