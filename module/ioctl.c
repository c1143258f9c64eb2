// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls. One table says of each what its argument is; copying it in, refusing
 * what is unknown in it, and copying the answer out are done in one place each.
 *
 * An answer is copied out before what it tells takes effect, so that a bad pointer
 * leaves nothing behind. No lock that mmap() or a page fault takes is held then:
 * the argument may itself lie in a mapping of ours.
 */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/fcntl.h>
#include <linux/log2.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/memalloc.h>

#include "buffer.h"
#include "client.h"
#include "core/fit.h"
#include "dmabuf.h"
#include "ioctl.h"
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

static u64 max_alignment(const struct mal_region *region)
{
	return (u64)region->claim.align << PAGE_SHIFT;
}

static int ioctl_info(struct mal_call *call)
{
	struct mal_region *region = call->client->region;
	struct memalloc_info *info = call->arg;

	*info = (struct memalloc_info) {
		.size = info->size,
		.features = MEMALLOC_FEATURE_DMABUF,
		.region_length = (u64)region->claim.pages << PAGE_SHIFT,
		.granule = PAGE_SIZE,
		.node = region->claim.node,
		.max_alignment = max_alignment(region),
	};
	strscpy(info->name, region->name, sizeof(info->name));
	strscpy(info->fit, mal_arena_fit(&region->arena)->name, sizeof(info->fit));
	return respond(call);
}

/* The new buffer that an ALLOC asks for. */
static struct mal_buffer *create_buffer(struct mal_region *region,
					const struct memalloc_alloc *alloc)
{
	u64 align = alloc->alignment ?: PAGE_SIZE;

	if (alloc->reserved || !alloc->length)
		return ERR_PTR(-EINVAL);
	if (!is_power_of_2(align) || align > max_alignment(region))
		return ERR_PTR(-EINVAL);
	return mal_buffer_create(region, alloc->length,
				 max_t(u64, align >> PAGE_SHIFT, 1));
}

static int ioctl_alloc(struct mal_call *call)
{
	struct mal_client *client = call->client;
	struct memalloc_alloc *alloc = call->arg;
	struct mal_handle *handle;
	struct mal_buffer *buffer;
	int err;

	handle = mal_handle_reserve(client);
	if (IS_ERR(handle)) {
		err = PTR_ERR(handle);
		goto out;
	}
	buffer = create_buffer(client->region, alloc);
	if (IS_ERR(buffer)) {
		err = PTR_ERR(buffer);
		goto cancel;
	}

	alloc->handle = handle->id;
	alloc->real_length = (u64)buffer->pages << PAGE_SHIFT;
	alloc->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
	err = respond(call);
	if (err)
		goto put_buffer;
	mal_handle_publish(client, handle, buffer, client->writable);
	return 0;

put_buffer:
	mal_buffer_put(buffer);
cancel:
	mal_handle_cancel(client, handle);
out:
	if (err == -ENOMEM || err == -EFBIG)
		mal_arena_count_failure(&client->region->arena);
	return err;
}

static int ioctl_free(struct mal_call *call)
{
	const struct memalloc_free *free = call->arg;

	if (free->reserved)
		return -EINVAL;
	return mal_handle_remove(call->client, free->handle, free->length);
}

static u32 access_bits(bool writable)
{
	return MEMALLOC_ACCESS_READ | (writable ? MEMALLOC_ACCESS_WRITE : 0);
}

static int ioctl_query(struct mal_call *call)
{
	struct memalloc_query *query = call->arg;
	struct mal_buffer *buffer;
	bool writable;

	buffer = mal_handle_lookup(call->client, query->handle, &writable);
	if (!buffer)
		return -ENOENT;
	query->access = access_bits(writable);
	query->length = buffer->length;
	query->real_length = (u64)buffer->pages << PAGE_SHIFT;
	query->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
	mal_buffer_put(buffer);
	return respond(call);
}

static int ioctl_stats(struct mal_call *call)
{
	struct mal_region *region = call->client->region;
	struct memalloc_stats *stats = call->arg;

	*stats = (struct memalloc_stats) {
		.size = stats->size,
		.clients = atomic_read(&region->clients),
	};
	mal_arena_stats(&region->arena, stats);
	return respond(call);
}

/* Read a slice of blocks, with the client's handles for them. */
static u32 layout_slice(struct mal_client *client, u32 *cursor, struct memalloc_block *entries,
			u32 max)
{
	struct mal_arena_block blocks[MAL_ARENA_SLICE];
	u32 n;
	u32 i;

	/* While the lock is held, a buffer that this client has a handle for stays. */
	mutex_lock(&client->lock);
	n = mal_arena_layout(&client->region->arena, cursor, blocks, max);
	for (i = 0; i < n; i++) {
		const struct mal_arena_block *block = &blocks[i];
		struct memalloc_block *entry = &entries[i];

		*entry = (struct memalloc_block) {
			.offset = (u64)block->first << PAGE_SHIFT,
			.length = (u64)block->pages << PAGE_SHIFT,
			.state = MEMALLOC_BLOCK_FREE,
		};
		if (!block->buffer)
			continue;
		entry->state = block->quarantined ? MEMALLOC_BLOCK_QUARANTINED :
						    MEMALLOC_BLOCK_USED;
		entry->handle = __mal_handle_find(client, block->buffer, true) ?:
				__mal_handle_find(client, block->buffer, false);
	}
	mutex_unlock(&client->lock);
	return n;
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
	struct memalloc_block entries[MAL_ARENA_SLICE];
	u8 __user *to = u64_to_user_ptr(layout->blocks);
	u32 pages = client->region->claim.pages;
	u32 cursor;
	u32 done = 0;
	u32 n;

	if (!layout->count || layout->block_size < sizeof(struct memalloc_block) ||
	    layout->block_size > PAGE_SIZE || layout->offset >= (u64)pages << PAGE_SHIFT)
		return -EINVAL;

	cursor = layout->offset >> PAGE_SHIFT;
	while (done < layout->count && cursor < pages) {
		n = layout_slice(client, &cursor, entries, layout->count - done);
		if (copy_entries(to, layout->block_size, entries, n))
			return -EFAULT;
		to += (size_t)n * layout->block_size;
		done += n;
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
	struct dma_buf *dmabuf;
	bool writable;
	int err;
	int fd;

	if (export->reserved || export->open_flags & ~(O_ACCMODE | O_CLOEXEC) ||
	    (access != O_RDONLY && access != O_RDWR))
		return -EINVAL;
	buffer = mal_handle_lookup(call->client, export->handle, &writable);
	if (!buffer)
		return -ENOENT;
	if (access == O_RDWR && !writable) {
		err = -EACCES;
		goto put_buffer;
	}

	fd = get_unused_fd_flags(export->open_flags & O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto put_buffer;
	}
	dmabuf = mal_dmabuf_export(buffer, access);
	if (IS_ERR(dmabuf)) {
		err = PTR_ERR(dmabuf);
		goto put_fd;
	}

	export->fd = fd;
	err = respond(call);
	if (err)
		goto put_dmabuf;
	fd_install(fd, dmabuf->file);
	mal_buffer_put(buffer);
	return 0;

put_dmabuf:
	dma_buf_put(dmabuf);
put_fd:
	put_unused_fd(fd);
put_buffer:
	mal_buffer_put(buffer);
	return err;
}

/* Answer with the handle that the client has for @buffer already, or with a new one. */
static int import_buffer(struct mal_call *call, struct mal_buffer *buffer, bool writable)
{
	struct mal_client *client = call->client;
	struct memalloc_import *import = call->arg;
	struct mal_handle *handle = NULL;
	int err;

	import->handle = mal_handle_find(client, buffer, writable);
	if (!import->handle) {
		handle = mal_handle_reserve(client);
		if (IS_ERR(handle))
			return PTR_ERR(handle);
		import->handle = handle->id;
	}

	import->access = access_bits(writable);
	import->length = buffer->length;
	import->real_length = (u64)buffer->pages << PAGE_SHIFT;
	import->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
	err = respond(call);
	if (!handle)
		return err;
	if (err)
		mal_handle_cancel(client, handle);
	else
		mal_handle_publish(client, handle, mal_buffer_get(buffer), writable);
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
	mal_buffer_put(buffer);
	return err;
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
	CALL(MEMALLOC_IOC_QUERY, ioctl_query, memalloc_query, mmap_offset, 0),
	CALL(MEMALLOC_IOC_STATS, ioctl_stats, memalloc_stats, reserved, 0),
	CALL(MEMALLOC_IOC_LAYOUT, ioctl_layout, memalloc_layout, block_size, 0),
	CALL(MEMALLOC_IOC_EXPORT, ioctl_export, memalloc_export, reserved, 0),
	CALL(MEMALLOC_IOC_IMPORT, ioctl_import, memalloc_import, reserved,
	     MEMALLOC_IMPORT_READ_ONLY),
};

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
	if (call.user_size < type->min_size)
		return -EINVAL;
	if (call.user_size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(call.arg, type->size, call.user, call.user_size);
	if (err)
		return err;
	/* It may have changed since it was read: what was copied is what counts. */
	argument.header.size = call.user_size;
	if (argument.header.flags & ~type->flags)
		return -EINVAL;

	call.size = type->size;
	return type->run(&call);
}
