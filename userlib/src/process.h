/* SPDX-License-Identifier: MIT */
/* The backend that is memory of the process. */
#ifndef PROCESS_H
#define PROCESS_H

#include "backend.h"

/* Begin with what the backend has beside its operations and region_length: @mem is zeros. */
int memalloc_process_open(uint64_t length, struct memalloc *mem);

/*
 * The process backend has to know when a mapping of its memory goes. Take out what it
 * knows of the one at @address (NULL: that is none of its, or it is not @length long:
 * *@err), and after that let it go, or put it back if it is still there.
 */
struct mapping;
struct mapping *memalloc_mapping_take(void *address, uint64_t length, int *err);
void memalloc_mapping_drop(struct mapping *mapping);
void memalloc_mapping_put_back(struct mapping *mapping);

#endif /* PROCESS_H */
