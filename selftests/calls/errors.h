/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of errors begin with: two clients, and a buffer of the first. */
#ifndef ERRORS_H
#define ERRORS_H

#include "memalloc_test.h"

/* Handles that a client who has made a few buffers does not have. */
static const __u32 no_handles[] = { 0, 1000, 0x7fffffff, 0x80000000, 0xffffffff };

/* What their buffer was asked to have; it has three pages. */
#define ASKED	(2 * PAGE + 1000)

struct clients {
	int fd;
	int other;
	struct memalloc_alloc buffer;
};

static inline int set_up(struct clients *clients)
{
	clients->fd = open_idle_device();
	clients->other = open_device();
	if (clients->fd < 0 || clients->other < 0)
		return -ENODEV;
	return alloc_buffer(clients->fd, ASKED, &clients->buffer);
}

/* A read-only handle of clients->other for clients->buffer; negative: an errno. */
static inline __s64 read_only_handle(struct clients *clients)
{
	int dmabuf = export_buffer(clients->fd, clients->buffer.handle, O_RDONLY);
	struct memalloc_import import;
	int ret;

	if (dmabuf < 0)
		return dmabuf;
	ret = import_buffer(clients->other, dmabuf, 0, &import);
	close(dmabuf);
	return ret ? ret : (__s64)import.handle;
}

#endif /* ERRORS_H */
