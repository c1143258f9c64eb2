// SPDX-License-Identifier: GPL-2.0-only
/*
 * The client: one open file and its handles. Closing it, in whatever way, gives
 * up all of them.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "buffer.h"
#include "client.h"
#include "ioctl.h"
#include "mapping.h"
#include "region.h"

/* The order of the handles of a client: by buffer, then by access. */
static int compare(const struct mal_buffer *buffer, bool writable, const struct mal_handle *handle)
{
	if (buffer != handle->buffer)
		return buffer < handle->buffer ? -1 : 1;
	return writable - handle->writable;
}

static bool less(struct rb_node *a, const struct rb_node *b)
{
	const struct mal_handle *handle = rb_entry(a, struct mal_handle, node);

	return compare(handle->buffer, handle->writable,
		       rb_entry(b, struct mal_handle, node)) < 0;
}

struct mal_handle *mal_handle_reserve(struct mal_client *client)
{
	struct mal_handle *handle = kmalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);
	int err;

	if (!handle)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&client->lock);
	err = xa_alloc_cyclic(&client->handles, &handle->id, NULL, xa_limit_32b, &client->next_id,
			      GFP_KERNEL);
	mutex_unlock(&client->lock);
	if (err < 0) {
		kfree(handle);
		return ERR_PTR(-ENOMEM);
	}
	return handle;
}

void mal_handle_cancel(struct mal_client *client, struct mal_handle *handle)
{
	mutex_lock(&client->lock);
	xa_release(&client->handles, handle->id);
	mutex_unlock(&client->lock);
	kfree(handle);
}

void mal_handle_publish(struct mal_client *client, struct mal_handle *handle,
			struct mal_buffer *buffer, bool writable)
{
	handle->buffer = buffer;
	handle->writable = writable;
	mutex_lock(&client->lock);
	rb_add(&handle->node, &client->by_buffer, less);
	/* The entry was reserved: this allocates nothing. */
	xa_store(&client->handles, handle->id, handle, 0);
	mutex_unlock(&client->lock);
}

int mal_handle_remove(struct mal_client *client, u32 id, u64 length)
{
	struct mal_handle *handle;
	int err = 0;

	mutex_lock(&client->lock);
	handle = xa_load(&client->handles, id);
	if (!handle)
		err = -ENOENT;
	else if (length && length != handle->buffer->length)
		err = -ERANGE;
	if (!err) {
		xa_erase(&client->handles, id);
		rb_erase(&handle->node, &client->by_buffer);
	}
	mutex_unlock(&client->lock);
	if (err)
		return err;

	mal_buffer_put(handle->buffer);
	kfree(handle);
	return 0;
}

struct mal_buffer *mal_handle_lookup(struct mal_client *client, u32 id, bool *writable)
{
	struct mal_buffer *buffer = NULL;
	struct mal_handle *handle;

	mutex_lock(&client->lock);
	handle = xa_load(&client->handles, id);
	if (handle) {
		buffer = mal_buffer_get(handle->buffer);
		*writable = handle->writable;
	}
	mutex_unlock(&client->lock);
	return buffer;
}

u32 __mal_handle_find(struct mal_client *client, const struct mal_buffer *buffer, bool writable)
{
	struct rb_node *node = client->by_buffer.rb_node;

	while (node) {
		const struct mal_handle *handle = rb_entry(node, struct mal_handle, node);
		int order = compare(buffer, writable, handle);

		if (!order)
			return handle->id;
		node = order < 0 ? node->rb_left : node->rb_right;
	}
	return 0;
}

u32 mal_handle_find(struct mal_client *client, const struct mal_buffer *buffer, bool writable)
{
	u32 id;

	mutex_lock(&client->lock);
	id = __mal_handle_find(client, buffer, writable);
	mutex_unlock(&client->lock);
	return id;
}

static int client_open(struct inode *inode, struct file *file)
{
	struct mal_region *region =
		container_of(file->private_data, struct mal_region, misc);
	struct mal_client *client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);

	if (!client)
		return -ENOMEM;
	client->region = region;
	client->writable = file->f_mode & FMODE_WRITE;
	mutex_init(&client->lock);
	mutex_init(&client->import_lock);
	xa_init_flags(&client->handles, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	client->by_buffer = RB_ROOT;
	atomic_inc(&region->clients);

	file->f_mapping = region->inode->i_mapping;
	file->private_data = client;
	return nonseekable_open(inode, file);
}

static int client_release(struct inode *inode, struct file *file)
{
	struct mal_client *client = file->private_data;
	struct mal_handle *handle;
	unsigned long id;

	xa_for_each(&client->handles, id, handle) {
		mal_buffer_put(handle->buffer);
		kfree(handle);
		cond_resched();
	}
	xa_destroy(&client->handles);
	atomic_dec(&client->region->clients);
	mutex_destroy(&client->import_lock);
	mutex_destroy(&client->lock);
	kfree(client);
	return 0;
}

/* mmap() of an offset that ALLOC, QUERY or IMPORT told. */
static int client_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mal_client *client = file->private_data;
	struct mal_buffer *buffer = mal_offset_lookup(&client->region->offsets, vma->vm_pgoff);
	bool writable;
	int err = -ENOENT;

	if (!buffer)
		return -ENOENT;
	writable = mal_handle_find(client, buffer, true);
	if (writable || mal_handle_find(client, buffer, false))
		err = mal_map_own(buffer, vma->vm_pgoff - buffer->pgoff, writable, vma);
	mal_buffer_put(buffer);
	return err;
}

const struct file_operations mal_client_fops = {
	.owner = THIS_MODULE,
	.open = client_open,
	.release = client_release,
	.mmap = client_mmap,
	.unlocked_ioctl = mal_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
