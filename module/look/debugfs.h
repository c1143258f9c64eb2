/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEBUGFS_H
#define MAL_DEBUGFS_H

struct dentry;
struct mal_region;

/* Make a region's folder; debugfs_remove() takes the result, also if it is an error. Sleeps. */
struct dentry *mal_debugfs_create(struct mal_region *region);

#endif /* MAL_DEBUGFS_H */
