// SPDX-License-Identifier: MIT
/*
 * Usage: heap [PATH]
 *
 * Heaps in the memory of what memalloc_open() opens: what each call gives, and every error
 * that its documentation promises. Heaps that grow are in heap_growing.c, random runs in
 * heap_random.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"
#include "random.h"

#define CONFIG(...)	{ .size = sizeof(struct memalloc_heap_config), __VA_ARGS__ }

static const char *const fits[] = { "good", "first", "best", "worst", "next", NULL };

static void test_create(void)
{
	static const struct memalloc_heap_config wrong[] = {
		{ .size = sizeof(struct memalloc_heap_config) - 1, .length = MIB },
		CONFIG(.length = MIB, .flags = 1),
		CONFIG(.length = MIB, .fit = "better"),
		CONFIG(.length = MIB, .fit = ""),
		CONFIG(.length = MIB, .granule = 3),
		CONFIG(.length = 0),
		CONFIG(.length = 255),
		CONFIG(.length = MIB, .chunk = 2 * MIB),
		CONFIG(.length = MIB, .chunk = 256),
		CONFIG(.length = MIB, .chunk = 64 * KIB, .granule = 128 * KIB),
		CONFIG(.length = MIB, .chunk = 64 * KIB + 4096, .granule = 8192),
		{ .size = 0 }
	};
	struct memalloc_heap *const none = (void *)1, *heap = none;
	struct memalloc_heap_config config = CONFIG(.length = UINT64_MAX);
	struct memalloc_buffer buffer;
	const uint64_t before = used();
	const struct memalloc_heap_config *at;
	int refused = 0;

	errno = UNTOUCHED;
	for (at = wrong; at->size; at++)
		refused += memalloc_heap_create(mem, at, &heap) == -EINVAL;
	is(refused, at - wrong, "create: EINVAL, malformed configurations");
	config.size++;
	is(memalloc_heap_create(mem, &config, &heap), -E2BIG, "create: E2BIG, a longer one");
	config.size--;
	is(memalloc_heap_create(mem, &config, &heap), -EFBIG, "create: EFBIG, UINT64_MAX");
	config.length = 1ULL << 46;
	config.granule = 1 << 16;
	is(memalloc_heap_create(mem, &config, &heap), -EFBIG, "create: EFBIG, above the region");
	config.granule = 1 << 15;
	is(memalloc_heap_create(mem, &config, &heap), -EFBIG, "create: EFBIG, too many granules");

	need(memalloc_buffer_alloc(mem, 5000, 0, &buffer), "alloc");
	config = (struct memalloc_heap_config)CONFIG(.buffer = &buffer, .length = 4096);
	is(memalloc_heap_create(mem, &config, &heap), -EINVAL, "create: EINVAL, two lengths");
	config = (struct memalloc_heap_config)CONFIG(.buffer = &buffer, .chunk = 4096);
	is(memalloc_heap_create(mem, &config, &heap), -EINVAL, "create: EINVAL, buffer and chunks");
	config.chunk = 0;
	buffer.length += buffer.real_length;
	is(memalloc_heap_create(mem, &config, &heap), -EINVAL,
	   "create: EINVAL, a buffer longer than it is");
	buffer.length = 5000;
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_heap_create(mem, &config, &heap), -ENOENT, "create: ENOENT, a freed buffer");
	ok(heap == none, "create: a failure leaves the pointer alone");
	is(used(), before, "create: a failure leaves no memory behind");
	is(errno, UNTOUCHED, "create: errno is left alone");
	is(memalloc_heap_destroy(NULL, NULL, NULL), 0, "destroy: NULL is allowed");
}

/* The heap has the bytes of the buffer, and leaves the buffer when it goes. */
static void test_on_buffer(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer;
	struct memalloc_heap *heap;
	void *mapped, *none;
	char *block;

	need(memalloc_buffer_alloc(mem, 5000, 0, &buffer), "alloc");
	need(memalloc_buffer_map(mem, &buffer, 0, &mapped), "map");
	heap = create((struct memalloc_heap_config){ .buffer = &buffer });
	is(stats_of(heap).length, 5000 / 256 * 256, "on a buffer: its length, in whole granules");
	block = alloc(heap, 5000 / 256 * 256);
	is(memalloc_heap_alloc(heap, 1, &none), -ENOMEM, "on a buffer: ENOMEM, it is full");
	memset(block, 'x', 5000 / 256 * 256);
	ok(all_bytes(mapped, 5000 / 256 * 256, 'x'), "on a buffer: blocks are its memory");
	is(stats_of(heap).used, 5000 / 256 * 256,
	   "on a buffer: what is written there does not change what the heap knows");
	is(memalloc_heap_destroy(heap, NULL, NULL), 1, "destroy: tells how many blocks are left");
	is(((char *)mapped)[0], 'x', "destroy: a buffer of the caller's stays");
	need(memalloc_buffer_unmap(&buffer, mapped), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
	is(used(), before, "destroy: and can be freed then");
}

static void test_errors(void)
{
	struct memalloc_heap *heap = create((struct memalloc_heap_config){ .length = MIB });
	void *const untouched = (void *)1;
	void *block = untouched, *freed;
	char on_stack = 0, *first = alloc(heap, 1000);
	size_t size = 7;

	errno = UNTOUCHED;
	is(memalloc_heap_alloc(heap, 0, &block), -EINVAL, "alloc: EINVAL, size 0");
	is(memalloc_heap_alloc(heap, MIB + 1, &block), -EFBIG, "alloc: EFBIG, more than the heap");
	is(memalloc_heap_alloc(heap, SIZE_MAX, &block), -EFBIG, "alloc: EFBIG, SIZE_MAX");
	is(memalloc_heap_alloc(heap, MIB, &block), -ENOMEM, "alloc: ENOMEM, no room for it now");
	is(memalloc_heap_calloc(heap, SIZE_MAX / 2 + 1, 2, &block), -EOVERFLOW,
	   "calloc: EOVERFLOW, 2^64 bytes");
	is(memalloc_heap_calloc(heap, SIZE_MAX, SIZE_MAX, &block), -EOVERFLOW,
	   "calloc: EOVERFLOW, whose product is 1");
	is(memalloc_heap_calloc(heap, SIZE_MAX, 1, &block), -EFBIG, "calloc: EFBIG, SIZE_MAX");
	is(memalloc_heap_calloc(heap, 0, 8, &block), -EINVAL, "calloc: EINVAL, no things");
	is(memalloc_heap_calloc(heap, 8, 0, &block), -EINVAL, "calloc: EINVAL, of no size");
	is(memalloc_heap_aligned_alloc(heap, 0, 8, &block), -EINVAL, "aligned: EINVAL, 0");
	is(memalloc_heap_aligned_alloc(heap, 24, 8, &block), -EINVAL,
	   "aligned: EINVAL, no power of two");
	is(memalloc_heap_aligned_alloc(heap, 2 * MIB, 8, &block), -EINVAL,
	   "aligned: EINVAL, above the heap's length");
	is(memalloc_heap_aligned_alloc(heap, SIZE_MAX / 2 + 1, 8, &block), -EINVAL,
	   "aligned: EINVAL, the largest there is");
	is(memalloc_heap_aligned_alloc(heap, 64, 0, &block), -EINVAL, "aligned: EINVAL, size 0");
	is(memalloc_heap_aligned_alloc(heap, MIB, 8, &block), -ENOMEM,
	   "aligned: ENOMEM, the only such place is used");

	is(memalloc_heap_free(heap, NULL), 0, "free: NULL is allowed");
	is(memalloc_heap_free_sized(heap, NULL, 5), 0, "free_sized: NULL is allowed");
	is(memalloc_heap_free(heap, &on_stack), -EINVAL, "free: EINVAL, a foreign pointer");
	is(memalloc_heap_free(heap, first - 1), -EINVAL, "free: EINVAL, before the heap");
	is(memalloc_heap_free(heap, first + MIB), -EINVAL, "free: EINVAL, behind the heap");
	is(memalloc_heap_free(heap, (void *)1), -EINVAL, "free: EINVAL, no address of anything");
	is(memalloc_heap_free(heap, first + 8), -EINVAL, "free: EINVAL, inside of a granule");
	is(memalloc_heap_free(heap, first + 256), -EINVAL, "free: EINVAL, inside of a block");
	is(memalloc_heap_free(heap, first + 1024), -ENOENT, "free: ENOENT, never allocated");
	is(memalloc_heap_free_sized(heap, first, 999), -ERANGE, "free_sized: ERANGE, too short");
	is(memalloc_heap_free_sized(heap, first, 1024), -ERANGE,
	   "free_sized: ERANGE, the usable size");
	is(memalloc_heap_free_sized(heap, first, 0), -ERANGE, "free_sized: ERANGE, 0");
	is(memalloc_heap_usable_size(heap, first + 256, &size), -EINVAL,
	   "usable_size: EINVAL, inside of a block");
	is(memalloc_heap_usable_size(heap, first + 1024, &size), -ENOENT,
	   "usable_size: ENOENT, no block");
	is(memalloc_heap_usable_size(heap, NULL, &size), -EINVAL, "usable_size: EINVAL, NULL");
	is(size, 7, "usable_size: a failure leaves the size alone");
	is(memalloc_heap_realloc(heap, first, 0, &block), -EINVAL, "realloc: EINVAL, size 0");
	is(memalloc_heap_realloc(heap, first, MIB + 1, &block), -EFBIG, "realloc: EFBIG");
	is(memalloc_heap_realloc(heap, first + 256, 8, &block), -EINVAL,
	   "realloc: EINVAL, inside of a block");
	is(memalloc_heap_realloc(heap, first + 1024, 8, &block), -ENOENT,
	   "realloc: ENOENT, no block");
	is(memalloc_heap_realloc(heap, &on_stack, 8, &block), -EINVAL,
	   "realloc: EINVAL, a foreign pointer");
	ok(block == untouched, "a failure leaves the pointer alone");
	is(stats_of(heap).failures, 6, "get_stats: counts what there was no room for");
	is(stats_of(heap).blocks, 1, "a failure leaves the blocks alone");

	is(memalloc_heap_free_sized(heap, first, 1000), 0, "free_sized");
	freed = first;
	is(memalloc_heap_free(heap, freed), -ENOENT, "free: ENOENT, freed before");
	is(memalloc_heap_free_sized(heap, freed, 1000), -ENOENT, "free_sized: ENOENT, too");
	is(memalloc_heap_realloc(heap, freed, 8, &block), -ENOENT, "realloc: ENOENT, too");
	is(memalloc_heap_alloc(heap, MIB, &block), 0, "alloc: all there is");
	is(memalloc_heap_get_stats(heap, NULL, 8), -EINVAL, "get_stats: EINVAL, a short struct");
	is(errno, UNTOUCHED, "errno is left alone");
	is(memalloc_heap_destroy(heap, NULL, NULL), 1, "destroy");
}

static void test_alloc(void)
{
	struct memalloc_heap *heap = create((struct memalloc_heap_config){ .length = MIB });
	char *first = alloc(heap, 1), *second = alloc(heap, 257), *third;
	void *block = NULL;
	size_t size, alignment, aligned = 0, wanted = 0;

	ok(!((uintptr_t)first % 256) && !((uintptr_t)second % 256), "alloc: whole granules");
	need(memalloc_heap_usable_size(heap, second, &size), "usable_size");
	is(size, 512, "usable_size: rounded up to granules");
	is(memalloc_heap_owns(heap, second), 1, "owns: the first byte");
	is(memalloc_heap_owns(heap, second + 511), 1, "owns: the last byte");
	is(memalloc_heap_owns(heap, first + MIB - 1), 0, "owns: not what is free");
	is(memalloc_heap_owns(heap, first + MIB), 0, "owns: not what is behind the heap");
	is(memalloc_heap_owns(heap, &size), 0, "owns: not what is elsewhere");
	is(memalloc_heap_owns(heap, NULL), 0, "owns: not NULL");

	memset(second, 'x', 512);
	need(memalloc_heap_free(heap, second), "free");
	is(memalloc_heap_owns(heap, second), 0, "owns: not what was freed");
	is(memalloc_heap_calloc(heap, 3, 100, &block), 0, "calloc");
	ok(block == second && all_bytes(block, 512, 0),
	   "calloc: zero, as far as can be used, where something else was");
	third = alloc(heap, 1);
	for (alignment = 1; alignment <= MIB / 2; alignment *= 2, wanted++)
		if (!memalloc_heap_aligned_alloc(heap, alignment, 1, &block)) {
			aligned += !((uintptr_t)block % alignment);
			need(memalloc_heap_free(heap, block), "free");
		}
	is(aligned, wanted, "aligned: at every power of two up to half of the heap");
	need(memalloc_heap_free(heap, first), "free");
	need(memalloc_heap_free(heap, second), "free");
	need(memalloc_heap_free(heap, third), "free");
	is(memalloc_heap_aligned_alloc(heap, MIB, MIB, &block), 0, "aligned: to its length");
	ok(!((uintptr_t)block % MIB), "aligned: is so");
	need(memalloc_heap_free(heap, block), "free");
	is(memalloc_heap_destroy(heap, NULL, NULL), 0, "destroy: nothing is left");
}

static void test_realloc(void)
{
	struct memalloc_heap *heap = create((struct memalloc_heap_config){ .length = 64 * KIB });
	struct memalloc_heap_stats stats;
	char *first, *second, *third;
	void *block = NULL;

	is(memalloc_heap_realloc(heap, NULL, 1024, &block), 0, "realloc: NULL allocates");
	first = block;
	memset(first, 'a', 1024);
	is(memalloc_heap_realloc(heap, first, 300, &block), 0, "realloc: shorter");
	ok(block == first && all_bytes(block, 300, 'a'), "realloc: shorter, in its place");
	second = alloc(heap, 256);
	ok(second == first + 512, "realloc: what is cut off is free");
	third = alloc(heap, 256);
	need(memalloc_heap_free(heap, second), "free");
	is(memalloc_heap_realloc(heap, first, 768, &block), 0, "realloc: longer");
	ok(block == first && all_bytes(block, 300, 'a'), "realloc: longer, in its place");
	memset(first, 'b', 768);
	stats = stats_of(heap);
	ok(stats.allocs == 3 && stats.frees == 1, "realloc: in its place counts as nothing");
	ok(stats.used == 1024 && stats.requested == 1024 && stats.allocated == 1024 + 512 + 256 &&
	   stats.freed == 512 + 256, "realloc: but in the bytes");
	is(memalloc_heap_free_sized(heap, first, 300), -ERANGE, "realloc: the size is the new one");

	is(memalloc_heap_realloc(heap, first, 64 * KIB, &block), -ENOMEM, "realloc: ENOMEM");
	ok(all_bytes(first, 768, 'b') && memalloc_heap_owns(heap, first),
	   "realloc: after a failure, the old block is kept");
	block = first;
	is(memalloc_heap_realloc(heap, block, 2000, &block), 0, "realloc: with no room behind");
	ok(block != first && all_bytes(block, 768, 'b'), "realloc: moves, with its contents");
	is(memalloc_heap_free(heap, first), -ENOENT, "realloc: the old block is freed");
	stats = stats_of(heap);
	ok(stats.allocs == 4 && stats.frees == 2, "realloc: that moves counts as alloc and free");
	is(memalloc_heap_free_sized(heap, block, 2000), 0, "free_sized: of a reallocated block");
	need(memalloc_heap_free(heap, third), "free");
	is(memalloc_heap_destroy(heap, NULL, NULL), 0, "destroy");
}

/* The worked examples of the documents that the project grew from: a byte is a unit. */
static bool examples(const char *fit)
{
	struct memalloc_heap_config config = { .fit = fit, .granule = 1, .length = 100 };
	struct memalloc_heap *heap = create(config);
	struct memalloc_heap_stats stats;
	char *base, *blocks[10];
	bool good;
	void *none;
	int i;

	/* 20, 30 and 40 of 100 units; then what was given back is used again and merged. */
	base = alloc(heap, 20);
	good = alloc(heap, 30) == base + 20 && alloc(heap, 40) == base + 50;
	good &= !memalloc_heap_free_sized(heap, base + 20, 30);
	stats = stats_of(heap);
	good &= stats.free == 40 && stats.largest_free == 30 && stats.fragmentation == 250;
	good &= alloc(heap, 25) == base + 20;
	good &= !memalloc_heap_free_sized(heap, base, 20);
	stats = stats_of(heap);
	good &= stats.free == 35 && stats.free_blocks == 3;
	/* What is refused in that state. */
	good &= memalloc_heap_free_sized(heap, base + 999, 10) == -EINVAL &&
		memalloc_heap_free_sized(heap, base, 10) == -ENOENT &&
		memalloc_heap_alloc(heap, 200, &none) == -EFBIG &&
		memalloc_heap_alloc(heap, 0, &none) == -EINVAL &&
		memalloc_heap_alloc(heap, -5, &none) == -EFBIG;
	good &= !memalloc_heap_free_sized(heap, base + 20, 25);
	stats = stats_of(heap);
	good &= stats.free == 60 && stats.largest_free == 50 && stats.free_blocks == 2;
	memalloc_heap_destroy(heap, NULL, NULL);

	/* Every other ten units are used: with most of 100 free, there is no room for 50. */
	heap = create(config);
	for (i = 0; i < 10; i++) {
		blocks[i] = alloc(heap, 10);
		good &= blocks[i] == blocks[0] + 10 * i;
	}
	for (i = 1; i < 10; i += 2)
		good &= !memalloc_heap_free_sized(heap, blocks[i], 10);
	good &= !memalloc_heap_free_sized(heap, blocks[0], 10);
	stats = stats_of(heap);
	good &= stats.free == 60 && stats.free_blocks == 5 && stats.largest_free == 20;
	good &= memalloc_heap_alloc(heap, 50, &none) == -ENOMEM &&
		memalloc_heap_alloc(heap, 21, &none) == -ENOMEM &&
		alloc(heap, 20) == blocks[0];
	memalloc_heap_destroy(heap, NULL, NULL);

	/* 100 and 200 bytes of 1 MiB, given back in the order in which they were taken. */
	config.length = MIB;
	heap = create(config);
	base = alloc(heap, 100);
	good &= alloc(heap, 200) == base + 100;
	stats = stats_of(heap);
	good &= stats.blocks == 2 && stats.free == MIB - 300;
	good &= !memalloc_heap_free_sized(heap, base, 100) &&
		!memalloc_heap_free_sized(heap, base + 100, 200);
	stats = stats_of(heap);
	good &= stats.free_blocks == 1 && stats.largest_free == MIB && !stats.fragmentation;
	memalloc_heap_destroy(heap, NULL, NULL);
	return good;
}

static void test_examples(void)
{
	char name[80];
	int i;

	for (i = 0; fits[i]; i++) {
		snprintf(name, sizeof(name), "the seeds' worked examples, with %s fit", fits[i]);
		ok(examples(fits[i]), name);
	}
}

/*
 * Granules 0 to 2, 4 to 8, and 10 and 11 are free, and two are wanted, given back, and
 * wanted again: what each strategy takes.
 */
static void test_fits(void)
{
	static const int wanted[][2] = { { 10, 10 }, { 0, 0 }, { 10, 10 }, { 4, 4 }, { 0, 4 } };
	char name[80], *base, *once, *again;
	int i;

	for (i = 0; fits[i]; i++) {
		struct memalloc_heap *heap = create((struct memalloc_heap_config){
			.fit = fits[i], .granule = 64, .length = 13 * 64
		});

		base = alloc(heap, 13 * 64);
		need(memalloc_heap_free(heap, base), "free");
		base = alloc(heap, 3 * 64);
		alloc(heap, 64);
		alloc(heap, 5 * 64);
		alloc(heap, 64);
		alloc(heap, 2 * 64);
		alloc(heap, 64);
		need(memalloc_heap_free(heap, base), "free");
		need(memalloc_heap_free(heap, base + 4 * 64), "free");
		need(memalloc_heap_free(heap, base + 10 * 64), "free");
		once = alloc(heap, 2 * 64);
		need(memalloc_heap_free(heap, once), "free");
		again = alloc(heap, 2 * 64);
		snprintf(name, sizeof(name), "%s fit takes the block that it should", fits[i]);
		ok(once == base + wanted[i][0] * 64 && again == base + wanted[i][1] * 64, name);
		memalloc_heap_destroy(heap, NULL, NULL);
	}
}

static void leak(const struct memalloc_heap_block *block, void *data)
{
	struct walk *walk = data;

	walk->orderly &= *(char *)block->address == 'x';
	walk_block(block, walk);
}

static void test_visit(void)
{
	struct memalloc_heap *heap = create((struct memalloc_heap_config){ .length = 16 * KIB });
	struct walk all = { .heap = heap, .orderly = true }, leaks = { .orderly = true };
	struct walk some = { .heap = heap, .orderly = true, .end_after = 2 };
	char *first = alloc(heap, 1000), *second = alloc(heap, 500), *third = alloc(heap, 1);

	*first = 'x';
	*third = 'x';
	need(memalloc_heap_free(heap, second), "free");
	is(memalloc_heap_visit(heap, visit, &all), 0, "visit");
	ok(all.orderly && all.next == first + 16 * KIB, "visit: block after block, up to the end");
	ok(all.blocks == 2 && all.used == 1024 + 256 && all.requested == 1001, "visit: used ones");
	ok(all.free_blocks == 2 && all.free == 16 * KIB - 1024 - 256, "visit: free ones");
	is(memalloc_heap_visit(heap, visit, &some), 17, "visit: what the visitor returns ends it");
	is(some.blocks + some.free_blocks, 2, "visit: at once");
	is(memalloc_heap_destroy(heap, leak, &leaks), 2, "destroy: the number of leaks");
	ok(leaks.orderly && leaks.blocks == 2 && leaks.requested == 1001 && !leaks.free_blocks,
	   "destroy: tells each leak, while it can be read");
}

/* A child can destroy the heap that it inherits, and the parent goes on with it. */
static void test_fork(void)
{
	const uint64_t before = used();
	struct memalloc_heap *heap = create((struct memalloc_heap_config){ .chunk = 64 * KIB });
	char *first = alloc(heap, 1000), *second = alloc(heap, 128 * KIB);
	int status = -1;
	pid_t child;

	memset(first, 'p', 1000);
	fflush(stdout);
	child = fork();
	need(child < 0 ? -errno : 0, "fork");
	if (!child)
		_exit(memalloc_heap_destroy(heap, NULL, NULL));
	waitpid(child, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 2, "fork: a child can destroy a heap");
	ok(all_bytes(first, 1000, 'p'), "fork: which leaves the parent's alone");
	need(memalloc_heap_free(heap, second), "free");
	is(stats_of(heap).chunks, 2, "fork: of which chunks go back");
	ok(alloc(heap, 128 * KIB) == second, "fork: and can be there again");
	memset(second, 'p', 128 * KIB);
	is(memalloc_heap_destroy(heap, NULL, NULL), 2, "fork: so the parent can destroy it");
	is(used(), before, "fork: and nothing is left");
}

/* --- threads --------------------------------------------------------------- */

static struct memalloc_heap *shared;

static int visit_nothing(const struct memalloc_heap_block *block, void *data)
{
	(void)data;
	return block->length ? 0 : 1;
}

/* Each thread marks its blocks with its own byte and must find it again. */
static void *work(void *mark)
{
	const char byte = *(char *)mark;
	struct {
		void *address;
		size_t size;
	} blocks[16] = { { NULL, 0 } };
	uint64_t seed = byte;
	size_t size, kept;
	int i, slot;

	for (i = 0; i < 3000; i++) {
		slot = random_u32(&seed) % 16;
		size = 1 + random_u32(&seed) % 5000;
		kept = blocks[slot].size < size ? blocks[slot].size : size;
		if (random_u32(&seed) % 2 && blocks[slot].address) {
			if (!all_bytes(blocks[slot].address, blocks[slot].size, byte) ||
			    memalloc_heap_free_sized(shared, blocks[slot].address,
						     blocks[slot].size))
				return NULL;
			blocks[slot].address = NULL;
			blocks[slot].size = 0;
			continue;
		}
		if (memalloc_heap_realloc(shared, blocks[slot].address, size,
					  &blocks[slot].address) ||
		    !all_bytes(blocks[slot].address, kept, byte))
			return NULL;
		blocks[slot].size = size;
		memset(blocks[slot].address, byte, size);
		if (i % 500 == 0 && memalloc_heap_visit(shared, visit_nothing, NULL))
			return NULL;
	}
	for (slot = 0; slot < 16; slot++)
		if (memalloc_heap_free(shared, blocks[slot].address))
			return NULL;
	return mark;
}

static void test_threads(void)
{
	shared = create((struct memalloc_heap_config){ .chunk = 16 * KIB, .length = 4 * MIB });
	is(run_threads(work), THREADS, "threads: each finds its own bytes");
	is(stats_of(shared).chunks, 1, "threads: all chunks but one go back");
	is(memalloc_heap_destroy(shared, NULL, NULL), 0, "threads: nothing is left");
}

/* What another thread does with a block while realloc moves it. */
static char *moving;

static void *free_while_moved(void *unused)
{
	(void)unused;
	/* Both blocks are there as long as one is copied. */
	while (stats_of(shared).allocs == 2)
		sched_yield();
	return (void *)(intptr_t)memalloc_heap_free(shared, moving);
}

static void test_realloc_beside_free(void)
{
	const size_t size = 8 * MIB;
	int i, kept = 0, rounds = 20;
	pthread_t other;
	void *block, *result;

	for (i = 0; i < rounds; i++) {
		shared = create((struct memalloc_heap_config){ .length = 20 * MIB });
		moving = alloc(shared, size);
		alloc(shared, 1);
		memset(moving, 'x', size);
		need(-pthread_create(&other, NULL, free_while_moved, NULL), "pthread_create");
		kept += !memalloc_heap_realloc(shared, moving, size + MIB, &block);
		pthread_join(other, &result);
		kept -= (intptr_t)result != -ENOENT || !all_bytes(block, size, 'x');
		kept -= memalloc_heap_destroy(shared, NULL, NULL) != 2;
	}
	is(kept, rounds, "threads: ENOENT, to free what realloc moves");
}

/* Threads have mappings of their own while the others try to make heaps that can't be. */
static void *fail_to_create(void *mark)
{
	static const struct memalloc_buffer freed = {
		.length = 64 * KIB, .real_length = 64 * KIB, .handle = UINT32_MAX,
	};
	const struct memalloc_heap_config config = CONFIG(.buffer = &freed);
	unsigned char pages[16];
	void *mapped;
	int i;

	for (i = 0; i < 1000; i++) {
		if (memalloc_heap_create(mem, &config, &shared) != -ENOENT)
			return NULL;
		mapped = mmap(NULL, 64 * KIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(mapped == MAP_FAILED ? -errno : 0, "mmap");
		if (mincore(mapped, 64 * KIB, pages))
			return NULL;
		munmap(mapped, 64 * KIB);
	}
	return mark;
}

static void test_threads_fail_to_create(void)
{
	is(run_threads(fail_to_create), THREADS,
	   "threads: a heap that can't be made unmaps nothing of others");
}

int main(int argc, char **argv)
{
	open_region(argc, argv);
	test_create();
	test_on_buffer();
	test_errors();
	test_alloc();
	test_realloc();
	test_examples();
	test_fits();
	test_visit();
	test_fork();
	test_threads();
	test_realloc_beside_free();
	test_threads_fail_to_create();
	is(used(), 0, "everything is given back");
	memalloc_close(mem);
	return tap_done();
}
