// SPDX-License-Identifier: MIT
/*
 * Usage: model [CALLS [SEED]]
 *
 * Random calls, right and wrong, on memory of the process. A model, which knows of each
 * granule whose it is, says what has to come: each error, each figure and each block; and
 * that a buffer has the bytes that were written to it, or zeros. It knows of each page of a view
 * what is mapped there.
 */
#include <errno.h>
#include <memalloc_view.h>
#include <unistd.h>

#include "probe.h"
#include "random.h"
#include "region.h"

enum { GRANULES = 61, BUFFERS = 24, MAPPINGS = 3, EXPORTS = 2, VIEW = 20 };

/* What may use a buffer. [false]: read-only. */
struct entry {
	struct memalloc_buffer handle[2];	/* .handle 0: none */
	struct memalloc_buffer stale;	/* as it was told */
	void *mapping[MAPPINGS];
	bool writable[MAPPINGS];
	int export[EXPORTS];		/* -1: none */
	bool is_part[EXPORTS];		/* not all of the buffer */
	unsigned int viewed;		/* pages of the view */
	uint64_t first, granules;	/* 0 granules: the entry is free */
	unsigned char byte;		/* what is in all of it */
};

static struct entry entries[BUFFERS];
static struct entry *owner[GRANULES];
static struct memalloc_info info;
static struct memalloc_stats wanted;
static uint64_t seed = 1;
static unsigned int wrong;
static unsigned char bytes;

static struct memalloc_view *view;

/* What is mapped at a page of it. */
static struct {
	struct entry *entry;		/* NULL: nothing */
	uint64_t page;			/* of the buffer */
	uint32_t handle;		/* that was given */
} pages[VIEW];

static uint32_t below(uint32_t end)
{
	return random_u32(&seed) % end;
}

static void expect(int64_t got, int64_t answer, const char *what)
{
	if (got == answer)
		return;
	printf("# %s: got %lld, wanted %lld\n", what, (long long)got, (long long)answer);
	wrong++;
}

static bool in_use(const struct entry *entry)
{
	bool used = entry->handle[false].handle || entry->handle[true].handle;
	int i;

	for (i = 0; i < MAPPINGS; i++)
		used |= !!entry->mapping[i];
	for (i = 0; i < EXPORTS; i++)
		used |= entry->export[i] >= 0;
	return used || entry->viewed;
}

/* A user of it is gone: was that the last one? */
static void check_use(struct entry *entry)
{
	uint64_t i;

	if (in_use(entry))
		return;
	for (i = 0; i < entry->granules; i++)
		owner[entry->first + i] = NULL;
	wanted.frees++;
	wanted.freed += entry->granules * info.granule;
	wanted.requested -= entry->stale.length;
	entry->granules = 0;
}

/* Is there a place for @granules? */
static bool fits(uint64_t granules, uint64_t align)
{
	uint64_t place, end;

	for (place = 0; place + granules <= GRANULES; place += align) {
		for (end = place; end < place + granules && !owner[end]; end++)
			;
		if (end == place + granules)
			return true;
	}
	return false;
}

struct search {
	uint32_t handle;
	uint64_t offset;
};

static int find_block(const struct memalloc_block *block, void *data)
{
	struct search *search = data;

	search->offset = block->offset;
	return block->handle == search->handle;
}

static void added(struct entry *entry, const struct memalloc_buffer *buffer, uint64_t align)
{
	struct search search = { .handle = buffer->handle };
	uint64_t i;

	*entry = (struct entry) {
		.handle[true] = *buffer,
		.stale = *buffer,
		.export = { -1, -1 },
		.granules = buffer->real_length / info.granule,
	};
	expect(memalloc_visit_blocks(mem, find_block, &search), 1, "block of a new buffer");
	entry->first = search.offset / info.granule;
	expect(search.offset % (align * info.granule), 0, "place of a new buffer");
	for (i = 0; i < entry->granules; i++) {
		expect(!owner[entry->first + i], true, "a granule of a new buffer");
		owner[entry->first + i] = entry;
	}
	wanted.allocs++;
	wanted.allocated += buffer->real_length;
	wanted.requested += buffer->length;
}

static void try_alloc(struct entry *entry)
{
	static const uint64_t lengths[] = { 0, UINT64_MAX, 1ULL << 63, UINT64_MAX - 4095 };
	uint64_t length = 1 + below(8 * info.granule), alignment = 0, align = 1, granules;
	struct memalloc_buffer buffer;
	int answer = 0, err;

	if (entry->granules)
		return;
	if (!below(8))
		length = below(2) ? lengths[below(4)] : 1 + below(65 * info.granule);
	if (!below(3))
		alignment = 1ULL << below(below(4) ? 19 : 64);
	if (!below(16))
		alignment += below(3);
	if (alignment > info.granule)
		align = alignment / info.granule;
	granules = length / info.granule + !!(length % info.granule);

	if (!length || alignment & (alignment - 1) || alignment > info.max_alignment)
		answer = -EINVAL;
	else if (granules > GRANULES)
		answer = -EFBIG;
	else if (!fits(granules, align))
		answer = -ENOMEM;
	wanted.failures += answer == -EFBIG || answer == -ENOMEM;

	err = memalloc_buffer_alloc(mem, length, alignment, &buffer);
	expect(err, answer, "alloc");
	if (err)
		return;
	expect(buffer.length, length, "length of a new buffer");
	expect(buffer.real_length, granules * info.granule, "real_length of a new buffer");
	added(entry, &buffer, align);
}

static void try_free(struct entry *entry)
{
	const bool writable = below(2);
	struct memalloc_buffer *handle = &entry->handle[writable], buffer = *handle;
	int answer = buffer.handle ? 0 : -ENOENT, err;

	if (!buffer.handle && below(2))
		buffer.handle = writable ? entry->stale.handle : UINT32_MAX;
	if (!below(4)) {
		buffer.length += below(2) ? 1 : info.granule;
		answer = answer ? answer : -ERANGE;
	} else if (!below(4)) {
		buffer.length = 0;	/* doesn't matter */
	}
	err = memalloc_buffer_free(mem, &buffer);
	expect(err, answer, "free");
	if (err)
		return;
	expect(buffer.handle, 0, "handle after free");
	handle->handle = 0;
	check_use(entry);
}

static void try_query(struct entry *entry)
{
	const bool writable = below(2);
	const struct memalloc_buffer *handle = &entry->handle[writable];
	struct memalloc_buffer buffer;
	int err = memalloc_buffer_query(mem, handle->handle, &buffer);

	expect(err, handle->handle ? 0 : -ENOENT, "query");
	if (!err)
		expect(memcmp(&buffer, handle, sizeof(buffer)), 0, "query's answer");
}

static void look_at(struct entry *entry, int i)
{
	unsigned char *mapping = entry->mapping[i];

	expect(all_bytes(mapping, entry->stale.real_length, entry->byte), true, "bytes");
	if (entry->writable[i])
		memset(mapping, entry->byte = ++bytes, entry->stale.real_length);
}

static void try_map(struct entry *entry, int i)
{
	const bool read_only = below(2);
	const bool may = entry->handle[false].handle || entry->handle[true].handle;
	struct memalloc_buffer buffer = entry->stale;
	int answer = 0, err;
	void *address;

	if (!entry->granules || entry->mapping[i])
		return;
	if (!below(8))
		buffer.mmap_offset += 1 + below(info.granule - 1);
	else if (!below(8))
		buffer.real_length += info.granule;
	if (buffer.mmap_offset % info.granule)
		answer = -EINVAL;
	else if (!may)
		answer = -ENOENT;
	else if (buffer.real_length != entry->stale.real_length)
		answer = -EINVAL;
	else if (!read_only && !entry->handle[true].handle)
		answer = -EACCES;
	err = memalloc_buffer_map(mem, &buffer, read_only ? MEMALLOC_READ_ONLY : 0, &address);
	expect(err, answer, "map");
	if (err)
		return;
	entry->mapping[i] = address;
	entry->writable[i] = !read_only;
	look_at(entry, i);
}

static void try_unmap(struct entry *entry, int i)
{
	struct memalloc_buffer buffer = entry->stale;

	if (!entry->mapping[i])
		return;
	look_at(entry, i);
	expect(memalloc_buffer_unmap(&buffer, (char *)entry->mapping[i] + 1), -EINVAL,
	       "unmap inside");
	buffer.real_length += info.granule;
	expect(memalloc_buffer_unmap(&buffer, entry->mapping[i]), -EINVAL,
	       "unmap of another length");
	expect(memalloc_buffer_unmap(&entry->stale, entry->mapping[i]), 0, "unmap");
	entry->mapping[i] = NULL;
	check_use(entry);
}

static void try_export(struct entry *entry, int i)
{
	const bool writable = below(4);
	const struct memalloc_buffer *handle = &entry->handle[below(4) > 0];
	const uint64_t granule = info.granule;
	uint64_t offset = 0, length = 0;
	int answer = 0, fd;

	if (!entry->granules || entry->export[i] >= 0)
		return;
	if (below(2)) {
		offset = below(entry->granules + 1) * granule;
		length = below(entry->granules + 1) * granule;
	}
	if (!below(8))
		offset += 1 + below(granule - 1);
	if (offset % granule)
		answer = -EINVAL;
	else if (!handle->handle)
		answer = -ENOENT;
	else if (!writable)
		answer = -EOPNOTSUPP;
	else if (!(handle->access & MEMALLOC_ACCESS_WRITE))
		answer = -EACCES;
	else if (offset + (length ? length : granule) > entry->granules * granule)
		answer = -EINVAL;
	else if (!(info.features & MEMALLOC_FEATURE_DMABUF))
		answer = -EOPNOTSUPP;
	fd = memalloc_buffer_export_part(mem, handle, offset, length,
					 writable ? 0 : MEMALLOC_READ_ONLY);
	expect(fd < 0 ? fd : 0, answer, "export");
	if (fd < 0)
		return;
	entry->export[i] = fd;
	length = length ? length : entry->granules * granule - offset;
	entry->is_part[i] = length != entry->granules * granule;
	expect(lseek(fd, 0, SEEK_END), length, "length of an export");
}

static void try_import(struct entry *entry, int i)
{
	const bool writable = below(2);
	struct memalloc_buffer *handle = &entry->handle[writable], buffer;

	if (!entry->granules || entry->export[i] < 0)
		return;
	expect(memalloc_buffer_import(mem, entry->export[i], writable ? 0 : MEMALLOC_READ_ONLY,
				      &buffer), entry->is_part[i] ? -EOPNOTSUPP : 0, "import");
	if (entry->is_part[i])
		return;
	expect(buffer.length, entry->stale.length, "length of an import");
	expect(buffer.mmap_offset, entry->stale.mmap_offset, "mmap_offset of an import");
	expect(buffer.access, MEMALLOC_ACCESS_READ | (writable ? MEMALLOC_ACCESS_WRITE : 0),
	       "access of an import");
	if (handle->handle)
		expect(buffer.handle, handle->handle, "handle of an import");
	*handle = buffer;
}

static void close_export(struct entry *entry, int i)
{
	if (!entry->granules || entry->export[i] < 0)
		return;
	close(entry->export[i]);
	entry->export[i] = -1;
	check_use(entry);
}

static void expect_place(const struct memalloc_place *place, const struct entry *entry,
			 uint64_t offset, const char *what)
{
	const uint64_t first = entry->first * info.granule;

	expect(place->handle, entry->handle[true].handle ? entry->handle[true].handle :
	       entry->handle[false].handle, what);
	expect(place->offset, offset, what);
	expect(place->region_offset, first + offset, what);
}

static void try_translate(struct entry *entry, int i)
{
	const uint64_t offset = below(entry->stale.real_length + info.granule);
	const struct memalloc_buffer *handle = &entry->handle[true];
	const bool inside = offset < entry->stale.real_length;
	struct memalloc_place place;
	int err;

	if (!entry->granules)
		return;
	err = memalloc_buffer_translate(mem, handle, offset, &place);
	expect(err, !handle->handle ? -ENOENT : inside ? 0 : -EINVAL, "translate");
	if (!err)
		expect_place(&place, entry, offset, "translate's answer");
	if (!entry->mapping[i] || !inside)
		return;
	expect(memalloc_translate(mem, (char *)entry->mapping[i] + offset, &place), 0,
	       "translate an address");
	expect_place(&place, entry, offset, "translate's answer for an address");
}

/* What the first @n of the view's pages from @first on have; a page behind the view has nothing. */
static int count_mapped(uint32_t first, uint32_t n)
{
	int mapped = 0;

	for (; n--; first++)
		mapped += first < VIEW && pages[first].entry;
	return mapped;
}

static void try_view_map(struct entry *entry)
{
	const uint32_t first = below(VIEW + 1), n = below(8), from = below(8);
	const struct memalloc_buffer *handle = &entry->handle[true];
	const bool may = entry->handle[false].handle || entry->handle[true].handle;
	struct memalloc_buffer buffer = entry->stale;
	int answer = 0, err;
	uint32_t i;

	if (!entry->granules)
		return;
	if (!n || first + n > VIEW || from + n > entry->granules)
		answer = -EINVAL;
	else if (count_mapped(first, n))
		answer = -EEXIST;
	else if (!may)
		answer = -ENOENT;
	else if (!handle->handle)
		answer = -EACCES;
	err = memalloc_view_map(view, first * info.granule, &buffer, from * info.granule,
				n * info.granule, 0);
	expect(err, answer, "view_map");
	for (i = 0; !err && i < n; i++) {
		pages[first + i].entry = entry;
		pages[first + i].page = from + i;
		pages[first + i].handle = buffer.handle;
		entry->viewed++;
	}
}

static void try_view_unmap(void)
{
	const uint32_t first = below(VIEW + 1), n = below(6);
	int answer = 0, err;
	uint32_t i;

	if (!n || first + n > VIEW)
		answer = -EINVAL;
	else if (count_mapped(first, n) != (int)n)
		answer = -ENXIO;
	err = memalloc_view_unmap(view, first * info.granule, n * info.granule);
	expect(err, answer, "view_unmap");
	for (i = first; !err && i < first + n; i++) {
		struct entry *entry = pages[i].entry;

		pages[i].entry = NULL;
		entry->viewed--;
		check_use(entry);
	}
}

static int check_piece(const struct memalloc_view_piece *piece, void *data)
{
	const uint64_t first = piece->at / info.granule, n = piece->length / info.granule;
	uint64_t *next = data, i;

	for (i = *next; i < first; i++)
		expect(!pages[i].entry, true, "a page between pieces");
	for (i = 0; i < n; i++) {
		const struct entry *entry = pages[first + i].entry;

		expect(entry && pages[first + i].page == piece->offset / info.granule + i &&
		       pages[first + i].handle == piece->handle, true, "a page of a piece");
	}
	*next = first + n;
	return 0;
}

static void check_view(void)
{
	const uint32_t page = below(VIEW);
	const uint64_t at = page * info.granule + below(info.granule);
	const struct entry *entry = pages[page].entry;
	struct memalloc_place place;
	uint64_t next = 0;
	int err;

	expect(memalloc_view_visit(view, check_piece, &next), 0, "view_visit");
	for (; next < VIEW; next++)
		expect(!pages[next].entry, true, "a page behind the last piece");
	err = memalloc_view_translate(view, at, &place);
	expect(err, entry ? 0 : -ENXIO, "view_translate");
	if (err || !entry)
		return;
	expect_place(&place, entry, pages[page].page * info.granule + at % info.granule,
		     "view_translate's answer");
	expect(((unsigned char *)memalloc_view_address(view))[at], entry->byte,
	       "a byte of the view");
}

static int check_block(const struct memalloc_block *block, void *data)
{
	const uint64_t first = block->offset / info.granule, count = block->length / info.granule;
	const struct entry *entry = owner[first];
	uint64_t i, *next = data;

	expect(block->offset, *next, "where a block begins");
	*next += block->length;
	expect(block->state, entry ? MEMALLOC_BLOCK_USED : MEMALLOC_BLOCK_FREE, "state of a block");
	for (i = first; i < first + count; i++)
		expect(owner[i] == entry, true, "a granule of a block");
	if (entry)
		expect(block->handle, entry->handle[true].handle ? entry->handle[true].handle :
		       entry->handle[false].handle, "handle of a block");
	wanted.free += entry ? 0 : block->length;
	wanted.free_blocks += !entry;
	if (!entry && block->length > wanted.largest_free)
		wanted.largest_free = block->length;
	return 0;
}

/* All that can be asked of the region. */
static void check_all(void)
{
	struct memalloc_stats stats;
	uint64_t end = 0;

	wanted.free = 0;
	wanted.free_blocks = 0;
	wanted.largest_free = 0;
	expect(memalloc_visit_blocks(mem, check_block, &end), 0, "visit_blocks");
	expect(end, GRANULES * info.granule, "end of the last block");
	wanted.used = wanted.region_length - wanted.free;
	wanted.buffers = wanted.allocs - wanted.frees;
	wanted.fragmentation = wanted.free ? 1000 * (wanted.free - wanted.largest_free) /
					     wanted.free : 0;
	expect(memalloc_get_stats(mem, &stats, sizeof(stats)), 0, "get_stats");
	expect(memcmp(&stats, &wanted, sizeof(stats)), 0, "get_stats' answer");
}

static void call(void)
{
	struct entry *entry = &entries[below(BUFFERS)];

	switch (below(17)) {
	case 0:
	case 1:
		return try_alloc(entry);
	case 2:
	case 3:
	case 4:
		return try_free(entry);
	case 5:
		return try_query(entry);
	case 6:
		return try_map(entry, below(MAPPINGS));
	case 7:
	case 8:
		return try_unmap(entry, below(MAPPINGS));
	case 9:
		return try_export(entry, below(EXPORTS));
	case 10:
		return try_import(entry, below(EXPORTS));
	case 11:
		return try_translate(entry, below(MAPPINGS));
	case 12:
	case 13:
		return try_view_map(entry);
	case 14:
	case 15:
		return try_view_unmap();
	default:
		return close_export(entry, below(EXPORTS));
	}
}

int main(int argc, char **argv)
{
	const unsigned int calls = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
	unsigned int done;
	char path[32];
	int i, k;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	snprintf(path, sizeof(path), "process:%ld", GRANULES * sysconf(_SC_PAGESIZE));
	need(memalloc_open(path, &mem), "open");
	need(memalloc_get_info(mem, &info, sizeof(info)), "get_info");
	need(memalloc_get_stats(mem, &wanted, sizeof(wanted)), "get_stats");
	need(memalloc_view_create(mem, VIEW * info.granule, &view), "view_create");

	for (done = 0; done < calls && !wrong; done++) {
		call();
		check_all();
		check_view();
	}
	printf("# %u calls: %llu buffers, %llu failures\n", done,
	       (unsigned long long)wanted.allocs, (unsigned long long)wanted.failures);
	is(wrong, 0, "model: random calls, each answered as it should be");
	ok(wanted.allocs > calls / 100 && wanted.failures > calls / 100,
	   "model: buffers came about, and there was no room for others");

	memalloc_view_destroy(view);
	for (i = 0; i < VIEW; i++) {
		struct entry *entry = pages[i].entry;

		if (!entry)
			continue;
		pages[i].entry = NULL;
		entry->viewed--;
		check_use(entry);
	}
	for (i = 0; i < BUFFERS; i++) {
		for (k = 0; k < MAPPINGS; k++)
			try_unmap(&entries[i], k);
		for (k = 0; k < EXPORTS; k++)
			close_export(&entries[i], k);
		while (entries[i].granules)
			try_free(&entries[i]);
	}
	check_all();
	ok(!wrong && !wanted.used, "model: then nothing is left");
	memalloc_close(mem);
	return tap_done();
}
