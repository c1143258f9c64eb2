// SPDX-License-Identifier: MIT
/*
 * Usage: view [PATH]
 *
 * Views, what memalloc_translate() says of mappings and heaps, and the seeds' page table.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>

#include <memalloc_heap.h>
#include <memalloc_view.h>

#include "calls.h"

#define PAGES	16

static size_t page;

static struct memalloc_view *create(size_t pages)
{
	struct memalloc_view *view;

	need(memalloc_view_create(mem, pages * page, &view), "view_create");
	return view;
}

/* A buffer of that many pages, each of which begins with its number + 1. */
static struct memalloc_buffer numbered(size_t pages)
{
	struct memalloc_buffer buffer = make(pages * page);
	unsigned char *bytes = map(mem, &buffer);
	size_t i;

	for (i = 0; i < pages; i++)
		bytes[i * page] = i + 1;
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	return buffer;
}

static unsigned char at(struct memalloc_view *view, size_t number)
{
	const unsigned char *bytes = memalloc_view_address(view);

	return __atomic_load_n(bytes + number * page, __ATOMIC_RELAXED);
}

static int map_pages(struct memalloc_view *view, size_t to, const struct memalloc_buffer *buffer,
		     size_t from, size_t pages)
{
	return memalloc_view_map(view, to * page, buffer, from * page, pages * page, 0);
}

static int unmap_pages(struct memalloc_view *view, size_t from, size_t pages)
{
	return memalloc_view_unmap(view, from * page, pages * page);
}

static void free_buffer(struct memalloc_buffer *buffer)
{
	need(memalloc_buffer_free(mem, buffer), "free");
}

/* "Set up a virtual memory manager ...": pages 0 and 1 are mapped to 10 and 20. */
static void test_seeds_page_table(void)
{
	struct memalloc_view *view = create(100);
	struct memalloc_buffer buffer = make(100 * page);
	struct memalloc_place place;

	is(map_pages(view, 0, &buffer, 10, 1), 0, "seeds: MapPage(0, 10)");
	is(map_pages(view, 1, &buffer, 20, 1), 0, "seeds: MapPage(1, 20)");
	is(memalloc_view_translate(view, 0, &place), 0, "seeds: TranslateAddress(0)");
	is(place.offset / page * 4096 + place.offset % page, 40960,
	   "seeds: virtual address 0 -> physical address 40960");
	is(memalloc_view_translate(view, page, &place), 0, "seeds: TranslateAddress(4096)");
	is(place.offset / page * 4096 + place.offset % page, 81920,
	   "seeds: virtual address 4096 -> physical address 81920");
	is(memalloc_view_translate(view, 5 * page + 7, &place), -ENXIO,
	   "seeds: page fault: virtual page 5 not mapped");
	is(map_pages(view, 0, &buffer, 30, 1), -EEXIST, "seeds: page 0 already in use");
	is(unmap_pages(view, 0, 1), 0, "seeds: UnmapPage(0)");
	is(unmap_pages(view, 0, 1), -ENXIO, "seeds: virtual page 0 not mapped");
	is(memalloc_view_translate(view, 0, &place), -ENXIO,
	   "seeds: page fault: virtual page 0 not mapped");
	memalloc_view_destroy(view);
	free_buffer(&buffer);
}

/* What is written over the end of the first one is at its beginning. */
static void test_ring(void)
{
	struct memalloc_view *ring = create(8);
	struct memalloc_buffer buffer = make(4 * page);
	char *bytes = memalloc_view_address(ring);

	need(map_pages(ring, 0, &buffer, 0, 4), "map");
	need(map_pages(ring, 4, &buffer, 0, 4), "map");
	free_buffer(&buffer);
	memset(bytes + 4 * page - 10, 'r', 20);
	ok(all_bytes(bytes, 10, 'r') && all_bytes(bytes + 8 * page - 10, 10, 'r'),
	   "ring: it never ends");
	ok(all_bytes(bytes + 10, 4 * page - 20, 0), "ring: nothing else was written to");
	memalloc_view_destroy(ring);
	ok(used_becomes(0), "ring: destroy gives back what was mapped");
}

static void test_map(void)
{
	struct memalloc_view *view = create(PAGES);
	struct memalloc_buffer a = numbered(6), b = numbered(6), read_only;
	char *bytes = memalloc_view_address(view);
	int fd;

	need(map_pages(view, 1, &a, 2, 3), "map");
	need(map_pages(view, 4, &b, 5, 1), "map");
	is(at(view, 1), 3, "map: the first page of the part");
	is(at(view, 3), 5, "map: the last one");
	is(at(view, 4), 6, "map: another buffer is next to it");
	is(memalloc_view_map(view, 9 * page, &a, 0, page, MEMALLOC_READ_ONLY), 0,
	   "map: read only");
	ok(at(view, 9) == 1 && !can_write(bytes + 9 * page), "map: what is read only is read");
	ok(can_write(bytes + page) && !can_write(bytes), "map: pages between are nobody's");

	is(map_pages(view, 4, &a, 0, 1), -EEXIST, "map: EEXIST, something is there");
	is(map_pages(view, 0, &a, 0, 2), -EEXIST, "map: EEXIST, at the end");
	is(map_pages(view, 4, &a, 0, 2), -EEXIST, "map: EEXIST, at the beginning");
	is(at(view, 4), 6, "map: what is there stays");
	ok(!can_write(bytes) && !can_write(bytes + 5 * page), "map: EEXIST maps nothing");
	is(map_pages(view, PAGES, &a, 0, 1), -EINVAL, "map: EINVAL, behind the view");
	is(map_pages(view, PAGES - 1, &a, 0, 2), -EINVAL, "map: EINVAL, over its end");
	is(map_pages(view, 10, &a, 6, 1), -EINVAL, "map: EINVAL, behind the buffer");
	is(map_pages(view, 10, &a, 5, 2), -EINVAL, "map: EINVAL, over its end");
	is(map_pages(view, 10, &a, -1, 2), -EINVAL, "map: EINVAL, an offset that wraps");
	is(map_pages(view, 10, &a, 0, 0), -EINVAL, "map: EINVAL, nothing");
	is(memalloc_view_map(view, 10 * page + 1, &a, 0, page, 0), -EINVAL,
	   "map: EINVAL, a place inside a page");
	is(memalloc_view_map(view, 10 * page, &a, 1, page, 0), -EINVAL,
	   "map: EINVAL, an offset inside a page");
	is(memalloc_view_map(view, 10 * page, &a, 0, page - 1, 0), -EINVAL,
	   "map: EINVAL, a part of a page");
	is(memalloc_view_map(view, 10 * page, &a, 0, page, UNKNOWN_FLAG), -EINVAL,
	   "map: EINVAL, an unknown flag");

	if (info.features & MEMALLOC_FEATURE_DMABUF) {
		fd = memalloc_buffer_export(mem, &b, 0);
		need(fd, "export");
		need(memalloc_buffer_import(mem, fd, MEMALLOC_READ_ONLY, &read_only), "import");
		close(fd);
		free_buffer(&b);
		is(map_pages(view, 10, &read_only, 0, 1), -EACCES,
		   "map: EACCES, a read-only handle");
		b = read_only;
	}
	free_buffer(&a);
	free_buffer(&b);
	is(map_pages(view, 10, &a, 0, 1), -ENOENT, "map: ENOENT, freed");
	ok(!can_write(bytes + 10 * page), "map: ENOENT maps nothing");
	is(at(view, 2), 4, "map: what is mapped keeps its buffer");
	is(used(), 12 * page, "map: both are kept");
	is(unmap_pages(view, 1, 4), 0, "unmap: two buffers at once");
	ok(used_becomes(6 * page), "unmap: one has another page mapped");
	memalloc_view_destroy(view);
	ok(used_becomes(0), "destroy: gives back the rest");
}

static void test_unmap(void)
{
	struct memalloc_view *view = create(PAGES);
	struct memalloc_buffer buffer = numbered(8);
	char *bytes = memalloc_view_address(view);

	need(map_pages(view, 0, &buffer, 0, 8), "map");
	is(unmap_pages(view, 2, 3), 0, "unmap: in the middle");
	ok(at(view, 1) == 2 && at(view, 5) == 6 && at(view, 7) == 8, "unmap: the rest stays");
	ok(!can_write(bytes + 2 * page) && !can_write(bytes + 4 * page), "unmap: it is gone");
	is(unmap_pages(view, 1, 2), -ENXIO, "unmap: ENXIO, a page is not mapped");
	is(unmap_pages(view, 4, 2), -ENXIO, "unmap: ENXIO, the first one is not");
	ok(at(view, 1) == 2 && at(view, 5) == 6, "unmap: ENXIO takes nothing away");
	is(unmap_pages(view, PAGES - 1, 2), -EINVAL, "unmap: EINVAL, over the end");
	is(memalloc_view_unmap(view, 1, page), -EINVAL, "unmap: EINVAL, inside a page");
	is(memalloc_view_unmap(view, 0, page + 1), -EINVAL, "unmap: EINVAL, a part of a page");
	is(memalloc_view_unmap(view, 0, 0), -EINVAL, "unmap: EINVAL, nothing");
	is(map_pages(view, 2, &buffer, 0, 3), 0, "unmap: the pages can be mapped again");
	ok(at(view, 2) == 1 && at(view, 4) == 3 && at(view, 5) == 6, "unmap: others are there");
	free_buffer(&buffer);
	is(unmap_pages(view, 1, 6), 0, "unmap: parts of several");
	ok(at(view, 0) == 1 && at(view, 7) == 8, "unmap: the first and the last stay");
	is(unmap_pages(view, 0, 1), 0, "unmap: the first");
	is(used(), 8 * page, "unmap: the last keeps the buffer");
	is(unmap_pages(view, 7, 1), 0, "unmap: the last");
	ok(used_becomes(0), "unmap: the buffer is given back");
	memalloc_view_destroy(view);
}

struct listed {
	struct memalloc_view_piece pieces[PAGES];
	int n, end_after;
};

static int list(const struct memalloc_view_piece *piece, void *data)
{
	struct listed *listed = data;

	listed->pieces[listed->n++] = *piece;
	return listed->n == listed->end_after ? 42 : 0;
}

static bool is_piece(const struct memalloc_view_piece *piece, size_t to, size_t pages,
		     const struct memalloc_buffer *buffer, size_t from, unsigned int flags)
{
	return piece->at == to * page && piece->length == pages * page &&
	       piece->handle == buffer->handle && piece->offset == from * page &&
	       piece->flags == flags;
}

static void test_visit(void)
{
	struct memalloc_view *view = create(PAGES);
	struct memalloc_buffer a = numbered(8), b = numbered(2);
	struct listed all = { 0 }, two = { .end_after = 2 };

	is(memalloc_view_visit(view, list, &all), 0, "visit: an empty view");
	is(all.n, 0, "visit: has nothing");
	need(map_pages(view, 2, &a, 0, 2), "map");
	need(map_pages(view, 4, &a, 2, 2), "map");
	need(map_pages(view, 6, &a, 0, 1), "map");
	need(map_pages(view, 7, &b, 1, 1), "map");
	need(memalloc_view_map(view, 15 * page, &b, 0, page, MEMALLOC_READ_ONLY), "map");
	is(memalloc_view_visit(view, list, &all), 0, "visit");
	ok(all.n == 4 && is_piece(&all.pieces[0], 2, 4, &a, 0, 0) &&
	   is_piece(&all.pieces[1], 6, 1, &a, 0, 0) && is_piece(&all.pieces[2], 7, 1, &b, 1, 0) &&
	   is_piece(&all.pieces[3], 15, 1, &b, 0, MEMALLOC_READ_ONLY),
	   "visit: what continues is one piece");
	is(memalloc_view_visit(view, list, &two), 42, "visit: ends when it is told to");
	is(two.n, 2, "visit: then");
	memalloc_view_destroy(view);
	free_buffer(&a);
	free_buffer(&b);
}

static bool is_place(const struct memalloc_place *place, const struct memalloc_buffer *buffer,
		     uint64_t offset, uint64_t length)
{
	struct memalloc_place same;

	return !memalloc_buffer_translate(mem, buffer, offset, &same) &&
	       place->handle == buffer->handle && place->offset == offset &&
	       place->length == length && same.offset == offset &&
	       same.region_offset == place->region_offset && !place->reserved;
}

static void test_translate(void)
{
	struct memalloc_view *view = create(PAGES);
	struct memalloc_buffer buffer = numbered(8), other = numbered(1);
	unsigned char *bytes = map(mem, &buffer);
	struct memalloc_place place;

	need(map_pages(view, 3, &buffer, 2, 2), "map");
	need(map_pages(view, 5, &buffer, 4, 1), "map");
	need(map_pages(view, 6, &buffer, 0, 1), "map");
	is(memalloc_translate(mem, bytes + 3 * page + 5, &place), 0, "translate: a mapping");
	ok(is_place(&place, &buffer, 3 * page + 5, 5 * page - 5), "translate: where it is");
	is(memalloc_translate(mem, &place, &place), -ENXIO, "translate: ENXIO, no buffer");
	is(memalloc_translate(mem, NULL, &place), -ENXIO, "translate: ENXIO, nothing");
	is(memalloc_buffer_translate(mem, &buffer, 8 * page, &place), -EINVAL,
	   "translate: EINVAL, behind the buffer");
	is(memalloc_view_translate(view, 3 * page + 9, &place), 0, "translate: a view");
	ok(is_place(&place, &buffer, 2 * page + 9, 3 * page - 9),
	   "translate: what continues in the view counts");
	is(memalloc_view_translate(view, 7 * page - 1, &place), 0, "translate: a last byte");
	ok(is_place(&place, &buffer, page - 1, 1), "translate: it is the last one");
	is(memalloc_view_translate(view, 0, &place), -ENXIO, "translate: ENXIO, not mapped");
	is(memalloc_view_translate(view, PAGES * page, &place), -EINVAL,
	   "translate: EINVAL, behind the view");
	is(memalloc_translate(mem, (char *)memalloc_view_address(view) + 4 * page, &place), 0,
	   "translate: an address in a view");
	ok(is_place(&place, &buffer, 3 * page, 5 * page), "translate: is that of the buffer");

	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	is(memalloc_translate(mem, bytes, &place), -ENXIO, "translate: ENXIO, unmapped");
	free_buffer(&buffer);
	is(memalloc_view_translate(view, 3 * page, &place), 0, "translate: a freed buffer");
	ok(!place.handle && place.offset == 2 * page, "translate: has no handle");
	is(memalloc_buffer_translate(mem, &buffer, 0, &place), -ENOENT,
	   "translate: ENOENT, freed");
	memalloc_view_destroy(view);
	free_buffer(&other);
}

static void test_create(void)
{
	struct memalloc_view *view;

	is(memalloc_view_create(mem, 0, &view), -EINVAL, "create: EINVAL, nothing");
	is(memalloc_view_create(mem, SIZE_MAX, &view), -ENOMEM, "create: ENOMEM, too much");
	is(memalloc_view_create(mem, SIZE_MAX / 2, &view), -ENOMEM, "create: ENOMEM, no addresses");
	need(memalloc_view_create(mem, page + 1, &view), "create");
	is((uintptr_t)memalloc_view_address(view) % page, 0, "create: whole pages");
	memalloc_view_destroy(view);
	memalloc_view_destroy(NULL);
	ok(true, "destroy: nothing");
}

static void test_fork(void)
{
	struct memalloc_view *view = create(PAGES);
	struct memalloc_buffer buffer = numbered(4);
	unsigned char *bytes = memalloc_view_address(view);
	struct listed listed = { 0 };
	int status;
	pid_t child;

	need(map_pages(view, 0, &buffer, 0, 4), "map");
	child = fork();
	need(child, "fork");
	if (!child) {
		const int expected = memalloc_backend(mem) == MEMALLOC_BACKEND_DEVICE ? 0 : -EBADF;

		bytes[1] = 'c';
		_exit(memalloc_view_visit(view, list, &listed) || listed.n != 1 ||
		      map_pages(view, 8, &buffer, 1, 1) != expected ||
		      unmap_pages(view, 2, 1) || can_write(bytes + 2 * page) ||
		      (memalloc_view_destroy(view), can_write(bytes)));
	}
	need(waitpid(child, &status, 0) == child ? 0 : -errno, "waitpid");
	is(status, 0, "fork: a child has a view of its own");
	ok(bytes[1] == 'c' && at(view, 2) == 3, "fork: of the same bytes, and the parent's stays");
	memalloc_view_destroy(view);
	free_buffer(&buffer);
	ok(used_becomes(0), "fork: nothing is left");
}

static struct memalloc_view *shared;
static struct memalloc_buffer shared_buffer;

/* Each thread has a quarter of the view, and maps its own number there, and forks now and then. */
static void *work(void *mark)
{
	const size_t number = *(char *)mark - 1, first = number * PAGES / THREADS;
	struct memalloc_place place;
	int i;

	for (i = 0; i < 300; i++) {
		if (map_pages(shared, first, &shared_buffer, number, 2) ||
		    map_pages(shared, first + 1, &shared_buffer, 0, 1) != -EEXIST ||
		    at(shared, first) != number + 1 || at(shared, first + 1) != number + 2 ||
		    memalloc_view_translate(shared, (first + 1) * page, &place) ||
		    place.offset != (number + 1) * page || unmap_pages(shared, first + 1, 1) ||
		    unmap_pages(shared, first, 1))
			return NULL;
		if (i % 100 == 50) {
			const pid_t child = fork();
			int status = 0;

			/* Who waits for a lock that nobody has is ended. */
			if (!child && !alarm(30))
				_exit(memalloc_view_visit(shared, list, &(struct listed){ 0 }));
			if (child > 0 && (waitpid(child, &status, 0) != child || status))
				return NULL;
		}
	}
	return mark;
}

static void test_threads(void)
{
	shared = create(PAGES);
	shared_buffer = numbered(PAGES);
	is(run_threads(work), THREADS, "threads: map, translate, unmap and fork");
	memalloc_view_destroy(shared);
	free_buffer(&shared_buffer);
}

/* Blocks of a heap are bytes of its buffers. */
static void test_heap(void)
{
	const struct memalloc_heap_config config = {
		.size = sizeof(config), .length = 64 * page, .chunk = 8 * page,
	};
	struct memalloc_heap *heap;
	struct memalloc_place place;
	struct memalloc_buffer buffer;
	void *blocks[5];
	int i, fd;

	need(memalloc_heap_create(mem, &config, &heap), "heap_create");
	for (i = 0; i < 5; i++)
		need(memalloc_heap_aligned_alloc(heap, page, 3 * page, &blocks[i]), "heap_alloc");
	is(memalloc_heap_translate(heap, (char *)blocks[1] + 7, &place), 0, "heap: translate");
	ok(place.offset == 3 * page + 7 && place.length == 3 * page - 7,
	   "heap: a byte of the second block");
	need(memalloc_buffer_query(mem, place.handle, &buffer), "query");
	is(buffer.real_length, 8 * page, "heap: its buffer is a chunk");
	ok(is_place(&place, &buffer, place.offset, place.length), "heap: it lies there");
	is(memalloc_heap_translate(heap, blocks[2], &place), 0, "heap: translate");
	is(place.length, 2 * page, "heap: a block that lies in two chunks");
	is(memalloc_heap_export(heap, blocks[2], 0), -EXDEV, "heap: EXDEV, it is not exported");
	fd = memalloc_heap_export(heap, blocks[3], 0);
	if (info.features & MEMALLOC_FEATURE_DMABUF) {
		unsigned char *bytes = fd < 0 ? MAP_FAILED :
			mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		ok(bytes != MAP_FAILED, "heap: a block is a dma-buf");
		is(lseek(fd, 0, SEEK_END), 3 * page, "heap: as long as the block");
		memset(bytes, 'd', 3 * page);
		ok(all_bytes(blocks[3], 3 * page, 'd') && ((char *)blocks[4])[0] != 'd' &&
		   ((char *)blocks[2])[3 * page - 1] != 'd', "heap: with its bytes, and no others");
		munmap(bytes, 3 * page);
		close(fd);
	} else {
		is(fd, -EOPNOTSUPP, "heap: EOPNOTSUPP, no udmabuf");
	}
	is(memalloc_heap_export(heap, (char *)blocks[3] + page, 0), -EINVAL,
	   "heap: EINVAL, inside a block");
	need(memalloc_heap_free(heap, blocks[4]), "heap_free");
	is(memalloc_heap_export(heap, blocks[4], 0), -ENOENT, "heap: ENOENT, freed");
	is(memalloc_heap_translate(heap, blocks[4], &place), -ENOENT, "heap: ENOENT, freed");
	is(memalloc_heap_translate(heap, &place, &place), -EINVAL, "heap: EINVAL, elsewhere");
	need(memalloc_heap_alloc(heap, page + 256, &blocks[4]), "heap_alloc");
	is(memalloc_heap_export(heap, blocks[4], 0), -EINVAL, "heap: EINVAL, not whole pages");
	memalloc_heap_destroy(heap, NULL, NULL);
	ok(used_becomes(0), "heap: nothing is left");
}

static void test_export_part(void)
{
	struct memalloc_buffer buffer = numbered(8), imported;
	unsigned char *bytes;
	int fd, other;

	is(memalloc_buffer_export_part(mem, &buffer, 1, page, 0), -EINVAL,
	   "export_part: EINVAL, inside a page");
	is(memalloc_buffer_export_part(mem, &buffer, 0, page, UNKNOWN_FLAG), -EINVAL,
	   "export_part: EINVAL, an unknown flag");
	if (!(info.features & MEMALLOC_FEATURE_PARTS))
		goto out;
	is(memalloc_buffer_export_part(mem, &buffer, 8 * page, page, 0), -EINVAL,
	   "export_part: EINVAL, behind the buffer");
	is(memalloc_buffer_export_part(mem, &buffer, 7 * page, 2 * page, 0), -EINVAL,
	   "export_part: EINVAL, over its end");
	fd = memalloc_buffer_export_part(mem, &buffer, 2 * page, 3 * page, 0);
	other = memalloc_buffer_export_part(mem, &buffer, 6 * page, 0, 0);
	ok(fd >= 0 && other >= 0, "export_part: twice");
	is(lseek(fd, 0, SEEK_END), 3 * page, "export_part: as long as the part");
	is(lseek(other, 0, SEEK_END), 2 * page, "export_part: up to the end");
	bytes = mmap(NULL, 3 * page, PROT_READ, MAP_SHARED, fd, 0);
	ok(bytes != MAP_FAILED && bytes[0] == 3 && bytes[2 * page] == 5, "export_part: the part");
	munmap(bytes, 3 * page);
	is(memalloc_buffer_import(mem, fd, 0, &imported), -EOPNOTSUPP,
	   "export_part: EOPNOTSUPP, it is not imported");
	close(fd);
	fd = memalloc_buffer_export_part(mem, &buffer, 0, 8 * page, 0);
	is(memalloc_buffer_import(mem, fd, 0, &imported), 0, "export_part: all of it is");
	close(fd);
	free_buffer(&buffer);
	is(used(), 8 * page, "export_part: keeps the buffer");
	close(other);
	ok(used_becomes(0), "export_part: until it is closed");
	return;
out:
	free_buffer(&buffer);
}

int main(int argc, char **argv)
{
	open_device(argc, argv);
	page = getpagesize();
	test_seeds_page_table();
	test_ring();
	test_create();
	test_map();
	test_unmap();
	test_visit();
	test_translate();
	test_fork();
	test_threads();
	test_heap();
	test_export_part();
	is(used(), 0, "everything is given back");
	memalloc_close(mem);
	return tap_done();
}
