// SPDX-License-Identifier: GPL-2.0-only
/*
 * The camera driver vivid captures into dma-bufs of buffers. It reaches them
 * through a kernel mapping, as drivers of USB cameras do.
 */
#include "dmaheap.h"
#include "drivers.h"

#include <poll.h>

#define WIDTH	640
#define HEIGHT	360
#define FRAMES	6
#define BUFFERS	3

FIXTURE(vivid) {
	int fd;
	int video;
	__u32 size;		/* of a frame */
	__u32 line;		/* bytes of a line */
	struct memalloc_alloc buffers[BUFFERS];
	unsigned char *maps[BUFFERS];
};

/*
 * A node of a vivid device that has BUFFERS dma-bufs to come for frames of WIDTH by HEIGHT, or -1.
 * The driver fills in the rest of @format.
 */
static int open_queue(int device, __u32 type, __u32 capability, struct v4l2_format *format)
{
	struct v4l2_requestbuffers request = {
		.count = BUFFERS,
		.type = type,
		.memory = V4L2_MEMORY_DMABUF,
	};
	int video = open_vivid(device, capability);

	*format = (struct v4l2_format){
		.type = type,
		.fmt.pix = {
			.width = WIDTH,
			.height = HEIGHT,
			.pixelformat = V4L2_PIX_FMT_RGB24,
			.field = V4L2_FIELD_NONE,
		},
	};
	if (video < 0 || ioctl(video, VIDIOC_S_FMT, format) ||
	    ioctl(video, VIDIOC_REQBUFS, &request) || request.count != BUFFERS)
		return -1;
	return video;
}

FIXTURE_SETUP(vivid)
{
	struct v4l2_format format;
	int i;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	self->video = open_queue(VIVID, V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_CAP_VIDEO_CAPTURE,
				 &format);
	ASSERT_LE(0, self->video);
	ASSERT_EQ(WIDTH, format.fmt.pix.width);
	ASSERT_EQ(HEIGHT, format.fmt.pix.height);
	self->size = format.fmt.pix.sizeimage;
	self->line = format.fmt.pix.bytesperline;
	for (i = 0; i < BUFFERS; i++) {
		ASSERT_EQ(0, alloc_buffer(self->fd, self->size, &self->buffers[i]));
		self->maps[i] = map_buffer(self->fd, &self->buffers[i]);
		ASSERT_NE(MAP_FAILED, (void *)self->maps[i]);
	}
}

FIXTURE_TEARDOWN(vivid)
{
}

/* Hand buffer @index to the driver, through a descriptor that is gone afterwards. */
static int queue(FIXTURE_DATA(vivid) * self, int index, __u32 open_flags)
{
	struct v4l2_buffer buf = {
		.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	int ret;

	buf.m.fd = export_buffer(self->fd, self->buffers[index].handle, open_flags);
	if (buf.m.fd < 0)
		return buf.m.fd;
	buf.length = self->buffers[index].real_length;
	ret = call(self->video, VIDIOC_QBUF, &buf);
	close(buf.m.fd);
	return ret;
}

/* The index of the buffer with the next frame, or a negative errno. */
static int dequeue(int video, struct v4l2_buffer *buf)
{
	struct pollfd wait = { .fd = video, .events = POLLIN };
	int ret;

	*buf = (struct v4l2_buffer){
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	if (poll(&wait, 1, DEADLINE_MS) != 1)
		return -ETIMEDOUT;
	ret = call(video, VIDIOC_DQBUF, buf);
	return ret ? ret : (int)buf->index;
}

static int stream(int video, bool on)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

	return call(video, on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type);
}

TEST_F(vivid, captures_into_buffers)
{
	unsigned char *last = malloc(self->size);
	struct v4l2_buffer buf;
	int i, frame;
	__u32 sequence = 0;

	if (memory_can(MEMALLOC_MEMORY_CAN_GO))
		SKIP(return, "the kernel maps none of this memory");
	for (i = 0; i < BUFFERS; i++)
		ASSERT_EQ(0, queue(self, i, O_RDWR));
	ASSERT_EQ(0, stream(self->video, true));
	for (frame = 0; frame < FRAMES; frame++) {
		const unsigned char *first_pixel, *last_pixel;

		i = dequeue(self->video, &buf);
		ASSERT_LE(0, i);
		ASSERT_FALSE(buf.flags & V4L2_BUF_FLAG_ERROR);
		EXPECT_EQ(self->size, buf.bytesused);
		if (frame) {
			EXPECT_LT(sequence, buf.sequence);
			/* vivid writes the time into the picture. */
			EXPECT_NE(0, memcmp(last, self->maps[i], self->size));
		}
		sequence = buf.sequence;
		memcpy(last, self->maps[i], self->size);

		/* Colour bars: the bottom line begins white and ends black. */
		first_pixel = self->maps[i] + (HEIGHT - 1) * self->line;
		last_pixel = first_pixel + (WIDTH - 1) * 3;
		EXPECT_LT(150, first_pixel[0]);
		EXPECT_LT(150, first_pixel[1]);
		EXPECT_LT(150, first_pixel[2]);
		EXPECT_GT(50, last_pixel[0]);
		EXPECT_GT(50, last_pixel[1]);
		EXPECT_GT(50, last_pixel[2]);
		memset(self->maps[i], 0, self->size);
		ASSERT_EQ(0, queue(self, i, O_RDWR));
	}
	EXPECT_EQ(0, stream(self->video, false));
}

/* Before a driver does DMA, it maps the dma-buf, and says EINVAL whatever error it got. */
static int queue_dmabuf(int video, __u32 type, int index, int dmabuf, __u32 length)
{
	struct v4l2_buffer buf = {
		.index = index,
		.type = type,
		.memory = V4L2_MEMORY_DMABUF,
		.field = V4L2_FIELD_NONE,
		.length = length,
		.bytesused = length,
	};

	buf.m.fd = dmabuf;
	return call(video, VIDIOC_QBUF, &buf);
}

/* All frames in one buffer, one behind the other: each gets one of them, and stays in it. */
TEST_F(vivid, captures_into_parts)
{
	const __u64 length = self->buffers[0].real_length;
	struct memalloc_alloc all;
	struct v4l2_buffer buf;
	unsigned char *map;
	int i, part;

	if (memory_can(MEMALLOC_MEMORY_CAN_GO))
		SKIP(return, "the kernel maps none of this memory");
	ASSERT_EQ(0, alloc_buffer(self->fd, (BUFFERS + 2) * length, &all));
	map = map_buffer(self->fd, &all);
	ASSERT_NE(MAP_FAILED, (void *)map);
	for (i = 0; i < BUFFERS; i++) {
		part = export_part(self->fd, all.handle, O_RDWR, (1 + i) * length, length);
		ASSERT_LE(0, part);
		ASSERT_EQ(0, queue_dmabuf(self->video, V4L2_BUF_TYPE_VIDEO_CAPTURE, i, part,
					  length));
		close(part);
	}
	ASSERT_EQ(0, stream(self->video, true));
	for (i = 0; i < BUFFERS; i++)
		ASSERT_LE(0, dequeue(self->video, &buf));
	EXPECT_EQ(0, stream(self->video, false));
	EXPECT_EQ(length, first_nonzero(map, length));
	EXPECT_EQ(length, first_nonzero(map + (1 + BUFFERS) * length, length));
	for (i = 1; i <= BUFFERS; i++) {
		const unsigned char *pixel = map + i * length + (HEIGHT - 1) * self->line;

		EXPECT_LT(150, pixel[0]);
		EXPECT_GT(50, pixel[(WIDTH - 1) * 3]);
	}
	munmap(map, all.real_length);
}

/* The driver writes, so it does not get what is read-only; the buffer stays as it was. */
TEST_F(vivid, refuses_a_read_only_export)
{
	struct v4l2_buffer buf;

	if (memory_can(MEMALLOC_MEMORY_CAN_GO))
		SKIP(return, "the kernel maps none of this memory");
	fill(self->maps[0], self->size & -8, 1);
	EXPECT_NE(0, queue(self, 0, O_RDONLY));
	ASSERT_EQ(0, queue(self, 1, O_RDWR));
	ASSERT_EQ(0, stream(self->video, true));
	EXPECT_EQ(1, dequeue(self->video, &buf));
	EXPECT_EQ(0, stream(self->video, false));
	EXPECT_EQ(self->size & -8, first_difference(self->maps[0], self->size & -8, 1));
}

/*
 * Without bouncing. Memory of devices may lie anywhere; other regions are claimed in low memory. If
 * the kernel bounces a buffer, in pieces, these lie in one row by chance only, and the driver wants
 * one row.
 */
static bool device_reaches(FIXTURE_DATA(vivid) * self)
{
	return !(physical(self->fd, &self->buffers[0], 0) >> 32);
}

TEST_F(vivid, device_does_not_write_to_what_is_read_only)
{
	const __u32 type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct v4l2_format format;
	int video = open_queue(VIVID_DMA, type, V4L2_CAP_VIDEO_CAPTURE, &format);
	int read_only = export_buffer(self->fd, self->buffers[0].handle, O_RDONLY);
	int dmabuf = export_buffer(self->fd, self->buffers[0].handle, O_RDWR);

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	if (!device_reaches(self))
		SKIP(return, "the device has 32 address bits, and the memory lies behind these");
	ASSERT_LE(0, video);
	ASSERT_LE(0, read_only);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EINVAL, queue_dmabuf(video, type, 0, read_only, self->size));
	EXPECT_EQ(0, queue_dmabuf(video, type, 1, dmabuf, self->size));
}

/* A dma-buf heap makes what is write-only. */
TEST_F(vivid, device_does_not_read_what_is_write_only)
{
	const __u32 type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
	struct v4l2_format format;
	int video = open_queue(VIVID_DMA, type, V4L2_CAP_VIDEO_OUTPUT, &format);
	int heap = open_dmaheap();
	int write_only = dmaheap_alloc(heap, self->size, O_WRONLY);
	int dmabuf = dmaheap_alloc(heap, self->size, O_RDWR);

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	if (!device_reaches(self))
		SKIP(return, "the device has 32 address bits, and the memory lies behind these");
	ASSERT_LE(0, video);
	ASSERT_LE(0, write_only);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EINVAL, queue_dmabuf(video, type, 0, write_only, self->size));
	EXPECT_EQ(0, queue_dmabuf(video, type, 1, dmabuf, self->size));
}

/* The driver keeps what it was given, after handle, mapping and descriptor are gone. */
TEST_F(vivid, keeps_a_buffer_that_is_freed)
{
	struct v4l2_buffer buf;
	int i;

	if (memory_can(MEMALLOC_MEMORY_CAN_GO))
		SKIP(return, "the kernel maps none of this memory");
	for (i = 0; i < BUFFERS; i++) {
		ASSERT_EQ(0, queue(self, i, O_RDWR));
		ASSERT_EQ(0, free_buffer(self->fd, self->buffers[i].handle));
		munmap(self->maps[i], self->buffers[i].real_length);
	}
	EXPECT_EQ(BUFFERS * self->buffers[0].real_length, used_bytes(self->fd));
	ASSERT_EQ(0, stream(self->video, true));
	EXPECT_LE(0, dequeue(self->video, &buf));
	EXPECT_EQ(0, stream(self->video, false));
	EXPECT_EQ(BUFFERS * self->buffers[0].real_length, used_bytes(self->fd));
	close(self->video);
	EXPECT_TRUE(WAIT_UNTIL(!used_bytes(self->fd)));
}

TEST_HARNESS_MAIN
