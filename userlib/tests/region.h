/* SPDX-License-Identifier: MIT */
/* What tests of the library's calls share: the region that they work on, and threads. */
#ifndef REGION_H
#define REGION_H

#include <memalloc.h>
#include <pthread.h>

#include "tap.h"

#define KIB		1024ULL
#define MIB		(KIB * KIB)

enum { THREADS = 4 };

static struct memalloc *mem;

/* Open what the program is told. */
static inline void open_region(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : NULL;

	need(memalloc_open(path, &mem), path ? path : MEMALLOC_DEFAULT_DEVICE);
}

/* Bytes of the region that are in use. */
static inline uint64_t used(void)
{
	struct memalloc_stats stats;

	need(memalloc_get_stats(mem, &stats, sizeof(stats)), "get_stats");
	return stats.used;
}

/*
 * Run @work in threads at the same time, with a byte for each that is its own. How many
 * answered with that byte's address, which says that all was well.
 */
static inline int run_threads(void *(*work)(void *))
{
	static char marks[THREADS] = { 1, 2, 3, 4 };
	pthread_t threads[THREADS];
	int i, done = 0;
	void *result;

	for (i = 0; i < THREADS; i++)
		need(-pthread_create(&threads[i], NULL, work, &marks[i]), "pthread_create");
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		done += result == &marks[i];
	}
	return done;
}

#endif /* REGION_H */
