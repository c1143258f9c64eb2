/* SPDX-License-Identifier: MIT */
/* The backend that is the device: every call is one of the kernel. */
#ifndef DEVICE_H
#define DEVICE_H

#include "backend.h"

extern const struct memalloc_operations memalloc_device;

/* Open the backend: fill in @mem, which is zeros, but for region_length. */
int memalloc_device_open(const char *path, struct memalloc *mem);

#endif /* DEVICE_H */
