/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk that is slow to read for this process and its children: so what it writes into
 * memory arrives when the memory is given up already.
 */
#ifndef SLOW_DISK_H
#define SLOW_DISK_H

#include "memalloc_test.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DISK	"/dev/nvme0n1"

/* A control group whose reads of the disk take their time. */
#define CGROUPS	"/tmp/memalloc-cgroups"

static inline int slow_disk_down(int disk, unsigned long bytes_per_second)
{
	struct stat st;
	char limit[64];

	if (fstat(disk, &st))
		return -errno;
	snprintf(limit, sizeof(limit), "%u:%u rbps=%lu", major(st.st_rdev), minor(st.st_rdev),
		 bytes_per_second);
	mkdir(CGROUPS, 0700);
	if (mount("memalloc", CGROUPS, "cgroup2", 0, NULL) && errno != EBUSY)
		return -errno;
	mkdir(CGROUPS "/slow", 0700);
	return write_file(CGROUPS "/cgroup.subtree_control", "+io") ?:
	       write_file(CGROUPS "/slow/io.max", limit) ?:
	       write_file(CGROUPS "/slow/cgroup.procs", "0");
}

#endif /* SLOW_DISK_H */
