// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sharing: dma-bufs of buffers, clients that import them, and descriptors that
 * are passed to another process. Drivers that import are in vivid.c and vgem.c,
 * the errnos of EXPORT and IMPORT in errors_sharing.c.
 */
#include "memalloc_test.h"

#include <linux/dma-buf.h>

#define LENGTH	(64 * KIB)

FIXTURE(share) {
	int fd;
	int other;
	struct memalloc_alloc buffer;
	char *map;
	int dmabuf;		/* opened O_RDWR */
};

FIXTURE_SETUP(share)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->other = open_device();
	ASSERT_LE(0, self->other);
	ASSERT_EQ(0, alloc_buffer(self->fd, LENGTH - 100, &self->buffer));
	self->map = map_buffer(self->fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	fill(self->map, LENGTH, 1);
	self->dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->dmabuf);
}

FIXTURE_TEARDOWN(share)
{
}

TEST_F(share, export_sets_the_descriptor_flags)
{
	int fd;

	EXPECT_EQ(FD_CLOEXEC, fcntl(self->dmabuf, F_GETFD));
	EXPECT_EQ(O_RDWR, fcntl(self->dmabuf, F_GETFL) & O_ACCMODE);
	fd = export_buffer(self->fd, self->buffer.handle, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(fd, F_GETFL) & O_ACCMODE);
}

TEST_F(share, import_good)
{
	struct memalloc_import import;
	struct memalloc_query query;
	char *map;

	ASSERT_EQ(0, import_buffer(self->other, self->dmabuf, 0, &import));
	EXPECT_NE(0, import.handle);
	EXPECT_EQ(LENGTH - 100, import.length);
	EXPECT_EQ(LENGTH, import.real_length);
	EXPECT_EQ(MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE, import.access);
	EXPECT_EQ(self->buffer.mmap_offset, import.mmap_offset);
	ASSERT_EQ(0, query_buffer(self->other, import.handle, &query));
	EXPECT_EQ(MEMALLOC_ACCESS_READ | MEMALLOC_ACCESS_WRITE, query.access);
	EXPECT_EQ(LENGTH - 100, query.length);

	map = map_at(self->other, import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	fill(map, LENGTH, 2);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
}

/* The name that a client has already is the one it gets again; one FREE gives it up. */
TEST_F(share, import_answers_the_same_handle_again)
{
	struct memalloc_import first, second;
	int again = export_buffer(self->fd, self->buffer.handle, O_RDWR);

	ASSERT_LE(0, again);
	ASSERT_EQ(0, import_buffer(self->fd, self->dmabuf, 0, &first));
	EXPECT_EQ(self->buffer.handle, first.handle);
	ASSERT_EQ(0, import_buffer(self->other, self->dmabuf, 0, &first));
	ASSERT_EQ(0, import_buffer(self->other, again, 0, &second));
	EXPECT_EQ(first.handle, second.handle);
	ASSERT_EQ(0, import_buffer(self->other, again, MEMALLOC_IMPORT_READ_ONLY, &second));
	EXPECT_NE(first.handle, second.handle);
	first = second;
	ASSERT_EQ(0, import_buffer(self->other, again, MEMALLOC_IMPORT_READ_ONLY, &second));
	EXPECT_EQ(first.handle, second.handle);
	EXPECT_EQ(0, free_buffer(self->other, second.handle));
	EXPECT_EQ(-ENOENT, free_buffer(self->other, second.handle));
}

TEST_F(share, import_is_read_only_through_a_read_only_descriptor)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY);
	struct memalloc_import import;
	struct memalloc_query query;

	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, import_buffer(self->other, dmabuf, 0, &import));
	EXPECT_EQ(MEMALLOC_ACCESS_READ, import.access);
	ASSERT_EQ(0, query_buffer(self->other, import.handle, &query));
	EXPECT_EQ(MEMALLOC_ACCESS_READ, query.access);
	EXPECT_EQ(-EACCES, map_errno(self->other, import.mmap_offset, LENGTH,
				     PROT_READ | PROT_WRITE));
	EXPECT_EQ(-EACCES, export_buffer(self->other, import.handle, O_RDWR));
}

TEST_F(share, import_is_read_only_if_asked_for)
{
	struct memalloc_import import;
	struct memalloc_query query;

	ASSERT_EQ(0, import_buffer(self->other, self->dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	EXPECT_EQ(MEMALLOC_ACCESS_READ, import.access);
	ASSERT_EQ(0, query_buffer(self->other, import.handle, &query));
	EXPECT_EQ(MEMALLOC_ACCESS_READ, query.access);
	EXPECT_EQ(-EACCES, export_buffer(self->other, import.handle, O_RDWR));
}

TEST_F(share, handles_of_a_device_opened_read_only_are_read_only)
{
	int fd = open(DEVICE, O_RDONLY);
	struct memalloc_import import;
	struct memalloc_alloc buffer;
	struct memalloc_query query;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, alloc_buffer(fd, PAGE, &buffer));
	ASSERT_EQ(0, query_buffer(fd, buffer.handle, &query));
	EXPECT_EQ(MEMALLOC_ACCESS_READ, query.access);
	ASSERT_EQ(0, import_buffer(fd, self->dmabuf, 0, &import));
	EXPECT_EQ(MEMALLOC_ACCESS_READ, import.access);
	EXPECT_EQ(-EACCES, export_buffer(fd, import.handle, O_RDWR));
}

/* Of two handles for one buffer, LAYOUT tells the writable one. */
TEST_F(share, layout_tells_the_writable_handle)
{
	struct memalloc_import read_only, writable;

	ASSERT_EQ(0, import_buffer(self->other, self->dmabuf, MEMALLOC_IMPORT_READ_ONLY,
				   &read_only));
	EXPECT_LE(0, offset_of_handle(self->other, read_only.handle));
	ASSERT_EQ(0, import_buffer(self->other, self->dmabuf, 0, &writable));
	EXPECT_LE(0, offset_of_handle(self->other, writable.handle));
	EXPECT_EQ(-1, offset_of_handle(self->other, read_only.handle));
	ASSERT_EQ(0, free_buffer(self->other, writable.handle));
	EXPECT_LE(0, offset_of_handle(self->other, read_only.handle));
}

/* Handle, mapping, dma-buf, imported handle: the last of them gives the memory back. */
TEST_F(share, memory_comes_back_with_the_last_user)
{
	struct memalloc_import import;

	ASSERT_EQ(0, import_buffer(self->other, self->dmabuf, 0, &import));
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	munmap(self->map, LENGTH);
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	ASSERT_EQ(0, free_buffer(self->other, import.handle));
	EXPECT_EQ(LENGTH, used_bytes(self->fd));
	close(self->dmabuf);
	EXPECT_EQ(0, used_bytes(self->fd));
}

TEST_F(share, export_again_after_everything_else_is_gone)
{
	struct memalloc_import import;
	char *map;

	munmap(self->map, LENGTH);
	close(self->fd);
	ASSERT_EQ(0, import_buffer(self->other, self->dmabuf, 0, &import));
	close(self->dmabuf);
	self->dmabuf = export_buffer(self->other, import.handle, O_RDWR);
	ASSERT_LE(0, self->dmabuf);
	ASSERT_EQ(0, free_buffer(self->other, import.handle));
	map = map_at(self->dmabuf, 0, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
}

TEST_F(share, dmabuf_has_the_size_of_the_buffer)
{
	EXPECT_EQ((off_t)LENGTH, lseek(self->dmabuf, 0, SEEK_END));
	EXPECT_EQ(0, lseek(self->dmabuf, 0, SEEK_SET));
}

TEST_F(share, dmabuf_maps)
{
	char *map = map_at(self->dmabuf, 0, LENGTH, PROT_READ | PROT_WRITE);
	char *part = map_at(self->dmabuf, 3 * PAGE, PAGE, PROT_READ);

	ASSERT_NE(MAP_FAILED, (void *)map);
	ASSERT_NE(MAP_FAILED, (void *)part);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	fill(map, LENGTH, 2);
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
	EXPECT_EQ(0, memcmp(part, self->map + 3 * PAGE, PAGE));

	EXPECT_EQ(-EINVAL, map_errno(self->dmabuf, 0, LENGTH + PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, map_errno(self->dmabuf, LENGTH, PAGE, PROT_READ));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				   self->dmabuf, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mremap(part, PAGE, 2 * PAGE, MREMAP_MAYMOVE));

	/* The mapping keeps the buffer when all else is gone. */
	close(self->dmabuf);
	close(self->fd);
	munmap(self->map, LENGTH);
	munmap(part, PAGE);
	EXPECT_EQ(LENGTH, used_bytes(self->other));
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 2));
	munmap(map, LENGTH);
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->other)));
}

TEST_F(share, dmabuf_opened_read_only_does_not_map_writable)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDONLY);
	char *map;

	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EACCES, map_errno(dmabuf, 0, LENGTH, PROT_READ | PROT_WRITE));
	map = map_at(dmabuf, 0, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 1));
	EXPECT_EQ(-1, mprotect(map, LENGTH, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(SIGSEGV, touch_signal(map, true));
}

static int sync_errno(int dmabuf, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return call(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
}

TEST_F(share, dmabuf_sync)
{
	const __u64 accesses[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		EXPECT_EQ(0, sync_errno(self->dmabuf, DMA_BUF_SYNC_START | accesses[i]));
		EXPECT_EQ(0, sync_errno(self->dmabuf, DMA_BUF_SYNC_END | accesses[i]));
	}
	EXPECT_EQ(-EINVAL, sync_errno(self->dmabuf, DMA_BUF_SYNC_START));
	EXPECT_EQ(-EINVAL, sync_errno(self->dmabuf, DMA_BUF_SYNC_RW | 8));
}

/*
 * Another process, with its own client, gets the descriptor over a socket and
 * writes into the buffer; it dies with everything still in its hands.
 */
TEST_F(share, passed_to_another_process)
{
	int sockets[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork_child();
	if (!child) {
		struct memalloc_import import;
		int dmabuf, client;
		char *map;

		/* What fork() gave it is not what is tested. */
		munmap(self->map, LENGTH);
		close(self->fd);
		close(self->other);
		close(self->dmabuf);
		dmabuf = receive_fd(sockets[1]);
		client = open_device();
		if (dmabuf < 0 || client < 0 || import_buffer(client, dmabuf, 0, &import))
			_exit(1);
		map = map_at(client, import.mmap_offset, LENGTH, PROT_READ | PROT_WRITE);
		if (map == MAP_FAILED || first_difference(map, LENGTH, 1) != LENGTH)
			_exit(2);
		fill(map, LENGTH, 2);
		_exit(0);
	}
	ASSERT_EQ(0, send_fd(sockets[0], self->dmabuf));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(LENGTH, first_difference(self->map, LENGTH, 2));
	close(sockets[0]);
	close(sockets[1]);
	close(self->dmabuf);
	munmap(self->map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->fd, self->buffer.handle));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

/* A buffer whose maker has died lives on with whom it was passed to. */
TEST_F(share, outlives_its_maker)
{
	struct memalloc_import import;
	int sockets[2], dmabuf;
	pid_t child;
	char *map;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork_child();
	if (!child) {
		struct memalloc_alloc buffer;
		int client = open_device();

		if (alloc_buffer(client, LENGTH, &buffer))
			_exit(1);
		map = map_buffer(client, &buffer);
		if (map == MAP_FAILED)
			_exit(2);
		fill(map, LENGTH, 7);
		if (send_fd(sockets[1], export_buffer(client, buffer.handle, O_RDWR)))
			_exit(3);
		kill(getpid(), SIGKILL);
	}
	dmabuf = receive_fd(sockets[0]);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(128 + SIGKILL, wait_child(child));
	ASSERT_EQ(0, import_buffer(self->other, dmabuf, 0, &import));
	close(dmabuf);
	map = map_at(self->other, import.mmap_offset, LENGTH, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(LENGTH, first_difference(map, LENGTH, 7));
	munmap(map, LENGTH);
	ASSERT_EQ(0, free_buffer(self->other, import.handle));
	EXPECT_TRUE(WAIT_UNTIL(used_bytes(self->other) == LENGTH));
}

/* A client's descriptor, passed on, is the same client: same handles, and it stays alive. */
TEST_F(share, client_passed_to_another_process)
{
	int sockets[2];
	char byte;
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork_child();
	if (!child) {
		int client;

		close(self->fd);
		close(self->dmabuf);
		munmap(self->map, LENGTH);
		client = receive_fd(sockets[1]);
		if (client < 0 || query_errno(client, self->buffer.handle))
			_exit(1);
		if (write(sockets[1], "", 1) != 1 || read(sockets[1], &byte, 1) != 1)
			_exit(2);
		_exit(query_errno(client, self->buffer.handle) ? 3 : 0);
	}
	ASSERT_EQ(0, send_fd(sockets[0], self->fd));
	ASSERT_EQ(1, read(sockets[0], &byte, 1));
	close(self->fd);
	close(self->dmabuf);
	munmap(self->map, LENGTH);
	EXPECT_EQ(LENGTH, used_bytes(self->other));
	ASSERT_EQ(1, write(sockets[0], "", 1));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->other)));
}

TEST_HARNESS_MAIN
