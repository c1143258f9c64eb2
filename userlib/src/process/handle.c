// SPDX-License-Identifier: MIT
/* See handle.h. */
#include <search.h>
#include <stdlib.h>

#include "handle.h"

static int compare_ids(const void *a, const void *b)
{
	const u32 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct handle *handle_find(struct region *region, u32 id)
{
	struct handle *const *found = tfind(&id, &region->handles, compare_ids);

	return found ? *found : NULL;
}

struct handle *handle_add(struct buffer *buffer, bool writable)
{
	struct region *region = buffer->region;
	struct handle *handle = malloc(sizeof(*handle));

	if (!handle)
		return NULL;
	do {
		handle->id = ++region->last_handle;
	} while (!handle->id || handle_find(region, handle->id));
	handle->writable = writable;
	handle->buffer = buffer;
	if (!tsearch(handle, &region->handles, compare_ids)) {
		free(handle);
		return NULL;
	}
	buffer->handle[writable] = handle->id;
	buffer->users++;
	return handle;
}

void handle_remove(struct handle *handle)
{
	struct buffer *buffer = handle->buffer;

	tdelete(handle, &buffer->region->handles, compare_ids);
	buffer->handle[handle->writable] = 0;
	free(handle);
	buffer_put(buffer);
}
