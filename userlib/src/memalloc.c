// SPDX-License-Identifier: MIT
/*
 * Opening a backend, and what it tells of itself. What differs between the backends is
 * in device.c and process/; buffers are in buffer.c.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "process/process.h"

/* Blocks per LAYOUT call: 6 KiB of stack. */
#define BLOCKS_PER_CALL	256

/* Bytes that memory of the process has by default, as many as the module's region. */
#define DEFAULT_LENGTH	(64ULL << 20)

/* The region that has the short node. */
#define MEMALLOC_DEFAULT_REGION	"memalloc"

/* Every argument begins with these two. */
struct argument_head {
	uint32_t size;
	uint32_t flags;
};

/*
 * A number of bytes as parameters of the module have it, up to the end of the text or a colon. What
 * follows the number; NULL if there is none.
 */
static const char *parse_size(const char *text, uint64_t *size)
{
	static const char suffixes[] = "KMGTPE";
	const char *suffix;
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*size = strtoull(text, &end, 10);
	if (errno)
		return NULL;
	if (*end && *end != ':') {
		suffix = strchr(suffixes, toupper((unsigned char)*end++));
		if (!suffix)
			return NULL;
		shift = 10 * (suffix - suffixes + 1);
	}
	if ((*end && *end != ':') || *size > UINT64_MAX >> shift)
		return NULL;
	*size <<= shift;
	return end;
}

/* A name that a region may have. */
static bool is_name(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '-' || text[n] == '_')
		n++;
	return n && n < MEMALLOC_NAME_LEN && !text[n];
}

/* What follows "process": nothing, ":SIZE" or ":SIZE:NAME". */
static int open_process(const char *options, struct memalloc *mem)
{
	const char *name = MEMALLOC_PROCESS;
	uint64_t length = DEFAULT_LENGTH;

	if (*options) {
		options = parse_size(options + 1, &length);
		if (!options)
			return -EINVAL;
		if (*options)
			name = options + 1;
		if (!is_name(name))
			return -EINVAL;
	}
	return memalloc_process_open(name, length, mem);
}

/* The region of that name has a node that is called after it. */
static int open_region(const char *name, struct memalloc *mem)
{
	char path[sizeof(MEMALLOC_DEFAULT_DEVICE "-") + MEMALLOC_NAME_LEN];

	if (!strcmp(name, MEMALLOC_DEFAULT_REGION))
		return memalloc_device_open(MEMALLOC_DEFAULT_DEVICE, mem);
	snprintf(path, sizeof(path), MEMALLOC_DEFAULT_DEVICE "-%s", name);
	return memalloc_device_open(path, mem);
}

static int open_path(const char *path, struct memalloc *mem)
{
	const size_t process = strlen(MEMALLOC_PROCESS);

	if (!strncmp(path, MEMALLOC_PROCESS, process) && (!path[process] || path[process] == ':'))
		return open_process(path + process, mem);
	return is_name(path) ? open_region(path, mem) : memalloc_device_open(path, mem);
}

/* Who starts a program that has more rights must not choose its device. */
static int open_default(struct memalloc *mem)
{
	const char *chosen = secure_getenv("MEMALLOC_DEVICE");
	int err;

	if (chosen && *chosen)
		return open_path(chosen, mem);
	err = open_path(MEMALLOC_DEFAULT_DEVICE, mem);
	return err == -ENOENT ? open_path(MEMALLOC_PROCESS, mem) : err;
}

int memalloc_open(const char *path, struct memalloc **mem)
{
	struct memalloc_info info;
	struct memalloc *opened;
	int saved_errno = errno;
	int err = -ENOMEM;

	opened = calloc(1, sizeof(*opened));
	if (!opened)
		goto out;
	err = path ? open_path(path, opened) : open_default(opened);
	if (err) {
		free(opened);
		goto out;
	}

	/* A file that is something else does not answer this call. */
	err = memalloc_get_info(opened, &info, sizeof(info));
	if (err) {
		memalloc_close(opened);
		goto out;
	}
	opened->region_length = info.region_length;
	*mem = opened;
out:
	errno = saved_errno;
	return err;
}

void memalloc_close(struct memalloc *mem)
{
	int saved_errno = errno;

	if (mem)
		mem->operations->close(mem);
	errno = saved_errno;
}

enum memalloc_backend memalloc_backend(const struct memalloc *mem)
{
	return mem->operations->backend;
}

int memalloc_fd(const struct memalloc *mem)
{
	return mem->fd;
}

/* Ask for a struct of which the caller may know more or less than we do. */
static int get_answer(struct memalloc *mem, unsigned long request, void *answer, size_t size)
{
	struct argument_head head = { .size = size };

	if (size < sizeof(head))
		return -EINVAL;
	if (size > UINT32_MAX)
		return -E2BIG;
	memset(answer, 0, size);
	memcpy(answer, &head, sizeof(head));
	return memalloc_call(mem, request, answer);
}

int memalloc_get_info(struct memalloc *mem, struct memalloc_info *info, size_t size)
{
	return get_answer(mem, MEMALLOC_IOC_INFO, info, size);
}

int memalloc_get_stats(struct memalloc *mem, struct memalloc_stats *stats, size_t size)
{
	return get_answer(mem, MEMALLOC_IOC_STATS, stats, size);
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
		ret = memalloc_call(mem, MEMALLOC_IOC_LAYOUT, &layout);
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
