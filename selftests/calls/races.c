// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that make every call at the same time, on the same clients, buffers, dma-bufs and
 * mappings: all answers are ones that the header names, all figures hold, nothing is left.
 * Above all this is work for a kernel that looks for data races or wrong locking. So that any two
 * calls meet often, each pair is favoured for a while, one pair after the other. Where the kernel
 * is the one for data races, more calls are made: it watches few accesses.
 */
#include "dmaheap.h"

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
static int heap;	/* the region as a dma-buf heap */
static struct slot slots[SLOTS];
static unsigned long calls_begun;
static unsigned long calls_wanted;

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

static int any_client(struct thread *thread)
{
	return clients[random_below(&thread->random, CLIENTS)];
}

static struct slot *any_slot(struct thread *thread)
{
	return &slots[random_below(&thread->random, SLOTS)];
}

/* If another thread gets in between, a handle stays until its client is closed. */
static void put_in_slot(struct slot *slot, int fd, const struct memalloc_alloc *buffer)
{
	__u32 before = SWAP(slot->handle, 0);

	if (before)
		free_buffer(GET(slot->fd), before);
	SET(slot->fd, fd);
	SET(slot->mmap_offset, buffer->mmap_offset);
	SET(slot->handle, buffer->handle);
}

static int do_alloc(struct thread *thread)
{
	int fd = any_client(thread);
	__u64 pages = 1 + random_below(&thread->random, PAGES_MAX);
	__u64 align = PAGE << random_below(&thread->random, 4);
	struct memalloc_alloc buffer;
	int err = alloc_aligned(fd, pages * PAGE, align, &buffer);

	if (err)
		return err;
	put_in_slot(any_slot(thread), fd, &buffer);
	return 0;
}

static int do_free(struct thread *thread)
{
	struct slot *slot = any_slot(thread);
	__u32 handle = GET(slot->handle);

	return free_buffer(GET(slot->fd), handle);
}

/* Three, of which others may find the first. */
static int do_alloc_batch(struct thread *thread)
{
	int fd = any_client(thread);
	struct memalloc_alloc buffers[3];
	int err = alloc_batch(fd, buffers, ARRAY_SIZE(buffers), PAGE * 2);

	if (err)
		return err;
	put_in_slot(any_slot(thread), fd, &buffers[0]);
	return free_batch(fd, buffers + 1, 2);
}

/* What others may free at the same time, and if so one that they may not, which then stays. */
static int do_free_batch(struct thread *thread)
{
	struct slot *slot = any_slot(thread);
	int fd = GET(slot->fd);
	struct memalloc_alloc buffers[2] = {};
	int err = alloc_buffer(fd, PAGE, &buffers[0]);

	if (err)
		return err;
	buffers[1].handle = GET(slot->handle);
	err = free_batch(fd, buffers, 2);
	return err && free_buffer(fd, buffers[0].handle) ? -EPROTO : err;
}

static int do_resize(struct thread *thread)
{
	struct slot *slot = any_slot(thread);
	__u64 pages = 1 + random_below(&thread->random, PAGES_MAX);

	return resize_buffer(GET(slot->fd), GET(slot->handle), pages * PAGE);
}

static int do_name(struct thread *thread)
{
	static const char *const names[] = { "", "aaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" };
	struct slot *slot = any_slot(thread);

	return name_buffer(GET(slot->fd), GET(slot->handle),
			   names[random_below(&thread->random, ARRAY_SIZE(names))]);
}

/* A name is all of one of those above. */
static int do_query(struct thread *thread)
{
	struct slot *slot = any_slot(thread);
	struct memalloc_query query;
	int err = query_buffer(GET(slot->fd), GET(slot->handle), &query);
	size_t length = strlen((char *)query.name);

	if (err)
		return err;
	return length != (query.name[0] == 'a' ? 8 : query.name[0] == 'b' ? 31 : 0) ? -EPROTO : 0;
}

static int do_query_address(struct thread *thread)
{
	struct slot *slot = any_slot(thread);
	struct memalloc_query query;

	return query_physical(GET(slot->fd), GET(slot->handle), &query);
}

static int do_release(struct thread *thread)
{
	return release_all(any_client(thread));
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
	int fd = any_client(thread);
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

static int do_heap_alloc(struct thread *thread)
{
	__u64 pages = 1 + random_below(&thread->random, PAGES_MAX);
	int dmabuf = dmaheap_alloc(heap, pages * PAGE, O_RDWR);
	int before;

	if (dmabuf < 0)
		return dmabuf;
	before = SWAP(any_slot(thread)->dmabuf, dmabuf);
	if (before >= 0)
		close(before);
	return 0;
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

static int do_sync_range(struct thread *thread)
{
	__u32 end = random_below(&thread->random, 2) ? MEMALLOC_SYNC_END : 0;
	__u64 length = 1 + random_below(&thread->random, PAGE);
	struct slot *slot = any_slot(thread);

	return sync_range(GET(slot->fd), GET(slot->handle), 0, length,
			  MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE | end);
}

static int do_stats(struct thread *thread)
{
	struct memalloc_stats stats;
	int err = get_stats(any_client(thread), &stats);

	return err ?: *stats_wrong(&stats) ? -EPROTO : 0;
}

static int do_layout(struct thread *thread)
{
	struct memalloc_block blocks[64];
	__u64 offset = 0;
	__u32 count = ARRAY_SIZE(blocks);

	return get_layout(any_client(thread), &offset, blocks, &count);
}

static int do_info(struct thread *thread)
{
	struct memalloc_info info;

	return get_info(any_client(thread), &info);
}

/* Large ones, so that no other call answers EDQUOT; the thread is root and may raise them. */
static int do_limits(struct thread *thread)
{
	int fd = any_client(thread);
	__u64 limit = MEMALLOC_NO_LIMIT - random_below(&thread->random, 100);
	struct memalloc_limits limits;

	return set_limits(fd, MEMALLOC_LIMITS_SET_BYTES, limit, 0) ?:
	       set_attribute("client_buffers", limit & 1 ? "0" : "1T") ?:
	       get_limits(fd, &limits) ?:
	       limits.client_bytes > limits.user_bytes ? -EPROTO : 0;
}

/* There are never so many in one piece, but for the first moment. */
static int do_fail(struct thread *thread)
{
	int fd = any_client(thread);
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

	return switch_to(fits[random_below(&thread->random, ARRAY_SIZE(fits))]);
}

/* Half of them leave something for do_release(). */
static int do_open(struct thread *thread)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	int fd = open_device();
	int err;

	if (fd < 0)
		return fd;
	err = alloc_buffer(fd, PAGE, &buffer);
	if (!err && random_below(&thread->random, 2))
		err = query_physical(fd, buffer.handle, &query);
	close(fd);
	return err;
}

/* How often each is made, of 100 times, and what it may answer besides 0. */
static const struct {
	const char *name;
	int (*make)(struct thread *thread);
	unsigned int share;
	int errors[5];
} calls[] = {
	{ "alloc", do_alloc, 15, { -ENOMEM } },
	{ "alloc of a batch", do_alloc_batch, 3, { -ENOMEM } },
	{ "alloc through the dma-heap", do_heap_alloc, 2, { -ENOMEM } },
	{ "free", do_free, 8, { -ENOENT } },
	{ "free of a batch", do_free_batch, 2, { -ENOMEM, -ENOENT } },
	{ "resize", do_resize, 5, { -ENOENT, -EBUSY, -EACCES, -ENOMEM, -ENOSPC } },
	{ "name", do_name, 2, { -ENOENT, -EACCES } },
	{ "query", do_query, 5, { -ENOENT } },
	{ "query of the address", do_query_address, 3, { -ENOENT } },
	{ "export", do_export, 8, { -ENOENT } },
	/* What another thread closed may be anything by now, or nothing. */
	{ "import", do_import, 9, { -EBADF, -EINVAL } },
	{ "map", do_map, 7, { -ENOENT } },
	{ "map of a dma-buf", do_map_dmabuf, 6, { -EBADF, -EINVAL, -ENOENT, -EACCES } },
	{ "sync", do_sync, 2, { -EBADF, -ENOTTY, -EINVAL } },
	{ "sync of a range", do_sync_range, 2, { -ENOENT } },
	{ "stats", do_stats, 3, {} },
	{ "limits", do_limits, 3, {} },
	{ "layout", do_layout, 3, {} },
	{ "info", do_info, 3, {} },
	{ "alloc of all", do_fail, 3, {} },
	{ "switch of the fit", do_switch, 2, {} },
	{ "open", do_open, 2, { -ENOMEM } },
	{ "release", do_release, 2, {} },
};

static bool may_answer(size_t which, int answer)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls[which].errors); i++)
		if (calls[which].errors[i] == answer)
			return true;
	return !answer;
}

/* One in three is any, the others are of the pair whose turn it is after @begun calls. */
static size_t pick_call(struct thread *thread, unsigned long begun)
{
	unsigned int pair = begun * ARRAY_SIZE(calls) * ARRAY_SIZE(calls) / calls_wanted;
	unsigned int pick = random_below(&thread->random, 100);
	size_t which = 0;

	switch (random_below(&thread->random, 3)) {
	case 0:
		while (pick >= calls[which].share)
			pick -= calls[which++].share;
		return which;
	case 1:
		return pair / ARRAY_SIZE(calls);
	default:
		return pair % ARRAY_SIZE(calls);
	}
}

static void *make_calls(void *data)
{
	struct thread *thread = data;

	while (!thread->wrong) {
		unsigned long begun = __atomic_fetch_add(&calls_begun, 1, __ATOMIC_RELAXED);
		size_t which;
		int answer;

		if (begun >= calls_wanted)
			break;
		which = pick_call(thread, begun);
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
	set_attribute("client_buffers", "0");
}

TEST_F_TIMEOUT(races, all_calls_at_once, 1000)
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
	heap = open_dmaheap();
	ASSERT_LE(0, heap);
	for (i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){ .fd = clients[0], .dmabuf = -1 };

	calls_wanted = kcsan ? 600000 : 40000;
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
	EXPECT_TRUE(WAIT_UNTIL(!release_all(self->fd) && is_idle(self->fd)));
}

TEST_HARNESS_MAIN
