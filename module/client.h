/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CLIENT_H
#define MAL_CLIENT_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/xarray.h>

struct mal_buffer;
struct mal_region;

/* A client's name for a buffer. It holds a reference to it. */
struct mal_handle {
	struct rb_node node;		/* in client->by_buffer */
	struct mal_buffer *buffer;
	bool writable;
	u32 id;				/* what userspace calls it; not 0 */
};

/* One open file. */
struct mal_client {
	struct mal_region *region;
	bool writable;			/* opened for writing: handles may be, too */

	/* Of @handles and @by_buffer; between mmap_lock and the arena's lock. */
	struct mutex lock;
	struct xarray handles;		/* id -> struct mal_handle, or reserved */
	u32 next_id;			/* numbers come round late: stale ones are noticed */
	struct rb_root by_buffer;	/* by buffer and access */

	/*
	 * Keeps two IMPORTs from making two handles for one buffer. Outermost: it is
	 * held while userspace is written to, so mmap() and faults must not take it.
	 */
	struct mutex import_lock;
};

extern const struct file_operations mal_client_fops;

/*
 * A handle comes about in two steps, so that its number can be told to userspace
 * before anybody can use it: reserve, then publish, which can't fail, or cancel.
 * Each function here takes client->lock, unless it says otherwise, and sleeps.
 */
struct mal_handle *mal_handle_reserve(struct mal_client *client);
void mal_handle_cancel(struct mal_client *client, struct mal_handle *handle);

/* Takes over the caller's reference to @buffer. */
void mal_handle_publish(struct mal_client *client, struct mal_handle *handle,
			struct mal_buffer *buffer, bool writable);

/*
 * Give up handle @id. @length, unless 0, must be that of the buffer. -ENOENT: no
 * such handle; -ERANGE: another length.
 */
int mal_handle_remove(struct mal_client *client, u32 id, u64 length);

/* The buffer that @id stands for, with a reference, and its access; or NULL. */
struct mal_buffer *mal_handle_lookup(struct mal_client *client, u32 id, bool *writable);

/* The client's handle for @buffer with that access; or 0. The first: without the lock. */
u32 __mal_handle_find(struct mal_client *client, const struct mal_buffer *buffer, bool writable);
u32 mal_handle_find(struct mal_client *client, const struct mal_buffer *buffer, bool writable);

#endif /* MAL_CLIENT_H */
