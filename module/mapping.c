// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of buffers into programs. They are page-backed, so that direct I/O,
 * sockets and io_uring work on them: each entry is an ordinary page with a
 * reference of its own.
 *
 * What keeps the buffer while it is mapped is the mapping's file, which is put
 * only after the pages were unmapped. It is a dma-buf's or one made for the
 * mapping, never the client's: a client is gone when its last descriptor is
 * closed, whatever is mapped still.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>

#include "buffer.h"
#include "mapping.h"
#include "region.h"
#include "trace.h"

/* A fault maps the pages around it, within a multiple of that many. */
#define MAL_FAULT_AROUND	64

/*
 * Map the pages of [@start, @end) that are not mapped yet, up to the first that
 * is, or is poisoned. -EBUSY, -EHWPOISON: the first was.
 */
static int map_pages(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	const struct mal_buffer *buffer = vma->vm_private_data;
	unsigned long index = linear_page_index(vma, start) - buffer->pgoff;
	struct page *pages[MAL_FAULT_AROUND];
	unsigned long n = (end - start) >> PAGE_SHIFT;
	unsigned long left;
	unsigned long i;
	int err;

	for (i = 0; i < n; i++) {
		pages[i] = mal_buffer_page(buffer, index + i);
		if (PageHWPoison(pages[i]))
			break;
	}
	if (!i)
		return -EHWPOISON;
	n = i;
	left = n;
	err = vm_insert_pages(vma, start, pages, &left);
	return left < n ? 0 : err;
}

/* Under the buffer's size_lock. */
static vm_fault_t map_around(struct vm_fault *vmf)
{
	const unsigned long window = MAL_FAULT_AROUND * PAGE_SIZE;
	struct vm_area_struct *vma = vmf->vma;
	const struct mal_buffer *buffer = vma->vm_private_data;
	unsigned long index = vmf->pgoff - buffer->pgoff;
	unsigned long address = vmf->address & PAGE_MASK;
	unsigned long start = max(ALIGN_DOWN(address, window), vma->vm_start);
	unsigned long end = min(ALIGN(address + 1, window), vma->vm_end);
	int err;

	/* The mapping was within the buffer, but that may have become shorter. */
	if (index >= buffer->pages)
		return VM_FAULT_SIGBUS;
	end = min(end, address + ((buffer->pages - index) << PAGE_SHIFT));

	err = map_pages(vma, address, end);
	if (!err && start < address)
		map_pages(vma, start, address);

	if (err == -EHWPOISON)
		return VM_FAULT_HWPOISON;
	/* -EBUSY: another thread was faster with the page that we are here for. */
	return err && err != -EBUSY ? vmf_error(err) : VM_FAULT_NOPAGE;
}

static vm_fault_t mapping_fault(struct vm_fault *vmf)
{
	struct mal_buffer *buffer = vmf->vma->vm_private_data;
	vm_fault_t result;

	down_read(&buffer->size_lock);
	result = map_around(vmf);
	up_read(&buffer->size_lock);
	return result;
}

static const struct vm_operations_struct mapping_ops = {
	.fault = mapping_fault,
};

/* May that be mapped? If so, somebody has a way to the pages from now on. */
static int expose(struct mal_buffer *buffer, unsigned long delta, bool writable,
		  struct vm_area_struct *vma)
{
	int err = 0;

	/* Together: what is cut off later is exposed, too. */
	down_read(&buffer->size_lock);
	if (delta >= buffer->pages || vma_pages(vma) > buffer->pages - delta)
		err = -EINVAL;
	else if (!writable && vma->vm_flags & VM_WRITE)
		err = -EACCES;
	else
		WRITE_ONCE(buffer->exposed, true);
	up_read(&buffer->size_lock);
	return err;
}

int mal_map(struct mal_buffer *buffer, unsigned long delta, bool writable,
	    struct vm_area_struct *vma)
{
	int err;

	/* Not VM_SHARED, which is missing in a shared mapping of a read-only file. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	err = expose(buffer, delta, writable, vma);
	if (err)
		return err;

	vm_flags_mod(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP, writable ? 0 : VM_MAYWRITE);
	vma->vm_pgoff = buffer->pgoff + delta;
	vma->vm_ops = &mapping_ops;
	vma->vm_private_data = buffer;
	trace_memalloc_map(buffer, buffer->first + delta, vma_pages(vma));
	return 0;
}

static int mapping_release(struct inode *inode, struct file *file)
{
	mal_buffer_put(file->private_data);
	return 0;
}

static const struct file_operations mapping_fops = {
	.owner = THIS_MODULE,
	.release = mapping_release,
};

/*
 * A file that holds a reference to @buffer. It is on the kernel's own anonymous
 * mount: one on ours would still use the module's file system after it has
 * dropped its reference to the module.
 */
static struct file *mapping_file(struct mal_buffer *buffer)
{
	struct file *file = anon_inode_getfile(buffer->region->name, &mapping_fops, buffer, O_RDWR);

	if (!IS_ERR(file)) {
		mal_buffer_get(buffer);
		file->f_mapping = buffer->region->inode->i_mapping;
	}
	return file;
}

int mal_map_own(struct mal_buffer *buffer, unsigned long delta, bool writable,
		struct vm_area_struct *vma)
{
	struct file *file = mapping_file(buffer);
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	err = mal_map(buffer, delta, writable, vma);
	if (!err)
		vma_set_file(vma, file);
	fput(file);
	return err;
}
