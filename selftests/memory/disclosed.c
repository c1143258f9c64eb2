// SPDX-License-Identifier: GPL-2.0-only
/*
 * Physical addresses: who gets them, and that memory whose address was disclosed is
 * not given out again before those who know it, or else an administrator, have promised
 * that no device writes there any more.
 */
#include "memalloc_test.h"

#include <sys/uio.h>

#define LENGTH	(8 * PAGE)

FIXTURE(disclosed) {
	int fd;
	int watcher;		/* a client that has nothing */
	struct memalloc_alloc buffer;
	__u64 offset;		/* of its block */
};

FIXTURE_SETUP(disclosed)
{
	self->watcher = open_idle_device();
	ASSERT_LE(0, self->watcher);
	/* It has its place before it is told, too. */
	ASSERT_EQ(0, move_on_demand(false));
	self->fd = open_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH, &self->buffer));
	self->offset = offset_of_handle(self->fd, self->buffer.handle);
}

FIXTURE_TEARDOWN(disclosed)
{
	release_all(self->watcher);
	keep_ready(true);
	move_on_demand(true);
}

/* The region's first physical address, as QUERY tells it of this buffer. */
static __u64 tell(int fd, __u32 handle)
{
	struct memalloc_query query;

	return query_physical(fd, handle, &query) ? 0 : query.physical;
}

static __u64 retained_bytes(int fd)
{
	struct memalloc_stats stats;

	return get_stats(fd, &stats) || *stats_wrong(&stats) ? ~0ULL : stats.retained;
}

/* The state of the block at @offset. */
static int state_at(int fd, __u64 offset)
{
	struct memalloc_block block;
	__u32 count = 1;

	return get_layout(fd, &offset, &block, &count) ? -1 : (int)block.state;
}

/* Another client's handle for the buffer. */
static __u32 import_handle(int fd, const struct memalloc_alloc *buffer, int other, int access)
{
	int dmabuf = export_buffer(fd, buffer->handle, access | O_CLOEXEC);
	struct memalloc_import import = {};

	import_buffer(other, dmabuf, 0, &import);
	close(dmabuf);
	return import.handle;
}

#define EXPECT_RETAINED()							\
do {										\
	EXPECT_TRUE(WAIT_UNTIL(retained_bytes(self->watcher) == LENGTH));	\
	EXPECT_EQ(LENGTH, quarantined_bytes(self->watcher));			\
	EXPECT_EQ(LENGTH, used_bytes(self->watcher));				\
	EXPECT_EQ(MEMALLOC_BLOCK_RETAINED, state_at(self->watcher, self->offset)); \
} while (0)

#define EXPECT_RETURNED()	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->watcher)))

/* As the kernel's own table of this process's pages says. */
TEST_F(disclosed, where_it_lies)
{
	struct memalloc_query query;
	__u64 at;

	ASSERT_EQ(0, query_physical(self->fd, self->buffer.handle, &query));
	for (at = 0; at < LENGTH; at += PAGE)
		EXPECT_EQ(query.physical + at, physical(self->fd, &self->buffer, at));
	ASSERT_EQ(0, query_buffer(self->fd, self->buffer.handle, &query));
	EXPECT_EQ(0, query.physical);
	EXPECT_EQ(0, free_buffer(self->fd, self->buffer.handle));
}

/* FREE is the promise. */
TEST_F(disclosed, freed_returns)
{
	ASSERT_NE(0, tell(self->fd, self->buffer.handle));
	EXPECT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(0, used_bytes(self->watcher));
	EXPECT_EQ(0, retained_bytes(self->watcher));
}

/* A client that does not know the address may end without FREE. */
TEST_F(disclosed, closed_returns_if_not_told)
{
	ASSERT_EQ(0, query_errno(self->fd, self->buffer.handle));
	close(self->fd);
	EXPECT_RETURNED();
}

TEST_F(disclosed, closed_stays)
{
	ASSERT_NE(0, tell(self->fd, self->buffer.handle));
	close(self->fd);
	EXPECT_RETAINED();
	/* Time does not heal it, nor does need. */
	sleep_ms(200);
	take_all(self->watcher);
	EXPECT_EQ(MEMALLOC_BLOCK_RETAINED, state_at(self->watcher, self->offset));
	EXPECT_EQ(LENGTH, retained_bytes(self->watcher));
	EXPECT_EQ(0, release_block(self->watcher, self->offset, LENGTH));
	EXPECT_EQ(0, quarantined_bytes(self->watcher));
	EXPECT_EQ(LENGTH, take_all(self->watcher));
}

TEST_F(disclosed, killed_stays)
{
	pid_t child;

	/* So that the child's buffer lies where this one did. */
	ASSERT_EQ(0, keep_ready(false));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	child = fork_child();
	if (!child) {
		int client = open_device();

		if (alloc_buffer(client, LENGTH, &self->buffer) ||
		    !tell(client, self->buffer.handle))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_RETAINED();
	EXPECT_EQ(0, release_block(self->watcher, self->offset, 0));
	EXPECT_RETURNED();
}

/* Each client that knows the address has to promise; the promise of one counts for no other. */
TEST_F(disclosed, each_client_promises)
{
	int other = open_device();
	__u32 handle = import_handle(self->fd, &self->buffer, other, O_RDWR);

	ASSERT_NE(0, tell(self->fd, self->buffer.handle));
	ASSERT_NE(0, tell(other, handle));
	close(other);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_RETAINED();
	EXPECT_EQ(0, release_all(self->watcher));
	EXPECT_RETURNED();
}

TEST_F(disclosed, others_need_not_promise)
{
	int other = open_device();

	ASSERT_NE(0, import_handle(self->fd, &self->buffer, other, O_RDWR));
	ASSERT_NE(0, tell(self->fd, self->buffer.handle));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	close(other);
	EXPECT_RETURNED();
}

/* So does each handle of one client. */
TEST_F(disclosed, each_handle_promises)
{
	__u32 handle = import_handle(self->fd, &self->buffer, self->fd, O_RDONLY);

	ASSERT_NE(self->buffer.handle, handle);
	ASSERT_EQ(tell(self->fd, handle), tell(self->fd, self->buffer.handle));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	close(self->fd);
	EXPECT_RETAINED();
	EXPECT_EQ(0, release_all(self->watcher));
	EXPECT_RETURNED();
}

/* As long as there are users it is theirs, and nobody's to release. */
TEST_F(disclosed, users_come_first)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR);

	ASSERT_LE(0, dmabuf);
	ASSERT_NE(0, tell(self->fd, self->buffer.handle));
	close(self->fd);
	ASSERT_TRUE(WAIT_UNTIL(state_at(self->watcher, self->offset) == MEMALLOC_BLOCK_USED));
	EXPECT_EQ(0, retained_bytes(self->watcher));
	EXPECT_EQ(-ENOENT, release_block(self->watcher, self->offset, LENGTH));
	EXPECT_EQ(0, release_all(self->watcher));
	close(dmabuf);
	EXPECT_RETAINED();
	EXPECT_EQ(0, release_block(self->watcher, self->offset, LENGTH));
	EXPECT_RETURNED();
}

/* The address may have been read where copying it failed later. */
TEST_F(disclosed, efault_counts_as_told)
{
	struct memalloc_query *query = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)query);
	*query = (struct memalloc_query){
		.size = sizeof(*query),
		.flags = MEMALLOC_QUERY_PHYSICAL,
		.handle = self->buffer.handle,
	};
	ASSERT_EQ(0, mprotect(query, PAGE, PROT_READ));
	ASSERT_EQ(-EFAULT, call(self->fd, MEMALLOC_IOC_QUERY, query));
	close(self->fd);
	EXPECT_RETAINED();
}

/* Released while a pipe holds a page of it: quarantined as any other. */
TEST_F(disclosed, released_while_pinned)
{
	struct iovec data = { map_buffer(self->fd, &self->buffer), PAGE };
	char seen[PAGE];
	int pipes[2];

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	ASSERT_NE(MAP_FAILED, data.iov_base);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, vmsplice(pipes[1], &data, 1, 0));
	munmap(data.iov_base, LENGTH);
	ASSERT_NE(0, tell(self->fd, self->buffer.handle));
	close(self->fd);
	EXPECT_RETAINED();
	EXPECT_EQ(0, release_block(self->watcher, self->offset, LENGTH));
	EXPECT_EQ(0, retained_bytes(self->watcher));
	EXPECT_NE(0, quarantined_bytes(self->watcher));
	EXPECT_EQ(MEMALLOC_BLOCK_QUARANTINED, state_at(self->watcher, self->offset));
	EXPECT_EQ(-ENOENT, release_block(self->watcher, self->offset, LENGTH));
	ASSERT_EQ(PAGE, read(pipes[0], seen, PAGE));
	EXPECT_RETURNED();
}

/* One of several, in any order. */
TEST_F(disclosed, released_one_by_one)
{
	struct memalloc_alloc buffers[3];
	__u64 offsets[3];
	int i;

	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, (i + 1) * PAGE, &buffers[i]));
		offsets[i] = offset_of_handle(self->fd, buffers[i].handle);
		ASSERT_NE(0, tell(self->fd, buffers[i].handle));
	}
	close(self->fd);
	ASSERT_TRUE(WAIT_UNTIL(retained_bytes(self->watcher) == 6 * PAGE));
	EXPECT_EQ(0, release_block(self->watcher, offsets[1], 2 * PAGE));
	EXPECT_EQ(4 * PAGE, used_bytes(self->watcher));
	EXPECT_EQ(MEMALLOC_BLOCK_FREE, state_at(self->watcher, offsets[1]));
	EXPECT_EQ(4 * PAGE, retained_bytes(self->watcher));
	EXPECT_EQ(0, release_all(self->watcher));
	EXPECT_EQ(0, used_bytes(self->watcher));
}

/* Nobody without the capability learns an address, by an answer or by errors. */
TEST_F(disclosed, eperm_unprivileged)
{
	pid_t child = fork_child();

	if (!child) {
		struct memalloc_query query;
		struct memalloc_alloc placed = { .size = sizeof(placed), .length = PAGE };

		if (drop_privileges())
			_exit(1);
		if (query_physical(self->fd, self->buffer.handle, &query) != -EPERM ||
		    query.physical)
			_exit(2);
		if (query_physical(self->fd, 1000, &query) != -EPERM)
			_exit(3);
		if (query_errno(self->fd, self->buffer.handle))
			_exit(4);
		for (placed.window_end = 1; placed.window_end; placed.window_end <<= 1)
			if (call(self->fd, MEMALLOC_IOC_ALLOC, &placed) != -EPERM)
				_exit(5);
		placed.window_start = 1;
		if (call(self->fd, MEMALLOC_IOC_ALLOC, &placed) != -EPERM)
			_exit(6);
		if (release_all(self->fd) != -EPERM ||
		    release_block(self->fd, self->offset, 0) != -EPERM)
			_exit(7);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(child));
	/* And so the address does not count as disclosed. */
	close(self->fd);
	EXPECT_RETURNED();
}

TEST_HARNESS_MAIN
