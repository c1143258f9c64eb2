/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * DOC: memalloc for drivers
 *
 * A driver allocates its buffers from a region of memalloc, has them mapped for its device, and
 * shares them with programs and other drivers:
 *
 *  * memalloc_get() finds a region by name, memalloc_get_by_phandle() by the device tree. What
 *    comes is a *holder*: in the kernel what an open file of the region is to a program. While
 *    there is one, the region can't be destroyed.
 *  * memalloc_buffer_alloc() allocates a buffer, which is zero, and contiguous in memory.
 *    memalloc_buffer_import() gets one that a program has, by the descriptor of a dma-buf.
 *  * memalloc_buffer_map() maps the buffer for a device, memalloc_buffer_vmap() for the kernel.
 *    Until then the buffer has no fixed address: it may be moved to make room for others.
 *  * memalloc_buffer_export() makes a dma-buf of the buffer, memalloc_buffer_export_fd() also a
 *    descriptor for a program; memalloc_buffer_mmap() maps the buffer into a program.
 *  * memalloc_buffer_put() gives the buffer up. It is freed when programs and devices are done.
 *
 * All functions sleep, and none is for interrupts. Any number of them may run at a time, also for
 * one buffer. Each may move buffers, and waits for whoever does: that takes dma_resv locks and
 * locks of mappings, and calls importers that can be asked to let go. So a caller has no dma_resv
 * lock, and no lock that a callback of a dma-buf, an MMU notifier or reclaim takes; and it is
 * not what a fence waits for.
 *
 * The symbols are GPL, in a namespace: a driver says MEMALLOC_IMPORT_NS. A driver that
 * was compiled for another MEMALLOC_API than the module's does not load: it misses a symbol.
 */
#ifndef _LINUX_MEMALLOC_DRIVER_H
#define _LINUX_MEMALLOC_DRIVER_H

#include <linux/dma-direction.h>
#include <linux/module.h>
#include <linux/types.h>
#include <linux/memalloc.h>

/* Changes whenever something here changes so that a driver has to be compiled again. */
#define MEMALLOC_API		1

/* MODULE_IMPORT_NS() of this namespace, which kernels before 6.13 spell in another way. */
#define MEMALLOC_IMPORT_NS	MODULE_INFO(import_ns, "MEMALLOC")

struct device;
struct dma_buf;
struct file;
struct mal_buffer;		/* a buffer, of which the caller has a share */
struct memalloc_holder;
struct sg_table;
struct vm_area_struct;

/* Each driver calls one of these two. So their symbols have the version in their names. */
#define MEMALLOC_VERSIONED(name)	MEMALLOC_WITH_VERSION(name, MEMALLOC_API)
#define MEMALLOC_WITH_VERSION(name, version)	MEMALLOC_JOIN(name, version)
#define MEMALLOC_JOIN(name, version)	name##_##version
#define __memalloc_get			MEMALLOC_VERSIONED(__memalloc_get)
#define __memalloc_get_by_phandle	MEMALLOC_VERSIONED(__memalloc_get_by_phandle)

struct memalloc_holder *__memalloc_get(const char *region, const char *driver);
struct memalloc_holder *__memalloc_get_by_phandle(struct device *dev, unsigned int index,
						  const char *driver);

/**
 * memalloc_get() - hold a region
 * @region: its name; that of /dev/memalloc is "memalloc"
 *
 * What is allocated then is listed under the driver's name.
 *
 * Return: a holder for memalloc_put(). Or ERR_PTR: -ENOENT: there is no such region; -EBUSY: it is
 * being made or destroyed; -ENOMEM.
 */
#define memalloc_get(region)	__memalloc_get(region, KBUILD_MODNAME)

/**
 * memalloc_get_by_phandle() - hold the region that the device tree gives a device
 * @dev: the device; the property "memalloc,regions" of its node has phandles of nodes that are
 *	compatible with "memalloc,region"
 * @index: of the phandle
 *
 * Return: a holder for memalloc_put(). Or ERR_PTR: -ENOENT: there is no such phandle; -EINVAL: it
 * is of another node; -ENODEV: the node is disabled; -EPROBE_DEFER: the region is not there yet;
 * -ENOMEM.
 */
#define memalloc_get_by_phandle(dev, index)	\
	__memalloc_get_by_phandle(dev, index, KBUILD_MODNAME)

/**
 * memalloc_put() - hold a region no longer
 * @holder: it; NULL and ERR_PTR do nothing
 *
 * Buffers keep the region until they are given up.
 */
void memalloc_put(struct memalloc_holder *holder);

/**
 * memalloc_buffer_alloc() - allocate a buffer
 * @holder: of the region
 * @wanted: its length, and where it may lie, as linux/memalloc.h says it of ALLOC; the driver may
 *	ask for windows. @dma_mask_bits is about addresses of the CPU's: the bits of the device's
 *	DMA mask only if there is no IOMMU, and no offset, between the device and memory. @size
 *	and answers are not used.
 * @payer: an open file of the region's node, whose client and user are charged. Their limits hold,
 *	unless the calling program has CAP_SYS_RESOURCE. Or NULL: the system is charged, for which
 *	no limit holds: not for what any program may ask for
 *
 * The buffer is zero. It may be moved until it is mapped for a device or the kernel.
 *
 * Return: the buffer, for memalloc_buffer_put(). Or ERR_PTR: -EINVAL: the constraints can't be
 * met, or something else is malformed, or @payer is no client of the region; -EFBIG: it is larger
 * than the region's largest buffer; -EDQUOT: over a limit; -ENOMEM: there is no room now; -EINTR:
 * a fatal signal arrived; -EOPNOTSUPP: the region has no huge mappings; -ENODEV: the region's
 * memory is gone.
 */
struct mal_buffer *memalloc_buffer_alloc(struct memalloc_holder *holder,
					 const struct memalloc_alloc *wanted, struct file *payer);

/**
 * memalloc_buffer_import() - get the buffer that a program names by a dma-buf
 * @holder: of the region that the buffer is of
 * @fd: a descriptor of the calling process
 * @write: whether the device, the driver, or anybody by way of the driver is going to write to
 *	the buffer. What was imported without, the driver must not map for such a device, into a
 *	program to write to, or export to be written to
 *
 * Return: the buffer, for memalloc_buffer_put(). Or ERR_PTR: -EBADF: @fd is not open; -EINVAL: it
 * is no dma-buf of the region; -EACCES: it does not allow reading, or with @write writing;
 * -EOPNOTSUPP: the dma-buf is of a part of a buffer; -ENODEV: the region's memory is gone.
 */
struct mal_buffer *memalloc_buffer_import(struct memalloc_holder *holder, int fd, bool write);

/**
 * memalloc_buffer_get() - have a further share of a buffer
 * @buffer: it; the caller has a share
 *
 * Return: @buffer, for memalloc_buffer_put().
 */
struct mal_buffer *memalloc_buffer_get(struct mal_buffer *buffer);

/**
 * memalloc_buffer_put() - give up a buffer
 * @buffer: it; NULL and ERR_PTR do nothing
 *
 * What the caller has mapped was unmapped before. The memory is free when all others, as programs
 * and devices, are done with it.
 */
void memalloc_buffer_put(struct mal_buffer *buffer);

/**
 * memalloc_buffer_size() - how many bytes a buffer has
 * @buffer: it
 *
 * Return: the bytes, rounded up to pages. They stay as many while the caller has its share.
 */
size_t memalloc_buffer_size(const struct mal_buffer *buffer);

/**
 * memalloc_buffer_vmap() - map a buffer for the kernel
 * @buffer: it, which stays at its place until memalloc_buffer_vunmap()
 *
 * For each time that this succeeds, memalloc_buffer_vunmap() is called once.
 *
 * Return: its address. Or ERR_PTR: -EOPNOTSUPP: the memory is of a PCI device, and goes with it.
 */
void *memalloc_buffer_vmap(struct mal_buffer *buffer);

/**
 * memalloc_buffer_vunmap() - the kernel uses a buffer's address no longer
 * @buffer: it
 */
void memalloc_buffer_vunmap(struct mal_buffer *buffer);

/**
 * memalloc_buffer_map() - map a buffer for a device
 * @buffer: it, which stays at its place until memalloc_buffer_unmap()
 * @dev: the device
 * @dir: who writes
 *
 * The buffer is the device's then: see memalloc_buffer_begin_cpu_access(). It may be so for any
 * number of devices. Each is unmapped before the remove() of its driver returns.
 *
 * Return: the DMA addresses, see also memalloc_dma_address(). Or ERR_PTR: -EOPNOTSUPP: the region's
 * memory has no pages, or is of a PCI device, and goes with it; -ENOMEM; and what
 * dma_map_sgtable() answers.
 */
struct sg_table *memalloc_buffer_map(struct mal_buffer *buffer, struct device *dev,
				     enum dma_data_direction dir);

/**
 * memalloc_buffer_unmap() - the device is done with a buffer
 * @buffer: it
 * @sgt: what memalloc_buffer_map() answered; NULL and ERR_PTR do nothing
 */
void memalloc_buffer_unmap(struct mal_buffer *buffer, struct sg_table *sgt);

/**
 * memalloc_dma_address() - where a device finds a buffer, if that is in one piece
 * @sgt: what memalloc_buffer_map() answered
 * @address: where the DMA address goes
 *
 * It is in one piece where nothing comes between the device and memory but an IOMMU. Where the
 * kernel has bounce buffers for the device, larger buffers are in pieces.
 *
 * Return: 0; -ERANGE: it is in pieces.
 */
int memalloc_dma_address(struct sg_table *sgt, dma_addr_t *address);

/**
 * memalloc_buffer_begin_cpu_access() - the CPU is going to read or write a buffer
 * @buffer: it
 * @offset: of the first byte
 * @length: bytes
 * @dir: DMA_FROM_DEVICE: the CPU reads; DMA_TO_DEVICE: it writes; DMA_BIDIRECTIONAL: both
 *
 * Waits for fences of devices that use its dma-bufs, and hands the bytes over from each device
 * that has the buffer mapped. A program calls SYNC for that, or DMA_BUF_IOCTL_SYNC.
 *
 * Return: 0; -EINVAL: there are no such bytes; -ERESTARTSYS: a signal arrived.
 */
int memalloc_buffer_begin_cpu_access(struct mal_buffer *buffer, size_t offset, size_t length,
				     enum dma_data_direction dir);

/**
 * memalloc_buffer_end_cpu_access() - the CPU has read or written a buffer
 * @buffer: it
 * @offset: as for memalloc_buffer_begin_cpu_access()
 * @length: as for memalloc_buffer_begin_cpu_access()
 */
void memalloc_buffer_end_cpu_access(struct mal_buffer *buffer, size_t offset, size_t length);

/**
 * memalloc_buffer_export() - make a dma-buf of a buffer
 * @buffer: it, of which the dma-buf has a share of its own
 * @access: O_RDWR, or O_RDONLY: nobody writes by way of the dma-buf
 *
 * Return: the dma-buf, for dma_buf_put(). Or ERR_PTR: -EINVAL: @access is neither; -ENOMEM,
 * -ENFILE.
 */
struct dma_buf *memalloc_buffer_export(struct mal_buffer *buffer, unsigned int access);

/**
 * memalloc_buffer_export_fd() - make a dma-buf of a buffer, for the calling process
 * @buffer: it, of which the dma-buf has a share of its own
 * @open_flags: O_RDWR or O_RDONLY, as for memalloc_buffer_export(), and O_CLOEXEC if wanted
 *
 * Return: a new descriptor, which the process has at once, and may close or use at once. Or
 * -EINVAL: @open_flags are others; -EMFILE, -ENFILE, -ENOMEM.
 */
int memalloc_buffer_export_fd(struct mal_buffer *buffer, unsigned int open_flags);

/**
 * memalloc_buffer_mmap() - map a buffer into a program
 * @buffer: it, of which the mapping has a share of its own
 * @vma: where, as the driver's mmap() got it; its vm_pgoff is the first page of the buffer
 * @writable: whether it may be written to, if the file of @vma is open for that
 *
 * Context: in the mmap() of a file, with mmap_lock held.
 *
 * Return: 0; -EINVAL: not MAP_SHARED, or beyond the buffer; -EACCES: it is to be written to, and
 * must not be; -ENODEV: the memory is gone; -ENOMEM, -ENFILE.
 */
int memalloc_buffer_mmap(struct mal_buffer *buffer, struct vm_area_struct *vma, bool writable);

#endif /* _LINUX_MEMALLOC_DRIVER_H */
