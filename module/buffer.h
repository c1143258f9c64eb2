/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BUFFER_H
#define MAL_BUFFER_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "bounds.h"
#include "extent.h"

struct file;

/*
 * A client's name for a buffer, see handle.h. The handle has a share of the buffer. All but
 * @published is constant or under the client's handles->lock.
 */
struct mal_handle {
	struct hlist_node by_id;	/* in handles->by_id */
	struct hlist_node by_offset;	/* in handles->by_offset */
	struct mal_buffer *buffer;
	u32 id;				/* its number in userspace; not 0 */
	bool published;			/* or userspace is being told its number */
	bool writable;
	bool disclosed;			/* it disclosed the address */
};

/* An extent, and who may reach it. */
struct mal_buffer {
	struct mal_extent extent;	/* first: kfree() of the extent frees the buffer */

	struct mal_handle first_handle;	/* of the client that allocated the buffer */

	struct kref ref;		/* one per share and mapping */

	/*
	 * Shares: one for each handle, each dma-buf, each mapping through a client that does not
	 * pay for the buffer, each time that a driver has it, and each call that is about to make
	 * one of these. The owner of a share may make further shares; for the share of a handle,
	 * only under handles->lock. So while that lock is held, a handle that has the only share
	 * keeps it.
	 *
	 * The block's granules and length change under three locks: handles->lock of the only
	 * share, extent.size_lock and the arena's. Each of the three keeps them constant, and so
	 * does any share but that of the only handle.
	 */
	atomic_t shares;

	/* Constant from creation on; but RESIZE makes @reusable false. */
	unsigned long pgoff;		/* the mmap offset, in pages */
	struct mal_bounds bounds;	/* what was asked for; its size is not kept up */

	/*
	 * It can become ready: size and mmap offset are what a new buffer at its place would have,
	 * and no cgroup pays for one of up to MAL_READY_MAX granules.
	 */
	bool reusable;

	/*
	 * A client knows the physical address, so the buffer must not be moved or resized. Set
	 * under handles->lock of that client, and never cleared. Who sets it takes size_lock before
	 * the address is read: a move that has not seen this is over then.
	 */
	bool disclosed;

	/*
	 * Mappings have huge entries: MEMALLOC_ALLOC_HUGE. Set before the first handle. A ready
	 * buffer is never huge, since no alignment was asked for.
	 */
	bool huge;

	/* The file of all mappings, see mapping.c. NULL until the first mapping; then constant. */
	struct file *mapping_file;
	bool owns_file;		/* it can become spare: the client that pays made the file */

	/*
	 * One for each who relies on the buffer's place for a while: a device or the kernel that
	 * has it mapped. See mal_buffer_pin().
	 */
	atomic_t pins;

	/* So many of these are devices' that can be asked to go. Under the lock of extent.resv. */
	u32 yielding;

	/* Under region->compacting: see mal_buffer_moves(). */
	u32 moves_second;
	u32 moves;

	struct mutex attach_lock;	/* after dma_resv locks */
	struct list_head attachments;	/* of devices, through any dma-buf; changes under both */
};

/* Consecutive pages of a buffer; @first is counted from its beginning. */
struct mal_span {
	u32 first;
	u32 pages;
};

/* All of it; the caller has what keeps its size. */
static inline struct mal_span mal_whole(const struct mal_buffer *buffer)
{
	return (struct mal_span) { .pages = buffer->extent.block.granules };
}

static inline u64 mal_span_offset(const struct mal_span *span)
{
	return (u64)span->first << PAGE_SHIFT;
}

static inline u64 mal_span_size(const struct mal_span *span)
{
	return (u64)span->pages << PAGE_SHIFT;
}

/*
 * A new buffer of @length bytes, zeroed, in granules that @bounds ask for, with one share,
 * charged to @payer. Sleeps. -EDQUOT; -ENOMEM; -EINTR: a fatal signal arrived.
 */
struct mal_buffer *mal_buffer_create(struct mal_region *region, struct mal_payer *payer,
				     u64 length, const struct mal_bounds *bounds);

/*
 * The same for @payer, who has been charged. -EDQUOT: a cgroup may not have it. After an error,
 * the charge of @payer stays.
 */
struct mal_buffer *mal_buffer_create_charged(struct mal_region *region, struct mal_payer *payer,
					     u64 length, const struct mal_bounds *bounds);

/* For mal_arena_init(): the heap has got back the block of a buffer that was ready. Sleeps. */
void mal_buffer_release(struct mal_block *block);

/* @extent belongs to a buffer, and is not a part; see resize.h. */
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

/*
 * The same for the share of the first handle: if nobody else has the buffer, and nobody has touched
 * it, the client keeps it for its next one.
 */
void mal_buffer_unshare_first(struct mal_buffer *buffer);

/*
 * Until mal_buffer_unpin(), the buffer stays at its place, where all of it may be written to. The
 * caller has a reference. Sleeps.
 */
void mal_buffer_pin(struct mal_buffer *buffer);

static inline void mal_buffer_unpin(struct mal_buffer *buffer)
{
	(void)atomic_fetch_dec_release(&buffer->pins);
}

/* Its bytes, rounded to granules; *@length: the bytes that were asked for. Sleeps. */
u64 mal_buffer_size(struct mal_buffer *buffer, u64 *length);

#endif /* MAL_BUFFER_H */
