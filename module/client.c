// SPDX-License-Identifier: GPL-2.0-only
/*
 * The client: one open file and its handles. Closing it, in whatever way, gives
 * up all of them; but that is not what FREE is for a handle whose client was told
 * where the buffer lies.
 */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "buffer.h"
#include "charge.h"
#include "client.h"
#include "mapping.h"
#include "region.h"
#include "resize.h"

/* The handle at a node of client->by_offset; NULL: there is no such node. */
static struct mal_handle *handle_at(const struct rb_node *node)
{
	return rb_entry_safe(node, struct mal_handle, by_offset);
}

/* The order of a client's handles: no two buffers have the same offset. */
static bool handle_less(struct rb_node *node, const struct rb_node *other)
{
	const struct mal_handle *a = handle_at(node);
	const struct mal_handle *b = handle_at(other);

	if (a->buffer != b->buffer)
		return a->buffer->pgoff < b->buffer->pgoff;
	return a->writable < b->writable;
}

static int compare_id(const void *id, const struct rb_node *node)
{
	const struct mal_handle *handle = rb_entry(node, struct mal_handle, by_id);
	u32 wanted = *(const u32 *)id;

	if (wanted != handle->id)
		return wanted < handle->id ? -1 : 1;
	return 0;
}

static int compare_ids(struct rb_node *a, const struct rb_node *b)
{
	return compare_id(&rb_entry(a, struct mal_handle, by_id)->id, b);
}

/* Under client->lock. NULL: none, or it is not published. */
static struct mal_handle *find_id(struct mal_client *client, u32 id)
{
	struct rb_node *node = rb_find(&id, &client->by_id, compare_id);
	struct mal_handle *handle = rb_entry_safe(node, struct mal_handle, by_id);

	return handle && handle->buffer ? handle : NULL;
}

/*
 * The handle for the buffer in whose room for mmap() @pgoff lies, the writable one if there
 * are two; or NULL. Under client->lock.
 */
static struct mal_handle *find_offset(struct mal_client *client, unsigned long pgoff)
{
	const struct mal_offsets *offsets = &client->region->offsets;
	struct rb_node *node = client->by_offset.rb_node;
	struct mal_handle *found = NULL;

	lockdep_assert_held(&client->lock);
	/* The last one that does not begin behind @pgoff. */
	while (node) {
		struct mal_handle *handle = handle_at(node);

		if (handle->buffer->pgoff <= pgoff) {
			found = handle;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	if (found && pgoff - found->buffer->pgoff >= mal_offset_room(offsets, found->buffer->pgoff))
		return NULL;
	return found;
}

/* Has the client another handle for the buffer? Each has a share. Under client->lock. */
static bool has_twin(const struct mal_handle *handle)
{
	const struct mal_handle *prev, *next;

	if (likely(atomic_read(&handle->buffer->shares) == 1))
		return false;
	prev = handle_at(rb_prev(&handle->by_offset));
	next = handle_at(rb_next(&handle->by_offset));
	return (prev && prev->buffer == handle->buffer) || (next && next->buffer == handle->buffer);
}

/* The handle comes to those that stand for a buffer, or goes. Under client->lock. */
static void link_handle(struct mal_client *client, struct mal_handle *handle)
{
	lockdep_assert_held(&client->lock);
	rb_add(&handle->by_offset, &client->by_offset, handle_less);
	client->held.handles++;
	if (has_twin(handle))
		return;
	client->held.buffers++;
	client->held.bytes += mal_extent_size(&handle->buffer->extent);
}

static void unlink_handle(struct mal_client *client, struct mal_handle *handle)
{
	lockdep_assert_held(&client->lock);
	if (!has_twin(handle)) {
		client->held.buffers--;
		client->held.bytes -= mal_extent_size(&handle->buffer->extent);
	}
	client->held.handles--;
	rb_erase(&handle->by_offset, &client->by_offset);
}

struct mal_handle *mal_handle_reserve(struct mal_client *client)
{
	struct mal_handle *handle = kmalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);

	if (!handle)
		return ERR_PTR(-ENOMEM);
	handle->buffer = NULL;
	mutex_lock(&client->lock);
	do {
		handle->id = ++client->last_id ?: ++client->last_id;
	} while (rb_find_add(&handle->by_id, &client->by_id, compare_ids));
	mutex_unlock(&client->lock);
	return handle;
}

void mal_handle_cancel(struct mal_client *client, struct mal_handle *handle)
{
	mutex_lock(&client->lock);
	rb_erase(&handle->by_id, &client->by_id);
	mutex_unlock(&client->lock);
	kfree(handle);
}

void mal_handle_publish(struct mal_client *client, struct mal_handle *handle,
			struct mal_buffer *buffer, bool writable)
{
	mutex_lock(&client->lock);
	handle->buffer = buffer;
	handle->writable = writable;
	handle->told = false;
	link_handle(client, handle);
	mutex_unlock(&client->lock);
}

/* Under client->lock. */
static int take(struct mal_client *client, struct mal_removal *removal)
{
	const struct memalloc_free *free = &removal->free;
	struct mal_handle *handle = find_id(client, free->handle);

	if (!handle)
		return -ENOENT;
	if (free->length && free->length != handle->buffer->extent.block.length)
		return -ERANGE;
	rb_erase(&handle->by_id, &client->by_id);
	unlink_handle(client, handle);
	removal->handle = handle;
	return 0;
}

/* Under client->lock, which has been held since it was taken. */
static void put_back(struct mal_client *client, struct mal_handle *handle)
{
	rb_find_add(&handle->by_id, &client->by_id, compare_ids);
	link_handle(client, handle);
}

int mal_handle_remove(struct mal_client *client, struct mal_removal *removals, u32 count)
{
	int err = 0;
	u32 n;

	mutex_lock(&client->lock);
	for (n = 0; n < count; n++) {
		err = take(client, &removals[n]);
		if (err)
			break;
	}
	while (err && n--)
		put_back(client, removals[n].handle);
	mutex_unlock(&client->lock);
	if (err)
		return err;

	for (n = 0; n < count; n++) {
		mal_buffer_unshare(removals[n].handle->buffer);
		kfree(removals[n].handle);
		cond_resched();
	}
	return 0;
}

int mal_handle_tell(struct mal_client *client, u32 id)
{
	struct mal_handle *handle;

	mutex_lock(&client->lock);
	handle = find_id(client, id);
	if (handle) {
		handle->told = true;
		WRITE_ONCE(handle->buffer->told, true);
		mal_extent_expose(&handle->buffer->extent);
	}
	mutex_unlock(&client->lock);
	return handle ? 0 : -ENOENT;
}

static struct mal_buffer *lookup(struct mal_client *client, u32 id, bool *writable,
				 struct mal_buffer *(*get)(struct mal_buffer *buffer))
{
	struct mal_buffer *buffer = NULL;
	struct mal_handle *handle;

	mutex_lock(&client->lock);
	handle = find_id(client, id);
	if (handle) {
		buffer = get(handle->buffer);
		*writable = handle->writable;
	}
	mutex_unlock(&client->lock);
	return buffer;
}

struct mal_buffer *mal_handle_lookup(struct mal_client *client, u32 id, bool *writable)
{
	return lookup(client, id, writable, mal_buffer_get);
}

struct mal_buffer *mal_handle_share(struct mal_client *client, u32 id, bool *writable)
{
	return lookup(client, id, writable, mal_buffer_share);
}

/* The buffer of handle @id, if the client may let it have @pages. Under client->lock. */
static struct mal_buffer *find_resizable(struct mal_client *client, u32 id, u32 pages)
{
	struct mal_handle *handle = find_id(client, id);
	struct mal_buffer *buffer;

	if (!handle)
		return ERR_PTR(-ENOENT);
	buffer = handle->buffer;
	if (!handle->writable)
		return ERR_PTR(-EACCES);
	/*
	 * Whom a buffer was given to can't make its owner pay for more, nor cut off what somebody
	 * has mapped.
	 */
	if (buffer->extent.payer != client->payer) {
		if (pages > buffer->extent.block.pages)
			return ERR_PTR(-EACCES);
		if (mal_is_mapped(buffer))
			return ERR_PTR(-EBUSY);
	}
	/* Pairs with the release in mal_buffer_unshare(). */
	if (atomic_read_acquire(&buffer->shares) > 1 || READ_ONCE(buffer->told))
		return ERR_PTR(-EBUSY);
	return buffer;
}

/* @part is to make @buffer have @pages instead of @before: -EAGAIN if it has others by now. */
static int resize_locked(struct mal_client *client, u32 id, struct mal_buffer *buffer,
			 struct mal_extent *part, u32 before, u32 pages, u64 length)
{
	struct mal_buffer *now = find_resizable(client, id, pages);
	int err;

	if (IS_ERR(now))
		return PTR_ERR(now);
	if (now != buffer || buffer->extent.block.pages != before)
		return -EAGAIN;
	err = mal_resize(buffer, part, pages, length);
	if (!err)
		client->held.bytes += ((u64)pages - before) << PAGE_SHIFT;
	return err;
}

static int try_to_resize(struct mal_client *client, u32 id, u32 pages, u64 length)
{
	struct mal_buffer *buffer;
	struct mal_extent *part;
	u32 before;
	int err;

	mutex_lock(&client->lock);
	buffer = find_resizable(client, id, pages);
	if (!IS_ERR(buffer)) {
		mal_buffer_get(buffer);
		before = buffer->extent.block.pages;
	}
	mutex_unlock(&client->lock);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);

	part = mal_resize_prepare(buffer, before, pages);
	if (IS_ERR(part)) {
		err = PTR_ERR(part);
		goto put_buffer;
	}
	mutex_lock(&client->lock);
	err = resize_locked(client, id, buffer, part, before, pages, length);
	mutex_unlock(&client->lock);
	mal_resize_finish(buffer, part);
put_buffer:
	mal_buffer_put(buffer);
	return err;
}

int mal_handle_resize(struct mal_client *client, u32 id, u32 pages, u64 length)
{
	int err;

	/* Who has the same descriptor may change the size again and again. */
	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		err = try_to_resize(client, id, pages, length);
	} while (err == -EAGAIN);
	return err;
}

u32 mal_handle_find(struct mal_client *client, const struct mal_buffer *buffer, bool writable)
{
	struct mal_handle *handle;
	u32 id = 0;

	mutex_lock(&client->lock);
	handle = find_offset(client, buffer->pgoff);
	/* The one that can only read comes before the writable one. */
	if (handle && handle->writable != writable)
		handle = handle_at(rb_prev(&handle->by_offset));
	if (handle && handle->buffer == buffer && handle->writable == writable)
		id = handle->id;
	mutex_unlock(&client->lock);
	return id;
}

u32 __mal_handle_find_at(struct mal_client *client, unsigned long pgoff,
			 const struct mal_buffer *buffer)
{
	const struct mal_handle *handle = find_offset(client, pgoff);

	return handle && handle->buffer == buffer ? handle->id : 0;
}

struct mal_holdings mal_client_holdings(struct mal_client *client)
{
	struct mal_holdings held;

	mutex_lock(&client->lock);
	held = client->held;
	mutex_unlock(&client->lock);
	return held;
}

int mal_client_open(struct inode *inode, struct file *file)
{
	struct mal_region *region =
		container_of(file->private_data, struct mal_region, misc);
	struct mal_client *client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);

	if (!client)
		return -ENOMEM;
	client->payer = mal_payer_open(&region->users);
	if (!client->payer) {
		kfree(client);
		return -ENOMEM;
	}
	client->region = region;
	client->id = atomic64_inc_return(&region->client_ids);
	client->writable = file->f_mode & FMODE_WRITE;
	mutex_init(&client->lock);
	mutex_init(&client->import_lock);
	client->by_id = RB_ROOT;
	client->by_offset = RB_ROOT;
	atomic_inc(&region->clients);
	mutex_lock(&region->clients_lock);
	list_add_tail(&client->node, &region->client_list);
	mutex_unlock(&region->clients_lock);

	file->private_data = client;
	return nonseekable_open(inode, file);
}

/* What the client still had, when it was closed. That is no fault, so it is only counted. */
static void count_abandoned(struct mal_client *client)
{
	struct mal_region *region = client->region;
	const struct mal_opener *opener = &client->payer->opener;
	const struct mal_holdings held = mal_client_holdings(client);

	if (!held.buffers)
		return;
	atomic64_add(held.buffers, &region->abandoned_buffers);
	atomic64_add(held.bytes, &region->abandoned_bytes);
	pr_debug("client of %s[%d] is gone with %llu buffers of %llu bytes\n", opener->comm,
		 opener->pid, held.buffers, held.bytes);
}

int mal_client_release(struct inode *inode, struct file *file)
{
	struct mal_client *client = file->private_data;
	struct mal_handle *handle;
	struct mal_handle *next;

	mutex_lock(&client->region->clients_lock);
	list_del(&client->node);
	mutex_unlock(&client->region->clients_lock);
	count_abandoned(client);
	rbtree_postorder_for_each_entry_safe(handle, next, &client->by_id, by_id) {
		if (handle->told)
			WRITE_ONCE(handle->buffer->extent.block.unreleased, true);
		mal_buffer_unshare(handle->buffer);
		kfree(handle);
		cond_resched();
	}
	mal_payer_close(client->payer);
	atomic_dec(&client->region->clients);
	mutex_destroy(&client->import_lock);
	mutex_destroy(&client->lock);
	kfree(client);
	return 0;
}

/*
 * mmap() of an offset that ALLOC, QUERY or IMPORT told. It is looked for among the client's own
 * handles, so that whoever guesses offsets has nothing of a stranger's buffer for a moment.
 */
int mal_client_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mal_client *client = file->private_data;
	struct mal_buffer *buffer = NULL;
	struct mal_handle *handle;
	bool writable, own;
	int err;

	mutex_lock(&client->lock);
	handle = find_offset(client, vma->vm_pgoff);
	if (handle) {
		own = handle->buffer->extent.payer == client->payer;
		buffer = own ? mal_buffer_get(handle->buffer) : mal_buffer_share(handle->buffer);
		writable = handle->writable;
	}
	mutex_unlock(&client->lock);
	if (!buffer)
		return -ENOENT;

	err = mal_map(buffer, vma->vm_pgoff - buffer->pgoff, writable, own, vma);
	if (own)
		mal_buffer_put(buffer);
	else
		mal_buffer_unshare(buffer);
	return err;
}

/* What the client has handles for: /proc/PID/fdinfo/FD. */
void mal_client_show_fdinfo(struct seq_file *seq, struct file *file)
{
	struct mal_client *client = file->private_data;
	const struct mal_holdings held = mal_client_holdings(client);

	seq_printf(seq, "memalloc-region:\t%s\n", client->region->name);
	seq_printf(seq, "memalloc-access:\t%s\n", client->writable ? "read-write" : "read-only");
	seq_printf(seq, "memalloc-handles:\t%llu\n", held.handles);
	seq_printf(seq, "memalloc-buffers:\t%llu\n", held.buffers);
	seq_printf(seq, "memalloc-bytes:\t%llu\n", held.bytes);
}
