/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BUFFER_H
#define MAL_BUFFER_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "extent.h"

struct file;

/* An extent, and who may reach it. */
struct mal_buffer {
	struct mal_extent extent;	/* first: who has that last frees all of it */

	struct kref ref;		/* one per share and mapping */

	/*
	 * How many have the buffer: handles, dma-bufs, mappings of those whom it was given to, and
	 * calls that are about to make one of these. Who has a share may make more of them; but
	 * with that of a handle, only under the lock of its client. So under that, the only one
	 * stays the only one.
	 *
	 * Pages and length change under that lock, the extent's and the arena's, all three: any of
	 * them keeps them as they are, and so does a share, but for the only handle.
	 */
	atomic_t shares;

	/* Constant from creation on. */
	unsigned long pgoff;		/* where mmap() finds it, in pages */
	u32 end_max;			/* constraints let it reach up to that granule */

	/*
	 * A client knows its physical address; it must not be moved or resized. Set,
	 * never cleared, under the lock of that client.
	 */
	bool disclosed;

	/* That of all mappings, see mapping.c. NULL before the first one; then it stays. */
	struct file *mapping_file;

	struct mutex attach_lock;	/* of @attachments; after dma_resv locks */
	struct list_head attachments;	/* of devices, through any dma-buf */
};

/*
 * A new buffer of @length bytes, zeroed, in the granules that @req wants, with one
 * share, charged to @payer. Sleeps. -EDQUOT; -ENOMEM; -EINTR: a fatal signal
 * arrived.
 */
struct mal_buffer *mal_buffer_create(struct mal_region *region, struct mal_payer *payer,
				     u64 length, const struct mal_request *req);

/* Of an extent that is a buffer's. */
static inline struct mal_buffer *mal_buffer_of(const struct mal_extent *extent)
{
	return container_of(extent, struct mal_buffer, extent);
}

static inline struct mal_buffer *mal_buffer_get(struct mal_buffer *buffer)
{
	kref_get(&buffer->ref);
	return buffer;
}

/* Sleeps; may be called with mmap_lock held. */
void mal_buffer_put(struct mal_buffer *buffer);

/* A share is a reference, too. */
static inline struct mal_buffer *mal_buffer_share(struct mal_buffer *buffer)
{
	atomic_inc(&buffer->shares);
	return mal_buffer_get(buffer);
}

/* Sleeps. */
void mal_buffer_unshare(struct mal_buffer *buffer);

/* The bytes that it has, and in *@length those that were asked for. Sleeps. */
u64 mal_buffer_size(struct mal_buffer *buffer, u64 *length);

#endif /* MAL_BUFFER_H */
