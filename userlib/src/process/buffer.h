/* SPDX-License-Identifier: MIT */
/*
 * A used block of a region.
 *
 * A buffer is kept by its handles, by the mappings that the library made, and by its dma-bufs.
 * /dev/udmabuf makes one for all exports of the same part; each export is a duplicate of its
 * descriptor. The kernel does not say when the last one is closed: the library looks when figures
 * are asked for, or when memory or descriptors are short.
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
	unsigned int exports;	/* dma-bufs */
};

/* A dma-buf of a part of a buffer, or of all of it. */
struct export {
	struct buffer *buffer;
	u64 offset;		/* in the buffer */
	u64 length;
	int dmabuf;
	dev_t device;		/* what the dma-buf is known by */
	ino_t inode;
	struct export *next;
};

u64 buffer_real_length(const struct buffer *buffer);
u64 buffer_offset(const struct buffer *buffer);

/* The buffer that has the granule; NULL: it is free or retired. */
struct buffer *buffer_at(const struct region *region, u32 granule);

/* One user less, after which the buffer may be gone. */
void buffer_put(struct buffer *buffer);

/* The descriptor of a dma-buf of that part, which stays ours. Errors: as udmabuf_create(). */
int buffer_export(struct buffer *buffer, u64 offset, u64 length);

/* Find out which exports have been closed, by all but us. */
void buffer_check_exports(struct region *region);

/* Forget all exports: nobody can import them any more. The dma-bufs keep their pages themselves. */
void buffer_forget_exports(struct region *region);

#endif /* PROCESS_BUFFER_H */
