// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: how many instructions it takes to get a buffer and to give it back, for
 * bench-calls/run.sh.
 *
 * With a file as argument, it measures more operations, in fewer rounds, tells QEMU's plugin when
 * each begins and ends (bench-calls/marks.h), and writes a line for each to the file: what it is,
 * the length of a buffer, the system calls of a round, of how many pairs or pages a round consists,
 * and the median. Tabs separate these.
 */
#include "bench-calls/mark.h"
#include "count.h"

#include <linux/dma-heap.h>
#include <memalloc_heap.h>

#define WARM_UP		2000
#define ROUNDS		2001
#define FEW_ROUNDS	201	/* with a file */
#define LIVE		4000
#define BATCH		64
#define MAPPED		(16 * MIB)

struct operation {
	const char *what;
	__u64 length;
	int (*round)(int fd, __u64 length);
	int (*prepare)(int fd, __u64 length);	/* before each round, not counted */
	unsigned int calls;	/* of the system, in a round */
	unsigned int parts;	/* of a round: pairs or pages; 0 if it is one */
	int rounds;		/* if others than usual */
};

static FILE *list;		/* the file, if one was given */
static bool marking;		/* the plugin is to know */
static __u64 paused;		/* what is not counted, of this round */
static __u64 pause_begin;

static struct memalloc_alloc buffers[LIVE];
static struct memalloc_free frees[BATCH];

static void mark(enum mark mark)
{
	if (marking)
		call_mark(mark);
}

/* What a round does between these two does not count. */
static void pause_round(void)
{
	pause_begin = clock_now();
	mark(MARK_OFF);
}

static void resume_round(void)
{
	mark(MARK_ON);
	paused += clock_now() - pause_begin;
}

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

static int alloc_and_export(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	int err = alloc_buffer(fd, length, &buffer);
	int dmabuf = err ?: export_buffer(fd, buffer.handle, O_RDWR | O_CLOEXEC);

	return dmabuf < 0 || close(dmabuf) || free_buffer(fd, buffer.handle);
}

/* Of a heap in one buffer, made in the first round: the same, with no call but the export. */
static int block_and_export(int fd, __u64 length)
{
	const struct memalloc_heap_config config = { .size = sizeof(config), .length = MIB };
	static struct memalloc_heap *heap;
	static struct memalloc *mem;
	void *block;
	int dmabuf;

	(void)fd;
	if (!heap && (memalloc_open(DEVICE, &mem) || memalloc_heap_create(mem, &config, &heap)))
		return -1;
	if (memalloc_heap_aligned_alloc(heap, PAGE, length, &block))
		return -1;
	dmabuf = memalloc_heap_export(heap, block, 0);
	return dmabuf < 0 || close(dmabuf) || memalloc_heap_free(heap, block);
}

static char *map_and_touch(int fd, const struct memalloc_alloc *buffer)
{
	const __u64 length = buffer->length;
	__u64 at;
	char *map = map_buffer(fd, buffer);

	for (at = 0; map != MAP_FAILED && at < length; at += PAGE)
		__atomic_store_n(map + at, 1, __ATOMIC_RELAXED);
	return map;
}

static int map_touch_and_unmap(int fd, const struct memalloc_alloc *buffer)
{
	char *map = map_and_touch(fd, buffer);

	return map == MAP_FAILED ? -1 : munmap(map, buffer->length);
}

static int alloc_touch_and_free(int fd, __u64 length)
{
	struct memalloc_alloc buffer;

	return alloc_buffer(fd, length, &buffer) || map_touch_and_unmap(fd, &buffer) ||
	       free_buffer(fd, buffer.handle);
}

/* All that was given back is zero again. */
static int wait_until_clean(int fd, __u64 length)
{
	(void)length;
	return !WAIT_UNTIL(!dirty_bytes(fd));
}

/*
 * To look whether all is clean takes away what is ready. So one pair follows, as any program that
 * goes on allocating has made one.
 */
static int wait_until_clean_and_ready(int fd, __u64 length)
{
	return wait_until_clean(fd, length) || alloc_and_free(fd, length);
}

static int alloc_and_free_after_use(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	int err = alloc_buffer(fd, length, &buffer);

	pause_round();
	err = err ?: map_touch_and_unmap(fd, &buffer);
	resume_round();
	return err ?: free_buffer(fd, buffer.handle);
}

static int alloc_for_round(int fd, __u64 length)
{
	return wait_until_clean(fd, length) || alloc_buffer(fd, length, &buffers[0]);
}

static int alloc_huge_for_round(int fd, __u64 length)
{
	return wait_until_clean(fd, length) || alloc_huge(fd, length, &buffers[0]);
}

static int touch_and_free(int fd, __u64 length)
{
	(void)length;
	return map_touch_and_unmap(fd, &buffers[0]) || free_buffer(fd, buffers[0].handle);
}

/* A buffer that is mapped and touched, behind as much that is free. */
static int place_for_move(int fd, __u64 length)
{
	static char *map;
	int err = 0;

	if (map)
		err = munmap(map, length) || free_buffer(fd, buffers[1].handle);
	err = err || wait_until_clean(fd, length) || alloc_buffer(fd, length, &buffers[0]) ||
	      alloc_buffer(fd, length, &buffers[1]) || free_buffer(fd, buffers[0].handle);
	if (err)
		return err;
	map = map_and_touch(fd, &buffers[1]);
	return map == MAP_FAILED || wait_until_clean(fd, length);
}

static int compact_all(int fd, __u64 length)
{
	struct memalloc_compact answer;

	return compact(fd, 0, &answer) || answer.moved != length;
}

static int fill_batch(int fd, __u64 length)
{
	int i;

	(void)fd;
	for (i = 0; i < BATCH; i++)
		buffers[i] = (struct memalloc_alloc){
			.size = sizeof(*buffers), .length = length,
		};
	return 0;
}

static int alloc_and_free_batch(int fd, __u64 length)
{
	int i, err = call_batch(fd, MEMALLOC_IOC_ALLOC_BATCH, buffers, BATCH, sizeof(*buffers));

	(void)length;
	pause_round();
	for (i = 0; i < BATCH; i++)
		frees[i] = (struct memalloc_free){
			.size = sizeof(*frees), .handle = buffers[i].handle,
		};
	resume_round();
	return err ?: call_batch(fd, MEMALLOC_IOC_FREE_BATCH, frees, BATCH, sizeof(*frees));
}

/* From the first round on: the end of the program gives them back. */
static int have_live_buffers(int fd, __u64 length)
{
	static int live;

	while (live < LIVE) {
		if (alloc_buffer(fd, length, &buffers[live]))
			return -1;
		live++;
	}
	return 0;
}

static int heap_alloc_and_close(int fd, __u64 length)
{
	struct dma_heap_allocation_data data = { .len = length, .fd_flags = O_RDWR | O_CLOEXEC };

	return ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data) || close(data.fd);
}

static const struct operation usual[] = {
	{ "memalloc: two calls that do nothing", 0, .round = two_empty_calls },
	{ "memalloc: ALLOC + FREE, clean", 4 * KIB, .round = alloc_and_free },
	{ "memalloc: ALLOC + FREE, clean", MIB, .round = alloc_and_free },
	{ "memalloc: ALLOC, mmap, touch, munmap, FREE", MIB, .round = alloc_touch_and_free },
	{ "memalloc: COMPACT moves a buffer: a page", MAPPED, .round = compact_all,
	  .prepare = place_for_move, .parts = MAPPED / (4 * KIB), .rounds = 9 },
	{ "memalloc: ALLOC, EXPORT, close, FREE", 4 * KIB, .round = alloc_and_export },
	{ "memalloc: the same of a block of a heap", 4 * KIB, .round = block_and_export },
};

/* The first one is what each call takes at least, and the last one leaves buffers in use. */
static const struct operation marked[] = {
	{ "memalloc: two calls that do nothing", 0, .round = two_empty_calls, .calls = 2 },
	{ "memalloc: ALLOC + FREE, clean", 4 * KIB, .round = alloc_and_free, .calls = 2 },
	{ "memalloc: ALLOC + FREE, clean", 16 * KIB, .round = alloc_and_free, .calls = 2 },
	{ "memalloc: ALLOC + FREE, clean", 64 * KIB, .round = alloc_and_free, .calls = 2 },
	{ "memalloc: ALLOC + FREE, clean", MIB, .round = alloc_and_free, .calls = 2 },
	{ "memalloc: ALLOC + FREE, clean", 64 * MIB, .round = alloc_and_free, .calls = 2 },
	{ "memalloc: ALLOC + FREE, mapped in between", 4 * KIB, .round = alloc_and_free_after_use,
	  .prepare = wait_until_clean_and_ready, .calls = 2 },
	{ "memalloc: the pair in batches of 64", 4 * KIB, .round = alloc_and_free_batch,
	  .prepare = fill_batch, .calls = 2, .parts = BATCH },
	{ "memalloc: ALLOC, mmap, touch, munmap, FREE", 4 * KIB, .round = alloc_touch_and_free,
	  .prepare = wait_until_clean_and_ready, .calls = 4 },
	{ "memalloc: mmap, touch, munmap, FREE: a page", MAPPED, .round = touch_and_free,
	  .prepare = alloc_for_round, .calls = 3, .parts = MAPPED / (4 * KIB), .rounds = 9 },
	{ "memalloc: COMPACT moves a buffer: a page", MAPPED, .round = compact_all,
	  .prepare = place_for_move, .calls = 1, .parts = MAPPED / (4 * KIB), .rounds = 9 },
	{ "memalloc: ALLOC + FREE beside 4,000 others", 4 * KIB, .round = alloc_and_free,
	  .prepare = have_live_buffers, .calls = 2 },
};

/* Where there are huge mappings. */
static const struct operation of_huge[] = {
	{ "memalloc: the same by huge entries: a page", MAPPED, .round = touch_and_free,
	  .prepare = alloc_huge_for_round, .calls = 3, .parts = MAPPED / (4 * KIB), .rounds = 9 },
};

static const struct operation of_heap[] = {
	{ "system heap: ALLOC + close", 4 * KIB, .round = heap_alloc_and_close, .calls = 2 },
	{ "system heap: ALLOC + close", MIB, .round = heap_alloc_and_close, .calls = 2 },
};

/* Do the operation once, and say what it took, unless @taken is NULL; false: it fails. */
static bool count_round(const struct operation *operation, int fd, __u64 *taken)
{
	__u64 begin;

	if (operation->prepare && operation->prepare(fd, operation->length))
		return false;
	paused = 0;
	mark(MARK_ROUND);
	mark(MARK_ON);
	begin = clock_now();
	if (operation->round(fd, operation->length))
		return false;
	if (taken)
		*taken = clock_now() - begin - paused;
	mark(MARK_OFF);
	return true;
}

/* Print what the operation takes, the median of many rounds; false: it fails. */
static bool count(const struct operation *operation, int fd)
{
	static __u64 taken[ROUNDS];
	const char *what = operation->what;
	const unsigned int parts = operation->parts ?: 1;
	const int rounds = operation->rounds ?: (list ? FEW_ROUNDS : ROUNDS);
	const int warm_up = operation->rounds ?: WARM_UP;
	int i;

	marking = list;
	mark(MARK_OPERATION);
	for (i = -warm_up; i < rounds; i++) {
		marking = list && i >= 0;
		if (!count_round(operation, fd, i < 0 ? NULL : &taken[i])) {
			perror(what);
			return false;
		}
	}
	sort_counts(taken, rounds);
	printf("%-42s %8llu KiB %9llu instructions (%llu to %llu)\n", what,
	       operation->length / KIB, taken[rounds / 2] / parts, taken[0] / parts,
	       taken[rounds - 1] / parts);
	if (list)
		fprintf(list, "%s\t%llu\t%u\t%u\t%llu\n", what, operation->length, operation->calls,
			parts, taken[rounds / 2]);
	return true;
}

/* A nanosecond is an instruction here, too. */
static bool show_longest_wait(int fd)
{
	struct memalloc_stats stats;

	if (get_stats(fd, &stats))
		return false;
	printf("%-42s %8llu KiB %9llu instructions at most\n",
	       "memalloc: a touch waits meanwhile: a page", (__u64)MAPPED / KIB,
	       stats.longest_move / (MAPPED / (4 * KIB)));
	return true;
}

static bool count_all(const struct operation *operations, size_t n, int fd)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!count(&operations[i], fd))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	const char *system_heap = "/dev/dma_heap/system";
	struct memalloc_info info;
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
	if (argc > 1) {
		list = fopen(argv[1], "w");
		if (!list || !make_marks()) {
			perror(argv[1]);
			return 1;
		}
	}
	ok = list ? count_all(marked, ARRAY_SIZE(marked), fd) :
		    count_all(usual, ARRAY_SIZE(usual), fd);
	if (list && !get_info(fd, &info) && info.huge_mapping)
		ok = ok && count_all(of_huge, ARRAY_SIZE(of_huge), fd);
	ok = ok && show_longest_wait(fd);
	if (heap < 0)
		printf("no %s on this kernel to compare with\n", system_heap);
	else
		ok = ok && count_all(of_heap, ARRAY_SIZE(of_heap), heap);
	if (list)
		ok = !fclose(list) && ok;
	return !ok;
}
