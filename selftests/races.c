// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that make every call at the same time, on the same clients, buffers, dma-bufs and
 * mappings: all answers are ones that the header names, all figures hold, nothing is left.
 * Above all this is work for a kernel that looks for data races or wrong locking; where that is
 * the one for data races, it goes on for longer.
 */
#include "memalloc_test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <linux/dma-buf.h>

#define THREADS		4
#define CLIENTS		2
#define SLOTS		8
#define PAGES_MAX	64

/* What one thread made others find here; each field changes by itself, at any time. */
struct slot {
	int fd;			/* the client */
	__u32 handle;		/* 0: none */
	__u64 mmap_offset;
	int dmabuf;		/* -1: none */
};

static int clients[CLIENTS];
static struct slot slots[SLOTS];
static __u64 end_ms;

struct thread {
	pthread_t id;
	__u64 random;
	unsigned long *done;	/* of each call */
	const char *wrong;	/* the call that answered what it should not, */
	int answer;		/* and what */
};

#define GET(field)		__atomic_load_n(&(field), __ATOMIC_RELAXED)
#define SET(field, value)	__atomic_store_n(&(field), value, __ATOMIC_RELAXED)
#define SWAP(field, value)	__atomic_exchange_n(&(field), value, __ATOMIC_RELAXED)

/* xorshift64 of G. Marsaglia: less than @n. */
static unsigned int random_below(struct thread *thread, unsigned int n)
{
	thread->random ^= thread->random << 13;
	thread->random ^= thread->random >> 7;
	thread->random ^= thread->random << 17;
	return (thread->random >> 32) % n;
}

static struct slot *any_slot(struct thread *thread)
{
	return &slots[random_below(thread, SLOTS)];
}

static int do_alloc(struct thread *thread)
{
	int fd = clients[random_below(thread, CLIENTS)];
	__u64 pages = 1 + random_below(thread, PAGES_MAX);
	struct slot *slot = any_slot(thread);
	struct memalloc_alloc buffer;
	int err = alloc_aligned(fd, pages * PAGE, PAGE << random_below(thread, 4), &buffer);
	__u32 before;

	if (err)
		return err;
	/* If another thread gets in between, a handle stays until its client is closed. */
	before = SWAP(slot->handle, 0);
	if (before)
		free_buffer(GET(slot->fd), before);
	SET(slot->fd, fd);
	SET(slot->mmap_offset, buffer.mmap_offset);
	SET(slot->handle, buffer.handle);
	return 0;
}

static int do_free(struct thread *thread)
{
	struct slot *slot = any_slot(thread);
	__u32 handle = GET(slot->handle);

	return free_buffer(GET(slot->fd), handle);
}

static int do_query(struct thread *thread)
{
	struct slot *slot = any_slot(thread);

	return query_errno(GET(slot->fd), GET(slot->handle));
}

static int do_export(struct thread *thread)
{
	struct slot *slot = any_slot(thread);
	int dmabuf = export_buffer(GET(slot->fd), GET(slot->handle), O_RDWR | O_CLOEXEC);
	int before;

	if (dmabuf < 0)
		return dmabuf;
	before = SWAP(slot->dmabuf, dmabuf);
	if (before >= 0)
		close(before);
	return 0;
}

static int do_import(struct thread *thread)
{
	int fd = clients[random_below(thread, CLIENTS)];
	struct memalloc_import import;
	int err = import_buffer(fd, GET(any_slot(thread)->dmabuf), 0, &import);

	/* The handle may be one that the client had, and that another thread frees. */
	if (!err)
		free_buffer(fd, import.handle);
	return err;
}

static int touch(int fd, __u64 offset)
{
	char *map = map_at(fd, offset, PAGE, PROT_READ | PROT_WRITE);
	int err = 0;

	if (map == MAP_FAILED)
		return -errno;
	__atomic_store_n(map, 1, __ATOMIC_RELAXED);
	if (madvise(map, PAGE, MADV_DONTNEED))
		err = -errno;
	__atomic_load_n(map, __ATOMIC_RELAXED);
	munmap(map, PAGE);
	return err;
}

static int do_map(struct thread *thread)
{
	struct slot *slot = any_slot(thread);

	return touch(GET(slot->fd), GET(slot->mmap_offset));
}

static int do_map_dmabuf(struct thread *thread)
{
	return touch(GET(any_slot(thread)->dmabuf), 0);
}

static int do_sync(struct thread *thread)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_RW | DMA_BUF_SYNC_START };
	int dmabuf = GET(any_slot(thread)->dmabuf);
	int err = call(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);

	sync.flags = DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END;
	return err ?: call(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

static int do_stats(struct thread *thread)
{
	struct memalloc_stats stats;
	int err = get_stats(clients[random_below(thread, CLIENTS)], &stats);

	return err ?: *stats_wrong(&stats) ? -EPROTO : 0;
}

static int do_layout(struct thread *thread)
{
	struct memalloc_block blocks[64];
	__u64 offset = 0;
	__u32 count = ARRAY_SIZE(blocks);

	return get_layout(clients[random_below(thread, CLIENTS)], &offset, blocks, &count);
}

static int do_info(struct thread *thread)
{
	struct memalloc_info info;

	return get_info(clients[random_below(thread, CLIENTS)], &info);
}

/* There are never so many in one piece, but for the first moment. */
static int do_fail(struct thread *thread)
{
	int fd = clients[random_below(thread, CLIENTS)];
	struct memalloc_alloc buffer;
	struct memalloc_info info;
	int err = get_info(fd, &info) ?: alloc_buffer(fd, info.region_length, &buffer);

	if (!err)
		free_buffer(fd, buffer.handle);
	return err == -ENOMEM ? 0 : err;
}

static int do_switch(struct thread *thread)
{
	static const char *const fits[] = { "good", "first", "best", "worst", "next" };

	return switch_to(fits[random_below(thread, ARRAY_SIZE(fits))]);
}

static int do_open(struct thread *thread)
{
	struct memalloc_alloc buffer;
	int fd = open_device();
	int err;

	(void)thread;
	if (fd < 0)
		return fd;
	err = alloc_buffer(fd, PAGE, &buffer);
	close(fd);
	return err;
}

/* How often each is made, of 100 times, and what it may answer besides 0. */
static const struct {
	const char *name;
	int (*make)(struct thread *thread);
	unsigned int share;
	int errors[4];
} calls[] = {
	{ "alloc", do_alloc, 20, { -ENOMEM } },
	{ "free", do_free, 10, { -ENOENT } },
	{ "query", do_query, 8, { -ENOENT } },
	{ "export", do_export, 10, { -ENOENT } },
	/* What another thread closed may be anything by now, or nothing. */
	{ "import", do_import, 10, { -EBADF, -EINVAL } },
	{ "map", do_map, 12, { -ENOENT } },
	{ "map of a dma-buf", do_map_dmabuf, 6, { -EBADF, -EINVAL, -ENOENT, -EACCES } },
	{ "sync", do_sync, 4, { -EBADF, -ENOTTY, -EINVAL } },
	{ "stats", do_stats, 5, {} },
	{ "layout", do_layout, 4, {} },
	{ "info", do_info, 3, {} },
	{ "alloc of all", do_fail, 4, {} },
	{ "switch of the fit", do_switch, 2, {} },
	{ "open", do_open, 2, { -ENOMEM } },
};

static bool may_answer(size_t which, int answer)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls[which].errors); i++)
		if (calls[which].errors[i] == answer)
			return true;
	return !answer;
}

static void *make_calls(void *data)
{
	struct thread *thread = data;

	while (!thread->wrong && now_ms() < end_ms) {
		unsigned int pick = random_below(thread, 100);
		size_t which = 0;
		int answer;

		while (pick >= calls[which].share)
			pick -= calls[which++].share;
		answer = calls[which].make(thread);
		thread->done[which] += !answer;
		if (!may_answer(which, answer)) {
			thread->wrong = calls[which].name;
			thread->answer = answer;
		}
	}
	return NULL;
}

FIXTURE(races) {
	int fd;
};

FIXTURE_SETUP(races)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(races)
{
	switch_to("good");
}

TEST_F_TIMEOUT(races, all_calls_at_once, 400)
{
	const bool kcsan = !access("/sys/kernel/debug/kcsan", F_OK);
	unsigned long done[THREADS][ARRAY_SIZE(calls)] = {};
	struct thread threads[THREADS] = {};
	unsigned int i, share = 0;
	size_t which;

	for (which = 0; which < ARRAY_SIZE(calls); which++)
		share += calls[which].share;
	ASSERT_EQ(100, share);
	for (i = 0; i < CLIENTS; i++) {
		clients[i] = open_device();
		ASSERT_LE(0, clients[i]);
	}
	for (i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){ .fd = clients[0], .dmabuf = -1 };

	end_ms = now_ms() + (kcsan ? 60000 : 3000);
	for (i = 0; i < THREADS; i++) {
		threads[i].random = i + 1;
		threads[i].done = done[i];
		ASSERT_EQ(0, pthread_create(&threads[i].id, NULL, make_calls, &threads[i]));
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i].id, NULL));

	for (i = 0; i < THREADS; i++) {
		if (threads[i].wrong)
			TH_LOG("%s answered %d", threads[i].wrong, threads[i].answer);
		EXPECT_EQ(NULL, threads[i].wrong);
	}
	for (which = 0; which < ARRAY_SIZE(calls); which++) {
		unsigned long sum = 0;

		for (i = 0; i < THREADS; i++)
			sum += done[i][which];
		TH_LOG("%s: %lu times", calls[which].name, sum);
		EXPECT_LT(0, sum);
	}

	for (i = 0; i < SLOTS; i++)
		if (slots[i].dmabuf >= 0)
			close(slots[i].dmabuf);
	for (i = 0; i < CLIENTS; i++)
		close(clients[i]);
	EXPECT_TRUE(WAIT_UNTIL(is_idle(self->fd)));
}

TEST_HARNESS_MAIN
