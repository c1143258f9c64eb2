/* SPDX-License-Identifier: MIT */
/* The names of buffers in a region. With the lock of region.h held. */
#ifndef PROCESS_HANDLE_H
#define PROCESS_HANDLE_H

#include "buffer.h"

struct handle {
	u32 id;			/* first: what the tree compares */
	bool writable;
	struct buffer *buffer;
};

/* NULL: no handle of the region. */
struct handle *handle_find(struct region *region, u32 id);

/* A new handle for @buffer, or NULL: no memory. */
struct handle *handle_add(struct buffer *buffer, bool writable);

/* Give the handle up; its buffer may be gone then. */
void handle_remove(struct handle *handle);

#endif /* PROCESS_HANDLE_H */
