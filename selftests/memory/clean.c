// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clean memory: what nobody could write to is not zeroed again, what somebody could is
 * zeroed in the background, and whoever allocates meanwhile notices nothing of it but
 * zeros. Several clients go through very many buffers and look for bytes that are not
 * theirs: for some seconds; CYCLES in the environment is how many it is to be instead.
 * See also zero.c.
 */
#include "drivers.h"

#include <sys/mman.h>
#include <sys/uio.h>

#define DISK		"/dev/nvme0n1"
#define DISK_AT		(48 * MIB)	/* no other test reads there */
#define LENGTH		(64 * MIB)	/* of memory that is there for the tests */
#define CLIENTS		4
#define PAGES_MOST	256	/* of a buffer that a client takes */
#define SECONDS		8

FIXTURE(clean) {
	int fd;
	__u64 used;			/* bytes that are kept from the tests: zeroing takes time */
};

/* However slow the machine is: as long as it becomes less, it is waited for. */
static bool becomes_clean(int fd)
{
	__u64 before, now = dirty_bytes(fd);

	do
		before = now;
	while (now && WAIT_UNTIL((now = dirty_bytes(fd)) < before));
	return !now;
}

FIXTURE_SETUP(clean)
{
	struct memalloc_alloc buffer;
	struct memalloc_info info;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_info(self->fd, &info));
	ASSERT_LT(LENGTH, info.region_length);
	self->used = info.region_length - LENGTH;
	ASSERT_EQ(0, alloc_buffer(self->fd, self->used, &buffer));
	ASSERT_TRUE(becomes_clean(self->fd));
}

FIXTURE_TEARDOWN(clean)
{
	EXPECT_TRUE(becomes_clean(self->fd));
}

static __u64 cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

/* Processor time, in us, of allocating that much; it is given back. */
static __u64 alloc_us(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	__u64 begin = cpu_us();

	if (alloc_buffer(fd, length, &buffer))
		return 0;
	begin = cpu_us() - begin;
	return free_buffer(fd, buffer.handle) ? 0 : begin + 1;
}

TEST_F(clean, what_nobody_could_write_stays_clean)
{
	struct memalloc_alloc buffer;
	int round, dmabuf;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
		dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
		ASSERT_LE(0, dmabuf);
		close(dmabuf);
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
		EXPECT_EQ(0, dirty_bytes(self->fd));
	}
}

/* A page that is there for a moment, and is read. */
static bool expose_page(int fd, __u64 offset)
{
	char *map = map_at(fd, offset, PAGE, PROT_READ | PROT_WRITE);

	if (map == MAP_FAILED)
		return false;
	__atomic_load_n(map, __ATOMIC_RELAXED);
	munmap(map, PAGE);
	return true;
}

/* Whether anything was written does not count, but that it could be. */
static bool expose_by_mapping(int fd, struct memalloc_alloc *buffer, int dmabuf)
{
	(void)dmabuf;
	return expose_page(fd, buffer->mmap_offset);
}

/* A mapping that begins read-only can be made writable. */
static bool expose_by_mprotect(int fd, struct memalloc_alloc *buffer, int dmabuf)
{
	char *map = map_at(fd, buffer->mmap_offset, PAGE, PROT_READ);

	(void)dmabuf;
	if (map == MAP_FAILED || mprotect(map, PAGE, PROT_READ | PROT_WRITE))
		return false;
	*map = 1;
	return !munmap(map, PAGE);
}

static bool expose_by_dmabuf_mapping(int fd, struct memalloc_alloc *buffer, int dmabuf)
{
	(void)fd;
	(void)buffer;
	return expose_page(dmabuf, 0);
}

static bool expose_to_a_device(int fd, struct memalloc_alloc *buffer, int dmabuf)
{
	int card = open_vgem();
	__s64 handle = prime_import(card, dmabuf);

	(void)fd;
	(void)buffer;
	close(card);
	return handle > 0;
}

/* Who knows the address may have had a device write there. */
static bool expose_by_address(int fd, struct memalloc_alloc *buffer, int dmabuf)
{
	struct memalloc_query query;

	(void)dmabuf;
	return !query_physical(fd, buffer->handle, &query);
}

TEST_F(clean, what_somebody_could_write_is_dirty)
{
	bool (*const expose[])(int fd, struct memalloc_alloc *buffer, int dmabuf) = {
		expose_by_mapping, expose_by_mprotect, expose_by_dmabuf_mapping,
		expose_to_a_device, expose_by_address,
	};
	const __u64 length = LENGTH / 2;
	struct memalloc_alloc buffer;
	__u64 dirty;
	size_t i;
	int dmabuf;

	for (i = 0; i < ARRAY_SIZE(expose); i++) {
		if (expose[i] == expose_to_a_device && !memory_can(MEMALLOC_MEMORY_PAGES))
			continue;
		ASSERT_EQ(0, alloc_buffer(self->fd, length, &buffer));
		dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
		ASSERT_LE(0, dmabuf);
		EXPECT_TRUE(expose[i](self->fd, &buffer, dmabuf));
		EXPECT_EQ(0, dirty_bytes(self->fd));
		close(dmabuf);
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
		EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == self->used));
		dirty = dirty_bytes(self->fd);
		EXPECT_LT(0, dirty)
			TH_LOG("exposed in way %zu", i);
		EXPECT_LE(dirty, length);
		EXPECT_TRUE(becomes_clean(self->fd));
	}
}

/*
 * Of what was mapped, the pages that nobody touched are as clean as before: nobody makes much work
 * for the background with little of his own.
 */
TEST_F(clean, what_nobody_touched_is_clean)
{
	const __u64 around = 64 * PAGE;		/* a page fault maps no more than that */
	struct memalloc_alloc buffer;
	char *map;

	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	EXPECT_EQ(0, map_errno(self->fd, buffer.mmap_offset, LENGTH, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(0, dirty_bytes(self->fd));

	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, map);
	map[LENGTH / 2] = 1;
	munmap(map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_LE(PAGE, dirty_bytes(self->fd));
	EXPECT_GE(around, dirty_bytes(self->fd));
	EXPECT_TRUE(becomes_clean(self->fd));
}

/* A buffer that was written to all over is given back. */
static int leave_dirty(int fd, __u64 length)
{
	struct memalloc_alloc buffer;
	void *map;

	if (alloc_buffer(fd, length, &buffer))
		return -1;
	map = map_buffer(fd, &buffer);
	if (map == MAP_FAILED)
		return -1;
	memset(map, 0xa5, length);
	munmap(map, length);
	return free_buffer(fd, buffer.handle);
}

/* Memory becomes clean with nobody asking for it; nothing else changes. */
TEST_F(clean, background_zeroes)
{
	struct memalloc_stats before, after;
	struct memalloc_alloc buffer;
	void *map;

	ASSERT_EQ(0, leave_dirty(self->fd, LENGTH));
	ASSERT_EQ(0, get_stats(self->fd, &before));
	EXPECT_LT(LENGTH / 2, before.dirty);
	ASSERT_TRUE(becomes_clean(self->fd));
	ASSERT_EQ(0, get_stats(self->fd, &after));
	EXPECT_TRUE(same_stats(&before, &after));

	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(LENGTH, first_nonzero(map, LENGTH));
}

/* What a pipe holds of a buffer becomes clean later than the rest, but it does. */
TEST_F(clean, what_was_held_becomes_clean)
{
	const __u64 length = 16 * PAGE;
	struct memalloc_alloc buffer;
	struct iovec held;
	char *map, seen[PAGE];
	int pipes[2];

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	ASSERT_EQ(0, alloc_buffer(self->fd, length, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	memset(map, 0xa5, length);
	held = (struct iovec){ map + 3 * PAGE, PAGE };
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &held, 1, 0));
	munmap(map, length);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_EQ(PAGE, quarantined_bytes(self->fd));
	EXPECT_TRUE(becomes_clean(self->fd));

	ASSERT_EQ(PAGE, read(pipes[0], seen, PAGE));
	EXPECT_TRUE(WAIT_UNTIL(!quarantined_bytes(self->fd)));
	EXPECT_TRUE(becomes_clean(self->fd));
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_nonzero(map, LENGTH));
}

TEST_F(clean, alloc_of_clean_memory_is_quick)
{
	const __u64 length = LENGTH / 2;
	__u64 clean, dirty;

	alloc_us(self->fd, length);
	clean = alloc_us(self->fd, length);
	ASSERT_EQ(0, make_dirty(self->fd, length));
	dirty = alloc_us(self->fd, length);
	ASSERT_LT(0, clean);
	EXPECT_LT(20 * clean, dirty);
	TH_LOG("clean: %llu us, dirty: %llu us", clean, dirty);
}

/* While it is being zeroed, all that is left can be had, in one piece or in many. */
TEST_F(clean, all_memory_is_there_while_it_is_zeroed)
{
	struct memalloc_alloc buffer;
	int round = 0, tries, client;
	__u64 dirty, end;

	/* The background may be done before this process sees that it has begun: then once more. */
	for (tries = 0; tries < 60 && round < 6; tries++) {
		ASSERT_EQ(0, make_dirty(self->fd, LENGTH));
		end = now_ms() + DEADLINE_MS;
		do
			dirty = dirty_bytes(self->fd);
		while (dirty == LENGTH && now_ms() < end);
		ASSERT_GT(LENGTH, dirty);
		if (!dirty)
			continue;
		round++;
		client = open_device();
		ASSERT_LE(0, client);
		EXPECT_EQ(0, round % 2 ? LENGTH - take_all(client) :
					 (__u64)alloc_buffer(client, LENGTH, &buffer));
		EXPECT_EQ(0, dirty_bytes(self->fd));
		close(client);
		ASSERT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == self->used));
	}
	EXPECT_EQ(6, round);
}

/*
 * Buffers are taken at the very places that are being zeroed, and written to at once,
 * the last page first. What is written stays: nothing is zeroed that is in use.
 */
TEST_F(clean, nothing_is_zeroed_under_its_owner)
{
	static struct {
		char *map;
		__u64 pages;
	} taken[4096];
	__u64 page, lost = 0, total = 0;
	struct memalloc_alloc buffer;
	int round, client, i, n;

	for (round = 0; round < 6; round++) {
		ASSERT_EQ(0, make_dirty(self->fd, LENGTH));
		client = open_device();
		ASSERT_LE(0, client);
		ASSERT_TRUE(WAIT_UNTIL(dirty_bytes(self->fd) < LENGTH));
		for (n = 0; n < (int)ARRAY_SIZE(taken); n++) {
			taken[n].pages = n % 3 ? 64 : 1 + n % 130;
			if (alloc_buffer(client, taken[n].pages * PAGE, &buffer))
				break;
			taken[n].map = map_buffer(client, &buffer);
			ASSERT_NE(MAP_FAILED, (void *)taken[n].map);
			for (page = taken[n].pages; page--;)
				*(__u64 *)(taken[n].map + page * PAGE) = pattern(n, page);
		}
		for (i = 0; i < n; i++, total++) {
			for (page = 0; page < taken[i].pages; page++)
				lost += *(__u64 *)(taken[i].map + page * PAGE) != pattern(i, page);
			munmap(taken[i].map, taken[i].pages * PAGE);
		}
		EXPECT_EQ(0, lost);
		close(client);
		ASSERT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == self->used));
	}
	/* 1,000 with pages of 4 KiB. */
	EXPECT_LT(1000 * 4 * KIB / PAGE, total);
}

/*
 * The background is about to zero a buffer's memory. Then somebody gets it, zeroed, and gives it
 * back as it is. So nothing is dirty any more as the next one gets it, and writes to it.
 */
TEST_F(clean, nothing_is_zeroed_under_the_next_owner)
{
	const __u64 length = 40 * PAGE;
	struct memalloc_alloc buffer;
	int round;
	char *map;

	for (round = 0; round < 10; round++) {
		ASSERT_EQ(0, make_dirty(self->fd, length));
		usleep(105000);
		ASSERT_EQ(0, alloc_buffer(self->fd, length, &buffer));
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
		usleep(round * 10000);
		ASSERT_EQ(0, alloc_buffer(self->fd, length, &buffer));
		map = map_buffer(self->fd, &buffer);
		ASSERT_NE(MAP_FAILED, (void *)map);
		fill(map, length, round);
		usleep(200000);
		EXPECT_EQ(length, first_difference(map, length, round));
		munmap(map, length);
		ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
		ASSERT_TRUE(WAIT_UNTIL(!dirty_bytes(self->fd)));
	}
}

/* One of several clients that go through buffers. */
struct client {
	int number;
	int fd;
	int disk;
	char *copy;		/* what the disk has, read back */
	__u64 random;
	struct {
		char *map;		/* NULL: free */
		size_t length;
		__u32 seed;
	} live[16];
};

/* What the disk is sent of a new buffer. */
static bool disk_sees_zeros(struct client *client, const char *map, size_t length)
{
	off_t at = DISK_AT + client->number * PAGES_MOST * PAGE;

	return pwrite(client->disk, map, length, at) == (ssize_t)length &&
	       pread(client->disk, client->copy, length, at) == (ssize_t)length &&
	       first_nonzero(client->copy, length) == length;
}

static bool dmabuf_is_zero(int fd, const struct memalloc_alloc *buffer)
{
	int dmabuf = export_buffer(fd, buffer->handle, O_RDONLY);
	void *map = map_at(dmabuf, 0, buffer->real_length, PROT_READ);
	bool zero = map != MAP_FAILED &&
		    first_nonzero(map, buffer->real_length) == buffer->real_length;

	if (map != MAP_FAILED)
		munmap(map, buffer->real_length);
	close(dmabuf);
	return zero;
}

/*
 * A buffer is taken, looked at, written to and kept, in place of one that still has
 * what was written to it. Many are given back unseen instead. What went wrong; or NULL.
 */
static const char *cycle(struct client *client, __u32 seed)
{
	unsigned int slot = random_below(&client->random, ARRAY_SIZE(client->live));
	unsigned int way = random_below(&client->random, 256);
	unsigned int most = random_below(&client->random, 32) ? 12 : PAGES_MOST;
	size_t length = (1 + random_below(&client->random, most)) * PAGE;
	struct memalloc_alloc buffer;
	char *map = client->live[slot].map;

	if (way < 16 && map) {
		client->live[slot].map = NULL;
		if (first_difference(map, client->live[slot].length,
				     client->live[slot].seed) != client->live[slot].length)
			return "a buffer has lost what was written to it";
		munmap(map, client->live[slot].length);
		return NULL;
	}

	if (alloc_buffer(client->fd, length, &buffer))
		return "ALLOC fails";
	if (way < 32 && !map) {
		map = map_buffer(client->fd, &buffer);
		if (map == MAP_FAILED)
			return "mmap() fails";
		if (way == 30 && !dmabuf_is_zero(client->fd, &buffer))
			return "a foreign byte in a dma-buf";
		if (way == 31 && !disk_sees_zeros(client, map, length))
			return "a foreign byte on the disk";
		if (first_nonzero(map, length) != length)
			return "a foreign byte in a mapping";
		fill(map, length, seed);
		client->live[slot].map = map;
		client->live[slot].length = length;
		client->live[slot].seed = seed;
	}
	/* The mapping, if there is one, keeps the buffer. */
	return free_buffer(client->fd, buffer.handle) ? "FREE fails" : NULL;
}

/* Until the time is over, or @cycles are done; how many it were, in *@done. */
static int run_client(int number, __u64 cycles, __u64 *done)
{
	struct client client = {
		.number = number,
		.fd = open_device(),
		.disk = open(DISK, O_RDWR | (memory_can(MEMALLOC_MEMORY_PAGES) ? O_DIRECT : 0)),
		.copy = mmap(NULL, PAGES_MOST * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		.random = 0x9e3779b97f4a7c15ULL * (number + 1),
	};
	__u64 end = now_ms() + SECONDS * 1000;
	const char *wrong = NULL;
	__u64 i;

	if (client.fd < 0 || client.disk < 0 || client.copy == MAP_FAILED)
		return 1;
	for (i = 0; !wrong && (cycles ? i < cycles : i % 64 || now_ms() < end); i++)
		wrong = cycle(&client, i * CLIENTS + number);
	*done = i;
	if (wrong)
		printf("# client %d, cycle %llu: %s\n", number, i, wrong);
	fflush(stdout);
	return !!wrong;
}

/* As long as is wanted; if it hangs, the VM's time runs out. */
TEST_F_TIMEOUT(clean, no_foreign_byte, 24 * 60 * 60)
{
	const char *wanted = getenv("CYCLES");
	__u64 cycles = wanted ? strtoull(wanted, NULL, 0) / CLIENTS : 0;
	__u64 *done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	__u64 begin = now_ms(), total = 0;
	pid_t children[CLIENTS];
	int i;

	ASSERT_NE(MAP_FAILED, (void *)done);
	for (i = 0; i < CLIENTS; i++) {
		children[i] = fork_child();
		if (!children[i])
			_exit(run_client(i, cycles, &done[i]));
	}
	for (i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(0, wait_child(children[i]));
		total += done[i];
	}
	TH_LOG("%llu buffers in %llu ms", total, now_ms() - begin);
	EXPECT_LT(200, total);
	EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->fd) == self->used));
}

TEST_HARNESS_MAIN
