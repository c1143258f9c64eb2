// SPDX-License-Identifier: GPL-2.0-only
/* Handles: a client's names for buffers, by number and by mmap offset. */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "buffer.h"
#include "handle.h"
#include "mapping.h"
#include "offset.h"
#include "resize.h"

void mal_handles_init(struct mal_handles *handles, const struct mal_offsets *offsets,
		      const struct mal_payer *payer)
{
	handles->offsets = offsets;
	handles->payer = payer;
	mutex_init(&handles->lock);
	handles->by_id = RB_ROOT;
	handles->by_offset = RB_ROOT;
}

void mal_handles_destroy(struct mal_handles *handles)
{
	struct mal_handle *handle;
	struct mal_handle *next;

	rbtree_postorder_for_each_entry_safe(handle, next, &handles->by_id, by_id) {
		if (handle->disclosed)
			WRITE_ONCE(handle->buffer->extent.block.retained, true);
		mal_buffer_unshare(handle->buffer);
		kfree(handle);
		cond_resched();
	}
	mutex_destroy(&handles->lock);
}

struct mal_holdings mal_handles_holdings(struct mal_handles *handles)
{
	struct mal_holdings held;

	mutex_lock(&handles->lock);
	held = handles->held;
	mutex_unlock(&handles->lock);
	return held;
}

/* The handle at a node of handles->by_offset; NULL: there is no such node. */
static struct mal_handle *handle_at(const struct rb_node *node)
{
	return rb_entry_safe(node, struct mal_handle, by_offset);
}

/* The order of handles->by_offset. No two buffers have the same offset. */
static bool is_handle_before(struct rb_node *node, const struct rb_node *other)
{
	const struct mal_handle *a = handle_at(node);
	const struct mal_handle *b = handle_at(other);

	if (a->buffer != b->buffer)
		return a->buffer->pgoff < b->buffer->pgoff;
	return a->writable < b->writable;
}

static int compare_handle_id(const void *id, const struct rb_node *node)
{
	const struct mal_handle *handle = rb_entry(node, struct mal_handle, by_id);
	u32 wanted = *(const u32 *)id;

	if (wanted != handle->id)
		return wanted < handle->id ? -1 : 1;
	return 0;
}

static int compare_handle_ids(struct rb_node *a, const struct rb_node *b)
{
	return compare_handle_id(&rb_entry(a, struct mal_handle, by_id)->id, b);
}

/* Under handles->lock. NULL: none, or it is not published. */
static struct mal_handle *find_handle(struct mal_handles *handles, u32 id)
{
	struct rb_node *node = rb_find(&id, &handles->by_id, compare_handle_id);
	struct mal_handle *handle = rb_entry_safe(node, struct mal_handle, by_id);

	lockdep_assert_held(&handles->lock);
	return handle && handle->published ? handle : NULL;
}

/*
 * The handle for the buffer in whose mmap slot @pgoff lies, the writable one if there are
 * two; or NULL. Under handles->lock.
 */
static struct mal_handle *find_handle_at(struct mal_handles *handles, unsigned long pgoff)
{
	struct rb_node *node = handles->by_offset.rb_node;
	struct mal_handle *found = NULL;
	unsigned long start;

	lockdep_assert_held(&handles->lock);
	/* The last handle whose buffer begins at or before @pgoff. */
	while (node) {
		struct mal_handle *handle = handle_at(node);

		if (handle->buffer->pgoff <= pgoff) {
			found = handle;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	if (!found)
		return NULL;
	start = found->buffer->pgoff;
	return pgoff - start < mal_offset_max_pages(handles->offsets, start) ? found : NULL;
}

/* Has the client another handle for the buffer? Each has a share. Under handles->lock. */
static bool has_twin(const struct mal_handle *handle)
{
	const struct mal_handle *prev, *next;

	if (likely(atomic_read(&handle->buffer->shares) == 1))
		return false;
	prev = handle_at(rb_prev(&handle->by_offset));
	next = handle_at(rb_next(&handle->by_offset));
	return (prev && prev->buffer == handle->buffer) || (next && next->buffer == handle->buffer);
}

/* Add the handle to the published ones, and to the holdings. Under handles->lock. */
static void link_handle(struct mal_handles *handles, struct mal_handle *handle)
{
	lockdep_assert_held(&handles->lock);
	rb_add(&handle->by_offset, &handles->by_offset, is_handle_before);
	handles->held.handles++;
	if (has_twin(handle))
		return;
	handles->held.buffers++;
	handles->held.bytes += mal_extent_size(&handle->buffer->extent);
}

static void unlink_handle(struct mal_handles *handles, struct mal_handle *handle)
{
	lockdep_assert_held(&handles->lock);
	if (!has_twin(handle)) {
		handles->held.buffers--;
		handles->held.bytes -= mal_extent_size(&handle->buffer->extent);
	}
	handles->held.handles--;
	rb_erase(&handle->by_offset, &handles->by_offset);
}

struct mal_handle *mal_handle_reserve(struct mal_handles *handles)
{
	struct mal_handle *handle = kmalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);

	if (!handle)
		return ERR_PTR(-ENOMEM);
	handle->published = false;
	handle->buffer = NULL;
	mutex_lock(&handles->lock);
	do {
		handle->id = ++handles->last_id ?: ++handles->last_id;
	} while (rb_find_add(&handle->by_id, &handles->by_id, compare_handle_ids));
	mutex_unlock(&handles->lock);
	return handle;
}

void mal_handle_cancel(struct mal_handles *handles, struct mal_handle *handle)
{
	mutex_lock(&handles->lock);
	rb_erase(&handle->by_id, &handles->by_id);
	mutex_unlock(&handles->lock);
	if (handle->buffer)
		mal_buffer_unshare(handle->buffer);
	kfree(handle);
}

void mal_handle_publish(struct mal_handles *handles, struct mal_handle *handle, bool writable)
{
	mutex_lock(&handles->lock);
	handle->published = true;
	handle->writable = writable;
	handle->disclosed = false;
	link_handle(handles, handle);
	mutex_unlock(&handles->lock);
}

/* Under handles->lock. */
static int take_handle(struct mal_handles *handles, struct mal_removal *removal)
{
	const struct memalloc_free *free = &removal->free;
	struct mal_handle *handle = find_handle(handles, free->handle);

	if (!handle)
		return -ENOENT;
	if (free->length && free->length != handle->buffer->extent.block.length)
		return -ERANGE;
	rb_erase(&handle->by_id, &handles->by_id);
	unlink_handle(handles, handle);
	removal->handle = handle;
	return 0;
}

/* Undo take_handle(), under the same hold of handles->lock. */
static void put_back_handle(struct mal_handles *handles, struct mal_handle *handle)
{
	rb_find_add(&handle->by_id, &handles->by_id, compare_handle_ids);
	link_handle(handles, handle);
}

int mal_handle_remove(struct mal_handles *handles, struct mal_removal *removals, u32 count)
{
	int err = 0;
	u32 n;

	mutex_lock(&handles->lock);
	for (n = 0; n < count; n++) {
		err = take_handle(handles, &removals[n]);
		if (err)
			break;
	}
	while (err && n--)
		put_back_handle(handles, removals[n].handle);
	mutex_unlock(&handles->lock);
	if (err)
		return err;

	for (n = 0; n < count; n++) {
		mal_buffer_unshare(removals[n].handle->buffer);
		kfree(removals[n].handle);
		cond_resched();
	}
	return 0;
}

int mal_handle_disclose(struct mal_handles *handles, u32 id)
{
	struct mal_handle *handle;

	mutex_lock(&handles->lock);
	handle = find_handle(handles, id);
	if (handle) {
		handle->disclosed = true;
		WRITE_ONCE(handle->buffer->disclosed, true);
		mal_extent_mark_written(&handle->buffer->extent);
	}
	mutex_unlock(&handles->lock);
	return handle ? 0 : -ENOENT;
}

static struct mal_buffer *get_buffer(struct mal_handles *handles, u32 id, bool *writable,
				     struct mal_buffer *(*get)(struct mal_buffer *buffer))
{
	struct mal_buffer *buffer = NULL;
	struct mal_handle *handle;

	mutex_lock(&handles->lock);
	handle = find_handle(handles, id);
	if (handle) {
		buffer = get(handle->buffer);
		*writable = handle->writable;
	}
	mutex_unlock(&handles->lock);
	return buffer;
}

struct mal_buffer *mal_handle_lookup(struct mal_handles *handles, u32 id, bool *writable)
{
	return get_buffer(handles, id, writable, mal_buffer_get);
}

struct mal_buffer *mal_handle_share(struct mal_handles *handles, u32 id, bool *writable)
{
	return get_buffer(handles, id, writable, mal_buffer_share);
}

/* The buffer of handle @id, if the client may let it have @pages. Under handles->lock. */
static struct mal_buffer *find_resizable_buffer(struct mal_handles *handles, u32 id, u32 pages)
{
	struct mal_handle *handle = find_handle(handles, id);
	struct mal_buffer *buffer;

	if (!handle)
		return ERR_PTR(-ENOENT);
	buffer = handle->buffer;
	if (!handle->writable)
		return ERR_PTR(-EACCES);
	/*
	 * A client that does not pay for the buffer can't make the payer pay for more, nor cut off
	 * pages that somebody has mapped.
	 */
	if (buffer->extent.payer != handles->payer) {
		if (pages > buffer->extent.block.granules)
			return ERR_PTR(-EACCES);
		if (mal_is_mapped(buffer))
			return ERR_PTR(-EBUSY);
	}
	/* Pairs with the release in mal_buffer_unshare(). */
	if (atomic_read_acquire(&buffer->shares) > 1 || READ_ONCE(buffer->disclosed))
		return ERR_PTR(-EBUSY);
	return buffer;
}

/* Resize with @part, made for @before pages. -EAGAIN: @buffer has another number by now. */
static int resize_buffer_locked(struct mal_handles *handles, u32 id, struct mal_buffer *buffer,
				struct mal_extent *part, u32 before, u32 pages, u64 length)
{
	struct mal_buffer *now = find_resizable_buffer(handles, id, pages);
	int err;

	if (IS_ERR(now))
		return PTR_ERR(now);
	if (now != buffer || buffer->extent.block.granules != before)
		return -EAGAIN;
	err = mal_resize(buffer, part, pages, length);
	if (!err)
		handles->held.bytes += ((u64)pages - before) << PAGE_SHIFT;
	return err;
}

static int try_to_resize_buffer(struct mal_handles *handles, u32 id, u32 pages, u64 length)
{
	struct mal_buffer *buffer;
	struct mal_extent *part;
	u32 before;
	int err;

	mutex_lock(&handles->lock);
	buffer = find_resizable_buffer(handles, id, pages);
	if (!IS_ERR(buffer)) {
		mal_buffer_get(buffer);
		before = buffer->extent.block.granules;
	}
	mutex_unlock(&handles->lock);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);

	part = mal_resize_prepare(buffer, before, pages);
	if (IS_ERR(part)) {
		err = PTR_ERR(part);
		goto put_buffer;
	}
	mutex_lock(&handles->lock);
	err = resize_buffer_locked(handles, id, buffer, part, before, pages, length);
	mutex_unlock(&handles->lock);
	mal_resize_finish(buffer, part);
put_buffer:
	mal_buffer_put(buffer);
	return err;
}

int mal_handle_resize(struct mal_handles *handles, u32 id, u32 pages, u64 length)
{
	int err;

	/* Other threads of the client may change the size again and again. */
	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		err = try_to_resize_buffer(handles, id, pages, length);
	} while (err == -EAGAIN);
	return err;
}

u32 mal_handle_find(struct mal_handles *handles, const struct mal_buffer *buffer, bool writable)
{
	struct mal_handle *handle;
	u32 id = 0;

	mutex_lock(&handles->lock);
	handle = find_handle_at(handles, buffer->pgoff);
	/* The read-only handle comes before the writable one. */
	if (handle && handle->writable != writable)
		handle = handle_at(rb_prev(&handle->by_offset));
	if (handle && handle->buffer == buffer && handle->writable == writable)
		id = handle->id;
	mutex_unlock(&handles->lock);
	return id;
}

u32 __mal_handle_find_at(struct mal_handles *handles, unsigned long pgoff,
			 const struct mal_buffer *buffer)
{
	const struct mal_handle *handle = find_handle_at(handles, pgoff);

	return handle && handle->buffer == buffer ? handle->id : 0;
}

/*
 * Searches the client's own handles only, so that a client that guesses offsets has no reference
 * to a stranger's buffer, not for a moment.
 */
int mal_handle_mmap(struct mal_handles *handles, struct vm_area_struct *vma)
{
	struct mal_buffer *buffer = NULL;
	struct mal_handle *handle;
	bool writable, own;
	int err;

	mutex_lock(&handles->lock);
	handle = find_handle_at(handles, vma->vm_pgoff);
	if (handle) {
		own = handle->buffer->extent.payer == handles->payer;
		buffer = own ? mal_buffer_get(handle->buffer) : mal_buffer_share(handle->buffer);
		writable = handle->writable;
	}
	mutex_unlock(&handles->lock);
	if (!buffer)
		return -ENOENT;

	err = mal_map(buffer, vma->vm_pgoff - buffer->pgoff, writable, own, vma);
	if (own)
		mal_buffer_put(buffer);
	else
		mal_buffer_unshare(buffer);
	return err;
}
