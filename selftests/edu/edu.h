/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls of the test driver edu.c, for it and for the tests.
 *
 * Each /dev/edu0, /dev/edu1 ... is a device with a memory of its own. An open file
 * of it has at most one dma-buf imported, which is mapped for DMA from ATTACH to DETACH
 * (or close); but not from UNMAP to MAP, as between two frames. Several open files share
 * the memory of their device, so what is read through one can be written through another.
 */
#ifndef EDU_H
#define EDU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Values of enum dma_data_direction. */
#define EDU_BOTH_WAYS	0U
#define EDU_TO_DEVICE	1U
#define EDU_FROM_DEVICE	2U

#define EDU_KEEPS	2U

/**
 * struct edu_attach - import a dma-buf and map it
 * @fd:          in: the dma-buf
 * @direction:   in: EDU_BOTH_WAYS, EDU_TO_DEVICE or EDU_FROM_DEVICE
 * @max_segment: in: the longest segment that the device is to take; 0: any
 * @boundary:    in: a power of two of which no segment may cross a multiple; 0: 4 GiB
 * @max_mapping: out: the longest segment that the kernel can map for the device
 * @segments:    out: in how many the dma-buf came
 * @yields:      in: not 0: the exporter can ask for it to be unmapped, as for UNMAP, which is
 *               done; but not if this is EDU_KEEPS
 *
 * Errors: EBUSY one is imported already, EINVAL @direction, ERANGE the exporter's
 * segments are not what the device takes or not the whole dma-buf, EOPNOTSUPP @yields, on
 * kernels where the module asks nobody, and those of dma_buf_get(), dma_buf_attach() and
 * dma_buf_map_attachment().
 */
struct edu_attach {
	__s32 fd;
	__u32 direction;
	__u32 max_segment;
	__u32 boundary;
	__aligned_u64 max_mapping;
	__u32 segments;
	__u32 yields;
};

/**
 * struct edu_transfer - have the device move bytes, and wait until it has
 * @offset:    in: where in the dma-buf
 * @length:    in: at most EDU_MAX_MOVE; in the device's memory they begin at 0
 * @direction: in: EDU_TO_DEVICE or EDU_FROM_DEVICE
 *
 * Errors: ENXIO nothing is mapped, EINVAL, ETIMEDOUT.
 */
struct edu_transfer {
	__aligned_u64 offset;
	__u32 length;
	__u32 direction;
};

#define EDU_IOC_ATTACH		_IOWR('E', 0, struct edu_attach)
#define EDU_IOC_TRANSFER	_IOW('E', 1, struct edu_transfer)
#define EDU_IOC_DETACH		_IO('E', 2)

/* Errors: ENXIO nothing is mapped, or imported; EBUSY it is mapped; and the exporter's. */
#define EDU_IOC_UNMAP		_IO('E', 3)
#define EDU_IOC_MAP		_IO('E', 4)

#endif /* EDU_H */
