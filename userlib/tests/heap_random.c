// SPDX-License-Identifier: MIT
/*
 * Usage: heap_random [PATH]
 *
 * Random runs, with an oracle that knows of each granule whose it is. To a heap that grows,
 * what is not there is as good as free: there must be no -ENOMEM where it has room.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"
#include "random.h"

static const char *const fits[] = { "good", "first", "best", "worst", "next", NULL };

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

int main(int argc, char **argv)
{
	open_region(argc, argv);
	test_random();
	memalloc_close(mem);
	return tap_done();
}
