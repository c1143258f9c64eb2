/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_MAPPING_H
#define MAL_MAPPING_H

#include <linux/types.h>

struct mal_buffer;
struct mal_range;
struct mal_region;
struct vm_area_struct;

/* The pages that a huge entry of a page table stands for. 0: @range can not be mapped so. */
unsigned long mal_huge_pages(const struct mal_range *range);

/*
 * Map @buffer from page @delta on into @vma, with the file that all mappings of the buffer have.
 * @own: the mapping is made through the open file that is charged for the buffer. Such a mapping
 * has a reference to the buffer, any other has a share. The caller has one of the same kind. Called
 * with mmap_lock held for writing. Sleeps.
 * -EINVAL: not MAP_SHARED, or the range leaves the buffer; -EACCES: the mapping is writable and
 * @writable is false; -ENODEV: the memory is gone; -ENOMEM, -ENFILE: the file can't be made.
 */
int mal_map(struct mal_buffer *buffer, unsigned long delta, bool writable, bool own,
	    struct vm_area_struct *vma);

/*
 * The buffer of @region that the caller's process has mapped at @address, with a reference; and
 * *@offset, the bytes from the buffer's beginning to there, which RESIZE may have cut off. Takes
 * mmap_lock. -ENXIO: there is none; -EINTR: a fatal signal arrived.
 */
struct mal_buffer *mal_mapped_at(const struct mal_region *region, unsigned long address,
				 u64 *offset);

/* Does any process have a page of @buffer mapped? */
bool mal_is_mapped(struct mal_buffer *buffer);

/* Unmap @pages of @buffer, from page @first on, from every process. Sleeps. */
void mal_unmap(struct mal_buffer *buffer, unsigned long first, unsigned long pages);

#endif /* MAL_MAPPING_H */
