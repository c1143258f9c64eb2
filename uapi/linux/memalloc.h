/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * memalloc: buffers of physically contiguous regions.
 *
 * This header is the whole contract between /dev/memalloc and userspace.
 *
 * Words. A device node manages one *region*, a physically contiguous range, or a few, in
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
 * Limits. What a client allocates is charged to the client and to its user, who is the
 * one who opened the device (by the real user ID). Passing the descriptor on, or changing
 * IDs, does not change who is charged. The charge is one buffer, and its length rounded up
 * to granules. It lasts until the memory is free again or retired: through EXPORT,
 * mappings, the end of the client and quarantine, and until RELEASE if the buffer waits for
 * RELEASE. Others who use the buffer, by IMPORT, are charged nothing. Clients and users
 * have limits, of bytes and of buffers. The limits do not hold for an ALLOC by a caller
 * with CAP_SYS_RESOURCE (in the initial user namespace). The administrator sets the limits,
 * the same for all users and the same for all clients of a region, by parameters of the
 * module, and later in sysfs. By default, each user but root may have all bytes of the
 * region but a sixteenth.
 *
 * Physical addresses. QUERY and TRANSLATE disclose the address of a buffer to those who may
 * access hardware. Before, the buffer may be moved to the end of the region, as it may before a
 * device is attached to a dma-buf. Then it does not move, and each handle through which the address
 * was disclosed has to be given up by FREE: this is the promise that no device uses the
 * address any more. If such a handle ends with its client instead, a device may still
 * write to the buffer. So once all users of the buffer are gone, also those who did not
 * ask for the address, the buffer stays out of use until an administrator gives the
 * promise, by RELEASE. Only these two calls count as a disclosure. A device that a
 * program drives behind an IOMMU, by VFIO, does not find the buffer at its physical address.
 *
 * Growing. Every argument begins with its own size in bytes. A program may pass
 * a shorter struct than the kernel knows (but not shorter than the first
 * version), or a longer struct if the part that the kernel does not know is zero.
 * The kernel writes the part of the answer that both know. The feature bits of INFO
 * say what is supported; there is no version number.
 *
 * Regions. Each has a name and nodes of its own: /dev/memalloc-NAME, or /dev/memalloc if its
 * name is "memalloc". Regions know nothing of each other: a dma-buf of another region is not
 * one of this device. Administrators make and destroy regions through the control node,
 * /dev/memalloc-control, whose calls are those with CONTROL in their name. A region of several
 * ranges can be longer than any range that there is. No buffer reaches from one into another. While
 * it is in use, ranges are added to it by GROW, and given back by SHRINK.
 *
 * Errors. Each errno has one meaning; those of the control node have
 * their own:
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
 *               of this client is at that offset; RELEASE: no block that waits for
 *               RELEASE begins at that offset
 *   ERANGE      FREE: the length given is not the length that was asked for; RELEASE:
 *               the length given is not the block's
 *   EFBIG       the length is larger than the region, or than each range of it
 *   ENOMEM      no room for that length now, also not by moving other buffers within the
 *               region's bounds; or the kernel itself is out of memory
 *   ENXIO       TRANSLATE: no buffer of this device is mapped at that address
 *   ENOSPC      RESIZE: this buffer has too few offsets for mmap(); a new buffer of that
 *               length would have enough
 *   EDQUOT      more than a limit of the client, of its user or of a cgroup (dmem.max) allows
 *   EBUSY       RESIZE: others also have the buffer or its address, or have it mapped
 *   EACCES      the handle, or the descriptor, does not allow writing; IMPORT: the
 *               descriptor does not allow reading; RESIZE: another client is charged
 *               for the buffer, and would be charged for more
 *   EPERM       the call takes a capability which the caller does not have
 *   EOPNOTSUPP  this region can't do that: huge mappings; IMPORT: the dma-buf is of a part of a
 *               buffer
 *   EBADF       IMPORT: not an open descriptor
 *   EMFILE      EXPORT: no descriptor is left to this process
 *   ENFILE      EXPORT, mmap: no open file is left to the system
 *   EINTR       a fatal signal arrived, or any signal while SYNC waited; nothing was done
 *   ENODEV      the region's memory is gone, with its device; any call, and mmap
 *
 * dma-heap. The region is also one of the kernel's dma-buf heaps (linux/dma-heap.h), with
 * a node in /dev/dma_heap/ that is called as its own. DMA_HEAP_IOCTL_ALLOC makes a buffer
 * that has a dma-buf and no handle; IMPORT of the dma-buf gives a client a handle. The
 * buffer is charged as if the open node were a client. Errors: EINVAL, EFAULT, EMFILE,
 * ENFILE, EINTR, EDQUOT, ENOMEM (also: larger than the region).
 *
 * Observing. /sys/class/misc/NODE/, NODE being the region's, has a file for each of these
 * figures of STATS: size (region_length), used, free, largest_free, fragmentation, buffers,
 * quarantined; fit and buffer_max, as in INFO; ranges, with a line for each: its
 * number, and its bytes; and settings of the region, see memalloc(4).
 * /proc/PID/fdinfo/FD of a client has the lines memalloc-region (the region's name),
 * memalloc-access (read-write or read-only, as the device was opened), memalloc-handles,
 * memalloc-buffers (that the client has handles for) and memalloc-bytes (of these buffers, rounded
 * up to granules).
 *
 * A call that fails changes nothing but counters of STATS, and writes nothing to its
 * argument, except what it may have copied before an EFAULT. But buffers may have been moved, by
 * COMPACT, for an allocation, or before an address was to be told.
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
#define MEMALLOC_IOC_LIMITS	_IO(MEMALLOC_IOC_TYPE, 0x08)
#define MEMALLOC_IOC_RELEASE	_IO(MEMALLOC_IOC_TYPE, 0x09)
#define MEMALLOC_IOC_SYNC	_IO(MEMALLOC_IOC_TYPE, 0x0a)
#define MEMALLOC_IOC_ALLOC_BATCH	_IO(MEMALLOC_IOC_TYPE, 0x0b)
#define MEMALLOC_IOC_FREE_BATCH	_IO(MEMALLOC_IOC_TYPE, 0x0c)
#define MEMALLOC_IOC_RESIZE	_IO(MEMALLOC_IOC_TYPE, 0x0d)
#define MEMALLOC_IOC_NAME	_IO(MEMALLOC_IOC_TYPE, 0x0e)
#define MEMALLOC_IOC_COMPACT	_IO(MEMALLOC_IOC_TYPE, 0x0f)
#define MEMALLOC_IOC_TRANSLATE	_IO(MEMALLOC_IOC_TYPE, 0x10)

/* Calls of the control node. */
#define MEMALLOC_CONTROL_CREATE		_IO(MEMALLOC_IOC_TYPE, 0x40)
#define MEMALLOC_CONTROL_DESTROY	_IO(MEMALLOC_IOC_TYPE, 0x41)
#define MEMALLOC_CONTROL_LIST		_IO(MEMALLOC_IOC_TYPE, 0x42)
#define MEMALLOC_CONTROL_GROW		_IO(MEMALLOC_IOC_TYPE, 0x43)
#define MEMALLOC_CONTROL_SHRINK		_IO(MEMALLOC_IOC_TYPE, 0x44)

/* Bytes in a name, its terminating zero included. */
#define MEMALLOC_NAME_LEN	32

/* The most ranges of a region. */
#define MEMALLOC_RANGES_MAX	16

/* memalloc_info.features */
#define MEMALLOC_FEATURE_DMABUF	(1ULL << 0)	/* EXPORT and IMPORT work */
#define MEMALLOC_FEATURE_LIMITS	(1ULL << 1)	/* LIMITS works, ALLOC heeds limits */
/* ALLOC takes the fields after mmap_offset; QUERY discloses addresses; RELEASE works. */
#define MEMALLOC_FEATURE_PLACEMENT	(1ULL << 2)
#define MEMALLOC_FEATURE_SYNC	(1ULL << 3)	/* SYNC works */
#define MEMALLOC_FEATURE_BATCH	(1ULL << 4)	/* ALLOC_BATCH and FREE_BATCH work */
#define MEMALLOC_FEATURE_RESIZE	(1ULL << 5)	/* RESIZE works */
#define MEMALLOC_FEATURE_NAMES	(1ULL << 6)	/* NAME works, QUERY answers names */
#define MEMALLOC_FEATURE_COMPACT (1ULL << 7)	/* COMPACT moves buffers of this region */
#define MEMALLOC_FEATURE_PARTS	(1ULL << 8)	/* EXPORT takes an offset and a length */
#define MEMALLOC_FEATURE_TRANSLATE (1ULL << 9)	/* TRANSLATE works */

/* memalloc_info.memory: what the region's memory can do, which depends on its source */
/*
 * Programs' mappings have pages: direct I/O, sockets, io_uring and futexes work on them, and
 * drivers can attach devices to dma-bufs. Without this bit, such calls fail with EFAULT, and
 * attaching with EOPNOTSUPP; drivers may still use dma-bufs with the CPU.
 */
#define MEMALLOC_MEMORY_PAGES	(1ULL << 0)
/* Pages can be pinned for long: registered buffers of io_uring (since Linux 6.5), RDMA. */
#define MEMALLOC_MEMORY_LONG_PINS	(1ULL << 1)
/* The CPU's caches hold the memory. Without this bit, it is write-combined: slow to read. */
#define MEMALLOC_MEMORY_CACHED	(1ULL << 2)
/*
 * It is not even write-combined, but device memory: slow to write, too; and some machines, arm64
 * among them, raise SIGBUS at accesses that are not aligned, as a library's memcpy() may make.
 */
#define MEMALLOC_MEMORY_UNCACHED	(1ULL << 3)
/*
 * The memory is a device's, and may go with the device: calls fail with ENODEV then, and programs
 * that touch a mapping get SIGBUS. Drivers can't map dma-bufs into the kernel.
 */
#define MEMALLOC_MEMORY_CAN_GO	(1ULL << 4)

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
 * @client:        out: a number that no other open file of the region has or had, never 0:
 *                 it shows whether a descriptor still is the same open file
 * @memory:        out: MEMALLOC_MEMORY_* bits
 * @source:        out: where the region's memory comes from, zero-terminated: "running",
 *                 "reserved", "pci" (see CREATE), or "cma" (a device's, by the device tree)
 * @huge_mapping:  out: bytes that one huge entry of a page table maps, see MEMALLOC_ALLOC_HUGE;
 *                 0: ALLOC does not take that flag here
 * @ranges:        out: ranges of memory that the region has, 1 or more
 * @ranges_max:    out: ranges that it may have: see CREATE and GROW
 * @buffer_max:    out: bytes of the largest range, and so of the largest buffer that there can be
 * @layout_length: out: where the layout ends: @region_length, if there may be one range only; else
 *                 more, since there are gaps between ranges: see LAYOUT
 * @range_lengths: out: bytes of each range by its number; 0: there is none of that number
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
	__aligned_u64 client;
	__aligned_u64 memory;
	__u8 source[MEMALLOC_NAME_LEN];
	__aligned_u64 huge_mapping;
	__u32 ranges;
	__u32 ranges_max;
	__aligned_u64 buffer_max;
	__aligned_u64 layout_length;
	__aligned_u64 range_lengths[MEMALLOC_RANGES_MAX];
};

/* memalloc_alloc.flags */
/*
 * Map the buffer by huge entries: programs need fewer faults, and less of the TLB. The kernel does
 * not see pages in such a mapping. So direct I/O, io_uring's registered buffers, RDMA and futexes
 * that processes share do not work on it: they fail with EFAULT; fork() and dma-bufs do work.
 * The buffer begins at a multiple of memalloc_info.huge_mapping, besides the other constraints. An
 * entry is huge if all of it is in the buffer and in the mapping: mmap() of the device picks an
 * address at which this is so; for a dma-buf, the program has to.
 */
#define MEMALLOC_ALLOC_HUGE	(1U << 0)

/**
 * struct memalloc_alloc - make a buffer: MEMALLOC_IOC_ALLOC
 * @size:          in: sizeof(struct memalloc_alloc)
 * @flags:         in: MEMALLOC_ALLOC_HUGE or 0
 * @length:        in: bytes wanted, 1 or more
 * @alignment:     in: a power of two, in bytes, that the buffer's physical start
 *                 is a multiple of; 0: a granule. At most memalloc_info.max_alignment
 * @handle:        out: this client's name for the buffer, never 0
 * @reserved:      in: 0
 * @real_length:   out: @length rounded up to granules
 * @mmap_offset:   out: the offset to give to mmap(), valid as long as the handle;
 *                 it does not disclose the physical address
 * @boundary:      in: a power of two, in bytes, of which no multiple lies inside the
 *                 buffer's physical range; 0: none. A larger boundary than
 *                 memalloc_info.max_alignment is taken as max_alignment, which is stricter
 * @dma_mask_bits: in: the buffer's last physical address has no more bits than this,
 *                 like the DMA mask of a device: 1 to 64; 0: any. See below for callers
 *                 without CAP_SYS_RAWIO
 * @reserved2:     in: 0
 * @window_start:  in: the lowest physical address that the buffer may have,
 * @window_end:    in: and the highest; both 0: any. Takes CAP_SYS_RAWIO
 *
 * All constraints hold at the same time, for all @real_length bytes. If a free place
 * meets them all, it is found. If none does, though @real_length bytes are free in all, other
 * buffers are moved to make room, as by MEMALLOC_IOC_COMPACT, while their programs use them; in a
 * region with MEMALLOC_FEATURE_COMPACT, unless its setting "compact" is "never", and within its
 * bounds. This buffer, too, may be moved later, for others or in the background.
 *
 * The result of an alignment or a boundary does not disclose where the region lies, as
 * the region starts at a multiple of the largest alignment. A DMA mask or a window that
 * does not reach the region is ENOMEM, as if all that it reaches were in use.
 *
 * Without CAP_SYS_RAWIO, DMA masks disclose one thing: whether all of the region is within
 * 32 bits. If it is, masks of 32 bits and more reach all of the region. If it is not, only
 * masks that reach all memory which the machine had when the region was made reach the
 * region. Narrower masks reach nothing.
 *
 * Errors: EINVAL (also: @alignment not a power of two, or above the maximum; @boundary
 * not a power of two, or less than @real_length; @dma_mask_bits above 64; @window_start
 * above @window_end; mask and window have no @real_length bytes of whole granules),
 * EOPNOTSUPP (MEMALLOC_ALLOC_HUGE, and memalloc_info.huge_mapping is 0), EPERM, E2BIG, EFAULT,
 * EFBIG, EDQUOT, ENOMEM, EINTR.
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
	__aligned_u64 boundary;
	__u32 dma_mask_bits;
	__u32 reserved2;
	__aligned_u64 window_start;
	__aligned_u64 window_end;
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

/* memalloc_query.flags */
#define MEMALLOC_QUERY_PHYSICAL	(1U << 0)

/* memalloc_query.access, memalloc_import.access */
#define MEMALLOC_ACCESS_READ	(1U << 0)
#define MEMALLOC_ACCESS_WRITE	(1U << 1)

/**
 * struct memalloc_query - what a handle stands for: MEMALLOC_IOC_QUERY
 * @size:        in: sizeof(struct memalloc_query)
 * @flags:       in: MEMALLOC_QUERY_PHYSICAL: answer @physical, too, and pin the buffer:
 *               see "Physical addresses" above. Takes CAP_SYS_RAWIO
 * @handle:      in: the handle
 * @access:      out: MEMALLOC_ACCESS_* bits: what this handle allows; never WRITE
 *               if the device was opened with O_RDONLY
 * @length:      out: bytes that were asked for
 * @real_length: out: bytes that the buffer has
 * @mmap_offset: out: the offset to give to mmap()
 * @physical:    out: the physical address of the first byte, which all others follow;
 *               0 without the flag
 * @name:        out: what NAME called the buffer, zero-terminated and then all zeros;
 *               empty if it has no name
 *
 * After EFAULT the address counts as disclosed if the flag was set: the caller may have
 * read a part of the answer.
 *
 * Errors: EINVAL (also: the flag in a struct that has no @physical), EPERM, E2BIG,
 * EFAULT, ENOENT.
 */
struct memalloc_query {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 access;
	__aligned_u64 length;
	__aligned_u64 real_length;
	__aligned_u64 mmap_offset;
	__aligned_u64 physical;
	__u8 name[MEMALLOC_NAME_LEN];
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
 * @requested:       out: bytes of @used that were asked for, without those of
 *                   quarantined buffers
 * @quarantined:     out: bytes that have no user any more and are not free yet: something,
 *                   for example direct I/O, still holds their pages, or they wait for
 *                   RELEASE
 * @buffers:         out: number of buffers, quarantined ones included
 * @clients:         out: number of open files
 * @allocs:          out: buffers allocated since the region was made
 * @frees:           out: buffers whose memory has all become free again, or was retired,
 *                   since then
 * @failures:        out: ALLOC and ALLOC_BATCH calls since then that answered ENOMEM or
 *                   EFBIG, and calls of a dma-heap that answered ENOMEM; not EDQUOT,
 *                   which says nothing about the region
 * @allocated:       out: bytes allocated since then, also by RESIZE, rounded up to granules; a
 *                   buffer that is moved is allocated again
 * @freed:           out: bytes that became free again since then, rounded up to granules
 * @fragmentation:   out: 1000 * (1 - @largest_free / @free), rounded down;
 *                   0 when nothing is free
 * @reserved:        out: 0
 * @dirty:           out: bytes that are in no buffer any more and are not known to be
 *                   zero. They are zeroed when a buffer gets them, or in the background
 *                   before that, which has no effect on who allocates what
 * @retained:        out: bytes of @quarantined that wait for RELEASE
 * @retired:         out: bytes of pages in which the hardware has found a fault. They
 *                   count in @used, but in no buffer, and not in @dirty. No buffer gets
 *                   them any more, and nobody is charged for them
 * @abandoned_buffers: out: buffers for which clients still had handles when they were
 *                   closed, in whatever way their process ended, since the region was
 *                   made; a buffer counts once for each such client
 * @abandoned_bytes: out: bytes of these buffers, rounded up to granules
 * @ready:           out: bytes of @free that CPUs and clients kept ready for new buffers,
 *                   until this call. It gives them back first, so that @largest_free is what
 *                   there is
 * @moves:           out: buffers that were moved to other places since the region was made
 * @moved:           out: bytes of these, rounded up to granules
 * @moves_refused:   out: moves that were tried, and not done: something held a page; or the buffer
 *                   was mapped, freed or resized, or its address told, meanwhile
 * @longest_move:    out: nanoseconds for which a move, the longest so far, kept waiting who
 *                   touched the buffer
 * @served_by_moves: out: buffers that got memory only because others were moved for them
 * @over_budget:     out: requests for which no more could be moved, since the bounds for a request,
 *                   or for a user in a second, did not allow it
 *
 * When a buffer is quarantined, the granules that nothing holds become free at once, and
 * are charged no longer. The buffer counts in @buffers, and is charged as one buffer, as
 * long as a granule of it is left. Granules that RESIZE has cut off count in @used while
 * they are quarantined, but in no buffer.
 *
 * A page with a fault is retired when its buffer is freed. A fault in a free page is
 * noticed if the page has to be zeroed for a buffer; the buffer then gets another page.
 * A page that is known to be zero is not checked: if a buffer gets the page, whoever
 * touches it gets SIGBUS, as with any memory, and the page is retired after that.
 *
 * The figures of one call are consistent, except @clients, @dirty, @abandoned_buffers,
 * @abandoned_bytes, @ready and those of moves: @region_length == @free + @used,
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
	__aligned_u64 dirty;
	__aligned_u64 retained;
	__aligned_u64 retired;
	__aligned_u64 abandoned_buffers;
	__aligned_u64 abandoned_bytes;
	__aligned_u64 ready;
	__aligned_u64 moves;
	__aligned_u64 moved;
	__aligned_u64 moves_refused;
	__aligned_u64 longest_move;
	__aligned_u64 served_by_moves;
	__aligned_u64 over_budget;
};

/* memalloc_block.state */
#define MEMALLOC_BLOCK_FREE		0U
#define MEMALLOC_BLOCK_USED		1U
#define MEMALLOC_BLOCK_QUARANTINED	2U	/* see memalloc_stats.quarantined */
#define MEMALLOC_BLOCK_RETAINED		3U	/* quarantined, until RELEASE */
#define MEMALLOC_BLOCK_RETIRED		4U	/* see memalloc_stats.retired */
#define MEMALLOC_BLOCK_GAP		5U	/* before or after a range: there is no memory */

/**
 * struct memalloc_block - one block of the region
 * @offset: bytes from the start of the region
 * @length: bytes
 * @state:  MEMALLOC_BLOCK_*; later kernels may have more states, none of which is free
 * @handle: this client's handle for the buffer in the block (the writable one,
 *          if the client has two); 0: the client has none
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
 *              next call has to start, memalloc_info.layout_length after the last block
 * @blocks:     in: pointer to room for @count entries
 * @count:      in: entries that fit, 1 or more; out: entries that were written
 * @block_size: in: sizeof(struct memalloc_block); entries are written at this
 *              stride; the part that the kernel does not know is zero
 *
 * Blocks come in order of their offset. Others may allocate and free between
 * two calls and, if @count is large, during a call. Each entry was true when it was
 * read, but the blocks of two entries may then overlap or leave a gap.
 * Start at 0 and call again until @offset is memalloc_info.layout_length.
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
 * struct memalloc_export - a dma-buf of a buffer, or of a part: MEMALLOC_IOC_EXPORT
 * @size:       in: sizeof(struct memalloc_export)
 * @flags:      in: 0
 * @handle:     in: the handle
 * @open_flags: in: O_RDONLY or O_RDWR, and O_CLOEXEC if wanted
 * @fd:         out: a new dma-buf descriptor
 * @reserved:   in: 0
 * @offset:     in: where the part begins in the buffer, a multiple of the granule
 * @length:     in: bytes of the part, a multiple of the granule; 0: up to the buffer's end
 *
 * The dma-buf has the size of the part. Programs, devices and drivers reach nothing else through
 * it, and DMA_BUF_IOCTL_SYNC is for the part alone. Parts may overlap. A handle is for a whole
 * buffer, so IMPORT refuses the dma-buf of a part (EOPNOTSUPP). As any dma-buf, that of a part
 * keeps all of the buffer's memory, and its length. All dma-bufs of a buffer have the same fences:
 * who waits for devices, as SYNC does, waits for those that work on another part, too; and graphics
 * drivers that lock what a job uses may refuse two parts of one buffer in one job (EALREADY).
 *
 * Through a descriptor opened with O_RDONLY nothing can write: not its mappings,
 * not a client that imports it, not a device (EACCES for any direction but DMA to
 * the device), not a driver (EINVAL for a kernel mapping, which has no direction).
 *
 * Errors: EINVAL (also: other bits in @open_flags, O_WRONLY, a part that leaves the buffer), E2BIG,
 * EFAULT, ENOENT, EACCES (O_RDWR of a handle that can't write), EMFILE, ENFILE, ENOMEM.
 */
struct memalloc_export {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 open_flags;
	__s32 fd;
	__u32 reserved;
	__aligned_u64 offset;
	__aligned_u64 length;
};

/* memalloc_import.flags */
#define MEMALLOC_IMPORT_READ_ONLY	(1U << 0)

/**
 * struct memalloc_import - a handle for a dma-buf: MEMALLOC_IOC_IMPORT
 * @size:        in: sizeof(struct memalloc_import)
 * @flags:       in: MEMALLOC_IMPORT_READ_ONLY: make a read-only handle even if the
 *               descriptor can write
 * @fd:          in: a dma-buf descriptor that EXPORT of this device made, in
 *               this process or another
 * @handle:      out: this client's handle for the buffer. If the client already has a
 *               handle with that access, @handle is that handle, and one FREE gives it up
 * @length:      out: bytes that were asked for when the buffer was made
 * @real_length: out: bytes that the buffer has
 * @mmap_offset: out: the offset to give to mmap()
 * @access:      out: MEMALLOC_ACCESS_* bits: what the handle allows; WRITE unless
 *               the flag says otherwise, the descriptor is read-only, or the device
 *               was opened with O_RDONLY
 * @reserved:    in: 0
 *
 * An import charges nobody: the buffer stays charged to whoever allocated it.
 * The descriptor may be closed at once. A read-only handle can't be mapped
 * writable nor exported O_RDWR (EACCES).
 *
 * Errors: EINVAL, E2BIG, EFAULT, EBADF, EACCES (the descriptor can't read: O_WRONLY,
 * which a dma-heap allows), EOPNOTSUPP (the dma-buf is of a part), ENOMEM, EINTR.
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

/* memalloc_limits.flags */
#define MEMALLOC_LIMITS_SET_BYTES	(1U << 0)
#define MEMALLOC_LIMITS_SET_BUFFERS	(1U << 1)

/* As a limit: none. */
#define MEMALLOC_NO_LIMIT	(~0ULL)

/**
 * struct memalloc_limits - limits, and what is charged: MEMALLOC_IOC_LIMITS
 * @size:               in: sizeof(struct memalloc_limits)
 * @flags:              in: MEMALLOC_LIMITS_SET_BYTES: set this client's own limit to
 *                      @client_bytes_max; MEMALLOC_LIMITS_SET_BUFFERS: the same with
 *                      @client_buffers_max; 0: change nothing
 * @client_bytes_max:   in: see @flags; out: bytes that this client may have: its own
 *                      limit or the one of all clients, whichever is lower
 * @client_buffers_max: in: see @flags; out: buffers that this client may have
 * @client_bytes:       out: bytes that are charged to this client
 * @client_buffers:     out: buffers that are charged to this client
 * @user_bytes_max:     out: bytes that the client's user, with all clients, may have
 * @user_buffers_max:   out: buffers that its user may have
 * @user_bytes:         out: bytes that are charged to its user
 * @user_buffers:       out: buffers that are charged to its user
 *
 * A limit is a number, 0 included, or MEMALLOC_NO_LIMIT. A client begins without a limit
 * of its own. The client's own limit lasts as long as the open file. Whoever uses the
 * open file may lower the limit, also below what is charged; the charge then stays. The
 * administrator may change the limits of all clients and of users at any time.
 *
 * Errors: EINVAL, E2BIG, EFAULT, EPERM (a limit above the current @client_bytes_max or
 * @client_buffers_max, without CAP_SYS_RESOURCE).
 */
struct memalloc_limits {
	__u32 size;
	__u32 flags;
	__aligned_u64 client_bytes_max;
	__aligned_u64 client_buffers_max;
	__aligned_u64 client_bytes;
	__aligned_u64 client_buffers;
	__aligned_u64 user_bytes_max;
	__aligned_u64 user_buffers_max;
	__aligned_u64 user_bytes;
	__aligned_u64 user_buffers;
};

/* memalloc_release.flags */
#define MEMALLOC_RELEASE_ALL	(1U << 0)

/**
 * struct memalloc_release - promise that no device writes there: MEMALLOC_IOC_RELEASE
 * @size:   in: sizeof(struct memalloc_release)
 * @flags:  in: MEMALLOC_RELEASE_ALL: all blocks that wait for RELEASE now
 * @offset: in: the block's offset, as LAYOUT answers it
 * @length: in: the block's length, as a check; 0: don't check
 *
 * Takes CAP_SYS_ADMIN. The memory becomes free at once, and is charged no longer, except
 * pages that something else still holds: these stay quarantined, as if the buffer had been
 * given up by FREE.
 *
 * Errors: EINVAL (also: @offset or @length not 0 and MEMALLOC_RELEASE_ALL), EPERM,
 * E2BIG, EFAULT, ENOENT, ERANGE.
 */
struct memalloc_release {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
};

/* memalloc_sync.flags; as those of DMA_BUF_IOCTL_SYNC */
#define MEMALLOC_SYNC_READ	(1U << 0)
#define MEMALLOC_SYNC_WRITE	(1U << 1)
#define MEMALLOC_SYNC_END	(1U << 2)

/**
 * struct memalloc_sync - before and after accesses by the CPU: MEMALLOC_IOC_SYNC
 * @size:     in: sizeof(struct memalloc_sync)
 * @flags:    in: MEMALLOC_SYNC_READ, MEMALLOC_SYNC_WRITE or both: the CPU is about to
 *            read or write the range; with MEMALLOC_SYNC_END: the CPU has done so
 * @handle:   in: the handle
 * @reserved: in: 0
 * @offset:   in: where in the buffer the range begins
 * @length:   in: bytes of the range, 1 or more, within real_length
 *
 * Needed where devices have the buffer mapped for DMA and don't see memory as the CPU
 * does: because of caches, or because they work on a copy (bounce buffers). SYNC does
 * what DMA_BUF_IOCTL_SYNC does on any dma-buf of the buffer, but for a range: it does not
 * disturb what CPU and devices do outside the range at the same time, except in cache
 * lines that are partly in the range. SYNC reaches every device that has the buffer mapped.
 *
 * Before an access, SYNC also waits for fences of the buffer's dma-bufs: until devices
 * have finished writing and, before MEMALLOC_SYNC_WRITE, reading. A signal ends the wait,
 * unless the signal's handler has SA_RESTART. SYNC gives no access, and a read-only handle
 * is enough: SYNC only transfers what devices, and those who may write, have written.
 *
 * Errors: EINVAL (also: neither READ nor WRITE, a range that leaves the buffer), E2BIG,
 * EFAULT, ENOENT, EINTR.
 */
struct memalloc_sync {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 reserved;
	__aligned_u64 offset;
	__aligned_u64 length;
};

/* The most entries that one batch may have. */
#define MEMALLOC_BATCH_MAX	256

/**
 * struct memalloc_batch - many buffers, all or none: MEMALLOC_IOC_ALLOC_BATCH,
 * MEMALLOC_IOC_FREE_BATCH
 * @size:       in: sizeof(struct memalloc_batch)
 * @flags:      in: 0
 * @entries:    in: pointer to @count arguments of ALLOC, or of FREE
 * @count:      in: how many, 1 to MEMALLOC_BATCH_MAX
 * @entry_size: in: bytes from one entry to the next, sizeof(struct memalloc_alloc) or
 *              sizeof(struct memalloc_free); the size field of each entry is the same
 *
 * Each entry is read, and answered, like the argument of a single ALLOC or FREE: the entry
 * may be shorter or longer than the kernel knows, see "Growing" above. An error of one
 * entry is the error of the whole batch, and then nothing is done: no buffer is made, or
 * no handle is given up. No handle works before all of them do. The entries of an
 * ALLOC_BATCH that fails may have answers in them, which mean nothing.
 *
 * If a handle is in a FREE_BATCH twice, its second entry is ENOENT. In STATS, an
 * ALLOC_BATCH that fails counts as one call.
 *
 * Errors: those of ALLOC or FREE, and EINVAL (@count 0 or above the maximum; @entry_size
 * below the first version's; an entry has another size), E2BIG (@entry_size above
 * a page), EFAULT (@entries), ENOMEM (also FREE_BATCH: for the kernel itself), EINTR (not
 * FREE_BATCH).
 */
struct memalloc_batch {
	__u32 size;
	__u32 flags;
	__aligned_u64 entries;
	__u32 count;
	__u32 entry_size;
};

/**
 * struct memalloc_resize - make a buffer longer or shorter: MEMALLOC_IOC_RESIZE
 * @size:     in: sizeof(struct memalloc_resize)
 * @flags:    in: 0
 * @handle:   in: the handle, which must be writable
 * @reserved: in: 0
 * @length:   in: bytes wanted, 1 or more; the buffer then has them rounded up to granules
 *
 * The buffer stays where it is, with its handle, its mmap offset, its mappings and the
 * bytes that it keeps. The part that is cut off is freed: all mappings lose it at once,
 * and whoever touches a mapping there gets SIGBUS. Granules of this part whose page
 * something still holds are quarantined: they stay charged, but count in no number of
 * buffers. The part that is added reads as zeros, also through mappings that the buffer
 * had there before. The added part is charged as by ALLOC.
 *
 * Growing needs free space directly behind the buffer, and may break no constraint that
 * ALLOC was given: else ENOMEM. ENOSPC: possible for a @length above twice the real_length
 * that ALLOC answered, never up to there.
 *
 * EBUSY: the buffer has a dma-buf or another handle, of whichever client; or its address
 * was disclosed, once and to whomever; or a device has not finished with the buffer; or the
 * buffer is mapped. If the client which allocated the buffer resizes it, mappings that were
 * made through that client, in whichever process, do not count; unless a buffer of
 * MEMALLOC_ALLOC_HUGE would become shorter.
 *
 * If the last handle is that of an importer, the importer may make the buffer shorter, not
 * longer (EACCES). STATS does not count a failure.
 *
 * Errors: EINVAL, E2BIG, EFAULT, ENOENT, EACCES, EFBIG, EBUSY, ENOSPC, EDQUOT, ENOMEM
 * (also when it is made shorter: for the kernel itself), EINTR.
 */
struct memalloc_resize {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 reserved;
	__aligned_u64 length;
};

/**
 * struct memalloc_name - name a buffer, for people: MEMALLOC_IOC_NAME
 * @size:     in: sizeof(struct memalloc_name)
 * @flags:    in: 0
 * @handle:   in: the handle, which must be writable
 * @reserved: in: 0
 * @name:     in: printable characters of ASCII (32 to 126), then a zero; what follows the
 *            zero does not matter; empty: no name
 *
 * The name belongs to the buffer: QUERY answers it to whoever has a handle, and
 * administrators see it. A new name replaces the old one. Buffers may have the same name,
 * and names mean nothing to the device.
 *
 * Errors: EINVAL (also: another character, or no zero in @name), E2BIG, EFAULT, ENOENT,
 * EACCES.
 */
struct memalloc_name {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 reserved;
	__u8 name[MEMALLOC_NAME_LEN];
};

/**
 * struct memalloc_compact - make one free block out of pieces: MEMALLOC_IOC_COMPACT
 * @size:         in: sizeof(struct memalloc_compact)
 * @flags:        in: 0
 * @length:       in: bytes that are wanted in one free block, rounded up to granules; 0: as
 *                many as can be
 * @budget:       in: the most bytes that may be copied, rounded down to granules; 0: only
 *                tell what stays
 * @largest_free: out: bytes of the largest free block in the end, which may be less than
 *                @length
 * @moves:        out: buffers that were moved
 * @moved:        out: bytes of these, rounded up to granules
 * @held:         out: bytes of buffers that were to be moved, but something held a page
 * @mapped:       out: bytes of buffers that devices, or the kernel, have mapped now; without those
 *                of devices that can let go
 * @disclosed:    out: bytes of buffers of which somebody knows the address
 * @huge:         out: bytes of buffers of MEMALLOC_ALLOC_HUGE that programs have mapped, once
 *
 * Takes CAP_SYS_ADMIN. Moves buffers to other places, with all their bytes. Their programs,
 * handles, mmap offsets and mappings stay as they are: who touches a buffer while it is being
 * moved waits. A buffer keeps to the constraints that ALLOC was given. These buffers are not
 * moved: those of which a page is held, as by direct I/O or io_uring; those that a device has
 * mapped for DMA, by a dma-buf, or has not finished with soon; those of which QUERY or TRANSLATE
 * has disclosed the address; those of MEMALLOC_ALLOC_HUGE, once they were mapped. Since Linux 7.3,
 * drivers that can let go of what they have mapped are asked to.
 *
 * In a region without MEMALLOC_FEATURE_COMPACT, nothing is moved.
 *
 * Errors: EINVAL, EPERM, E2BIG, EFAULT, EFBIG (@length), ENOMEM (for the kernel itself), EINTR.
 * After EFAULT, ENOMEM and EINTR, buffers may have been moved.
 */
struct memalloc_compact {
	__u32 size;
	__u32 flags;
	__aligned_u64 length;
	__aligned_u64 budget;
	__aligned_u64 largest_free;
	__aligned_u64 moves;
	__aligned_u64 moved;
	__aligned_u64 held;
	__aligned_u64 mapped;
	__aligned_u64 disclosed;
	__aligned_u64 huge;
};

/* memalloc_translate.flags */
#define MEMALLOC_TRANSLATE_PHYSICAL	(1U << 0)
#define MEMALLOC_TRANSLATE_ADDRESS	(1U << 1)

/**
 * struct memalloc_translate - where a byte of a buffer lies: MEMALLOC_IOC_TRANSLATE
 * @size:          in: sizeof(struct memalloc_translate)
 * @flags:         in: MEMALLOC_TRANSLATE_PHYSICAL: answer @physical, too, and pin the buffer: see
 *                 "Physical addresses" above. Takes CAP_SYS_RAWIO.
 *                 MEMALLOC_TRANSLATE_ADDRESS: of the byte that the caller has mapped at @address
 * @handle:        in: the handle of the buffer; 0 with MEMALLOC_TRANSLATE_ADDRESS, and then
 *                 out: this client's handle for the buffer (the writable one, if it has two);
 *                 0: it has none
 * @reserved:      in: 0
 * @address:       in: with MEMALLOC_TRANSLATE_ADDRESS, an address of the caller's process; else 0
 * @offset:        in: the byte, counted from the buffer's beginning; 0 with
 *                 MEMALLOC_TRANSLATE_ADDRESS, and then out: where @address is in the buffer
 * @length:        out: bytes of the buffer from that byte on, with it, which follow each other
 * @region_offset: out: the byte, counted from the region's beginning; true at that moment, and as
 *                 long as the buffer is not moved
 * @physical:      out: the byte's physical address; 0 without the flag
 *
 * An address is found in any mapping of a buffer of this device, also one by a dma-buf, and whether
 * or not it was touched. Without the first flag, and while the buffer is not being moved, the call
 * takes the same time however large the buffer is, and however many there are.
 *
 * After EFAULT the address counts as disclosed if the first flag was set, as after that of QUERY.
 *
 * Errors: EINVAL (also: @offset not inside the buffer), EPERM, E2BIG, EFAULT, ENOENT (also: the
 * first flag, and the client has no handle for what is mapped there), ENXIO (no buffer of this
 * device is mapped at @address), EINTR.
 */
struct memalloc_translate {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 reserved;
	__aligned_u64 address;
	__aligned_u64 offset;
	__aligned_u64 length;
	__aligned_u64 region_offset;
	__aligned_u64 physical;
};

/**
 * struct memalloc_create - make a region: MEMALLOC_CONTROL_CREATE
 * @size:               in: sizeof(struct memalloc_create)
 * @flags:              in: 0
 * @name:               in: 1 to 31 letters of ASCII, digits, "-" or "_", then a zero
 * @source:             in: "running": memory that the system uses now is claimed; empty: the
 *                      same. "reserved": memory that the kernel does not use, since it was
 *                      kept from it at boot. "pci": memory of a PCI device, from the
 *                      beginning of a BAR. "cma" is for the device tree alone
 * @fit:                in: name of the fit; empty: the module's parameter
 * @length:             in: bytes, a multiple of the page size; "reserved", and "pci" with
 *                      "/cached": of 2 MiB
 * @base:               in: "reserved": the physical address, a multiple of 2 MiB; else 0
 * @node:               in: NUMA node to claim from, -1: any
 * @reserved:           in: 0
 * @user_bytes_max:     in: the most that all clients of a user may have, or
 *                      MEMALLOC_NO_LIMIT; 0: the module's parameter. As for what follows
 * @user_buffers_max:   in: likewise, in buffers
 * @client_bytes_max:   in: the most that a client may have
 * @client_buffers_max: in: likewise, in buffers
 * @bar:                in: "pci": the device's address, a slash and the BAR's number, then a
 *                      zero, as "0000:05:00.0/2"; and "/cached" before the zero, if the CPU's
 *                      caches may hold the memory, as for memory that is coherent; else empty.
 *                      The device's driver_override has to be "memalloc"
 * @heap:               in: a second name for the region in /dev/dma_heap/, such as "linux,cma", of
 *                      1 to 31 letters, digits, "-", "_" or ",", then a zero; empty: none
 * @ranges:             in: "running": the most ranges of which the region is made, 1 to
 *                      MEMALLOC_RANGES_MAX, and which it may have later, by GROW; 0: the module's
 *                      parameter
 * @reserved2:          in: 0
 * @length_max:         in: bytes that the region may grow to by GROW; 0: @length. For each page
 *                      of it, 16 bytes of the kernel's memory are taken at once. More than
 *                      @length takes 2 @ranges or more
 *
 * The region's nodes are there when the call returns: /dev/memalloc-NAME and
 * /dev/dma_heap/memalloc-NAME; or without -NAME, if the name is "memalloc". Claiming takes
 * up to half a minute for each range; a fatal signal ends that.
 *
 * Errors: EINVAL (also: a name, a source or a fit that can't be, "pci" on a kernel without
 * PCI, a node that is not online, or a base where there can't be a region), E2BIG, EFAULT,
 * EEXIST (a name is taken, or something else is at the base: memory that the kernel uses, a
 * device, another region), EOPNOTSUPP (this kernel has no such source), EFBIG (more than the
 * memory of the machine, than the BAR, or than a region can have), ENODEV (there is no such
 * device, or it is going), EBUSY (the device has another driver, or no driver_override, or
 * somebody uses the BAR), ENOMEM (no such range now; the log says what was found), ENOSPC
 * (the kernel has no number left for a node), EINTR.
 */
struct memalloc_create {
	__u32 size;
	__u32 flags;
	__u8 name[MEMALLOC_NAME_LEN];
	__u8 source[MEMALLOC_NAME_LEN];
	__u8 fit[MEMALLOC_NAME_LEN];
	__aligned_u64 length;
	__aligned_u64 base;
	__s32 node;
	__u32 reserved;
	__aligned_u64 user_bytes_max;
	__aligned_u64 user_buffers_max;
	__aligned_u64 client_bytes_max;
	__aligned_u64 client_buffers_max;
	__u8 bar[MEMALLOC_NAME_LEN];
	__u8 heap[MEMALLOC_NAME_LEN];
	__u32 ranges;
	__u32 reserved2;
	__aligned_u64 length_max;
};

/**
 * struct memalloc_destroy - destroy a region: MEMALLOC_CONTROL_DESTROY
 * @size:  in: sizeof(struct memalloc_destroy)
 * @flags: in: 0
 * @name:  in: the region's name, zero-terminated
 *
 * Errors: EINVAL (also: no zero in @name), E2BIG, EFAULT, ENOENT (there is no region of that
 * name), EBUSY (a node of it is open; or a buffer is mapped, exported, in quarantine or
 * waits for RELEASE; or the region is being made or destroyed).
 */
struct memalloc_destroy {
	__u32 size;
	__u32 flags;
	__u8 name[MEMALLOC_NAME_LEN];
};

/**
 * struct memalloc_grow - add a range to a region in use: MEMALLOC_CONTROL_GROW
 * @size:     in: sizeof(struct memalloc_grow)
 * @flags:    in: 0
 * @name:     in: the region's name, zero-terminated
 * @length:   in: bytes of the range, a multiple of the page size
 * @node:     in: NUMA node to claim from, -1: any
 * @range:    out: the range's number
 * @reserved: in: 0
 *
 * The region's memory becomes so much more, and what its users get by default with it. Claiming
 * takes up to half a minute; a fatal signal ends that.
 *
 * Errors: EINVAL, E2BIG, EFAULT (also: the range has been added), ENOENT (there is no region of
 * that name), EBUSY (it is being made or destroyed), EOPNOTSUPP (its source has one range only),
 * ENOSPC (it has as many ranges as it may have, or may not become so long, or has no gap for so
 * many bytes in a row), EFBIG (more than the memory of the machine), ENOMEM, EINTR.
 */
struct memalloc_grow {
	__u32 size;
	__u32 flags;
	__u8 name[MEMALLOC_NAME_LEN];
	__aligned_u64 length;
	__s32 node;
	__u32 range;
	__aligned_u64 reserved;
};

/**
 * struct memalloc_shrink - give a range back: MEMALLOC_CONTROL_SHRINK
 * @size:        in: sizeof(struct memalloc_shrink)
 * @flags:       in: 0
 * @name:        in: the region's name, zero-terminated
 * @range:       in: the range's number, see memalloc_info.range_lengths; not 0: the first range
 *               stays as long as the region
 * @reserved:    in: 0
 * @length:      out: bytes of the range
 * @moves:       out: buffers that were moved to other ranges, or within these to make room,
 * @moved:       out: and their bytes
 * @held:        out: after EBUSY: bytes of buffers in the range that could be moved but for pages
 *               that something holds, or for room,
 * @mapped:      out: and of buffers that a device or the kernel has mapped,
 * @disclosed:   out: or whose address somebody knows,
 * @huge:        out: or that have huge mappings;
 * @quarantined: out: and bytes that are freed and still held, or wait for RELEASE
 *
 * Buffers in the range are moved as by COMPACT, while programs use them, without bounds. Meanwhile
 * nothing is allocated in the range, and STATS counts what is free there no more. What is held is
 * waited for, a second or a little more; what finds no room elsewhere is not. If
 * something stays, the range is as it was, but that buffers have been moved; and this call, unlike
 * others, answers what stays although it fails.
 *
 * Errors: EINVAL (also: @range 0), E2BIG, EFAULT (also: the range has gone), ENOENT (there is no
 * region of that name, or no range of that number), EBUSY (something stays in the range; or the
 * region is being made or destroyed, and then nothing is answered), EINTR, ENOMEM.
 */
struct memalloc_shrink {
	__u32 size;
	__u32 flags;
	__u8 name[MEMALLOC_NAME_LEN];
	__u32 range;
	__u32 reserved;
	__aligned_u64 length;
	__aligned_u64 moves;
	__aligned_u64 moved;
	__aligned_u64 held;
	__aligned_u64 mapped;
	__aligned_u64 disclosed;
	__aligned_u64 huge;
	__aligned_u64 quarantined;
};

/**
 * struct memalloc_region - a region
 * @name:     zero-terminated, as the other two
 * @source:   where its memory comes from
 * @fit:      the fit that picks free blocks
 * @length:   bytes
 * @node:     NUMA node, -1 if not known
 * @reserved: 0
 */
struct memalloc_region {
	__u8 name[MEMALLOC_NAME_LEN];
	__u8 source[MEMALLOC_NAME_LEN];
	__u8 fit[MEMALLOC_NAME_LEN];
	__aligned_u64 length;
	__s32 node;
	__u32 reserved;
};

/**
 * struct memalloc_list - the regions: MEMALLOC_CONTROL_LIST
 * @size:        in: sizeof(struct memalloc_list)
 * @flags:       in: 0
 * @cursor:      in: 0 to begin; out: for the next call
 * @regions:     in: pointer to room for @count entries
 * @count:       in: entries that fit, 1 or more; out: entries that were written
 * @region_size: in: sizeof(struct memalloc_region); entries are written at this stride; the
 *               part that the kernel does not know is zero
 *
 * Regions come in the order in which they were made; those that are still being made do
 * not. A region that is there all the time comes once. Call again until fewer entries were
 * written than fit.
 *
 * Errors: EINVAL (also: @count 0, @region_size below the first version's or above a page),
 * E2BIG, EFAULT (also: @regions), EINTR.
 */
struct memalloc_list {
	__u32 size;
	__u32 flags;
	__aligned_u64 cursor;
	__aligned_u64 regions;
	__u32 count;
	__u32 region_size;
};

/*
 * mmap(NULL, length, prot, MAP_SHARED, fd, mmap_offset + delta)
 *
 * Maps @length bytes of the buffer from @delta on, both within real_length; any
 * part of it, as often as wanted. The mapping outlives the handle and the
 * descriptor; fork() shares it; mremap() can move or shrink it, not grow it. Whoever touches
 * what RESIZE has cut off gets SIGBUS. All mappings of a buffer together, also those of its
 * dma-bufs, take one open file of the system; a client keeps one more for its next buffer.
 * Process-shared and robust mutexes may lie in a buffer: a futex there is the same through all
 * mappings of the buffer.
 *
 * Errors: those of mmap(2), and EINVAL (MAP_PRIVATE, or past the end of the
 * buffer), ENOENT (no buffer of this client there), EACCES (PROT_WRITE, but the
 * handle is read-only; if the client has two handles, the writable one counts).
 */

#endif /* _UAPI_LINUX_MEMALLOC_H */
