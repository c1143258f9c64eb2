/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEBUGFS_H
#define MAL_DEBUGFS_H

struct dentry;
struct mal_region;

/* The folder of files about a region. That they can't be made is no failure. Sleeps. */
struct dentry *mal_debugfs_create(struct mal_region *region);

#endif /* MAL_DEBUGFS_H */
