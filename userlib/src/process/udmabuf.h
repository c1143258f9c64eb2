/* SPDX-License-Identifier: MIT */
/* dma-bufs of a memfd, as /dev/udmabuf makes them. */
#ifndef PROCESS_UDMABUF_H
#define PROCESS_UDMABUF_H

#include <stdbool.h>
#include <stdint.h>

/* Is there a /dev/udmabuf that the process may open? */
bool udmabuf_is_there(void);

/*
 * A dma-buf of @length bytes of the memfd at @offset; its descriptor. -EOPNOTSUPP: udmabuf can't
 * do that, for lack of it or of rights or because of its limits; other errors of open(2).
 */
int udmabuf_create(int memfd, uint64_t offset, uint64_t length);

/* Does anybody else have the dma-buf? Where nothing tells, somebody does. */
bool udmabuf_is_shared(int dmabuf);

#endif /* PROCESS_UDMABUF_H */
