/* SPDX-License-Identifier: MIT */
/* The mappings that the library made of buffers of regions. */
#ifndef PROCESS_MAPPING_H
#define PROCESS_MAPPING_H

#include "../backend.h"

/* memalloc_operations.map. */
int process_map(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		void *place, void **address);

/*
 * The process backend has to know when a mapping of its memory goes. Take out what it
 * knows of the one at @address (NULL: that is none of its, or it is not @length long:
 * *@err), and after that let it go, or put it back if it is still there.
 */
struct mapping *mapping_take(void *address, uint64_t length, int *err);
void mapping_drop(struct mapping *mapping);
void mapping_put_back(struct mapping *mapping);

#endif /* PROCESS_MAPPING_H */
