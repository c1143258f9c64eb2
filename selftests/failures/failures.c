// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the module does when the kernel runs out of memory, or can't copy an argument,
 * at any place of any call of memalloc.h. Other system calls and drivers are in
 * failures_system.c, loading and unloading the module in failures_module.c.
 */
#include "failures.h"

/* Each case has its call, what makes it ready, and what is to be after a success. */

static int info(struct scene *s)
{
	return get_info(s->fd, &s->info);
}

static bool is_info(struct scene *s, int ret)
{
	return !ret && s->info.granule == PAGE && !strcmp((char *)s->info.name, "memalloc");
}

static int alloc_page(struct scene *s)
{
	return alloc_buffer(s->fd, 1, &s->arg.alloc);
}

static int alloc_large(struct scene *s)
{
	return alloc_buffer(s->fd, 8 * MIB, &s->arg.alloc);
}

static int alloc_length(struct scene *s)
{
	return alloc_buffer(s->fd, LENGTH, &s->arg.alloc);
}

/*
 * Two buffers that shrink, one after the other. The next one begins beside them, and has to get an
 * mmap offset of its own, as the second one had to. That takes memory.
 */
static int leave_shrunken(struct scene *s)
{
	int err = 0;
	int i;

	for (i = 0; i < 2 && !err; i++)
		err = alloc_buffer(s->fd, LENGTH, &s->batch[i]) ?:
		      resize_buffer(s->fd, s->batch[i].handle, PAGE);
	return err;
}

static int alloc_on_boundary(struct scene *s)
{
	return alloc_aligned(s->fd, 5 * PAGE, MIB, &s->arg.alloc);
}

/* A buffer of its own, of the right length, all zero. */
static bool is_new_buffer(struct scene *s, int ret)
{
	struct memalloc_alloc *alloc = &s->arg.alloc;
	char *map = map_buffer(s->fd, alloc);
	bool zero = map != MAP_FAILED &&
		    first_nonzero(map, alloc->real_length) == alloc->real_length;

	if (map != MAP_FAILED)
		munmap(map, alloc->real_length);
	return !ret && zero && alloc->handle != s->buffer.handle &&
	       alloc->real_length == (alloc->length + PAGE - 1) / PAGE * PAGE &&
	       (!alloc->alignment ||
		offset_of_handle(s->fd, alloc->handle) % alloc->alignment == 0);
}

static int free_call(struct scene *s)
{
	return free_buffer(s->fd, s->buffer.handle);
}

static bool is_freed(struct scene *s, int ret)
{
	return !ret && query_errno(s->fd, s->buffer.handle) == -ENOENT;
}

static int alloc_batch_call(struct scene *s)
{
	return alloc_batch(s->fd, s->batch, ARRAY_SIZE(s->batch), 5 * PAGE);
}

static bool is_batch(struct scene *s, int ret)
{
	return !ret && !get_stats(s->other, &s->arg.stats) &&
	       s->arg.stats.used == LENGTH + 15 * PAGE;
}

static int free_batch_call(struct scene *s)
{
	return free_batch(s->fd, s->batch, ARRAY_SIZE(s->batch));
}

static bool is_freed_batch(struct scene *s, int ret)
{
	return !ret && !get_stats(s->other, &s->arg.stats) && s->arg.stats.used == LENGTH;
}

/* Of a buffer that is not exported, of LENGTH bytes. */
static int make_longer(struct scene *s)
{
	return resize_buffer(s->fd, s->arg.alloc.handle, LENGTH + 5 * PAGE);
}

static bool is_longer(struct scene *s, int ret)
{
	s->map = map_at(s->fd, s->arg.alloc.mmap_offset + 5 * PAGE, LENGTH, PROT_READ);
	return !ret && s->map != MAP_FAILED && first_nonzero(s->map, LENGTH) == LENGTH &&
	       !get_stats(s->fd, &s->arg.stats) && s->arg.stats.used == 2 * LENGTH + 5 * PAGE;
}

static int make_shorter(struct scene *s)
{
	return resize_buffer(s->fd, s->arg.alloc.handle, 3 * PAGE);
}

static bool is_shorter(struct scene *s, int ret)
{
	return !ret && map_errno(s->fd, s->arg.alloc.mmap_offset, LENGTH, PROT_READ) == -EINVAL &&
	       !get_stats(s->fd, &s->arg.stats) && s->arg.stats.used == LENGTH + 3 * PAGE;
}

static int query(struct scene *s)
{
	return query_buffer(s->fd, s->buffer.handle, &s->arg.query);
}

static bool is_query(struct scene *s, int ret)
{
	return !ret && s->arg.query.length == LENGTH && s->arg.query.real_length == LENGTH &&
	       s->arg.query.mmap_offset == s->buffer.mmap_offset &&
	       s->arg.query.access == (MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE);
}

static int name_call(struct scene *s)
{
	return name_buffer(s->fd, s->buffer.handle, "scene");
}

static bool is_named(struct scene *s, int ret)
{
	return is_query(s, query(s)) && !ret && !strcmp((char *)s->arg.query.name, "scene");
}

static int query_address(struct scene *s)
{
	return query_physical(s->fd, s->buffer.handle, &s->arg.query);
}

/* The promise is kept here, as is_freed() has it. */
static bool is_address(struct scene *s, int ret)
{
	return is_query(s, ret) && s->arg.query.physical == physical(s->fd, &s->buffer, 0) &&
	       !free_buffer(s->fd, s->buffer.handle);
}

static int translate_call(struct scene *s)
{
	return translate(s->fd, s->buffer.handle, PAGE, 0, &s->arg.translate);
}

static bool is_translated(struct scene *s, int ret)
{
	const struct memalloc_translate *answer = &s->arg.translate;

	return !ret && answer->offset == PAGE && answer->length == LENGTH - PAGE &&
	       answer->handle == s->buffer.handle &&
	       answer->region_offset == offset_of_handle(s->fd, s->buffer.handle) + PAGE;
}

static int map_whole(struct scene *s)
{
	s->map = map_buffer(s->fd, &s->buffer);
	return s->map == MAP_FAILED ? -ENOMEM : 0;
}

static int translate_mapped(struct scene *s)
{
	return translate_address(s->fd, s->map + PAGE, 0, &s->arg.translate);
}

static int translate_told(struct scene *s)
{
	return translate(s->fd, s->buffer.handle, PAGE, MEMALLOC_TRANSLATE_PHYSICAL,
			 &s->arg.translate);
}

/* The promise is kept here, as is_freed() has it. */
static bool is_told(struct scene *s, int ret)
{
	return is_translated(s, ret) &&
	       s->arg.translate.physical == physical(s->fd, &s->buffer, PAGE) &&
	       !free_buffer(s->fd, s->buffer.handle);
}

/* Of a client that was told where its buffer lies, and went. */
static int leave_retained(struct scene *s)
{
	int client = open_device();
	struct memalloc_stats stats;
	bool good = client >= 0 && !alloc_buffer(client, PAGE, &s->arg.alloc) &&
		    !query_physical(client, s->arg.alloc.handle, &s->arg.query);

	close(client);
	return !good || !WAIT_UNTIL(!get_stats(s->fd, &stats) && stats.retained);
}

static int release_call(struct scene *s)
{
	return release_all(s->fd);
}

static bool is_released(struct scene *s, int ret)
{
	return !ret && !get_stats(s->fd, &s->arg.stats) && !s->arg.stats.retained &&
	       s->arg.stats.used == LENGTH;
}

/* A buffer that was written to, between two holes, and no room elsewhere. */
static int leave_pieces(struct scene *s)
{
	int i, err = 0;

	for (i = 0; i < 3 && !err; i++)
		err = alloc_buffer(s->fd, LENGTH, &s->batch[i]);
	if (err || !take_all(s->fd))
		return -1;
	close(s->dmabuf);
	s->dmabuf = -1;
	s->map = map_buffer(s->fd, &s->batch[1]);
	if (s->map == MAP_FAILED)
		return -1;
	fill(s->map, LENGTH, SEED);
	return free_buffer(s->fd, s->batch[0].handle) ?: free_buffer(s->fd, s->batch[2].handle);
}

static int compact_call(struct scene *s)
{
	return compact(s->fd, 2 * LENGTH, &s->arg.compact);
}

static bool is_one_piece(struct scene *s, int ret)
{
	return !ret && s->arg.compact.largest_free == 2 * LENGTH && holds_bytes(s);
}

static int stats(struct scene *s)
{
	return get_stats(s->fd, &s->arg.stats);
}

static bool is_stats(struct scene *s, int ret)
{
	return !ret && !*stats_wrong(&s->arg.stats) && s->arg.stats.used == LENGTH;
}

static int limits(struct scene *s)
{
	return get_limits(s->fd, &s->arg.limits);
}

static bool is_limits(struct scene *s, int ret)
{
	return !ret && s->arg.limits.client_bytes == LENGTH && s->arg.limits.client_buffers == 1 &&
	       s->arg.limits.user_bytes == LENGTH && s->arg.limits.user_buffers == 1;
}

static int lower_limit(struct scene *s)
{
	return set_limits(s->fd, MEMALLOC_LIMITS_SET_BYTES, 2 * LENGTH, 0);
}

static bool is_lowered(struct scene *s, int ret)
{
	return !ret && !get_limits(s->fd, &s->arg.limits) &&
	       s->arg.limits.client_bytes_max == 2 * LENGTH &&
	       s->arg.limits.client_buffers_max == MEMALLOC_NO_LIMIT;
}

static int layout(struct scene *s)
{
	s->layout.count = ARRAY_SIZE(s->layout.blocks);
	s->layout.end = 0;
	return get_layout(s->fd, &s->layout.end, s->layout.blocks, &s->layout.count);
}

static bool is_layout(struct scene *s, int ret)
{
	__u64 end = 0;
	bool mine = false;
	__u32 i;

	for (i = 0; !ret && i < s->layout.count; i++) {
		const struct memalloc_block *block = &s->layout.blocks[i];

		if (block->offset != end)
			return false;
		end += block->length;
		mine |= block->handle == s->buffer.handle && block->length == LENGTH;
	}
	return !ret && mine && end == s->info.region_length && s->layout.end == end;
}

static int export_call(struct scene *s)
{
	s->file = export_buffer(s->fd, s->buffer.handle, O_RDWR | O_CLOEXEC);
	return s->file;
}

static bool is_dmabuf(struct scene *s, int fd)
{
	s->map = map_at(fd, 0, LENGTH, PROT_READ | PROT_WRITE);
	return holds_bytes(s);
}

static int import_call(struct scene *s)
{
	return import_buffer(s->other, s->dmabuf, 0, &s->arg.import);
}

static bool is_handle(struct scene *s, int ret)
{
	if (ret || s->arg.import.length != LENGTH || s->arg.import.real_length != LENGTH)
		return false;
	s->map = map_at(s->other, s->arg.import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
	return holds_bytes(s) && !free_buffer(s->other, s->arg.import.handle) &&
	       query_errno(s->other, s->arg.import.handle) == -ENOENT;
}

static int import_again(struct scene *s)
{
	return import_buffer(s->fd, s->dmabuf, 0, &s->arg.import);
}

static bool is_same_handle(struct scene *s, int ret)
{
	return !ret && s->arg.import.handle == s->buffer.handle;
}

static int sync_range_call(struct scene *s)
{
	return sync_range(s->fd, s->buffer.handle, PAGE, PAGE, MEMALLOC_SYNC_READ);
}

static bool is_range_synced(struct scene *s, int ret)
{
	return !ret && !sync_range(s->fd, s->buffer.handle, PAGE, PAGE,
				   MEMALLOC_SYNC_END | MEMALLOC_SYNC_READ);
}

FIXTURE_VARIANT_ADD(call, info) {
	.request = MEMALLOC_IOC_INFO,
	.act = info,
	.holds = is_info,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, alloc) {
	.request = MEMALLOC_IOC_ALLOC,
	.act = alloc_page,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, alloc_large) {
	.request = MEMALLOC_IOC_ALLOC,
	.act = alloc_large,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, alloc_beside_shrunken) {
	.request = MEMALLOC_IOC_ALLOC,
	.prepare = leave_shrunken,
	.act = alloc_length,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, alloc_aligned) {
	.request = MEMALLOC_IOC_ALLOC,
	.act = alloc_on_boundary,
	.holds = is_new_buffer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, free) {
	.request = MEMALLOC_IOC_FREE,
	.act = free_call,
	.holds = is_freed,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, alloc_batch) {
	.request = MEMALLOC_IOC_ALLOC_BATCH,
	.act = alloc_batch_call,
	.holds = is_batch,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, free_batch) {
	.request = MEMALLOC_IOC_FREE_BATCH,
	.prepare = alloc_batch_call,
	.act = free_batch_call,
	.holds = is_freed_batch,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, resize_longer) {
	.request = MEMALLOC_IOC_RESIZE,
	.prepare = alloc_length,
	.act = make_longer,
	.holds = is_longer,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, resize_shorter) {
	.request = MEMALLOC_IOC_RESIZE,
	.prepare = alloc_length,
	.act = make_shorter,
	.holds = is_shorter,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, query) {
	.request = MEMALLOC_IOC_QUERY,
	.act = query,
	.holds = is_query,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, name) {
	.request = MEMALLOC_IOC_NAME,
	.act = name_call,
	.holds = is_named,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, query_address) {
	.request = MEMALLOC_IOC_QUERY,
	.act = query_address,
	.holds = is_address,
	.answers = { EFAULT },
	.moves = true,
};

FIXTURE_VARIANT_ADD(call, translate) {
	.request = MEMALLOC_IOC_TRANSLATE,
	.act = translate_call,
	.holds = is_translated,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, translate_address) {
	.request = MEMALLOC_IOC_TRANSLATE,
	.prepare = map_whole,
	.act = translate_mapped,
	.holds = is_translated,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, translate_physical) {
	.request = MEMALLOC_IOC_TRANSLATE,
	.act = translate_told,
	.holds = is_told,
	.answers = { EFAULT },
	.moves = true,
};

FIXTURE_VARIANT_ADD(call, release) {
	.request = MEMALLOC_IOC_RELEASE,
	.prepare = leave_retained,
	.act = release_call,
	.holds = is_released,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, compact) {
	.request = MEMALLOC_IOC_COMPACT,
	.prepare = leave_pieces,
	.act = compact_call,
	.holds = is_one_piece,
	.answers = { EFAULT, ENOMEM },
	.moves = true,
};

FIXTURE_VARIANT_ADD(call, stats) {
	.request = MEMALLOC_IOC_STATS,
	.act = stats,
	.holds = is_stats,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, layout) {
	.request = MEMALLOC_IOC_LAYOUT,
	.act = layout,
	.holds = is_layout,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, export) {
	.request = MEMALLOC_IOC_EXPORT,
	.act = export_call,
	.holds = is_dmabuf,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, import) {
	.request = MEMALLOC_IOC_IMPORT,
	.act = import_call,
	.holds = is_handle,
	.answers = { EFAULT, ENOMEM },
};

FIXTURE_VARIANT_ADD(call, import_again) {
	.request = MEMALLOC_IOC_IMPORT,
	.act = import_again,
	.holds = is_same_handle,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, limits) {
	.request = MEMALLOC_IOC_LIMITS,
	.act = limits,
	.holds = is_limits,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, limits_lower) {
	.request = MEMALLOC_IOC_LIMITS,
	.act = lower_limit,
	.holds = is_lowered,
	.answers = { EFAULT },
};

FIXTURE_VARIANT_ADD(call, sync_range) {
	.request = MEMALLOC_IOC_SYNC,
	.prepare = open_card_and_import,
	.act = sync_range_call,
	.holds = is_range_synced,
	.answers = { EFAULT },
};

/* Whoever adds a call adds a case. */
TEST(no_call_is_missing)
{
	struct __fixture_variant_metadata *v;
	int number, fd = open_idle_device();

	ASSERT_LE(0, fd);
	for (number = 0; number < 256; number++) {
		unsigned int request = _IO(MEMALLOC_IOC_TYPE, number);
		bool here = false;

		for (v = _call_fixture_object.variant; v; v = v->next)
			here |= ((FIXTURE_VARIANT(call) *)v->data)->request == request;
		EXPECT_EQ(here, call(fd, request, NULL) != -ENOTTY)
			TH_LOG("call %d", number);
	}
}

TEST_HARNESS_MAIN
