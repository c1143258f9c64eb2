// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attacker gives a service a buffer and takes it away under its hands: by RESIZE, once the
 * service has it mapped and holds nothing else, no handle and no dma-buf. What it would touch
 * then is not there, and it would die of SIGBUS. But what another client has mapped is not cut
 * off.
 */
#include "hostile.h"

#define SERVICE		61012
#define LENGTH		(16 * PAGE)

FIXTURE(shrink) {
	struct scene scene;
	struct memalloc_alloc buffer;	/* mallory's */
	int to_service;		/* a socket */
	pid_t service;
};

/* Imports and maps a buffer, keeps the mapping only, and reads it when a byte comes. */
static int serve(int socket, __u32 flags)
{
	struct memalloc_import import;
	int dmabuf, fd = become(SERVICE) ?: open_device();
	char byte, *map;

	dmabuf = receive_fd(socket);
	if (fd < 0 || dmabuf < 0 || import_buffer(fd, dmabuf, flags, &import))
		return 1;
	map = map_at(fd, import.mmap_offset, LENGTH, PROT_READ);
	if (map == MAP_FAILED || free_buffer(fd, import.handle) || close(dmabuf))
		return 2;
	if (write(socket, "", 1) != 1 || read(socket, &byte, 1) != 1)
		return 3;
	return first_difference(map, LENGTH, 1) == LENGTH ? 0 : 4;
}

/* The service has mapped what mallory gave it with that access. */
static int begin_service(FIXTURE_DATA(shrink) * self, int open_flags, __u32 flags)
{
	const int fd = self->scene.mallory;
	int dmabuf, sockets[2];
	char byte, *map;

	if (alloc_buffer(fd, LENGTH, &self->buffer) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return -EPROTO;
	map = map_buffer(fd, &self->buffer);
	dmabuf = export_buffer(fd, self->buffer.handle, open_flags);
	if (map == MAP_FAILED || dmabuf < 0)
		return -EPROTO;
	fill(map, LENGTH, 1);
	munmap(map, LENGTH);
	self->service = fork_child();
	if (!self->service) {
		close(fd);
		close(dmabuf);
		close(sockets[0]);
		_exit(serve(sockets[1], flags));
	}
	close(sockets[1]);
	self->to_service = sockets[0];
	if (send_fd(self->to_service, dmabuf) || read(self->to_service, &byte, 1) != 1)
		return -EPROTO;
	return close(dmabuf) ? -errno : 0;
}

static int end_service(FIXTURE_DATA(shrink) * self)
{
	if (write(self->to_service, "", 1) != 1)
		return -errno;
	close(self->to_service);
	return wait_child(self->service);
}

FIXTURE_SETUP(shrink)
{
	ASSERT_EQ(0, begin_scene(&self->scene));
}

FIXTURE_TEARDOWN(shrink)
{
	EXPECT_STREQ("", end_scene(&self->scene));
}

TEST_F(shrink, under_a_reader)
{
	ASSERT_EQ(0, begin_service(self, O_RDONLY, 0));
	EXPECT_EQ(-EBUSY, resize_buffer(self->scene.mallory, self->buffer.handle, PAGE));
	EXPECT_EQ(0, end_service(self));
	/* With the mapping goes what it was good for. */
	EXPECT_TRUE(WAIT_UNTIL(!resize_buffer(self->scene.mallory, self->buffer.handle, PAGE)));
}

TEST_F(shrink, under_a_writer)
{
	ASSERT_EQ(0, begin_service(self, O_RDWR, 0));
	EXPECT_EQ(-EBUSY, resize_buffer(self->scene.mallory, self->buffer.handle, PAGE));
	EXPECT_EQ(0, end_service(self));
}

/* The client's own mappings are no obstacle, nor those of its children. */
TEST_F(shrink, under_oneself)
{
	const int fd = self->scene.mallory;
	char *map;

	ASSERT_EQ(0, alloc_buffer(fd, LENGTH, &self->buffer));
	map = map_buffer(fd, &self->buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(map, LENGTH, 1);
	EXPECT_EQ(0, resize_buffer(fd, self->buffer.handle, PAGE));
	EXPECT_EQ(0, touch_signal(map, false));
	EXPECT_EQ(SIGBUS, touch_signal(map + PAGE, false));
	munmap(map, LENGTH);
}

TEST_HARNESS_MAIN
