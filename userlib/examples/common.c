// SPDX-License-Identifier: MIT
/* What the example programs share: giving up, and showing the region. */
#include <errno.h>
#include <inttypes.h>
#include <linux/dma-buf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common.h"

/* Characters in the picture of the region. */
#define PICTURE_WIDTH	64

void die(int err, const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(-err));
	exit(1);
}

void must(bool holds, const char *format, ...)
{
	va_list arguments;

	if (holds)
		return;
	fflush(stdout);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

void must_ioctl(int fd, unsigned long request, void *argument, const char *what)
{
	int ret;

	do {
		ret = ioctl(fd, request, argument);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		die(-errno, "%s", what);
}

struct memalloc *open_device(void)
{
	struct memalloc *mem;
	int err = memalloc_open(NULL, &mem);

	if (err)
		die(err, MEMALLOC_DEFAULT_DEVICE);
	return mem;
}

struct memalloc_buffer new_buffer(struct memalloc *mem, uint64_t length)
{
	struct memalloc_buffer buffer;
	int err = memalloc_buffer_alloc(mem, length, 0, &buffer);

	if (err)
		die(err, "can't allocate %" PRIu64 " bytes", length);
	return buffer;
}

void *map_buffer(struct memalloc *mem, const struct memalloc_buffer *buffer)
{
	void *address;
	int err = memalloc_buffer_map(mem, buffer, 0, &address);

	if (err)
		die(err, "can't map a buffer");
	return address;
}

int export_buffer(struct memalloc *mem, const struct memalloc_buffer *buffer)
{
	int fd = memalloc_buffer_export(mem, buffer, 0);

	if (fd < 0)
		die(fd, "can't export a buffer");
	return fd;
}

void sync_buffer(int dmabuf, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	must_ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync, "DMA_BUF_IOCTL_SYNC");
}

/* What a block is to this program: the character in the picture, the word in the table. */
struct look {
	char mark;
	const char *word;
};

static struct look look_of(const struct memalloc_block *block)
{
	if (block->state == MEMALLOC_BLOCK_FREE)
		return (struct look){ '.', "free" };
	if (block->state == MEMALLOC_BLOCK_QUARANTINED)
		return (struct look){ '?', "quarantined" };
	if (block->handle)
		return (struct look){ '#', "mine" };
	return (struct look){ '+', "somebody else's" };
}

struct picture {
	uint64_t region_length;
	char cells[PICTURE_WIDTH + 1];
};

/* A block marks every cell that it touches; free ones leave the others' marks alone. */
static int draw(const struct memalloc_block *block, void *data)
{
	struct picture *picture = data;
	uint64_t cell = block->offset * PICTURE_WIDTH / picture->region_length;
	uint64_t end = block->offset + block->length;

	if (block->state == MEMALLOC_BLOCK_FREE)
		return 0;
	for (; cell * picture->region_length < end * PICTURE_WIDTH; cell++)
		picture->cells[cell] = look_of(block).mark;
	return 0;
}

static int list(const struct memalloc_block *block, void *data)
{
	(void)data;
	printf("    %10llu KiB %10llu KiB   %s\n", block->offset / 1024, block->length / 1024,
	       look_of(block).word);
	return 0;
}

void show_picture(struct memalloc *mem, const char *when)
{
	struct memalloc_stats stats;
	struct picture picture;
	int err;

	err = memalloc_get_stats(mem, &stats, sizeof(stats));
	if (err)
		die(err, "statistics");
	picture.region_length = stats.region_length;
	memset(picture.cells, '.', PICTURE_WIDTH);
	picture.cells[PICTURE_WIDTH] = 0;
	err = memalloc_visit_blocks(mem, draw, &picture);
	if (err)
		die(err, "layout");

	printf("\n  The region %s:\n", when);
	printf("    %llu KiB: %llu KiB used in %llu buffers, %llu KiB free, %llu KiB in a row\n",
	       stats.region_length / 1024, stats.used / 1024, stats.buffers, stats.free / 1024,
	       stats.largest_free / 1024);
	printf("    so far %llu buffers were allocated, %llu came back, %llu requests failed\n",
	       stats.allocs, stats.frees, stats.failures);
	printf("    [%s]  # mine  + somebody else's  . free\n", picture.cells);
	fflush(stdout);
}

void show_region(struct memalloc *mem, const char *when)
{
	int err;

	show_picture(mem, when);
	printf("            offset         length   block\n");
	err = memalloc_visit_blocks(mem, list, NULL);
	if (err)
		die(err, "layout");
	printf("\n");
	fflush(stdout);
}
