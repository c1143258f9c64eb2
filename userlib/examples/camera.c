// SPDX-License-Identifier: MIT
/*
 * A camera driver and a program share buffers, with no copy in between.
 *
 * The driver is vivid, the kernel's virtual camera. It gets memalloc buffers as
 * dma-buf descriptors (V4L2_MEMORY_DMABUF) and writes colour bars and a frame
 * counter into them. The program reads the pixels through its own mapping of the
 * same memory, checks them, and writes the last frame as a PNG, row by row
 * straight out of the buffer.
 *
 *   camera PICTURE.png [FRAMES]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/videodev2.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"

/* One of the sizes of vivid's webcam input; RGB24 is what a PNG holds, too. */
#define WIDTH		640
#define HEIGHT		360
#define PIXEL		3
#define ROW		(WIDTH * PIXEL)
#define FRAME		(ROW * HEIGHT)

#define BUFFERS		4
#define FRAMES		12
#define FRAMES_A_SECOND	10

/* vivid prints its counter into the rows 16 to 31; what lies below is bars only. */
#define TEXT_ROWS	32

/* Entries of vivid's menus. */
#define PATTERN_100_PERCENT_BARS	1
#define OSD_COUNTERS_ONLY		1

/*
 * The bars are made of 0 and 255, which RGB24 holds exactly. One step is allowed
 * for, because vivid computes colours in sixteenths and may round.
 */
#define TOLERANCE	1

/* What a buffer holds before the camera gets it: no colour of the bars. */
#define POISON		0x5a

#define BARS		8

static const struct {
	const char *name;
	unsigned char rgb[PIXEL];
} bars[BARS] = {
	{ "white", { 255, 255, 255 } },
	{ "yellow", { 255, 255, 0 } },
	{ "cyan", { 0, 255, 255 } },
	{ "green", { 0, 255, 0 } },
	{ "magenta", { 255, 0, 255 } },
	{ "red", { 255, 0, 0 } },
	{ "blue", { 0, 0, 255 } },
	{ "black", { 0, 0, 0 } },
};

struct frame {
	struct memalloc_buffer buffer;
	unsigned char *pixels;
	int dmabuf;
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
		    capability.device_caps & V4L2_CAP_VIDEO_CAPTURE) {
			printf("  %s is the camera: \"%s\", driver %s\n", path, capability.card,
			       capability.driver);
			return fd;
		}
		close(fd);
	}
	die(-ENODEV, "no camera of the driver vivid (modprobe vivid)");
}

/* Controls of vivid's own have no public number; they are found by their names. */
static void set_control(int camera, const char *name, int value)
{
	struct v4l2_queryctrl query = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };
	struct v4l2_control control = { .value = value };

	while (!ioctl(camera, VIDIOC_QUERYCTRL, &query)) {
		if (!strcmp((char *)query.name, name)) {
			control.id = query.id;
			must_ioctl(camera, VIDIOC_S_CTRL, &control, name);
			return;
		}
		query.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
	}
	die(-ENOENT, "the camera has no control \"%s\"", name);
}

static void set_up(int camera)
{
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	struct v4l2_pix_format *pix = &format.fmt.pix;
	struct v4l2_requestbuffers request = {
		.count = BUFFERS,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct v4l2_streamparm rate = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.parm.capture.timeperframe = { 1, FRAMES_A_SECOND },
	};

	pix->width = WIDTH;
	pix->height = HEIGHT;
	pix->pixelformat = V4L2_PIX_FMT_RGB24;
	pix->field = V4L2_FIELD_NONE;
	must_ioctl(camera, VIDIOC_S_FMT, &format, "the camera's format");
	must(pix->width == WIDTH && pix->height == HEIGHT && pix->bytesperline == ROW &&
	     pix->pixelformat == V4L2_PIX_FMT_RGB24 && pix->sizeimage == FRAME,
	     "the camera can't do %d x %d in RGB24", WIDTH, HEIGHT);

	must_ioctl(camera, VIDIOC_S_PARM, &rate, "the camera's rate");
	set_control(camera, "Test Pattern", PATTERN_100_PERCENT_BARS);
	set_control(camera, "OSD Text Mode", OSD_COUNTERS_ONLY);

	must_ioctl(camera, VIDIOC_REQBUFS, &request, "the camera does not take dma-bufs");
	must(request.count == BUFFERS, "the camera wants %u buffers", request.count);
}

static struct frame make_frame(struct memalloc *mem)
{
	struct frame frame = { .buffer = new_buffer(mem, FRAME) };

	frame.pixels = map_buffer(mem, &frame.buffer);
	frame.dmabuf = export_buffer(mem, &frame.buffer);
	return frame;
}

/* Hand a buffer to the camera, wiped, so that an old picture can't pass for a new one. */
static void queue(int camera, unsigned int index, const struct frame *frame)
{
	struct v4l2_buffer buffer = {
		.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = frame->dmabuf,
	};

	sync_buffer(frame->dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	memset(frame->pixels, POISON, FRAME);
	sync_buffer(frame->dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	must_ioctl(camera, VIDIOC_QBUF, &buffer, "giving a buffer to the camera");
}

/* Wait for a picture; which buffer it is in. *@sequence: the driver's number of it. */
static unsigned int dequeue(int camera, unsigned int *sequence)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};

	must_ioctl(camera, VIDIOC_DQBUF, &buffer, "waiting for the camera");
	must(!(buffer.flags & V4L2_BUF_FLAG_ERROR) && buffer.bytesused == FRAME,
	     "the camera reports a broken picture");
	must(buffer.index < BUFFERS, "the camera returned a buffer that it never got");
	*sequence = buffer.sequence;
	return buffer.index;
}

static void check_bars(const unsigned char *pixels, int number)
{
	const unsigned char *pixel;
	int x, y, colour, bar;

	for (y = TEXT_ROWS; y < HEIGHT; y++) {
		for (x = 0; x < WIDTH; x++) {
			bar = x * BARS / WIDTH;
			pixel = pixels + y * ROW + x * PIXEL;
			for (colour = 0; colour < PIXEL; colour++)
				must(abs(pixel[colour] - bars[bar].rgb[colour]) <= TOLERANCE,
				     "frame %d: the pixel at %d,%d is %d,%d,%d, not %s",
				     number, x, y, pixel[0], pixel[1], pixel[2],
				     bars[bar].name);
		}
	}
}

/* The counter of each frame differs from the one before, whose rows are kept here. */
static void check_counter(const unsigned char *pixels, int number)
{
	static unsigned char last[ROW * TEXT_ROWS];

	must(memcmp(pixels, last, sizeof(last)), "frame %d shows the same counter as the last one",
	     number);
	memcpy(last, pixels, sizeof(last));
}

static void check(const struct frame *frame, int number)
{
	sync_buffer(frame->dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	check_bars(frame->pixels, number);
	check_counter(frame->pixels, number);
	sync_buffer(frame->dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

static void show_pixels(const unsigned char *pixels)
{
	const unsigned char *pixel;
	int bar, x;

	for (bar = 0; bar < BARS; bar++) {
		x = (2 * bar + 1) * WIDTH / (2 * BARS);
		pixel = pixels + HEIGHT / 2 * ROW + x * PIXEL;
		printf("    %-7s at %3d,%d reads %3d %3d %3d\n", bars[bar].name, x, HEIGHT / 2,
		       pixel[0], pixel[1], pixel[2]);
	}
}

static void write_png(const char *path, const unsigned char *pixels)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	FILE *file = fopen(path, "wb");
	int y;

	if (!file)
		die(-errno, "%s", path);
	/* libpng returns here, a second time, when it fails. */
	if (!info || setjmp(png_jmpbuf(png)))
		die(-EIO, "%s", path);

	png_init_io(png, file);
	png_set_IHDR(png, info, WIDTH, HEIGHT, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
		     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (y = 0; y < HEIGHT; y++)
		png_write_row(png, pixels + y * ROW);
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	if (fclose(file))
		die(-errno, "%s", path);
}

int main(int argc, char **argv)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct frame frames[BUFFERS];
	struct memalloc *mem;
	unsigned int i = 0;
	unsigned int sequence = 0, first = 0;
	int camera, number, count;

	must(argc == 2 || argc == 3, "usage: %s PICTURE.png [FRAMES]", argv[0]);
	count = argc == 3 ? atoi(argv[2]) : FRAMES;
	must(count > 1, "%s is no number of frames", argv[2]);
	mem = open_device();
	camera = open_camera();
	set_up(camera);

	for (i = 0; i < BUFFERS; i++) {
		frames[i] = make_frame(mem);
		queue(camera, i, &frames[i]);
	}
	printf("  The driver got %d buffers of %d KiB as dma-buf descriptors.\n", BUFFERS,
	       FRAME / 1024);
	show_picture(mem, "while the camera has its buffers");

	must_ioctl(camera, VIDIOC_STREAMON, &type, "starting the camera");
	for (number = 1; number <= count; number++) {
		i = dequeue(camera, &sequence);
		if (number == 1)
			first = sequence;
		check(&frames[i], number);
		if (number < count)
			queue(camera, i, &frames[i]);
	}
	printf("  %d frames arrived, %u were lost. In each, all %d pixels below the counter have\n"
	       "  their bar's colour, and the counter differs from the frame before. In the last:\n",
	       count, sequence - first + 1 - count, WIDTH * (HEIGHT - TEXT_ROWS));

	sync_buffer(frames[i].dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	show_pixels(frames[i].pixels);
	write_png(argv[1], frames[i].pixels);
	sync_buffer(frames[i].dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);

	/* Exit closes and unmaps everything; the region is as it was before. */
	return 0;
}
