// SPDX-License-Identifier: MIT
/*
 * The backend that is memory of the process: a region in a memfd, with the same heap as
 * in the module. It answers the calls that the library makes as the device does.
 *
 * A buffer is kept by its handles, by the mappings that the library made, and by its
 * dma-buf. That is one for all exports, as /dev/udmabuf makes it, and each of them a
 * duplicate of its descriptor. Nothing tells when the last one is closed: it is looked
 * for when somebody wants to know, or is out of memory.
 *
 * One lock guards everything. It is held across fork(), so that a child finds what it
 * inherits in order. But the memory stays the parent's: a child can only let go of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addresses.h"
#include "core.h"
#include "process.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U
#endif

#define UDMABUF		"/dev/udmabuf"

/* The memory of one memalloc_open(). */
struct region {
	int fd;			/* the memfd */
	unsigned int users;	/* the struct memalloc, and mappings */
	unsigned int process;	/* of which it is; see forks */
	u32 granule;
	bool exports;		/* there is a /dev/udmabuf that may be opened */
	void *tags;
	struct mal_heap heap;
	void *handles;		/* a tree, by id */
	u32 last_handle;
	struct buffer *exported;	/* those that have a dma-buf */
	struct memalloc_stats stats;	/* those that are counted */
};

/* A used block. */
struct buffer {
	struct region *region;
	u64 length;
	u32 first;		/* granule */
	unsigned int users;	/* handles and mappings */
	u32 handle[2];		/* 0: none; the second may write */
	int dmabuf;		/* -1: none */
	dev_t dmabuf_device;
	ino_t dmabuf_inode;
	struct buffer *next_exported;
};

struct handle {
	u32 id;			/* first: what the tree compares */
	bool writable;
	struct buffer *buffer;
};

struct mapping {
	uintptr_t address;	/* first: what the tree compares */
	u64 length;
	struct buffer *buffer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int fork_err;
static unsigned int forks;	/* that led to this process */
static void *mappings;		/* a tree, by address */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	forks++;
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	fork_err = -pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static int compare_ids(const void *a, const void *b)
{
	const u32 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int compare_addresses(const void *a, const void *b)
{
	const uintptr_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* What follows is called with the lock held, if not said otherwise. */

static u32 granules_of(const struct buffer *buffer)
{
	return mal_block_size(&buffer->region->heap, buffer->first);
}

static u64 real_length(const struct buffer *buffer)
{
	return (u64)granules_of(buffer) * buffer->region->granule;
}

static u64 offset_of(const struct buffer *buffer)
{
	return (u64)buffer->first * buffer->region->granule;
}

static void put_region(struct region *region)
{
	if (--region->users)
		return;
	close(region->fd);
	munmap(region->tags, mal_heap_bytes(region->heap.granules));
	free(region);
}

/* Does anybody but us have the dma-buf? Where nothing tells, it has to be taken for granted. */
static bool others_have(int dmabuf)
{
	char path[40], line[80];
	long count = 2;
	FILE *file;

	/* Not "self", which is the first thread, and that may have ended. */
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", dmabuf);
	file = fopen(path, "re");
	if (!file)
		return true;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "count: %ld", &count) == 1)
			break;
	fclose(file);
	return count > 1;
}

static void drop_dmabuf(struct buffer *buffer)
{
	struct buffer **link = &buffer->region->exported;

	while (*link != buffer)
		link = &(*link)->next_exported;
	*link = buffer->next_exported;
	close(buffer->dmabuf);
	buffer->dmabuf = -1;
}

/* Give the memory back, which then reads as zeros again. */
static void release(struct buffer *buffer)
{
	struct region *region = buffer->region;
	const u64 bytes = real_length(buffer);
	int err = 0;

	if (region->process == forks)
		err = fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				offset_of(buffer), bytes);
	region->stats.requested -= buffer->length;
	region->stats.frees++;
	if (err) {
		/* There is something in it still: nobody gets it any more. */
		region->heap.tags[buffer->first].owner = 0;
		region->stats.retired += bytes;
	} else {
		mal_heap_free(&region->heap, buffer->first, 0);
		region->stats.freed += bytes;
	}
	free(buffer);
}

/* Release it, if nobody has it any more. */
static void check_users(struct buffer *buffer)
{
	if (buffer->users)
		return;
	if (buffer->dmabuf >= 0) {
		if (others_have(buffer->dmabuf))
			return;
		drop_dmabuf(buffer);
	}
	release(buffer);
}

/* Find out which exports have been closed. */
static void check_exports(struct region *region)
{
	struct buffer *buffer, *next;

	for (buffer = region->exported; buffer; buffer = next) {
		next = buffer->next_exported;
		check_users(buffer);
	}
}

static void put_buffer(struct buffer *buffer)
{
	buffer->users--;
	check_users(buffer);
}

static struct handle *find_handle(struct region *region, u32 id)
{
	struct handle *const *found = tfind(&id, &region->handles, compare_ids);

	return found ? *found : NULL;
}

/* A new handle for @buffer, or NULL: no memory. */
static struct handle *add_handle(struct buffer *buffer, bool writable)
{
	struct region *region = buffer->region;
	struct handle *handle = malloc(sizeof(*handle));

	if (!handle)
		return NULL;
	do {
		handle->id = ++region->last_handle;
	} while (!handle->id || find_handle(region, handle->id));
	handle->writable = writable;
	handle->buffer = buffer;
	if (!tsearch(handle, &region->handles, compare_ids)) {
		free(handle);
		return NULL;
	}
	buffer->handle[writable] = handle->id;
	buffer->users++;
	return handle;
}

static void remove_handle(struct handle *handle)
{
	struct buffer *buffer = handle->buffer;

	tdelete(handle, &buffer->region->handles, compare_ids);
	buffer->handle[handle->writable] = 0;
	free(handle);
	put_buffer(buffer);
}

static u32 access_bits(bool writable)
{
	return MEMALLOC_ACCESS_READ | (writable ? MEMALLOC_ACCESS_WRITE : 0);
}

/* Write an answer of which the caller knows @size bytes, and the first version had @least. */
static int respond(void *to, u32 size, size_t least, const void *answer, size_t known)
{
	if (size < least)
		return -EINVAL;
	if (size > (u32)getpagesize())
		return -E2BIG;
	memcpy(to, answer, size < known ? size : known);
	return 0;
}

static u64 max_alignment(const struct region *region)
{
	return (u64)region->granule << mal_high_bit(region->heap.granules);
}

static int info(struct region *region, void *argument)
{
	struct memalloc_info *info = argument;
	const struct memalloc_info answer = {
		.size = info->size,
		.features = region->exports ? MEMALLOC_FEATURE_DMABUF : 0,
		.region_length = (u64)region->heap.granules * region->granule,
		.granule = region->granule,
		.node = -1,
		.max_alignment = max_alignment(region),
		.name = MEMALLOC_PROCESS,
		.fit = "good",
		.client = 1,
	};

	return respond(info, info->size, offsetof(struct memalloc_info, client), &answer,
		       sizeof(answer));
}

static int stats(struct region *region, void *argument)
{
	struct memalloc_stats *stats = argument;
	const struct mal_heap *heap = &region->heap;
	struct memalloc_stats answer;

	check_exports(region);
	answer = region->stats;
	answer.size = stats->size;
	answer.region_length = (u64)heap->granules * region->granule;
	answer.free = (u64)heap->free * region->granule;
	answer.largest_free = (u64)mal_heap_largest(heap) * region->granule;
	answer.free_blocks = heap->free_blocks;
	answer.used = answer.region_length - answer.free;
	answer.buffers = answer.allocs - answer.frees;
	answer.clients = 1;
	if (answer.free)
		answer.fragmentation = 1000 * (answer.free - answer.largest_free) / answer.free;
	return respond(stats, stats->size, offsetof(struct memalloc_stats, dirty), &answer,
		       sizeof(answer));
}

static int make_buffer(struct region *region, struct memalloc_alloc *alloc)
{
	const u64 align = alloc->alignment ? alloc->alignment : region->granule;
	const u64 more = (alloc->length - 1) / region->granule;	/* than one granule */
	struct mal_request req = { .size = more + 1, .align = 1 };
	struct buffer *buffer;
	struct handle *handle;

	if (!alloc->length || align & (align - 1) || align > max_alignment(region))
		return -EINVAL;
	if (more >= region->heap.granules)
		return -EFBIG;
	if (align > region->granule)
		req.align = align / region->granule;

	buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return -ENOMEM;
	buffer->region = region;
	buffer->length = alloc->length;
	buffer->dmabuf = -1;
	buffer->first = core_alloc(&region->heap, &req, (uintptr_t)buffer);
	if (buffer->first == MAL_NONE) {
		check_exports(region);
		buffer->first = core_alloc(&region->heap, &req, (uintptr_t)buffer);
	}
	if (buffer->first == MAL_NONE)
		goto free_buffer;
	handle = add_handle(buffer, true);
	if (!handle)
		goto free_block;

	region->stats.requested += buffer->length;
	region->stats.allocs++;
	region->stats.allocated += real_length(buffer);
	alloc->handle = handle->id;
	alloc->real_length = real_length(buffer);
	alloc->mmap_offset = offset_of(buffer);
	return 0;

free_block:
	mal_heap_free(&region->heap, buffer->first, 0);
free_buffer:
	free(buffer);
	return -ENOMEM;
}

static int alloc(struct region *region, void *argument)
{
	int err = make_buffer(region, argument);

	if (err == -ENOMEM || err == -EFBIG)
		region->stats.failures++;
	return err;
}

static int give_up(struct region *region, void *argument)
{
	const struct memalloc_free *free = argument;
	struct handle *handle = find_handle(region, free->handle);

	if (!handle)
		return -ENOENT;
	if (free->length && free->length != handle->buffer->length)
		return -ERANGE;
	remove_handle(handle);
	return 0;
}

static int query(struct region *region, void *argument)
{
	struct memalloc_query *query = argument;
	const struct handle *handle = find_handle(region, query->handle);

	if (!handle)
		return -ENOENT;
	query->access = access_bits(handle->writable);
	query->length = handle->buffer->length;
	query->real_length = real_length(handle->buffer);
	query->mmap_offset = offset_of(handle->buffer);
	return 0;
}

static struct buffer *buffer_at(const struct region *region, u32 granule)
{
	u32 head = mal_heap_block_of(&region->heap, granule);

	if (!mal_block_used(&region->heap, head))
		return NULL;
	return (void *)(uintptr_t)mal_block_owner(&region->heap, head);
}

static int layout(struct region *region, void *argument)
{
	struct memalloc_layout *layout = argument;
	struct memalloc_block *blocks = (void *)(uintptr_t)layout->blocks;
	const struct mal_heap *heap = &region->heap;
	const struct buffer *buffer;
	u32 head, count = 0;

	check_exports(region);
	head = mal_heap_block_of(heap, layout->offset / region->granule);
	while (count < layout->count && head < heap->granules) {
		struct memalloc_block *block = &blocks[count++];

		*block = (struct memalloc_block) {
			.offset = (u64)head * region->granule,
			.length = (u64)mal_block_size(heap, head) * region->granule,
		};
		if (mal_block_used(heap, head)) {
			buffer = buffer_at(region, head);
			block->state = buffer ? MEMALLOC_BLOCK_USED : MEMALLOC_BLOCK_RETIRED;
			if (buffer)
				block->handle = buffer->handle[buffer->handle[true] != 0];
		}
		head += mal_block_size(heap, head);
	}
	layout->count = count;
	layout->offset = (u64)head * region->granule;
	return 0;
}

/* What /dev/udmabuf can't do, for lack of it or of rights or because of its limits. */
static int make_dmabuf(struct buffer *buffer)
{
	const struct udmabuf_create create = {
		.memfd = buffer->region->fd,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.offset = offset_of(buffer),
		.size = real_length(buffer),
	};
	int device, err = 0;
	struct stat status;

	device = open(UDMABUF, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return errno == EMFILE || errno == ENFILE ? -errno : -EOPNOTSUPP;
	buffer->dmabuf = ioctl(device, UDMABUF_CREATE, &create);
	if (buffer->dmabuf < 0)
		err = errno == EINVAL ? -EOPNOTSUPP : -errno;
	close(device);
	if (err)
		return err;
	if (fstat(buffer->dmabuf, &status)) {
		err = -errno;
		close(buffer->dmabuf);
		buffer->dmabuf = -1;
		return err;
	}
	buffer->dmabuf_device = status.st_dev;
	buffer->dmabuf_inode = status.st_ino;
	buffer->next_exported = buffer->region->exported;
	buffer->region->exported = buffer;
	return 0;
}

static int export(struct region *region, void *argument)
{
	struct memalloc_export *export = argument;
	const struct handle *handle = find_handle(region, export->handle);
	struct buffer *buffer;
	int err;

	if (!handle)
		return -ENOENT;
	/* A dma-buf of udmabuf can be written by whoever has it. */
	if ((export->open_flags & O_ACCMODE) == O_RDONLY)
		return -EOPNOTSUPP;
	if (!handle->writable)
		return -EACCES;
	buffer = handle->buffer;
	if (buffer->dmabuf < 0) {
		err = make_dmabuf(buffer);
		if (err)
			return err;
	}
	export->fd = fcntl(buffer->dmabuf, F_DUPFD_CLOEXEC, 0);
	if (export->fd >= 0)
		return 0;
	return errno == EINVAL ? -EMFILE : -errno;	/* EINVAL: a limit of 0 descriptors */
}

static int import(struct region *region, void *argument)
{
	struct memalloc_import *import = argument;
	const bool writable = !(import->flags & MEMALLOC_IMPORT_READ_ONLY);
	struct buffer *buffer = region->exported;
	const int flags = fcntl(import->fd, F_GETFL);
	struct stat status;

	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	if (fstat(import->fd, &status))
		return -errno;
	while (buffer && (buffer->dmabuf_device != status.st_dev ||
			  buffer->dmabuf_inode != status.st_ino))
		buffer = buffer->next_exported;
	if (!buffer)
		return -EINVAL;
	if (!buffer->handle[writable] && !add_handle(buffer, writable))
		return -ENOMEM;

	import->handle = buffer->handle[writable];
	import->length = buffer->length;
	import->real_length = real_length(buffer);
	import->mmap_offset = offset_of(buffer);
	import->access = access_bits(writable);
	return 0;
}

static int process_call(struct memalloc *mem, unsigned long request, void *argument)
{
	static const struct call {
		unsigned long request;
		int (*run)(struct region *region, void *argument);
	} calls[] = {
		{ MEMALLOC_IOC_INFO, info },
		{ MEMALLOC_IOC_ALLOC, alloc },
		{ MEMALLOC_IOC_FREE, give_up },
		{ MEMALLOC_IOC_QUERY, query },
		{ MEMALLOC_IOC_STATS, stats },
		{ MEMALLOC_IOC_LAYOUT, layout },
		{ MEMALLOC_IOC_EXPORT, export },
		{ MEMALLOC_IOC_IMPORT, import },
		{ 0, NULL }
	};
	const struct call *call = calls;
	int err = -ENOTTY;

	while (call->run && call->request != request)
		call++;
	pthread_mutex_lock(&lock);
	if (mem->region->process != forks)
		err = -EBADF;
	else if (call->run)
		err = call->run(mem->region, argument);
	pthread_mutex_unlock(&lock);
	return err;
}

/* The buffer that may be mapped as @buffer says, with one user more. */
static int get_mappable(struct region *region, const struct memalloc_buffer *buffer,
			int protection, struct buffer **found)
{
	const u64 granule = buffer->mmap_offset / region->granule;
	u64 rest;

	if (region->process != forks)
		return -EBADF;
	/* As mmap() does before it asks a device. */
	if (!buffer->real_length || buffer->mmap_offset % region->granule)
		return -EINVAL;
	*found = granule < region->heap.granules ? buffer_at(region, granule) : NULL;
	if (!*found || !((*found)->handle[false] || (*found)->handle[true]))
		return -ENOENT;
	rest = offset_of(*found) + real_length(*found) - buffer->mmap_offset;
	if (buffer->real_length > rest)
		return -EINVAL;
	if (protection & PROT_WRITE && !(*found)->handle[true])
		return -EACCES;
	(*found)->users++;
	region->users++;
	return 0;
}

/* With nobody's lock held. */
static void put_mappable(struct buffer *buffer)
{
	struct region *region = buffer->region;

	pthread_mutex_lock(&lock);
	put_buffer(buffer);
	put_region(region);
	pthread_mutex_unlock(&lock);
}

/* Remember a mapping. What was at its address, somebody unmapped without telling us. */
static int add_mapping(struct mapping *mapping)
{
	struct mapping **found, *stale = NULL;

	pthread_mutex_lock(&lock);
	found = tsearch(mapping, &mappings, compare_addresses);
	if (found && *found != mapping) {
		stale = *found;
		*found = mapping;
	}
	pthread_mutex_unlock(&lock);
	if (stale)
		memalloc_mapping_drop(stale);
	return found ? 0 : -ENOMEM;
}

static int process_map(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		       void *place, void **address)
{
	struct mapping *mapping = malloc(sizeof(*mapping));
	void *mapped;
	int err;

	if (!mapping)
		return -ENOMEM;
	pthread_mutex_lock(&lock);
	err = get_mappable(mem->region, buffer, protection, &mapping->buffer);
	pthread_mutex_unlock(&lock);
	if (err)
		goto free_mapping;

	err = memalloc_map_file(mem, buffer, protection, place, &mapped);
	if (err)
		goto put_buffer;
	mapping->address = (uintptr_t)mapped;
	mapping->length = buffer->real_length;
	err = add_mapping(mapping);
	if (err)
		goto unmap;
	*address = mapped;
	return 0;

unmap:
	if (place)
		addresses_clear(place, buffer->real_length);
	else
		munmap(mapped, buffer->real_length);
put_buffer:
	put_mappable(mapping->buffer);
free_mapping:
	free(mapping);
	return err;
}

struct mapping *memalloc_mapping_take(void *address, uint64_t length, int *err)
{
	const uintptr_t key = (uintptr_t)address;
	struct mapping *const *found;
	struct mapping *mapping = NULL;

	*err = 0;
	pthread_mutex_lock(&lock);
	found = tfind(&key, &mappings, compare_addresses);
	if (found && (*found)->length != length) {
		*err = -EINVAL;
	} else if (found) {
		mapping = *found;
		tdelete(mapping, &mappings, compare_addresses);
	}
	pthread_mutex_unlock(&lock);
	return mapping;
}

void memalloc_mapping_drop(struct mapping *mapping)
{
	put_mappable(mapping->buffer);
	free(mapping);
}

void memalloc_mapping_put_back(struct mapping *mapping)
{
	/* Where there is no memory to remember it, the buffer is kept for good. */
	add_mapping(mapping);
}

static void process_close(struct memalloc *mem)
{
	struct region *region = mem->region;

	pthread_mutex_lock(&lock);
	while (region->handles)
		remove_handle(*(struct handle **)region->handles);
	/* From here on nobody can import them: the dma-bufs have their memory on their own. */
	while (region->exported) {
		struct buffer *buffer = region->exported;

		drop_dmabuf(buffer);
		check_users(buffer);
	}
	put_region(region);
	pthread_mutex_unlock(&lock);
	free(mem);
}

static const struct memalloc_operations operations = {
	.backend = MEMALLOC_BACKEND_PROCESS,
	.call = process_call,
	.map = process_map,
	.close = process_close,
};

/* A memfd of @length bytes that stays that long, which udmabuf wants. */
static int make_memfd(uint64_t length)
{
	struct rlimit limit;
	int fd, err;

	/* Asked for more, the kernel would not only say so but send SIGXFSZ. */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && length > limit.rlim_cur)
		return -EFBIG;
	fd = memfd_create("memalloc", MFD_CLOEXEC | MFD_NOEXEC_SEAL | MFD_ALLOW_SEALING);
	if (fd < 0 && errno == EINVAL)	/* an older kernel */
		fd = memfd_create("memalloc", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, length) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static bool can_export(void)
{
	int fd = open(UDMABUF, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int memalloc_process_open(uint64_t length, struct memalloc *mem)
{
	const u32 granule = getpagesize();
	const u64 granules = length / granule;
	struct region *region;
	int err;

	if (!granules || length % granule || granules > MAL_HEAP_MAX)
		return -EINVAL;
	pthread_once(&once, watch_forks);
	if (fork_err)
		return fork_err;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->fd = make_memfd(length);
	if (region->fd < 0) {
		err = region->fd;
		goto free_region;
	}
	region->tags = mmap(NULL, mal_heap_bytes(granules), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region->tags == MAP_FAILED) {
		err = -errno;
		goto close_fd;
	}
	mal_heap_init(&region->heap, region->tags, granules, mal_fits[0]);
	region->users = 1;
	region->process = forks;
	region->granule = granule;
	region->exports = can_export();
	mem->operations = &operations;
	mem->fd = region->fd;
	mem->region = region;
	return 0;

close_fd:
	close(region->fd);
free_region:
	free(region);
	return err;
}
