/* SPDX-License-Identifier: MIT */
/* The backend that is memory of the process. */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include "../backend.h"

/* Begin with what the backend has beside its operations and region_length: @mem is zeros. */
int memalloc_process_open(uint64_t length, struct memalloc *mem);

#endif /* PROCESS_PROCESS_H */
