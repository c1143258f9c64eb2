// SPDX-License-Identifier: MIT
/*
 * libmemalloc-malloc: malloc() and its family, for any program: LD_PRELOAD=libmemalloc-malloc.so.
 *
 * This file has the calls as programs see them, with the answers and errors that the C library's
 * have. Small objects are from slabs (slab.h), all others are blocks of the range (range.h), whose
 * memory comes from the device or from the process (source.h). Nothing that the allocator knows
 * is kept in or beside what it gives out.
 *
 * A program that frees something twice, or a pointer that malloc() did not give out, gets a message
 * on standard error and ends by abort().
 *
 * Environment, ignored in programs with more rights than their user:
 *
 *   MEMALLOC_MALLOC_BACKEND  "device": memory of /dev/memalloc, as long as it has some; the
 *                            default. "process": ordinary memory.
 *   MEMALLOC_MALLOC_FULL     when the device is full, or is not there: "process": go on with
 *                            ordinary memory, the default. "fail": ENOMEM.
 *
 * Processes. After fork(), parent and child have their own memory, whatever the threads of the
 * parent do. Before the child begins, memory of the device is copied for that into ordinary memory;
 * new memory of the child is the device's again. What the C library allocates is ordinary memory
 * from the start (libc.h). The child may or may not see what other threads of the parent write
 * during the fork. The child does not use again what the heaps of those threads had free at the
 * fork, nor what it frees in them. A child of vfork() or posix_spawn() uses the parent's memory, as
 * it should. _Fork(), and clone() without CLONE_VM, call no handlers: their child shares the
 * device's memory with the parent and may only call exec or _exit. With ordinary memory it may
 * allocate and free, if no other thread was in malloc().
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "range.h"
#include "slab.h"

#define PUBLIC	__attribute__((visibility("default")))

/* Alignment of everything. */
#define ALIGN_MIN	16

/* realloc() tries to move the pages of so many slices or more, instead of copying them. */
#define MOVE_SLICES	4

static size_t slices_of(size_t size)
{
	return (size + SLICE_BYTES - 1) >> SLICE_SHIFT;
}

/* Say why @p can't be freed or asked about, and end the program. */
__attribute__((noreturn, cold)) static void bad_pointer(const char *call, void *p)
{
	size_t offset = range_offset(p);
	struct slab *slab;
	uint32_t inside;

	if (offset >= range_limit())
		die(call, p, "not a pointer that malloc gave out");
	slab = slab_at(offset, &inside);
	if (slab_owner(slab) && !slab_begins(slab, inside, slab_index(slab, inside)))
		die(call, p, "points into an object");
	if (slab_owner(slab))
		die(call, p, "freed twice");
	if (offset % SLICE_BYTES)
		die(call, p, "not a pointer that malloc gave out");
	die(call, p, "freed twice, or not a pointer that malloc gave out");
}

/* --- blocks of the range -------------------------------------------------------------- */

/* A block at a multiple of @align, a power of two. @zero: out: the block is all zeros. */
static void *large_alloc(size_t size, size_t align, bool *zero)
{
	uint32_t slice;

	/* This may be the program's first call, when there is no range yet. */
	if (size > PTRDIFF_MAX || (unlikely(!range.base) && !slab_attach()))
		return no_memory();
	range_lock();
	slice = range_alloc(slices_of(size ? size : 1), slices_of(align), false, zero);
	range_unlock();
	return slice == NO_SLICE ? no_memory() : range_address(slice);
}

static noinline void *large_malloc(size_t size)
{
	bool zero;

	return large_alloc(size, 1, &zero);
}

static noinline void large_free(void *p)
{
	size_t offset = range_offset(p);
	int err = -ENOENT;

	if (offset % SLICE_BYTES == 0) {
		range_lock();
		err = range_free(offset >> SLICE_SHIFT);
		range_unlock();
	}
	if (err)
		bad_pointer("free", p);
}

/* Bytes that the program may use at @p, which is not NULL. */
static size_t usable_bytes(const char *call, void *p)
{
	size_t offset = range_offset(p);
	size_t slices = 0;
	struct slab *slab;
	uint32_t inside, index;

	if (unlikely(offset >= range_limit()))
		bad_pointer(call, p);
	slab = slab_at(offset, &inside);
	if (likely(slab_owner(slab))) {
		index = slab_index(slab, inside);
		if (unlikely(!slab_begins(slab, inside, index) || !slab_is_used(slab, index)))
			bad_pointer(call, p);
		return slab->size;
	}
	if (offset % SLICE_BYTES == 0) {
		range_lock();
		slices = range_size(offset >> SLICE_SHIFT);
		range_unlock();
	}
	if (!slices)
		bad_pointer(call, p);
	return slices << SLICE_SHIFT;
}

static bool move_pages(void *from, void *to, size_t slices)
{
	bool moved;

	range_lock();
	moved = range_move(range_offset(from) >> SLICE_SHIFT, range_offset(to) >> SLICE_SHIFT,
			   slices);
	range_unlock();
	return moved;
}

static void *copy_to_new(void *p, size_t old, size_t size)
{
	size_t kept = old < size ? old : size;
	bool move = old > SMALL_MAX && size > SMALL_MAX && slices_of(kept) >= MOVE_SLICES;
	bool zero;
	void *new = move ? large_alloc(size, 1, &zero) : malloc(size);

	if (!new)
		return NULL;
	/* Where there are pages already, copying is faster. */
	if (!move || !zero || !move_pages(p, new, slices_of(kept)))
		memcpy(new, p, kept);
	free(p);
	return new;
}

static void *large_realloc(void *p, size_t old, size_t size)
{
	size_t slices = slices_of(size);
	int err = 0;

	if (slices != old >> SLICE_SHIFT) {
		range_lock();
		err = range_resize(range_offset(p) >> SLICE_SHIFT, slices);
		range_unlock();
	}
	return err ? copy_to_new(p, old, size) : p;
}

/* An object or a block at a multiple of @align, a power of two. */
static void *alloc_aligned(size_t align, size_t size)
{
	unsigned int class;
	bool zero;

	if (align <= ALIGN_MIN)
		return malloc(size);
	if (size > SMALL_MAX || align > SMALL_MAX)
		return large_alloc(size, align, &zero);
	/*
	 * All objects of a size that is a multiple of @align begin at one; SMALL_MAX is such a
	 * size.
	 */
	class = class_of(size > align ? size : align);
	while (class_size(class) & (align - 1))
		class++;
	return slab_alloc(class);
}

/* Where the call that uses this returns to. */
#define CALLER	__builtin_return_address(0)

/* Settle where memory comes from before the program's first call, which may be fopen(). */
__attribute__((constructor)) static void settle_source(void)
{
	free(malloc(1));
}

/* --- the calls --------------------------------------------------------------------------- */

PUBLIC void *malloc(size_t size)
{
	return likely(size <= SMALL_MAX) ? slab_alloc(bin_of(size, CALLER)) : large_malloc(size);
}

PUBLIC void free(void *p)
{
	size_t offset = range_offset(p);
	struct heap *owner;
	struct slab *slab;
	uint32_t inside, index;

	if (unlikely(offset >= range_limit())) {
		if (p)
			bad_pointer("free", p);
		return;
	}
	slab = slab_at(offset, &inside);
	owner = slab_owner(slab);
	index = slab_index(slab, inside);
	if (likely(owner == self)) {
		if (unlikely(!slab_begins(slab, inside, index) || !slab_free_own(slab, index)))
			bad_pointer("free", p);
	} else if (owner) {
		if (unlikely(!slab_begins(slab, inside, index)))
			bad_pointer("free", p);
		slab_free_remote(slab, owner, index);
	} else {
		large_free(p);
	}
}

PUBLIC void *calloc(size_t count, size_t size)
{
	const struct slab *slab;
	unsigned int bin;
	bool zero = false;
	size_t bytes;
	void *p;

	if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
		return no_memory();
	if (unlikely(bytes > SMALL_MAX)) {
		p = large_alloc(bytes, 1, &zero);
		return !p || zero ? p : memset(p, 0, bytes);
	}
	bin = bin_of(bytes, CALLER);
	p = slab_alloc(bin);
	slab = self->bins[bin].current;		/* NULL: the first call took another bin */
	return unlikely(!p) || (slab && slab->zero) ? p : memset(p, 0, bytes);
}

PUBLIC void *realloc(void *p, size_t size)
{
	size_t old;

	if (!p)
		return malloc(size);
	if (!size) {
		free(p);
		return NULL;
	}
	old = usable_bytes("realloc", p);
	if (size > PTRDIFF_MAX)
		return no_memory();
	if (size > SMALL_MAX && old > SMALL_MAX)
		return large_realloc(p, old, size);
	/* The object stays in its place, unless half of it or more would be unused. */
	if (size <= old && size > old / 2)
		return p;
	return copy_to_new(p, old, size);
}

PUBLIC void *reallocarray(void *p, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return no_memory();
	return realloc(p, bytes);
}

/* As the C library's, for any @align: the next power of two. */
PUBLIC void *memalign(size_t align, size_t size)
{
	size_t power = ALIGN_MIN;

	if (align > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	while (power < align)
		power *= 2;
	return alloc_aligned(power, size);
}

PUBLIC void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

PUBLIC int posix_memalign(void **p, size_t align, size_t size)
{
	int saved_errno = errno;
	int error = EINVAL;
	void *new;

	if (align % sizeof(void *) || !align || align & (align - 1))
		return error;
	new = alloc_aligned(align, size);
	error = new ? 0 : ENOMEM;
	errno = saved_errno;
	if (new)
		*p = new;
	return error;
}

PUBLIC void *valloc(size_t size)
{
	return alloc_aligned(getpagesize(), size);
}

PUBLIC void *pvalloc(size_t size)
{
	size_t page = getpagesize();

	if (__builtin_add_overflow(size, page - 1, &size))
		return no_memory();
	return alloc_aligned(page, size & ~(page - 1));
}

/* The answer 1 does not say that something was given back: nobody knows. */
PUBLIC int malloc_trim(size_t pad)
{
	(void)pad;
	if (unlikely(!range.base))
		return 0;
	range_lock();
	slab_trim();
	range_purge();
	range_unlock();
	return 1;
}

PUBLIC size_t malloc_usable_size(void *p)
{
	return p ? usable_bytes("malloc_usable_size", p) : 0;
}
