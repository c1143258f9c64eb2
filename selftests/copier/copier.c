// SPDX-License-Identifier: GPL-2.0-only
/*
 * An example of a driver that has its buffers from memalloc: QEMU's PCI device "edu" copies bytes
 * by DMA, in pieces, by way of 4 KiB of its own. Programs open /dev/copier, map the buffer, have
 * the device copy in it, and share it with others as a dma-buf: see copier.h.
 */
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/memalloc_driver.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "copier.h"
#include "edu/driver.h"

static char *region = "memalloc";
module_param(region, charp, 0444);
MODULE_PARM_DESC(region, "name of the region that buffers come from");

struct copier {
	struct kref ref;		/* one of the driver, one of an open file */
	struct pci_dev *pci;
	void __iomem *registers;
	struct memalloc_holder *holder;
	struct miscdevice misc;
	atomic_t open;
	struct mutex lock;		/* of the device, and of what follows */
	bool gone;			/* or broken: there is no device any more */
	struct mal_buffer *buffer;	/* NULL: none yet */
	struct sg_table *sgt;		/* while the device has it mapped */
	dma_addr_t address;		/* where */
};

/* What follows, down to alloc(), is under copier->lock. */

static int run(struct copier *copier, const struct copier_run *arg)
{
	const u64 size = memalloc_buffer_size(copier->buffer);
	void __iomem *registers = copier->registers;
	int err = 0;
	u64 done;

	if (arg->length > size || arg->from > size - arg->length || arg->to > size - arg->length)
		return -EINVAL;
	for (done = 0; done < arg->length; done += EDU_MAX_MOVE) {
		const u32 n = min_t(u64, arg->length - done, EDU_MAX_MOVE);

		err = edu_move(registers, copier->address + arg->from + done, 0, n, false) ?:
		      edu_move(registers, copier->address + arg->to + done, 0, n, true);
		if (err)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	/* It may go on, in memory that is soon somebody else's: it reaches none any more. */
	if (err) {
		pci_clear_master(copier->pci);
		copier->gone = true;
	}
	return err;
}

/* The driver writes to the buffer itself: hand it over from the device and back. */
static int fill(struct copier *copier, const struct copier_fill *arg)
{
	void *address;
	int err;

	if (arg->pad)
		return -EINVAL;
	err = memalloc_buffer_begin_cpu_access(copier->buffer, arg->offset, arg->length,
					       DMA_TO_DEVICE);
	if (err)
		return err;
	address = memalloc_buffer_vmap(copier->buffer);
	if (!IS_ERR(address)) {
		memset(address + arg->offset, arg->byte, arg->length);
		memalloc_buffer_vunmap(copier->buffer);
	}
	memalloc_buffer_end_cpu_access(copier->buffer, arg->offset, arg->length);
	return PTR_ERR_OR_ZERO(address);
}

/* Takes over @buffer, which may be an error. */
static int use(struct copier *copier, struct mal_buffer *buffer)
{
	struct sg_table *sgt;
	int err;

	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	sgt = memalloc_buffer_map(buffer, &copier->pci->dev, DMA_BIDIRECTIONAL);
	err = PTR_ERR_OR_ZERO(sgt) ?: memalloc_dma_address(sgt, &copier->address);
	if (err) {
		memalloc_buffer_unmap(buffer, sgt);
		memalloc_buffer_put(buffer);
		return err;
	}
	copier->sgt = sgt;
	/* For copier_mmap(). */
	smp_store_release(&copier->buffer, buffer);
	return 0;
}

static int alloc(struct copier *copier, const struct copier_alloc *arg)
{
	const struct memalloc_alloc wanted = {
		.length = arg->length,
		.dma_mask_bits = fls64(dma_get_mask(&copier->pci->dev)),
	};
	struct file *payer;
	int err;

	if (arg->pad)
		return -EINVAL;
	payer = arg->payer >= 0 ? fget(arg->payer) : NULL;
	if (!payer && (arg->payer >= 0 || !capable(CAP_SYS_ADMIN)))
		return arg->payer >= 0 ? -EBADF : -EPERM;
	err = use(copier, memalloc_buffer_alloc(copier->holder, &wanted, payer));
	if (payer)
		fput(payer);
	return err;
}

static long copier_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	const bool brings = cmd == COPIER_IOC_ALLOC || cmd == COPIER_IOC_IMPORT;
	struct copier *copier = file->private_data;
	union {
		struct copier_alloc alloc;
		struct copier_run run;
		struct copier_fill fill;
		__s32 fd;
	} arg;
	long ret;

	if (_IOC_TYPE(cmd) != 'C' || _IOC_SIZE(cmd) > sizeof(arg))
		return -ENOTTY;
	if (copy_from_user(&arg, (void __user *)user, _IOC_SIZE(cmd)))
		return -EFAULT;
	if (mutex_lock_interruptible(&copier->lock))
		return -ERESTARTSYS;
	if (copier->gone)
		ret = -ENODEV;
	else if (brings == !!copier->buffer)
		ret = brings ? -EBUSY : -ENXIO;
	else if (cmd == COPIER_IOC_ALLOC)
		ret = alloc(copier, &arg.alloc);
	else if (cmd == COPIER_IOC_IMPORT)
		ret = use(copier, memalloc_buffer_import(copier->holder, arg.fd, true));
	else if (cmd == COPIER_IOC_EXPORT)
		ret = memalloc_buffer_export_fd(copier->buffer, O_RDWR | O_CLOEXEC);
	else if (cmd == COPIER_IOC_RUN)
		ret = run(copier, &arg.run);
	else if (cmd == COPIER_IOC_FILL)
		ret = fill(copier, &arg.fill);
	else
		ret = -ENOTTY;
	mutex_unlock(&copier->lock);
	return ret;
}

/* Without the lock: copies take long, and mmap_lock is held. */
static int copier_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct copier *copier = file->private_data;
	/* Pairs with use(). */
	struct mal_buffer *buffer = smp_load_acquire(&copier->buffer);

	return buffer ? memalloc_buffer_mmap(buffer, vma, true) : -ENXIO;
}

static int copier_open(struct inode *inode, struct file *file)
{
	struct copier *copier = container_of(file->private_data, struct copier, misc);

	/* The buffer is written to, by all ways. */
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (atomic_cmpxchg(&copier->open, 0, 1))
		return -EBUSY;
	kref_get(&copier->ref);
	file->private_data = copier;
	return 0;
}

static void free_copier(struct kref *ref)
{
	kfree(container_of(ref, struct copier, ref));
}

static int copier_release(struct inode *inode, struct file *file)
{
	struct copier *copier = file->private_data;

	mutex_lock(&copier->lock);
	memalloc_buffer_unmap(copier->buffer, copier->sgt);
	memalloc_buffer_put(copier->buffer);
	copier->sgt = NULL;
	copier->buffer = NULL;
	mutex_unlock(&copier->lock);
	atomic_set_release(&copier->open, 0);
	kref_put(&copier->ref, free_copier);
	return 0;
}

static const struct file_operations copier_fops = {
	.owner = THIS_MODULE,
	.open = copier_open,
	.release = copier_release,
	.mmap = copier_mmap,
	.unlocked_ioctl = copier_ioctl,
};

static int copier_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct copier *copier;
	void __iomem *registers;
	int err = edu_enable(pci, &registers);

	if (err)
		return err;
	copier = kzalloc(sizeof(*copier), GFP_KERNEL);
	if (!copier)
		return -ENOMEM;
	kref_init(&copier->ref);
	mutex_init(&copier->lock);
	copier->pci = pci;
	copier->registers = registers;
	copier->misc.minor = MISC_DYNAMIC_MINOR;
	copier->misc.fops = &copier_fops;
	copier->misc.name = KBUILD_MODNAME;
	pci_set_drvdata(pci, copier);
	/* The device tree may say which region it is. */
	copier->holder = device_property_present(&pci->dev, "memalloc,regions") ?
			 memalloc_get_by_phandle(&pci->dev, 0) : memalloc_get(region);
	err = PTR_ERR_OR_ZERO(copier->holder) ?: misc_register(&copier->misc);
	if (!err)
		return 0;
	memalloc_put(copier->holder);
	kfree(copier);
	return dev_err_probe(&pci->dev, err, "there is no region, or no node\n");
}

/* A file may be open, and a program have the buffer: only the device lets go. */
static void copier_remove(struct pci_dev *pci)
{
	struct copier *copier = pci_get_drvdata(pci);

	misc_deregister(&copier->misc);
	mutex_lock(&copier->lock);
	copier->gone = true;
	memalloc_buffer_unmap(copier->buffer, copier->sgt);
	copier->sgt = NULL;
	mutex_unlock(&copier->lock);
	memalloc_put(copier->holder);
	kref_put(&copier->ref, free_copier);
}

static struct pci_driver copier_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = copier_probe,
	.remove = copier_remove,
};
module_pci_driver(copier_driver);

MODULE_DESCRIPTION("Example: a driver for QEMU's edu device that has its buffers from memalloc");
MODULE_LICENSE("GPL");
MEMALLOC_IMPORT_NS;
