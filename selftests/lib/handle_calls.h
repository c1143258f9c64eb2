/* SPDX-License-Identifier: GPL-2.0-only */
/* The calls that take a handle, as a table, for those who guess handles. */
#ifndef HANDLE_CALLS_H
#define HANDLE_CALLS_H

#include "memalloc_test.h"

/*
 * Every call that takes a handle, in a way that is right if it is one of the client's: 0
 * or a negative errno. What succeeds leaves nothing behind but what FREE has freed.
 * Whoever adds a call adds a line to handle_calls.
 */
static inline int try_free(int fd, __u32 handle)
{
	return free_buffer(fd, handle);
}

static inline int try_query(int fd, __u32 handle)
{
	return query_errno(fd, handle);
}

static inline int try_export(int fd, __u32 handle)
{
	int dmabuf = export_buffer(fd, handle, O_RDONLY | O_CLOEXEC);

	return dmabuf < 0 ? dmabuf : close(dmabuf);
}

static inline int try_sync(int fd, __u32 handle)
{
	return sync_range(fd, handle, 0, 1, MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE);
}

static inline int try_sync_end(int fd, __u32 handle)
{
	return sync_range(fd, handle, 0, 1, MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END);
}

static inline int try_resize(int fd, __u32 handle)
{
	return resize_buffer(fd, handle, 1);
}

static inline int try_name(int fd, __u32 handle)
{
	return name_buffer(fd, handle, "mine");
}

static inline int try_translate(int fd, __u32 handle)
{
	struct memalloc_translate answer;

	return translate(fd, handle, 0, 0, &answer);
}

static inline int try_free_batch(int fd, __u32 handle)
{
	return free_batch(fd, &(struct memalloc_alloc){ .handle = handle }, 1);
}

static const struct {
	const char *name;
	int (*make)(int fd, __u32 handle);
} handle_calls[] = {
	{ "FREE", try_free },
	{ "QUERY", try_query },
	{ "EXPORT", try_export },
	{ "SYNC", try_sync },
	{ "SYNC_END", try_sync_end },
	{ "RESIZE", try_resize },
	{ "NAME", try_name },
	{ "TRANSLATE", try_translate },
	{ "FREE_BATCH", try_free_batch },
};

#endif /* HANDLE_CALLS_H */
