/* SPDX-License-Identifier: MIT */
/* The backend that is memory of the process. */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include "../backend.h"

/*
 * Open the backend, with a region of that name: fill in @mem, which is zeros, but for
 * region_length.
 */
int memalloc_process_open(const char *name, uint64_t length, struct memalloc *mem);

#endif /* PROCESS_PROCESS_H */
