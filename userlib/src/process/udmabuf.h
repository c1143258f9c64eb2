/* SPDX-License-Identifier: MIT */
/* dma-bufs of a memfd, as /dev/udmabuf makes them. */
#ifndef PROCESS_UDMABUF_H
#define PROCESS_UDMABUF_H

#include <stdbool.h>
#include <stdint.h>

/* Is there a /dev/udmabuf that the process may open? */
bool udmabuf_is_there(void);

/*
 * A dma-buf of @length bytes of the memfd at @offset; its descriptor. -EOPNOTSUPP: udmabuf is not
 * there, may not be opened, or has limits that forbid it; others of ioctl(2); -EMFILE, -ENFILE.
 */
int udmabuf_create(int memfd, uint64_t offset, uint64_t length);

/* Does anybody else have the dma-buf? Where the kernel does not tell, true. */
bool udmabuf_is_shared(int dmabuf);

#endif /* PROCESS_UDMABUF_H */
