/* SPDX-License-Identifier: MIT */
/* The calls of <linux/memalloc.h>, answered as the device does. */
#ifndef PROCESS_CALLS_H
#define PROCESS_CALLS_H

#include "region.h"

/* As ioctl() on the device. What no function is for: -ENOTTY; in a child: -EBADF. */
int process_call(struct region *region, unsigned long request, void *argument);

#endif /* PROCESS_CALLS_H */
