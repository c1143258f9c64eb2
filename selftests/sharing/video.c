// SPDX-License-Identifier: GPL-2.0-only
/*
 * The in-kernel API, as the example of a V4L2 driver video/ uses it: frames go in by one node, a
 * device copies them, and they come out by another node. Each is in a buffer of the region, which
 * the driver has allocated or the program has.
 *
 * The boot loads the driver with its region. The device takes a fifth of a second for a frame.
 */
#include "control.h"
#include "drivers.h"
#include "handle_calls.h"

#include <glob.h>
#include <poll.h>

#define NAME		"copied"
#define FRAME		(64 * 48)

static __attribute__((constructor)) void is_for_the_drivers_region(void)
{
	setenv("MEMALLOC_NODE", "memalloc-" NAME, 1);
}

struct node {
	int fd;
	__u32 type;
	__u32 memory;
};

FIXTURE(video) {
	int fd;			/* a client of the region */
	struct node in;
	struct node out;
};

static bool open_node(struct node *node, __u32 type)
{
	node->type = type;
	node->fd = open_video("PCI:", type == V4L2_BUF_TYPE_VIDEO_OUTPUT ?
				      V4L2_CAP_VIDEO_OUTPUT : V4L2_CAP_VIDEO_CAPTURE);
	return node->fd >= 0;
}

static bool open_nodes(struct node *in, struct node *out)
{
	if (!open_node(in, V4L2_BUF_TYPE_VIDEO_OUTPUT))
		return false;
	if (open_node(out, V4L2_BUF_TYPE_VIDEO_CAPTURE))
		return true;
	close(in->fd);
	in->fd = -1;
	return false;
}

FIXTURE_SETUP(video)
{
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, no_limits());
	ASSERT_TRUE(open_nodes(&self->in, &self->out));
}

static void close_nodes(FIXTURE_DATA(video) * self)
{
	if (self->in.fd >= 0)
		close(self->in.fd);
	if (self->out.fd >= 0)
		close(self->out.fd);
	self->in.fd = -1;
	self->out.fd = -1;
}

FIXTURE_TEARDOWN(video)
{
	close_nodes(self);
	EXPECT_TRUE(WAIT_UNTIL(is_idle(self->fd)));
	close(self->fd);
}

/* How many buffers the queue got, or a negative errno. */
static int request(struct node *node, __u32 memory, __u32 count)
{
	struct v4l2_requestbuffers arg = {
		.count = count,
		.type = node->type,
		.memory = memory,
	};
	int err = call(node->fd, VIDIOC_REQBUFS, &arg);

	node->memory = memory;
	return err ? err : (int)arg.count;
}

static struct v4l2_buffer buffer_of(const struct node *node, __u32 index, int dmabuf)
{
	struct v4l2_buffer buf = {
		.index = index,
		.type = node->type,
		.memory = node->memory,
		.bytesused = FRAME,
	};

	if (node->memory == V4L2_MEMORY_DMABUF)
		buf.m.fd = dmabuf;
	return buf;
}

static char *map_frame(const struct node *node, __u32 index)
{
	struct v4l2_buffer buf = buffer_of(node, index, -1);

	if (call(node->fd, VIDIOC_QUERYBUF, &buf))
		return MAP_FAILED;
	return mmap(NULL, FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, node->fd, buf.m.offset);
}

static int export_frame(const struct node *node, __u32 index, __u32 flags)
{
	struct v4l2_exportbuffer arg = {
		.type = node->type,
		.index = index,
		.flags = flags | O_CLOEXEC,
	};
	int err = call(node->fd, VIDIOC_EXPBUF, &arg);

	return err ? err : arg.fd;
}

static int queue(const struct node *node, __u32 index, int dmabuf)
{
	struct v4l2_buffer buf = buffer_of(node, index, dmabuf);

	return call(node->fd, VIDIOC_QBUF, &buf);
}

static int stream(struct node *node, bool on)
{
	return call(node->fd, on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &node->type);
}

/* Waits for the next frame: its index, or a negative errno. */
static int dequeue(const struct node *node, __u32 *sequence)
{
	struct pollfd wait = {
		.fd = node->fd,
		.events = node->type == V4L2_BUF_TYPE_VIDEO_OUTPUT ? POLLOUT : POLLIN,
	};
	struct v4l2_buffer buf = buffer_of(node, 0, -1);
	int err;

	if (poll(&wait, 1, DEADLINE_MS) != 1)
		return -ETIMEDOUT;
	err = call(node->fd, VIDIOC_DQBUF, &buf);
	if (err)
		return err;
	if (sequence)
		*sequence = buf.sequence;
	return buf.flags & V4L2_BUF_FLAG_ERROR ? -EIO : (int)buf.index;
}

/* One frame goes through the device, in buffer 0 of each queue. */
static int copy_frame(FIXTURE_DATA(video) * self, int from, int to)
{
	return queue(&self->in, 0, from) ?: queue(&self->out, 0, to) ?:
	       stream(&self->in, true) ?: stream(&self->out, true) ?:
	       dequeue(&self->in, NULL) ?: dequeue(&self->out, NULL);
}

static int stop(FIXTURE_DATA(video) * self)
{
	return stream(&self->in, false) ?: stream(&self->out, false);
}

TEST_F(video, frames_come_out_as_they_went_in)
{
	const int frames = 5;
	char *in[2], *out[2];
	__u32 sequence;
	int i;

	ASSERT_EQ(2, request(&self->in, V4L2_MEMORY_MMAP, 2));
	ASSERT_EQ(2, request(&self->out, V4L2_MEMORY_MMAP, 2));
	EXPECT_EQ(4 * PAGE, used_bytes(self->fd));
	for (i = 0; i < 2; i++) {
		in[i] = map_frame(&self->in, i);
		out[i] = map_frame(&self->out, i);
		ASSERT_NE(MAP_FAILED, (void *)in[i]);
		ASSERT_NE(MAP_FAILED, (void *)out[i]);
		EXPECT_EQ(PAGE, first_nonzero(out[i], PAGE));
		fill(in[i], FRAME, i);
		ASSERT_EQ(0, queue(&self->in, i, -1));
		ASSERT_EQ(0, queue(&self->out, i, -1));
	}
	ASSERT_EQ(0, stream(&self->in, true));
	ASSERT_EQ(0, stream(&self->out, true));
	for (i = 0; i < frames; i++) {
		ASSERT_EQ(i % 2, dequeue(&self->in, NULL));
		ASSERT_EQ(i % 2, dequeue(&self->out, &sequence));
		EXPECT_EQ(i, sequence);
		EXPECT_EQ(FRAME, first_difference(out[i % 2], FRAME, i));
		if (i + 2 >= frames)
			continue;
		fill(in[i % 2], FRAME, i + 2);
		ASSERT_EQ(0, queue(&self->in, i % 2, -1));
		ASSERT_EQ(0, queue(&self->out, i % 2, -1));
	}
	ASSERT_EQ(0, stop(self));
	/* What is mapped stays, without its queue. */
	close_nodes(self);
	EXPECT_EQ(FRAME, first_difference(out[(frames - 1) % 2], FRAME, frames - 1));
	EXPECT_EQ(4 * PAGE, used_bytes(self->fd));
	for (i = 0; i < 2; i++) {
		munmap(in[i], FRAME);
		munmap(out[i], FRAME);
	}
}

/* The program's buffers: what goes in need not be writable. */
TEST_F(video, frames_of_the_programs_buffers)
{
	struct memalloc_alloc in, out;
	int from, to, read_only;
	char *map;

	ASSERT_EQ(0, alloc_buffer(self->fd, FRAME, &in));
	ASSERT_EQ(0, alloc_buffer(self->fd, 2 * PAGE, &out));
	map = map_buffer(self->fd, &in);
	ASSERT_NE(MAP_FAILED, (void *)map);
	fill(map, FRAME, 7);
	munmap(map, FRAME);
	from = export_buffer(self->fd, in.handle, O_RDONLY);
	to = export_buffer(self->fd, out.handle, O_RDWR);
	read_only = export_buffer(self->fd, out.handle, O_RDONLY);
	ASSERT_LE(0, from);
	ASSERT_LE(0, to);
	ASSERT_LE(0, read_only);
	ASSERT_LE(1, request(&self->in, V4L2_MEMORY_DMABUF, 1));
	ASSERT_LE(1, request(&self->out, V4L2_MEMORY_DMABUF, 1));
	EXPECT_EQ(-EACCES, queue(&self->out, 0, read_only));
	ASSERT_EQ(0, copy_frame(self, from, to));
	close(from);
	close(to);
	close(read_only);
	map = map_buffer(self->fd, &out);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(FRAME, first_difference(map, FRAME, 7));
	munmap(map, 2 * PAGE);
	/* The queues have them attached until they go. */
	EXPECT_EQ(-EBUSY, resize_buffer(self->fd, out.handle, PAGE));
	close_nodes(self);
	EXPECT_EQ(0, resize_buffer(self->fd, out.handle, PAGE));
	EXPECT_EQ(0, free_buffer(self->fd, in.handle));
	EXPECT_EQ(0, free_buffer(self->fd, out.handle));
}

/* What the driver has allocated, others import. */
TEST_F(video, frames_are_imported)
{
	struct memalloc_import import;
	char *in, *map;
	int dmabuf;

	ASSERT_EQ(1, request(&self->in, V4L2_MEMORY_MMAP, 1));
	ASSERT_EQ(1, request(&self->out, V4L2_MEMORY_MMAP, 1));
	in = map_frame(&self->in, 0);
	ASSERT_NE(MAP_FAILED, (void *)in);
	fill(in, FRAME, 9);
	munmap(in, FRAME);
	EXPECT_EQ(-EINVAL, export_frame(&self->out, 0, O_WRONLY));
	dmabuf = export_frame(&self->out, 0, O_RDONLY);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, FRAME, PROT_WRITE, MAP_SHARED, dmabuf, 0));
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, 0, &import));
	close(dmabuf);
	ASSERT_EQ(0, copy_frame(self, -1, -1));
	map = map_at(self->fd, import.mmap_offset, PAGE, PROT_READ);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(FRAME, first_difference(map, FRAME, 9));
	close_nodes(self);
	EXPECT_EQ(PAGE, used_bytes(self->fd));
	EXPECT_EQ(FRAME, first_difference(map, FRAME, 9));
	munmap(map, PAGE);
	EXPECT_EQ(0, free_buffer(self->fd, import.handle));
}

/* Killed with frames in the device: it ends with them before the memory is somebody else's. */
TEST_F(video, killed_while_frames_are_copied)
{
	struct memalloc_alloc buffer;
	struct node in, out;
	int i, ready[2];
	pid_t child;
	char *map, byte;

	close_nodes(self);
	ASSERT_EQ(0, pipe(ready));
	child = fork_child();
	if (!child) {
		if (!open_nodes(&in, &out) || request(&in, V4L2_MEMORY_MMAP, 4) != 4 ||
		    request(&out, V4L2_MEMORY_MMAP, 4) != 4)
			_exit(1);
		for (i = 0; i < 4; i++) {
			fill(map_frame(&in, i), FRAME, i);
			if (queue(&in, i, -1) || queue(&out, i, -1))
				_exit(2);
		}
		if (stream(&in, true) || stream(&out, true) || write(ready[1], "", 1) != 1)
			_exit(3);
		pause();
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	close(ready[0]);
	EXPECT_EQ(8 * PAGE, used_bytes(self->fd));
	sleep_ms(50);
	kill(child, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(child));
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
	ASSERT_EQ(0, alloc_buffer(self->fd, 8 * PAGE, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	sleep_ms(400);
	EXPECT_EQ(8 * PAGE, first_nonzero(map, 8 * PAGE));
	munmap(map, 8 * PAGE);
	EXPECT_EQ(0, free_buffer(self->fd, buffer.handle));
}

/* While its queues stream. */
TEST_F(video, device_goes)
{
	char *in, *out;
	glob_t found;

	ASSERT_EQ(1, request(&self->in, V4L2_MEMORY_MMAP, 1));
	ASSERT_EQ(1, request(&self->out, V4L2_MEMORY_MMAP, 1));
	in = map_frame(&self->in, 0);
	out = map_frame(&self->out, 0);
	ASSERT_NE(MAP_FAILED, (void *)in);
	ASSERT_NE(MAP_FAILED, (void *)out);
	fill(in, FRAME, 8);
	ASSERT_EQ(0, queue(&self->in, 0, -1));
	ASSERT_EQ(0, queue(&self->out, 0, -1));
	ASSERT_EQ(0, stream(&self->in, true));
	ASSERT_EQ(0, stream(&self->out, true));
	/* The device works on it. */
	sleep_ms(50);
	ASSERT_EQ(0, glob("/sys/bus/pci/drivers/video_copier/*/remove", 0, NULL, &found));
	ASSERT_EQ(0, write_file(found.gl_pathv[0], "1"));
	EXPECT_EQ(-ENODEV, queue(&self->in, 0, -1));
	/* The frame that was in the device is through. */
	EXPECT_EQ(FRAME, first_difference(out, FRAME, 8));
	close_nodes(self);
	EXPECT_EQ(2 * PAGE, used_bytes(self->fd));
	munmap(in, FRAME);
	munmap(out, FRAME);
	/* The next test has it again. */
	ASSERT_EQ(0, write_file("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(WAIT_UNTIL(open_nodes(&self->in, &self->out)));
	globfree(&found);
}

TEST_HARNESS_MAIN
