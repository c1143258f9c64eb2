/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What drivers of QEMU's PCI device "edu" share: a test driver beside this, and the examples.
 */
#ifndef EDU_DRIVER_H
#define EDU_DRIVER_H

#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "registers.h"

/*
 * Prepares a device for its driver's probe(), until its remove(). It has as many bits as the tests
 * give it, see boots/swiotlb.sh; alone it has 28. Its registers go to @registers.
 */
static inline int edu_enable(struct pci_dev *pci, void __iomem **registers)
{
	int err = pcim_enable_device(pci) ?: pcim_iomap_regions(pci, BIT(0), KBUILD_MODNAME) ?:
		  dma_set_mask_and_coherent(&pci->dev, DMA_BIT_MASK(32));

	if (err)
		return err;
	dma_set_max_seg_size(&pci->dev, UINT_MAX);
	pci_set_master(pci);
	*registers = pcim_iomap_table(pci)[0];
	return 0;
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

/*
 * Moves @length bytes from @dma to @inside the device's memory, or if @to_ram from there to @dma,
 * and waits until that is done: the device takes 100 ms. Returns 0; or -ETIMEDOUT: it may go on.
 */
static inline int edu_move(void __iomem *registers, dma_addr_t dma, u32 inside, u32 length,
			   bool to_ram)
{
	const u64 memory = EDU_MEMORY + inside;
	u64 command = EDU_RUN;

	if (to_ram)
		command |= EDU_FROM_MEMORY;
	writeq(to_ram ? memory : dma, registers + EDU_SOURCE);
	writeq(to_ram ? dma : memory, registers + EDU_TARGET);
	writeq(length, registers + EDU_COUNT);
	writeq(command, registers + EDU_COMMAND);
	return readq_poll_timeout(registers + EDU_COMMAND, command, !(command & EDU_RUN),
				  10 * USEC_PER_MSEC, 10 * USEC_PER_SEC);
}

#endif /* EDU_DRIVER_H */
