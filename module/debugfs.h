/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DEBUGFS_H
#define MAL_DEBUGFS_H

struct mal_region;

/* Files about a region. That they can't be made is no failure. Both sleep. */
void mal_debugfs_create(struct mal_region *region);
void mal_debugfs_destroy(struct mal_region *region);

#endif /* MAL_DEBUGFS_H */
