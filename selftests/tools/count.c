// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: how many instructions it takes to get a buffer and to give it back, for
 * bench-calls/run.sh.
 */
#include "count.h"

#include <linux/dma-heap.h>

#define WARM_UP		2000
#define ROUNDS		2001

/* What the kernel takes for two calls of a device, whatever they do. */
static int two_empty_calls(int fd, __u64 length)
{
	const unsigned int unknown = _IO(MEMALLOC_IOC_TYPE, 0xff);

	(void)length;
	return call(fd, unknown, NULL) != -ENOTTY || call(fd, unknown, NULL) != -ENOTTY;
}

static int alloc_and_free(int fd, __u64 length)
{
	struct memalloc_alloc buffer;

	return alloc_buffer(fd, length, &buffer) || free_buffer(fd, buffer.handle);
}

static int alloc_touch_and_free(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	__u64 at;
	char *map;

	if (alloc_buffer(fd, length, &buffer))
		return -1;
	map = map_buffer(fd, &buffer);
	if (map == MAP_FAILED)
		return -1;
	for (at = 0; at < length; at += PAGE)
		__atomic_store_n(map + at, 1, __ATOMIC_RELAXED);
	return munmap(map, length) || free_buffer(fd, buffer.handle);
}

static int heap_alloc_and_close(int fd, __u64 length)
{
	struct dma_heap_allocation_data data = { .len = length, .fd_flags = O_RDWR | O_CLOEXEC };

	return ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data) || close(data.fd);
}

/* Print what @round takes, the median of many; false: it fails. */
static bool count(const char *what, int (*round)(int fd, __u64 length), int fd, __u64 length)
{
	static __u64 taken[ROUNDS];
	int i;

	for (i = -WARM_UP; i < ROUNDS; i++) {
		__u64 begin = clock_now();

		if (round(fd, length)) {
			perror(what);
			return false;
		}
		if (i >= 0)
			taken[i] = clock_now() - begin;
	}
	sort_counts(taken, ROUNDS);
	printf("%-42s %8llu KiB %9llu instructions (%llu to %llu)\n", what, length / KIB,
	       taken[ROUNDS / 2], taken[0], taken[ROUNDS - 1]);
	return true;
}

int main(void)
{
	const char *system_heap = "/dev/dma_heap/system";
	int fd = open_device(), heap = open(system_heap, O_RDWR | O_CLOEXEC);
	bool ok;

	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", DEVICE, strerror(-fd));
		return 1;
	}
	if (!clock_counts_instructions()) {
		fputs("the clock does not count instructions; this needs QEMU's -icount shift=0\n",
		      stderr);
		return 1;
	}
	ok = count("memalloc: two calls that do nothing", two_empty_calls, fd, 0) &&
	     count("memalloc: ALLOC + FREE, clean", alloc_and_free, fd, 4 * KIB) &&
	     count("memalloc: ALLOC + FREE, clean", alloc_and_free, fd, MIB) &&
	     count("memalloc: ALLOC, mmap, touch, munmap, FREE", alloc_touch_and_free, fd, MIB);
	if (heap < 0)
		printf("no %s on this kernel to compare with\n", system_heap);
	else
		ok = ok &&
		     count("system heap: ALLOC + close", heap_alloc_and_close, heap, 4 * KIB) &&
		     count("system heap: ALLOC + close", heap_alloc_and_close, heap, MIB);
	return !ok;
}
