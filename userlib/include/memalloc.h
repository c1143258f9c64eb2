/* SPDX-License-Identifier: MIT */
/*
 * libmemalloc: physically contiguous buffers from /dev/memalloc.
 *
 * Open the device, allocate a buffer, map it; hand it to a driver or to another
 * process as a dma-buf descriptor. The words used here (region, granule, buffer,
 * handle) and what the kernel promises are explained in <linux/memalloc.h>.
 *
 * Backends. Where there is no such device, or if a program asks for it, memory of the
 * process stands in: a file in memory (memfd), managed as the module manages its
 * region. All calls are the same, with the same errors. What differs:
 *
 *   memory      is not physically contiguous, and not reserved: the system may be out of
 *               memory when a page is touched first. Alignments are those of offsets
 *               in the file; drivers and mappings see alignment to a page only
 *   opening     gives a region of one's own each time, which no other open shares
 *   export      works where the kernel has /dev/udmabuf and lets the process open it
 *               (memalloc_info.features tells), else -EOPNOTSUPP. Read-only exports, and
 *               those that are too large for udmabuf, always fail so. That the last
 *               descriptor is closed is noticed, by means of /proc, when memory is short
 *               or counted.
 *               Each part of a buffer that was exported takes one descriptor more
 *   import      only of what the same open device has exported
 *   read-only   mappings of a read-only handle can be made writable with mprotect(2)
 *   mremap      of mappings is not noticed: a mapping can grow into other buffers
 *   mmap        of memalloc_fd() does not keep a buffer: what is given back reads as
 *               zeros, and may be somebody else's next. memalloc_buffer_map() does, and
 *               memalloc_buffer_unmap() has to be the one to undo it
 *   fork        a child has the mappings, and shares their bytes. All else is the
 *               parent's: in the child, calls answer -EBADF, but for memalloc_close(),
 *               memalloc_buffer_unmap() and what <memalloc_view.h> says. Descriptors of exports
 *               that it inherits count as exports until it closes them or ends. After vfork()
 *               and raw clone() nothing may be called
 *   ioctls      that this library does not wrap: -ENOTTY
 *
 * Units. Lengths, offsets and alignments are in bytes.
 *
 * Errors. A call that can fail returns 0, or the positive value it is asked for,
 * or a negative errno value: print it with strerror(-err). errno itself keeps
 * the value it had. A call that fails has changed nothing, in the kernel or in
 * what its arguments point to, if not said otherwise. Pointers must be valid; a
 * call says where NULL is allowed.
 *
 * Threads. Any number of them may call anything at the same time, with the same
 * struct memalloc too. With memory of the process there is a lock inside: no calls from
 * signal handlers, and no pthread_cancel() of a thread that may be in one. Only
 * memalloc_close() must be the last call, and whoever frees a buffer must know
 * that no other thread still uses its handle: the kernel may give that number
 * to the next buffer.
 *
 * Signals. No call is cut short by a signal that a program handles or ignores, so
 * there is nothing to repeat: -EINTR is answered only to a thread that is being
 * killed.
 *
 * Processes. Handles belong to the open device, which a child shares after
 * fork(). Between programs that each opened the device, buffers travel as
 * descriptors: memalloc_buffer_export(), a Unix socket, memalloc_buffer_import().
 */
#ifndef MEMALLOC_H
#define MEMALLOC_H

#include <stddef.h>
#include <stdint.h>
#include <linux/memalloc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What memalloc_open() opens when it is not told otherwise. */
#define MEMALLOC_DEFAULT_DEVICE	"/dev/memalloc"

/* For memalloc_open(): memory of the process. */
#define MEMALLOC_PROCESS	"process"

/* Where memory comes from, see "Backends" above. */
enum memalloc_backend {
	MEMALLOC_BACKEND_DEVICE = 1,
	MEMALLOC_BACKEND_PROCESS = 2,
};

/* For map, export and import: allow reading only. */
#define MEMALLOC_READ_ONLY	(1U << 0)

/* An open device. */
struct memalloc;

/**
 * struct memalloc_buffer - what a program knows of one of its buffers
 * @length:      bytes that were asked for
 * @real_length: bytes that the buffer has: @length rounded up to granules
 * @mmap_offset: where the buffer lies in the file that memalloc_fd() gives, for
 *               programs that call mmap() themselves
 * @handle:      the name of the buffer on this open device; 0: none (freed)
 * @access:      MEMALLOC_ACCESS_READ and MEMALLOC_ACCESS_WRITE: what the handle allows
 *
 * A plain value: the calls below fill it in, the program may copy it, and
 * nothing has to be released but the handle, with memalloc_buffer_free().
 */
struct memalloc_buffer {
	uint64_t length;
	uint64_t real_length;
	uint64_t mmap_offset;
	uint32_t handle;
	uint32_t access;
};

/**
 * memalloc_open() - open a device, or memory of the process
 * @path: the name of a region, as "video", whose device file is then opened; or the device
 *        file, with a slash; or MEMALLOC_PROCESS, a region of 64 MiB; or that, a colon and
 *        the size of the region, as in "process:256M": a multiple of the page size, up
 *        to 2^30 pages, with the suffixes K, M, G, T, k, m, g, t. After the size there may be
 *        a colon and a name for memalloc_get_info(), as in "process:256M:video";
 *        NULL: what the environment variable MEMALLOC_DEVICE says in that way. It does
 *        not count in programs with more rights than who started them (setuid). If
 *        it does not say anything: MEMALLOC_DEFAULT_DEVICE; where there is no such
 *        file, MEMALLOC_PROCESS
 * @mem:  out: the open device, for memalloc_close()
 *
 * The descriptor is closed on exec. A file in the current folder can be opened as
 * "./NAME".
 *
 * Return: 0; -ENOENT, no such region or file: the module is not loaded; -EACCES, not
 * allowed; -ENOTTY, the file is something else; -EINVAL, no possible size or name of memory
 * of the process; -EFBIG, more of it than files may have (RLIMIT_FSIZE); -ENOMEM; others
 * of open(2), memfd_create(2) and mmap(2).
 */
int memalloc_open(const char *path, struct memalloc **mem);

/**
 * memalloc_close() - close a device
 * @mem: the open device; NULL: nothing happens
 *
 * Gives up all handles. Mappings and exported descriptors stay valid, and keep
 * the memory of their buffers.
 */
void memalloc_close(struct memalloc *mem);

/**
 * memalloc_backend() - where the memory comes from
 * @mem: the open device
 *
 * Return: MEMALLOC_BACKEND_DEVICE: buffers are physically contiguous;
 * MEMALLOC_BACKEND_PROCESS: they are not, see "Backends" above.
 */
enum memalloc_backend memalloc_backend(const struct memalloc *mem);

/**
 * memalloc_fd() - the descriptor behind an open device
 * @mem: the open device, which keeps owning the descriptor
 *
 * For calls that this library does not wrap.
 *
 * Return: the descriptor.
 */
int memalloc_fd(const struct memalloc *mem);

/**
 * memalloc_get_info() - what the device is
 * @mem:  the open device
 * @info: out: see <linux/memalloc.h>; its size field is set too
 * @size: sizeof(*info)
 *
 * @size lets programs, library and kernel differ in age: what the kernel does
 * not know reads as zero.
 *
 * Return: 0; -EINVAL, @size is less than that of the first version; -E2BIG, it
 * is more than a page. @info is undefined after an error.
 */
int memalloc_get_info(struct memalloc *mem, struct memalloc_info *info, size_t size);

/**
 * memalloc_get_stats() - figures of the whole region
 * @mem:   the open device
 * @stats: out: see <linux/memalloc.h>; its size field is set too
 * @size:  sizeof(*stats)
 *
 * Return: as memalloc_get_info().
 */
int memalloc_get_stats(struct memalloc *mem, struct memalloc_stats *stats, size_t size);

/**
 * memalloc_visit_blocks() - visit every block of the region, used and free
 * @mem:   the open device
 * @visit: called for one block after the other, in order of their offset; it may
 *         make any call of this library, and ends the walk by returning
 *         something other than 0
 * @data:  for @visit
 *
 * Each block is described as it was when it was read. If buffers are allocated or freed
 * during the walk, neighbours may overlap or leave a gap.
 *
 * Return: 0 after the last block; what @visit returned, if not 0; -ENOMEM, the
 * kernel is out of memory; -EINTR.
 */
int memalloc_visit_blocks(struct memalloc *mem,
			  int (*visit)(const struct memalloc_block *block, void *data),
			  void *data);

/**
 * memalloc_buffer_alloc() - make a buffer
 * @mem:       the open device
 * @length:    bytes wanted, 1 or more
 * @alignment: power of two that the buffer's physical address is a multiple of,
 *             at most memalloc_info.max_alignment; 0: a granule
 * @buffer:    out: the buffer, which reads as zeros
 *
 * Return: 0; -EINVAL, @length is 0 or @alignment not possible; -EFBIG, @length
 * is more than the region has; -EDQUOT, more than a limit allows; -ENOMEM, no room now;
 * -EINTR.
 */
int memalloc_buffer_alloc(struct memalloc *mem, uint64_t length, uint64_t alignment,
			  struct memalloc_buffer *buffer);

/**
 * memalloc_buffer_alloc_huge() - make a buffer that is mapped by huge entries
 * @mem:    the open device
 * @length: bytes wanted, 1 or more
 * @buffer: out: the buffer, which reads as zeros
 *
 * Mappings take fewer faults, and less of the TLB, where memalloc_info.huge_mapping bytes or more
 * are in one piece. The kernel sees no pages in such a mapping: direct I/O, registered buffers of
 * io_uring, RDMA and futexes that processes share fail on it with EFAULT.
 *
 * Return: as memalloc_buffer_alloc(), and -EOPNOTSUPP, memalloc_info.huge_mapping is 0.
 */
int memalloc_buffer_alloc_huge(struct memalloc *mem, uint64_t length,
			       struct memalloc_buffer *buffer);

/**
 * memalloc_buffer_free() - give up the handle of a buffer
 * @mem:    the open device
 * @buffer: the buffer; its handle becomes 0
 *
 * The memory goes back when nothing uses it any more: mappings and exported
 * descriptors stay valid until they are unmapped and closed.
 *
 * Return: 0; -ENOENT, not a handle of this device, for instance freed before;
 * -ERANGE, the handle is that of a buffer of another length.
 */
int memalloc_buffer_free(struct memalloc *mem, struct memalloc_buffer *buffer);

/**
 * memalloc_buffer_query() - what a handle stands for
 * @mem:    the open device
 * @handle: the handle
 * @buffer: out: the buffer
 *
 * Return: 0; -ENOENT, not a handle of this device.
 */
int memalloc_buffer_query(struct memalloc *mem, uint32_t handle,
			  struct memalloc_buffer *buffer);

/**
 * memalloc_buffer_map() - map a whole buffer into the program
 * @mem:     the open device
 * @buffer:  the buffer
 * @flags:   MEMALLOC_READ_ONLY, or 0 to read and write
 * @address: out: where the buffer's real_length bytes begin
 *
 * A buffer may be mapped as often as wanted. Direct I/O (O_DIRECT) works on
 * mappings. A child has them after fork(), and shares their memory.
 *
 * Return: 0; -EINVAL, another flag; -ENOENT, the handle is given up; -EACCES, the
 * handle is read-only, and the open device has no other one for the buffer that may
 * write; others of mmap(2).
 */
int memalloc_buffer_map(struct memalloc *mem, const struct memalloc_buffer *buffer,
			unsigned int flags, void **address);

/**
 * memalloc_buffer_unmap() - undo memalloc_buffer_map()
 * @buffer:  the buffer that was mapped, freed in the meantime or not
 * @address: where it was mapped
 *
 * Return: 0; -EINVAL, no mapping can begin at @address, or, with memory of the process,
 * it has another length.
 */
int memalloc_buffer_unmap(const struct memalloc_buffer *buffer, void *address);

/**
 * memalloc_buffer_export() - a dma-buf descriptor, for drivers and other processes
 * @mem:    the open device
 * @buffer: the buffer
 * @flags:  MEMALLOC_READ_ONLY: nobody can write through the descriptor; or 0
 *
 * The caller closes the descriptor. It is closed on exec. Bracket accesses through
 * a mapping with DMA_BUF_IOCTL_SYNC while a device works on the buffer.
 *
 * Return: the descriptor; -EINVAL, another flag; -ENOENT, not a handle of this
 * device; -EACCES, the handle is read-only and @flags is 0; -EMFILE, -ENFILE, too
 * many descriptors; -EOPNOTSUPP, memory of the process for which udmabuf can't do that;
 * -ENOMEM.
 */
int memalloc_buffer_export(struct memalloc *mem, const struct memalloc_buffer *buffer,
			   unsigned int flags);

/**
 * memalloc_buffer_import() - a handle for an exported buffer
 * @mem:    the open device
 * @fd:     what memalloc_buffer_export() returned, here or in another process; the
 *          caller may close it afterwards
 * @flags:  MEMALLOC_READ_ONLY: a read-only handle, whatever @fd allows; 0: a
 *          handle that may do what @fd may
 * @buffer: out: the buffer; its access field says what was granted
 *
 * A device that has a handle for the buffer with that access gets the same one
 * again, and a single memalloc_buffer_free() gives it up.
 *
 * Return: 0; -EINVAL, another flag, or @fd is not a dma-buf of this device;
 * -EOPNOTSUPP, it is of a part of a buffer; -EBADF, @fd is not open; -ENOMEM.
 */
int memalloc_buffer_import(struct memalloc *mem, int fd, unsigned int flags,
			   struct memalloc_buffer *buffer);

/**
 * memalloc_buffer_export_part() - a dma-buf descriptor of a part of a buffer
 * @mem:    the open device
 * @buffer: the buffer
 * @offset: where the part begins, a multiple of memalloc_info.granule
 * @length: bytes of the part, a multiple of memalloc_info.granule; 0: up to the buffer's end
 * @flags:  MEMALLOC_READ_ONLY or 0
 *
 * Nothing else of the buffer is reached through the descriptor. It keeps all of the buffer, and
 * can't be imported (-EOPNOTSUPP), but for a part that is the whole buffer. Parts may overlap. So a
 * program that shares many small pieces needs one buffer, and a descriptor for each piece.
 *
 * Return: as memalloc_buffer_export(), and -EINVAL, no such part; -E2BIG, the module is older than
 * that: memalloc_info.features has no MEMALLOC_FEATURE_PARTS.
 */
int memalloc_buffer_export_part(struct memalloc *mem, const struct memalloc_buffer *buffer,
				uint64_t offset, uint64_t length, unsigned int flags);

/**
 * struct memalloc_place - a byte of a buffer
 * @handle:        the buffer, on this open device; 0: the device has no handle for it
 * @reserved:      0
 * @offset:        bytes from the beginning of the buffer
 * @length:        bytes that follow each other from there on, with that byte
 * @region_offset: bytes from the beginning of the region; true at that moment: buffers may be
 *                 moved
 */
struct memalloc_place {
	uint32_t handle;
	uint32_t reserved;
	uint64_t offset;
	uint64_t length;
	uint64_t region_offset;
};

/**
 * memalloc_translate() - what is mapped at an address?
 * @mem:     the open device
 * @address: any address
 * @place:   out: the byte that is there
 *
 * With memory of the process, only mappings that the library made are known.
 *
 * Return: 0; -ENXIO, no buffer of the device is mapped there; -ENOTTY, the module is older than
 * that.
 */
int memalloc_translate(struct memalloc *mem, const void *address, struct memalloc_place *place);

/**
 * memalloc_buffer_translate() - where does a byte of a buffer lie?
 * @mem:    the open device
 * @buffer: the buffer
 * @offset: which byte
 * @place:  out: the same byte
 *
 * Return: 0; -EINVAL, @offset is not in the buffer; -ENOENT, not a handle of this device; -ENOTTY.
 */
int memalloc_buffer_translate(struct memalloc *mem, const struct memalloc_buffer *buffer,
			      uint64_t offset, struct memalloc_place *place);

#ifdef __cplusplus
}
#endif

#endif /* MEMALLOC_H */
