// SPDX-License-Identifier: MIT
/*
 * Usage: calls [PATH]
 *
 * Every call of the library on what memalloc_open() opens: what it gives, and every
 * error that its documentation promises and a program can provoke. What the kernel
 * itself promises is tested by selftests/, without this library. Exports are in share.c
 * and process.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "calls.h"

static void test_info(void)
{
	struct {
		struct memalloc_info known;
		unsigned char unknown[64];
	} longer;
	struct memalloc_info again;

	is(memalloc_get_info(mem, &again, sizeof(again)), 0, "get_info");
	ok(again.region_length && again.granule && again.region_length % again.granule == 0,
	   "get_info: the region is a number of granules");
	ok(memchr(again.name, 0, sizeof(again.name)) && memchr(again.fit, 0, sizeof(again.fit)),
	   "get_info: names end in a zero");
	if (memalloc_backend(mem) == MEMALLOC_BACKEND_DEVICE)
		ok(again.features & MEMALLOC_FEATURE_DMABUF, "get_info: dma-bufs are supported");
	else
		is(!(again.features & MEMALLOC_FEATURE_DMABUF),
		   access("/dev/udmabuf", R_OK | W_OK) != 0,
		   "get_info: dma-bufs are supported where udmabuf is");

	ok(again.client, "get_info: the open file has a number");
	is(memalloc_get_info(mem, &again, offsetof(struct memalloc_info, client)), 0,
	   "get_info: the first version's struct");
	memset(&longer, 0xaa, sizeof(longer));
	is(memalloc_get_info(mem, &longer.known, sizeof(longer)), 0, "get_info: a longer struct");
	ok(longer.known.region_length == again.region_length &&
	   all_bytes(longer.unknown, sizeof(longer.unknown), 0),
	   "get_info: what the kernel does not know is zero");
	is(memalloc_get_info(mem, &again, 16), -EINVAL,
	   "get_info: EINVAL, shorter than the first version");
}

static void test_info_of_many_pages(void)
{
	const size_t size = 1 << 20;
	void *huge = malloc(size);

	need(huge ? 0 : -ENOMEM, "malloc");
	is(memalloc_get_info(mem, huge, size), -E2BIG, "get_info: E2BIG, more than a page");
	is(memalloc_get_stats(mem, huge, size), -E2BIG, "get_stats: E2BIG, more than a page");
	free(huge);
}

static void test_stats(void)
{
	struct memalloc_stats before, after;
	struct memalloc_buffer buffer;

	is(memalloc_get_stats(mem, &before, sizeof(before)), 0, "get_stats");
	is(before.free + before.used, info.region_length,
	   "get_stats: free and used make the region");
	buffer = make(info.granule + 1);
	need(memalloc_get_stats(mem, &after, sizeof(after)), "get_stats");
	is(after.used - before.used, 2 * info.granule, "get_stats: used grows by whole granules");
	is(after.requested - before.requested, info.granule + 1,
	   "get_stats: requested grows by the length");
	is(after.buffers - before.buffers, 1, "get_stats: one buffer more");
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_get_stats(mem, &after, 16), -EINVAL,
	   "get_stats: EINVAL, shorter than the first version");
}

static void test_alloc(void)
{
	struct memalloc_buffer first = { .handle = 0 }, second;
	unsigned char *bytes;

	is(memalloc_buffer_alloc(mem, 3 * info.granule - 1, 0, &first), 0, "alloc");
	ok(first.handle, "alloc: the handle is not 0");
	is(first.length, 3 * info.granule - 1, "alloc: length is what was asked for");
	is(first.real_length, 3 * info.granule, "alloc: real_length is whole granules");
	is(first.access, READ_WRITE, "alloc: the handle may read and write");

	bytes = map(mem, &first);
	ok(all_bytes(bytes, first.real_length, 0), "alloc: a new buffer is zero");
	memset(bytes, 0x5a, first.real_length);
	need(memalloc_buffer_unmap(&first, bytes), "unmap");
	need(memalloc_buffer_free(mem, &first), "free");
	second = make(3 * info.granule);
	bytes = map(mem, &second);
	ok(all_bytes(bytes, second.real_length, 0), "alloc: a buffer after a written one is zero");
	need(memalloc_buffer_unmap(&second, bytes), "unmap");
	need(memalloc_buffer_free(mem, &second), "free");
}

/* What it is mapped by is not to be seen, but by what the kernel can not do. */
static void test_alloc_huge(void)
{
	const uint64_t length = 2 * info.huge_mapping + info.granule;
	struct memalloc_buffer buffer = { .handle = 0 };
	unsigned char *bytes;

	if (!info.huge_mapping) {
		is(memalloc_buffer_alloc_huge(mem, 1, &buffer), -EOPNOTSUPP,
		   "alloc_huge: EOPNOTSUPP, there is no huge_mapping");
		return;
	}
	is(memalloc_buffer_alloc_huge(mem, 0, &buffer), -EINVAL, "alloc_huge: EINVAL, length 0");
	is(memalloc_buffer_alloc_huge(mem, length, &buffer), 0, "alloc_huge");
	is(buffer.real_length, length, "alloc_huge: real_length is what was asked for");
	bytes = map(mem, &buffer);
	is((uintptr_t)bytes % info.huge_mapping, 0, "alloc_huge: huge entries have room");
	ok(all_bytes(bytes, length, 0), "alloc_huge: a new buffer is zero");
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
}

static void test_alloc_errors(void)
{
	const struct memalloc_buffer untouched = { .length = 1, .handle = 7 };
	struct memalloc_buffer buffer = untouched, one = make(1);
	struct memalloc_stats before, after;

	need(memalloc_get_stats(mem, &before, sizeof(before)), "get_stats");
	errno = UNTOUCHED;
	is(memalloc_buffer_alloc(mem, 0, 0, &buffer), -EINVAL, "alloc: EINVAL, length 0");
	is(memalloc_buffer_alloc(mem, 1, 3, &buffer), -EINVAL,
	   "alloc: EINVAL, alignment no power of two");
	is(memalloc_buffer_alloc(mem, 1, 2 * info.max_alignment, &buffer), -EINVAL,
	   "alloc: EINVAL, alignment above the maximum");
	is(memalloc_buffer_alloc(mem, info.region_length + 1, 0, &buffer), -EFBIG,
	   "alloc: EFBIG, more than the region");
	is(memalloc_buffer_alloc(mem, UINT64_MAX, 0, &buffer), -EFBIG,
	   "alloc: EFBIG, as much as can be said");
	is(memalloc_buffer_alloc(mem, info.region_length, 0, &buffer), -ENOMEM,
	   "alloc: ENOMEM, the whole region while a buffer is in use");
	ok(!memcmp(&buffer, &untouched, sizeof(buffer)),
	   "alloc: a failure leaves the buffer alone");
	is(errno, UNTOUCHED, "alloc: a failure leaves errno alone");
	need(memalloc_get_stats(mem, &after, sizeof(after)), "get_stats");
	is(after.failures - before.failures, 3, "get_stats: counts ENOMEM and EFBIG");
	need(memalloc_buffer_free(mem, &one), "free");
}

struct search {
	uint32_t handle;
	uint64_t offset;
};

static int find_handle(const struct memalloc_block *block, void *data)
{
	struct search *search = data;

	if (block->handle != search->handle)
		return 0;
	search->offset = block->offset;
	return 1;
}

/* The region's start is a multiple of the largest alignment, so offsets show it. */
static void test_alignment(void)
{
	const uint64_t alignment = info.max_alignment < MIB ? info.max_alignment : MIB;
	struct memalloc_buffer odd = make(1), aligned;
	struct search search = { .offset = 1 };

	is(memalloc_buffer_alloc(mem, 1, alignment, &aligned), 0, "alloc: with an alignment");
	search.handle = aligned.handle;
	is(memalloc_visit_blocks(mem, find_handle, &search), 1,
	   "visit_blocks: what the visitor returns ends the walk");
	is(search.offset % alignment, 0, "alloc: the buffer is aligned");
	need(memalloc_buffer_free(mem, &aligned), "free");
	need(memalloc_buffer_free(mem, &odd), "free");
}

static void test_free(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(info.granule), copy = buffer;
	struct memalloc *other = open_another();

	is(memalloc_buffer_free(other, &copy), -ENOENT, "free: ENOENT, another device's handle");
	copy.length++;
	is(memalloc_buffer_free(mem, &copy), -ERANGE, "free: ERANGE, another length");
	is(copy.handle, buffer.handle, "free: a failure leaves the buffer alone");
	copy = buffer;
	is(memalloc_buffer_free(mem, &buffer), 0, "free");
	is(buffer.handle, 0, "free: the handle becomes 0");
	is(memalloc_buffer_free(mem, &buffer), -ENOENT, "free: ENOENT, freed before");
	is(memalloc_buffer_free(mem, &copy), -ENOENT, "free: ENOENT, a copy was freed before");
	ok(used_becomes(before), "free: the memory comes back");
	memalloc_close(other);
}

static void test_query(void)
{
	struct memalloc_buffer buffer = make(5), answer = { .handle = 0 };
	struct memalloc *other = open_another();
	const uint32_t handle = buffer.handle;

	is(memalloc_buffer_query(mem, handle, &answer), 0, "query");
	ok(!memcmp(&answer, &buffer, sizeof(buffer)), "query: the same as from alloc");
	is(memalloc_buffer_query(other, handle, &answer), -ENOENT,
	   "query: ENOENT, another device's handle");
	is(memalloc_buffer_query(mem, 0, &answer), -ENOENT, "query: ENOENT, handle 0");
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_query(mem, handle, &answer), -ENOENT, "query: ENOENT, freed");
	memalloc_close(other);
}

/* A program may make up a struct memalloc_buffer. */
static void test_map_of_a_part(void)
{
	struct memalloc_buffer buffer = make(2 * info.granule), part = buffer;
	unsigned char *bytes = map(mem, &buffer), *second;
	struct memalloc *other = open_another();
	void *none;

	bytes[info.granule] = 'x';
	part.mmap_offset += info.granule;
	is(memalloc_buffer_map(mem, &part, 0, &none), -EINVAL, "map: EINVAL, past the end");
	part.real_length = info.granule;
	second = map(mem, &part);
	is(second[0], 'x', "map: a part of a buffer");
	need(memalloc_buffer_unmap(&part, second), "unmap");
	part.mmap_offset++;
	is(memalloc_buffer_map(mem, &part, 0, &none), -EINVAL, "map: EINVAL, a part of a granule");
	is(memalloc_buffer_map(other, &part, 0, &none), -EINVAL,
	   "map: EINVAL, that comes before ENOENT");
	part = buffer;
	part.real_length = 0;
	is(memalloc_buffer_map(other, &part, 0, &none), -EINVAL, "map: EINVAL, nothing");
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
	memalloc_close(other);
}

static void test_map(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(MIB), stale;
	struct memalloc *other = open_another();
	unsigned char *bytes, *twice;
	void *read_only;
	void *none = NULL;

	bytes = map(mem, &buffer);
	twice = map(mem, &buffer);
	ok(bytes != twice, "map: twice");
	bytes[MIB - 1] = 'x';
	is(twice[MIB - 1], 'x', "map: both mappings show the same memory");
	is(memalloc_buffer_map(mem, &buffer, MEMALLOC_READ_ONLY, &read_only), 0, "map: read only");
	is(((unsigned char *)read_only)[MIB - 1], 'x', "map: read only shows the same memory");
	ok(can_write(bytes), "map: can be written");
	ok(!can_write(read_only), "map: read only can't be written");

	errno = UNTOUCHED;
	is(memalloc_buffer_map(mem, &buffer, UNKNOWN_FLAG, &none), -EINVAL,
	   "map: EINVAL, an unknown flag");
	is(memalloc_buffer_map(other, &buffer, 0, &none), -ENOENT,
	   "map: ENOENT, another device's handle");
	stale = buffer;
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_map(mem, &buffer, 0, &none), -ENOENT, "map: ENOENT, freed");
	is(memalloc_buffer_map(mem, &stale, 0, &none), -ENOENT, "map: ENOENT, a copy was freed");
	ok(!none, "map: a failure leaves the pointer alone");
	is(errno, UNTOUCHED, "map: a failure leaves errno alone");

	is(twice[MIB - 1], 'x', "map: a mapping outlives the handle");
	is(used(), before + MIB, "map: and keeps the memory");
	is(memalloc_buffer_unmap(&buffer, bytes + 1), -EINVAL,
	   "unmap: EINVAL, not a page's address");
	is(memalloc_buffer_unmap(&buffer, bytes), 0, "unmap");
	need(memalloc_buffer_unmap(&buffer, twice), "unmap");
	need(memalloc_buffer_unmap(&buffer, read_only), "unmap");
	ok(used_becomes(before),
	   "unmap: the memory of a freed buffer comes back with the last one");
	memalloc_close(other);
}

static void test_import_errors(void)
{
	const struct memalloc_buffer untouched = { .length = 1, .handle = 7 };
	struct memalloc_buffer buffer = untouched;
	int other_file = open("/dev/null", O_RDWR), no_file = open("/dev/null", O_PATH);

	errno = UNTOUCHED;
	is(memalloc_buffer_import(mem, -1, 0, &buffer), -EBADF, "import: EBADF, not open");
	is(memalloc_buffer_import(mem, no_file, 0, &buffer), -EBADF, "import: EBADF, O_PATH");
	is(memalloc_buffer_import(mem, other_file, 0, &buffer), -EINVAL,
	   "import: EINVAL, not a dma-buf");
	is(memalloc_buffer_import(mem, memalloc_fd(mem), 0, &buffer), -EINVAL,
	   "import: EINVAL, the device itself");
	is(memalloc_buffer_import(mem, other_file, UNKNOWN_FLAG, &buffer), -EINVAL,
	   "import: EINVAL, an unknown flag");
	ok(!memcmp(&buffer, &untouched, sizeof(buffer)),
	   "import: a failure leaves the buffer alone");
	is(errno, UNTOUCHED, "import: a failure leaves errno alone");
	close(other_file);
	close(no_file);
}

struct walk {
	uint64_t offset;	/* where the next block must begin */
	uint64_t used;
	unsigned int blocks;
	unsigned int mine;
	bool orderly;
};

static int check_block(const struct memalloc_block *block, void *data)
{
	struct walk *walk = data;
	struct memalloc_buffer buffer;

	walk->orderly &= block->offset == walk->offset && block->length;
	walk->offset += block->length;
	walk->blocks++;
	if (block->state != MEMALLOC_BLOCK_FREE)
		walk->used += block->length;
	if (!block->handle)
		return 0;
	/* A visitor may call the library. */
	walk->mine++;
	walk->orderly &= !memalloc_buffer_query(mem, block->handle, &buffer) &&
			 buffer.real_length == block->length;
	return 0;
}

/* More blocks than the library reads at once: it has to go on where it stopped. */
static void test_blocks(void)
{
	enum { MANY = 700 };
	static struct memalloc_buffer buffers[MANY];
	struct walk walk = { .orderly = true };
	const uint64_t before = used();
	int i;

	for (i = 0; i < MANY; i++)
		buffers[i] = make(info.granule);
	for (i = 0; i < MANY; i += 2)
		need(memalloc_buffer_free(mem, &buffers[i]), "free");

	is(memalloc_visit_blocks(mem, check_block, &walk), 0, "visit_blocks");
	ok(walk.blocks >= MANY,
	   "visit_blocks: visits more blocks than one call of the kernel tells");
	ok(walk.orderly, "visit_blocks: block after block, each as its handle says");
	is(walk.offset, info.region_length, "visit_blocks: up to the end of the region");
	is(walk.mine, MANY / 2, "visit_blocks: shows every buffer of this device");
	is(walk.used, used(), "visit_blocks: agrees with get_stats");

	for (i = 1; i < MANY; i += 2)
		need(memalloc_buffer_free(mem, &buffers[i]), "free");
	ok(used_becomes(before), "visit_blocks: holds nothing");
}

/* Each thread marks its buffers with its own byte and must find it again. */
static void *work(void *mark)
{
	const unsigned char byte = *(unsigned char *)mark;
	struct memalloc_buffer buffer;
	void *address;
	int i;

	for (i = 0; i < 100; i++) {
		if (memalloc_buffer_alloc(mem, (i % 7 + 1) * info.granule, 0, &buffer) ||
		    memalloc_buffer_map(mem, &buffer, 0, &address) ||
		    !all_bytes(address, buffer.real_length, 0))
			return NULL;
		memset(address, byte, buffer.real_length);
		sched_yield();
		if (!all_bytes(address, buffer.real_length, byte) ||
		    memalloc_buffer_free(mem, &buffer) ||
		    memalloc_buffer_unmap(&buffer, address))
			return NULL;
	}
	return mark;
}

static void test_threads(void)
{
	const uint64_t before = used();

	is(run_threads(work), THREADS, "threads: each finds its own bytes, on one open device");
	ok(used_becomes(before), "threads: everything comes back");
}

/* What opening @device gives a program that may not use it. Root runs the tests. */
static int open_as_nobody(const char *device)
{
	struct memalloc *own;
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	need(child < 0 ? -errno : 0, "fork");
	if (!child)
		_exit(setgid(65534) || setuid(65534) ? 1 : -memalloc_open(device, &own));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : status;
}

/* An error, not other memory. */
static void test_not_allowed(void)
{
	is(open_as_nobody(path), -EACCES, "open: EACCES, not allowed to use the device");
	if (!access(MEMALLOC_DEFAULT_DEVICE, F_OK))
		is(open_as_nobody(NULL), -EACCES,
		   "open: EACCES, not allowed to use the device that is the default");
}

int main(int argc, char **argv)
{
	open_device(argc, argv);
	ok(mem, "open");
	is(fcntl(memalloc_fd(mem), F_GETFD), FD_CLOEXEC, "open: closed on exec");
	if (memalloc_backend(mem) == MEMALLOC_BACKEND_DEVICE)
		test_not_allowed();
	test_info();
	test_info_of_many_pages();
	test_stats();
	test_alloc();
	test_alloc_huge();
	test_alloc_errors();
	test_alignment();
	test_free();
	test_query();
	test_map();
	test_map_of_a_part();
	test_import_errors();
	test_blocks();
	test_threads();
	memalloc_close(mem);
	return tap_done();
}
