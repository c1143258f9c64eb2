// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls, except those of batches.
 *
 * An answer is copied out before the call takes effect, so that a bad pointer changes nothing. Only
 * an address counts as disclosed before it is copied: a part of it may arrive. No lock that mmap()
 * or a page fault takes is held meanwhile: the argument may itself lie in a mapping of a buffer.
 */
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/memalloc.h>

#include "alloc.h"
#include "attachment.h"
#include "buffer.h"
#include "call.h"
#include "calls.h"
#include "charge.h"
#include "client.h"
#include "compact.h"
#include "core/fit.h"
#include "demand.h"
#include "dmabuf.h"
#include "gather.h"
#include "mapping.h"
#include "placement.h"
#include "quarantine.h"
#include "region.h"

static u64 memory_bits(const struct mal_range *range)
{
	u64 bits = range->can_go ? MEMALLOC_MEMORY_CAN_GO : 0;

	if (!mal_range_has_pages(range))
		return bits | (range->uncached ? MEMALLOC_MEMORY_UNCACHED : 0);
	return bits | MEMALLOC_MEMORY_PAGES | MEMALLOC_MEMORY_CACHED |
	       (range->no_long_pins ? 0 : MEMALLOC_MEMORY_LONG_PINS);
}

static void fill_ranges(struct memalloc_info *info, const struct mal_ranges *ranges)
{
	struct mal_ranges_part part;
	unsigned int i;

	for (i = 0; i < MEMALLOC_RANGES_MAX; i++) {
		if (!mal_ranges_get(ranges, i, &part))
			continue;
		info->range_lengths[i] = (u64)part.pages << PAGE_SHIFT;
		info->ranges++;
	}
}

int mal_call_info(struct mal_call *call)
{
	struct mal_region *region = call->client->region;
	struct memalloc_info *info = call->arg;

	*info = (struct memalloc_info) {
		.size = info->size,
		.features = MEMALLOC_FEATURE_DMABUF | MEMALLOC_FEATURE_LIMITS |
			    MEMALLOC_FEATURE_PLACEMENT | MEMALLOC_FEATURE_SYNC |
			    MEMALLOC_FEATURE_BATCH | MEMALLOC_FEATURE_RESIZE |
			    MEMALLOC_FEATURE_NAMES | MEMALLOC_FEATURE_PARTS |
			    MEMALLOC_FEATURE_TRANSLATE |
			    (mal_can_move(region) ? MEMALLOC_FEATURE_COMPACT : 0),
		.region_length = (u64)READ_ONCE(region->ranges.pages) << PAGE_SHIFT,
		.granule = PAGE_SIZE,
		.node = region->ranges.own.node,
		.max_alignment = (u64)region->ranges.own.align << PAGE_SHIFT,
		.client = call->client->id,
		.memory = memory_bits(&region->ranges.own),
		.huge_mapping = (u64)mal_huge_pages(&region->ranges.own) << PAGE_SHIFT,
		.ranges_max = region->ranges.max,
		.buffer_max = (u64)READ_ONCE(region->ranges.largest) << PAGE_SHIFT,
		.layout_length = (u64)region->ranges.granules << PAGE_SHIFT,
	};
	fill_ranges(info, &region->ranges);
	strscpy(info->source, region->ranges.own.source->name, sizeof(info->source));
	strscpy(info->name, region->name, sizeof(info->name));
	strscpy(info->fit, mal_arena_fit(&region->arena)->name, sizeof(info->fit));
	return mal_call_respond(call);
}

int mal_call_place(const struct mal_client *client, const struct memalloc_alloc *alloc,
		   struct mal_bounds *bounds)
{
	if (alloc->reserved || alloc->reserved2)
		return -EINVAL;
	return mal_placement(client->region, alloc, bounds);
}

void mal_call_fill_alloc(struct memalloc_alloc *alloc, const struct mal_buffer *buffer)
{
	alloc->handle = buffer->first_handle.id;
	alloc->real_length = mal_extent_size(&buffer->extent);
	alloc->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
}

int mal_call_alloc(struct mal_call *call)
{
	struct mal_client *client = call->client;
	struct memalloc_alloc *alloc = call->arg;
	struct mal_bounds bounds __uninitialized;
	struct mal_buffer *buffer;
	int err;

	err = mal_call_place(client, alloc, &bounds);
	if (err)
		goto failure;
	buffer = mal_demand_create(client->region, client->payer, alloc->length, &bounds,
				   mal_buffer_create);
	err = PTR_ERR_OR_ZERO(buffer);
	if (err)
		goto failure;
	buffer->huge = alloc->flags & MEMALLOC_ALLOC_HUGE;
	mal_handle_add_first(&client->handles, buffer, client->writable);
	mal_call_fill_alloc(alloc, buffer);
	err = mal_call_respond(call);
	if (err)
		goto cancel;
	mal_handle_publish(&buffer->first_handle);
	return 0;

cancel:
	mal_handle_cancel(&client->handles, &buffer->first_handle);
failure:
	mal_alloc_failed(client->region, alloc->length, err);
	return err;
}

int mal_call_free(struct mal_call *call)
{
	const struct memalloc_free *free = call->arg;

	if (free->reserved)
		return -EINVAL;
	return mal_handle_remove(&call->client->handles, free);
}

static u32 access_bits(bool writable)
{
	return MEMALLOC_ACCESS_READ | (writable ? MEMALLOC_ACCESS_WRITE : 0);
}

int mal_call_query(struct mal_call *call)
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
	/* First: size and place stay from then on. */
	if (physical) {
		mal_gather(buffer);
		err = mal_handle_disclose(&call->client->handles, query->handle, 0);
	}
	query->access = access_bits(writable);
	query->real_length = mal_buffer_size(buffer, &query->length);
	if (physical && !err)
		query->physical = mal_extent_phys(&buffer->extent);
	query->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
	mal_arena_copy_name(&buffer->extent.region->arena, query->name, buffer->extent.block.name);
	mal_buffer_put(buffer);
	return err ?: mal_call_respond(call);
}

/* Those may change meanwhile. */
static void fill_moves(struct memalloc_stats *stats, const struct mal_move_figures *figures)
{
	unsigned int reason;

	stats->moves = READ_ONCE(figures->moves);
	stats->moved = READ_ONCE(figures->moved) << PAGE_SHIFT;
	for (reason = MAL_MOVES + 1; reason < MAL_STAYS_REASONS; reason++)
		stats->moves_refused += READ_ONCE(figures->stays[reason]);
	stats->longest_move = READ_ONCE(figures->longest);
	stats->served_by_moves = atomic64_read(&figures->served);
	stats->over_budget = READ_ONCE(figures->over_budget);
}

int mal_call_stats(struct mal_call *call)
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
	fill_moves(stats, &region->moves);
	return mal_call_respond(call);
}

/* A slice of blocks, as they were under the arena's lock. */
struct layout_slice {
	u32 n;
	struct memalloc_block entries[MAL_ARENA_SLICE];

	/* The buffers among them, which may be gone by now, and their mmap offsets. */
	const struct mal_buffer *buffers[MAL_ARENA_SLICE];
	unsigned long pgoffs[MAL_ARENA_SLICE];
};

static void add_to_slice(const struct mal_arena_piece *piece, void *data)
{
	struct layout_slice *slice = data;
	const u32 i = slice->n++;

	slice->entries[i] = (struct memalloc_block) {
		.offset = (u64)piece->first << PAGE_SHIFT,
		.length = (u64)piece->granules << PAGE_SHIFT,
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
	struct mal_handles *handles = &client->handles;
	u32 i;

	slice->n = 0;
	/* While the lock is held, buffers that this client has handles for do not go away. */
	mutex_lock(&handles->lock);
	mal_arena_visit(&client->region->arena, cursor, max, add_to_slice, slice);
	for (i = 0; i < slice->n; i++) {
		if (slice->buffers[i])
			slice->entries[i].handle = __mal_handle_find_at(handles, slice->pgoffs[i],
									slice->buffers[i]);
	}
	mutex_unlock(&handles->lock);
}

int mal_call_layout(struct mal_call *call)
{
	struct mal_client *client = call->client;
	struct memalloc_layout *layout = call->arg;
	struct layout_slice slice;
	u8 __user *to = u64_to_user_ptr(layout->blocks);
	u32 pages = client->region->ranges.granules;
	u32 cursor;
	u32 done = 0;

	if (!layout->count || layout->block_size < sizeof(struct memalloc_block) ||
	    layout->block_size > PAGE_SIZE || layout->offset >= (u64)pages << PAGE_SHIFT)
		return -EINVAL;

	cursor = layout->offset >> PAGE_SHIFT;
	/* What is ready is no block of its own to those who look. */
	mal_arena_empty_ready(&client->region->arena);
	while (done < layout->count && cursor < pages) {
		read_slice(client, &cursor, layout->count - done, &slice);
		if (mal_call_copy_entries(to, layout->block_size, slice.entries,
					  sizeof(*slice.entries), slice.n))
			return -EFAULT;
		to += (size_t)slice.n * layout->block_size;
		done += slice.n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	layout->count = done;
	layout->offset = (u64)cursor << PAGE_SHIFT;
	return mal_call_respond(call);
}

/* What @export names of @buffer, of which the caller has a share. False: it leaves the buffer. */
static bool find_span(const struct mal_buffer *buffer, const struct memalloc_export *export,
		      struct mal_span *span)
{
	const u64 size = mal_extent_size(&buffer->extent);
	u64 length;

	if (export->offset >= size)
		return false;
	length = export->length ?: size - export->offset;
	span->first = export->offset >> PAGE_SHIFT;
	span->pages = length >> PAGE_SHIFT;
	return length <= size - export->offset;
}

int mal_call_export(struct mal_call *call)
{
	struct memalloc_export *export = call->arg;
	int access = export->open_flags & O_ACCMODE;
	struct mal_buffer *buffer;
	struct mal_span span;
	struct file *file;
	bool writable;
	int err;

	if (!PAGE_ALIGNED(export->offset) || !PAGE_ALIGNED(export->length) || export->reserved ||
	    export->open_flags & ~(O_ACCMODE | O_CLOEXEC) ||
	    (access != O_RDONLY && access != O_RDWR))
		return -EINVAL;
	buffer = mal_handle_share(&call->client->handles, export->handle, &writable);
	if (!buffer)
		return -ENOENT;
	if (access == O_RDWR && !writable)
		export->fd = -EACCES;
	else if (!find_span(buffer, export, &span))
		export->fd = -EINVAL;
	else
		export->fd = mal_dmabuf_export(buffer, &span, export->open_flags, &file);
	mal_buffer_unshare(buffer);
	if (export->fd < 0)
		return export->fd;

	err = mal_call_respond(call);
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
		handle = mal_handle_add(&client->handles, mal_buffer_share(buffer), writable);
		if (!handle) {
			mal_buffer_unshare(buffer);
			return -ENOMEM;
		}
		import->handle = handle->id;
	}

	import->access = access_bits(writable);
	import->real_length = mal_buffer_size(buffer, &import->length);
	import->mmap_offset = (u64)buffer->pgoff << PAGE_SHIFT;
	err = mal_call_respond(call);
	if (!handle)
		return err;
	if (err)
		mal_handle_cancel(&client->handles, handle);
	else
		mal_handle_publish(handle);
	return err;
}

int mal_call_import(struct mal_call *call)
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
static bool raises_limit(const struct memalloc_limits *wanted, const struct memalloc_limits *has)
{
	return (wanted->flags & MEMALLOC_LIMITS_SET_BYTES &&
		wanted->client_bytes_max > has->client_bytes_max) ||
	       (wanted->flags & MEMALLOC_LIMITS_SET_BUFFERS &&
		wanted->client_buffers_max > has->client_buffers_max);
}

int mal_call_limits(struct mal_call *call)
{
	struct mal_payer *payer = call->client->payer;
	struct memalloc_limits *limits = call->arg;
	const struct memalloc_limits wanted = *limits;
	const struct mal_amount *most = &payer->user->users->limits.client;
	bool may_raise = false;
	int err;

	mal_payer_get_limits(payer, limits);
	if (raises_limit(&wanted, limits)) {
		may_raise = capable(CAP_SYS_RESOURCE);
		if (!may_raise)
			return -EPERM;
	}
	/* Answer the limits that will hold: the client's own, but that of all clients at most. */
	if (wanted.flags & MEMALLOC_LIMITS_SET_BYTES)
		limits->client_bytes_max = min(wanted.client_bytes_max, READ_ONCE(most->bytes));
	if (wanted.flags & MEMALLOC_LIMITS_SET_BUFFERS)
		limits->client_buffers_max = min(wanted.client_buffers_max,
						 READ_ONCE(most->buffers));
	err = mal_call_respond(call);
	if (!err)
		mal_payer_set_limits(payer, &wanted, may_raise);
	return err;
}

int mal_call_sync(struct mal_call *call)
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
		mal_end_cpu_access(buffer, sync->offset, sync->length);
	else
		err = mal_begin_cpu_access(buffer, sync->offset, sync->length,
					   sync->flags & MEMALLOC_SYNC_WRITE);
	mal_buffer_put(buffer);
	return err;
}

int mal_call_release(struct mal_call *call)
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

int mal_call_resize(struct mal_call *call)
{
	const struct memalloc_resize *resize = call->arg;
	const u64 more = (resize->length - 1) >> PAGE_SHIFT;	/* than one granule */

	if (resize->reserved || !resize->length)
		return -EINVAL;
	if (more >= READ_ONCE(call->client->region->ranges.largest))
		return -EFBIG;
	return mal_handle_resize(&call->client->handles, resize->handle, more + 1, resize->length);
}

/* The length of the name; MEMALLOC_NAME_LEN: it is too long, or not printable. */
static u32 name_length(const u8 *name)
{
	u32 i;

	for (i = 0; i < MEMALLOC_NAME_LEN && name[i]; i++)
		if (!isascii(name[i]) || !isprint(name[i]))
			return MEMALLOC_NAME_LEN;
	return i;
}

int mal_call_name(struct mal_call *call)
{
	struct memalloc_name *name = call->arg;
	const u32 length = name_length(name->name);
	struct mal_region *region = call->client->region;
	struct mal_buffer *buffer;
	bool writable;

	if (name->reserved || length == MEMALLOC_NAME_LEN)
		return -EINVAL;
	memset(name->name + length, 0, MEMALLOC_NAME_LEN - length);
	buffer = mal_handle_lookup(&call->client->handles, name->handle, &writable);
	if (!buffer)
		return -ENOENT;
	if (writable)
		mal_arena_copy_name(&region->arena, buffer->extent.block.name, name->name);
	mal_buffer_put(buffer);
	return writable ? 0 : -EACCES;
}

int mal_call_compact(struct mal_call *call)
{
	struct mal_region *region = call->client->region;
	struct memalloc_compact *compact = call->arg;
	const u64 wanted = compact->length / PAGE_SIZE + !!offset_in_page(compact->length);
	struct mal_compaction compaction = {
		.room.req.align = 1,
		.room.budget = compact->budget >> PAGE_SHIFT,
		.region = region,
	};
	u64 stays[MAL_STAYS_REASONS] = {};
	enum mal_outcome outcome;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (wanted > READ_ONCE(region->ranges.largest))
		return -EFBIG;
	compaction.room.req.size = wanted;
	err = mal_compact_begin(region);
	if (err)
		return err;
	outcome = mal_compact(&compaction);
	mal_compact_end(region);
	if (outcome == MAL_STOPPED)
		return compaction.err;
	mal_compact_count_stays(region, 0, region->ranges.granules, stays);
	compact->largest_free = (u64)mal_arena_largest(&region->arena) << PAGE_SHIFT;
	compact->moves = compaction.moves;
	compact->moved = compaction.moved << PAGE_SHIFT;
	compact->held = compaction.held << PAGE_SHIFT;
	compact->mapped = stays[MAL_STAYS_MAPPED] << PAGE_SHIFT;
	compact->disclosed = stays[MAL_STAYS_DISCLOSED] << PAGE_SHIFT;
	compact->huge = stays[MAL_STAYS_HUGE] << PAGE_SHIFT;
	return mal_call_respond(call);
}
