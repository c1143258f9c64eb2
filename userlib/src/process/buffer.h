/* SPDX-License-Identifier: MIT */
/*
 * A used block of a region.
 *
 * A buffer is kept by its handles, by the mappings that the library made, and by its dma-buf.
 * /dev/udmabuf makes one dma-buf for all exports; each export is a duplicate of its descriptor. The
 * kernel does not say when the last one is closed: the library looks when figures are asked for, or
 * memory is short.
 *
 * All of this is called with the lock of region.h held.
 */
#ifndef PROCESS_BUFFER_H
#define PROCESS_BUFFER_H

#include <sys/types.h>

#include "region.h"

struct buffer {
	struct region *region;
	u64 length;
	u32 first;		/* granule */
	unsigned int users;	/* handles and mappings */
	u32 handle[2];		/* 0: none; the second may write */
	int dmabuf;		/* -1: none */
	dev_t dmabuf_device;
	ino_t dmabuf_inode;
	struct buffer *next_exported;
};

u64 buffer_real_length(const struct buffer *buffer);
u64 buffer_offset(const struct buffer *buffer);

/* The buffer that has the granule; NULL: it is free or retired. */
struct buffer *buffer_at(const struct region *region, u32 granule);

/* One user less, after which the buffer may be gone. */
void buffer_put(struct buffer *buffer);

/* Give the buffer its dma-buf. Errors: as udmabuf_create(). */
int buffer_export(struct buffer *buffer);

/* Find out which exports have been closed. */
void buffer_check_exports(struct region *region);

/* Forget all exports: nobody can import them any more. The dma-bufs keep their pages themselves. */
void buffer_forget_exports(struct region *region);

#endif /* PROCESS_BUFFER_H */
