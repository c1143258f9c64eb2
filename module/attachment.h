/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_ATTACHMENT_H
#define MAL_ATTACHMENT_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct device;
struct dma_buf;
struct mal_attachment;
struct mal_buffer;
struct mal_span;
struct sg_table;

/*
 * @dev may map that span of @buffer until it is detached. @yielding: it does so through that
 * dma-buf, by an importer that can be asked to unmap it; else NULL. Sleep. -EOPNOTSUPP: the memory
 * has no pages; -ENODEV: it is gone; -ENOMEM.
 */
struct mal_attachment *mal_attach(struct mal_buffer *buffer, const struct mal_span *span,
				  struct device *dev, struct dma_buf *yielding);
void mal_detach(struct mal_buffer *buffer, struct mal_attachment *attachment);

/*
 * Map the span for the device, which pins the buffer until it is unmapped. One mapping at a time.
 * Sleep.
 * -EBUSY: there is one; -ENOMEM, and errors of dma_map_sgtable().
 */
struct sg_table *mal_map_attachment(struct mal_buffer *buffer, struct mal_attachment *attachment,
				    enum dma_data_direction dir);
void mal_unmap_attachment(struct mal_buffer *buffer, struct mal_attachment *attachment);

/* Which one mal_map_attachment() answered @sgt for. */
struct mal_attachment *mal_attachment_of(struct sg_table *sgt);

/* Does a device that can't be asked to let go of the buffer, or the kernel, have it mapped? */
bool mal_buffer_is_pinned(const struct mal_buffer *buffer);

/*
 * Ask the importers that can be asked to let go of the buffer, and wait for what devices have
 * begun: up to *@patience, in jiffies, of which that is subtracted. True: until
 * mal_resume_devices(), none begins anything new; but one that has not let go may still have the
 * buffer mapped. False: devices have not finished. Sleeps.
 */
bool __must_check mal_stop_devices(struct mal_buffer *buffer, unsigned long *patience);
void mal_resume_devices(struct mal_buffer *buffer);

/*
 * The CPU is going to access @length bytes of @buffer from @offset on, or has done so. The
 * bytes are synchronized between the CPU and each device that has the buffer mapped. The
 * beginning also waits for devices that still work on the buffer: for their writes, and if
 * the CPU is going to @write, for their reads, too. -ERESTARTSYS: a signal arrived.
 */
int mal_begin_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length, bool write);
void mal_end_cpu_access(struct mal_buffer *buffer, u64 offset, u64 length);

#endif /* MAL_ATTACHMENT_H */
