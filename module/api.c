// SPDX-License-Identifier: GPL-2.0-only
/* What drivers call, see linux/memalloc_driver.h. */
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memalloc_driver.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "alloc.h"
#include "attachment.h"
#include "buffer.h"
#include "charge.h"
#include "client.h"
#include "demand.h"
#include "devicetree.h"
#include "dmabuf.h"
#include "gather.h"
#include "mapping.h"
#include "placement.h"
#include "region.h"
#include "regions.h"

/* Drivers are compiled with the length that it has in this version of the API. */
static_assert(sizeof(struct memalloc_alloc) == 80);

/* A driver that uses a region: what a client is to a program. */
struct memalloc_holder {
	struct mal_region *region;
	struct mal_payer *payer;	/* of what no client pays for */
};

/* For each holder and share of a driver, the module stays, too: also if the driver forgets one. */
static void get_region(struct mal_region *region)
{
	__module_get(THIS_MODULE);
	mal_region_get(region);
}

static void put_region(struct mal_region *region)
{
	mal_region_put(region);
	module_put(THIS_MODULE);
}

struct memalloc_holder *__memalloc_get(const char *region, const char *driver)
{
	struct memalloc_holder *holder = kmalloc(sizeof(*holder), GFP_KERNEL);
	int err;

	if (!holder)
		return ERR_PTR(-ENOMEM);
	holder->region = mal_regions_get(region);
	err = PTR_ERR_OR_ZERO(holder->region);
	if (err)
		goto free_holder;
	__module_get(THIS_MODULE);
	holder->payer = mal_payer_open_system(&holder->region->users, driver);
	if (holder->payer)
		return holder;
	err = -ENOMEM;
	put_region(holder->region);
free_holder:
	kfree(holder);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_NS_GPL(__memalloc_get, MAL_NAMESPACE);

struct memalloc_holder *__memalloc_get_by_phandle(struct device *dev, unsigned int index,
						  const char *driver)
{
	char region[MEMALLOC_NAME_LEN];
	struct memalloc_holder *holder;
	int err = mal_devicetree_name_region(dev, index, region);

	if (err)
		return ERR_PTR(err);
	holder = __memalloc_get(region, driver);
	return holder == ERR_PTR(-ENOENT) || holder == ERR_PTR(-EBUSY) ? ERR_PTR(-EPROBE_DEFER) :
									 holder;
}
EXPORT_SYMBOL_NS_GPL(__memalloc_get_by_phandle, MAL_NAMESPACE);

void memalloc_put(struct memalloc_holder *holder)
{
	if (IS_ERR_OR_NULL(holder))
		return;
	mal_payer_close(holder->payer);
	put_region(holder->region);
	kfree(holder);
}
EXPORT_SYMBOL_NS_GPL(memalloc_put, MAL_NAMESPACE);

/* Who pays: NULL: @file is no client of that region. */
static struct mal_payer *find_payer(const struct memalloc_holder *holder, const struct file *file)
{
	const struct mal_client *client;

	if (!file)
		return holder->payer;
	client = mal_client_of(file);
	return client && client->region == holder->region ? client->payer : NULL;
}

static struct mal_buffer *create_buffer(const struct memalloc_holder *holder,
					const struct memalloc_alloc *wanted,
					struct mal_payer *payer)
{
	struct mal_bounds bounds;
	struct mal_buffer *buffer;
	int err;

	if (wanted->flags & ~MEMALLOC_ALLOC_HUGE || wanted->reserved || wanted->reserved2)
		return ERR_PTR(-EINVAL);
	err = mal_placement_for_driver(holder->region, wanted, &bounds);
	if (err)
		return ERR_PTR(err);
	buffer = mal_demand_create(holder->region, payer, wanted->length, &bounds,
				   mal_buffer_create);
	if (!IS_ERR(buffer))
		buffer->huge = wanted->flags & MEMALLOC_ALLOC_HUGE;
	return buffer;
}

struct mal_buffer *memalloc_buffer_alloc(struct memalloc_holder *holder,
					 const struct memalloc_alloc *wanted, struct file *payer)
{
	struct mal_region *region = holder->region;
	struct mal_payer *pays = find_payer(holder, payer);
	struct mal_buffer *buffer;

	if (mal_range_is_gone(&region->ranges.own))
		return ERR_PTR(-ENODEV);
	buffer = pays ? create_buffer(holder, wanted, pays) : ERR_PTR(-EINVAL);
	if (IS_ERR(buffer))
		mal_alloc_failed(region, wanted->length, PTR_ERR(buffer));
	else
		get_region(region);
	return buffer;
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_alloc, MAL_NAMESPACE);

struct mal_buffer *memalloc_buffer_import(struct memalloc_holder *holder, int fd, bool write)
{
	struct mal_region *region = holder->region;
	struct mal_buffer *buffer;
	bool writable;

	if (mal_range_is_gone(&region->ranges.own))
		return ERR_PTR(-ENODEV);
	buffer = mal_dmabuf_import(region, fd, &writable);
	if (IS_ERR(buffer))
		return buffer;
	if (write && !writable) {
		mal_buffer_unshare(buffer);
		return ERR_PTR(-EACCES);
	}
	get_region(region);
	return buffer;
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_import, MAL_NAMESPACE);

struct mal_buffer *memalloc_buffer_get(struct mal_buffer *buffer)
{
	get_region(buffer->extent.region);
	return mal_buffer_share(buffer);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_get, MAL_NAMESPACE);

void memalloc_buffer_put(struct mal_buffer *buffer)
{
	struct mal_region *region;

	if (IS_ERR_OR_NULL(buffer))
		return;
	region = buffer->extent.region;
	mal_buffer_unshare(buffer);
	put_region(region);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_put, MAL_NAMESPACE);

size_t memalloc_buffer_size(const struct mal_buffer *buffer)
{
	return mal_extent_size(&buffer->extent);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_size, MAL_NAMESPACE);

void *memalloc_buffer_vmap(struct mal_buffer *buffer)
{
	const struct mal_ranges *ranges = &buffer->extent.region->ranges;

	if (ranges->own.can_go)
		return ERR_PTR(-EOPNOTSUPP);
	mal_gather(buffer);
	mal_buffer_pin(buffer);
	return mal_ranges_address(ranges, buffer->extent.block.first);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_vmap, MAL_NAMESPACE);

void memalloc_buffer_vunmap(struct mal_buffer *buffer)
{
	mal_buffer_unpin(buffer);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_vunmap, MAL_NAMESPACE);

struct sg_table *memalloc_buffer_map(struct mal_buffer *buffer, struct device *dev,
				     enum dma_data_direction dir)
{
	const struct mal_span whole = mal_whole(buffer);
	struct mal_attachment *attachment;
	struct sg_table *sgt;

	/* Nobody tells drivers to let go; the PCI bus would wait for them, with its locks held. */
	if (buffer->extent.region->ranges.own.can_go)
		return ERR_PTR(-EOPNOTSUPP);
	mal_gather(buffer);
	attachment = mal_attach(buffer, &whole, dev, NULL);
	if (IS_ERR(attachment))
		return ERR_CAST(attachment);
	sgt = mal_map_attachment(buffer, attachment, dir);
	if (IS_ERR(sgt))
		mal_detach(buffer, attachment);
	return sgt;
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_map, MAL_NAMESPACE);

void memalloc_buffer_unmap(struct mal_buffer *buffer, struct sg_table *sgt)
{
	struct mal_attachment *attachment;

	if (IS_ERR_OR_NULL(sgt))
		return;
	attachment = mal_attachment_of(sgt);
	mal_unmap_attachment(buffer, attachment);
	mal_detach(buffer, attachment);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_unmap, MAL_NAMESPACE);

int memalloc_dma_address(struct sg_table *sgt, dma_addr_t *address)
{
	dma_addr_t next = sg_dma_address(sgt->sgl);
	struct scatterlist *sg;
	unsigned int i;

	*address = next;
	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (sg_dma_address(sg) != next)
			return -ERANGE;
		next += sg_dma_len(sg);
	}
	return 0;
}
EXPORT_SYMBOL_NS_GPL(memalloc_dma_address, MAL_NAMESPACE);

int memalloc_buffer_begin_cpu_access(struct mal_buffer *buffer, size_t offset, size_t length,
				     enum dma_data_direction dir)
{
	const size_t size = memalloc_buffer_size(buffer);

	if (offset > size || length > size - offset)
		return -EINVAL;
	return mal_begin_cpu_access(buffer, offset, length, dir != DMA_FROM_DEVICE);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_begin_cpu_access, MAL_NAMESPACE);

void memalloc_buffer_end_cpu_access(struct mal_buffer *buffer, size_t offset, size_t length)
{
	mal_end_cpu_access(buffer, offset, length);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_end_cpu_access, MAL_NAMESPACE);

struct dma_buf *memalloc_buffer_export(struct mal_buffer *buffer, unsigned int access)
{
	const struct mal_span whole = mal_whole(buffer);

	if (access != O_RDWR && access != O_RDONLY)
		return ERR_PTR(-EINVAL);
	return mal_dmabuf_create(buffer, &whole, access);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_export, MAL_NAMESPACE);

int memalloc_buffer_export_fd(struct mal_buffer *buffer, unsigned int open_flags)
{
	const struct mal_span whole = mal_whole(buffer);
	const unsigned int access = open_flags & ~O_CLOEXEC;
	struct file *file;
	int fd;

	if (access != O_RDWR && access != O_RDONLY)
		return -EINVAL;
	fd = mal_dmabuf_export(buffer, &whole, open_flags, &file);
	if (fd >= 0)
		fd_install(fd, file);
	return fd;
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_export_fd, MAL_NAMESPACE);

int memalloc_buffer_mmap(struct mal_buffer *buffer, struct vm_area_struct *vma, bool writable)
{
	return mal_map(buffer, vma->vm_pgoff, writable && vma->vm_file->f_mode & FMODE_WRITE, false,
		       vma);
}
EXPORT_SYMBOL_NS_GPL(memalloc_buffer_mmap, MAL_NAMESPACE);
