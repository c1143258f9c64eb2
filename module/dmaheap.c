// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers for programs that know dma-buf heaps (uapi/linux/dma-heap.h): a second node of the
 * region, with one call. The call makes a buffer that has no handle, and answers with its dma-buf.
 * The buffer is charged to the user who opened the node.
 *
 * The call behaves like that of drivers/dma-buf/dma-heap.c, with three exceptions where that is of
 * use to nobody: an argument too short to hold the descriptor is refused, and so are calls of other
 * drivers with the same number; and no descriptor is made if the answer can't be copied out.
 */
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/dma-heap.h>
#include <linux/memalloc.h>

#include "alloc.h"
#include "buffer.h"
#include "charge.h"
#include "demand.h"
#include "dmabuf.h"
#include "dmaheap.h"
#include "placement.h"
#include "region.h"

/* The node, open. */
struct mal_dmaheap_file {
	struct mal_region *region;
	struct mal_payer *payer;	/* for what is allocated here */
};

/* The length is rounded up to pages first: what wraps around then is 0, too. */
static bool is_valid_request(const struct dma_heap_allocation_data *data)
{
	return !data->fd && !(data->fd_flags & ~DMA_HEAP_VALID_FD_FLAGS) &&
	       !(data->heap_flags & ~DMA_HEAP_VALID_HEAP_FLAGS) && PAGE_ALIGN(data->len);
}

/* A new buffer, which its dma-buf alone keeps; a descriptor for that, not yet installed. */
static int create_dmabuf(const struct mal_dmaheap_file *heap,
			 const struct dma_heap_allocation_data *data, struct file **file)
{
	const struct memalloc_alloc alloc = { .length = data->len };
	struct mal_buffer *buffer;
	struct mal_bounds bounds;
	struct mal_span whole;
	int fd;

	if (!is_valid_request(data))
		return -EINVAL;
	fd = mal_placement(heap->region, &alloc, &bounds);
	/* The kernel's heaps have one error for too large and for no room now. */
	if (fd)
		return fd == -EFBIG ? -ENOMEM : fd;
	buffer = mal_demand_create(heap->region, heap->payer, data->len, &bounds,
				   mal_buffer_create);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	whole = mal_whole(buffer);
	fd = mal_dmabuf_export(buffer, &whole, data->fd_flags, file);
	mal_buffer_unshare(buffer);
	return fd;
}

/*
 * @user points to the @size bytes that userspace knows of the argument. Bytes that are missing are
 * zero. Bytes that are unknown here are neither read nor written.
 */
static int dmaheap_alloc(const struct mal_dmaheap_file *heap, void __user *user, size_t size)
{
	struct dma_heap_allocation_data data = {};
	struct file *file;
	int fd;

	size = min(size, sizeof(data));
	if (size < offsetofend(struct dma_heap_allocation_data, fd))
		return -EINVAL;
	if (copy_from_user(&data, user, size))
		return -EFAULT;

	fd = create_dmabuf(heap, &data, &file);
	if (fd < 0) {
		mal_alloc_failed(heap->region, data.len, fd);
		return fd;
	}
	data.fd = fd;
	if (copy_to_user(user, &data, size)) {
		put_unused_fd(fd);
		fput(file);
		mal_alloc_failed(heap->region, data.len, -EFAULT);
		return -EFAULT;
	}
	fd_install(fd, file);
	return 0;
}

static long dmaheap_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct mal_dmaheap_file *heap = file->private_data;

	if (mal_range_is_gone(&heap->region->ranges.own))
		return -ENODEV;
	if (_IOC_TYPE(cmd) != DMA_HEAP_IOC_MAGIC)
		return -ENOTTY;
	if (_IOC_NR(cmd) != _IOC_NR(DMA_HEAP_IOCTL_ALLOC) ||
	    _IOC_DIR(cmd) != _IOC_DIR(DMA_HEAP_IOCTL_ALLOC))
		return -EINVAL;
	return dmaheap_alloc(heap, (void __user *)arg, _IOC_SIZE(cmd));
}

static int dmaheap_open(struct inode *inode, struct file *file)
{
	struct mal_dmaheap *dmaheap =
		container_of(file->private_data, struct mal_dmaheap, misc);
	struct mal_dmaheap_file *heap;

	if (!mal_region_try_get(dmaheap->region))
		return -ENODEV;
	heap = kmalloc(sizeof(*heap), GFP_KERNEL_ACCOUNT);
	if (!heap)
		goto put_region;
	heap->region = dmaheap->region;
	heap->payer = mal_payer_open(&dmaheap->region->users);
	if (!heap->payer)
		goto free_heap;
	file->private_data = heap;
	return nonseekable_open(inode, file);

free_heap:
	kfree(heap);
put_region:
	mal_region_put(dmaheap->region);
	return -ENOMEM;
}

static int dmaheap_release(struct inode *inode, struct file *file)
{
	struct mal_dmaheap_file *heap = file->private_data;
	struct mal_region *region = heap->region;

	mal_payer_close(heap->payer);
	kfree(heap);
	mal_region_put(region);
	return 0;
}

static const struct file_operations dmaheap_fops = {
	.owner = THIS_MODULE,
	.open = dmaheap_open,
	.release = dmaheap_release,
	.unlocked_ioctl = dmaheap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static DEFINE_MUTEX(heaps_lock);	/* of what follows */
static LIST_HEAD(heaps);		/* that have nodes */

static bool is_ours(const char *name)
{
	const struct mal_dmaheap *heap;

	lockdep_assert_held(&heaps_lock);
	list_for_each_entry(heap, &heaps, node) {
		if (!strcmp(heap->name, name))
			return true;
	}
	return false;
}

/* Of the kernel's own heaps, nothing else tells a module the names. */
static bool has_node(const char *name)
{
	char file[sizeof("/dev/") + 2 * MEMALLOC_NAME_LEN];
	struct path path;

	snprintf(file, sizeof(file), "/dev/dma_heap/%s", name);
	if (kern_path(file, 0, &path))
		return false;
	path_put(&path);
	return true;
}

/*
 * A name that is the region's is nobody else's: a node that is there then is one that the kernel
 * could not remove, for want of memory.
 */
static int register_heap(struct mal_dmaheap *dmaheap, const char *name, bool is_regions)
{
	struct miscdevice *misc = &dmaheap->misc;
	int err = -ENOMEM;

	mutex_lock(&heaps_lock);
	if (is_ours(name) || (!is_regions && has_node(name))) {
		pr_err("/dev/dma_heap/%s: the name is taken\n", name);
		err = -EEXIST;
	} else if (misc->name && misc->nodename) {
		err = misc_register(misc);
	}
	if (!err) {
		dmaheap->name = strchr(misc->nodename, '/') + 1;
		list_add(&dmaheap->node, &heaps);
	}
	mutex_unlock(&heaps_lock);
	return err;
}

int mal_dmaheap_create(struct mal_dmaheap *dmaheap, struct mal_region *region, const char *name)
{
	struct miscdevice *misc = &dmaheap->misc;
	int err;

	dmaheap->region = region;
	misc->minor = MISC_DYNAMIC_MINOR;
	misc->fops = &dmaheap_fops;
	misc->mode = 0660;
	/* No region's node has a dot in its name. */
	misc->name = kasprintf(GFP_KERNEL, "%s.dma_heap%s%s", region->misc.name, *name ? "." : "",
			       name);
	misc->nodename = kasprintf(GFP_KERNEL, "dma_heap/%s", *name ? name : region->misc.name);
	err = register_heap(dmaheap, *name ? name : region->misc.name, !*name);
	if (err) {
		kfree(misc->nodename);
		kfree(misc->name);
	}
	return err;
}

void mal_dmaheap_destroy(struct mal_dmaheap *dmaheap)
{
	if (!dmaheap->name)
		return;
	mutex_lock(&heaps_lock);
	misc_deregister(&dmaheap->misc);
	list_del(&dmaheap->node);
	mutex_unlock(&heaps_lock);
	kfree(dmaheap->misc.nodename);
	kfree(dmaheap->misc.name);
	dmaheap->name = NULL;
}
