/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_HANDLE_H
#define MAL_HANDLE_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/memalloc.h>

#include "buffer.h"

struct mal_offsets;
struct mal_payer;
struct vm_area_struct;

/* What the handles of a client amount to. */
struct mal_holdings {
	u64 handles;			/* with those that are about to be published */
	u64 buffers;
	u64 bytes;			/* rounded to granules */
};

/* log2 of the chains of a hash table, at first. */
#define MAL_HANDLES_BITS	4

/* The handles of a client. */
struct mal_handles {
	/* Constant: */
	const struct mal_offsets *offsets;	/* of the region */
	const struct mal_payer *payer;		/* of the client */

	struct mutex lock;		/* of all below; between mmap_lock and the arena's */

	/* Two hash tables. They grow before there are more handles than chains. */
	struct hlist_head *by_id;
	struct hlist_head *by_offset;		/* by the buffer's mmap offset */
	unsigned int bits;			/* log2 of the chains of each */
	struct hlist_head few[2 << MAL_HANDLES_BITS];	/* the tables until they grow */

	struct mal_holdings held;
	u32 last_id;			/* counts up, so a stale number is not soon used again */
};

void mal_handles_init(struct mal_handles *handles, const struct mal_offsets *offsets,
		      const struct mal_payer *payer);

/*
 * Nobody uses the handles any more: give up all of them. Unlike FREE, this is no promise that
 * devices are done: a buffer whose address was disclosed by a handle will be retained. Sleeps.
 */
void mal_handles_destroy(struct mal_handles *handles);

/* Sleeps. */
struct mal_holdings mal_handles_holdings(struct mal_handles *handles);

/*
 * A handle is made in steps, so that userspace can get its number before anybody can use it. Add
 * it, for a share of @buffer, which the handle takes over; then publish it, or cancel it, which
 * also gives up the share. Each function from here on takes handles->lock, unless it says
 * otherwise, and sleeps.
 */

/* The first handle of a new buffer; or of each of @count. */
void mal_handle_add_first(struct mal_handles *handles, struct mal_buffer *buffer, bool writable);
void mal_handles_add_first(struct mal_handles *handles, struct mal_buffer *const *buffers,
			   u32 count, bool writable);

/* NULL: no memory; the share stays the caller's. */
struct mal_handle *mal_handle_add(struct mal_handles *handles, struct mal_buffer *buffer,
				  bool writable);

/* Takes no lock. */
static inline void mal_handle_publish(struct mal_handle *handle)
{
	/* Who finds the handle published finds the buffer complete. */
	smp_store_release(&handle->published, true);
}

void mal_handle_cancel(struct mal_handles *handles, struct mal_handle *handle);

/*
 * Give up the handle that @free names. The length, unless it is 0, must be the buffer's. -ENOENT:
 * no such handle; -ERANGE: another length.
 */
int mal_handle_remove(struct mal_handles *handles, const struct memalloc_free *free);

/* A handle to be given up. */
struct mal_removal {
	struct memalloc_free free;	/* names it */
	struct mal_handle *handle;	/* used by the function below */
};

/* The same for all @count handles, or none. -ENOENT also: one is named twice. */
int mal_handles_remove(struct mal_handles *handles, struct mal_removal *removals, u32 count);

/*
 * Called before the physical address of byte @offset is disclosed by handle @id. -ENOENT: no such
 * handle; -EINVAL: no such byte.
 */
int mal_handle_disclose(struct mal_handles *handles, u32 id, u64 offset);

/* The buffer of handle @id, with a reference, and the handle's access; or NULL. */
struct mal_buffer *mal_handle_lookup(struct mal_handles *handles, u32 id, bool *writable);

/* The same, with a share. */
struct mal_buffer *mal_handle_share(struct mal_handles *handles, u32 id, bool *writable);

/*
 * Resize the buffer of handle @id to @pages, of which @length bytes were asked for. -ENOENT: no
 * such handle; -EACCES: the handle is not writable, or somebody else would be charged for more;
 * -EBUSY: the buffer has other shares, or is mapped while another client is charged for it, its
 * address was disclosed, a device has not finished with it, or it is huge, mapped and would shrink;
 * -EINTR: a fatal signal arrived; and the errors of mal_resize_prepare().
 */
int mal_handle_resize(struct mal_handles *handles, u32 id, u32 pages, u64 length);

/* The number of the client's handle for @buffer with that access; or 0. */
u32 mal_handle_find(struct mal_handles *handles, const struct mal_buffer *buffer, bool writable);

/*
 * The number of a handle for @buffer, at mmap offset @pgoff, with either access; if there are two,
 * of the writable one; or 0. The buffer may be gone by now, so it is only compared: the caller has
 * seen it at @pgoff after taking the lock. Under handles->lock.
 */
u32 __mal_handle_find_at(struct mal_handles *handles, unsigned long pgoff,
			 const struct mal_buffer *buffer);

/*
 * Map the buffer that the mmap offset of @vma stands for. Called with mmap_lock held. -ENOENT: the
 * client has no handle there; and the errors of mal_map().
 */
int mal_handle_mmap(struct mal_handles *handles, struct vm_area_struct *vma);

#endif /* MAL_HANDLE_H */
