/* SPDX-License-Identifier: MIT */
/* The mappings that the library made of buffers of regions. */
#ifndef PROCESS_MAPPING_H
#define PROCESS_MAPPING_H

#include "../backend.h"

struct buffer;
struct region;

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

/*
 * Have the mapping at @address known as two, of which the first has @length bytes; if the backend
 * knows one there that is longer. -ENOMEM.
 */
int mapping_split(void *address, uint64_t length);

/*
 * The buffer of @region that is mapped at @address, and *@offset, the byte of it that is there;
 * NULL: none that the backend knows. With the lock of region.h held.
 */
struct buffer *mapping_buffer(const struct region *region, uint64_t address, uint64_t *offset);

#endif /* PROCESS_MAPPING_H */
