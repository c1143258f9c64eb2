// SPDX-License-Identifier: MIT
/*
 * Memory of the process when the system has none: each call that may fail fails once, in
 * one run after the other. What was being done must say so and leave nothing behind: no
 * descriptor, no mapping, no memory (the sanitizer looks for that in the end). The linker
 * leads the calls here, see the Makefile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "space.h"
#include "tap.h"
#include "wrapped.h"

static unsigned int countdown;	/* the call to fail, from now on; 0: none */

static bool fails(void)
{
	if (!countdown || --countdown)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_tsearch(const void *key, void **root, comparison_fn_t compare)
{
	return fails() ? NULL : __real_tsearch(key, root, compare);
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
	return fails() ? -1 : __real_memfd_create(name, flags);
}

void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd,
		    off64_t offset)
{
	if (!fails())
		return __real_mmap64(address, length, protection, flags, fd, offset);
	/* The kernel takes away what was there before it knows whether it can do that. */
	if (flags & MAP_FIXED && fd >= 0)
		munmap(address, length);
	errno = ENOMEM;
	return MAP_FAILED;
}

void *__wrap_mremap(void *old, size_t old_length, size_t length, int flags, void *address)
{
	return fails() ? MAP_FAILED : __real_mremap(old, old_length, length, flags, address);
}

int __wrap_ftruncate64(int fd, off64_t length)
{
	return fails() ? -1 : __real_ftruncate64(fd, length);
}

int __wrap_fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	return fails() ? -1 : __real_fallocate64(fd, mode, offset, length);
}

/* Everything once; the first error. */
static int use_buffer(struct memalloc *mem)
{
	struct memalloc_buffer buffer;
	void *address;
	int err, unmap_err;

	err = memalloc_buffer_alloc(mem, 100, 0, &buffer);
	if (err)
		return err;
	err = memalloc_buffer_map(mem, &buffer, 0, &address);
	if (!err) {
		memset(address, 'x', 100);
		unmap_err = memalloc_buffer_unmap(&buffer, address);
		need(unmap_err, "unmap");
	}
	need(memalloc_buffer_free(mem, &buffer), "free");
	return err;
}

static int use_heap(struct memalloc *mem, uint64_t chunk)
{
	struct memalloc_heap_config config = {
		.size = sizeof(config), .length = 1 << 20, .chunk = chunk,
	};
	struct memalloc_heap *heap;
	void *small = NULL, *large = NULL;
	int err;

	err = memalloc_heap_create(mem, &config, &heap);
	if (err)
		return err;
	err = memalloc_heap_alloc(heap, 1000, &small);
	if (!err)
		err = memalloc_heap_alloc(heap, 300 << 10, &large);
	if (large) {
		memset(large, 'x', 300 << 10);
		err = memalloc_heap_realloc(heap, large, 600 << 10, &large);
		if (((char *)large)[(300 << 10) - 1] != 'x')
			err = -EILSEQ;
	}
	need(memalloc_heap_free(heap, small), "heap_free");
	need(memalloc_heap_free(heap, large), "heap_free");
	if (memalloc_heap_destroy(heap, NULL, NULL))
		err = -EILSEQ;
	return err;
}

static int use_pool(struct memalloc *mem)
{
	struct memalloc_pool *pool;
	int err = memalloc_pool_create(mem, 100, 8192, 10, &pool);

	if (!err && memalloc_pool_destroy(pool))
		err = -EILSEQ;
	return err;
}

/* What is not zeroed is out of use, and counted: that alone is no error. */
static int run(void)
{
	struct memalloc_stats stats;
	struct memalloc *mem;
	int err = memalloc_open("process:4M", &mem);

	if (err)
		return err;
	err = use_buffer(mem);
	if (!err)
		err = use_heap(mem, 64 << 10);
	if (!err)
		err = use_heap(mem, 0);
	if (!err)
		err = use_pool(mem);
	need(memalloc_get_stats(mem, &stats, sizeof(stats)), "get_stats");
	if (stats.used != stats.retired || stats.buffers)
		err = -EILSEQ;
	memalloc_close(mem);
	return err;
}

/* How many descriptors are open below some number, and mappings of the file in memory. */
static int leftovers(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int fd, count = 0;

	need(maps ? 0 : -errno, "/proc/self/maps");
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:") || strstr(line, "---p 00000000 00:00 0");
	fclose(maps);
	for (fd = 0; fd < 100; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool is_taken(void *place, size_t length)
{
	void *mapped = __real_mmap64(place, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
				     MAP_FIXED_NOREPLACE, -1, 0);

	return mapped == MAP_FAILED && errno == EEXIST;
}

/* Nobody else may get the place of a mapping that failed: it is tried there again. */
static void test_space(void)
{
	struct memalloc_buffer buffer;
	unsigned int n, lost = 0;
	struct memalloc *mem;
	int err = -ENOMEM;
	void *place;

	need(memalloc_open("process:4M", &mem), "open");
	need(memalloc_buffer_alloc(mem, 1 << 20, 0, &buffer), "alloc");
	need(memalloc_space_reserve(1 << 20, getpagesize(), &place), "reserve");
	for (n = 1; err && n < 100; n++) {
		countdown = n;
		errno = UNTOUCHED;
		err = memalloc_space_map(mem, &buffer, 0, place);
		countdown = 0;
		lost += errno != UNTOUCHED || !is_taken(place, 1 << 20);
	}
	ok(!err && n > 4, "space: mapped, after each call has failed once");
	is(lost, 0, "space: no failure loses the place");
	need(memalloc_buffer_unmap(&buffer, place), "unmap");
	memalloc_close(mem);
}

int main(void)
{
	unsigned int n, wrong_errors = 0, left = 0, without = 0;
	bool done = false;
	int before, err;

	is(run(), 0, "all goes well when nothing fails");
	before = leftovers();
	for (n = 1; !done && n < 10000; n++) {
		countdown = n;
		err = run();
		done = countdown;
		countdown = 0;
		if (!err && !done)
			without++;
		if (err && err != -ENOMEM) {
			printf("# failure %u: %s\n", n, strerror(-err));
			wrong_errors++;
		}
		if (leftovers() != before) {
			printf("# failure %u leaves something behind\n", n);
			left++;
		}
	}
	printf("# %u failures, %u of them without an error\n", n - 2, without);
	ok(done && n > 50, "each call has failed once");
	is(wrong_errors, 0, "each failure is ENOMEM, or does no harm");
	is(left, 0, "no failure leaves anything behind");
	is(run(), 0, "all goes well after that");
	test_space();
	return tap_done();
}
