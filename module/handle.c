// SPDX-License-Identifier: GPL-2.0-only
/* Handles: a client's names for buffers, by number and by mmap offset. */
#include <linux/hash.h>
#include <linux/log2.h>
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
	handles->bits = MAL_HANDLES_BITS;
	handles->by_id = handles->few;
	handles->by_offset = handles->few + BIT(MAL_HANDLES_BITS);
}

/* Give up the share of a handle that nobody finds any more. */
static void drop_handle(struct mal_handle *handle)
{
	struct mal_buffer *buffer = handle->buffer;

	if (handle == &buffer->first_handle) {
		mal_buffer_unshare_first(buffer);
		return;
	}
	kfree(handle);
	mal_buffer_unshare(buffer);
}

/* @by_id is the beginning of both tables' memory. */
static void free_tables(struct mal_handles *handles, struct hlist_head *by_id)
{
	if (by_id != handles->few)
		kvfree(by_id);
}

void mal_handles_destroy(struct mal_handles *handles)
{
	struct mal_handle *handle;
	struct hlist_node *next;
	u32 chain;

	for (chain = 0; chain < BIT(handles->bits); chain++) {
		hlist_for_each_entry_safe(handle, next, &handles->by_id[chain], by_id) {
			if (handle->disclosed)
				WRITE_ONCE(handle->buffer->extent.block.retained, true);
			drop_handle(handle);
			cond_resched();
		}
		cond_resched();
	}
	free_tables(handles, handles->by_id);
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

static struct hlist_head *chain_of_id(const struct mal_handles *handles, u32 id)
{
	return &handles->by_id[hash_32(id, handles->bits)];
}

/* Of all handles for the buffer at the mmap offset @pgoff. */
static struct hlist_head *chain_of_offset(const struct mal_handles *handles, unsigned long pgoff)
{
	return &handles->by_offset[hash_long(pgoff, handles->bits)];
}

/* Published or not. Under handles->lock, as are the functions down to unlink_handle(). */
static struct mal_handle *find_any_handle(struct mal_handles *handles, u32 id)
{
	struct mal_handle *handle;

	lockdep_assert_held(&handles->lock);
	hlist_for_each_entry(handle, chain_of_id(handles, id), by_id)
		if (handle->id == id)
			return handle;
	return NULL;
}

static bool is_published(const struct mal_handle *handle)
{
	/* Pairs with mal_handle_publish(). */
	return smp_load_acquire(&handle->published);
}

/* NULL: none, or it is not published. */
static struct mal_handle *find_handle(struct mal_handles *handles, u32 id)
{
	struct mal_handle *handle = find_any_handle(handles, id);

	return handle && is_published(handle) ? handle : NULL;
}

/*
 * The published handle for the buffer in whose mmap slot @pgoff lies, the writable one if there
 * are two; or NULL.
 */
static struct mal_handle *find_handle_at(struct mal_handles *handles, unsigned long pgoff)
{
	const unsigned long start = mal_offset_start(handles->offsets, pgoff);
	struct mal_handle *found = NULL;
	struct mal_handle *handle;

	lockdep_assert_held(&handles->lock);
	hlist_for_each_entry(handle, chain_of_offset(handles, start), by_offset) {
		if (handle->buffer->pgoff == start && is_published(handle) &&
		    (!found || handle->writable))
			found = handle;
	}
	return found;
}

static noinline bool find_twin(struct mal_handles *handles, const struct mal_handle *handle)
{
	const struct mal_buffer *buffer = handle->buffer;
	const struct mal_handle *other;

	hlist_for_each_entry(other, chain_of_offset(handles, buffer->pgoff), by_offset)
		if (other != handle && other->buffer == buffer)
			return true;
	return false;
}

/* Has the client another handle for the buffer? Each has a share. */
static bool has_twin(struct mal_handles *handles, const struct mal_handle *handle)
{
	lockdep_assert_held(&handles->lock);
	return unlikely(atomic_read(&handle->buffer->shares) > 1) && find_twin(handles, handle);
}

static __always_inline void add_to_chains(struct mal_handles *handles, struct mal_handle *handle)
{
	lockdep_assert_held(&handles->lock);
	hlist_add_head(&handle->by_id, chain_of_id(handles, handle->id));
	hlist_add_head(&handle->by_offset, chain_of_offset(handles, handle->buffer->pgoff));
}

/* Use @tables, for more chains, from now on. Returns the old ones, to be freed. */
static struct hlist_head *replace_tables(struct mal_handles *handles, struct hlist_head *tables,
					 unsigned int bits)
{
	const size_t chains = BIT(handles->bits);
	struct hlist_head *by_id = handles->by_id;
	struct mal_handle *handle;
	struct hlist_node *next;
	size_t i;

	lockdep_assert_held(&handles->lock);
	WRITE_ONCE(handles->bits, bits);
	handles->by_id = tables;
	handles->by_offset = tables + BIT(bits);
	/* All leave the old chains, so nothing of these has to be kept up. */
	for (i = 0; i < chains; i++) {
		hlist_for_each_entry_safe(handle, next, &by_id[i], by_id)
			add_to_chains(handles, handle);
		cond_resched();
	}
	return by_id;
}

/* Have a chain for each of @count handles. If there is no memory, the chains get longer instead. */
static noinline void grow_tables(struct mal_handles *handles, u64 count)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN;
	const unsigned int bits = ilog2(count) + 1;
	struct hlist_head *tables = kvcalloc(2UL << bits, sizeof(*tables), gfp);

	if (!tables)
		return;
	mutex_lock(&handles->lock);
	if (handles->bits < bits)
		tables = replace_tables(handles, tables, bits);
	mutex_unlock(&handles->lock);
	free_tables(handles, tables);
}

/* Add the handle to those of the client, and to the holdings. */
static __always_inline void link_handle(struct mal_handles *handles, struct mal_handle *handle)
{
	lockdep_assert_held(&handles->lock);
	add_to_chains(handles, handle);
	WRITE_ONCE(handles->held.handles, handles->held.handles + 1);
	if (has_twin(handles, handle))
		return;
	handles->held.buffers++;
	handles->held.bytes += mal_extent_size(&handle->buffer->extent);
}

static __always_inline void unlink_handle(struct mal_handles *handles, struct mal_handle *handle)
{
	lockdep_assert_held(&handles->lock);
	if (!has_twin(handles, handle)) {
		handles->held.buffers--;
		handles->held.bytes -= mal_extent_size(&handle->buffer->extent);
	}
	WRITE_ONCE(handles->held.handles, handles->held.handles - 1);
	hlist_del(&handle->by_id);
	hlist_del(&handle->by_offset);
}

static void init_handle(struct mal_handle *handle, struct mal_buffer *buffer, bool writable)
{
	handle->buffer = buffer;
	handle->published = false;
	handle->writable = writable;
	handle->disclosed = false;
}

static __always_inline void add_handle(struct mal_handles *handles, struct mal_handle *handle)
{
	lockdep_assert_held(&handles->lock);
	do {
		handle->id = ++handles->last_id ?: ++handles->last_id;
	} while (unlikely(find_any_handle(handles, handle->id)));
	link_handle(handles, handle);
}

static void make_chains(struct mal_handles *handles, u32 more)
{
	const u64 count = READ_ONCE(handles->held.handles) + more;

	if (unlikely(count > BIT(READ_ONCE(handles->bits))))
		grow_tables(handles, count);
}

/* For a constant @count of 1, the compiler needs no loop. */
static __always_inline void add_first_handles(struct mal_handles *handles,
					      struct mal_buffer *const *buffers, u32 count,
					      bool writable)
{
	u32 i;

	make_chains(handles, count);
	mutex_lock(&handles->lock);
	for (i = 0; i < count; i++) {
		init_handle(&buffers[i]->first_handle, buffers[i], writable);
		add_handle(handles, &buffers[i]->first_handle);
	}
	mutex_unlock(&handles->lock);
}

void mal_handle_add_first(struct mal_handles *handles, struct mal_buffer *buffer, bool writable)
{
	add_first_handles(handles, &buffer, 1, writable);
}

void mal_handles_add_first(struct mal_handles *handles, struct mal_buffer *const *buffers,
			   u32 count, bool writable)
{
	add_first_handles(handles, buffers, count, writable);
}

struct mal_handle *mal_handle_add(struct mal_handles *handles, struct mal_buffer *buffer,
				  bool writable)
{
	struct mal_handle *handle = kmalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);

	if (!handle)
		return NULL;
	make_chains(handles, 1);
	init_handle(handle, buffer, writable);
	mutex_lock(&handles->lock);
	add_handle(handles, handle);
	mutex_unlock(&handles->lock);
	return handle;
}

void mal_handle_cancel(struct mal_handles *handles, struct mal_handle *handle)
{
	mutex_lock(&handles->lock);
	unlink_handle(handles, handle);
	mutex_unlock(&handles->lock);
	drop_handle(handle);
}

/* Unlink the handle that @free names. Under handles->lock. */
static __always_inline int take_handle(struct mal_handles *handles,
				       const struct memalloc_free *free,
				       struct mal_handle **taken)
{
	struct mal_handle *handle = find_handle(handles, free->handle);

	if (!handle)
		return -ENOENT;
	if (free->length && free->length != handle->buffer->extent.block.length)
		return -ERANGE;
	unlink_handle(handles, handle);
	*taken = handle;
	return 0;
}

int mal_handle_remove(struct mal_handles *handles, const struct memalloc_free *free)
{
	struct mal_handle *handle;
	int err;

	mutex_lock(&handles->lock);
	err = take_handle(handles, free, &handle);
	mutex_unlock(&handles->lock);
	if (!err)
		drop_handle(handle);
	return err;
}

int mal_handles_remove(struct mal_handles *handles, struct mal_removal *removals, u32 count)
{
	int err = 0;
	u32 n;

	mutex_lock(&handles->lock);
	for (n = 0; n < count; n++) {
		err = take_handle(handles, &removals[n].free, &removals[n].handle);
		if (err)
			break;
	}
	/* The lock was held all the time, so nobody saw a handle missing. */
	while (err && n--)
		link_handle(handles, removals[n].handle);
	mutex_unlock(&handles->lock);
	if (err)
		return err;

	for (n = 0; n < count; n++) {
		drop_handle(removals[n].handle);
		cond_resched();
	}
	return 0;
}

int mal_handle_disclose(struct mal_handles *handles, u32 id, u64 offset)
{
	struct mal_handle *handle;
	int err = -ENOENT;

	mutex_lock(&handles->lock);
	handle = find_handle(handles, id);
	/* The handle's share and the lock keep the size. */
	if (handle)
		err = offset < mal_extent_size(&handle->buffer->extent) ? 0 : -EINVAL;
	if (!err) {
		handle->disclosed = true;
		WRITE_ONCE(handle->buffer->disclosed, true);
		mal_extent_mark_written(&handle->buffer->extent);
	}
	mutex_unlock(&handles->lock);
	return err;
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
	if (buffer->extent.block.payer != handles->payer) {
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
	mal_resize_finish(buffer, part, pages);
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
	/* All for a buffer that was exported are published, but for those of other IMPORTs. */
	hlist_for_each_entry(handle, chain_of_offset(handles, buffer->pgoff), by_offset)
		if (handle->buffer == buffer && handle->writable == writable)
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
		own = handle->buffer->extent.block.payer == handles->payer;
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
