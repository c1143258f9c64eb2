/* SPDX-License-Identifier: MIT */
/* What the files of the library share, and nobody else sees. */
#ifndef BACKEND_H
#define BACKEND_H

/* Everything else is hidden by the compiler's options. */
#pragma GCC visibility push(default)
#include <memalloc.h>
#include <memalloc_heap.h>
#include <memalloc_pool.h>
#pragma GCC visibility pop

#include <stdbool.h>

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

/* That of a backend whose buffers are parts of @mem->fd. May change errno. */
int memalloc_map_file(struct memalloc *mem, const struct memalloc_buffer *buffer, int protection,
		      void *place, void **address);

extern const struct memalloc_operations memalloc_device;
extern const struct memalloc_operations memalloc_process;

/* Begin with what the backend has beside its operations and region_length: @mem is zeros. */
int memalloc_device_open(const char *path, struct memalloc *mem);
int memalloc_process_open(uint64_t length, struct memalloc *mem);

/* A call of the backend, which leaves errno alone. */
int memalloc_call(struct memalloc *mem, unsigned long request, void *argument);

/*
 * The process backend has to know when a mapping of its memory goes. Take out what it
 * knows of the one at @address (NULL: that is none of its, or it is not @length long:
 * *@err), and after that let it go, or put it back if it is still there.
 */
struct mapping;
struct mapping *memalloc_mapping_take(void *address, uint64_t length, int *err);
void memalloc_mapping_drop(struct mapping *mapping);
void memalloc_mapping_put_back(struct mapping *mapping);

/*
 * Address space for @length bytes from a multiple of @alignment on, a power of two of
 * pages, with nothing in it yet; to be given to munmap() in whole pages. While it is
 * there, a writable mapping of a buffer can be put into it and be taken out again: no
 * other thread gets the addresses in between, nor after a failure. The last is for
 * backends: it takes out what they have put into it, and may change errno.
 */
int memalloc_space_reserve(size_t length, size_t alignment, void **space);
int memalloc_space_map(struct memalloc *mem, const struct memalloc_buffer *buffer, void *place);
int memalloc_space_unmap(const struct memalloc_buffer *buffer, void *place);
int memalloc_space_clear(void *place, size_t length);

#endif /* BACKEND_H */
