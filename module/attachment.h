/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_ATTACHMENT_H
#define MAL_ATTACHMENT_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct dma_buf_attachment;
struct mal_attachment;
struct mal_buffer;
struct sg_table;

/*
 * A device is attached to a dma-buf of @buffer, and may map it until it is detached; @attach gets
 * its struct mal_attachment as priv. Sleep. -EOPNOTSUPP: the memory has no pages; -ENODEV: it is
 * gone; -ENOMEM.
 */
int __must_check mal_attach(struct mal_buffer *buffer, struct dma_buf_attachment *attach);
void mal_detach(struct mal_buffer *buffer, struct dma_buf_attachment *attach);

/*
 * Map the buffer for the device, which pins it until it is unmapped. One mapping at a time. Sleep.
 * -EBUSY: there is one; -ENOMEM, and errors of dma_map_sgtable().
 */
struct sg_table *mal_map_attachment(struct mal_buffer *buffer, struct mal_attachment *attachment,
				    enum dma_data_direction dir);
void mal_unmap_attachment(struct mal_buffer *buffer, struct mal_attachment *attachment);

/*
 * The CPU is going to access @length bytes of @buffer from @offset on, or has done so. The
 * bytes are synchronized between the CPU and each device that has the buffer mapped. The
 * beginning also waits for devices that still work on the buffer: for their writes, and if
 * the CPU is going to @write, for their reads, too. -ERESTARTSYS: a signal arrived.
 */
int mal_begin_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length, bool write);
void mal_end_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length);

#endif /* MAL_ATTACHMENT_H */
