/* SPDX-License-Identifier: MIT */
/* What a struct memalloc is, and what a backend does. */
#ifndef BACKEND_H
#define BACKEND_H

#include "public.h"

/*
 * A backend: where the memory of a struct memalloc comes from. Each answers the calls of
 * <linux/memalloc.h>, with the same arguments, errors and order of checks; 0 or -errno,
 * and errno may change.
 */
struct memalloc_operations {
	enum memalloc_backend backend;

	/* A call as by ioctl(); what the backend does not know is -ENOTTY. */
	int (*call)(struct memalloc *mem, unsigned long request, void *argument);

	/* mmap() of a whole buffer: at @place, whatever is mapped there, or anywhere if NULL. */
	int (*map)(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		   void *place, void **address);

	/* Close it, and free @mem. */
	void (*close)(struct memalloc *mem);
};

struct memalloc {
	const struct memalloc_operations *operations;
	int fd;
	uint64_t region_length;
	struct region *region;		/* the process backend's */
};

/* @map of backends whose buffers are parts of @mem->fd. May change errno. */
int memalloc_map_file(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		      void *place, void **address);

/* A call of the backend, which leaves errno alone. */
int memalloc_call(struct memalloc *mem, unsigned long request, void *argument);

#endif /* BACKEND_H */
