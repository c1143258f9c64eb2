/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The calls of the example driver copier.c. One program at a time opens /dev/copier, to read and
 * write. It gets one buffer, which the file has until it is closed, and which mmap() maps from its
 * beginning on. The buffer is the device's: where DMA is not coherent, a program calls
 * DMA_BUF_IOCTL_SYNC of its dma-buf before and after it reads or writes.
 *
 * Errors besides those below: ENXIO there is no buffer yet; EBUSY there is one already; ENODEV the
 * device is gone, or has not answered; EFAULT; and those of linux/memalloc_driver.h.
 */
#ifndef COPIER_H
#define COPIER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct copier_alloc - have the driver allocate the buffer
 * @length: in: bytes
 * @payer:  in: a descriptor of the region's node, which is charged; -1: the system is
 * @pad:    in: 0
 *
 * Errors: EINVAL @pad, EBADF @payer, EPERM for the system, which takes CAP_SYS_ADMIN.
 */
struct copier_alloc {
	__aligned_u64 length;
	__s32 payer;
	__u32 pad;
};

/**
 * struct copier_run - have the device copy bytes within the buffer, and wait until it has
 * @from:   in: the offset of the first byte
 * @to:     in: where it goes
 * @length: in: bytes
 *
 * Errors: EINVAL beyond the buffer, EINTR, ETIMEDOUT the device does not answer.
 */
struct copier_run {
	__aligned_u64 from;
	__aligned_u64 to;
	__aligned_u64 length;
};

/**
 * struct copier_fill - have the driver itself write bytes
 * @offset: in: of the first one
 * @length: in: bytes
 * @byte:   in: what each becomes
 * @pad:    in: 0
 *
 * Errors: EINVAL beyond the buffer, or @pad.
 */
struct copier_fill {
	__aligned_u64 offset;
	__aligned_u64 length;
	__u32 byte;
	__u32 pad;
};

#define COPIER_IOC_ALLOC	_IOW('C', 0, struct copier_alloc)
/* The buffer is one that a program has: the argument points to the descriptor of its dma-buf. */
#define COPIER_IOC_IMPORT	_IOW('C', 1, __s32)
/* Answers with a new descriptor, of a dma-buf of the buffer. */
#define COPIER_IOC_EXPORT	_IO('C', 2)
#define COPIER_IOC_RUN		_IOW('C', 3, struct copier_run)
#define COPIER_IOC_FILL		_IOW('C', 4, struct copier_fill)

#endif /* COPIER_H */
