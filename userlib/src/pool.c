// SPDX-License-Identifier: MIT
/*
 * Pools: a bitmap of the objects that are used, changed by atomic operations.
 *
 * A thread that wants an object first takes one off the number of free objects. So there are always
 * at least as many clear bits as threads that look for one, and a thread searches until it finds
 * one: when it loses a bit, another thread has got an object. A thread that frees an object first
 * clears its bit and then counts it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "answer.h"
#include "space.h"

#define WORD_BITS	64

struct memalloc_pool {
	struct memalloc *mem;
	struct memalloc_buffer buffer;
	char *base;
	size_t stride;
	uint32_t count;
	uint32_t words;

	_Atomic uint32_t free;		/* objects that no thread has taken off */
	_Atomic uint32_t hint;		/* the word where to begin: where the last bit changed */
	_Atomic uint64_t allocs;
	_Atomic uint64_t frees;
	_Atomic uint64_t failures;

	/* A bit for each object, set if it is used. Those behind the last object are set. */
	_Atomic uint64_t used[];
};

/* Take one off the number of free objects, if there are any. */
static bool reserve_object(struct memalloc_pool *pool)
{
	uint32_t free = atomic_load_explicit(&pool->free, memory_order_relaxed);

	while (free)
		if (atomic_compare_exchange_weak(&pool->free, &free, free - 1))
			return true;
	return false;
}

/* Set the lowest clear bit of the word: its number, or WORD_BITS if there is none. */
static unsigned int take_bit(_Atomic uint64_t *word)
{
	uint64_t bits = atomic_load_explicit(word, memory_order_relaxed);

	while (~bits)
		if (atomic_compare_exchange_weak(word, &bits, bits | (bits + 1)))
			return __builtin_ctzll(~bits);
	return WORD_BITS;
}

int memalloc_pool_alloc(struct memalloc_pool *pool, void **object)
{
	uint32_t word = atomic_load_explicit(&pool->hint, memory_order_relaxed);
	unsigned int bit;

	if (!reserve_object(pool)) {
		atomic_fetch_add_explicit(&pool->failures, 1, memory_order_relaxed);
		return -ENOMEM;
	}
	for (;;) {
		bit = take_bit(&pool->used[word]);
		if (bit < WORD_BITS)
			break;
		word = word + 1 < pool->words ? word + 1 : 0;
	}
	atomic_store_explicit(&pool->hint, word, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->allocs, 1, memory_order_relaxed);
	*object = pool->base + ((size_t)word * WORD_BITS + bit) * pool->stride;
	return 0;
}

int memalloc_pool_free(struct memalloc_pool *pool, void *object)
{
	const uintptr_t offset = (uintptr_t)object - (uintptr_t)pool->base;
	const uintptr_t number = offset / pool->stride;
	const uint64_t mask = 1ULL << number % WORD_BITS;

	if (!object)
		return 0;
	if (number >= pool->count || number * pool->stride != offset)
		return -EINVAL;
	if (!(atomic_fetch_and(&pool->used[number / WORD_BITS], ~mask) & mask))
		return -ENOENT;
	atomic_store_explicit(&pool->hint, number / WORD_BITS, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->frees, 1, memory_order_relaxed);
	atomic_fetch_add(&pool->free, 1);
	return 0;
}

int memalloc_pool_get_stats(struct memalloc_pool *pool, struct memalloc_pool_stats *stats,
			    size_t size)
{
	const struct memalloc_pool_stats answer = {
		.size = size,
		.objects = pool->count,
		.stride = pool->stride,
		.used = pool->count - atomic_load(&pool->free),
		.allocs = atomic_load(&pool->allocs),
		.frees = atomic_load(&pool->frees),
		.failures = atomic_load(&pool->failures),
	};

	return answer_copy(stats, size, sizeof(answer), &answer, sizeof(answer));
}

/* A buffer for the objects, mapped where they are aligned. */
static int add_pool_memory(struct memalloc_pool *pool, size_t length, size_t alignment)
{
	const size_t page = getpagesize();
	int err;

	err = memalloc_buffer_alloc(pool->mem, length, 0, &pool->buffer);
	if (err)
		return err;
	err = memalloc_space_reserve(pool->buffer.real_length,
				     alignment > page ? alignment : page, (void **)&pool->base);
	if (err)
		goto free_buffer;
	err = memalloc_space_map(pool->mem, &pool->buffer, 0, pool->base);
	if (err)
		goto unmap_space;
	return 0;

unmap_space:
	munmap(pool->base, pool->buffer.real_length);
free_buffer:
	memalloc_buffer_free(pool->mem, &pool->buffer);
	return err;
}

int memalloc_pool_create(struct memalloc *mem, size_t object_size, size_t alignment,
			 size_t count, struct memalloc_pool **created)
{
	const size_t align = alignment ? alignment : 1;
	struct memalloc_pool *pool;
	int saved_errno = errno;
	size_t stride, length;
	int err;

	if (!object_size || !count || count > UINT32_MAX || align & (align - 1))
		return -EINVAL;
	stride = (object_size + align - 1) & ~(align - 1);
	if (stride < object_size || __builtin_mul_overflow(stride, count, &length) ||
	    length > mem->region_length)
		return -EFBIG;

	pool = calloc(1, sizeof(*pool) + (count + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t));
	errno = saved_errno;
	if (!pool)
		return -ENOMEM;
	pool->mem = mem;
	pool->stride = stride;
	pool->count = count;
	pool->words = (count + WORD_BITS - 1) / WORD_BITS;
	pool->free = count;
	if (count % WORD_BITS)
		pool->used[pool->words - 1] = ~0ULL << count % WORD_BITS;

	err = add_pool_memory(pool, length, align);
	if (err) {
		free(pool);
		return err;
	}
	*created = pool;
	return 0;
}

size_t memalloc_pool_destroy(struct memalloc_pool *pool)
{
	int saved_errno = errno;
	size_t used;

	if (!pool)
		return 0;
	used = pool->count - pool->free;
	memalloc_buffer_unmap(&pool->buffer, pool->base);
	memalloc_buffer_free(pool->mem, &pool->buffer);
	free(pool);
	errno = saved_errno;
	return used;
}
