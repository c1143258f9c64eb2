/* SPDX-License-Identifier: MIT */
/* The mappings that the library made of buffers of regions. */
#ifndef PROCESS_MAPPING_H
#define PROCESS_MAPPING_H

#include "../backend.h"

/* memalloc_operations.map. */
int process_map(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		void *place, void **address);

/*
 * A mapping keeps its buffer, so this backend has to know when a mapping goes. Before it is
 * unmapped, mapping_take() forgets the one at @address. NULL: the backend knows none there, with
 * *@err 0, or not with that length, with -EINVAL. After that, mapping_drop() gives up the buffer;
 * if the mapping could not be unmapped, mapping_put_back() remembers it again.
 */
struct mapping *mapping_take(void *address, uint64_t length, int *err);
void mapping_drop(struct mapping *mapping);
void mapping_put_back(struct mapping *mapping);

#endif /* PROCESS_MAPPING_H */
