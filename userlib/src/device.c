// SPDX-License-Identifier: MIT
/* The backend that is the device: every call is one of the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend.h"

static int device_call(struct memalloc *mem, unsigned long request, void *argument)
{
	return ioctl(mem->fd, request, argument) ? -errno : 0;
}

/*
 * The kernel asks the driver when it has unmapped what was at @place: after an error, nothing
 * would be there, and another thread might get these addresses. So the driver is asked for a
 * mapping elsewhere, which then moves.
 */
static int device_map(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		      void *place, void **address)
{
	const size_t length = buffer->real_length;
	void *mapped = mmap(NULL, length, protection, MAP_SHARED, mem->fd, buffer->mmap_offset);
	int err;

	if (mapped == MAP_FAILED)
		return -errno;
	if (place && mremap(mapped, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, place) ==
			MAP_FAILED) {
		err = -errno;
		munmap(mapped, length);
		return err;
	}
	*address = place ? place : mapped;
	return 0;
}

static void device_close(struct memalloc *mem)
{
	close(mem->fd);
	free(mem);
}

const struct memalloc_operations memalloc_device = {
	.backend = MEMALLOC_BACKEND_DEVICE,
	.call = device_call,
	.map = device_map,
	.close = device_close,
};

int memalloc_device_open(const char *path, struct memalloc *mem)
{
	mem->operations = &memalloc_device;
	mem->fd = open(path, O_RDWR | O_CLOEXEC);
	return mem->fd < 0 ? -errno : 0;
}
