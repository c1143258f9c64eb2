/* SPDX-License-Identifier: MIT */
/*
 * Views: parts of buffers side by side, in a window of addresses of the program's own.
 *
 * A view is a page table: any pages of any buffers are mapped at any pages of the window, as often
 * as wanted. A ring that is mapped twice in a row is read without a wrap; planes that lie in
 * different buffers are one array.
 *
 * Addresses of a view are bytes from its beginning. All that is mapped has whole pages, of
 * memalloc_info.granule bytes. What is mapped keeps its buffer, as memalloc_buffer_map() does, also
 * after memalloc_buffer_free(). Who touches a page where nothing is mapped gets SIGSEGV.
 *
 * Errors are told as in <memalloc.h>: 0 or a negative errno value, and what fails has changed
 * nothing.
 *
 * Threads may use a view at the same time; there is a lock inside. Only memalloc_view_destroy()
 * must be the last call, and whoever unmaps a page must know that nobody touches it any more. After
 * fork(), a child has a view of its own, with the same pages, whose bytes both share: what one of
 * them maps or unmaps does not change the other's. With memory of the process, nothing can be
 * mapped or translated in a child (-EBADF). No calls from signal handlers, and no pthread_cancel()
 * of a thread that may be in one.
 */
#ifndef MEMALLOC_VIEW_H
#define MEMALLOC_VIEW_H

#include <memalloc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct memalloc_view;

/**
 * struct memalloc_view_piece - what is mapped in a piece of a view
 * @at:     where in the view
 * @length: in bytes
 * @handle: of the buffer, when it was mapped
 * @flags:  MEMALLOC_READ_ONLY or 0
 * @offset: where in the buffer
 */
struct memalloc_view_piece {
	size_t at;
	size_t length;
	uint32_t handle;
	uint32_t flags;
	uint64_t offset;
};

/**
 * memalloc_view_create() - set a window of addresses aside
 * @mem:    the open device, which has to stay open as long as the view is there
 * @length: bytes, rounded up to pages
 * @view:   out: the view, in which nothing is mapped, for memalloc_view_destroy()
 *
 * Return: 0; -EINVAL, @length is 0; -ENOMEM, there are not so many addresses, or no memory for the
 * table, which takes one pointer a page.
 */
int memalloc_view_create(struct memalloc *mem, size_t length, struct memalloc_view **view);

/**
 * memalloc_view_destroy() - give the window back, with all that is mapped there
 * @view: the view; NULL: nothing happens
 */
void memalloc_view_destroy(struct memalloc_view *view);

/**
 * memalloc_view_address() - where the window begins
 * @view: the view
 *
 * Return: the address, which stays.
 */
void *memalloc_view_address(const struct memalloc_view *view);

/**
 * memalloc_view_map() - map a part of a buffer
 * @view:   the view
 * @at:     where in the view, a multiple of the page size
 * @buffer: the buffer, of the view's device
 * @offset: where the part begins, a multiple of the page size
 * @length: bytes of the part, a multiple of the page size, 1 page or more
 * @flags:  MEMALLOC_READ_ONLY, or 0 to read and write
 *
 * Return: 0; -EINVAL, another flag, a number that is no multiple of the page size, a part that
 * leaves the view or the buffer; -EEXIST, something is mapped there already; and the errors of
 * memalloc_buffer_map().
 */
int memalloc_view_map(struct memalloc_view *view, size_t at, const struct memalloc_buffer *buffer,
		      uint64_t offset, size_t length, unsigned int flags);

/**
 * memalloc_view_unmap() - take away what is mapped
 * @view:   the view
 * @at:     where in the view, a multiple of the page size
 * @length: bytes, a multiple of the page size; any pages, not only those of one
 *          memalloc_view_map()
 *
 * Return: 0; -EINVAL, a number that is no multiple of the page size, or outside the view; -ENXIO,
 * a page is not mapped; -ENOMEM, the system allows no more pieces.
 */
int memalloc_view_unmap(struct memalloc_view *view, size_t at, size_t length);

/**
 * memalloc_view_translate() - what is mapped at that byte of a view?
 * @view:  the view
 * @at:    the byte
 * @place: out: the byte of the buffer; its length is that of what follows in the view, too
 *
 * Return: 0; -EINVAL, @at is outside the view; -ENXIO, nothing is mapped there; and the errors of
 * memalloc_translate().
 */
int memalloc_view_translate(struct memalloc_view *view, size_t at, struct memalloc_place *place);

/**
 * memalloc_view_visit() - list what is mapped
 * @view:  the view
 * @visit: called for one piece after the other, in order; pieces that continue each other are one.
 *         If something is mapped or unmapped during the walk, pieces may overlap. It may make any
 *         call of this library but memalloc_view_destroy(), and ends the walk by returning
 *         something other than 0
 * @data:  for @visit
 *
 * Return: 0 after the last piece; what @visit returned, if not 0.
 */
int memalloc_view_visit(struct memalloc_view *view,
			int (*visit)(const struct memalloc_view_piece *piece, void *data),
			void *data);

#ifdef __cplusplus
}
#endif

#endif /* MEMALLOC_VIEW_H */
