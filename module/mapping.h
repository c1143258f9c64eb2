/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_MAPPING_H
#define MAL_MAPPING_H

#include <linux/types.h>

struct mal_buffer;
struct vm_area_struct;

/*
 * Map @buffer from page @delta on into @vma. The vma's file must keep the buffer,
 * and live in the region's address space. Called with mmap_lock held for writing.
 * -EINVAL: not MAP_SHARED, or the range leaves the buffer; -EACCES: a writable
 * mapping, and not @writable.
 */
int mal_map(struct mal_buffer *buffer, unsigned long delta, bool writable,
	    struct vm_area_struct *vma);

/* The same, with a file of its own instead of the vma's. Also -ENOMEM and -ENFILE. */
int mal_map_own(struct mal_buffer *buffer, unsigned long delta, bool writable,
		struct vm_area_struct *vma);

#endif /* MAL_MAPPING_H */
