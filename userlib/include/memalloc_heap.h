/* SPDX-License-Identifier: MIT */
/*
 * Heaps: many blocks of any size in the memory of buffers, as malloc() has them in the
 * memory of a process.
 *
 * A heap lies in one buffer, or takes chunks of memory as it needs them, each a buffer
 * of its own, and gives them back when they are empty. What it has to know of its blocks
 * is beside the buffers, never in them: whoever has the memory, another process or a
 * device, can spoil the contents of blocks and nothing else.
 *
 * A block begins at a multiple of the heap's granule and has whole granules. In a heap
 * that lies in one buffer of the device, blocks are physically contiguous; in one that
 * takes chunks, a block may lie across two of them, and is contiguous for the program only.
 *
 * Errors are told as in <memalloc.h>: 0 or a negative errno value, and what fails has changed
 * nothing. Misuse is an error, too: no call goes wrong because of a pointer that is not, or no
 * longer, that of a block. One misuse can't be noticed: the pointer of a freed block, where another
 * block begins now.
 *
 * Threads may use a heap at the same time; it has a lock of its own. Only
 * memalloc_heap_destroy() must be the last call. After fork(), parent and child share the
 * bytes of a heap, but not what it knows of them: only one of them may go on using it, the
 * other can destroy it. The child may do either only if no other thread used the heap at
 * the moment of the fork().
 */
#ifndef MEMALLOC_HEAP_H
#define MEMALLOC_HEAP_H

#include <memalloc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct memalloc_heap;

/* A heap's granule, if it is not told another one. */
#define MEMALLOC_HEAP_GRANULE	256

/**
 * struct memalloc_heap_config - what a heap should be
 * @size:    sizeof(struct memalloc_heap_config)
 * @flags:   0
 * @fit:     how a free block is picked: "good", "first", "best", "worst" or "next", as
 *           the README says of the module's parameter; NULL: "good"
 * @granule: in bytes, a power of two; 0: MEMALLOC_HEAP_GRANULE. What the heap knows takes
 *           about 16 bytes of memory of the process for each granule that is in use
 * @buffer:  the buffer to lie in; its @length bytes, rounded down to granules, are the
 *           heap's, and nobody else may write there. It has to be writable, and stays
 *           when the heap is destroyed. NULL: the heap allocates what it needs
 * @length:  without @buffer: bytes that the heap has; with @chunk, the most that it may
 *           have, rounded down to chunks, or 0: as much as the region
 * @chunk:   without @buffer: take so many bytes at a time, a multiple of the granule and of
 *           the page size; 0: all at once, in one buffer
 *
 * Set all that is not needed to 0.
 */
struct memalloc_heap_config {
	uint32_t size;
	uint32_t flags;
	const char *fit;
	uint64_t granule;
	const struct memalloc_buffer *buffer;
	uint64_t length;
	uint64_t chunk;
};

/**
 * struct memalloc_heap_block - one block of a heap
 * @address:   where it begins
 * @length:    its bytes, a multiple of the granule
 * @requested: bytes that were asked for; 0: it is free
 */
struct memalloc_heap_block {
	void *address;
	size_t length;
	size_t requested;
};

/**
 * struct memalloc_heap_stats - figures of a heap
 * @size:          sizeof(struct memalloc_heap_stats)
 * @fragmentation: 1000 * (1 - @largest_free / @free), rounded down; 0 when nothing is free
 * @length:        bytes of memory that the heap has now
 * @chunks:        number of buffers that they are in
 * @free:          bytes in free blocks
 * @largest_free:  bytes of the largest free block
 * @free_blocks:   number of free blocks
 * @used:          bytes in used blocks
 * @requested:     bytes that were asked for, of @used
 * @blocks:        number of used blocks
 * @allocs:        blocks allocated so far; a block that realloc moves counts here and
 * @frees:         blocks freed so far
 * @failures:      calls so far that failed with -ENOMEM, -EFBIG or what a new chunk
 *                 was refused with
 * @allocated:     bytes of blocks that were allocated or grew, in whole granules
 * @freed:         bytes of blocks that were freed or shrank, in whole granules
 *
 * The figures of one call belong together: @length == @free + @used, @used == @allocated - @freed,
 * @blocks == @allocs - @frees.
 */
struct memalloc_heap_stats {
	uint32_t size;
	uint32_t fragmentation;
	uint64_t length;
	uint64_t chunks;
	uint64_t free;
	uint64_t largest_free;
	uint64_t free_blocks;
	uint64_t used;
	uint64_t requested;
	uint64_t blocks;
	uint64_t allocs;
	uint64_t frees;
	uint64_t failures;
	uint64_t allocated;
	uint64_t freed;
};

/**
 * memalloc_heap_create() - make a heap
 * @mem:    the open device, which has to stay open as long as the heap is there
 * @config: what it should be
 * @heap:   out: the heap, for memalloc_heap_destroy()
 *
 * The largest alignment that blocks can have is the largest power of two that is not more
 * than the heap's length.
 *
 * Return: 0; -EINVAL, @config is malformed; -E2BIG, it is that of a later version; -EFBIG,
 * the heap would have more than 2^30 granules, or more than the region has; -ENOMEM; of a
 * buffer that the heap makes, the errors of memalloc_buffer_alloc(); and those of
 * memalloc_buffer_map().
 */
int memalloc_heap_create(struct memalloc *mem, const struct memalloc_heap_config *config,
			 struct memalloc_heap **heap);

/**
 * memalloc_heap_destroy() - destroy a heap
 * @heap: the heap; NULL: nothing happens
 * @leak: called for each block that is still used, in order of their addresses; it may
 *        look into the block, but not use the heap. NULL: nobody wants to know
 * @data: for @leak
 *
 * Unmaps and gives back all memory, but for a buffer that the heap was told to lie in,
 * which is only unmapped.
 *
 * Return: the number of blocks that were still used.
 */
size_t memalloc_heap_destroy(struct memalloc_heap *heap,
			     void (*leak)(const struct memalloc_heap_block *block, void *data),
			     void *data);

/**
 * memalloc_heap_alloc() - allocate a block
 * @heap:  the heap
 * @size:  bytes wanted, 1 or more
 * @block: out: the block; what is in it is undefined
 *
 * Return: 0; -EINVAL, @size is 0; -EFBIG, more than the heap can ever hold; -ENOMEM, no
 * room now, in the heap or in the region; if the heap needs a chunk, other errors of
 * memalloc_buffer_alloc() and memalloc_buffer_map().
 */
int memalloc_heap_alloc(struct memalloc_heap *heap, size_t size, void **block);

/**
 * memalloc_heap_aligned_alloc() - allocate a block at an aligned address
 * @heap:      the heap
 * @alignment: a power of two that the block's address is a multiple of
 * @size:      as memalloc_heap_alloc()
 * @block:     as memalloc_heap_alloc()
 *
 * Return: as memalloc_heap_alloc(), and -EINVAL, @alignment is no power of two, or above
 * the largest of this heap.
 */
int memalloc_heap_aligned_alloc(struct memalloc_heap *heap, size_t alignment, size_t size,
				void **block);

/**
 * memalloc_heap_calloc() - allocate a block of zeros
 * @heap:  the heap
 * @count: things wanted, 1 or more
 * @size:  bytes of each, 1 or more
 * @block: out: the block; all that memalloc_heap_usable_size() tells of it is zero
 *
 * Return: as memalloc_heap_alloc(), and -EOVERFLOW, @count * @size is no size_t.
 */
int memalloc_heap_calloc(struct memalloc_heap *heap, size_t count, size_t size, void **block);

/**
 * memalloc_heap_realloc() - make a block longer or shorter
 * @heap:  the heap
 * @old:   the block; NULL: as memalloc_heap_alloc()
 * @size:  bytes wanted, 1 or more
 * @block: out: the block, which has the bytes of @old up to the shorter of both lengths;
 *         may be where @old is stored
 *
 * The block stays where it is if it gets shorter, or if what it needs is free behind it, or
 * can be had there with more chunks. Else it moves, and @old is freed; an alignment that it
 * was allocated with is forgotten then. After an error, @old is as it was.
 *
 * Return: as memalloc_heap_alloc(), and the errors of memalloc_heap_free().
 */
int memalloc_heap_realloc(struct memalloc_heap *heap, void *old, size_t size, void **block);

/**
 * memalloc_heap_free() - free a block
 * @heap:  the heap
 * @block: the block; NULL: nothing happens
 *
 * Return: 0; -ENOENT, there is no block, for instance because it was freed before;
 * -EINVAL, @block is outside the heap, or no block can begin there: inside of one, see
 * memalloc_heap_owns(), or at no multiple of the granule.
 */
int memalloc_heap_free(struct memalloc_heap *heap, void *block);

/**
 * memalloc_heap_free_sized() - free a block whose size is known
 * @heap:  the heap
 * @block: the block; NULL: nothing happens
 * @size:  bytes that were asked for when it was allocated, or reallocated last
 *
 * Return: as memalloc_heap_free(), and -ERANGE, @size is not what was asked for.
 */
int memalloc_heap_free_sized(struct memalloc_heap *heap, void *block, size_t size);

/**
 * memalloc_heap_usable_size() - what may be used of a block
 * @heap:  the heap
 * @block: the block
 * @size:  out: its bytes: what was asked for, rounded up to granules
 *
 * Return: 0; the errors of memalloc_heap_free().
 */
int memalloc_heap_usable_size(struct memalloc_heap *heap, const void *block, size_t *size);

/**
 * memalloc_heap_owns() - is that in a block of this heap?
 * @heap:    the heap
 * @pointer: any value
 *
 * Return: 1, @pointer is the address of a byte of a used block, the first or another;
 * 0, it is not.
 */
int memalloc_heap_owns(struct memalloc_heap *heap, const void *pointer);

/**
 * memalloc_heap_translate() - which byte of which buffer is that?
 * @heap:    the heap
 * @pointer: an address in a used block, its first or another
 * @place:   out: the byte; its length is that of what follows in the block and in the buffer
 *
 * Return: 0; -EINVAL, @pointer is outside the heap; -ENOENT, it is in no used block; and the errors
 * of memalloc_buffer_translate().
 */
int memalloc_heap_translate(struct memalloc_heap *heap, const void *pointer,
			    struct memalloc_place *place);

/**
 * memalloc_heap_export() - a dma-buf descriptor of a block
 * @heap:  the heap
 * @block: the block, which has whole pages: allocated at an alignment of memalloc_info.granule, or
 *         a multiple, with a size that is a multiple, too
 * @flags: MEMALLOC_READ_ONLY or 0
 *
 * So a program that needs many small pieces to share takes one buffer from the device, and makes no
 * call for each piece but this one. The block has to stay allocated while others use the
 * descriptor: nothing keeps it.
 *
 * Return: the descriptor; -EINVAL, the block does not have whole pages; -EXDEV, it lies in two
 * buffers, which a heap with chunks may have happen; the errors of memalloc_heap_free() and of
 * memalloc_buffer_export_part().
 */
int memalloc_heap_export(struct memalloc_heap *heap, const void *block, unsigned int flags);

/**
 * memalloc_heap_get_stats() - figures of a heap
 * @heap:  the heap
 * @stats: out: the figures
 * @size:  sizeof(*stats). What the library does not know reads as zero
 *
 * Return: 0; -EINVAL, @size is less than that of the first version.
 */
int memalloc_heap_get_stats(struct memalloc_heap *heap, struct memalloc_heap_stats *stats,
			    size_t size);

/**
 * memalloc_heap_visit() - visit every block, used and free
 * @heap:  the heap
 * @visit: called for one block after the other, in order of their addresses; it may make
 *         any call of this library but memalloc_heap_destroy(), and ends the walk by
 *         returning something other than 0
 * @data:  for @visit
 *
 * Each block is described as it was when it was read. If blocks are allocated or freed during the
 * walk, neighbours may overlap or leave a gap. So does memory that the heap has not
 * taken, or has given back.
 *
 * Return: 0 after the last block; what @visit returned, if not 0.
 */
int memalloc_heap_visit(struct memalloc_heap *heap,
			int (*visit)(const struct memalloc_heap_block *block, void *data),
			void *data);

#ifdef __cplusplus
}
#endif

#endif /* MEMALLOC_HEAP_H */
