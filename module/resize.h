/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_RESIZE_H
#define MAL_RESIZE_H

#include <linux/types.h>

struct mal_buffer;
struct mal_extent;

/*
 * Resizing in place. What is cut off a buffer, or added behind it, is an extent of its own for a
 * while, a part: it comes as that of any buffer, and goes as any, to quarantine even. So nothing
 * is left that can fail once the buffer itself is touched.
 *
 * First the part that a buffer of @pages needs to have @new_pages: what lies behind, charged
 * and zeroed; an empty one, to take the rest; or NULL, if they are as many. Sleeps. -ENOSPC:
 * mmap() would not reach the end; -ENOMEM: also, something is behind, or a constraint of the
 * buffer ends there; and what mal_buffer_create() fails with.
 */
struct mal_extent *mal_resize_prepare(struct mal_buffer *buffer, u32 pages, u32 new_pages);

/*
 * Then let it have @new_pages and @length bytes. The caller holds the lock of the client
 * that has the only share, and has seen that the buffer still has the pages that @part was
 * made for. Sleeps. -EBUSY: a device has not finished with it.
 */
int mal_resize(struct mal_buffer *buffer, struct mal_extent *part, u32 new_pages, u64 length);

/* In the end, in any case: what is with @part has left the buffer. Sleeps. */
void mal_resize_finish(struct mal_buffer *buffer, struct mal_extent *part);

#endif /* MAL_RESIZE_H */
