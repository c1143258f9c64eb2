// SPDX-License-Identifier: MIT
/*
 * Views. The table has an entry for each page of the window: the run that is mapped there. A run is
 * what one memalloc_view_map() has mapped, or what is left of it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process/region.h"
#include "space.h"

struct run {
	size_t first;			/* page of the view */
	size_t pages;
	unsigned int flags;
	uint64_t offset;		/* in the buffer */
	uint32_t handle;
};

struct memalloc_view {
	struct memalloc *mem;
	char *base;
	size_t page;			/* bytes */
	size_t pages;
	struct run **table;		/* NULL: nothing is mapped there */
};

/* Of all views; outside of the lock of process/region.h, and held across fork(), as that is. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int fork_err;

static void lock_views(void)
{
	pthread_mutex_lock(&lock);
}

static void unlock_views(void)
{
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	fork_err = region_watch_forks();
	if (!fork_err)
		fork_err = -pthread_atfork(lock_views, unlock_views, unlock_views);
}

static void *address_of(const struct memalloc_view *view, size_t page)
{
	return view->base + page * view->page;
}

int memalloc_view_create(struct memalloc *mem, size_t length, struct memalloc_view **created)
{
	const size_t page = getpagesize();
	const size_t pages = length / page + (length % page != 0);
	struct memalloc_view *view;
	int err, saved_errno;
	void *base;

	if (!length)
		return -EINVAL;
	saved_errno = errno;
	pthread_once(&once, watch_forks);
	if (fork_err)
		return fork_err;
	err = -ENOMEM;
	view = calloc(1, sizeof(*view));
	if (!view)
		goto out;
	/* First: a table for more than there are addresses would be none. */
	err = memalloc_space_reserve(length, page, &base);
	if (err)
		goto free_view;
	view->table = calloc(pages, sizeof(struct run *));
	err = -ENOMEM;
	if (!view->table)
		goto unreserve;
	view->mem = mem;
	view->base = base;
	view->page = page;
	view->pages = pages;
	*created = view;
	err = 0;
	goto out;

unreserve:
	munmap(base, pages * page);
free_view:
	free(view);
out:
	errno = saved_errno;
	return err;
}

void *memalloc_view_address(const struct memalloc_view *view)
{
	return view->base;
}

/* The first run at @page or behind it, before @end; NULL: there is none. */
static struct run *next_run(const struct memalloc_view *view, size_t page, size_t end)
{
	while (page < end && !view->table[page])
		page++;
	return page < end ? view->table[page] : NULL;
}

/* What is mapped there is gone. */
static void forget_run(struct memalloc_view *view, struct run *run)
{
	size_t i;

	memalloc_space_forget(address_of(view, run->first), run->pages * view->page);
	for (i = 0; i < run->pages; i++)
		view->table[run->first + i] = NULL;
	free(run);
}

void memalloc_view_destroy(struct memalloc_view *view)
{
	int saved_errno = errno;
	size_t page, end;
	struct run *run;

	if (!view)
		return;
	lock_views();
	/* Nobody gets the addresses before all that was there is forgotten. */
	memalloc_space_clear(view->base, view->pages * view->page);
	for (page = 0; (run = next_run(view, page, view->pages)); page = end) {
		end = run->first + run->pages;
		forget_run(view, run);
	}
	munmap(view->base, view->pages * view->page);
	unlock_views();
	free(view->table);
	free(view);
	errno = saved_errno;
}

/* Which pages are those bytes? -EINVAL: no whole ones, none, or not all in the view. */
static int find_pages(const struct memalloc_view *view, size_t at, size_t length, size_t *first,
		      size_t *end)
{
	if (at % view->page || length % view->page || !length)
		return -EINVAL;
	*first = at / view->page;
	if (*first >= view->pages || length / view->page > view->pages - *first)
		return -EINVAL;
	*end = *first + length / view->page;
	return 0;
}

/* The pages from @first on, which are free, get the run. With the lock held. */
static int map_run(struct memalloc_view *view, struct run *run, const struct memalloc_buffer *part)
{
	size_t i;
	int err;

	if (next_run(view, run->first, run->first + run->pages))
		return -EEXIST;
	err = memalloc_space_map(view->mem, part, run->flags, address_of(view, run->first));
	if (err)
		return err;
	for (i = 0; i < run->pages; i++)
		view->table[run->first + i] = run;
	return 0;
}

int memalloc_view_map(struct memalloc_view *view, size_t at, const struct memalloc_buffer *buffer,
		      uint64_t offset, size_t length, unsigned int flags)
{
	struct memalloc_buffer part = *buffer;
	size_t first, end;
	struct run *run;
	int saved_errno = errno;
	int err = find_pages(view, at, length, &first, &end);

	if (err)
		return err;
	if (offset % view->page || offset >= buffer->real_length ||
	    length > buffer->real_length - offset)
		return -EINVAL;
	run = malloc(sizeof(*run));
	if (!run) {
		errno = saved_errno;
		return -ENOMEM;
	}
	*run = (struct run) {
		.first = first,
		.pages = end - first,
		.flags = flags,
		.offset = offset,
		.handle = buffer->handle,
	};
	part.mmap_offset += offset;
	part.real_length = length;
	lock_views();
	err = map_run(view, run, &part);
	unlock_views();
	if (err)
		free(run);
	errno = saved_errno;
	return err;
}

/* Have a run that begins before @page, and has it, end there. */
static int split_at(struct memalloc_view *view, size_t page)
{
	struct run *run = page < view->pages ? view->table[page] : NULL, *rest;
	size_t i;
	int err;

	if (!run || run->first == page)
		return 0;
	rest = malloc(sizeof(*rest));
	if (!rest)
		return -ENOMEM;
	err = memalloc_space_split(address_of(view, run->first), (page - run->first) * view->page);
	if (err) {
		free(rest);
		return err;
	}
	*rest = *run;
	rest->first = page;
	rest->pages = run->first + run->pages - page;
	rest->offset += (page - run->first) * view->page;
	run->pages -= rest->pages;
	for (i = 0; i < rest->pages; i++)
		view->table[page + i] = rest;
	return 0;
}

static int unmap_pages(struct memalloc_view *view, size_t first, size_t end)
{
	size_t i, run_end;
	struct run *run;
	int err;

	for (i = first; i < end; i++)
		if (!view->table[i])
			return -ENXIO;
	err = split_at(view, first);
	if (!err)
		err = split_at(view, end);
	if (!err)
		err = memalloc_space_clear(address_of(view, first), (end - first) * view->page);
	if (err)
		return err;
	for (i = first; (run = next_run(view, i, end)); i = run_end) {
		run_end = run->first + run->pages;
		forget_run(view, run);
	}
	return 0;
}

int memalloc_view_unmap(struct memalloc_view *view, size_t at, size_t length)
{
	size_t first, end;
	int saved_errno = errno;
	int err = find_pages(view, at, length, &first, &end);

	if (err)
		return err;
	lock_views();
	err = unmap_pages(view, first, end);
	unlock_views();
	errno = saved_errno;
	return err;
}

/* @b goes on, in the buffer and in the view, where @a ends. */
static bool continues(const struct run *a, const struct run *b, size_t page)
{
	return b->first == a->first + a->pages && b->offset == a->offset + a->pages * page &&
	       b->handle == a->handle && b->flags == a->flags;
}

/* The run that is at @page or behind it, with all that continue it. False: there is none. */
static bool next_piece(const struct memalloc_view *view, size_t page, struct run *piece)
{
	const struct run *run = next_run(view, page, view->pages);

	if (!run)
		return false;
	*piece = *run;
	while ((run = next_run(view, piece->first + piece->pages, view->pages)) &&
	       continues(piece, run, view->page))
		piece->pages += run->pages;
	return true;
}

int memalloc_view_translate(struct memalloc_view *view, size_t at, struct memalloc_place *place)
{
	const size_t page = at / view->page;
	uint64_t left = 0;
	struct run piece;
	int err = -ENXIO;

	if (page >= view->pages)
		return -EINVAL;
	lock_views();
	if (view->table[page]) {
		next_piece(view, view->table[page]->first, &piece);
		left = (piece.first + piece.pages) * view->page - at;
		err = memalloc_translate(view->mem, view->base + at, place);
	}
	unlock_views();
	if (!err && place->length > left)
		place->length = left;
	return err;
}

int memalloc_view_visit(struct memalloc_view *view,
			int (*visit)(const struct memalloc_view_piece *piece, void *data),
			void *data)
{
	struct run run = { 0 };
	size_t next = 0;
	bool more;
	int ret;

	for (;;) {
		struct memalloc_view_piece piece;

		lock_views();
		more = next_piece(view, next, &run);
		unlock_views();
		if (!more)
			return 0;
		next = run.first + run.pages;
		piece = (struct memalloc_view_piece) {
			.at = run.first * view->page,
			.length = run.pages * view->page,
			.handle = run.handle,
			.flags = run.flags,
			.offset = run.offset,
		};
		ret = visit(&piece, data);
		if (ret)
			return ret;
	}
}
