/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DMABUF_H
#define MAL_DMABUF_H

#include <linux/types.h>

struct dma_buf;
struct file;
struct mal_buffer;
struct mal_span;
struct mal_region;

/*
 * A new dma-buf of that span of @buffer. The caller has a share of the buffer, and the dma-buf gets
 * one. @access: O_RDONLY, O_WRONLY or O_RDWR. Sleeps. -ENFILE, -ENOMEM.
 */
struct dma_buf *mal_dmabuf_create(struct mal_buffer *buffer, const struct mal_span *span,
				  unsigned int access);

/*
 * The same. Returns the number of a descriptor. The caller installs *@file there; or puts the file
 * and the number. @open_flags: an access mode, and O_CLOEXEC if wanted. Also -EMFILE.
 */
int mal_dmabuf_export(struct mal_buffer *buffer, const struct mal_span *span,
		      unsigned int open_flags, struct file **file);

/*
 * The buffer of the dma-buf that descriptor @fd stands for, with a share, and whether the
 * descriptor is writable. -EBADF: @fd is not open; -EINVAL: not a dma-buf of this region;
 * -EACCES: the descriptor is not readable; -EOPNOTSUPP: the dma-buf is not of the whole buffer.
 */
struct mal_buffer *mal_dmabuf_import(struct mal_region *region, int fd, bool *writable);

#endif /* MAL_DMABUF_H */
