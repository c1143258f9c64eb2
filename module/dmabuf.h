/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_DMABUF_H
#define MAL_DMABUF_H

#include <linux/types.h>

struct file;
struct mal_buffer;
struct mal_region;

/*
 * A new dma-buf of @buffer, of which it has a share, as has the caller: a number for a
 * descriptor, and the *@file to install there, or to put and give the number back. @open_flags: an
 * access mode, and O_CLOEXEC if wanted. -EMFILE, -ENFILE, -ENOMEM.
 */
int mal_dmabuf_export(struct mal_buffer *buffer, unsigned int open_flags, struct file **file);

/*
 * The buffer behind a descriptor of one of our dma-bufs, with a share, and
 * whether the descriptor may write. -EBADF: not open; -EINVAL: not one of ours;
 * -EACCES: it may not read.
 */
struct mal_buffer *mal_dmabuf_import(struct mal_region *region, int fd, bool *writable);

/*
 * The CPU is going to access @length bytes of @buffer from @offset on, or has done so:
 * they are handed over between it and each device that has the buffer mapped. At the
 * beginning also waits for what devices are to do with the buffer still: for their
 * writes; for reads, too, if the CPU is going to @write. -ERESTARTSYS: a signal arrived.
 */
int mal_dmabuf_begin_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length, bool write);
void mal_dmabuf_end_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length);

#endif /* MAL_DMABUF_H */
