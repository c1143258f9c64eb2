/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CLIENT_H
#define MAL_CLIENT_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/memalloc.h>

struct mal_buffer;
struct mal_payer;
struct mal_region;
struct seq_file;

/* A client's name for a buffer. It has a share of it. */
struct mal_handle {
	struct rb_node by_id;		/* in client->by_id */
	struct rb_node by_offset;	/* in client->by_offset, once it is published */
	struct mal_buffer *buffer;	/* NULL: reserved */
	bool writable;
	bool told;			/* where the buffer lies; under client->lock */
	u32 id;				/* what userspace calls it; not 0 */
};

/* What a client has handles for. */
struct mal_holdings {
	u64 handles;			/* that are published */
	u64 buffers;
	u64 bytes;			/* rounded to granules */
};

/* One open file. */
struct mal_client {
	struct mal_region *region;
	struct mal_payer *payer;	/* for what is allocated here */
	u64 id;				/* no other has or had it; not 0 */
	bool writable;			/* opened for writing: handles may be, too */
	struct list_head node;		/* in region->client_list */

	/* Of the handles; between mmap_lock and the arena's lock. */
	struct mutex lock;
	struct rb_root by_id;
	struct rb_root by_offset;	/* by the buffer's mmap offset, then by access */
	struct mal_holdings held;
	u32 last_id;			/* numbers come round late: stale ones are noticed */

	/*
	 * Keeps two IMPORTs from making two handles for one buffer. Outermost: it is
	 * held while userspace is written to, so mmap() and faults must not take it.
	 */
	struct mutex import_lock;
};

/* What its device node does with it. */
int mal_client_open(struct inode *inode, struct file *file);
int mal_client_release(struct inode *inode, struct file *file);
int mal_client_mmap(struct file *file, struct vm_area_struct *vma);
void mal_client_show_fdinfo(struct seq_file *seq, struct file *file);

/* What the client has handles for. Sleeps; takes client->lock. */
struct mal_holdings mal_client_holdings(struct mal_client *client);

/*
 * A handle comes about in two steps, so that its number can be told to userspace
 * before anybody can use it: reserve, then publish, which can't fail, or cancel.
 * Each function here takes client->lock, unless it says otherwise, and sleeps.
 */
struct mal_handle *mal_handle_reserve(struct mal_client *client);
void mal_handle_cancel(struct mal_client *client, struct mal_handle *handle);

/* Takes over the caller's share of @buffer. */
void mal_handle_publish(struct mal_client *client, struct mal_handle *handle,
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
int mal_handle_remove(struct mal_client *client, struct mal_removal *removals, u32 count);

/*
 * Note that the client is about to be told where the buffer of handle @id lies, before
 * it is. -ENOENT: no such handle.
 */
int mal_handle_tell(struct mal_client *client, u32 id);

/* The buffer that @id stands for, with a reference, and its access; or NULL. */
struct mal_buffer *mal_handle_lookup(struct mal_client *client, u32 id, bool *writable);

/* The same, with a share. */
struct mal_buffer *mal_handle_share(struct mal_client *client, u32 id, bool *writable);

/*
 * Let the buffer of handle @id have @pages, and @length bytes of them. -ENOENT: no such
 * handle; -EACCES: it is not writable, or somebody else would be charged for more; -EBUSY:
 * others have the buffer, too, or know where it lies, or a device has not finished with it;
 * and the errors of mal_resize_prepare().
 */
int mal_handle_resize(struct mal_client *client, u32 id, u32 pages, u64 length);

/* The client's handle for @buffer with that access; or 0. */
u32 mal_handle_find(struct mal_client *client, const struct mal_buffer *buffer, bool writable);

/*
 * The same with either access, the writable handle first, for a @buffer that may be gone by
 * now, but was there, and at that offset, while the lock has been held. Under client->lock.
 */
u32 __mal_handle_find_at(struct mal_client *client, unsigned long pgoff,
			 const struct mal_buffer *buffer);

#endif /* MAL_CLIENT_H */
