/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BUFFER_H
#define MAL_BUFFER_H

#include <linux/dma-resv.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/memalloc.h>

struct file;
struct mal_payer;
struct mal_region;
struct mal_request;

/* A used block, and who may reach it. */
struct mal_buffer {
	struct kref ref;		/* one per share and mapping */

	/*
	 * How many have the buffer: handles, dma-bufs, mappings of those whom it was given to, and
	 * calls that are about to make one of these. Who has a share may make more of them; but
	 * with that of a handle, only under the lock of its client. So under that, the only one
	 * stays the only one.
	 */
	atomic_t shares;

	/* Constant from creation on. */
	struct mal_region *region;
	struct mal_payer *payer;	/* is charged for what is not back yet, nor retired */
	unsigned long pgoff;		/* where mmap() finds it, in pages; 0: a part, nowhere */
	u32 first;			/* the block, in granules */
	u32 end_max;			/* constraints let it reach up to there */

	/*
	 * They change under the lock of the client that has the only share, @size_lock and the
	 * arena's, all three: any of them keeps them as they are, and so does a share, but for
	 * the only handle.
	 */
	u32 pages;
	u64 length;			/* bytes that were asked for */

	/* It is a part of another buffer, or was; not counted as one. Constant, too. */
	bool part;

	/* Once all users are gone; under the arena's lock. */
	bool quarantined;

	/*
	 * Somebody was given a way to the pages, or their address: they may have been
	 * written to, and one may be held still when all users are gone. Set, never
	 * cleared, by those who hold a reference.
	 */
	bool exposed;

	/* Any page may have been written to, not only those that were mapped. The same. */
	bool written;

	/*
	 * A client was told where the buffer lies; it must not be moved or resized. Set,
	 * never cleared, under the lock of that client.
	 */
	bool told;

	/*
	 * One who was told went without a word, and a device may still write there. Set by
	 * those who hold a reference; cleared once it is quarantined, under the arena's lock.
	 */
	bool unreleased;

	/* That of all mappings, see mapping.c. NULL before the first one; then it stays. */
	struct file *mapping_file;

	u8 name[MEMALLOC_NAME_LEN];	/* for people; zero-terminated; under the arena's lock */

	union {
		/* While it has users; between mmap_lock and the arena's; after client->lock. */
		struct rw_semaphore size_lock;

		/* While it is quarantined: */
		struct {
			/* under the arena's lock: pages that are not back yet, */
			u32 left;
			/* and the pieces that they are in, a list, see arena.h; */
			u32 first_piece;
			u32 last_piece;
			/* of who looks at it: pages left to look at in this pass. The next of */
			u32 unseen;
			/* them are in the first piece, behind so many that are held. */
			u32 seen;
		};
	};
	struct list_head quarantine;	/* under the lock of the list that it is in */

	struct mutex attach_lock;	/* of @attachments; after dma_resv locks */
	struct list_head attachments;	/* of devices, through any dma-buf */
	struct dma_resv resv;		/* shared by all dma-bufs of the buffer */
};

/* The bytes that it has. They stay as many as long as @pages does. */
static inline u64 mal_buffer_real_length(const struct mal_buffer *buffer)
{
	return (u64)buffer->pages << PAGE_SHIFT;
}

/*
 * A new buffer of @length bytes, zeroed, in the granules that @req wants, with one
 * share, charged to @payer. Sleeps. -EDQUOT; -ENOMEM; -EINTR: a fatal signal
 * arrived.
 */
struct mal_buffer *mal_buffer_create(struct mal_region *region, struct mal_payer *payer,
				     u64 length, const struct mal_request *req);

static inline struct mal_buffer *mal_buffer_get(struct mal_buffer *buffer)
{
	kref_get(&buffer->ref);
	return buffer;
}

/* Sleeps; may be called with mmap_lock held. */
void mal_buffer_put(struct mal_buffer *buffer);

/* Somebody else than a process that maps it gets a way to the pages, or their address. */
static inline void mal_buffer_expose(struct mal_buffer *buffer)
{
	WRITE_ONCE(buffer->written, true);
	WRITE_ONCE(buffer->exposed, true);
}

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

/*
 * Resizing in place. What is cut off a buffer, or added behind it, is a buffer of its own
 * for a while, a part: it comes as any other, and goes as any other, to quarantine even. So
 * nothing is left that can fail once the buffer itself is touched.
 *
 * First the part that a buffer of @pages needs to have @new_pages: what lies behind, charged
 * and zeroed; an empty one, to take the rest; or NULL, if they are as many. Sleeps. -ENOSPC:
 * mmap() would not reach the end; -ENOMEM: also, something is behind, or a constraint of the
 * buffer ends there; and what mal_buffer_create() fails with.
 */
struct mal_buffer *mal_buffer_create_part(struct mal_buffer *buffer, u32 pages, u32 new_pages);

/*
 * Then let it have @new_pages and @length bytes. The caller holds the lock of the client
 * that has the only share, and has seen that the buffer still has the pages that @part was
 * made for. Sleeps. -EBUSY: a device has not finished with it.
 */
int mal_buffer_resize(struct mal_buffer *buffer, struct mal_buffer *part, u32 new_pages,
		      u64 length);

/* In the end, in any case: what is with @part has left the buffer. Sleeps. */
void mal_buffer_drop_part(struct mal_buffer *buffer, struct mal_buffer *part);

/*
 * Of a quarantined buffer, give back all pages that nobody holds, if no device works on it; how
 * many those were. Poisoned pages are retired, whoever holds them. *@budget becomes less by the
 * pages that are held, and is not 0; when it is used up, the next call goes on from there. All have
 * been looked at when @buffer->unseen is 0. Only one caller at a time. Sleeps.
 */
u32 mal_buffer_return_idle(struct mal_buffer *buffer, u32 *budget);

/* Nothing of it is used any more, nor of its block. */
void mal_buffer_destroy(struct mal_buffer *buffer);

struct page *mal_buffer_page(const struct mal_buffer *buffer, u32 index);

#endif /* MAL_BUFFER_H */
