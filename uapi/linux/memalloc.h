/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * memalloc: buffers of one physically contiguous region.
 *
 * This header is the whole contract between /dev/memalloc and userspace.
 *
 * Words. The device manages one *region*, a physically contiguous range, in
 * units of a *granule*. A *buffer* is a run of granules that somebody uses. A
 * *handle* is the name by which one open file (a *client*) knows a buffer; it
 * means nothing to any other open file. All lengths, offsets and alignments
 * are in bytes, unless a field says otherwise.
 *
 * Lifetime. FREE gives up a handle; the memory goes back when the last handle,
 * mapping and dma-buf of the buffer are gone and no page of it is pinned any
 * more. Closing the last descriptor of the open file, in whatever way the
 * process ends, gives up all its handles. A new buffer reads as zeros.
 *
 * Growing. Every argument begins with its own size in bytes. A program may pass
 * a shorter struct than the kernel knows (but not shorter than the first
 * version), or a longer one if what the kernel does not know is zero. Of the
 * answer the kernel writes what both know. Whether something is supported is
 * told by the feature bits of INFO, not by a version number.
 *
 * Errors. Each errno has one meaning:
 *
 *   EINVAL      an argument is malformed: a struct shorter than its first
 *               version, an unknown flag, a reserved field that is not zero, a
 *               length of 0, a constraint that nothing can satisfy; mmap:
 *               MAP_PRIVATE, or a range that leaves the buffer; IMPORT: the
 *               descriptor is not a dma-buf of this device
 *   E2BIG       the struct is longer than this kernel's and its tail is not zero,
 *               or it is longer than a page
 *   EFAULT      the argument, or memory it points to, can't be read or written
 *   ENOTTY      no such call
 *   ENOENT      not a handle of this client, or no longer one; mmap: no buffer
 *               of this client is at that offset
 *   ERANGE      FREE: the length given is not the one that was asked for
 *   EFBIG       the length is larger than the region
 *   ENOMEM      no room for it now, or the kernel itself is out of memory
 *   EACCES      the handle, or the descriptor, does not allow writing
 *   EBADF       IMPORT: not an open descriptor
 *   EMFILE      EXPORT: no descriptor is left to this process
 *   ENFILE      EXPORT: no descriptor is left in the system
 *   EINTR       a fatal signal arrived; nothing was done
 *
 * A call that fails has changed nothing but counters of STATS, and wrote nothing to
 * its argument but what may have been copied before an EFAULT.
 */
#ifndef _UAPI_LINUX_MEMALLOC_H
#define _UAPI_LINUX_MEMALLOC_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MEMALLOC_IOC_TYPE	0xBE

/* The size of an argument is in the argument, not in the request number. */
#define MEMALLOC_IOC_INFO	_IO(MEMALLOC_IOC_TYPE, 0x00)
#define MEMALLOC_IOC_ALLOC	_IO(MEMALLOC_IOC_TYPE, 0x01)
#define MEMALLOC_IOC_FREE	_IO(MEMALLOC_IOC_TYPE, 0x02)
#define MEMALLOC_IOC_QUERY	_IO(MEMALLOC_IOC_TYPE, 0x03)
#define MEMALLOC_IOC_STATS	_IO(MEMALLOC_IOC_TYPE, 0x04)
#define MEMALLOC_IOC_LAYOUT	_IO(MEMALLOC_IOC_TYPE, 0x05)
#define MEMALLOC_IOC_EXPORT	_IO(MEMALLOC_IOC_TYPE, 0x06)
#define MEMALLOC_IOC_IMPORT	_IO(MEMALLOC_IOC_TYPE, 0x07)

/* Bytes in a name, its terminating zero included. */
#define MEMALLOC_NAME_LEN	32

/* memalloc_info.features */
#define MEMALLOC_FEATURE_DMABUF	(1ULL << 0)	/* EXPORT and IMPORT work */

/**
 * struct memalloc_info - what the device is: MEMALLOC_IOC_INFO
 * @size:          in: sizeof(struct memalloc_info)
 * @flags:         in: 0
 * @features:      out: MEMALLOC_FEATURE_* bits
 * @region_length: out: bytes of the region
 * @granule:       out: bytes of a granule; lengths are rounded up to it
 * @node:          out: NUMA node of the region, -1 if not known
 * @max_alignment: out: the largest alignment that ALLOC takes, a power of two;
 *                 the region's physical start is a multiple of it
 * @name:          out: name of the region, zero-terminated
 * @fit:           out: name of the fit that picks free blocks, zero-terminated
 *
 * Errors: EINVAL, E2BIG, EFAULT.
 */
struct memalloc_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
	__aligned_u64 region_length;
	__u32 granule;
	__s32 node;
	__aligned_u64 max_alignment;
	__u8 name[MEMALLOC_NAME_LEN];
	__u8 fit[MEMALLOC_NAME_LEN];
};

/**
 * struct memalloc_alloc - make a buffer: MEMALLOC_IOC_ALLOC
 * @size:        in: sizeof(struct memalloc_alloc)
 * @flags:       in: 0
 * @length:      in: bytes wanted, 1 or more
 * @alignment:   in: a power of two, in bytes, that the buffer's physical start
 *               is a multiple of; 0: a granule. At most memalloc_info.max_alignment
 * @handle:      out: this client's name for the buffer, never 0
 * @reserved:    in: 0
 * @real_length: out: @length rounded up to granules
 * @mmap_offset: out: the offset to give to mmap(), valid as long as the handle;
 *               it says nothing of where the buffer lies
 *
 * Errors: EINVAL (also: @alignment not a power of two, or above the maximum),
 * E2BIG, EFAULT, EFBIG, ENOMEM, EINTR.
 */
struct memalloc_alloc {
	__u32 size;
	__u32 flags;
	__aligned_u64 length;
	__aligned_u64 alignment;
	__u32 handle;
	__u32 reserved;
	__aligned_u64 real_length;
	__aligned_u64 mmap_offset;
};

/**
 * struct memalloc_free - give up a handle: MEMALLOC_IOC_FREE
 * @size:     in: sizeof(struct memalloc_free)
 * @flags:    in: 0
 * @handle:   in: the handle
 * @reserved: in: 0
 * @length:   in: the length that ALLOC was asked for, as a check; 0: don't check
 *
 * Mappings and dma-bufs of the buffer stay valid, and keep its memory.
 *
 * Errors: EINVAL, E2BIG, EFAULT, ENOENT, ERANGE.
 */
struct memalloc_free {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 reserved;
	__aligned_u64 length;
};

/* memalloc_query.access, memalloc_import.access */
#define MEMALLOC_ACCESS_READ	(1U << 0)
#define MEMALLOC_ACCESS_WRITE	(1U << 1)

/**
 * struct memalloc_query - what a handle stands for: MEMALLOC_IOC_QUERY
 * @size:        in: sizeof(struct memalloc_query)
 * @flags:       in: 0
 * @handle:      in: the handle
 * @access:      out: MEMALLOC_ACCESS_* bits: what this handle allows; never WRITE
 *               if the device was opened with O_RDONLY
 * @length:      out: bytes that were asked for
 * @real_length: out: bytes that the buffer has
 * @mmap_offset: out: the offset to give to mmap()
 *
 * Errors: EINVAL, E2BIG, EFAULT, ENOENT.
 */
struct memalloc_query {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 access;
	__aligned_u64 length;
	__aligned_u64 real_length;
	__aligned_u64 mmap_offset;
};

/**
 * struct memalloc_stats - figures of the whole region: MEMALLOC_IOC_STATS
 * @size:            in: sizeof(struct memalloc_stats)
 * @flags:           in: 0
 * @region_length:   out: bytes of the region
 * @free:            out: bytes in free blocks
 * @largest_free:    out: bytes of the largest free block
 * @free_blocks:     out: number of free blocks
 * @used:            out: bytes in used blocks, quarantined ones included
 * @requested:       out: bytes that were asked for, of @used
 * @quarantined:     out: bytes whose last user is gone while something, for
 *                   example direct I/O, still holds a page of them; not free yet
 * @buffers:         out: number of used blocks, quarantined ones included
 * @clients:         out: number of open files
 * @allocs:          out: buffers allocated since the region was made
 * @frees:           out: buffers whose memory came back since then
 * @failures:        out: ALLOC calls since then that answered ENOMEM or EFBIG
 * @allocated:       out: bytes allocated since then, rounded to granules
 * @freed:           out: bytes that came back since then, rounded to granules
 * @fragmentation:   out: 1000 * (1 - @largest_free / @free), rounded down;
 *                   0 when nothing is free
 * @reserved:        out: 0
 *
 * The figures of one call belong together: @region_length == @free + @used,
 * @used == @allocated - @freed, @buffers == @allocs - @frees.
 *
 * Errors: EINVAL, E2BIG, EFAULT.
 */
struct memalloc_stats {
	__u32 size;
	__u32 flags;
	__aligned_u64 region_length;
	__aligned_u64 free;
	__aligned_u64 largest_free;
	__aligned_u64 free_blocks;
	__aligned_u64 used;
	__aligned_u64 requested;
	__aligned_u64 quarantined;
	__aligned_u64 buffers;
	__aligned_u64 clients;
	__aligned_u64 allocs;
	__aligned_u64 frees;
	__aligned_u64 failures;
	__aligned_u64 allocated;
	__aligned_u64 freed;
	__u32 fragmentation;
	__u32 reserved;
};

/* memalloc_block.state */
#define MEMALLOC_BLOCK_FREE		0U
#define MEMALLOC_BLOCK_USED		1U
#define MEMALLOC_BLOCK_QUARANTINED	2U	/* see memalloc_stats.quarantined */

/**
 * struct memalloc_block - one block of the region
 * @offset: bytes from the start of the region
 * @length: bytes
 * @state:  MEMALLOC_BLOCK_*
 * @handle: this client's handle for the buffer in the block (the writable one,
 *          if it has two); 0: not mine
 */
struct memalloc_block {
	__aligned_u64 offset;
	__aligned_u64 length;
	__u32 state;
	__u32 handle;
};

/**
 * struct memalloc_layout - the blocks of the region: MEMALLOC_IOC_LAYOUT
 * @size:       in: sizeof(struct memalloc_layout)
 * @flags:      in: 0
 * @offset:     in: start with the block that holds this offset; out: where the
 *              next page starts, the region's length after the last block
 * @blocks:     in: pointer to room for @count entries
 * @count:      in: entries that fit, 1 or more; out: entries that were written
 * @block_size: in: sizeof(struct memalloc_block); entries are written at this
 *              stride, what the kernel does not know of them is zero
 *
 * Blocks come in order of their offset. Others may allocate and free between
 * two pages and, on long pages, within one. Each entry was true when it was read,
 * but neighbours may then overlap or leave a gap.
 * Start at 0 and call again until @offset is the region's length.
 *
 * Errors: EINVAL (also: @count 0, @offset not inside the region, @block_size
 * below the first version's or above a page), E2BIG, EFAULT (also: @blocks),
 * EINTR.
 */
struct memalloc_layout {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 blocks;
	__u32 count;
	__u32 block_size;
};

/**
 * struct memalloc_export - a dma-buf of a buffer: MEMALLOC_IOC_EXPORT
 * @size:       in: sizeof(struct memalloc_export)
 * @flags:      in: 0
 * @handle:     in: the handle
 * @open_flags: in: O_RDONLY or O_RDWR, and O_CLOEXEC if wanted
 * @fd:         out: a new dma-buf descriptor
 * @reserved:   in: 0
 *
 * Through a descriptor opened with O_RDONLY nothing can write: not its mappings,
 * not a client that imports it, not a device (EACCES for any direction but DMA to
 * the device), not a driver (EINVAL for a kernel mapping, which has no direction).
 *
 * Errors: EINVAL (also: other bits in @open_flags, O_WRONLY), E2BIG, EFAULT,
 * ENOENT, EACCES (O_RDWR of a handle that can't write), EMFILE, ENFILE, ENOMEM.
 */
struct memalloc_export {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 open_flags;
	__s32 fd;
	__u32 reserved;
};

/* memalloc_import.flags */
#define MEMALLOC_IMPORT_READ_ONLY	(1U << 0)

/**
 * struct memalloc_import - a handle for a dma-buf: MEMALLOC_IOC_IMPORT
 * @size:        in: sizeof(struct memalloc_import)
 * @flags:       in: MEMALLOC_IMPORT_READ_ONLY: a read-only handle though the
 *               descriptor can write
 * @fd:          in: a dma-buf descriptor that EXPORT of this device made, in
 *               this process or another
 * @handle:      out: this client's handle for the buffer. If the client has one with
 *               that access already, it is that one, and one FREE gives it up
 * @length:      out: bytes that were asked for when the buffer was made
 * @real_length: out: bytes that the buffer has
 * @mmap_offset: out: the offset to give to mmap()
 * @access:      out: MEMALLOC_ACCESS_* bits: what the handle allows; WRITE unless
 *               the flag says otherwise, the descriptor is read-only, or the device
 *               was opened with O_RDONLY
 * @reserved:    in: 0
 *
 * The descriptor may be closed at once. A read-only handle can't be mapped
 * writable nor exported O_RDWR (EACCES).
 *
 * Errors: EINVAL, E2BIG, EFAULT, EBADF, ENOMEM, EINTR.
 */
struct memalloc_import {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 handle;
	__aligned_u64 length;
	__aligned_u64 real_length;
	__aligned_u64 mmap_offset;
	__u32 access;
	__u32 reserved;
};

/*
 * mmap(NULL, length, prot, MAP_SHARED, fd, mmap_offset + delta)
 *
 * Maps @length bytes of the buffer from @delta on, both within real_length; any
 * part of it, as often as wanted. The mapping outlives the handle and the
 * descriptor; fork() shares it; mremap() can move or shrink it, not grow it.
 *
 * Errors: those of mmap(2), and EINVAL (MAP_PRIVATE, or past the end of the
 * buffer), ENOENT (no buffer of this client there), EACCES (PROT_WRITE, but the
 * handle is read-only; if the client has two handles, the writable one counts).
 */

#endif /* _UAPI_LINUX_MEMALLOC_H */
