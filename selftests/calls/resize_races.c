// SPDX-License-Identifier: GPL-2.0-only
/*
 * RESIZE, while other threads write to the buffer, map it, read a disk into it, free or export it,
 * and another client takes what was cut off.
 */
#include "resize.h"

#include <pthread.h>
#include <setjmp.h>

#define DISK	"/dev/nvme0n1"

/* What races against RESIZE, until it says stop. */
struct racer {
	int fd;
	struct memalloc_alloc buffer;
	char *map;
	int disk;
	bool stop;
	unsigned long done;	/* calls of RESIZE */
	unsigned long wrong;
};

static __thread sigjmp_buf gone;

static void on_sigbus(int signal)
{
	siglongjmp(gone, signal);
}

/* What is not there any more is SIGBUS. */
static void write_page(char *map)
{
	if (!sigsetjmp(gone, true))
		fill(map, PAGE, 1);
}

/* Writes all of the mapping. */
static void *touch_all(void *data)
{
	struct racer *racer = data;
	size_t page;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED))
		for (page = 0; page < PAGES; page++)
			write_page(racer->map + page * PAGE);
	return NULL;
}

/* Reads the disk to the end of the mapping; and without a page there, it can't. */
static void *read_disk(void *data)
{
	struct racer *racer = data;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		if (pread(racer->disk, racer->map + LENGTH / 2, LENGTH / 2, 0) < 0 &&
		    errno != EFAULT)
			racer->wrong++;
	}
	return NULL;
}

/* Maps and unmaps what may be there. */
static void *map_some(void *data)
{
	struct racer *racer = data;
	unsigned int i = 0;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		const size_t page = i++ % PAGES;
		char *map = map_at(racer->fd, racer->buffer.mmap_offset + page * PAGE,
				   (PAGES - page) * PAGE, PROT_READ | PROT_WRITE);

		if (map == MAP_FAILED) {
			racer->wrong += errno != EINVAL;
			continue;
		}
		if (!sigsetjmp(gone, true))
			__atomic_store_n(map + (PAGES - page - 1) * PAGE, 1, __ATOMIC_RELAXED);
		munmap(map, (PAGES - page) * PAGE);
	}
	return NULL;
}

static void *resize_at_random(void *data)
{
	struct racer *racer = data;
	__u64 random = 1 + racer->fd + (uintptr_t)&random;

	while (!__atomic_load_n(&racer->stop, __ATOMIC_RELAXED)) {
		int err = resize_buffer(racer->fd, racer->buffer.handle,
				 1 + random_below(&random, LENGTH));

		/* Another client may have what is behind. */
		racer->wrong += err && err != -ENOMEM;
		__atomic_fetch_add(&racer->done, !err, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Another client takes what it can get, and nobody but it writes there. */
static void take_and_look(int fd, struct racer *racer)
{
	struct memalloc_alloc buffers[2 * PAGES];
	char *maps[2 * PAGES];
	int i, n;

	for (n = 0; n < 2 * (int)PAGES && !alloc_buffer(fd, PAGE, &buffers[n]); n++) {
		maps[n] = map_buffer(fd, &buffers[n]);
		if (maps[n] == MAP_FAILED || first_nonzero(maps[n], PAGE) != PAGE)
			racer->wrong++;
		fill(maps[n], PAGE, 50 + n);
	}
	sleep_ms(1);
	for (i = 0; i < n; i++) {
		racer->wrong += first_difference(maps[i], PAGE, 50 + i) != PAGE;
		munmap(maps[i], PAGE);
		racer->wrong += !!free_buffer(fd, buffers[i].handle);
	}
}

TEST_F(resize, races)
{
	void *(*const work[])(void *) = {
		touch_all, read_disk, map_some, resize_at_random, resize_at_random,
	};
	struct sigaction action = { .sa_handler = on_sigbus };
	struct racer racer = { .fd = self->fd, .buffer = self->buffer, .map = self->map };
	pthread_t threads[ARRAY_SIZE(work)];
	const __u64 begin = now_ms();
	unsigned long rounds;
	size_t i;

	racer.disk = open(DISK, O_RDONLY | O_DIRECT);
	ASSERT_LE(0, racer.disk);
	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	/* So that it takes what is cut off. */
	ASSERT_EQ(2 * PAGE, leave_free(self->other, 2 * PAGE));
	for (i = 0; i < ARRAY_SIZE(work); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work[i], &racer));
	/* For 6 seconds; on a busy machine, until the other client has had its turn. */
	for (rounds = 0; now_ms() - begin < (rounds > 2 ? 6000 : 60000); rounds++)
		take_and_look(self->other, &racer);
	__atomic_store_n(&racer.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(work); i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(0, racer.wrong);
	EXPECT_LT(2, rounds);
	EXPECT_LT(100, racer.done);
	TH_LOG("%lu times, %lu rounds of the other client", racer.done, rounds);
}

/* The handle goes at any moment; whatever comes first, nothing is left. */
static void *free_soon(void *data)
{
	struct racer *racer = data;

	racer->wrong += free_buffer(racer->fd, racer->buffer.handle) != 0;
	return NULL;
}

static void *export_soon(void *data)
{
	struct racer *racer = data;
	int dmabuf = export_buffer(racer->fd, racer->buffer.handle, O_RDWR);
	struct memalloc_query query;
	char *map;

	/* As long as it is there, all that QUERY tells can be mapped. */
	if (dmabuf >= 0 && !query_buffer(racer->fd, racer->buffer.handle, &query)) {
		map = map_at(dmabuf, 0, query.real_length, PROT_READ);
		racer->wrong += map == MAP_FAILED;
		if (!sigsetjmp(gone, true))
			__atomic_load_n(map + query.real_length - 1, __ATOMIC_RELAXED);
		else
			racer->wrong++;
		munmap(map, query.real_length);
	}
	close(dmabuf);
	return NULL;
}

TEST_F(resize, races_with_the_end)
{
	void *(*const work[])(void *) = { free_soon, export_soon };
	struct sigaction action = { .sa_handler = on_sigbus };
	unsigned int round, answers[3] = {};

	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	for (round = 0; round < 2000; round++) {
		struct racer racer = { .fd = self->fd };
		pthread_t thread;
		int err;

		ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &racer.buffer));
		ASSERT_EQ(0, pthread_create(&thread, NULL, work[round % 2], &racer));
		err = resize_buffer(self->fd, racer.buffer.handle, round & 2 ? PAGE : 2 * LENGTH);
		err = resize_buffer(self->fd, racer.buffer.handle, LENGTH / 2 + PAGE) ?: err;
		answers[err == -ENOENT ? 1 : err == -EBUSY ? 2 : 0]++;
		ASSERT_TRUE(!err || err == (round % 2 ? -EBUSY : -ENOENT)) TH_LOG("%d", err);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, racer.wrong);
		if (round % 2)
			ASSERT_EQ(0, free_buffer(self->fd, racer.buffer.handle));
	}
	TH_LOG("%u done, %u freed first, %u exported first", answers[0], answers[1], answers[2]);
	EXPECT_NOTHING_DONE();
}

TEST_HARNESS_MAIN
