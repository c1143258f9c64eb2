/* SPDX-License-Identifier: MIT */
/* What the files of the library share, and nobody else sees. */
#ifndef DEVICE_H
#define DEVICE_H

/* Everything else is hidden by the compiler's options. */
#pragma GCC visibility push(default)
#include <memalloc.h>
#pragma GCC visibility pop

struct memalloc {
	int fd;
	uint64_t region_length;
};

/* ioctl(), answering 0 or -errno and leaving errno alone. */
int memalloc_device_call(const struct memalloc *mem, unsigned long request, void *argument);

#endif /* DEVICE_H */
