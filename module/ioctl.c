// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls. One table says of each what its argument is; copying it in, refusing
 * what is unknown in it, and copying the answer out are done in one place each.
 *
 * An answer is copied out before what it tells takes effect, so that a bad pointer
 * leaves nothing behind. No lock that mmap() or a page fault takes is held then:
 * the argument may itself lie in a mapping of ours.
 */
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fcntl.h>
#include <linux/io.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/memalloc.h>

#include "alloc.h"
#include "buffer.h"
#include "charge.h"
#include "client.h"
#include "core/fit.h"
#include "dmabuf.h"
#include "ioctl.h"
#include "placement.h"
#include "quarantine.h"
#include "region.h"

/* A call under way. */
struct mal_call {
	struct mal_client *client;
	void __user *user;	/* the argument, */
	u32 user_size;		/* as long as userspace knows it */
	u32 size;		/* as long as we know it */
	void *arg;		/* our copy */
};

/* Tell userspace the answer: of the argument, what both sides know. */
static int respond(const struct mal_call *call)
{
	if (copy_to_user(call->user, call->arg, min(call->user_size, call->size)))
		return -EFAULT;
	return 0;
}

static int ioctl_info(struct mal_call *call)
{
	struct mal_region *region = call->client->region;
	struct memalloc_info *info = call->arg;

	*info = (struct memalloc_info) {
		.size = info->size,
		.features = MEMALLOC_FEATURE_DMABUF | MEMALLOC_FEATURE_LIMITS |
			    MEMALLOC_FEATURE_PLACEMENT | MEMALLOC_FEATURE_SYNC |
			    MEMALLOC_FEATURE_BATCH | MEMALLOC_FEATURE_RESIZE |
			    MEMALLOC_FEATURE_NAMES,
		.region_length = (u64)region->claim.pages << PAGE_SHIFT,
		.granule = PAGE_SIZE,
		.node = region->claim.node,
		.max_alignment = (u64)region->claim.align << PAGE_SHIFT,
		.client = call->client->id,
	};
	strscpy(info->name, region->name, sizeof(info->name));
	strscpy(info->fit, mal_arena_fit(&region->arena)->name, sizeof(info->fit));
	return respond(call);
}

/* The new buffer that an ALLOC asks for. */
static struct mal_buffer *create_buffer(struct mal_client *client,
					const struct memalloc_alloc *alloc)
{
	struct mal_region *region = client->region;
	struct mal_request req;
	int err;

	if (alloc->reserved || alloc->reserved2)
		return ERR_PTR(-EINVAL);
	err = mal_placement(region, alloc, &req);
	if (err)
		return ERR_PTR(err);
	return mal_buffer_create(region, client->payer, alloc->length, &req);
}

/* What an ALLOC makes. Nobody can use it before it is published. */
struct new_buffer {
	struct mal_handle *handle;
	struct mal_buffer *buffer;
};

/* Make what @alloc asks for, and fill in the answer. */
static int make_buffer(struct mal_client *client, struct memalloc_alloc *alloc,
		       struct new_buffer *new)
{
	new->handle = mal_handle_reserve(&client->handles);
	if (IS_ERR(new->handle))
		return PTR_ERR(new->handle);
	new->buffer = create_buffer(client, alloc);
	if (IS_ERR(new->buffer)) {
		mal_handle_cancel(&client->handles, new->handle);
		return PTR_ERR(new->buffer);
	}
	alloc->handle = new->handle->id;
	alloc->real_length = mal_extent_size(&new->buffer->extent);
	alloc->mmap_offset = (u64)new->buffer->pgoff << PAGE_SHIFT;
	return 0;
}

static void unmake_buffer(struct mal_client *client, const struct new_buffer *new)
{
	mal_buffer_unshare(new->buffer);
	mal_handle_cancel(&client->handles, new->handle);
}

static void publish_buffer(struct mal_client *client, const struct new_buffer *new)
{
	mal_handle_publish(&client->handles, new->handle, new->buffer, client->writable);
}

static int ioctl_alloc(struct mal_call *call)
{
	struct memalloc_alloc *alloc = call->arg;
	struct new_buffer new;
	int err;

	err = make_buffer(call->client, alloc, &new);
	if (err)
		goto failure;
	err = respond(call);
	if (err)
		goto unmake;
	publish_buffer(call->client, &new);
	return 0;

unmake:
	unmake_buffer(call->client, &new);
failure:
	mal_alloc_failed(call->client->region, alloc->length, err);
	return err;
}

static int ioctl_free(struct mal_call *call)
{
	const struct memalloc_free *free = call->arg;
	struct mal_removal removal = { .free = *free };

	if (free->reserved)
		return -EINVAL;
	return mal_handle_remove(&call->client->handles, &removal, 1);
}

/* Copy in an entry of a batch: an argument of call @cmd, and as long as that says. */
static int fetch_entry(unsigned int cmd, const void __user *user, u32 user_size, void *entry);

static u8 __user *entry_of(const struct memalloc_batch *batch, u32 i)
{
	return (u8 __user *)u64_to_user_ptr(batch->entries) + (size_t)i * batch->entry_size;
}

/*
 * Copy in the arguments of call @cmd that are the entries of a batch: a new array, to be
 * given to kvfree(), which has them @stride bytes apart.
 */
static void *fetch_batch(const struct memalloc_batch *batch, unsigned int cmd, size_t stride)
{
	u8 *entries;
	int err;
	u32 i;

	if (!batch->count || batch->count > MEMALLOC_BATCH_MAX)
		return ERR_PTR(-EINVAL);
	entries = kvmalloc_array(batch->count, stride, GFP_KERNEL_ACCOUNT);
	if (!entries)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < batch->count; i++) {
		err = fetch_entry(cmd, entry_of(batch, i), batch->entry_size, entries + i * stride);
		if (err) {
			kvfree(entries);
			return ERR_PTR(err);
		}
	}
	return entries;
}

struct alloc_entry {
	struct memalloc_alloc alloc;
	struct new_buffer new;
};

/* Make all @count of them, or none. */
static int make_batch(struct mal_client *client, struct alloc_entry *entries, u32 count)
{
	int err = 0;
	u32 n;

	for (n = 0; n < count; n++) {
		cond_resched();
		err = fatal_signal_pending(current) ? -EINTR :
		      make_buffer(client, &entries[n].alloc, &entries[n].new);
		if (err) {
			mal_alloc_failed(client->region, entries[n].alloc.length, err);
			break;
		}
	}
	while (err && n--)
		unmake_buffer(client, &entries[n].new);
	return err;
}

/* As respond(), for each entry. */
static int respond_batch(const struct memalloc_batch *batch, const struct alloc_entry *entries)
{
	const size_t known = min_t(size_t, batch->entry_size, sizeof(entries->alloc));
	u32 i;

	for (i = 0; i < batch->count; i++)
		if (copy_to_user(entry_of(batch, i), &entries[i].alloc, known))
			return -EFAULT;
	return 0;
}

static int ioctl_alloc_batch(struct mal_call *call)
{
	const struct memalloc_batch *batch = call->arg;
	struct mal_client *client = call->client;
	struct alloc_entry *entries;
	int err;
	u32 i;

	entries = fetch_batch(batch, MEMALLOC_IOC_ALLOC, sizeof(*entries));
	if (IS_ERR(entries)) {
		mal_alloc_failed(client->region, 0, PTR_ERR(entries));
		return PTR_ERR(entries);
	}
	err = make_batch(client, entries, batch->count);
	if (err)
		goto out;

	err = respond_batch(batch, entries);
	if (err)
		mal_alloc_failed(client->region, 0, err);
	for (i = 0; i < batch->count; i++) {
		if (err)
			unmake_buffer(client, &entries[i].new);
		else
			publish_buffer(client, &entries[i].new);
		cond_resched();
	}
out:
	kvfree(entries);
	return err;
}

static int ioctl_free_batch(struct mal_call *call)
{
	const struct memalloc_batch *batch = call->arg;
	struct mal_removal *removals;
	int err = 0;
	u32 i;

	removals = fetch_batch(batch, MEMALLOC_IOC_FREE, sizeof(*removals));
	if (IS_ERR(removals))
		return PTR_ERR(removals);
	for (i = 0; i < batch->count; i++)
		if (removals[i].free.reserved)
			err = -EINVAL;
	if (!err)
		err = mal_handle_remove(&call->client->handles, removals, batch->count);
	kvfree(removals);
	return err;
}

static u32 access_bits(bool writable)
{
	return MEMALLOC_ACCESS_READ | (writable ? MEMALLOC_ACCESS_WRITE : 0);
}

static int ioctl_query(struct mal_call *call)
{
	struct memalloc_query *query = call->arg;
	const bool physical = query->flags & MEMALLOC_QUERY_PHYSICAL;
	struct mal_buffer *buffer;
	bool writable;
	int err = 0;

	if (physical && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	if (physical && call->user_size < offsetofend(struct memalloc_query, physical))
		return -EINVAL;
	buffer = mal_handle_lookup(&call->client->handles, query->handle, &writable);
	if (!buffer)
		return -ENOENT;
	query->physical = 0;
	if (physical) {
		/* First: whoever is told is told the size that stays. */
		err = mal_handle_tell(&call->client->handles, query->handle);
		query->physical = page_to_phys(mal_extent_page(&buffer->extent, 0));
	}
	query->access = access_bits(writable);
	query->real_length = mal_buffer_size(buffer, &query->length);
	query->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
	mal_arena_get_name(&buffer->extent.region->arena, &buffer->extent.block, query->name);
	mal_buffer_put(buffer);
	return err ?: respond(call);
}

static int ioctl_stats(struct mal_call *call)
{
	struct mal_region *region = call->client->region;
	struct memalloc_stats *stats = call->arg;

	*stats = (struct memalloc_stats) {
		.size = stats->size,
		.clients = atomic_read(&region->clients),
		.dirty = (u64)atomic_long_read(&region->clean.dirty) << PAGE_SHIFT,
		.abandoned_buffers = atomic64_read(&region->abandoned_buffers),
		.abandoned_bytes = atomic64_read(&region->abandoned_bytes),
	};
	mal_arena_stats(&region->arena, stats);
	return respond(call);
}

/* A slice of blocks, as they were under the arena's lock. */
struct layout_slice {
	u32 n;
	struct memalloc_block entries[MAL_ARENA_SLICE];

	/* Of the buffers: where mmap() finds them. They may be gone by now. */
	const struct mal_buffer *buffers[MAL_ARENA_SLICE];
	unsigned long pgoffs[MAL_ARENA_SLICE];
};

static void add_to_slice(const struct mal_arena_piece *piece, void *data)
{
	struct layout_slice *slice = data;
	const u32 i = slice->n++;

	slice->entries[i] = (struct memalloc_block) {
		.offset = (u64)piece->first << PAGE_SHIFT,
		.length = (u64)piece->pages << PAGE_SHIFT,
		.state = piece->state,
	};
	slice->buffers[i] = NULL;
	if (piece->block && piece->block->is_buffer) {
		slice->buffers[i] = mal_buffer_of(mal_extent_of(piece->block));
		slice->pgoffs[i] = READ_ONCE(slice->buffers[i]->pgoff);
	}
}

/* Read a slice of blocks, with the client's handles for them. */
static void read_slice(struct mal_client *client, u32 *cursor, u32 max, struct layout_slice *slice)
{
	u32 i;

	slice->n = 0;
	/* While the lock is held, a buffer that this client has a handle for stays. */
	mutex_lock(&client->handles.lock);
	mal_arena_visit(&client->region->arena, cursor, max, add_to_slice, slice);
	for (i = 0; i < slice->n; i++) {
		if (slice->buffers[i])
			slice->entries[i].handle = __mal_handle_find_at(&client->handles, slice->pgoffs[i],
									slice->buffers[i]);
	}
	mutex_unlock(&client->handles.lock);
}

/* Write @n entries, @stride bytes apart; what we know nothing of is zero. */
static int copy_entries(u8 __user *to, u32 stride, const struct memalloc_block *entries, u32 n)
{
	size_t known = min_t(size_t, stride, sizeof(*entries));
	u32 i;

	for (i = 0; i < n; i++, to += stride) {
		if (copy_to_user(to, &entries[i], known) ||
		    clear_user(to + known, stride - known))
			return -EFAULT;
	}
	return 0;
}

static int ioctl_layout(struct mal_call *call)
{
	struct mal_client *client = call->client;
	struct memalloc_layout *layout = call->arg;
	struct layout_slice slice;
	u8 __user *to = u64_to_user_ptr(layout->blocks);
	u32 pages = client->region->claim.pages;
	u32 cursor;
	u32 done = 0;

	if (!layout->count || layout->block_size < sizeof(struct memalloc_block) ||
	    layout->block_size > PAGE_SIZE || layout->offset >= (u64)pages << PAGE_SHIFT)
		return -EINVAL;

	cursor = layout->offset >> PAGE_SHIFT;
	while (done < layout->count && cursor < pages) {
		read_slice(client, &cursor, layout->count - done, &slice);
		if (copy_entries(to, layout->block_size, slice.entries, slice.n))
			return -EFAULT;
		to += (size_t)slice.n * layout->block_size;
		done += slice.n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	layout->count = done;
	layout->offset = (u64)cursor << PAGE_SHIFT;
	return respond(call);
}

static int ioctl_export(struct mal_call *call)
{
	struct memalloc_export *export = call->arg;
	int access = export->open_flags & O_ACCMODE;
	struct mal_buffer *buffer;
	struct file *file;
	bool writable;
	int err;

	if (export->reserved || export->open_flags & ~(O_ACCMODE | O_CLOEXEC) ||
	    (access != O_RDONLY && access != O_RDWR))
		return -EINVAL;
	buffer = mal_handle_share(&call->client->handles, export->handle, &writable);
	if (!buffer)
		return -ENOENT;
	if (access == O_RDWR && !writable)
		export->fd = -EACCES;
	else
		export->fd = mal_dmabuf_export(buffer, export->open_flags, &file);
	mal_buffer_unshare(buffer);
	if (export->fd < 0)
		return export->fd;

	err = respond(call);
	if (err) {
		put_unused_fd(export->fd);
		fput(file);
		return err;
	}
	fd_install(export->fd, file);
	return 0;
}

/* Answer with the handle that the client has for @buffer already, or with a new one. */
static int import_buffer(struct mal_call *call, struct mal_buffer *buffer, bool writable)
{
	struct mal_client *client = call->client;
	struct memalloc_import *import = call->arg;
	struct mal_handle *handle = NULL;
	int err;

	import->handle = mal_handle_find(&client->handles, buffer, writable);
	if (!import->handle) {
		handle = mal_handle_reserve(&client->handles);
		if (IS_ERR(handle))
			return PTR_ERR(handle);
		import->handle = handle->id;
	}

	import->access = access_bits(writable);
	import->real_length = mal_buffer_size(buffer, &import->length);
	import->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
	err = respond(call);
	if (!handle)
		return err;
	if (err)
		mal_handle_cancel(&client->handles, handle);
	else
		mal_handle_publish(&client->handles, handle, mal_buffer_share(buffer), writable);
	return err;
}

static int ioctl_import(struct mal_call *call)
{
	struct mal_client *client = call->client;
	struct memalloc_import *import = call->arg;
	struct mal_buffer *buffer;
	bool writable;
	int err;

	if (import->reserved)
		return -EINVAL;
	buffer = mal_dmabuf_import(client->region, import->fd, &writable);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	if (import->flags & MEMALLOC_IMPORT_READ_ONLY || !client->writable)
		writable = false;

	err = mutex_lock_killable(&client->import_lock);
	if (!err) {
		err = import_buffer(call, buffer, writable);
		mutex_unlock(&client->import_lock);
	}
	mal_buffer_unshare(buffer);
	return err;
}

/* Whether @wanted sets a limit of the client above what it has. */
static bool raises(const struct memalloc_limits *wanted, const struct memalloc_limits *has)
{
	return (wanted->flags & MEMALLOC_LIMITS_SET_BYTES &&
		wanted->client_bytes_max > has->client_bytes_max) ||
	       (wanted->flags & MEMALLOC_LIMITS_SET_BUFFERS &&
		wanted->client_buffers_max > has->client_buffers_max);
}

static int ioctl_limits(struct mal_call *call)
{
	struct mal_payer *payer = call->client->payer;
	struct memalloc_limits *limits = call->arg;
	const struct memalloc_limits wanted = *limits;
	bool may_raise = false;
	int err;

	mal_payer_tell(payer, limits);
	if (raises(&wanted, limits)) {
		may_raise = capable(CAP_SYS_RESOURCE);
		if (!may_raise)
			return -EPERM;
	}
	/* The answer is how it will be: a raised one is still no more than any client has. */
	if (wanted.flags & MEMALLOC_LIMITS_SET_BYTES)
		limits->client_bytes_max = min(wanted.client_bytes_max,
					       READ_ONCE(mal_client_limit.bytes));
	if (wanted.flags & MEMALLOC_LIMITS_SET_BUFFERS)
		limits->client_buffers_max = min(wanted.client_buffers_max,
						 READ_ONCE(mal_client_limit.buffers));
	err = respond(call);
	if (!err)
		mal_payer_limit(payer, &wanted, may_raise);
	return err;
}

static int ioctl_sync(struct mal_call *call)
{
	const struct memalloc_sync *sync = call->arg;
	struct mal_buffer *buffer;
	bool writable;
	u64 length, asked_for;
	int err = 0;

	if (sync->reserved || !sync->length ||
	    !(sync->flags & (MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE)))
		return -EINVAL;
	buffer = mal_handle_lookup(&call->client->handles, sync->handle, &writable);
	if (!buffer)
		return -ENOENT;

	length = mal_buffer_size(buffer, &asked_for);
	if (sync->offset >= length || sync->length > length - sync->offset)
		err = -EINVAL;
	else if (sync->flags & MEMALLOC_SYNC_END)
		mal_dmabuf_end_cpu_access(buffer, sync->offset, sync->length);
	else
		err = mal_dmabuf_begin_cpu_access(buffer, sync->offset, sync->length,
						  sync->flags & MEMALLOC_SYNC_WRITE);
	mal_buffer_put(buffer);
	return err;
}

static int ioctl_release(struct mal_call *call)
{
	struct mal_quarantine *quarantine = &call->client->region->quarantine;
	const struct memalloc_release *release = call->arg;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (release->flags & MEMALLOC_RELEASE_ALL) {
		if (release->offset || release->length)
			return -EINVAL;
		mal_quarantine_release_all(quarantine);
		return 0;
	}
	if (!PAGE_ALIGNED(release->offset))
		return -ENOENT;
	if (!PAGE_ALIGNED(release->length))
		return -ERANGE;
	return mal_quarantine_release(quarantine, release->offset >> PAGE_SHIFT,
				      release->length >> PAGE_SHIFT);
}

static int ioctl_resize(struct mal_call *call)
{
	const struct memalloc_resize *resize = call->arg;
	const u64 more = (resize->length - 1) >> PAGE_SHIFT;	/* than one granule */

	if (resize->reserved || !resize->length)
		return -EINVAL;
	if (more >= call->client->region->claim.pages)
		return -EFBIG;
	return mal_handle_resize(&call->client->handles, resize->handle, more + 1, resize->length);
}

/* Where the name ends; MEMALLOC_NAME_LEN if it is none. */
static u32 name_length(const u8 *name)
{
	u32 i;

	for (i = 0; i < MEMALLOC_NAME_LEN && name[i]; i++)
		if (!isascii(name[i]) || !isprint(name[i]))
			return MEMALLOC_NAME_LEN;
	return i;
}

static int ioctl_name(struct mal_call *call)
{
	struct memalloc_name *name = call->arg;
	const u32 length = name_length(name->name);
	struct mal_buffer *buffer;
	bool writable;

	if (name->reserved || length == MEMALLOC_NAME_LEN)
		return -EINVAL;
	memset(name->name + length, 0, MEMALLOC_NAME_LEN - length);
	buffer = mal_handle_lookup(&call->client->handles, name->handle, &writable);
	if (!buffer)
		return -ENOENT;
	if (writable)
		mal_arena_set_name(&buffer->extent.region->arena, &buffer->extent.block, name->name);
	mal_buffer_put(buffer);
	return writable ? 0 : -EACCES;
}

/* What every argument begins with. */
struct header {
	u32 size;
	u32 flags;
};

union argument {
	struct header header;
	struct memalloc_info info;
	struct memalloc_alloc alloc;
	struct memalloc_free free;
	struct memalloc_query query;
	struct memalloc_stats stats;
	struct memalloc_layout layout;
	struct memalloc_export export;
	struct memalloc_import import;
	struct memalloc_limits limits;
	struct memalloc_release release;
	struct memalloc_sync sync;
	struct memalloc_batch batch;
	struct memalloc_resize resize;
	struct memalloc_name name;
};

/* @last is the last field of the argument's first version: it has to be there. */
#define CALL(name, function, type, last, known)					\
	[_IOC_NR(name)] = {							\
		.cmd = name,							\
		.run = function,						\
		.size = sizeof(struct type) + BUILD_BUG_ON_ZERO(		\
			offsetof(struct type, flags) != offsetof(struct header, flags)), \
		.min_size = offsetofend(struct type, last),			\
		.flags = known,							\
	}

static const struct mal_call_type {
	unsigned int cmd;
	int (*run)(struct mal_call *call);
	u32 size;
	u32 min_size;
	u32 flags;		/* the known ones */
} call_types[] = {
	CALL(MEMALLOC_IOC_INFO, ioctl_info, memalloc_info, fit, 0),
	CALL(MEMALLOC_IOC_ALLOC, ioctl_alloc, memalloc_alloc, mmap_offset, 0),
	CALL(MEMALLOC_IOC_FREE, ioctl_free, memalloc_free, length, 0),
	CALL(MEMALLOC_IOC_QUERY, ioctl_query, memalloc_query, mmap_offset,
	     MEMALLOC_QUERY_PHYSICAL),
	CALL(MEMALLOC_IOC_STATS, ioctl_stats, memalloc_stats, reserved, 0),
	CALL(MEMALLOC_IOC_LAYOUT, ioctl_layout, memalloc_layout, block_size, 0),
	CALL(MEMALLOC_IOC_EXPORT, ioctl_export, memalloc_export, reserved, 0),
	CALL(MEMALLOC_IOC_IMPORT, ioctl_import, memalloc_import, reserved,
	     MEMALLOC_IMPORT_READ_ONLY),
	CALL(MEMALLOC_IOC_LIMITS, ioctl_limits, memalloc_limits, user_buffers,
	     MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS),
	CALL(MEMALLOC_IOC_RELEASE, ioctl_release, memalloc_release, length,
	     MEMALLOC_RELEASE_ALL),
	CALL(MEMALLOC_IOC_SYNC, ioctl_sync, memalloc_sync, length,
	     MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END),
	CALL(MEMALLOC_IOC_ALLOC_BATCH, ioctl_alloc_batch, memalloc_batch, entry_size, 0),
	CALL(MEMALLOC_IOC_FREE_BATCH, ioctl_free_batch, memalloc_batch, entry_size, 0),
	CALL(MEMALLOC_IOC_RESIZE, ioctl_resize, memalloc_resize, length, 0),
	CALL(MEMALLOC_IOC_NAME, ioctl_name, memalloc_name, name, 0),
};

/* Copy in an argument of which userspace knows @user_size bytes; refuse what is unknown in it. */
static int fetch(const struct mal_call_type *type, const void __user *user, u32 user_size,
		 struct header *arg)
{
	int err;

	if (user_size < type->min_size)
		return -EINVAL;
	if (user_size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(arg, type->size, user, user_size);
	if (err)
		return err;
	return arg->flags & ~type->flags ? -EINVAL : 0;
}

static int fetch_entry(unsigned int cmd, const void __user *user, u32 user_size, void *entry)
{
	struct header *header = entry;
	int err = fetch(&call_types[_IOC_NR(cmd)], user, user_size, header);

	if (err)
		return err;
	return header->size == user_size ? 0 : -EINVAL;
}

long mal_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	union argument argument;
	struct mal_call call = {
		.client = file->private_data,
		.user = (void __user *)arg,
		.arg = &argument,
	};
	const struct mal_call_type *type;
	int err;

	if (_IOC_NR(cmd) >= ARRAY_SIZE(call_types))
		return -ENOTTY;
	type = &call_types[array_index_nospec(_IOC_NR(cmd), ARRAY_SIZE(call_types))];
	if (cmd != type->cmd)
		return -ENOTTY;

	if (get_user(call.user_size, (u32 __user *)call.user))
		return -EFAULT;
	err = fetch(type, call.user, call.user_size, &argument.header);
	if (err)
		return err;
	/* It may have changed since it was read: what was copied is what counts. */
	argument.header.size = call.user_size;

	call.size = type->size;
	return type->run(&call);
}
