// SPDX-License-Identifier: MIT
/*
 * Usage: heap [PATH]
 *
 * Heaps in the memory of what memalloc_open() opens: what each call gives, every error
 * that its documentation promises, and random runs beside an oracle that knows each
 * granule.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <memalloc_heap.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "random.h"
#include "region.h"

#define CONFIG(...)	{ .size = sizeof(struct memalloc_heap_config), __VA_ARGS__ }

static const char *const fits[] = { "good", "first", "best", "worst", "next", NULL };

static struct memalloc_heap *create(struct memalloc_heap_config config)
{
	struct memalloc_heap *heap;

	config.size = sizeof(config);
	need(memalloc_heap_create(mem, &config, &heap), "heap_create");
	return heap;
}

static char *alloc(struct memalloc_heap *heap, size_t size)
{
	void *block;

	need(memalloc_heap_alloc(heap, size, &block), "heap_alloc");
	return block;
}

static struct memalloc_heap_stats stats_of(struct memalloc_heap *heap)
{
	struct memalloc_heap_stats stats;

	need(memalloc_heap_get_stats(heap, &stats, sizeof(stats)), "heap_get_stats");
	return stats;
}

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

struct walk {
	struct memalloc_heap *heap;
	char *next;
	uint64_t free, largest_free, free_blocks, used, requested, blocks;
	bool orderly;
	int end_after;
};

static void walk_block(const struct memalloc_heap_block *block, struct walk *walk)
{
	walk->orderly &= block->length && (!walk->next || (char *)block->address >= walk->next);
	walk->next = (char *)block->address + block->length;
	if (block->requested) {
		walk->used += block->length;
		walk->requested += block->requested;
		walk->blocks++;
		return;
	}
	walk->free += block->length;
	walk->free_blocks++;
	if (block->length > walk->largest_free)
		walk->largest_free = block->length;
}

static int visit(const struct memalloc_heap_block *block, void *data)
{
	struct walk *walk = data;

	/* A visitor may use the heap. */
	walk->orderly &= memalloc_heap_owns(walk->heap, block->address) == !!block->requested;
	walk_block(block, walk);
	return --walk->end_after == 0 ? 17 : 0;
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

static void test_growing(void)
{
	const uint64_t before = used();
	struct memalloc_heap_config config = { .chunk = 64 * KIB, .length = 10 * 64 * KIB + 1 };
	struct memalloc_heap *heap = create(config);
	char *first, *second, *large, *third;
	struct walk all = { .heap = heap, .orderly = true };
	void *none;

	is(used(), before, "growing: has nothing at first");
	is(stats_of(heap).length, 0, "growing: and says so");
	is(memalloc_heap_owns(heap, heap), 0, "growing: owns nothing");
	first = alloc(heap, 60 * KIB);
	is(used(), before + 64 * KIB, "growing: takes a chunk when it needs it");
	is(memalloc_heap_free(heap, first + 64 * KIB), -ENOENT, "growing: ENOENT, not there yet");
	is(memalloc_heap_free(heap, first + 640 * KIB), -EINVAL, "growing: EINVAL, never there");
	second = alloc(heap, 60 * KIB);
	ok(second == first + 60 * KIB, "growing: a block may lie across chunks");
	memset(second, 'x', 60 * KIB);
	large = alloc(heap, 300 * KIB);
	memset(large, 'y', 300 * KIB);
	ok(large == second + 60 * KIB, "growing: more chunks at once");
	is(stats_of(heap).chunks, 7, "growing: no more than it needs");
	is(used(), before + 7 * 64 * KIB, "growing: from the region");
	is(memalloc_heap_alloc(heap, 641 * KIB, &none), -EFBIG, "growing: EFBIG");
	is(memalloc_heap_alloc(heap, 221 * KIB, &none), -ENOMEM, "growing: ENOMEM, its length");
	is(stats_of(heap).chunks, 7, "growing: a failure takes nothing");

	need(memalloc_heap_free(heap, second), "free");
	is(stats_of(heap).chunks, 7, "growing: chunks that are not empty stay");
	third = alloc(heap, 64 * KIB);
	ok(third == first + 420 * KIB, "growing: at the lowest address with room");
	need(memalloc_heap_free(heap, large), "free");
	is(stats_of(heap).chunks, 4, "growing: empty chunks go back, but for one");
	is(used(), before + 4 * 64 * KIB, "growing: to the region");
	is(memalloc_heap_free(heap, large), -ENOENT, "growing: ENOENT, freed before, now gone");
	is(memalloc_heap_owns(heap, large + 100 * KIB), 0, "growing: does not own what is gone");
	is(memalloc_heap_visit(heap, visit, &all), 0, "growing: visit");
	ok(all.orderly && all.used + all.free == 4 * 64 * KIB && all.free == stats_of(heap).free,
	   "growing: visits what is there");
	second = alloc(heap, 350 * KIB);
	ok(second == first + 60 * KIB, "growing: into the hole, with what is free around it");
	is(stats_of(heap).chunks, 8, "growing: with the chunks that were missing");
	need(memalloc_heap_free(heap, second), "free");
	need(memalloc_heap_free(heap, first), "free");
	need(memalloc_heap_free(heap, third), "free");
	is(stats_of(heap).chunks, 1, "growing: one chunk is kept of an empty heap");
	need(memalloc_heap_aligned_alloc(heap, 512 * KIB, 1, (void **)&second), "aligned_alloc");
	ok(!((uintptr_t)second % (512 * KIB)), "growing: aligned");
	need(memalloc_heap_aligned_alloc(heap, 512 * KIB, 1, (void **)&third), "aligned_alloc");
	ok(third == second + 512 * KIB, "growing: aligned, far away");
	is(stats_of(heap).chunks, 3, "growing: aligned, with nothing else in between");
	second = alloc(heap, 500 * KIB);
	is(stats_of(heap).chunks, 9, "growing: until it is needed");
	is(memalloc_heap_destroy(heap, NULL, NULL), 3, "growing: destroy");
	is(used(), before, "growing: gives all back");
}

/* Which chunks go back, and that what is not there and what is empty can be had as one. */
static void test_growing_and_shrinking(void)
{
	struct memalloc_heap_config config = { .chunk = 64 * KIB, .length = 192 * KIB };
	struct memalloc_heap *heap = create(config);
	char *first = alloc(heap, 64 * KIB), *second = alloc(heap, 64 * KIB);
	char *third = alloc(heap, 64 * KIB), *all;
	void *block;

	need(memalloc_heap_free(heap, second), "free");
	need(memalloc_heap_free(heap, first), "free");
	need(memalloc_heap_free(heap, third), "free");
	is(stats_of(heap).chunks, 1, "growing: the one in the middle is kept");
	all = alloc(heap, 192 * KIB);
	ok(all == first, "growing: around the one in the middle");
	need(memalloc_heap_realloc(heap, all, 1, &block), "realloc");
	ok(block == all, "growing: a block shrinks in its place");
	is(stats_of(heap).chunks, 2, "growing: and chunks go back");
	need(memalloc_heap_free(heap, block), "free");
	is(stats_of(heap).chunks, 1, "growing: down to one that is empty");
	first = alloc(heap, 64 * KIB);
	second = alloc(heap, 64 * KIB);
	need(memalloc_heap_free(heap, second), "free");
	is(stats_of(heap).chunks, 2, "growing: another one is kept when that is not empty");
	need(memalloc_heap_free(heap, first), "free");
	is(stats_of(heap).chunks, 1, "growing: no two are kept");
	first = alloc(heap, 1000);
	memset(first, 'x', 1000);
	is(memalloc_heap_realloc(heap, first, 192 * KIB, &block), 0, "growing: realloc, longer");
	ok(block == first && all_bytes(block, 1000, 'x'),
	   "growing: realloc, in its place, with the chunks that were missing");
	need(memalloc_heap_free(heap, block), "free");
	is(memalloc_heap_destroy(heap, NULL, NULL), 0, "growing: destroy");
}

/* When the region has no chunk any more, what was taken for nothing goes back. */
static void test_growing_without_memory(void)
{
	struct memalloc_heap *heap = create((struct memalloc_heap_config){ .chunk = MIB });
	struct memalloc_stats stats;
	struct memalloc_buffer rest;
	char *small = alloc(heap, 1);
	uint64_t before;
	void *block;

	need(memalloc_get_stats(mem, &stats, sizeof(stats)), "get_stats");
	need(memalloc_buffer_alloc(mem, stats.largest_free - 3 * MIB, 0, &rest), "alloc");
	before = used();
	is(memalloc_heap_alloc(heap, 6 * MIB, &block), -ENOMEM, "growing: ENOMEM, from the region");
	is(used(), before, "growing: what was taken in vain goes back");
	is(stats_of(heap).chunks, 1, "growing: and is not there");
	is(memalloc_heap_free(heap, small), 0, "growing: free");
	is(memalloc_heap_alloc(heap, 6 * MIB, &block), -ENOMEM, "growing: ENOMEM, once more");
	is(stats_of(heap).chunks, 1, "growing: an empty chunk stays then");
	small = alloc(heap, 1);
	is(memalloc_heap_alloc(heap, 2 * MIB, &block), 0, "growing: what there is can be had");
	memset(block, 'x', 2 * MIB);
	is(memalloc_heap_free(heap, small), 0, "growing: free");
	need(memalloc_buffer_free(mem, &rest), "free");
	is(memalloc_heap_realloc(heap, block, 5 * MIB, &block), 0, "growing: realloc");
	ok(all_bytes(block, 2 * MIB, 'x'), "growing: realloc, with its contents");
	is(memalloc_heap_destroy(heap, NULL, NULL), 1, "growing: destroy");
}

/* A child that inherits a heap can destroy its own idea of it, and the parent goes on. */
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

/*
 * Random runs, with an oracle that knows of each granule whose it is. To a heap that grows,
 * what is not there is as good as free: there must be no -ENOMEM where it has room.
 */

enum { GRANULE = 64, GRANULES = 4096, SLOTS = 256, STEPS = 20000 };

struct oracle {
	struct memalloc_heap *heap;
	bool growing;
	char *base;
	uint16_t owner[GRANULES];	/* slot, or SLOTS: free */
	struct {
		char *address;
		size_t size;
		char byte;
	} slots[SLOTS];
	struct memalloc_heap_stats stats;
};

static size_t rounded(size_t size)
{
	return (size + GRANULE - 1) / GRANULE * GRANULE;
}

/* Note that the slot has these bytes now; false if others have some of them. */
static bool oracle_set(struct oracle *oracle, int slot, size_t size, int owner)
{
	size_t i, first = (oracle->slots[slot].address - oracle->base) / GRANULE;
	bool good = true;

	for (i = first; i < first + rounded(size) / GRANULE; i++) {
		good &= oracle->owner[i] == (owner == SLOTS ? slot : SLOTS);
		oracle->owner[i] = owner;
	}
	return good;
}

/* Free figures, by looking at all of it. */
static void oracle_count(struct oracle *oracle)
{
	struct memalloc_heap_stats *stats = &oracle->stats;
	uint64_t run = 0;
	int i;

	stats->free = 0;
	stats->largest_free = 0;
	stats->free_blocks = 0;
	for (i = 0; i < GRANULES; i++) {
		run = oracle->owner[i] == SLOTS ? run + GRANULE : 0;
		stats->free += run ? GRANULE : 0;
		stats->free_blocks += run == GRANULE;
		if (run > stats->largest_free)
			stats->largest_free = run;
	}
	stats->length = GRANULES * GRANULE;
	stats->chunks = 1;
	stats->fragmentation = stats->free ?
		1000 * (stats->free - stats->largest_free) / stats->free : 0;
}

/*
 * The same where chunks come and go: those in which something is used, and one more if the
 * heap has kept one. Which one that is, and so how the free bytes lie, only a walk tells.
 */
static void oracle_count_chunks(struct oracle *oracle, uint64_t chunks, const struct walk *walk)
{
	enum { CHUNK = 64 * KIB / GRANULE };
	struct memalloc_heap_stats *stats = &oracle->stats;
	int i, seen = -1;

	stats->chunks = 0;
	for (i = 0; i < GRANULES; i++)
		if (oracle->owner[i] != SLOTS && i / CHUNK != seen) {
			seen = i / CHUNK;
			stats->chunks++;
		}
	stats->chunks += chunks == stats->chunks + 1;
	stats->length = stats->chunks * 64 * KIB;
	stats->free = stats->length - (stats->allocated - stats->freed);
	stats->largest_free = walk->largest_free;
	stats->free_blocks = walk->free_blocks;
	stats->fragmentation = stats->free ?
		1000 * (stats->free - stats->largest_free) / stats->free : 0;
}

static bool oracle_compare(struct oracle *oracle)
{
	struct memalloc_heap_stats got = stats_of(oracle->heap), *wanted = &oracle->stats;
	struct walk walk = { .heap = oracle->heap, .orderly = true };

	memalloc_heap_visit(oracle->heap, visit, &walk);
	if (oracle->growing)
		oracle_count_chunks(oracle, got.chunks, &walk);
	else
		oracle_count(oracle);
	wanted->size = sizeof(*wanted);
	wanted->used = wanted->allocated - wanted->freed;
	wanted->blocks = wanted->allocs - wanted->frees;
	return !memcmp(&got, wanted, sizeof(got)) && walk.orderly && walk.used == wanted->used &&
	       walk.requested == wanted->requested && walk.blocks == wanted->blocks &&
	       walk.free == wanted->free && walk.largest_free == wanted->largest_free &&
	       walk.free_blocks == wanted->free_blocks;
}

/* Is there a place for so much? */
static bool oracle_has_room(struct oracle *oracle, size_t size, size_t alignment)
{
	uintptr_t place;
	size_t run = 0;
	int i;

	for (i = 0; i < GRANULES; i++) {
		run = oracle->owner[i] == SLOTS ? run + GRANULE : 0;
		place = (uintptr_t)oracle->base + (i + 1) * GRANULE - run;
		place = (place + alignment - 1) & ~(alignment - 1);
		if (run && place + rounded(size) <= (uintptr_t)oracle->base + (i + 1) * GRANULE)
			return true;
	}
	return false;
}

/* Is all that the slot needs for so much its own, or free behind it? */
static bool oracle_can_stay(struct oracle *oracle, int slot, size_t size)
{
	size_t i = (oracle->slots[slot].address - oracle->base) / GRANULE;
	const size_t end = i + rounded(size) / GRANULE;

	while (i < end && i < GRANULES &&
	       (oracle->owner[i] == slot || oracle->owner[i] == SLOTS))
		i++;
	return i == end;
}

/* Account for what an allocation answered. */
static bool oracle_alloc(struct oracle *oracle, int slot, int err, void *block, size_t size,
			 size_t alignment, char byte)
{
	if (err) {
		oracle->stats.failures++;
		return err == -ENOMEM && !oracle_has_room(oracle, size, alignment);
	}
	oracle->slots[slot].address = block;
	oracle->slots[slot].size = size;
	oracle->slots[slot].byte = byte;
	memset(block, byte, size);
	oracle->stats.allocs++;
	oracle->stats.allocated += rounded(size);
	oracle->stats.requested += size;
	return !((uintptr_t)block % alignment) && oracle_set(oracle, slot, size, slot);
}

static bool oracle_free(struct oracle *oracle, int slot)
{
	const size_t size = oracle->slots[slot].size;

	oracle->stats.frees++;
	oracle->stats.freed += rounded(size);
	oracle->stats.requested -= size;
	oracle->slots[slot].size = 0;
	return oracle_set(oracle, slot, size, SLOTS);
}

static bool step_realloc(struct oracle *oracle, int slot, size_t size)
{
	char *old = oracle->slots[slot].address, byte = oracle->slots[slot].byte;
	const size_t before = oracle->slots[slot].size, kept = size < before ? size : before;
	const uint64_t allocs = stats_of(oracle->heap).allocs;
	const bool can_stay = oracle_can_stay(oracle, slot, size);
	void *block = old;
	int err;

	err = memalloc_heap_realloc(oracle->heap, old, size, &block);
	if (!all_bytes(block, err ? before : kept, byte) ||
	    can_stay != (!err && block == old))
		return false;
	if (err)
		return oracle_alloc(oracle, slot, err, NULL, size, 1, byte) &&
		       memalloc_heap_owns(oracle->heap, old);
	if (!oracle_free(oracle, slot) ||
	    !oracle_alloc(oracle, slot, 0, block, size, GRANULE, byte))
		return false;
	if (block != old)
		return stats_of(oracle->heap).allocs == allocs + 1;
	/* In its place it is no allocation, and only the difference counts. */
	oracle->stats.allocs--;
	oracle->stats.frees--;
	oracle->stats.allocated -= rounded(kept);
	oracle->stats.freed -= rounded(kept);
	return true;
}

static bool step(struct oracle *oracle, uint64_t *seed)
{
	const int slot = random_u32(seed) % SLOTS;
	const size_t size = 1 + random_u32(seed) % (random_u32(seed) % 8 ? 500 : 20000);
	const size_t alignment = (size_t)1 << random_u32(seed) % 14;
	void *block = NULL;
	int err;

	if (oracle->slots[slot].size && random_u32(seed) % 3 == 0)
		return step_realloc(oracle, slot, size);
	if (oracle->slots[slot].size)
		return all_bytes(oracle->slots[slot].address, oracle->slots[slot].size,
				 oracle->slots[slot].byte) &&
		       !memalloc_heap_free_sized(oracle->heap, oracle->slots[slot].address,
						 oracle->slots[slot].size) &&
		       oracle_free(oracle, slot) &&
		       memalloc_heap_free(oracle->heap, oracle->slots[slot].address) == -ENOENT;
	err = memalloc_heap_aligned_alloc(oracle->heap, alignment, size, &block);
	return oracle_alloc(oracle, slot, err, block, size, alignment, random_u32(seed));
}

static bool random_run(struct memalloc_heap_config config, uint64_t seed)
{
	static struct oracle oracle;
	const uint64_t before = used();
	bool good = true;
	int i;

	oracle = (struct oracle){ .growing = config.chunk };
	oracle.heap = create(config);
	for (i = 0; i < GRANULES; i++)
		oracle.owner[i] = SLOTS;
	oracle.base = alloc(oracle.heap, config.length);
	need(memalloc_heap_free(oracle.heap, oracle.base), "free");
	oracle.stats.allocs = 1;
	oracle.stats.frees = 1;
	oracle.stats.allocated = config.length;
	oracle.stats.freed = config.length;
	for (i = 0; i < STEPS && good; i++) {
		good = step(&oracle, &seed);
		if (i % 64 == 0)
			good &= oracle_compare(&oracle);
	}
	if (!good)
		printf("# step %d\n", i);
	good &= oracle_compare(&oracle) && oracle.stats.failures &&
		memalloc_heap_destroy(oracle.heap, NULL, NULL) == oracle.stats.blocks;
	return good && used() == before;
}

static void test_random(void)
{
	struct memalloc_heap_config config = { .granule = GRANULE, .length = GRANULES * GRANULE };
	char name[80];
	int i;

	for (i = 0; fits[i]; i++) {
		config.fit = fits[i];
		config.chunk = 0;
		snprintf(name, sizeof(name), "random run, with %s fit", fits[i]);
		ok(random_run(config, 4711 + i), name);
		config.chunk = 64 * KIB;
		snprintf(name, sizeof(name), "random run of a growing heap, with %s fit", fits[i]);
		ok(random_run(config, 815 + i), name);
	}
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
	const char *path = argc > 1 ? argv[1] : NULL;

	need(memalloc_open(path, &mem), path ? path : MEMALLOC_DEFAULT_DEVICE);
	test_create();
	test_on_buffer();
	test_errors();
	test_alloc();
	test_realloc();
	test_examples();
	test_fits();
	test_visit();
	test_growing();
	test_growing_and_shrinking();
	test_growing_without_memory();
	test_fork();
	test_random();
	test_threads();
	test_realloc_beside_free();
	test_threads_fail_to_create();
	is(used(), 0, "everything is given back");
	memalloc_close(mem);
	return tap_done();
}
