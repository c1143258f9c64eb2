/* SPDX-License-Identifier: MIT */
/* The calls of <linux/memalloc.h>, answered as the device does. */
#ifndef PROCESS_CALLS_H
#define PROCESS_CALLS_H

#include "../backend.h"

/* memalloc_operations.call; in a child: -EBADF. */
int process_call(struct memalloc *mem, unsigned long request, void *argument);

#endif /* PROCESS_CALLS_H */
