/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_HANDLE_H
#define MAL_HANDLE_H

#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/memalloc.h>

struct mal_buffer;
struct mal_offsets;
struct mal_payer;
struct vm_area_struct;

/* A client's name for a buffer. It has a share of it. */
struct mal_handle {
	struct rb_node by_id;		/* in handles->by_id */
	u32 id;				/* what userspace calls it; not 0 */
	bool published;			/* or only reserved. What follows is valid if it is: */
	bool writable;
	bool disclosed;			/* where the buffer lies; under handles->lock */
	struct rb_node by_offset;	/* in handles->by_offset */
	struct mal_buffer *buffer;
};

/* What there are handles for. */
struct mal_holdings {
	u64 handles;			/* that are published */
	u64 buffers;
	u64 bytes;			/* rounded to granules */
};

/* The handles of a client. */
struct mal_handles {
	/* Constant: */
	const struct mal_offsets *offsets;	/* of the region */
	const struct mal_payer *payer;		/* for what the client allocates */

	struct mutex lock;		/* of what follows; between mmap_lock and the arena's */
	struct rb_root by_id;
	struct rb_root by_offset;	/* by the buffer's mmap offset, then by access */
	struct mal_holdings held;
	u32 last_id;			/* numbers come round late: stale ones are noticed */
};

void mal_handles_init(struct mal_handles *handles, const struct mal_offsets *offsets,
		      const struct mal_payer *payer);

/*
 * Nobody uses the handles any more: give up those that are left. That is not what FREE is for one
 * by which the address of its buffer was disclosed. Sleeps.
 */
void mal_handles_destroy(struct mal_handles *handles);

/* What there are handles for. Sleeps. */
struct mal_holdings mal_handles_holdings(struct mal_handles *handles);

/*
 * A handle comes about in two steps, so that its number can be told to userspace
 * before anybody can use it: reserve, then publish, which can't fail, or cancel.
 * Each function here takes handles->lock, unless it says otherwise, and sleeps.
 */
struct mal_handle *mal_handle_reserve(struct mal_handles *handles);
void mal_handle_cancel(struct mal_handles *handles, struct mal_handle *handle);

/* Takes over the caller's share of @buffer. */
void mal_handle_publish(struct mal_handles *handles, struct mal_handle *handle,
			struct mal_buffer *buffer, bool writable);

/* A handle to be given up. */
struct mal_removal {
	struct memalloc_free free;	/* what is told of it */
	struct mal_handle *handle;	/* for the function below */
};

/*
 * Give up all @count handles, or none. The length, unless it is 0, must be that of the
 * buffer. -ENOENT: no such handle, or it is there twice; -ERANGE: another length.
 */
int mal_handle_remove(struct mal_handles *handles, struct mal_removal *removals, u32 count);

/*
 * Note that the address of the buffer of handle @id is about to be disclosed, before
 * it is. -ENOENT: no such handle.
 */
int mal_handle_disclose(struct mal_handles *handles, u32 id);

/* The buffer that @id stands for, with a reference, and its access; or NULL. */
struct mal_buffer *mal_handle_lookup(struct mal_handles *handles, u32 id, bool *writable);

/* The same, with a share. */
struct mal_buffer *mal_handle_share(struct mal_handles *handles, u32 id, bool *writable);

/*
 * Let the buffer of handle @id have @pages, and @length bytes of them. -ENOENT: no such
 * handle; -EACCES: it is not writable, or somebody else would be charged for more; -EBUSY:
 * others have the buffer, too, or know where it lies, or a device has not finished with it;
 * and the errors of mal_resize_prepare().
 */
int mal_handle_resize(struct mal_handles *handles, u32 id, u32 pages, u64 length);

/* The client's handle for @buffer with that access; or 0. */
u32 mal_handle_find(struct mal_handles *handles, const struct mal_buffer *buffer, bool writable);

/*
 * The same with either access, the writable handle first, for a @buffer that may be gone by
 * now, but was there, and at that offset, while the lock has been held. Under handles->lock.
 */
u32 __mal_handle_find_at(struct mal_handles *handles, unsigned long pgoff,
			 const struct mal_buffer *buffer);

/*
 * Map what is at the mmap offset that @vma has, with mmap_lock held. Sleeps. -ENOENT: there is no
 * handle for it; and the errors of mal_map().
 */
int mal_handle_mmap(struct mal_handles *handles, struct vm_area_struct *vma);

#endif /* MAL_HANDLE_H */
