// SPDX-License-Identifier: MIT
/* The range of addresses, its blocks, and when memory goes back. See range.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "../src/addresses.h"
#include "../src/core.h"
#include "range.h"
#include "slab.h"
#include "source.h"

/*
 * So many slices that are free, and not zeros any more, are kept for the next blocks: of
 * the process's memory, a quarter as many as are in use, and some; of the device's, which others
 * want, few.
 */
#define KEPT_PRIVATE	512
#define KEPT_DEVICE	64

/* Addresses of the zone, where there are many; where they are limited, a part of them. */
#define ZONE_SLICES	(64 * CHUNK_SLICES)
#define ZONE_PART	16

struct range range;

static pthread_mutex_t lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static struct mal_heap heap;
static struct mal_heap zone;	/* a block of @heap; no slices: it is not there yet */
static uint32_t zone_first;
static struct chunk *chunks;
static size_t most_align;	/* in slices: the range begins at a multiple of it */
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

static void *reserve(size_t bytes, int protection)
{
	void *p = mmap(NULL, bytes, protection, NOTHING, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * The range and the arrays beside it. To align it, more is needed for a moment: not too much, where
 * addresses are limited.
 */
static bool reserve_all(size_t bytes)
{
	size_t count = bytes >> CHUNK_SHIFT;
	size_t slices = bytes >> SLICE_SHIFT;
	size_t heap_bytes = mal_heap_bytes(slices);
	size_t slab_bytes = slices * sizeof(struct slab);
	size_t array_bytes = heap_bytes + count * sizeof(*chunks);
	size_t align = (size_t)1 << (61 - __builtin_clzll(bytes));
	char *base = addresses_reserve(bytes, align);
	void *slabs = base ? reserve(slab_bytes, PROT_NONE) : NULL;
	char *arrays = slabs ? reserve(array_bytes, PROT_READ | PROT_WRITE) : NULL;

	if (arrays) {
		/* They are used here and there. */
		madvise(slabs, slab_bytes, MADV_NOHUGEPAGE);
		madvise(arrays, array_bytes, MADV_NOHUGEPAGE);
		range.base = base;
		most_align = align >> SLICE_SHIFT;
		range.slabs = slabs;
		chunks = (struct chunk *)(arrays + heap_bytes);
		mal_heap_init(&heap, arrays, slices, &mal_fit_good);
		return true;
	}
	if (slabs)
		munmap(slabs, slab_bytes);
	if (base)
		munmap(base, bytes);
	return false;
}

/*
 * Four times the memory of the machine, so that holes in it are not what ends a program. Where
 * addresses are limited, half of them are for others.
 */
bool range_init(void)
{
	size_t bytes = (size_t)16 << 30;
	struct sysinfo info;
	struct rlimit limit;

	if (!sysinfo(&info))
		while (bytes / 4 < (info.totalram + info.totalswap) * info.mem_unit)
			bytes *= 2;
	if (!getrlimit(RLIMIT_AS, &limit) && bytes > limit.rlim_cur / 2)
		bytes = limit.rlim_cur / 2;
	while (bytes >= CHUNK_BYTES) {
		bytes -= bytes % CHUNK_BYTES;
		if (reserve_all(bytes))
			return true;
		bytes -= bytes / 4;
	}
	return false;
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
	size_t old = range.limit >> SLICE_SHIFT;
	size_t begin = old * sizeof(struct slab);
	size_t end = slices * sizeof(struct slab);

	if (slices <= old)
		return true;
	if (mprotect((char *)range.slabs + begin, end - begin, PROT_READ | PROT_WRITE))
		return false;
	__atomic_store_n(&range.limit, slices << SLICE_SHIFT, __ATOMIC_RELAXED);
	return true;
}

/* Have memory behind @count slices, or behind some of them. */
static bool try_populate(uint32_t slice, size_t count)
{
	size_t chunk = slice / CHUNK_SLICES;
	size_t end = (slice + count - 1) / CHUNK_SLICES + 1;
	size_t length;

	if (!raise_limit(end * CHUNK_SLICES))
		return false;
	while (chunk < end) {
		for (length = 0; chunk + length < end; length++)
			if (chunks[chunk + length].mapped)
				break;
		if (length && !source_map(range_address(chunk * CHUNK_SLICES),
					  &chunks[chunk], length, in_zone(slice)))
			return false;
		chunk += length + 1;
	}
	return true;
}

/* The slices are in a block from now on; are they all zeros? */
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
	/* Some may have been dirty since before the last purge. */
	kept_slices -= reused < kept_slices ? reused : kept_slices;
	return !reused;
}

/* Give back the memory of free slices in a chunk that has used ones, too. */
static void clean(size_t chunk)
{
	uint64_t dirty = chunks[chunk].dirty & ~chunks[chunk].used;
	char *address = range_address(chunk * CHUNK_SLICES);
	unsigned int first, count;
	uint64_t run;

	/* Of the device, only whole chunks. */
	if (chunks[chunk].handle)
		return;
	while (dirty) {
		first = __builtin_ctzll(dirty);
		run = ~(dirty >> first);
		count = run ? (unsigned int)__builtin_ctzll(run) : CHUNK_SLICES;
		run = (count < 64 ? (1ull << count) - 1 : ~0ull) << first;
		if (!madvise(address + first * SLICE_BYTES, count * SLICE_BYTES, MADV_DONTNEED))
			chunks[chunk].dirty &= ~run;
		dirty &= ~run;
	}
}

void range_purge(void)
{
	size_t end = range_limit() >> CHUNK_SHIFT;
	int saved_errno = errno;
	size_t chunk;

	for (chunk = 0; chunk < end; chunk++) {
		if (!chunks[chunk].used && chunks[chunk].mapped) {
			if (source_unmap(range_address(chunk * CHUNK_SLICES), &chunks[chunk]))
				chunks[chunk].dirty = 0;
		} else {
			clean(chunk);
		}
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

/* Have memory behind @count slices, if need be what free ones have elsewhere. */
static bool populate(uint32_t slice, size_t count)
{
	if (likely(try_populate(slice, count)))
		return true;
	range_purge();
	if (try_populate(slice, count))
		return true;
	range_purge();
	return false;
}

/* Take a block of the zone or of all; MAL_NONE: there is none. */
static uint32_t take(struct mal_heap *from, size_t count, size_t align)
{
	struct mal_request request = { .size = count, .align = align };

	if (count > from->granules || align > most_align)
		return MAL_NONE;
	return core_alloc(from, &request, 0);
}

/* Of whole chunks; where not even one is a small part of the addresses, there is none. */
static void make_zone(void)
{
	size_t slices = heap.granules / ZONE_PART;
	void *memory = NULL;
	uint32_t first;

	slices = slices < ZONE_SLICES ? slices - slices % CHUNK_SLICES : ZONE_SLICES;
	if (!slices)
		return;
	first = take(&heap, slices, CHUNK_SLICES);
	if (first != MAL_NONE)
		memory = reserve(mal_heap_bytes(slices), PROT_READ | PROT_WRITE);
	if (memory) {
		zone_first = first;
		mal_heap_init(&zone, memory, slices, &mal_fit_good);
	} else if (first != MAL_NONE) {
		mal_heap_free(&heap, first, 0);
	}
}

static uint32_t take_ordinary(size_t count, size_t align)
{
	uint32_t slice;

	if (!zone.granules)
		make_zone();
	slice = take(&zone, count, align);
	return slice == MAL_NONE ? MAL_NONE : zone_first + slice;
}

/* Forget a block. */
static void drop(uint32_t slice)
{
	if (in_zone(slice))
		mal_heap_free(&zone, slice - zone_first, 0);
	else
		mal_heap_free(&heap, slice, 0);
}

uint32_t range_alloc(size_t count, size_t align, bool ordinary, bool *zero)
{
	uint32_t slice = ordinary ? take_ordinary(count, align) : MAL_NONE;

	if (slice == MAL_NONE)
		slice = take(&heap, count, align);
	if (slice == MAL_NONE)
		return NO_SLICE;
	if (!populate(slice, count)) {
		drop(slice);
		return NO_SLICE;
	}
	*zero = begin_use(slice, count);
	return slice;
}

size_t range_size(uint32_t slice)
{
	const struct mal_heap *of = in_zone(slice) ? &zone : &heap;
	uint32_t place = in_zone(slice) ? slice - zone_first : slice;

	if (!mal_is_head(of, place) || !mal_block_used(of, place))
		return 0;
	return mal_block_size(of, place);
}

int range_free(uint32_t slice)
{
	size_t count = range_size(slice);

	if (!count)
		return -ENOENT;
	drop(slice);
	end_use(slice, count);
	return 0;
}

int range_resize(uint32_t slice, size_t count)
{
	size_t old = range_size(slice);
	int err;

	if (!old)
		return -ENOENT;
	if (count > heap.granules)
		return -ENOMEM;
	err = mal_heap_resize(&heap, slice, 0, count);
	if (err)
		return err;
	if (count < old) {
		end_use(slice + count, old - count);
	} else if (count > old) {
		if (!populate(slice + old, count - old)) {
			mal_heap_resize(&heap, slice, 0, old);
			return -ENOMEM;
		}
		begin_use(slice + old, count - old);
	}
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
 * With one thread there is nobody to wait for, but it may have the lock itself: then it is a
 * signal handler that forks.
 */
static bool locked_to_fork;

/*
 * Blocked before a fork. While it goes on, none comes: in a child whose memory is still the
 * parent's, a handler would write to that, and one that forks would find a fork half done.
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
	source_fork_prepare(range.base, chunks, range_limit() >> CHUNK_SHIFT);
}

static void fork_parent(void)
{
	sigset_t before = signals;

	source_fork_parent(range_limit() >> CHUNK_SHIFT);
	if (locked_to_fork) {
		range_unlock();
		_IO_list_unlock();
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void fork_child(void)
{
	source_fork_child(range.base, chunks, range_limit() >> CHUNK_SHIFT);
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
