// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of buffers into programs. Where the region has struct pages, they are page-backed, so
 * that direct I/O, sockets and io_uring work on them: each entry is an ordinary page with a
 * reference of its own. Elsewhere they are mapped by frame, and the kernel pins nothing of them.
 * Huge buffers are mapped by frame, too, by entries that stand for many pages where that is
 * possible.
 *
 * Each mapping has a reference to the buffer, which it gives up after its pages were
 * unmapped. All mappings of a buffer, however they were made, have one file, which the
 * buffer keeps: never the client's, which would keep the client, nor a dma-buf's.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/timekeeping.h>

#include "buffer.h"
#include "look/trace.h"
#include "mapping.h"
#include "region.h"

/* A fault maps the pages of the aligned window around it, this many. */
#define MAL_FAULT_AROUND	64

/*
 * Map the pages of [@start, @end), up to the first that is already mapped, or is poisoned.
 * -EBUSY: the first page is mapped; -EHWPOISON: it is poisoned.
 */
static int map_pages(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	const struct mal_buffer *buffer = vma->vm_private_data;
	struct address_space *space = vma->vm_file->f_mapping;
	unsigned long index = linear_page_index(vma, start);
	u32 first = buffer->extent.block.first + index;
	struct page *pages[MAL_FAULT_AROUND];
	unsigned long n = (end - start) >> PAGE_SHIFT;
	unsigned long left;
	unsigned long i;
	int err;

	for (i = 0; i < n; i++) {
		pages[i] = mal_region_page(buffer->extent.region, first + i);
		if (PageHWPoison(pages[i]))
			break;
		mal_space_add_page(space, pages[i], index + i);
	}
	if (!i)
		return -EHWPOISON;
	/* Pairs with the address dependency of futexes, which find a page by its table entry. */
	smp_wmb();
	n = i;
	mal_clean_touch(&buffer->extent.region->clean, first, n);
	left = n;
	err = vm_insert_pages(vma, start, pages, &left);
	return left < n ? 0 : err;
}

static vm_fault_t insert_frame(struct vm_area_struct *vma, unsigned long address,
			       unsigned long pfn)
{
	if (vma->vm_flags & VM_PFNMAP)
		return vmf_insert_pfn(vma, address, pfn);
	return vmf_insert_mixed(vma, address, pfn);
}

/* As map_pages(), by frame. An entry that is there stays. */
static int map_frames(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	const struct mal_extent *extent = &((struct mal_buffer *)vma->vm_private_data)->extent;
	const struct mal_ranges *ranges = &extent->region->ranges;
	u32 first = extent->block.first + linear_page_index(vma, start);
	unsigned long n = (end - start) >> PAGE_SHIFT;
	unsigned long i;

	mal_clean_touch(&extent->region->clean, first, n);
	for (i = 0; i < n; i++) {
		if (mal_ranges_poisoned(ranges, first + i))
			return i ? 0 : -EHWPOISON;
		if (insert_frame(vma, start + (i << PAGE_SHIFT),
				 mal_ranges_pfn(ranges, first + i)) & VM_FAULT_ERROR)
			return -ENOMEM;
	}
	return 0;
}

unsigned long mal_huge_pages(const struct mal_range *range)
{
	const unsigned long pages = PMD_SIZE >> PAGE_SHIFT;

	/* Pages that a source has made could be pinned, see vmf_insert_pfn_pmd() in compat.h. */
	if (!MAL_HUGE_ENTRIES || !has_transparent_hugepage() || !mal_range_has_pages(range) ||
	    range->pagemap || range->align < pages)
		return 0;
	return pages;
}

/* Does a huge entry at the address of @vmf stand for pages of its area and of its buffer only? */
static bool has_room_for_huge(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	const struct mal_buffer *buffer = vma->vm_private_data;
	const unsigned long pages = PMD_SIZE >> PAGE_SHIFT;
	const unsigned long start = ALIGN_DOWN(vmf->address, PMD_SIZE);
	const unsigned long index = vmf->pgoff - ((vmf->address - start) >> PAGE_SHIFT);

	if (!MAL_HUGE_ENTRIES || !buffer->huge || start < vma->vm_start ||
	    vma->vm_end - start < PMD_SIZE)
		return false;
	/* The buffer begins where a huge page can. */
	return IS_ALIGNED(index, pages) && index + pages <= buffer->extent.block.granules;
}

/*
 * Map the huge page around the address by one entry. VM_FAULT_FALLBACK: there is a table of small
 * entries already.
 *
 * Nobody may insert a small entry where a huge one is: the kernel would take the memory for a
 * table. So where there was room for a huge entry, there always is: a buffer that is mapped does
 * not shrink. Nor is a poisoned page a reason for small entries.
 */
static vm_fault_t map_huge(struct vm_fault *vmf)
{
	const struct mal_buffer *buffer = vmf->vma->vm_private_data;
	struct mal_region *region = buffer->extent.region;
	const u32 pages = PMD_SIZE >> PAGE_SHIFT;
	u32 first = buffer->extent.block.first + ALIGN_DOWN(vmf->pgoff, pages);
	const pmd_t entry = READ_ONCE(*vmf->pmd);
	u32 i;

	if (!pmd_none(entry))
		return pmd_leaf(entry) ? VM_FAULT_NOPAGE : VM_FAULT_FALLBACK;
	for (i = 0; i < pages; i++)
		if (mal_ranges_poisoned(&region->ranges, first + i))
			return VM_FAULT_HWPOISON;
	mal_clean_touch(&region->clean, first, pages);
	return vmf_insert_pfn_pmd(vmf, mal_ranges_pfn(&region->ranges, first),
				  vmf->vma->vm_flags & VM_WRITE);
}

/* apply_to_page_range() holds the page table's lock. set_pte_at() is not for modules on arm64. */
static int mark_written(pte_t *entry, unsigned long address, void *data)
{
	pte_t old = ptep_get(entry);

	if (pte_present(old) && pte_write(old))
		set_pte(entry, pte_mkdirty(old));
	return 0;
}

/*
 * Pages are inserted as not yet written to. Many processors of other architectures than x86 leave
 * it to the kernel to note the first write, by one more fault for each page. Nobody asks whether a
 * page of ours was written to.
 */
static void mark_pages_written(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	if (!IS_ENABLED(CONFIG_X86) && vma->vm_flags & VM_WRITE)
		apply_to_page_range(vma->vm_mm, start, end - start, mark_written, NULL);
}

static int map(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	const struct mal_buffer *buffer = vma->vm_private_data;

	if (buffer->huge || !mal_range_has_pages(&buffer->extent.region->ranges.own))
		return map_frames(vma, start, end);
	return map_pages(vma, start, end);
}

/* Under the buffer's size_lock. */
static vm_fault_t map_around(struct vm_fault *vmf)
{
	const unsigned long window = MAL_FAULT_AROUND * PAGE_SIZE;
	struct vm_area_struct *vma = vmf->vma;
	const struct mal_buffer *buffer = vma->vm_private_data;
	unsigned long index = vmf->pgoff;
	unsigned long address = vmf->address & PAGE_MASK;
	unsigned long start = max(ALIGN_DOWN(address, window), vma->vm_start);
	unsigned long end = min(ALIGN(address + 1, window), vma->vm_end);
	vm_fault_t result;
	int err;

	lockdep_assert_held(&buffer->extent.size_lock);
	/* The buffer may have become shorter than the mapping. */
	if (index >= buffer->extent.block.granules)
		return VM_FAULT_SIGBUS;
	if (has_room_for_huge(vmf)) {
		result = map_huge(vmf);
		if (result != VM_FAULT_FALLBACK)
			return result;
	}
	end = min(end, address + ((buffer->extent.block.granules - index) << PAGE_SHIFT));

	err = map(vma, address, end);
	if (!err && start < address)
		map(vma, start, address);
	else
		start = address;
	mark_pages_written(vma, start, end);

	if (err == -EHWPOISON)
		return VM_FAULT_HWPOISON;
	/* -EBUSY: another thread has mapped the page meanwhile. */
	return err && err != -EBUSY ? vmf_error(err) : VM_FAULT_NOPAGE;
}

/* Until the buffer has a place, and a size: it may be moved now, or resized. */
static void wait_for_place(struct mal_extent *extent, bool user)
{
	u64 start;

	if (down_read_trylock(&extent->size_lock))
		return;
	start = ktime_get_ns();
	down_read(&extent->size_lock);
	trace_memalloc_wait(extent->region->name, &extent->block, ktime_get_ns() - start, user);
}

static vm_fault_t mapping_fault(struct vm_fault *vmf)
{
	struct mal_buffer *buffer = vmf->vma->vm_private_data;
	struct mal_range *range = &buffer->extent.region->ranges.own;
	vm_fault_t result = VM_FAULT_SIGBUS;

	wait_for_place(&buffer->extent, vmf->flags & FAULT_FLAG_USER);
	if (mal_range_enter(range)) {
		result = map_around(vmf);
		mal_range_leave(range);
	}
	up_read(&buffer->extent.size_lock);
	return result;
}

static void mapping_open(struct vm_area_struct *vma)
{
	mal_buffer_get(vma->vm_private_data);
}

static void mapping_close(struct vm_area_struct *vma)
{
	mal_buffer_put(vma->vm_private_data);
}

static const struct vm_operations_struct mapping_ops = {
	.open = mapping_open,
	.close = mapping_close,
	.fault = mapping_fault,
};

static void shared_mapping_open(struct vm_area_struct *vma)
{
	mal_buffer_share(vma->vm_private_data);
}

static void shared_mapping_close(struct vm_area_struct *vma)
{
	mal_buffer_unshare(vma->vm_private_data);
}

/* Mappings with a share: nobody may cut off pages that are mapped so. */
static const struct vm_operations_struct shared_mapping_ops = {
	.open = shared_mapping_open,
	.close = shared_mapping_close,
	.fault = mapping_fault,
};

static struct file *create_file(struct mal_region *region)
{
	struct file *file = mal_space_create_file(&region->spaces, region->name);

	if (!IS_ERR(file))
		mal_region_get(region);
	return file;
}

/* The file of all mappings of the buffer, taken or made for the first one. */
static struct file *mapping_file(struct mal_buffer *buffer, bool own)
{
	/* Pairs with the exchange below. */
	struct file *file = smp_load_acquire(&buffer->mapping_file);
	struct file *other;

	if (file)
		return file;
	if (own)
		file = mal_spare_take(&buffer->extent.block.payer->spare);
	if (!file)
		file = create_file(buffer->extent.region);
	if (IS_ERR(file))
		return file;
	other = cmpxchg(&buffer->mapping_file, NULL, file);
	if (!other) {
		WRITE_ONCE(buffer->owns_file, own);
		return file;
	}
	fput(file);
	return other;
}

/* May @vma map the buffer? If so, its pages count as touched from now on. */
static int touch_buffer(struct mal_buffer *buffer, unsigned long delta, bool writable,
			struct vm_area_struct *vma)
{
	struct mal_extent *extent = &buffer->extent;
	int err = 0;

	/* Marked before the first fault. Pages that RESIZE cuts off later take the mark along. */
	down_read(&extent->size_lock);
	if (delta >= extent->block.granules || vma_pages(vma) > extent->block.granules - delta)
		err = -EINVAL;
	else if (!writable && vma->vm_flags & VM_WRITE)
		err = -EACCES;
	else
		WRITE_ONCE(extent->touched, true);
	up_read(&extent->size_lock);
	return err;
}

int mal_map(struct mal_buffer *buffer, unsigned long delta, bool writable, bool own,
	    struct vm_area_struct *vma)
{
	const struct mal_range *range = &buffer->extent.region->ranges.own;
	struct file *file;
	int err;

	/* Not VM_SHARED: a shared mapping of a read-only file does not have it. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (mal_range_is_gone(range))
		return -ENODEV;
	file = mapping_file(buffer, own);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = touch_buffer(buffer, delta, writable, vma);
	if (err)
		return err;

	/*
	 * Huge entries are in an area for frames only: get_user_pages() and who walks page tables
	 * pass it by. Other frames are in one for both kinds of entries: these are no pages, and of
	 * an area for frames, VFIO would let devices use them without holding anything.
	 */
	vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTDUMP | (buffer->huge ? VM_PFNMAP : VM_MIXEDMAP),
		     writable ? 0 : VM_MAYWRITE);
	vma_set_file(vma, file);
	if (!mal_range_has_pages(range)) {
		vm_flags_mod(vma, VM_IO, 0);
		vma->vm_page_prot = range->uncached ? pgprot_device(vma->vm_page_prot) :
						      pgprot_writecombine(vma->vm_page_prot);
	}
	vma->vm_pgoff = delta;
	vma->vm_private_data = buffer;
	if (own) {
		vma->vm_ops = &mapping_ops;
		mapping_open(vma);
	} else {
		vma->vm_ops = &shared_mapping_ops;
		shared_mapping_open(vma);
	}
	trace_memalloc_map(buffer->extent.region->name, &buffer->extent.block,
			   READ_ONCE(buffer->extent.block.first) + delta, vma_pages(vma));
	return 0;
}

/* The buffer that is mapped at @address, with a reference; NULL: none of @region. */
static struct mal_buffer *get_buffer_at(const struct mal_region *region, unsigned long address,
					u64 *offset)
{
	const struct vm_area_struct *vma = vma_lookup(current->mm, address);
	struct mal_buffer *buffer;

	if (!vma || (vma->vm_ops != &mapping_ops && vma->vm_ops != &shared_mapping_ops))
		return NULL;
	buffer = vma->vm_private_data;
	if (buffer->extent.region != region)
		return NULL;
	*offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (address - vma->vm_start);
	return mal_buffer_get(buffer);
}

struct mal_buffer *mal_mapped_at(const struct mal_region *region, unsigned long address,
				 u64 *offset)
{
	struct mal_buffer *buffer;

	if (mmap_read_lock_killable(current->mm))
		return ERR_PTR(-EINTR);
	buffer = get_buffer_at(region, untagged_addr(address), offset);
	mmap_read_unlock(current->mm);
	return buffer ?: ERR_PTR(-ENXIO);
}

/* The address space of the buffer's mappings; NULL: there never was a mapping. */
static struct address_space *space_of(struct mal_buffer *buffer)
{
	/* Pairs with the exchange in mapping_file(). */
	struct file *file = smp_load_acquire(&buffer->mapping_file);

	return file ? file->f_mapping : NULL;
}

bool mal_is_mapped(struct mal_buffer *buffer)
{
	struct address_space *space = space_of(buffer);

	return space && mapping_mapped(space);
}

void mal_unmap(struct mal_buffer *buffer, unsigned long first, unsigned long pages)
{
	struct address_space *space = space_of(buffer);

	if (space)
		unmap_mapping_pages(space, first, pages, true);
}
