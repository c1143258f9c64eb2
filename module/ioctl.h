/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_IOCTL_H
#define MAL_IOCTL_H

struct file;

/* The calls of uapi/linux/memalloc.h. */
long mal_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif /* MAL_IOCTL_H */
