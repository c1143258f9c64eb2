// SPDX-License-Identifier: MIT
/* See process.h. */
#include <stdlib.h>

#include "calls.h"
#include "handle.h"
#include "mapping.h"
#include "process.h"

static void close_region(struct memalloc *mem)
{
	struct region *region = mem->region;

	region_lock();
	while (region->handles)
		handle_remove(*(struct handle **)region->handles);
	/* From here on nobody can import them: the dma-bufs have their memory on their own. */
	buffer_forget_exports(region);
	region_put(region);
	region_unlock();
	free(mem);
}

static const struct memalloc_operations operations = {
	.backend = MEMALLOC_BACKEND_PROCESS,
	.call = process_call,
	.map = process_map,
	.close = close_region,
};

int memalloc_process_open(const char *name, uint64_t length, struct memalloc *mem)
{
	struct region *region;
	int err = region_open(name, length, &region);

	if (err)
		return err;
	mem->operations = &operations;
	mem->fd = region->fd;
	mem->region = region;
	return 0;
}
