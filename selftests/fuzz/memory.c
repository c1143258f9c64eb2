// SPDX-License-Identifier: GPL-2.0-only
/* Mappings, and what is read and written through them. */
#include "fuzz.h"

/* mmap() of a client, at the offset of a buffer, or of a dma-buf */

static bool choose_mmap(struct worker *w, struct call *c)
{
	struct handle *handle;
	struct buffer *buffer;
	__u64 pages, first;

	c->client = some_client(w);
	c->dmabuf = one_in(w, 3) ? some_dmabuf(w) : NULL;
	handle = one_in(w, 6) ? NULL : own_handle(w, c->client);
	/* Not the client's, it may also be gone: then its offset may be another buffer's. */
	buffer = &w->buffers[below(w, BUFFERS)];
	if (c->dmabuf)
		buffer = c->dmabuf->buffer;
	else if (handle)
		buffer = handle->buffer;
	pages = c->dmabuf ? c->dmabuf->pages : handle ? buffer->pages : 1;
	first = one_in(w, 2) ? 0 : below(w, pages);
	c->arg.other.offset = first * PAGE;
	if (!c->dmabuf)
		c->arg.other.offset += one_in(w, 30) ? 0 : buffer->mmap_offset;
	c->arg.other.length = (1 + below(w, pages - first)) * PAGE;
	if (one_in(w, 12))
		c->arg.other.length = (pages - first + 1 + below(w, 4)) * PAGE;
	c->arg.other.prot = PROT_READ | (one_in(w, 2) ? PROT_WRITE : 0);
	c->arg.other.flags = one_in(w, 20) ? MAP_PRIVATE : MAP_SHARED;
	for (c->mapping = w->mappings; c->mapping < w->mappings + MAPPINGS; c->mapping++)
		if (!c->mapping->buffer)
			return true;
	return false;
}

/* The buffer of the client that has that offset, and which access the client has to it. */
static struct buffer *find_mmap(struct client *client, __u64 offset, bool *writable)
{
	struct buffer *buffer = NULL;
	unsigned int i;

	*writable = false;
	for (i = 0; i < HANDLES; i++) {
		const struct handle *handle = &client->handles[i];

		if (!handle->id || !handle->buffer->mmap_offset ||
		    offset < handle->buffer->mmap_offset ||
		    offset >= handle->buffer->mmap_offset + handle->buffer->pages * PAGE)
			continue;
		buffer = handle->buffer;
		*writable |= handle->writable;
	}
	return buffer;
}

/* What is mapped: a buffer, from *@first on; NULL: nothing. */
static struct buffer *get_mmap(struct call *c, __u64 *first, bool *readable, bool *writable)
{
	struct buffer *buffer;

	if (c->dmabuf) {
		buffer = c->dmabuf->buffer;
		*first = c->dmabuf->first + c->arg.other.offset / PAGE;
		*readable = c->dmabuf->access != O_WRONLY;
		*writable = c->dmabuf->access == O_RDWR;
		return buffer;
	}
	buffer = find_mmap(c->client, c->arg.other.offset, writable);
	*first = buffer ? (c->arg.other.offset - buffer->mmap_offset) / PAGE : 0;
	*readable = true;
	*writable &= c->client->writable;
	return buffer;
}

static void predict_mmap(struct worker *w, struct call *c)
{
	bool readable, writable;
	__u64 first;
	struct buffer *buffer = get_mmap(c, &first, &readable, &writable);
	const __u64 end = c->dmabuf ? c->dmabuf->first + c->dmabuf->pages : ~0ULL;
	const __u64 last = first + c->arg.other.length / PAGE;

	(void)w;
	may_fail(c, ENOENT, !buffer);
	may_fail(c, EINVAL, c->arg.other.flags & MAP_PRIVATE ||
		 (buffer && (last > buffer->pages || last > end)));
	/* A private mapping changes nothing that anybody else sees. */
	may_fail(c, EACCES, !readable || (buffer && c->arg.other.prot & PROT_WRITE && !writable) ||
		 (c->arg.other.prot & PROT_WRITE && !c->dmabuf && !c->client->writable));
}

static int make_mmap(struct worker *w, struct call *c, void *arg)
{
	int fd = c->dmabuf ? c->dmabuf->fd : fd_of(c->client);

	(void)w;
	(void)arg;
	c->mapping->address = mmap(NULL, c->arg.other.length, c->arg.other.prot,
				   c->arg.other.flags, fd, c->arg.other.offset);
	return c->mapping->address == MAP_FAILED ? -1 : 0;
}

static const char *apply_mmap(struct worker *w, struct call *c)
{
	struct mapping *mapping = c->mapping;
	struct buffer *buffer;
	bool readable;

	(void)w;
	buffer = get_mmap(c, &mapping->first, &readable, &mapping->may_write);
	buffer->users++;
	mapping->buffer = buffer;
	mapping->pages = c->arg.other.length / PAGE;
	mapping->given = c->dmabuf || !is_payer(c->client, buffer);
	mapping->writable = c->arg.other.prot & PROT_WRITE;
	return NULL;
}

const struct call_type call_mmap = {
	.name = "mmap", .share = 10, .fields = OTHER_FIELDS,
	.errors = { EINVAL, ENOENT, EACCES },
	.choose = choose_mmap, .predict = predict_mmap, .make = make_mmap,
	.apply = apply_mmap,
};

/* munmap() of all of a mapping, or of its first or its last page */

static bool choose_mapping(struct worker *w, struct call *c)
{
	c->mapping = some_mapping(w);
	c->arg.other.what = below(w, 6);
	return c->mapping;
}

static int make_munmap(struct worker *w, struct call *c, void *arg)
{
	struct mapping *mapping = c->mapping;
	__u64 what = mapping->pages > 1 ? c->arg.other.what : 2;
	char *address = mapping->address;
	__u64 pages = what < 2 ? 1 : mapping->pages;

	(void)w;
	(void)arg;
	if (what == 0) {
		address += (mapping->pages - 1) * PAGE;
	} else if (what == 1) {
		mapping->address += PAGE;
		mapping->first++;
	}
	mapping->pages -= pages;
	return munmap(address, pages * PAGE);
}

static const char *apply_munmap(struct worker *w, struct call *c)
{
	struct buffer *buffer = c->mapping->buffer;

	(void)w;
	if (!c->mapping->pages) {
		c->mapping->buffer = NULL;
		put_buffer(buffer);
	}
	return NULL;
}

const struct call_type call_munmap = {
	.name = "munmap", .share = 7, .fields = OTHER_FIELDS, .frees = true,
	.choose = choose_mapping, .make = make_munmap, .apply = apply_munmap,
};

/* mprotect() that makes a mapping writable */

static void predict_mprotect(struct worker *w, struct call *c)
{
	(void)w;
	may_fail(c, EACCES, !c->mapping->may_write);
}

static int make_mprotect(struct worker *w, struct call *c, void *arg)
{
	const struct mapping *mapping = c->mapping;

	(void)w;
	(void)arg;
	return mprotect(mapping->address, mapping->pages * PAGE, PROT_READ | PROT_WRITE);
}

static const char *apply_mprotect(struct worker *w, struct call *c)
{
	(void)w;
	c->mapping->writable = true;
	return NULL;
}

const struct call_type call_mprotect = {
	.name = "mprotect", .share = 1, .fields = OTHER_FIELDS,
	.errors = { EACCES },
	.choose = choose_mapping, .predict = predict_mprotect, .make = make_mprotect,
	.apply = apply_mprotect,
};

/* Reading a page and, if it can be, writing it, through a mapping */

static int make_access(struct worker *w, struct call *c, void *arg)
{
	struct mapping *mapping = c->mapping;
	const __u64 page = below(w, mapping->pages);
	__u32 *written = &mapping->buffer->written[mapping->first + page];
	char *at = mapping->address + page * PAGE;

	(void)arg;
	/* RESIZE has cut it off. */
	if (mapping->first + page >= mapping->buffer->pages) {
		errno = EBADMSG;
		return touch_signal(at, mapping->writable && one_in(w, 2)) == SIGBUS ? 0 : -1;
	}
	if (one_in(w, 4))
		madvise(at, PAGE, MADV_DONTNEED);
	if ((*written ? first_difference(at, PAGE, *written) : first_nonzero(at, PAGE)) != PAGE) {
		errno = EBADMSG;
		return -1;
	}
	if (mapping->writable && one_in(w, 2)) {
		*written = ++w->stamp * WORKERS + w->number;
		fill(at, PAGE, *written);
	}
	return 0;
}

const struct call_type call_access = {
	.name = "access", .share = 12, .fields = OTHER_FIELDS,
	.choose = choose_mapping, .make = make_access,
};
