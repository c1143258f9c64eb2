/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BUFFER_H
#define MAL_BUFFER_H

#include <linux/dma-resv.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct mal_region;

/* A used block, and who may reach it. */
struct mal_buffer {
	struct kref ref;		/* one per handle, mapping and dma-buf */
	struct mal_region *region;

	/* Constant from creation on. */
	u64 length;			/* bytes that were asked for */
	unsigned long pgoff;		/* where mmap() finds it, in pages */
	u32 first;			/* the block, in granules */
	u32 pages;

	/*
	 * Somebody was given a way to the pages, and may hold one still when all
	 * users are gone. Set, never cleared, by those who hold a reference.
	 */
	bool exposed;

	/* Once all users are gone: */
	bool quarantined;		/* under the arena's lock */
	struct list_head quarantine;	/* under the quarantine's lock */
	u32 idle;			/* pages found idle so far, from the first on */

	struct mutex attach_lock;	/* of @attachments; after dma_resv locks */
	struct list_head attachments;	/* of devices, through any dma-buf */
	struct dma_resv resv;		/* shared by all dma-bufs of the buffer */
};

/*
 * A new buffer of @length bytes, zeroed, at a multiple of @align pages, with one
 * reference. Sleeps. -EFBIG: larger than the region; -ENOMEM; -EINTR: a fatal
 * signal arrived.
 */
struct mal_buffer *mal_buffer_create(struct mal_region *region, u64 length, u32 align);

static inline struct mal_buffer *mal_buffer_get(struct mal_buffer *buffer)
{
	kref_get(&buffer->ref);
	return buffer;
}

/* Sleeps; may be called with mmap_lock held. */
void mal_buffer_put(struct mal_buffer *buffer);

/*
 * Whether nobody holds a page of it, and no device works on one. All users must be
 * gone, and only one caller at a time. Sleeps.
 */
bool mal_buffer_idle(struct mal_buffer *buffer);

/* Give the block back. Nobody may hold a page of it. Sleeps. */
void mal_buffer_destroy(struct mal_buffer *buffer);

struct page *mal_buffer_page(const struct mal_buffer *buffer, u32 index);

#endif /* MAL_BUFFER_H */
