/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of buffers that are held by pipes: they stay in quarantine once the buffer is gone. */
#ifndef PINS_H
#define PINS_H

#include "memalloc_test.h"

#include <sys/uio.h>

#define PINS_OF_PIPE	16	/* that many pages a pipe holds */

struct pins {
	int (*pipes)[2];
	unsigned int count;	/* pipes, of which the last one */
	unsigned int used;	/* holds so many pages */
};

/* A pipe takes two descriptors: there may be many of them. */
static inline int allow_descriptors(void)
{
	const struct rlimit many = { 1 << 19, 1 << 19 };

	return setrlimit(RLIMIT_NOFILE, &many) ? -errno : 0;
}

static inline int pin_page(struct pins *pins, void *page)
{
	struct iovec data = { page, 16 };
	int (*pipes)[2];

	if (!pins->count || pins->used == PINS_OF_PIPE) {
		pipes = realloc(pins->pipes, (pins->count + 1) * sizeof(*pipes));
		if (!pipes)
			return -ENOMEM;
		pins->pipes = pipes;
		if (pipe(pipes[pins->count]))
			return -errno;
		pins->count++;
		pins->used = 0;
	}
	if (vmsplice(pins->pipes[pins->count - 1][1], &data, 1, SPLICE_F_NONBLOCK) != 16)
		return -errno;
	pins->used++;
	return 0;
}

/* All pages of a pipe that is one of @step from @first on. */
static inline void unpin(struct pins *pins, unsigned int first, unsigned int step)
{
	unsigned int i;

	for (i = first; i < pins->count; i += step) {
		close(pins->pipes[i][0]);
		close(pins->pipes[i][1]);
	}
}

/* A buffer of @length bytes, gone but for the first page, and with @both for the last one, too. */
static inline int leave_pinned(int fd, struct pins *pins, __u64 length, bool both)
{
	struct memalloc_alloc buffer;
	int err = alloc_buffer(fd, length, &buffer);
	char *map;

	if (err)
		return err;
	map = map_buffer(fd, &buffer);
	if (map == MAP_FAILED)
		return -errno;
	err = pin_page(pins, map);
	if (!err && both)
		err = pin_page(pins, map + length - PAGE);
	munmap(map, length);
	return free_buffer(fd, buffer.handle) ?: err;
}

/*
 * Each buffer is in the middle of the one before, of which only the first and the last page
 * are left. @length is that of the first one.
 */
static inline int nest_pinned(int fd, struct pins *pins, __u64 length, unsigned int levels)
{
	int err = 0;

	for (; !err && levels--; length -= 2 * PAGE)
		err = leave_pinned(fd, pins, length, true);
	return err;
}

#endif /* PINS_H */
