/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every call that a program without privileges can make, for attacks that are the same on
 * each: how an argument is filled in so that it is right, and how what the call did is undone.
 * Whoever adds a call adds a line.
 */
#ifndef CALLS_H
#define CALLS_H

#include "argument.h"
#include "hostile.h"

#include <stddef.h>

/* What calls are made with. */
struct subject {
	int fd;				/* the client */
	struct memalloc_alloc buffer;	/* one of his; FREE, EXPORT and SYNC are of it */
	int dmabuf;			/* of it */
	struct memalloc_alloc spare;	/* one that nothing else holds; others are of it */
	int other;			/* another client of his, and */
	int others;			/* a dma-buf of one of its buffers, for IMPORT */
	struct memalloc_block *blocks;	/* room for LAYOUT */
	__u32 count;
};

static inline void fill_nothing(union argument *arg, const struct subject *s)
{
}

static inline int undo_nothing(const union argument *arg, struct subject *s)
{
	return 0;
}

static inline void fill_alloc(union argument *arg, const struct subject *s)
{
	arg->alloc.length = PAGE + 1;
}

static inline int undo_alloc(const union argument *arg, struct subject *s)
{
	return free_buffer(s->fd, arg->alloc.handle);
}

static inline void fill_free(union argument *arg, const struct subject *s)
{
	arg->free.handle = s->buffer.handle;
	arg->free.length = s->buffer.length;
}

/* The same buffer, by a new handle; or, if it was the spare one, another. */
static inline int undo_free(const union argument *arg, struct subject *s)
{
	struct memalloc_import import;
	int err;

	if (arg->free.handle == s->spare.handle)
		return alloc_buffer(s->fd, s->spare.length, &s->spare);
	err = import_buffer(s->fd, s->dmabuf, 0, &import);
	s->buffer.handle = import.handle;
	return err;
}

static inline void fill_query(union argument *arg, const struct subject *s)
{
	arg->query.handle = s->spare.handle;
}

static inline void fill_layout(union argument *arg, const struct subject *s)
{
	arg->layout.blocks = (__u64)(uintptr_t)s->blocks;
	arg->layout.count = s->count;
	arg->layout.block_size = sizeof(*s->blocks);
}

static inline void fill_export(union argument *arg, const struct subject *s)
{
	arg->export.handle = s->buffer.handle;
	arg->export.open_flags = O_RDWR | O_CLOEXEC;
	arg->export.length = PAGE;
}

static inline int undo_export(const union argument *arg, struct subject *s)
{
	return close(arg->export.fd) ? -errno : 0;
}

static inline void fill_import(union argument *arg, const struct subject *s)
{
	arg->import.fd = s->others;
}

static inline int undo_import(const union argument *arg, struct subject *s)
{
	return free_buffer(s->fd, arg->import.handle);
}

static inline void fill_sync(union argument *arg, const struct subject *s)
{
	arg->sync.flags = MEMALLOC_SYNC_READ;
	arg->sync.handle = s->buffer.handle;
	arg->sync.length = PAGE;
}

static inline void fill_resize(union argument *arg, const struct subject *s)
{
	arg->resize.handle = s->spare.handle;
	arg->resize.length = s->spare.length - 1;
}

static inline int undo_resize(const union argument *arg, struct subject *s)
{
	int err = resize_buffer(s->fd, s->spare.handle, s->spare.length);

	if (err != -ENOMEM)
		return err;
	/* Somebody else has what was cut off. */
	return free_buffer(s->fd, s->spare.handle) ?:
	       alloc_buffer(s->fd, s->spare.length, &s->spare);
}

static inline void fill_name(union argument *arg, const struct subject *s)
{
	arg->name.handle = s->spare.handle;
	arg->name.name[0] = 'x';
}

static inline void fill_translate(union argument *arg, const struct subject *s)
{
	arg->translate.handle = s->spare.handle;
	arg->translate.offset = PAGE;
}

#define CALL(NAME, name)	\
	.request = MEMALLOC_IOC_##NAME, .size = sizeof(struct memalloc_##name)

static const struct hostile_call {
	const char *name;
	unsigned int request;
	__u32 size;
	void (*fill)(union argument *arg, const struct subject *s);	/* one that is zero */
	int (*undo)(const union argument *arg, struct subject *s);
} hostile_calls[] = {
	{ "INFO", CALL(INFO, info), fill_nothing, undo_nothing },
	{ "ALLOC", CALL(ALLOC, alloc), fill_alloc, undo_alloc },
	{ "FREE", CALL(FREE, free), fill_free, undo_free },
	{ "QUERY", CALL(QUERY, query), fill_query, undo_nothing },
	{ "STATS", CALL(STATS, stats), fill_nothing, undo_nothing },
	{ "LAYOUT", CALL(LAYOUT, layout), fill_layout, undo_nothing },
	{ "EXPORT", CALL(EXPORT, export), fill_export, undo_export },
	{ "IMPORT", CALL(IMPORT, import), fill_import, undo_import },
	{ "LIMITS", CALL(LIMITS, limits), fill_nothing, undo_nothing },
	{ "SYNC", CALL(SYNC, sync), fill_sync, undo_nothing },
	{ "RESIZE", CALL(RESIZE, resize), fill_resize, undo_resize },
	{ "NAME", CALL(NAME, name), fill_name, undo_nothing },
	{ "TRANSLATE", CALL(TRANSLATE, translate), fill_translate, undo_nothing },
};

/* An argument with which the call succeeds. */
static inline void right_argument(const struct hostile_call *c, const struct subject *s,
				  union argument *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->header.size = c->size;
	c->fill(arg, s);
}

static inline int make_subject(struct subject *s, __u64 length)
{
	static struct memalloc_block blocks[8];
	struct memalloc_alloc theirs;

	s->fd = open_device();
	s->other = open_device();
	if (s->fd < 0 || s->other < 0 || alloc_buffer(s->fd, length, &s->buffer) ||
	    alloc_buffer(s->fd, 2 * PAGE, &s->spare) || alloc_buffer(s->other, PAGE, &theirs))
		return -ENODEV;
	s->blocks = blocks;
	s->count = ARRAY_SIZE(blocks);
	s->dmabuf = export_buffer(s->fd, s->buffer.handle, O_RDWR | O_CLOEXEC);
	s->others = export_buffer(s->other, theirs.handle, O_RDWR | O_CLOEXEC);
	return s->dmabuf < 0 ? s->dmabuf : s->others < 0 ? s->others : 0;
}

/* Handles that the client has, as the kernel says; -1: it does not say. */
static inline int handles_of(int fd)
{
	char path[64], line[128];
	int handles = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memalloc-handles: %d", &handles) == 1)
			break;
	if (file)
		fclose(file);
	return handles;
}

/* The client has the two buffers, by one handle each, as make_subject() left it. */
static inline bool is_untouched(const struct subject *s)
{
	struct memalloc_limits limits;

	return !query_errno(s->fd, s->buffer.handle) && !query_errno(s->fd, s->spare.handle) &&
	       handles_of(s->fd) == 2 && !get_limits(s->fd, &limits) &&
	       limits.client_buffers == 2 &&
	       limits.client_bytes == s->buffer.real_length + s->spare.real_length;
}

static inline void drop_subject(struct subject *s)
{
	close(s->fd);
	close(s->other);
	close(s->dmabuf);
	close(s->others);
}

#endif /* CALLS_H */
