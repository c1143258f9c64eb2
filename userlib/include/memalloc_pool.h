/* SPDX-License-Identifier: MIT */
/*
 * Pools: many objects of one size, in one buffer.
 *
 * A pool takes its memory when it is made, and no call needs any after that. Which objects
 * are used is in a bitmap beside the buffer, never in it: whoever has the memory can spoil
 * the contents of objects and nothing else. On the device, a pool is physically contiguous.
 *
 * Errors are told as in <memalloc.h>: 0 or a negative errno value, and what fails has
 * changed nothing.
 *
 * Threads may use a pool at the same time, without a lock: none ever waits for another,
 * and a signal handler may allocate and free, too. Only memalloc_pool_destroy() must be
 * the last call. After fork(), parent and child share the bytes of a pool, but not what it
 * knows of them: only one of them may go on using it.
 */
#ifndef MEMALLOC_POOL_H
#define MEMALLOC_POOL_H

#include <memalloc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct memalloc_pool;

/**
 * struct memalloc_pool_stats - figures of a pool
 * @size:     sizeof(struct memalloc_pool_stats)
 * @reserved: 0
 * @objects:  number of objects that it has
 * @stride:   bytes from one object to the next
 * @used:     number of used objects
 * @allocs:   objects allocated so far
 * @frees:    objects freed so far
 * @failures: calls so far that found no object free
 *
 * While other threads use the pool, each figure is one that was true, but they need not
 * belong together. Else @used == @allocs - @frees.
 */
struct memalloc_pool_stats {
	uint32_t size;
	uint32_t reserved;
	uint64_t objects;
	uint64_t stride;
	uint64_t used;
	uint64_t allocs;
	uint64_t frees;
	uint64_t failures;
};

/**
 * memalloc_pool_create() - make a pool
 * @mem:         the open device, which has to stay open as long as the pool is there
 * @object_size: bytes of an object, 1 or more
 * @alignment:   a power of two that the address of each object is a multiple of; 0: as a C
 *               compiler would have it in an array of such objects
 * @count:       number of objects, 1 to 2^32 - 1
 * @pool:        out: the pool, for memalloc_pool_destroy()
 *
 * Return: 0; -EINVAL, @object_size or @count is 0, @count is above the maximum,
 * @alignment is no power of two; -EFBIG, more than the region has, or than a size_t;
 * -ENOMEM; other errors of memalloc_buffer_alloc() and memalloc_buffer_map().
 */
int memalloc_pool_create(struct memalloc *mem, size_t object_size, size_t alignment,
			 size_t count, struct memalloc_pool **pool);

/**
 * memalloc_pool_destroy() - destroy a pool
 * @pool: the pool; NULL: nothing happens
 *
 * Gives all its memory back.
 *
 * Return: the number of objects that were still used.
 */
size_t memalloc_pool_destroy(struct memalloc_pool *pool);

/**
 * memalloc_pool_alloc() - allocate an object
 * @pool:   the pool
 * @object: out: the object; what is in it is what was there last, or zeros
 *
 * Return: 0; -ENOMEM, all objects are used.
 */
int memalloc_pool_alloc(struct memalloc_pool *pool, void **object);

/**
 * memalloc_pool_free() - free an object
 * @pool:   the pool
 * @object: the object; NULL: nothing happens
 *
 * Return: 0; -ENOENT, it is not used, for instance because it was freed before; -EINVAL,
 * @object is outside the pool, or inside of an object.
 */
int memalloc_pool_free(struct memalloc_pool *pool, void *object);

/**
 * memalloc_pool_get_stats() - figures of a pool
 * @pool:  the pool
 * @stats: out: the figures
 * @size:  sizeof(*stats). What the library does not know reads as zero
 *
 * Return: 0; -EINVAL, @size is less than that of the first version.
 */
int memalloc_pool_get_stats(struct memalloc_pool *pool, struct memalloc_pool_stats *stats,
			    size_t size);

#ifdef __cplusplus
}
#endif

#endif /* MEMALLOC_POOL_H */
