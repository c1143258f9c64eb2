/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_MAPPING_H
#define MAL_MAPPING_H

#include <linux/types.h>

struct mal_buffer;
struct vm_area_struct;

/*
 * Map @buffer from page @delta on into @vma, which then has the file that all mappings of the
 * buffer have, and a reference to the buffer; or a share if it is not @own: not made through
 * the open file that is charged for the buffer. So has the caller. Called with mmap_lock held for
 * writing. Sleeps.
 * -EINVAL: not MAP_SHARED, or the range leaves the buffer; -EACCES: a writable mapping, and not
 * @writable; -ENOMEM, -ENFILE: there is no such file, and can be none.
 */
int mal_map(struct mal_buffer *buffer, unsigned long delta, bool writable, bool own,
	    struct vm_area_struct *vma);

/* Does a process have anything of @buffer mapped? */
bool mal_is_mapped(struct mal_buffer *buffer);

/* Unmap the @pages from page @first of @buffer on from every process. Sleeps. */
void mal_unmap(struct mal_buffer *buffer, unsigned long first, unsigned long pages);

#endif /* MAL_MAPPING_H */
