// SPDX-License-Identifier: GPL-2.0-only
/*
 * However a client ends, all that only it held comes back, and exactly once:
 * close(), exit(), and SIGKILL at any moment. Pages that are pinned meanwhile
 * are in direct.c.
 */
#include "memalloc_test.h"

FIXTURE(lifetime) {
	int fd;			/* looks on */
	struct memalloc_stats before;
};

FIXTURE_SETUP(lifetime)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, get_stats(self->fd, &self->before));
}

FIXTURE_TEARDOWN(lifetime)
{
}

/* All is back, in one block, and what was given since the test began was freed once. */
#define EXPECT_ALL_BACK()							\
do {										\
	struct memalloc_stats now;						\
										\
	EXPECT_TRUE(WAIT_UNTIL(is_idle(self->fd)));				\
	EXPECT_EQ(0, get_stats(self->fd, &now));				\
	EXPECT_EQ(now.allocated, now.freed);					\
	EXPECT_EQ(now.allocs, now.frees);					\
	EXPECT_LT(self->before.allocs, now.allocs);				\
	EXPECT_EQ(0, now.requested);						\
	EXPECT_EQ(1, now.free_blocks);						\
	EXPECT_EQ(now.region_length, now.largest_free);				\
	EXPECT_EQ(1, now.clients);						\
} while (0)

/* Buffers, mappings, dma-bufs and handles of both kinds, in every combination. */
static int hold_everything(int fd)
{
	int other = open_device();
	int i;

	for (i = 0; i < 16; i++) {
		struct memalloc_alloc buffer;
		struct memalloc_import import;
		__u32 flags = i & 4 ? MEMALLOC_IMPORT_READ_ONLY : 0;
		int dmabuf;
		char *map;

		if (alloc_buffer(fd, (i + 1) * 10000, &buffer))
			return -1;
		map = map_buffer(fd, &buffer);
		if (map == MAP_FAILED)
			return -1;
		memset(map, i, buffer.real_length);
		dmabuf = export_buffer(fd, buffer.handle, O_RDWR);
		if (dmabuf < 0 || import_buffer(other, dmabuf, flags, &import))
			return -1;
		if (map_at(dmabuf, 0, PAGE, PROT_READ) == MAP_FAILED)
			return -1;
		if (i & 1)
			close(dmabuf);
		if (i & 2 && free_buffer(fd, buffer.handle))
			return -1;
		if (i & 8)
			munmap(map, PAGE);
	}
	return 0;
}

TEST_F(lifetime, close_gives_all_back)
{
	struct memalloc_alloc buffer;
	int i, client = open_device();

	ASSERT_LE(0, client);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, alloc_buffer(client, i * 1000 + 1, &buffer));
	EXPECT_LT(100 * PAGE, used_bytes(self->fd));
	close(client);
	EXPECT_EQ(0, used_bytes(self->fd));
	EXPECT_ALL_BACK();
}

TEST_F(lifetime, exit_gives_all_back)
{
	pid_t child = fork_child();

	if (!child) {
		close(self->fd);
		_exit(hold_everything(open_device()) != 0);
	}
	ASSERT_EQ(0, wait_child(child));
	EXPECT_ALL_BACK();
}

TEST_F(lifetime, kill_gives_all_back)
{
	int round, ready[2];
	char byte;

	ASSERT_EQ(0, pipe(ready));
	for (round = 0; round < 10; round++) {
		pid_t child = fork_child();

		if (!child) {
			close(self->fd);
			if (hold_everything(open_device()))
				_exit(1);
			if (write(ready[1], "", 1) == 1)
				pause();
			_exit(2);
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		ASSERT_LT(0, used_bytes(self->fd));
		kill(child, SIGKILL);
		ASSERT_EQ(128 + SIGKILL, wait_child(child));
		EXPECT_ALL_BACK();
	}
}

/* Killed while it allocates and frees large buffers, each time a little later. */
TEST_F(lifetime, kill_while_allocating)
{
	int round, ready[2];
	char byte;

	ASSERT_EQ(0, pipe(ready));
	for (round = 0; round < 20; round++) {
		pid_t child = fork_child();

		if (!child) {
			struct memalloc_alloc buffer;
			int client = open_device();

			close(self->fd);
			if (client < 0 || write(ready[1], "", 1) != 1)
				_exit(1);
			while (!alloc_buffer(client, 24 * MIB, &buffer))
				if (free_buffer(client, buffer.handle))
					_exit(2);
			_exit(3);
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		sleep_ms(5 + 7 * round);
		kill(child, SIGKILL);
		ASSERT_EQ(128 + SIGKILL, wait_child(child));
	}
	EXPECT_ALL_BACK();
}

/*
 * Time in ms that a child has the processor while it allocates a buffer as large as
 * the region, all of which has to be zeroed; it is killed after @delay ms, or never (0).
 * ~0: it did not end so.
 */
static __u64 large_alloc_ms(int fd, __u64 length, __u64 delay)
{
	int ready[2], status;
	struct rusage usage;
	char byte;
	pid_t child;

	if (pipe(ready) || make_dirty(fd, length))
		return ~0ULL;
	child = fork_child();
	if (!child) {
		struct memalloc_alloc buffer;
		int client = open_device();

		if (client < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(alloc_buffer(client, length, &buffer) ? 2 : 0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return ~0ULL;
	close(ready[0]);
	if (delay) {
		sleep_ms(delay);
		kill(child, SIGKILL);
	}
	if (wait4(child, &status, 0, &usage) != child || status != (delay ? SIGKILL : 0))
		return ~0ULL;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* A fatal signal ends the clearing of a large buffer, not only what follows it. */
TEST_F(lifetime, kill_during_a_large_alloc_is_quick)
{
	__u64 whole, killed = ~0ULL;
	int attempt;

	/* The first time takes longer, for reasons that are not ours. */
	whole = large_alloc_ms(self->fd, self->before.region_length, 0);
	ASSERT_TRUE(WAIT_UNTIL(is_idle(self->fd)));
	whole = large_alloc_ms(self->fd, self->before.region_length, 0);
	ASSERT_TRUE(WAIT_UNTIL(is_idle(self->fd)));
	ASSERT_LT(whole, ~0ULL);
	ASSERT_LT(8, whole);
	/* Now and then the signal comes late; but not always. */
	for (attempt = 0; attempt < 10 && killed >= whole * 5 / 8; attempt++) {
		killed = large_alloc_ms(self->fd, self->before.region_length, whole / 8);
		ASSERT_TRUE(WAIT_UNTIL(is_idle(self->fd)));
	}
	EXPECT_LT(killed, whole * 5 / 8)
		TH_LOG("undisturbed it takes %llu ms", whole);
	EXPECT_ALL_BACK();
}

/* A second descriptor of the same open file keeps the client. */
TEST_F(lifetime, dup_keeps_the_client)
{
	struct memalloc_alloc buffer;
	int client = open_device();
	int second = dup(client);

	ASSERT_LE(0, second);
	ASSERT_EQ(0, alloc_buffer(client, PAGE, &buffer));
	close(client);
	EXPECT_EQ(PAGE, used_bytes(self->fd));
	EXPECT_EQ(0, query_errno(second, buffer.handle));
	close(second);
	EXPECT_EQ(0, used_bytes(self->fd));
	EXPECT_ALL_BACK();
}

/* A child shares its parent's client and keeps it when the parent lets go. */
TEST_F(lifetime, fork_keeps_the_client)
{
	struct memalloc_alloc buffer;
	int go[2], client = open_device();
	char byte;
	pid_t child;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, alloc_buffer(client, PAGE, &buffer));
	child = fork_child();
	if (!child) {
		close(self->fd);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(query_errno(client, buffer.handle) ? 2 : 0);
	}
	close(client);
	EXPECT_EQ(PAGE, used_bytes(self->fd));
	ASSERT_EQ(1, write(go[1], "", 1));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_ALL_BACK();
}

/* Only what the client holds alone: another's handle keeps its buffer. */
TEST_F(lifetime, close_leaves_others_alone)
{
	int client = open_device(), other = open_device();
	struct memalloc_alloc a, b;
	struct memalloc_import import;
	int dmabuf;

	ASSERT_EQ(0, alloc_buffer(client, PAGE, &a));
	ASSERT_EQ(0, alloc_buffer(client, 2 * PAGE, &b));
	dmabuf = export_buffer(client, b.handle, O_RDWR);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	close(dmabuf);
	close(client);
	EXPECT_EQ(2 * PAGE, used_bytes(self->fd));
	EXPECT_EQ(0, query_errno(other, import.handle));
	close(other);
	EXPECT_ALL_BACK();
}

/* Two processes race to import, free and close the same dma-buf; nothing is lost or freed twice. */
TEST_F(lifetime, racing_imports)
{
	struct memalloc_alloc buffer;
	int client = open_device(), dmabuf, i;
	pid_t children[2];

	ASSERT_EQ(0, alloc_buffer(client, 3 * PAGE, &buffer));
	dmabuf = export_buffer(client, buffer.handle, O_RDWR);
	ASSERT_LE(0, dmabuf);
	for (i = 0; i < 2; i++) {
		children[i] = fork_child();
		if (!children[i]) {
			struct memalloc_import import;
			int round, ret;

			/* The one client of both, so that they give up each other's handle. */
			for (round = 0; round < 3000; round++) {
				ret = import_buffer(client, dmabuf, MEMALLOC_IMPORT_READ_ONLY,
						    &import);
				if (ret)
					_exit(1);
				ret = free_buffer(client, import.handle);
				if (ret && ret != -ENOENT)
					_exit(2);
			}
			_exit(0);
		}
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, wait_child(children[i]));
	close(dmabuf);
	EXPECT_EQ(3 * PAGE, used_bytes(self->fd));
	EXPECT_EQ(0, free_buffer(client, buffer.handle));
	close(client);
	EXPECT_ALL_BACK();
}

TEST_HARNESS_MAIN
