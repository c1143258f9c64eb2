/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CONTROL_H
#define MAL_CONTROL_H

/*
 * Make the node through which administrators make and destroy regions. It can't be opened before
 * mal_control_start(). Sleeps. -ENOMEM; -EBUSY: the kernel has no number left for a node.
 */
int __must_check mal_control_create(void);
void mal_control_start(void);

void mal_control_destroy(void);

#endif /* MAL_CONTROL_H */
