/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_RESIZE_H
#define MAL_RESIZE_H

#include <linux/types.h>

struct mal_buffer;
struct mal_extent;

/*
 * Resizing in place. The pages that are cut off the end of a buffer, or added to it, are an extent
 * of their own for a while: a part. A part is allocated and freed like the extent of a buffer, by
 * way of quarantine if need be. All that can fail is done with the part, before the buffer changes.
 *
 * First get the part with which a buffer of @pages becomes one of @new_pages. To grow: the pages
 * that follow the buffer, charged and zeroed. To shrink: an empty part, for the pages that are cut
 * off. NULL: the number stays the same. Sleeps. -ENOSPC: mmap() would not reach the end; -ENOMEM:
 * also, the following pages are in use, or a constraint of the buffer forbids them; -EAGAIN: it
 * was moved meanwhile; and the errors of mal_alloc().
 */
struct mal_extent *mal_resize_prepare(struct mal_buffer *buffer, u32 pages, u32 new_pages);

/*
 * Then resize @buffer to @new_pages and @length bytes. The caller holds the lock of the handle that
 * has the only share, and has checked that the buffer still has as many pages as @part was made
 * for. Sleeps. -EBUSY: a device has not finished with the buffer; or it is huge, is
 * mapped, and would shrink. -EAGAIN: @part does not follow the buffer any more.
 */
int mal_resize(struct mal_buffer *buffer, struct mal_extent *part, u32 new_pages, u64 length);

/* In the end, after success and failure: free the pages that @part still has. Sleeps. */
void mal_resize_finish(struct mal_buffer *buffer, struct mal_extent *part, u32 new_pages);

#endif /* MAL_RESIZE_H */
