// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver for QEMU's PCI device "edu" that moves data in and out of dma-bufs by
 * DMA, as the tests in dma.c tell it to (see edu.h). It never looks at the data, and
 * leaves handing memory over between CPU and device to the exporter and to
 * DMA_BUF_IOCTL_SYNC.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "driver.h"
#include "edu.h"

struct edu {
	struct device *dev;
	void __iomem *registers;
	struct mutex lock;	/* the registers, the limits in @dev, the imports */
	struct miscdevice misc;
};

/* An open file. */
struct edu_import {
	struct edu *edu;
	struct dma_buf_attachment *attachment;	/* NULL: nothing is imported */
	struct sg_table *sgt;			/* NULL: it is not mapped */
	enum dma_data_direction direction;
	u32 yields;			/* then @sgt is under the dma-buf's reservation lock */
};

static_assert(EDU_BOTH_WAYS == DMA_BIDIRECTIONAL);
static_assert(EDU_TO_DEVICE == DMA_TO_DEVICE);
static_assert(EDU_FROM_DEVICE == DMA_FROM_DEVICE);

/* Does @dev take these segments, and are they @size bytes? */
static bool segments_fit(struct sg_table *sgt, struct device *dev, size_t size)
{
	size_t longest = min_t(size_t, dma_get_max_seg_size(dev), dma_max_mapping_size(dev));
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t first = sg_dma_address(sg);
		dma_addr_t last = first + sg_dma_len(sg) - 1;

		if (sg_dma_len(sg) > longest || sg_dma_len(sg) > size || last > dma_get_mask(dev) ||
		    (first ^ last) > dma_get_seg_boundary(dev))
			return false;
		size -= sg_dma_len(sg);
	}
	return !size;
}

static void lock_mapping(struct edu_import *import)
{
	if (import->attachment && import->yields)
		dma_resv_lock(import->attachment->dmabuf->resv, NULL);
}

static void unlock_mapping(struct edu_import *import)
{
	if (import->attachment && import->yields)
		dma_resv_unlock(import->attachment->dmabuf->resv);
}

/* -ENXIO: it is not mapped. */
static int unmap(struct edu_import *import)
{
	if (!import->sgt)
		return -ENXIO;
	dma_buf_unmap_attachment(import->attachment, import->sgt, import->direction);
	import->sgt = NULL;
	return 0;
}

static int map(struct edu_import *import)
{
	struct sg_table *sgt;

	if (!import->attachment)
		return -ENXIO;
	if (import->sgt)
		return -EBUSY;
	sgt = dma_buf_map_attachment(import->attachment, import->direction);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	import->sgt = sgt;
	return 0;
}

#if !MAL_IMPORTERS_YIELD
static struct dma_buf_attachment *attach_yielding(struct edu_import *import, struct dma_buf *dmabuf)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#else
static void let_go(struct dma_buf_attachment *attachment)
{
	struct edu_import *import = attachment->importer_priv;

	if (import->yields != EDU_KEEPS)
		unmap(import);
}

static struct dma_buf_attachment *attach_yielding(struct edu_import *import, struct dma_buf *dmabuf)
{
	static const struct dma_buf_attach_ops yielding = { .invalidate_mappings = let_go };

	return dma_buf_dynamic_attach(dmabuf, import->edu->dev, &yielding, import);
}
#endif

static void detach(struct edu_import *import)
{
	struct dma_buf *dmabuf = import->attachment->dmabuf;

	lock_mapping(import);
	unmap(import);
	unlock_mapping(import);
	dma_buf_detach(dmabuf, import->attachment);
	dma_buf_put(dmabuf);
	import->attachment = NULL;
}

static int attach(struct edu_import *import, struct edu_attach *arg)
{
	struct device *dev = import->edu->dev;
	struct dma_buf *dmabuf;
	bool fits;
	int err;

	if (import->attachment)
		return -EBUSY;
	if (arg->direction > DMA_FROM_DEVICE)
		return -EINVAL;
	dma_set_max_seg_size(dev, arg->max_segment ?: UINT_MAX);
	dma_set_seg_boundary(dev, arg->boundary ? arg->boundary - 1 : DMA_BIT_MASK(32));

	dmabuf = dma_buf_get(arg->fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	import->yields = arg->yields;
	import->attachment = import->yields ? attach_yielding(import, dmabuf) :
					      dma_buf_attach(dmabuf, dev);
	if (IS_ERR(import->attachment)) {
		err = PTR_ERR(import->attachment);
		goto put;
	}
	import->direction = arg->direction;
	lock_mapping(import);
	err = map(import);
	fits = !err && segments_fit(import->sgt, dev, dmabuf->size);
	if (fits)
		arg->segments = import->sgt->nents;
	unlock_mapping(import);
	if (err) {
		dma_buf_detach(dmabuf, import->attachment);
		goto put;
	}
	if (!fits) {
		detach(import);
		return -ERANGE;
	}
	arg->max_mapping = dma_max_mapping_size(dev);
	return 0;

put:
	import->attachment = NULL;
	dma_buf_put(dmabuf);
	return err;
}

static int transfer(struct edu_import *import, const struct edu_transfer *arg)
{
	u64 offset = arg->offset;	/* from where @sg begins */
	u32 done = 0;
	struct scatterlist *sg;
	unsigned int i;
	size_t size;

	if (!import->sgt)
		return -ENXIO;
	size = import->attachment->dmabuf->size;
	if (arg->length > EDU_MAX_MOVE || offset > size || arg->length > size - offset ||
	    (arg->direction != EDU_TO_DEVICE && arg->direction != EDU_FROM_DEVICE))
		return -EINVAL;

	for_each_sgtable_dma_sg(import->sgt, sg, i) {
		u32 n;
		int err;

		if (offset >= sg_dma_len(sg)) {
			offset -= sg_dma_len(sg);
			continue;
		}
		n = min_t(u64, sg_dma_len(sg) - offset, arg->length - done);
		if (!n)
			break;
		err = edu_move(import->edu->registers, sg_dma_address(sg) + offset, done, n,
			       arg->direction == EDU_FROM_DEVICE);
		if (err)
			return err;
		done += n;
		offset = 0;
	}
	return 0;
}

static long edu_ioctl(struct file *file, unsigned int command, unsigned long user)
{
	struct edu_import *import = file->private_data;
	void __user *arg = (void __user *)user;
	struct edu_transfer what;
	struct edu_attach how;
	long ret = 0;

	mutex_lock(&import->edu->lock);
	switch (command) {
	case EDU_IOC_ATTACH:
		if (copy_from_user(&how, arg, sizeof(how)))
			ret = -EFAULT;
		else
			ret = attach(import, &how);
		if (!ret && copy_to_user(arg, &how, sizeof(how)))
			ret = -EFAULT;
		break;
	case EDU_IOC_TRANSFER:
		if (copy_from_user(&what, arg, sizeof(what))) {
			ret = -EFAULT;
			break;
		}
		lock_mapping(import);
		ret = transfer(import, &what);
		unlock_mapping(import);
		break;
	case EDU_IOC_DETACH:
		if (import->attachment)
			detach(import);
		else
			ret = -ENXIO;
		break;
	case EDU_IOC_UNMAP:
		lock_mapping(import);
		ret = unmap(import);
		unlock_mapping(import);
		break;
	case EDU_IOC_MAP:
		lock_mapping(import);
		ret = map(import);
		unlock_mapping(import);
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&import->edu->lock);
	return ret;
}

static int edu_open(struct inode *inode, struct file *file)
{
	struct edu_import *import = kzalloc(sizeof(*import), GFP_KERNEL);

	if (!import)
		return -ENOMEM;
	import->edu = container_of(file->private_data, struct edu, misc);
	file->private_data = import;
	return 0;
}

static int edu_release(struct inode *inode, struct file *file)
{
	struct edu_import *import = file->private_data;

	mutex_lock(&import->edu->lock);
	if (import->attachment)
		detach(import);
	mutex_unlock(&import->edu->lock);
	kfree(import);
	return 0;
}

static const struct file_operations edu_fops = {
	.owner = THIS_MODULE,
	.open = edu_open,
	.release = edu_release,
	.unlocked_ioctl = edu_ioctl,
};

static int edu_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	static atomic_t devices;
	struct edu *edu = devm_kzalloc(&pci->dev, sizeof(*edu), GFP_KERNEL);
	int err;

	if (!edu)
		return -ENOMEM;
	err = edu_enable(pci, &edu->registers);
	if (err)
		return err;
	edu->dev = &pci->dev;
	mutex_init(&edu->lock);
	edu->misc.minor = MISC_DYNAMIC_MINOR;
	edu->misc.fops = &edu_fops;
	edu->misc.name = devm_kasprintf(&pci->dev, GFP_KERNEL, "edu%d",
					atomic_fetch_inc(&devices));
	if (!edu->misc.name)
		return -ENOMEM;
	pci_set_drvdata(pci, edu);
	return misc_register(&edu->misc);
}

static void edu_remove(struct pci_dev *pci)
{
	struct edu *edu = pci_get_drvdata(pci);

	misc_deregister(&edu->misc);
}

/* An open file keeps this module, so only unbinding by hand could take its device away. */
static struct pci_driver edu_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
	.driver.suppress_bind_attrs = true,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("Test driver: DMA to and from dma-bufs by QEMU's edu device");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
