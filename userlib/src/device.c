// SPDX-License-Identifier: MIT
/* The device: opening it, and what it tells of itself. Buffers are in buffer.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device.h"

/* Blocks per LAYOUT call: 6 KiB of stack. */
#define BLOCKS_PER_CALL	256

/* Every argument begins with these two. */
struct argument_head {
	uint32_t size;
	uint32_t flags;
};

int memalloc_device_call(const struct memalloc *mem, unsigned long request, void *argument)
{
	int saved_errno = errno;
	int err = 0;

	if (ioctl(mem->fd, request, argument))
		err = -errno;
	errno = saved_errno;
	return err;
}

int memalloc_open(const char *path, struct memalloc **mem)
{
	struct memalloc_info info;
	struct memalloc *opened;
	int saved_errno = errno;
	int err;

	opened = malloc(sizeof(*opened));
	if (!opened) {
		errno = saved_errno;
		return -ENOMEM;
	}

	opened->fd = open(path ? path : MEMALLOC_DEFAULT_DEVICE, O_RDWR | O_CLOEXEC);
	if (opened->fd < 0) {
		err = -errno;
		errno = saved_errno;
		free(opened);
		return err;
	}

	/* Whatever else the file is, it does not answer this. */
	err = memalloc_get_info(opened, &info, sizeof(info));
	if (err) {
		memalloc_close(opened);
		return err;
	}
	opened->region_length = info.region_length;
	*mem = opened;
	return 0;
}

void memalloc_close(struct memalloc *mem)
{
	int saved_errno = errno;

	if (!mem)
		return;
	close(mem->fd);
	errno = saved_errno;
	free(mem);
}

int memalloc_fd(const struct memalloc *mem)
{
	return mem->fd;
}

/* Ask for a struct of which the caller may know more or less than we do. */
static int get(struct memalloc *mem, unsigned long request, void *answer, size_t size)
{
	struct argument_head head = { .size = size };

	if (size < sizeof(head))
		return -EINVAL;
	if (size > UINT32_MAX)
		return -E2BIG;
	memset(answer, 0, size);
	memcpy(answer, &head, sizeof(head));
	return memalloc_device_call(mem, request, answer);
}

int memalloc_get_info(struct memalloc *mem, struct memalloc_info *info, size_t size)
{
	return get(mem, MEMALLOC_IOC_INFO, info, size);
}

int memalloc_get_stats(struct memalloc *mem, struct memalloc_stats *stats, size_t size)
{
	return get(mem, MEMALLOC_IOC_STATS, stats, size);
}

int memalloc_visit_blocks(struct memalloc *mem,
			  int (*visit)(const struct memalloc_block *block, void *data),
			  void *data)
{
	struct memalloc_block blocks[BLOCKS_PER_CALL];
	struct memalloc_layout layout = {
		.size = sizeof(layout),
		.blocks = (uintptr_t)blocks,
		.block_size = sizeof(blocks[0]),
	};
	uint32_t i;
	int ret;

	while (layout.offset < mem->region_length) {
		layout.count = BLOCKS_PER_CALL;
		ret = memalloc_device_call(mem, MEMALLOC_IOC_LAYOUT, &layout);
		if (ret)
			return ret;
		for (i = 0; i < layout.count; i++) {
			ret = visit(&blocks[i], data);
			if (ret)
				return ret;
		}
	}
	return 0;
}
