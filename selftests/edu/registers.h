/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's PCI device "edu", for its drivers in the kernel (driver.h) and for programs: it moves
 * bytes by DMA between memory and 4 KiB of its own.
 */
#ifndef EDU_REGISTERS_H
#define EDU_REGISTERS_H

#include <linux/const.h>

/* Of 64 bits. A source or target is a DMA address, or in the device's memory. */
#define EDU_SOURCE	0x80
#define EDU_TARGET	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define   EDU_RUN		_BITULL(0)	/* reads as set until the transfer is over */
#define   EDU_FROM_MEMORY	_BITULL(1)	/* of the device, to a DMA address */

#define EDU_MEMORY	0x40000
#define EDU_MAX_MOVE	4095U	/* QEMU 7.2 ends when the last byte is used */

#endif /* EDU_REGISTERS_H */
