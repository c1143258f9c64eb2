/* SPDX-License-Identifier: MIT */
/* What the example programs share: giving up, and showing the region. */
#ifndef COMMON_H
#define COMMON_H

#include <stdbool.h>
#include <memalloc.h>

/* End the program with a message: what went wrong, and strerror(-err). */
void die(int err, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* End the program with a message unless the condition holds. */
void must(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ioctl(), repeated when a signal cut it short; ends the program when it fails. */
void must_ioctl(int fd, unsigned long request, void *argument, const char *what);

struct memalloc *open_device(void);
struct memalloc_buffer new_buffer(struct memalloc *mem, uint64_t length);
void *map_buffer(struct memalloc *mem, const struct memalloc_buffer *buffer);
int export_buffer(struct memalloc *mem, const struct memalloc_buffer *buffer);

/*
 * The processor is about to use, or has used, a buffer that a device works on
 * too: DMA_BUF_SYNC_START or _END, with _READ, _WRITE or _RW.
 */
void sync_buffer(int dmabuf, uint64_t flags);

/* Statistics of the region and a picture of it; @when is the title. */
void show_picture(struct memalloc *mem, const char *when);

/* The same, and its blocks. */
void show_region(struct memalloc *mem, const char *when);

#endif /* COMMON_H */
