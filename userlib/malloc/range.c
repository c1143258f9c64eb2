// SPDX-License-Identifier: MIT
/* The range of addresses, its blocks, and when memory goes back. See range.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "../src/addresses.h"
#include "../src/core.h"
#include "range.h"
#include "source.h"

/*
 * How many slices keep their memory for the next blocks, of those that are free and not zeros any
 * more. Of the process's memory: KEPT_PRIVATE, and a quarter as many as are in use. Of the
 * device's, which other programs want: few.
 */
#define KEPT_PRIVATE	512
#define KEPT_DEVICE	64

/* Addresses of the zone. */
#define ZONE_SLICES	(64 * CHUNK_SLICES)

/* Addresses of the range, at least: then each array begins with a page of its own. */
#define RANGE_MIN	((size_t)64 << 30)

/*
 * Where to look first, if the kernel maps at @high now. The kernel maps from high addresses down,
 * or from a third of them up; programs are at two thirds, or low. Half of @high is far from all of
 * these: a mapping there was asked for at that address. ThreadSanitizer does not allow a program
 * those addresses.
 */
#ifdef __SANITIZE_THREAD__
#define FAR_FROM(high)	((high) / 512)
#else
#define FAR_FROM(high)	((high) / 2)
#endif

/* An array beside the range. Its first part is mapped: that of slices that have been in use. */
struct array {
	char *place;
	size_t per_chunk;	/* bytes */
	size_t length;		/* bytes that may be mapped, and */
	size_t mapped;		/* that are, whole pages */
};

enum { TAGS, HEADS, CHUNKS, SLABS, ARRAYS };

struct range range;

static pthread_mutex_t lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static struct mal_heap heap;
static struct mal_heap zone;	/* a block of @heap; no slices: it is not there yet */
static uint32_t zone_first;
static struct array arrays[ARRAYS];
static struct chunk *chunks;
static size_t most_align;	/* in slices: the range begins at a multiple of it */
static size_t top;		/* from this slice on, all are free and have always been */
static size_t known;		/* slices for which there is all that the heap needs, and chunks */
static size_t used_slices;
static size_t kept_slices;	/* dirty ones that became free since the last purge */

void range_lock(void)
{
	pthread_mutex_lock(&lock);
}

void range_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* --- addresses that are mapped when they are needed -------------------------- */

static size_t whole_pages(size_t bytes)
{
	const size_t page = getpagesize();

	return (bytes + page - 1) & ~(page - 1);
}

static size_t whole_chunks(size_t slices)
{
	return (slices + CHUNK_SLICES - 1) & ~(CHUNK_SLICES - 1);
}

/* Arrays are used here and there, so a huge page would mostly be unused. */
static bool map_array(char *place, size_t bytes)
{
	if (source_map(place, bytes))
		return false;
	madvise(place, bytes, MADV_NOHUGEPAGE);
	return true;
}

/* Bytes that are mapped of an array, for @slices. */
static size_t array_bytes(const struct array *array, size_t slices)
{
	size_t bytes = whole_pages(slices / CHUNK_SLICES * array->per_chunk);

	return bytes < array->length ? bytes : array->length;
}

/* For @slices, and some more if there is memory for them. */
static bool grow_array(struct array *array, size_t slices)
{
	size_t need = array_bytes(array, slices);
	size_t more = whole_pages(array->mapped + array->mapped / 8);
	char *end = array->place + array->mapped;

	if (need <= array->mapped)
		return true;
	if (more > need && more <= array->length && map_array(end, more - array->mapped))
		need = more;
	else if (!map_array(end, need - array->mapped))
		return false;
	array->mapped = need;
	return true;
}

/* Let the heap use slices before @slice, and begin a block there. */
static bool reach_slice(size_t slice)
{
	size_t slices = slice < heap.granules ? whole_chunks(slice + 1) : heap.granules;

	if (slices <= known)
		return true;
	if (!grow_array(&arrays[TAGS], slices) || !grow_array(&arrays[HEADS], slices) ||
	    !grow_array(&arrays[CHUNKS], slices))
		return false;
	known = slices;
	return true;
}

/* A call has failed. Unmap what it mapped of the arrays; it began with @before known slices. */
static void forget_slices(size_t before)
{
	size_t slices = whole_chunks(top + 1), bytes;
	unsigned int i;

	if (slices < before)
		slices = before;
	if (slices >= known)
		return;
	known = slices;
	for (i = 0; i < SLABS; i++) {
		bytes = array_bytes(&arrays[i], slices);
		if (bytes < arrays[i].mapped &&
		    !munmap(arrays[i].place + bytes, arrays[i].mapped - bytes))
			arrays[i].mapped = bytes;
	}
}

/* Begin a range of @bytes at @base. False: addresses that are needed at once are taken. */
static bool begin_range_at(char *base, size_t bytes, size_t slab_bytes)
{
	const size_t page = getpagesize();
	const size_t slices = bytes >> SLICE_SHIFT;
	const size_t count = bytes >> CHUNK_SHIFT;
	/*
	 * The heap's memory is tags, heads, and small parts. The gap stops writes past the last
	 * block.
	 */
	char *tags = base + bytes + CHUNK_BYTES;
	char *heads = tags + slices * sizeof(struct mal_tag);
	char *rest = heads + slices / 8;
	const size_t rest_bytes = whole_pages(tags + mal_heap_bytes(slices) - rest);
	char *behind = rest + rest_bytes;
	char *slabs = behind + whole_pages(count * sizeof(*chunks));
	/* The last tag is used from the start. */
	const struct {
		char *place;
		size_t bytes;
	} parts[] = {
		{ tags, page },
		{ heads - page, 2 * page },
		{ rest, rest_bytes },
		{ behind, page },
	};
	unsigned int i;

	for (i = 0; i < 4 && map_array(parts[i].place, parts[i].bytes); i++)
		;
	if (i < 4) {
		while (i--)
			munmap(parts[i].place, parts[i].bytes);
		return false;
	}
	arrays[TAGS] = (struct array){
		.place = tags,
		.per_chunk = CHUNK_SLICES * sizeof(struct mal_tag),
		.length = heads - page - tags,
		.mapped = page,
	};
	arrays[HEADS] = (struct array){
		.place = heads,
		.per_chunk = CHUNK_SLICES / 8,
		.length = rest - heads,
		.mapped = page,
	};
	arrays[CHUNKS] = (struct array){
		.place = behind,
		.per_chunk = sizeof(*chunks),
		.length = slabs - behind,
		.mapped = page,
	};
	arrays[SLABS] = (struct array){
		.place = slabs,
		.per_chunk = CHUNK_SLICES * slab_bytes,
		.length = whole_pages(slices * slab_bytes),
	};
	range.base = base;
	range.slabs = (struct slab *)slabs;
	chunks = (struct chunk *)behind;
	known = CHUNK_SLICES;
	mal_heap_init(&heap, tags, slices, &mal_fit_good);
	return true;
}

/*
 * The range is four times the memory of the machine, so that a program does not end for its holes.
 */
bool range_init(size_t slab_bytes)
{
	void *mapped = mmap(NULL, getpagesize(), PROT_NONE, NOTHING, -1, 0);
	const size_t far = FAR_FROM((uintptr_t)mapped);
	size_t bytes = RANGE_MIN;
	int saved_errno = errno;
	struct sysinfo info;
	size_t place, align;
	bool begun = false;

	if (mapped == MAP_FAILED)
		return false;
	munmap(mapped, getpagesize());
	if (!sysinfo(&info))
		while (bytes / 4 < (info.totalram + info.totalswap) * info.mem_unit)
			bytes *= 2;
	while (bytes > far / 4)
		bytes /= 2;
	align = bytes / 4;
	most_align = align >> SLICE_SHIFT;
	for (place = far; place > far / 8 && !begun; place -= place / 8)
		begun = begin_range_at((char *)(place & ~(align - 1)), bytes, slab_bytes);
	errno = saved_errno;
	return begun;
}

/* Is the slice in the zone? */
static bool in_zone(uint32_t slice)
{
	return slice - zone_first < zone.granules;
}

/* The chunks in which the @count slices at @slice are. */
#define for_each_chunk(chunk, slice, count)				\
	for ((chunk) = (slice) / CHUNK_SLICES;				\
	     (chunk) <= ((slice) + (count) - 1) / CHUNK_SLICES; (chunk)++)

/* Bits for the slices of @chunk that are among the @count at @slice. */
static uint64_t slices_in(size_t chunk, uint32_t slice, size_t count)
{
	size_t begin = chunk * CHUNK_SLICES;
	size_t first = slice > begin ? slice - begin : 0;
	size_t end = slice + count - begin;
	uint64_t bits = ~0ull << first;

	return end < CHUNK_SLICES ? bits & ~(~0ull << end) : bits;
}

/* The slabs' array grows with the part of the range that has been used. */
static bool raise_limit(size_t slices)
{
	if (slices <= range_limit() >> SLICE_SHIFT)
		return true;
	if (!grow_array(&arrays[SLABS], slices))
		return false;
	__atomic_store_n(&range.limit, slices << SLICE_SHIFT, __ATOMIC_RELAXED);
	return true;
}

/* The end, up to @end, of the slices from @slice on that have no memory. */
static uint32_t unmapped_end(uint32_t slice, uint32_t end)
{
	uint64_t mapped;

	for (; slice < end; slice += CHUNK_SLICES - slice % CHUNK_SLICES) {
		mapped = chunks[slice / CHUNK_SLICES].mapped >> slice % CHUNK_SLICES;
		if (mapped) {
			slice += __builtin_ctzll(mapped);
			break;
		}
	}
	return slice < end ? slice : end;
}

static int map_private(uint32_t slice, uint32_t end)
{
	int err = source_map(range_address(slice), (size_t)(end - slice) << SLICE_SHIFT);
	size_t chunk;

	if (err)
		return err;
	for_each_chunk(chunk, slice, end - slice)
		chunks[chunk].mapped |= slices_in(chunk, slice, end - slice);
	return 0;
}

/*
 * Put memory of the process behind the slices from @slice on that have none: to the end of the
 * chunk that has @end, or only to @end.
 */
static int map_run(uint32_t slice, uint32_t end)
{
	uint32_t far = unmapped_end(slice, whole_chunks(end));
	uint32_t near = far < end ? far : end;

	if (far > near && !map_private(slice, far))
		return 0;
	return map_private(slice, near);
}

/*
 * Put memory behind @count slices; after an error, some of them have it. -ENOMEM: there is not as
 * much; -EEXIST: something else is mapped there.
 */
static int try_populate_block(uint32_t slice, size_t count)
{
	bool ordinary = in_zone(slice);
	uint64_t missing;
	size_t chunk;
	int err;

	for_each_chunk(chunk, slice, count) {
		missing = slices_in(chunk, slice, count) & ~chunks[chunk].mapped;
		if (missing && !ordinary && !chunks[chunk].mapped) {
			err = source_map_buffer(range_address(chunk * CHUNK_SLICES),
						&chunks[chunk]);
			if (err == -EEXIST || (err && source_is_only_device()))
				return err;
			ordinary = err;
		}
		while ((missing &= ~chunks[chunk].mapped)) {
			err = map_run(chunk * CHUNK_SLICES + __builtin_ctzll(missing),
				      slice + count);
			if (err)
				return err;
		}
	}
	return raise_limit(chunk * CHUNK_SLICES) ? 0 : -ENOMEM;
}

/* The slices are in a block from now on. Returns whether they are all zeros. */
static bool begin_use(uint32_t slice, size_t count)
{
	size_t chunk, reused = 0;
	uint64_t bits;

	for_each_chunk(chunk, slice, count) {
		bits = slices_in(chunk, slice, count);
		reused += __builtin_popcountll(bits & chunks[chunk].dirty);
		chunks[chunk].used |= bits;
		chunks[chunk].dirty |= bits;
	}
	used_slices += count;
	if (top < slice + count)
		top = slice + count;
	/* Some may have been dirty since before the last purge. */
	kept_slices -= reused < kept_slices ? reused : kept_slices;
	return !reused;
}

/*
 * Take the lowest run of ones out of @bits, which is not 0. Returns its length; it begins at
 * @first.
 */
static unsigned int take_run(uint64_t *bits, unsigned int *first)
{
	unsigned int count;
	uint64_t rest;

	*first = __builtin_ctzll(*bits);
	rest = ~(*bits >> *first);
	count = rest ? (unsigned int)__builtin_ctzll(rest) : CHUNK_SLICES;
	*bits &= count < 64 ? ~(((1ull << count) - 1) << *first) : 0;
	return count;
}

/* Give back the memory of free slices in a chunk that has used ones, too. */
static void clean_chunk(size_t chunk)
{
	uint64_t dirty = chunks[chunk].dirty & ~chunks[chunk].used;
	unsigned int first, count;
	uint32_t slice;

	/* The device takes back whole chunks only. */
	if (chunks[chunk].handle)
		return;
	while (dirty) {
		count = take_run(&dirty, &first);
		slice = chunk * CHUNK_SLICES + first;
		if (!madvise(range_address(slice), count * SLICE_BYTES, MADV_DONTNEED))
			chunks[chunk].dirty &= ~slices_in(chunk, slice, count);
	}
}

/* Give back a chunk that has no used slices, and its addresses. */
static void unmap_chunk(size_t chunk)
{
	uint64_t mapped = chunks[chunk].mapped;
	unsigned int first, count;
	uint32_t slice;

	while (mapped) {
		count = take_run(&mapped, &first);
		slice = chunk * CHUNK_SLICES + first;
		if (source_unmap(range_address(slice), count * SLICE_BYTES, &chunks[chunk])) {
			chunks[chunk].dirty &= ~slices_in(chunk, slice, count);
			chunks[chunk].mapped &= ~slices_in(chunk, slice, count);
		}
	}
}

void range_purge(void)
{
	int saved_errno = errno;
	size_t chunk;

	for (chunk = 0; chunk < known / CHUNK_SLICES; chunk++) {
		if (chunks[chunk].used)
			clean_chunk(chunk);
		else
			unmap_chunk(chunk);
	}
	kept_slices = 0;
	errno = saved_errno;
}

/* The slices are in no block any more. */
static void end_use(uint32_t slice, size_t count)
{
	size_t chunk;

	for_each_chunk(chunk, slice, count)
		chunks[chunk].used &= ~slices_in(chunk, slice, count);
	used_slices -= count;
	kept_slices += count;
	if (kept_slices > (source_is_device() ? KEPT_DEVICE : KEPT_PRIVATE + used_slices / 4))
		range_purge();
}

/* As try_populate_block(). If memory is short, free slices elsewhere give theirs back first. */
static int populate_block(uint32_t slice, size_t count)
{
	int err = try_populate_block(slice, count);

	if (likely(err != -ENOMEM))
		return err;
	range_purge();
	err = try_populate_block(slice, count);
	if (err == -ENOMEM)
		range_purge();
	return err;
}

/* Take a block of the zone or of all; MAL_NONE: there is none. */
static uint32_t take_block(struct mal_heap *from, size_t count, size_t align)
{
	struct mal_request request = { .size = count, .align = align };

	if (count > from->granules || align > most_align)
		return MAL_NONE;
	/* If the arrays can't grow, there may still be room in the slices that they are for. */
	if (from == &heap && !reach_slice(top + count + align))
		request.hi = known - 1;
	return core_alloc(from, &request, 0);
}

static void make_zone(void)
{
	size_t bytes = mal_heap_bytes(ZONE_SLICES);
	void *memory = MAP_FAILED;
	uint32_t first;

	first = take_block(&heap, ZONE_SLICES, CHUNK_SLICES);
	if (first != MAL_NONE)
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
	if (memory != MAP_FAILED) {
		zone_first = first;
		top = top > first + ZONE_SLICES ? top : first + ZONE_SLICES;
		mal_heap_init(&zone, memory, ZONE_SLICES, &mal_fit_good);
	} else if (first != MAL_NONE) {
		mal_heap_free(&heap, first, 0);
	}
}

static uint32_t take_ordinary_block(size_t count, size_t align)
{
	uint32_t slice;

	if (!zone.granules)
		make_zone();
	slice = take_block(&zone, count, align);
	return slice == MAL_NONE ? MAL_NONE : zone_first + slice;
}

/* Forget a block. */
static void drop_block(uint32_t slice)
{
	if (in_zone(slice))
		mal_heap_free(&zone, slice - zone_first, 0);
	else
		mal_heap_free(&heap, slice, 0);
}

/*
 * Something else is mapped at some of these free slices. They are given out no more, nor the free
 * ones beside them in their chunk. False: there is no memory to remember that.
 */
static bool set_apart_slices(uint32_t slice, size_t count)
{
	size_t chunk, end = whole_chunks(slice + count);
	unsigned int first, length;
	uint64_t missing;
	uint32_t place;

	if (!reach_slice(end))
		return false;
	for_each_chunk(chunk, slice, count) {
		missing = ~chunks[chunk].mapped;
		while (missing) {
			length = take_run(&missing, &first);
			place = chunk * CHUNK_SLICES + first;
			if (source_is_vacant(range_address(place), length * SLICE_BYTES))
				continue;
			if (in_zone(place))
				mal_heap_alloc_at(&zone, place - zone_first, length, 0);
			else
				mal_heap_alloc_at(&heap, place, length, 0);
		}
	}
	top = top > end ? top : end;
	return true;
}

uint32_t range_alloc(size_t count, size_t align, bool ordinary, bool *zero)
{
	int saved_errno = errno;
	size_t before = known;
	uint32_t slice;
	int err;

	do {
		slice = ordinary ? take_ordinary_block(count, align) : MAL_NONE;
		if (slice == MAL_NONE)
			slice = take_block(&heap, count, align);
		if (slice == MAL_NONE)
			break;
		err = populate_block(slice, count);
		if (likely(!err)) {
			*zero = begin_use(slice, count);
			errno = saved_errno;
			return slice;
		}
		drop_block(slice);
	} while (err == -EEXIST && set_apart_slices(slice, count));
	forget_slices(before);
	return NO_SLICE;
}

size_t range_size(uint32_t slice)
{
	const struct mal_heap *of = in_zone(slice) ? &zone : &heap;
	uint32_t place = in_zone(slice) ? slice - zone_first : slice;
	uint64_t used = chunks[slice / CHUNK_SLICES].used >> slice % CHUNK_SLICES & 1;

	/* A block that only the heap takes for used was set apart. */
	if (!used || !mal_is_head(of, place))
		return 0;
	return mal_block_size(of, place);
}

int range_free(uint32_t slice)
{
	size_t count = range_size(slice);

	if (!count)
		return -ENOENT;
	drop_block(slice);
	end_use(slice, count);
	return 0;
}

int range_resize(uint32_t slice, size_t count)
{
	size_t old = range_size(slice);
	int saved_errno = errno;
	size_t before = known;
	int err;

	if (!old)
		return -ENOENT;
	if (count > heap.granules || (count > old && !reach_slice(slice + count)))
		return -ENOMEM;
	err = mal_heap_resize(&heap, slice, 0, count);
	if (!err && count > old) {
		err = populate_block(slice + old, count - old);
		if (err)
			mal_heap_resize(&heap, slice, 0, old);
	}
	errno = saved_errno;
	if (err) {
		forget_slices(before);
		return -ENOMEM;
	}
	if (count < old)
		end_use(slice + count, old - count);
	else if (count > old)
		begin_use(slice + old, count - old);
	return 0;
}

/* Are the slices memory of the process? */
static bool is_private(uint32_t slice, size_t count)
{
	size_t chunk;

	for_each_chunk(chunk, slice, count)
		if (chunks[chunk].handle)
			return false;
	return true;
}

bool range_move(uint32_t from, uint32_t to, size_t count)
{
	size_t chunk;

	if (!is_private(from, count) || !is_private(to, count) ||
	    !source_move(range_address(from), range_address(to), count << SLICE_SHIFT))
		return false;
	for_each_chunk(chunk, from, count)
		chunks[chunk].dirty &= ~slices_in(chunk, from, count);
	return true;
}

/*
 * Whether fork_prepare() took the locks. The only thread of a process has nobody to wait for, and
 * may have the lock itself, if a signal handler forks.
 */
static bool locked_to_fork;

/*
 * The signal mask from before a fork. All signals are blocked during the fork: a handler in a child
 * whose memory is still the parent's would write to the parent's, and a handler that forks would
 * find a fork half done.
 */
static sigset_t signals;

static void fork_prepare(void)
{
	bool locked = !__libc_single_threaded;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (locked) {
		_IO_list_lock();
		range_lock();
	}
	locked_to_fork = locked;
	signals = before;
	source_fork_prepare(range.base, chunks, known / CHUNK_SLICES);
}

static void fork_parent(void)
{
	sigset_t before = signals;

	source_fork_parent();
	if (locked_to_fork) {
		range_unlock();
		_IO_list_unlock();
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void fork_child(void)
{
	source_fork_child(range.base, chunks, known / CHUNK_SLICES);
	if (locked_to_fork) {
		range_unlock();
		/* fork() may have done it already. */
		_IO_list_resetlock();
	}
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
}

void range_watch_forks(void)
{
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}
