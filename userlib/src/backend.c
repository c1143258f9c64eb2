// SPDX-License-Identifier: MIT
/* What all calls of a backend have in common. See backend.h. */
#define _GNU_SOURCE
#include <errno.h>

#include "addresses.h"
#include "backend.h"

int memalloc_call(struct memalloc *mem, unsigned long request, void *argument)
{
	int saved_errno = errno;
	int err = mem->operations->call(mem, request, argument);

	errno = saved_errno;
	return err;
}

int memalloc_map_file(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		      void *place, void **address)
{
	void *mapped = addresses_map(place, buffer->real_length, protection, mem->fd,
				     buffer->mmap_offset);

	if (mapped == MAP_FAILED)
		return -errno;
	*address = mapped;
	return 0;
}
