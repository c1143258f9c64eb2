// SPDX-License-Identifier: MIT
/*
 * A camera whose frames come in two planes, each with a dma-buf of its own; all of them are parts
 * of one buffer, so there is one ALLOC, and both planes of a frame are one array for the program.
 *
 *   planes [FRAMES]
 *
 * The camera is vivid, loaded with multiplanar=2; its format has brightness in one plane, and
 * colour, at half the size, in the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"

#define WIDTH		640
#define HEIGHT		360
#define PLANES		2
#define BUFFERS		3
#define FRAMES		6
#define TYPE		V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE

/* What a buffer holds before the camera gets it. */
#define POISON		0x5a

struct camera {
	int fd;
	uint32_t size[PLANES];		/* bytes of a plane */
	uint32_t line;			/* bytes of a line of brightness */
	uint64_t offset[PLANES];	/* of a plane in a frame, whole pages */
	uint32_t picture[PLANES];	/* where the picture begins in a plane */
	uint64_t frame;			/* bytes of a frame in the buffer */
	struct memalloc *mem;
	struct memalloc_buffer all;	/* of all frames */
	unsigned char *bytes;
};

static int open_camera(void)
{
	struct v4l2_capability capability;
	char path[32];
	int fd, i;

	for (i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, VIDIOC_QUERYCAP, &capability) &&
		    !strcmp((char *)capability.driver, "vivid") &&
		    capability.device_caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE)
			return fd;
		close(fd);
	}
	die(-ENODEV, "no camera of vivid with several planes (modprobe vivid multiplanar=2)");
}

static uint64_t whole_pages(uint64_t bytes)
{
	const uint64_t page = getpagesize();

	return (bytes + page - 1) / page * page;
}

static void set_format(struct camera *c)
{
	struct v4l2_format format = {
		.type = TYPE,
		.fmt.pix_mp = {
			.width = WIDTH,
			.height = HEIGHT,
			.pixelformat = V4L2_PIX_FMT_NV16M,
			.field = V4L2_FIELD_NONE,
		},
	};
	struct v4l2_requestbuffers request = {
		.count = BUFFERS, .type = TYPE, .memory = V4L2_MEMORY_DMABUF,
	};
	const struct v4l2_pix_format_mplane *pix = &format.fmt.pix_mp;
	int i;

	must_ioctl(c->fd, VIDIOC_S_FMT, &format, "the camera's format");
	must(pix->num_planes == PLANES && pix->width == WIDTH && pix->height == HEIGHT &&
	     pix->pixelformat == V4L2_PIX_FMT_NV16M, "the camera has another format");
	must_ioctl(c->fd, VIDIOC_REQBUFS, &request, "the camera does not take dma-bufs");
	must(request.count == BUFFERS, "the camera wants another number of buffers");
	c->line = pix->plane_fmt[0].bytesperline;
	for (i = 0; i < PLANES; i++) {
		c->size[i] = pix->plane_fmt[i].sizeimage;
		c->offset[i] = c->frame;
		c->frame += whole_pages(c->size[i]);
	}
}

/* The camera gets the dma-bufs of a frame, and keeps them. */
static void queue(struct camera *c, int index)
{
	struct v4l2_plane planes[PLANES] = { 0 };
	struct v4l2_buffer buffer = {
		.index = index, .type = TYPE, .memory = V4L2_MEMORY_DMABUF,
		.m.planes = planes, .length = PLANES,
	};
	int i;

	for (i = 0; i < PLANES; i++) {
		planes[i].length = whole_pages(c->size[i]);
		planes[i].m.fd = memalloc_buffer_export_part(c->mem, &c->all,
							     index * c->frame + c->offset[i],
							     planes[i].length, 0);
		if (planes[i].m.fd < 0)
			die(planes[i].m.fd, "a plane can't be exported");
	}
	must_ioctl(c->fd, VIDIOC_QBUF, &buffer, "the camera does not take the planes");
	for (i = 0; i < PLANES; i++)
		close(planes[i].m.fd);
}

/* The number of the frame that the camera has written. */
static int dequeue(struct camera *c)
{
	struct v4l2_plane planes[PLANES] = { 0 };
	struct v4l2_buffer buffer = {
		.type = TYPE, .memory = V4L2_MEMORY_DMABUF, .m.planes = planes, .length = PLANES,
	};

	must_ioctl(c->fd, VIDIOC_DQBUF, &buffer, "no frame from the camera");
	must(planes[0].bytesused == c->size[0] && planes[1].bytesused == c->size[1],
	     "a plane is not full");
	c->picture[0] = planes[0].data_offset;
	c->picture[1] = planes[1].data_offset;
	return buffer.index;
}

/* Colour bars, the first one white and the last one black, of which neither has a colour. */
static void check(const struct camera *c, int index)
{
	const unsigned char *bright = c->bytes + index * c->frame + c->offset[0] +
				      c->picture[0];
	const unsigned char *colour = c->bytes + index * c->frame + c->offset[1] +
				      c->picture[1];
	const uint32_t last = (HEIGHT - 1) * c->line;
	int i;

	must(bright[last] > 150 && bright[last + WIDTH - 1] < 50, "frame %d: no bars", index);
	for (i = 0; i < 2; i++)
		must(abs(colour[last + i] - 128) < 4 && abs(colour[last + WIDTH - 2 + i] - 128) < 4,
		     "frame %d: white and black have a colour", index);
	/* Yellow has the least blue. */
	must(colour[last + 3 * WIDTH / 16 / 2 * 2] < 60, "frame %d: no yellow", index);
	/* Behind a plane, up to the next page. */
	for (i = 0; i < PLANES; i++) {
		const uint64_t end = index * c->frame + c->offset[i] + c->size[i];
		uint64_t at;

		for (at = end; at % getpagesize(); at++)
			must(c->bytes[at] == POISON, "frame %d: more than a plane was written",
			     index);
	}
}

int main(int argc, char **argv)
{
	const int frames = argc > 1 ? atoi(argv[1]) : FRAMES;
	struct camera c = { .fd = open_camera(), .mem = open_device() };
	int type = TYPE, i, index;

	set_format(&c);
	c.all = new_buffer(c.mem, BUFFERS * c.frame);
	c.bytes = map_buffer(c.mem, &c.all);
	memset(c.bytes, POISON, BUFFERS * c.frame);
	for (i = 0; i < BUFFERS; i++)
		queue(&c, i);
	must_ioctl(c.fd, VIDIOC_STREAMON, &type, "the camera does not start");
	for (i = 0; i < frames; i++) {
		index = dequeue(&c);
		check(&c, index);
		memset(c.bytes + index * c.frame, POISON, c.frame);
		queue(&c, index);
	}
	must_ioctl(c.fd, VIDIOC_STREAMOFF, &type, "the camera does not stop");
	printf("  %d frames of %d planes, of %u and %u bytes, each of which is a dma-buf; all of\n"
	       "  them are parts of one buffer.\n", frames, PLANES, c.size[0], c.size[1]);
	memalloc_buffer_free(c.mem, &c.all);
	memalloc_close(c.mem);
	return 0;
}
