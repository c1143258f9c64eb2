// SPDX-License-Identifier: MIT
/*
 * Usage: pool [PATH]
 *
 * Pools in the memory of what memalloc_open() opens: what each call gives, every error that
 * its documentation promises, and threads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <memalloc_pool.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "probe.h"
#include "random.h"
#include "region.h"

static struct memalloc_pool *create(size_t object_size, size_t alignment, size_t count)
{
	struct memalloc_pool *pool;

	need(memalloc_pool_create(mem, object_size, alignment, count, &pool), "pool_create");
	return pool;
}

static char *alloc(struct memalloc_pool *pool)
{
	void *object;

	need(memalloc_pool_alloc(pool, &object), "pool_alloc");
	return object;
}

static struct memalloc_pool_stats stats_of(struct memalloc_pool *pool)
{
	struct memalloc_pool_stats stats;

	need(memalloc_pool_get_stats(pool, &stats, sizeof(stats)), "pool_get_stats");
	return stats;
}

static void test_create(void)
{
	struct memalloc_pool *const none = (void *)1, *pool = none, *other = none;
	const uint64_t before = used();
	struct memalloc_info info;

	need(memalloc_get_info(mem, &info, sizeof(info)), "get_info");
	errno = UNTOUCHED;
	is(memalloc_pool_create(mem, 0, 0, 1, &pool), -EINVAL, "create: EINVAL, no size");
	is(memalloc_pool_create(mem, 8, 0, 0, &pool), -EINVAL, "create: EINVAL, no objects");
	is(memalloc_pool_create(mem, 8, 3, 1, &pool), -EINVAL, "create: EINVAL, alignment 3");
	is(memalloc_pool_create(mem, 1, 0, 1ULL << 32, &pool), -EINVAL,
	   "create: EINVAL, 2^32 objects");
	is(memalloc_pool_create(mem, SIZE_MAX, 0, 1, &pool), -EFBIG, "create: EFBIG, SIZE_MAX");
	is(memalloc_pool_create(mem, SIZE_MAX, 8, 1, &pool), -EFBIG,
	   "create: EFBIG, SIZE_MAX, aligned");
	is(memalloc_pool_create(mem, SIZE_MAX / 4, 0, 5, &pool), -EFBIG,
	   "create: EFBIG, five quarters of SIZE_MAX");
	is(memalloc_pool_create(mem, 8, SIZE_MAX / 2 + 1, 1, &pool), -EFBIG,
	   "create: EFBIG, the largest alignment");
	is(memalloc_pool_create(mem, 8, SIZE_MAX / 2 + 1, 2, &pool), -EFBIG,
	   "create: EFBIG, twice that");
	is(memalloc_pool_create(mem, info.region_length, 0, 2, &pool), -EFBIG,
	   "create: EFBIG, more than the region");
	ok(pool == none, "create: a failure leaves the pointer alone");
	need(memalloc_pool_create(mem, info.region_length / 4, 0, 3, &pool), "create");
	is(memalloc_pool_create(mem, info.region_length / 2, 0, 1, &other), -ENOMEM,
	   "create: ENOMEM, no room now");
	is(memalloc_pool_destroy(pool), 0, "destroy");
	is(used(), before, "destroy: all memory goes back");
	is(memalloc_pool_destroy(NULL), 0, "destroy: NULL is allowed");
	is(errno, UNTOUCHED, "errno is left alone");
}

static void test_calls(void)
{
	enum { COUNT = 70, SIZE = 24 };
	struct memalloc_pool *pool = create(SIZE, 0, COUNT);
	struct memalloc_pool_stats stats;
	void *const untouched = (void *)1;
	void *none = untouched;
	char *objects[COUNT];
	bool apart = true;
	int i, j;

	errno = UNTOUCHED;
	for (i = 0; i < COUNT; i++) {
		objects[i] = alloc(pool);
		for (j = 0; j < i; j++)
			apart &= objects[i] >= objects[j] + SIZE ||
				 objects[j] >= objects[i] + SIZE;
		memset(objects[i], 0xff, SIZE);
	}
	ok(apart, "alloc: objects that have nothing in common");
	is(memalloc_pool_alloc(pool, &none), -ENOMEM, "alloc: ENOMEM, all are used");
	ok(none == untouched, "alloc: a failure leaves the pointer alone");
	stats = stats_of(pool);
	ok(stats.objects == COUNT && stats.stride == SIZE && stats.used == COUNT &&
	   stats.allocs == COUNT && !stats.frees && stats.failures == 1 && !stats.reserved &&
	   stats.size == sizeof(stats), "get_stats");

	is(memalloc_pool_free(pool, NULL), 0, "free: NULL is allowed");
	is(memalloc_pool_free(pool, &stats), -EINVAL, "free: EINVAL, a foreign pointer");
	is(memalloc_pool_free(pool, (void *)1), -EINVAL, "free: EINVAL, no address of anything");
	is(memalloc_pool_free(pool, objects[0] - SIZE), -EINVAL, "free: EINVAL, before the pool");
	is(memalloc_pool_free(pool, objects[0] + COUNT * SIZE), -EINVAL,
	   "free: EINVAL, behind the last object");
	is(memalloc_pool_free(pool, objects[3] + 8), -EINVAL, "free: EINVAL, inside of an object");
	is(stats_of(pool).used, COUNT, "free: a failure frees nothing");
	is(memalloc_pool_free(pool, objects[69]), 0, "free: the last one");
	is(memalloc_pool_free(pool, objects[69]), -ENOENT, "free: ENOENT, freed before");
	ok(alloc(pool) == objects[69], "alloc: the only one that is free");
	is(memalloc_pool_free(pool, objects[5]), 0, "free: one that is not in the last word");
	ok(alloc(pool) == objects[5], "alloc: the only one, in another word");
	for (i = 0; i < COUNT; i++)
		need(memalloc_pool_free(pool, objects[i]), "free");
	is(memalloc_pool_free(pool, objects[0]), -ENOENT, "free: ENOENT, all are free");
	stats = stats_of(pool);
	ok(!stats.used && stats.allocs == COUNT + 2 && stats.frees == COUNT + 2 &&
	   stats.failures == 1, "get_stats: all are free");
	is(memalloc_pool_get_stats(pool, &stats, 8), -EINVAL, "get_stats: EINVAL, a short struct");
	alloc(pool);
	is(errno, UNTOUCHED, "errno is left alone");
	is(memalloc_pool_destroy(pool), 1, "destroy: tells how many are used");
}

static void test_alignment(void)
{
	size_t alignment, pools = 0, good = 0;

	for (alignment = 1; alignment <= 64 * 1024; alignment *= 2, pools++) {
		struct memalloc_pool *pool = create(20, alignment, 3);
		uintptr_t bits = 0;
		void *object;

		while (!memalloc_pool_alloc(pool, &object))
			bits |= (uintptr_t)object;
		good += bits % alignment == 0 && memalloc_pool_destroy(pool) == 3;
	}
	is(good, pools, "create: at every power of two up to 64 KiB");
}

/* Every number of objects around words of a bitmap, and no more than these. */
static void test_counts(void)
{
	size_t count, good = 0;

	for (count = 1; count <= 200; count++) {
		struct memalloc_pool *pool = create(1, 0, count);
		size_t got = 0;
		void *object;

		while (!memalloc_pool_alloc(pool, &object))
			got++;
		good += got == count && memalloc_pool_destroy(pool) == count;
	}
	is(good, 200, "alloc: as many as were asked for, 1 to 200");
}

/* Beside an array that says which are used. */
static void test_random(void)
{
	enum { COUNT = 1000, STEPS = 100000 };
	static char is_used[COUNT];
	struct memalloc_pool *pool = create(16, 0, COUNT);
	char *base = alloc(pool), *address;
	uint64_t seed = 4711, allocs = 1, frees = 0, failures = 0;
	struct memalloc_pool_stats stats;
	bool good = true, filling;
	void *object;
	size_t i;
	int step, err;

	is_used[0] = 1;
	for (step = 0; step < STEPS && good; step++) {
		i = random_u32(&seed) % COUNT;
		filling = step / 5000 % 2 ? (seed >> 60) < 4 : (seed >> 60) < 12;
		if (filling) {
			err = memalloc_pool_alloc(pool, &object);
			if (err) {
				good = err == -ENOMEM && allocs - frees == COUNT;
				failures++;
				continue;
			}
			address = object;
			good = address >= base && address < base + 16 * COUNT &&
			       !is_used[(address - base) / 16]++;
			allocs++;
		} else {
			err = memalloc_pool_free(pool, base + 16 * i);
			good = err == (is_used[i] ? 0 : -ENOENT);
			frees += is_used[i];
			is_used[i] = 0;
		}
		stats = stats_of(pool);
		good &= stats.used == allocs - frees && stats.allocs == allocs &&
			stats.frees == frees && stats.failures == failures;
	}
	is(step, STEPS, "random run: an oracle says the same");
	ok(failures && allocs > COUNT, "random run: was exhausted, too");
	ok(good && memalloc_pool_destroy(pool) == allocs - frees, "random run: destroy");
}

/* --- threads --------------------------------------------------------------- */

enum { EACH = 40 };
static struct memalloc_pool *shared;

/*
 * Each thread marks its objects with its own byte and must find it again. There are as
 * many objects as all threads together have at a time, so there is always one.
 */
static void *work(void *mark)
{
	const char byte = *(char *)mark;
	void *objects[EACH];
	int i, n;

	for (i = 0; i < 500; i++) {
		for (n = 0; n < EACH; n++) {
			if (memalloc_pool_alloc(shared, &objects[n]))
				return NULL;
			memset(objects[n], byte, 40);
		}
		if (i % 16 == 0)
			sched_yield();
		while (n--)
			if (!all_bytes(objects[n], 40, byte) ||
			    memalloc_pool_free(shared, objects[n]))
				return NULL;
	}
	return mark;
}

/* Both threads free the same object: one of them must be told. */
static void *free_again(void *object)
{
	return (void *)(intptr_t)memalloc_pool_free(shared, object);
}

static void test_threads(void)
{
	struct memalloc_pool_stats stats;
	pthread_t other;
	int i, once = 0;
	void *result, *own;
	char *object;

	shared = create(40, 0, THREADS * EACH);
	is(run_threads(work), THREADS,
	   "threads: each has its own objects, as many as there are for it");
	stats = stats_of(shared);
	ok(!stats.used && stats.allocs == THREADS * EACH * 500 && stats.frees == stats.allocs &&
	   !stats.failures, "threads: nothing is counted wrong");

	for (i = 0; i < 100; i++) {
		object = alloc(shared);
		need(-pthread_create(&other, NULL, free_again, object), "pthread_create");
		own = free_again(object);
		pthread_join(other, &result);
		once += (intptr_t)own + (intptr_t)result == -ENOENT;
	}
	is(once, 100, "threads: of two that free the same object, one gets ENOENT");
	is(memalloc_pool_destroy(shared), 0, "threads: nothing is left");
}

int main(int argc, char **argv)
{
	open_region(argc, argv);
	test_create();
	test_calls();
	test_alignment();
	test_counts();
	test_random();
	test_threads();
	is(used(), 0, "everything is given back");
	memalloc_close(mem);
	return tap_done();
}
