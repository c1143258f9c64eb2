/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_SPACE_H
#define MAL_SPACE_H

#include <linux/mm_types.h>

struct file;
struct vfsmount;

/*
 * An address space is what the kernel has of all mappings of a file: it has a lock, and is
 * walked where a range is unmapped from every process. Each buffer that is mapped has one of
 * its own, so that nobody's mappings delay those of other buffers.
 */

/* Where the address spaces of a region come from. */
struct mal_spaces {
	struct vfsmount *mnt;	/* of the file system that has their inodes */
};

/* Sleeps. -ENOMEM. */
int mal_spaces_init(struct mal_spaces *spaces);

/* No file of mal_space_create() may be left. Sleeps. */
void mal_spaces_destroy(struct mal_spaces *spaces);

/*
 * A new file in whose address space mappings can be, called @name in /proc/PID/maps. It holds
 * the module. Sleeps. -ENOMEM, -ENFILE.
 */
struct file *mal_space_create(struct mal_spaces *spaces, const char *name);

/*
 * Before a page is mapped: note that it is page @index of @space. The kernel's key of a futex
 * that processes share is made of both. They hold until mal_space_remove_page().
 */
static inline void mal_space_add_page(struct address_space *space, struct page *page,
				      unsigned long index)
{
	if (READ_ONCE(page->mapping) == space)
		return;
	page->index = index;
	/* Whoever is to see the page as one of @space finds it by its entry in a page table. */
	WRITE_ONCE(page->mapping, space);
}

/*
 * Once no process has the page mapped, and before its address space goes: forget that. Somebody
 * may still hold the page. Sleeps.
 */
void mal_space_remove_page(struct page *page);

#endif /* MAL_SPACE_H */
