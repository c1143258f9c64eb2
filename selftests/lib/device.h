/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls of a region's node as functions that answer 0 (or a descriptor) or a negative errno,
 * and mappings. One client of the device is one descriptor from open_device().
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "kselftest_harness.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/memalloc.h>

/*
 * In seconds, for a test that hangs. The harness's 30 are too few for some tests on the kernels
 * that check what they can, if the machine has other work, too.
 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	120

/* The node of the region that is tested, which names other files of it, too. */
static inline const char *node_name(void)
{
	return getenv("MEMALLOC_NODE") ?: "memalloc";
}

/* Only the first region's node is called as the region. */
static inline const char *region_name(void)
{
	const char *name = strchr(node_name(), '-');

	return name ? name + 1 : node_name();
}

/* FOLDER/NODE, with /FILE unless that is NULL: good until the thread has asked four times more. */
static inline const char *node_path(const char *folder, const char *file)
{
	static _Thread_local char paths[4][256];
	static _Thread_local unsigned int last;
	char *path = paths[++last % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s%s%s", folder, node_name(), file ? "/" : "",
		 file ?: "");
	return path;
}

#define DEVICE			node_path("/dev", NULL)
#define ATTRIBUTE(name)		node_path("/sys/class/misc", name)

#define PAGE		((unsigned long)getpagesize())
#define KIB		1024UL
#define MIB		(1024 * KIB)

static inline int call(int fd, unsigned int request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

static inline int open_device(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int get_info(int fd, struct memalloc_info *info)
{
	*info = (struct memalloc_info){ .size = sizeof(*info) };
	return call(fd, MEMALLOC_IOC_INFO, info);
}

static inline int get_stats(int fd, struct memalloc_stats *stats)
{
	*stats = (struct memalloc_stats){ .size = sizeof(*stats) };
	return call(fd, MEMALLOC_IOC_STATS, stats);
}

/* Can the region's memory do all of @bits, of MEMALLOC_MEMORY_*? */
static inline bool memory_can(__u64 bits)
{
	struct memalloc_info info;
	int fd = open_device();
	bool can = fd < 0 || get_info(fd, &info) || (info.memory & bits) == bits;

	close(fd);
	return can;
}

/* Skips all tests of the program: for a constructor. */
static inline void skip_program_if(bool skip, const char *why)
{
	if (skip) {
		printf("TAP version 13\n1..0 # SKIP %s\n", why);
		exit(0);
	}
}

static inline void skip_program_without(__u64 bits)
{
	skip_program_if(!memory_can(bits), "the region's memory can't do that");
}

/* Can its buffers be moved? */
static inline bool memory_moves(void)
{
	struct memalloc_info info;
	int fd = open_device();
	bool moves = fd < 0 || get_info(fd, &info) || info.features & MEMALLOC_FEATURE_COMPACT;

	close(fd);
	return moves;
}

/* But for @dirty: the background zeroes what somebody gave back before. */
static inline bool same_stats(const struct memalloc_stats *a, const struct memalloc_stats *b)
{
	struct memalloc_stats copy = *b;

	copy.dirty = a->dirty;
	copy.ready = a->ready;
	return !memcmp(a, &copy, sizeof(copy));
}

static inline int get_limits(int fd, struct memalloc_limits *limits)
{
	*limits = (struct memalloc_limits){ .size = sizeof(*limits) };
	return call(fd, MEMALLOC_IOC_LIMITS, limits);
}

/* Set the client's own limits that @flags name. */
static inline int set_limits(int fd, __u32 flags, __u64 bytes, __u64 buffers)
{
	struct memalloc_limits arg = {
		.size = sizeof(arg), .flags = flags,
		.client_bytes_max = bytes, .client_buffers_max = buffers,
	};

	return call(fd, MEMALLOC_IOC_LIMITS, &arg);
}

static inline int alloc_aligned(int fd, __u64 length, __u64 alignment,
				struct memalloc_alloc *buffer)
{
	*buffer = (struct memalloc_alloc){
		.size = sizeof(*buffer), .length = length, .alignment = alignment,
	};
	return call(fd, MEMALLOC_IOC_ALLOC, buffer);
}

static inline int alloc_buffer(int fd, __u64 length, struct memalloc_alloc *buffer)
{
	return alloc_aligned(fd, length, 0, buffer);
}

/* One that is mapped by huge entries. */
static inline int alloc_huge(int fd, __u64 length, struct memalloc_alloc *buffer)
{
	*buffer = (struct memalloc_alloc){
		.size = sizeof(*buffer), .flags = MEMALLOC_ALLOC_HUGE, .length = length,
	};
	return call(fd, MEMALLOC_IOC_ALLOC, buffer);
}

static inline int free_length(int fd, __u32 handle, __u64 length)
{
	struct memalloc_free arg = {
		.size = sizeof(arg), .handle = handle, .length = length,
	};

	return call(fd, MEMALLOC_IOC_FREE, &arg);
}

static inline int free_buffer(int fd, __u32 handle)
{
	return free_length(fd, handle, 0);
}

/* ALLOC_BATCH or FREE_BATCH of @count entries of @size bytes. */
static inline int call_batch(int fd, unsigned int request, void *entries, __u32 count, __u32 size)
{
	struct memalloc_batch arg = {
		.size = sizeof(arg), .entries = (__u64)(uintptr_t)entries,
		.count = count, .entry_size = size,
	};

	return call(fd, request, &arg);
}

/* Of that many buffers of @length bytes each. */
static inline int alloc_batch(int fd, struct memalloc_alloc *buffers, __u32 count, __u64 length)
{
	__u32 i;

	for (i = 0; i < count; i++)
		buffers[i] = (struct memalloc_alloc){
			.size = sizeof(*buffers), .length = length,
		};
	return call_batch(fd, MEMALLOC_IOC_ALLOC_BATCH, buffers, count, sizeof(*buffers));
}

static inline int free_batch(int fd, const struct memalloc_alloc *buffers, __u32 count)
{
	struct memalloc_free frees[MEMALLOC_BATCH_MAX + 1];
	__u32 i;

	for (i = 0; i < count; i++)
		frees[i] = (struct memalloc_free){
			.size = sizeof(*frees), .handle = buffers[i].handle,
			.length = buffers[i].length,
		};
	return call_batch(fd, MEMALLOC_IOC_FREE_BATCH, frees, count, sizeof(*frees));
}

static inline int resize_buffer(int fd, __u32 handle, __u64 length)
{
	struct memalloc_resize arg = { .size = sizeof(arg), .handle = handle, .length = length };

	return call(fd, MEMALLOC_IOC_RESIZE, &arg);
}

/* @name may be any bytes, MEMALLOC_NAME_LEN of them at most. */
static inline int name_bytes(int fd, __u32 handle, const void *name, size_t length)
{
	struct memalloc_name arg = { .size = sizeof(arg), .handle = handle };

	memcpy(arg.name, name, length);
	return call(fd, MEMALLOC_IOC_NAME, &arg);
}

static inline int name_buffer(int fd, __u32 handle, const char *name)
{
	return name_bytes(fd, handle, name, strlen(name));
}

static inline int query_buffer(int fd, __u32 handle, struct memalloc_query *query)
{
	*query = (struct memalloc_query){ .size = sizeof(*query), .handle = handle };
	return call(fd, MEMALLOC_IOC_QUERY, query);
}

static inline int query_physical(int fd, __u32 handle, struct memalloc_query *query)
{
	*query = (struct memalloc_query){
		.size = sizeof(*query), .flags = MEMALLOC_QUERY_PHYSICAL, .handle = handle,
	};
	return call(fd, MEMALLOC_IOC_QUERY, query);
}

static inline int release_block(int fd, __u64 offset, __u64 length)
{
	struct memalloc_release arg = {
		.size = sizeof(arg), .offset = offset, .length = length,
	};

	return call(fd, MEMALLOC_IOC_RELEASE, &arg);
}

static inline int release_all(int fd)
{
	struct memalloc_release arg = { .size = sizeof(arg), .flags = MEMALLOC_RELEASE_ALL };

	return call(fd, MEMALLOC_IOC_RELEASE, &arg);
}

/* COMPACT for a free block of @length bytes, whatever has to be copied for it. */
static inline int compact(int fd, __u64 length, struct memalloc_compact *answer)
{
	*answer = (struct memalloc_compact) {
		.size = sizeof(*answer),
		.length = length,
		.budget = UINT64_MAX,
	};
	return call(fd, MEMALLOC_IOC_COMPACT, answer);
}

/* 0 if @handle means something to the client, else a negative errno. */
static inline int query_errno(int fd, __u32 handle)
{
	struct memalloc_query query;

	return query_buffer(fd, handle, &query);
}

/* @length 0: up to the buffer's end. */
static inline int export_part(int fd, __u32 handle, __u32 open_flags, __u64 offset, __u64 length)
{
	struct memalloc_export arg = {
		.size = sizeof(arg), .handle = handle, .open_flags = open_flags, .fd = -1,
		.offset = offset, .length = length,
	};
	int ret = call(fd, MEMALLOC_IOC_EXPORT, &arg);

	return ret ? ret : arg.fd;
}

static inline int export_buffer(int fd, __u32 handle, __u32 open_flags)
{
	return export_part(fd, handle, open_flags, 0, 0);
}

static inline int import_buffer(int fd, int dmabuf, __u32 flags,
				struct memalloc_import *import)
{
	*import = (struct memalloc_import){
		.size = sizeof(*import), .flags = flags, .fd = dmabuf,
	};
	return call(fd, MEMALLOC_IOC_IMPORT, import);
}

/* Where byte @offset of the buffer lies. */
static inline int translate(int fd, __u32 handle, __u64 offset, __u32 flags,
			    struct memalloc_translate *answer)
{
	*answer = (struct memalloc_translate){
		.size = sizeof(*answer), .flags = flags, .handle = handle, .offset = offset,
	};
	return call(fd, MEMALLOC_IOC_TRANSLATE, answer);
}

/* The same for what is mapped at @address. */
static inline int translate_address(int fd, const void *address, __u32 flags,
				    struct memalloc_translate *answer)
{
	*answer = (struct memalloc_translate){
		.size = sizeof(*answer), .flags = flags | MEMALLOC_TRANSLATE_ADDRESS,
		.address = (uintptr_t)address,
	};
	return call(fd, MEMALLOC_IOC_TRANSLATE, answer);
}

/* Before (with MEMALLOC_SYNC_END: after) the CPU accesses a range, see MEMALLOC_SYNC_*. */
static inline int sync_range(int fd, __u32 handle, __u64 offset, __u64 length, __u32 flags)
{
	struct memalloc_sync arg = {
		.size = sizeof(arg), .flags = flags, .handle = handle,
		.offset = offset, .length = length,
	};

	return call(fd, MEMALLOC_IOC_SYNC, &arg);
}

/* A page of the layout from *@offset on; *@count is the room in @blocks, then what came. */
static inline int get_layout(int fd, __u64 *offset, struct memalloc_block *blocks,
			     __u32 *count)
{
	struct memalloc_layout arg = {
		.size = sizeof(arg),
		.offset = *offset,
		.blocks = (__u64)(uintptr_t)blocks,
		.count = *count,
		.block_size = sizeof(*blocks),
	};
	int ret = call(fd, MEMALLOC_IOC_LAYOUT, &arg);

	if (!ret) {
		*offset = arg.offset;
		*count = arg.count;
	}
	return ret;
}

/*
 * The whole layout, in pages of @per_page entries: the number of blocks, or a
 * negative errno; -ENOSPC if @room is not enough, -EPROTO if a page is empty.
 */
static inline int read_layout(int fd, struct memalloc_block *blocks, int room, int per_page)
{
	struct memalloc_info info;
	__u64 offset = 0;
	int total = 0, ret;

	ret = get_info(fd, &info);
	while (!ret && offset < info.layout_length) {
		__u32 count = room - total < per_page ? room - total : per_page;

		if (!count)
			return -ENOSPC;
		ret = get_layout(fd, &offset, blocks + total, &count);
		if (!ret && !count)
			return -EPROTO;
		total += count;
	}
	return ret ? ret : total;
}

/* Where @handle's block begins in the region, or -1. */
static inline __s64 offset_of_handle(int fd, __u32 handle)
{
	static struct memalloc_block blocks[16384];
	int i, n = read_layout(fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));

	for (i = 0; i < n; i++)
		if (blocks[i].handle == handle)
			return blocks[i].offset;
	return -1;
}

static inline void *map_at(int fd, __u64 offset, size_t length, int prot)
{
	return mmap(NULL, length, prot, MAP_SHARED, fd, offset);
}

static inline void *map_buffer(int fd, const struct memalloc_alloc *buffer)
{
	return map_at(fd, buffer->mmap_offset, buffer->real_length, PROT_READ | PROT_WRITE);
}

/* 0 if that can be mapped (it is unmapped again), else a negative errno. */
static inline int map_errno(int fd, __u64 offset, size_t length, int prot)
{
	void *map = map_at(fd, offset, length, prot);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, length);
	return 0;
}

/* Have all pages of the buffer mapped for a moment, in which they could be written to. */
static inline int touch_buffer(int fd, const struct memalloc_alloc *buffer)
{
	char *map = map_at(fd, buffer->mmap_offset, buffer->real_length, PROT_READ | PROT_WRITE);
	__u64 at;

	if (map == MAP_FAILED)
		return -errno;
	for (at = 0; at < buffer->real_length; at += PAGE)
		__atomic_load_n(map + at, __ATOMIC_RELAXED);
	return munmap(map, buffer->real_length);
}

/* Give back a buffer that could be written to: it has to be zeroed before it is used again. */
static inline int make_dirty(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	int err = alloc_buffer(fd, length, &buffer);

	return err ?: touch_buffer(fd, &buffer) ?: free_buffer(fd, buffer.handle);
}

#endif /* DEVICE_H */
