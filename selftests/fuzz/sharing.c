// SPDX-License-Identifier: GPL-2.0-only
/* Calls that have to do with dma-bufs. */
#include "fuzz.h"

#include <sys/time.h>

/* A new descriptor of @pages of @buffer, from page @first on, opened with @flags. */
static const char *add_dmabuf(struct worker *w, int fd, struct buffer *buffer, __u64 first,
			      __u64 pages, __u32 flags)
{
	*find_room_for_dmabuf(w) = (struct dmabuf){
		.fd = fd, .access = flags & O_ACCMODE, .buffer = buffer, .first = first,
		.pages = pages,
	};
	buffer->users++;
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != (int)(flags & O_ACCMODE) ||
	    fcntl(fd, F_GETFD) != (flags & O_CLOEXEC ? FD_CLOEXEC : 0))
		return "the dma-buf is not open as was asked for";
	if (lseek(fd, 0, SEEK_END) != (off_t)(pages * PAGE))
		return "the dma-buf has another length";
	return NULL;
}

/* EXPORT */

/* A part of what may be @handle's buffer. */
static void choose_part(struct worker *w, const struct handle *handle,
			struct memalloc_export *export)
{
	const __u64 pages = handle ? handle->buffer->pages : 1;
	const __u64 wrong[] = { 1, PAGE - 8, pages * PAGE, ~0ULL, -(__u64)PAGE, 1ULL << 44 };
	const __u64 first = below(w, pages);

	export->offset = first * PAGE;
	export->length = one_in(w, 3) ? 0 : (1 + below(w, pages - first)) * PAGE;
	if (one_in(w, 8))
		*(one_in(w, 2) ? &export->offset : &export->length) = PICK(w, wrong);
}

static bool choose_export(struct worker *w, struct call *c)
{
	struct memalloc_export *export = &c->arg.export;
	const __u32 wrong[] = { O_WRONLY, O_RDWR | O_NONBLOCK, O_ACCMODE, O_APPEND };

	c->client = some_client(w);
	export->handle = some_handle(w, c->client);
	if (one_in(w, 2))
		choose_part(w, find_handle(c->client, export->handle), export);
	export->open_flags = (one_in(w, 2) ? O_RDWR : O_RDONLY) | (one_in(w, 2) ? O_CLOEXEC : 0);
	if (one_in(w, 12))
		export->open_flags = PICK(w, wrong);
	export->reserved = one_in(w, 30);
	if (one_in(w, 10))
		c->scarce = w->alone && w->root && !one_in(w, 4) ? FILES : DESCRIPTORS;
	return find_room_for_dmabuf(w);
}

static void predict_export(struct worker *w, struct call *c)
{
	const struct memalloc_export *export = &c->arg.export;
	const struct handle *handle = find_handle(c->client, export->handle);
	const __u32 access = export->open_flags & O_ACCMODE;
	const __u64 size = handle ? handle->buffer->pages * PAGE : 0;

	may_fail(c, EINVAL, export->reserved || export->open_flags & ~(O_ACCMODE | O_CLOEXEC) ||
		 (access != O_RDONLY && access != O_RDWR));
	may_fail(c, EINVAL, export->offset % PAGE || export->length % PAGE);
	may_fail(c, EINVAL, handle && (export->offset >= size ||
				       export->length > size - export->offset));
	predict_handle(w, c, export->handle);
	may_fail(c, EACCES, handle && !handle->writable && access != O_RDONLY);
	predict_scarce(c);
}

static const char *apply_export(struct worker *w, struct call *c)
{
	const struct memalloc_export *export = &c->arg.export;
	const struct handle *handle = find_handle(c->client, export->handle);
	const __u64 first = export->offset / PAGE;

	c->expected.export.fd = c->answer.export.fd;
	return add_dmabuf(w, c->answer.export.fd, handle->buffer, first,
			  export->length / PAGE ?: handle->buffer->pages - first,
			  export->open_flags);
}

const struct call_type call_export = {
	CALL(EXPORT, memalloc_export, reserved), .share = 8,
	.fields = { "size flags handle open_flags fd reserved offset: length:" },
	.errors = { EINVAL, E2BIG, EFAULT, ENOENT, EACCES, EMFILE, ENFILE },
	.choose = choose_export, .predict = predict_export, .apply = apply_export,
};

/* IMPORT */

static bool choose_import(struct worker *w, struct call *c)
{
	const int wrong[] = { -1, 1000, 1 << 30, w->heap.fds[0], fd_of(some_client(w)), w->card };

	c->client = some_client(w);
	c->dmabuf = one_in(w, 6) ? NULL : some_dmabuf(w);
	c->arg.import.fd = c->dmabuf ? c->dmabuf->fd : PICK(w, wrong);
	c->arg.import.flags = one_in(w, 3) ? MEMALLOC_IMPORT_READ_ONLY : 0;
	c->arg.import.reserved = one_in(w, 30);
	return find_room_for_handle(c->client);
}

static void predict_import(struct worker *w, struct call *c)
{
	const struct memalloc_import *import = &c->arg.import;
	unsigned int i;

	may_fail(c, EINVAL, import->reserved);
	/* If the argument was cut, it is not what was chosen. */
	for (i = 0, c->dmabuf = NULL; i < DMABUFS; i++)
		if (w->dmabufs[i].buffer && w->dmabufs[i].fd == import->fd)
			c->dmabuf = &w->dmabufs[i];
	if (!c->dmabuf)
		may_fail(c, fcntl(import->fd, F_GETFD) < 0 ? EBADF : EINVAL, true);
	else
		may_fail(c, EACCES, c->dmabuf->access == O_WRONLY);
	may_fail(c, EOPNOTSUPP, c->dmabuf && c->dmabuf->pages != c->dmabuf->buffer->pages);
}

static const char *apply_import(struct worker *w, struct call *c)
{
	const struct memalloc_import *answer = &c->answer.import;
	struct memalloc_import *expected = &c->expected.import;
	struct buffer *buffer = c->dmabuf->buffer;
	const bool writable = c->client->writable && c->dmabuf->access == O_RDWR &&
			      !(expected->flags & MEMALLOC_IMPORT_READ_ONLY);
	struct handle *handle = find_handle_of(c->client, buffer, writable);

	if (!buffer->mmap_offset && is_new_offset(w, answer->mmap_offset, buffer->pages))
		buffer->mmap_offset = answer->mmap_offset;
	expected->length = buffer->length;
	expected->real_length = buffer->pages * PAGE;
	expected->mmap_offset = buffer->mmap_offset;
	expected->access = access_bits(writable);
	expected->handle = handle ? handle->id : answer->handle;
	return handle ? NULL : add_handle(c->client, answer->handle, buffer, writable);
}

const struct call_type call_import = {
	CALL(IMPORT, memalloc_import, reserved), .share = 8,
	.flags = MEMALLOC_IMPORT_READ_ONLY,
	.fields = { "size flags fd handle length: real_length: mmap_offset: access reserved" },
	.errors = { EINVAL, E2BIG, EFAULT, EBADF, EACCES, EOPNOTSUPP },
	.choose = choose_import, .predict = predict_import, .apply = apply_import,
};

/* The dma-heap */

static bool choose_heap(struct worker *w, struct call *c)
{
	struct dma_heap_allocation_data *heap = &c->arg.heap;
	const __u64 lengths[] = { 0, ~0ULL, w->info.region_length, w->info.region_length + 1 };

	c->client = &w->heap;
	heap->len = one_in(w, 8) ? PICK(w, lengths) : some_length(w);
	heap->fd_flags = below(w, 3) | (one_in(w, 2) ? O_CLOEXEC : 0);
	heap->fd = one_in(w, 16);
	if (one_in(w, 16))
		heap->fd_flags |= O_NONBLOCK;
	heap->heap_flags = one_in(w, 16);
	if (one_in(w, 12))
		c->scarce = DESCRIPTORS;
	return find_room_for_buffer(w) && find_room_for_dmabuf(w);
}

static void predict_heap(struct worker *w, struct call *c)
{
	const struct dma_heap_allocation_data *heap = &c->arg.heap;
	const struct memalloc_alloc alloc = { .length = heap->len };

	/* That length is rounded up to pages first, and is 0 then. */
	may_fail(c, EINVAL, heap->fd || heap->heap_flags || heap->len > ~0ULL - PAGE + 1 ||
		 heap->fd_flags & ~(O_CLOEXEC | O_ACCMODE));
	predict_charge(w, c, c->client, pages_of(heap->len), 1);
	predict_place(w, c, &alloc);
	if (c->may[EFBIG]) {
		c->may[EFBIG] = false;
		c->may[ENOMEM] = true;
	}
	predict_scarce(c);
}

static const char *apply_heap(struct worker *w, struct call *c)
{
	struct buffer *buffer = add_buffer(w, &w->heap, c->arg.heap.len);
	const char *wrong;

	c->expected.heap.fd = c->answer.heap.fd;
	wrong = add_dmabuf(w, c->answer.heap.fd, buffer, 0, buffer->pages, c->arg.heap.fd_flags);
	if (wrong || !w->alone)
		return wrong;
	return learn_place(w, some_client(w), buffer, 0) ?: layout_wrong(w, some_client(w));
}

const struct call_type call_heap = {
	.name = "DMA_HEAP_ALLOC", .request = DMA_HEAP_IOCTL_ALLOC, .share = 4,
	.size = sizeof(struct dma_heap_allocation_data),
	.fields = { "len: fd fd_flags heap_flags:" },
	.errors = { EINVAL, EFAULT, EMFILE, EDQUOT, ENOMEM },
	.choose = choose_heap, .predict = predict_heap, .apply = apply_heap,
	.undo = undo_alloc,
};

/* Closing a dma-buf */

static bool choose_close_dmabuf(struct worker *w, struct call *c)
{
	c->dmabuf = some_dmabuf(w);
	return c->dmabuf;
}

static int make_close_dmabuf(struct worker *w, struct call *c, void *arg)
{
	(void)w;
	(void)arg;
	return close(c->dmabuf->fd);
}

static const char *apply_close_dmabuf(struct worker *w, struct call *c)
{
	(void)w;
	put_buffer(c->dmabuf->buffer);
	c->dmabuf->buffer = NULL;
	return NULL;
}

const struct call_type call_close_dmabuf = {
	.name = "close of a dma-buf", .share = 6, .fields = OTHER_FIELDS, .frees = true,
	.choose = choose_close_dmabuf, .make = make_close_dmabuf,
	.apply = apply_close_dmabuf,
};

/* SYNC */

static bool choose_sync(struct worker *w, struct call *c)
{
	struct memalloc_sync *sync = &c->arg.sync;
	const struct handle *handle;
	__u64 length;

	c->client = some_client(w);
	sync->handle = some_handle(w, c->client);
	handle = find_handle(c->client, sync->handle);
	length = handle ? handle->buffer->pages * PAGE : PAGE;
	sync->flags = below(w, 8);
	sync->offset = below(w, length);
	sync->length = 1 + below(w, length - sync->offset);
	c->fenced = handle && handle->writable && w->card >= 0 &&
		    sync->flags && sync->flags < MEMALLOC_SYNC_END && one_in(w, 8);
	c->as_is = c->fenced;
	if (c->fenced)
		return true;
	if (one_in(w, 12))
		sync->length = one_in(w, 2) ? 0 : length - sync->offset + 1 + below(w, 9);
	if (one_in(w, 12))
		sync->offset = ~0ULL - below(w, 9);
	sync->reserved = one_in(w, 30);
	return true;
}

static void predict_sync(struct worker *w, struct call *c)
{
	const struct memalloc_sync *sync = &c->arg.sync;
	const struct handle *handle = find_handle(c->client, sync->handle);
	__u64 length = handle ? handle->buffer->pages * PAGE : ~0ULL;

	may_fail(c, EINVAL, sync->reserved || !sync->length || sync->offset >= length ||
		 sync->length > length - sync->offset ||
		 !(sync->flags & (MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE)));
	predict_handle(w, c, sync->handle);
	may_fail(c, EINTR, c->fenced);
}

/* A device writes to the buffer meanwhile, and a signal comes again and again. */
static int make_sync(struct worker *w, struct call *c, void *arg)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	int fd = fd_of(c->client), dmabuf, ret, err;
	__s64 gem, fence;

	if (!c->fenced)
		return ioctl(fd, c->request, arg);
	dmabuf = export_buffer(fd, c->arg.sync.handle, O_RDWR | O_CLOEXEC);
	gem = prime_import(w->card, dmabuf);
	fence = card_begins(w->card, gem, VGEM_FENCE_WRITE);
	setitimer(ITIMER_REAL, &often, NULL);
	ret = ioctl(fd, c->request, arg);
	err = errno;
	setitimer(ITIMER_REAL, &never, NULL);
	if (fence < 0 || card_ends(w->card, fence) || gem_close(w->card, gem) || close(dmabuf))
		err = EBADMSG;
	errno = err;
	return ret;
}

const struct call_type call_sync = {
	CALL(SYNC, memalloc_sync, length), .share = 5, .no_answer = true,
	.flags = MEMALLOC_SYNC_READ | MEMALLOC_SYNC_WRITE | MEMALLOC_SYNC_END,
	.fields = { "size flags handle reserved offset: length:" },
	.errors = { EINVAL, E2BIG, EFAULT, ENOENT, EINTR },
	.choose = choose_sync, .predict = predict_sync, .make = make_sync,
};
