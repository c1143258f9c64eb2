// SPDX-License-Identifier: MIT
/* The backend that is the device. See device.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device.h"

static int device_call(struct memalloc *mem, unsigned long request, void *argument)
{
	return ioctl(mem->fd, request, argument) ? -errno : 0;
}

static void device_close(struct memalloc *mem)
{
	close(mem->fd);
	free(mem);
}

const struct memalloc_operations memalloc_device = {
	.backend = MEMALLOC_BACKEND_DEVICE,
	.call = device_call,
	.map = memalloc_map_file,
	.close = device_close,
};

int memalloc_device_open(const char *path, struct memalloc *mem)
{
	mem->operations = &memalloc_device;
	mem->fd = open(path, O_RDWR | O_CLOEXEC);
	return mem->fd < 0 ? -errno : 0;
}
