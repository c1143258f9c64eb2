/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DMABUF_H
#define MAL_DMABUF_H

#include <linux/types.h>

struct dma_buf;
struct mal_buffer;
struct mal_region;

/* A new dma-buf of @buffer, which it holds a reference to. @access: O_RDONLY or O_RDWR. */
struct dma_buf *mal_dmabuf_export(struct mal_buffer *buffer, int access);

/*
 * The buffer behind a descriptor of one of our dma-bufs, with a reference, and
 * whether the descriptor may write. -EBADF: not open; -EINVAL: not one of ours.
 */
struct mal_buffer *mal_dmabuf_import(struct mal_region *region, int fd, bool *writable);

#endif /* MAL_DMABUF_H */
