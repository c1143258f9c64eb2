/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the kernel's tracing is, for the test programs that look at events. */
#ifndef TRACEFS_H
#define TRACEFS_H

#include "memalloc_test.h"

#include <sys/mount.h>

#define TRACEFS		"/sys/kernel/tracing"

static inline int mount_tracefs(void)
{
	if (!access(TRACEFS "/events", F_OK))
		return 0;
	return mount("tracefs", TRACEFS, "tracefs", 0, NULL) ? -errno : 0;
}

#endif /* TRACEFS_H */
