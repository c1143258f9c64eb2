// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that a client keeps when it frees them, until it wants the next: nobody misses them, sees
 * them or pays for them.
 */
#include "memalloc_test.h"

#include <pthread.h>

#define SMALL		15	/* pages: one of each size up to this is kept; and one larger */
#define MOST_KEPT	512	/* magazines in which there is something */
#define MOST_READY	64	/* pages of one size that a CPU keeps */

FIXTURE(kept) {
	int fd;
	int stranger;
	__u64 region;
};

FIXTURE_SETUP(kept)
{
	struct memalloc_info info;

	self->fd = open_idle_device();
	self->stranger = open_device();
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->stranger);
	ASSERT_EQ(0, get_info(self->fd, &info));
	self->region = info.region_length;
	ASSERT_EQ(0, run_on(0));
	ready_bytes(self->fd);
	/* What is kept is given back a second after the first of it: of the last test, by now. */
	sleep_ms(1200);
}

FIXTURE_TEARDOWN(kept)
{
	close(self->stranger);
}

static int alloc_and_free(int fd, __u64 length, struct memalloc_alloc *buffer)
{
	return alloc_buffer(fd, length, buffer) ?: free_buffer(fd, buffer->handle);
}

/* One buffer of each small size, and a large one. */
static int keep_all(int fd)
{
	struct memalloc_alloc buffers[SMALL + 1];
	int i, err = 0;

	for (i = 0; i <= SMALL && !err; i++)
		err = alloc_buffer(fd, (i < SMALL ? i + 1 : 40) * PAGE, &buffers[i]);
	for (i = 0; i <= SMALL && !err; i++)
		err = free_buffer(fd, buffers[i].handle);
	return err;
}

#define KEPT_BYTES	((SMALL * (SMALL + 1) / 2 + 40) * PAGE)

/* A stranger's buffer of the same size lies elsewhere, the client's own next one in its place. */
TEST_F(kept, for_its_client)
{
	const size_t pages[] = { 1, 2, SMALL, SMALL + 1, SMALL + 2, 300 };
	struct memalloc_alloc first, other, again;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		ASSERT_EQ(0, alloc_and_free(self->fd, pages[i] * PAGE, &first));
		ASSERT_EQ(0, alloc_buffer(self->stranger, pages[i] * PAGE, &other));
		ASSERT_EQ(0, alloc_buffer(self->fd, pages[i] * PAGE, &again));
		EXPECT_NE(first.mmap_offset, other.mmap_offset);
		EXPECT_EQ(first.mmap_offset, again.mmap_offset);
		EXPECT_NE(first.handle, again.handle);
		EXPECT_EQ(-ENOENT, query_errno(self->fd, first.handle));
		EXPECT_EQ(0, free_buffer(self->fd, again.handle));
		EXPECT_EQ(0, free_buffer(self->stranger, other.handle));
		ready_bytes(self->fd);
	}
}

/* What was touched has to be zeroed, and a name would be the next one's: not these. */
TEST_F(kept, only_as_if_new)
{
	struct memalloc_name name = { .size = sizeof(name), .name = "somebody's" };
	struct memalloc_alloc buffer, other;
	struct memalloc_query query;

	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &buffer));
	ASSERT_EQ(0, touch_buffer(self->fd, &buffer));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	ASSERT_EQ(0, alloc_buffer(self->stranger, 3 * PAGE, &other));
	EXPECT_EQ(buffer.mmap_offset, other.mmap_offset);
	ASSERT_EQ(0, free_buffer(self->stranger, other.handle));
	ready_bytes(self->fd);

	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &buffer));
	name.handle = buffer.handle;
	ASSERT_EQ(0, call(self->fd, MEMALLOC_IOC_NAME, &name));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &buffer));
	EXPECT_EQ(0, query_buffer(self->fd, buffer.handle, &query));
	EXPECT_STREQ("", (const char *)query.name);
}

/* Who else has the buffer keeps it. */
TEST_F(kept, not_while_in_use)
{
	struct memalloc_alloc buffer, mapped, exported;
	char *map;
	int dmabuf;

	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &mapped));
	map = map_buffer(self->fd, &mapped);
	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_EQ(0, free_buffer(self->fd, mapped.handle));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &exported));
	EXPECT_NE(mapped.mmap_offset, exported.mmap_offset);
	dmabuf = export_buffer(self->fd, exported.handle, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, exported.handle));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	EXPECT_NE(mapped.mmap_offset, buffer.mmap_offset);
	EXPECT_NE(exported.mmap_offset, buffer.mmap_offset);
	*map = 1;
	munmap(map, PAGE);
	close(dmabuf);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	ready_bytes(self->fd);
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

/* The first of the large ones. Another size lies where it would without. */
TEST_F(kept, one_large)
{
	const __u64 length = 300 * PAGE;
	struct memalloc_alloc buffer, other;

	ASSERT_EQ(0, alloc_buffer(self->fd, length, &buffer));
	ASSERT_EQ(0, alloc_buffer(self->fd, length + PAGE, &other));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	ASSERT_EQ(0, free_buffer(self->fd, other.handle));
	EXPECT_EQ(length, ready_bytes(self->fd));

	ASSERT_EQ(0, alloc_and_free(self->fd, length, &buffer));
	ASSERT_EQ(0, alloc_buffer(self->fd, length - PAGE, &other));
	EXPECT_EQ(0, ready_bytes(self->fd));
	EXPECT_EQ(0, offset_of_handle(self->fd, other.handle));
	EXPECT_EQ(length - PAGE, other.real_length);
}

/* However many clients there are. What is more goes to the CPU. */
TEST_F(kept, not_by_all)
{
	int fds[MOST_KEPT + 2 * MOST_READY];
	struct memalloc_alloc buffer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = open_device();
		ASSERT_LE(0, fds[i]);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		ASSERT_EQ(0, alloc_and_free(fds[i], PAGE, &buffer));
	EXPECT_GE((MOST_KEPT + MOST_READY) * PAGE, ready_bytes(self->fd));
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

TEST_F(kept, counted_as_freed)
{
	struct memalloc_stats before, now;
	struct memalloc_alloc buffer;
	struct memalloc_limits limits;
	struct memalloc_query query;

	ASSERT_EQ(0, get_stats(self->fd, &before));
	ASSERT_EQ(0, alloc_and_free(self->fd, 2 * PAGE - 5, &buffer));
	ASSERT_EQ(0, alloc_and_free(self->fd, 2 * PAGE, &buffer));
	EXPECT_EQ(0, get_limits(self->fd, &limits));
	EXPECT_EQ(0, limits.client_bytes);
	EXPECT_EQ(0, limits.user_buffers);

	ASSERT_EQ(0, alloc_and_free(self->fd, 2 * PAGE, &buffer));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 7, &buffer));
	EXPECT_EQ(0, query_buffer(self->fd, buffer.handle, &query));
	EXPECT_EQ(PAGE + 7, query.length);
	ASSERT_EQ(0, get_stats(self->fd, &now));
	EXPECT_STREQ("", stats_wrong(&now));
	EXPECT_EQ(before.allocs + 4, now.allocs);
	EXPECT_EQ(before.frees + 3, now.frees);
	EXPECT_EQ(before.allocated + 8 * PAGE, now.allocated);
	EXPECT_EQ(before.requested + PAGE + 7, now.requested);
	EXPECT_EQ(0, now.ready);
	EXPECT_EQ(0, get_limits(self->fd, &limits));
	EXPECT_EQ(2 * PAGE, limits.client_bytes);
	EXPECT_EQ(1, limits.client_buffers);
}

TEST_F(kept, until_a_request_would_fail)
{
	const __u64 pages = 2048;
	struct memalloc_alloc buffer;
	__u64 i;

	ASSERT_EQ(0, keep_all(self->fd));
	ASSERT_EQ(0, alloc_buffer(self->stranger, self->region, &buffer));
	ASSERT_EQ(0, free_buffer(self->stranger, buffer.handle));
	ready_bytes(self->fd);

	ASSERT_EQ(0, alloc_buffer(self->stranger, self->region - pages * PAGE, &buffer));
	ASSERT_EQ(0, keep_all(self->fd));
	for (i = 0; i < pages && !alloc_buffer(self->stranger, PAGE, &buffer); i++)
		;
	EXPECT_EQ(pages, i);
	EXPECT_EQ(-ENOMEM, alloc_buffer(self->fd, PAGE, &buffer));
}

TEST_F(kept, until_somebody_looks)
{
	struct memalloc_block blocks[4];

	ASSERT_EQ(0, keep_all(self->fd));
	EXPECT_EQ(KEPT_BYTES, ready_bytes(self->stranger));
	EXPECT_EQ(0, ready_bytes(self->stranger));
	ASSERT_EQ(0, keep_all(self->fd));
	ASSERT_EQ(1, read_layout(self->stranger, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks)));
	EXPECT_EQ(self->region, blocks[0].length);
}

TEST_F(kept, not_for_long)
{
	ASSERT_EQ(0, keep_all(self->fd));
	sleep_ms(5000);
	EXPECT_EQ(0, ready_bytes(self->fd));
}

TEST_F(kept, not_when_the_client_goes)
{
	struct memalloc_stats stats;

	ASSERT_EQ(0, keep_all(self->fd));
	close(self->fd);
	EXPECT_EQ(0, ready_bytes(self->stranger));
	EXPECT_EQ(0, get_stats(self->stranger, &stats));
	EXPECT_EQ(1, stats.free_blocks);
	EXPECT_EQ(0, stats.used);
}

/* Threads of a client, each of which has some buffers, none of which another one has. */
struct racer {
	int fd;
	int *stop;
	__u64 state;		/* of random_below() */
	unsigned long done;
	unsigned long wrong;
};

/* By the mmap offset, which lies further behind for larger buffers: whether somebody has it. */
static unsigned char taken[1 << 24];

static unsigned char *taken_at(const struct memalloc_alloc *buffer)
{
	return &taken[buffer->mmap_offset / PAGE % sizeof(taken)];
}

static void *alloc_and_free_all_the_time(void *data)
{
	struct racer *racer = data;
	struct memalloc_alloc buffers[3];
	size_t i, n;

	while (!__atomic_load_n(racer->stop, __ATOMIC_RELAXED)) {
		for (n = 0; n < ARRAY_SIZE(buffers); n++) {
			const unsigned int pages = random_below(&racer->state, 4) ?
						   1 + random_below(&racer->state, 2) :
						   16 + random_below(&racer->state, 2);

			if (alloc_buffer(racer->fd, pages * PAGE, &buffers[n]))
				break;
			racer->wrong += buffers[n].real_length != pages * PAGE;
			racer->wrong += __atomic_exchange_n(taken_at(&buffers[n]), 1,
							    __ATOMIC_RELAXED);
		}
		for (i = 0; i < n; i++) {
			__atomic_store_n(taken_at(&buffers[i]), 0, __ATOMIC_RELAXED);
			racer->wrong += free_buffer(racer->fd, buffers[i].handle) != 0;
		}
		racer->done += n;
	}
	return NULL;
}

TEST_F(kept, by_one_at_a_time)
{
	const __u64 end = now_ms() + 3000;
	struct racer racers[3] = {};
	pthread_t threads[ARRAY_SIZE(racers)];
	struct memalloc_alloc buffer;
	struct memalloc_limits limits;
	unsigned long looked = 0;
	int stop = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i] = (struct racer){ .fd = self->fd, .stop = &stop, .state = i + 1 };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, alloc_and_free_all_the_time,
					    &racers[i]));
	}
	run_on(1);
	while (now_ms() < end) {
		EXPECT_NE(~0ULL, ready_bytes(self->stranger));
		EXPECT_EQ(0, get_limits(self->stranger, &limits));
		EXPECT_EQ(0, limits.client_bytes);
		if (!alloc_buffer(self->stranger, self->region, &buffer))
			EXPECT_EQ(0, free_buffer(self->stranger, buffer.handle));
		looked++;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, racers[i].wrong);
		EXPECT_LT(100, racers[i].done);
	}
	EXPECT_LT(100, looked);
	EXPECT_EQ(0, get_limits(self->fd, &limits));
	EXPECT_EQ(0, limits.client_bytes);
	EXPECT_EQ(0, limits.client_buffers);
	EXPECT_EQ(0, alloc_buffer(self->stranger, self->region, &buffer));
}

TEST_HARNESS_MAIN
