/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_SPACE_H
#define MAL_SPACE_H

#include <linux/err.h>
#include <linux/mm_types.h>
#include <linux/types.h>

struct file;
struct vfsmount;

/*
 * An address space is the kernel's set of all mappings of a file. It has a lock, and is walked
 * where a range is unmapped from every process. Each mapped buffer has an address space of its
 * own, so that the mappings of one buffer delay no other.
 */

/* Where the address spaces of a region come from. */
struct mal_spaces {
	struct vfsmount *mnt;	/* of the file system that has their inodes */
	void (*closed)(struct mal_spaces *spaces);
};

/* @closed is called when a file that mal_space_create_file() made is gone. Sleeps. -ENOMEM. */
int mal_spaces_init(struct mal_spaces *spaces, void (*closed)(struct mal_spaces *spaces));

/* No file of the region is left. Sleeps. */
void mal_spaces_destroy(struct mal_spaces *spaces);

/* Unmap all that is mapped of the region, from every process. Sleeps. */
void mal_spaces_unmap_all(struct mal_spaces *spaces);

/*
 * A new file, and an address space for its mappings. /proc/PID/maps shows @name. The file holds
 * the module. Sleeps. -ENOMEM, -ENFILE.
 */
struct file *mal_space_create_file(struct mal_spaces *spaces, const char *name);

/*
 * A file that mal_space_create_file() made, whose buffer is gone, for the next one: a program that
 * maps one buffer after the other makes no file for each. NULL: there is none; MAL_NO_SPARE: none
 * is kept any more.
 */
struct mal_spare {
	struct file *file;
};

#define MAL_NO_SPARE	((struct file *)ERR_PTR(-ENODEV))

/* Close it, and take in none from now on. Sleeps. */
void mal_spare_close(struct mal_spare *spare);

/* NULL: there is none. */
struct file *mal_spare_take(struct mal_spare *spare);

/*
 * Nothing is mapped of @file, and nobody holds a page of its space, but pages that RESIZE has cut
 * off, which have left it. False: the file stays the caller's. To programs, the next user's space
 * is another one.
 */
bool mal_spare_put(struct mal_spare *spare, struct file *file);

/*
 * Called before @page is mapped: it becomes page @index of @space, until mal_space_remove_page().
 * The kernel's key of a futex that processes share is made of the space and the index.
 */
static inline void mal_space_add_page(struct address_space *space, struct page *page,
				      unsigned long index)
{
	struct folio *folio = page_folio(page);

	if (READ_ONCE(folio->mapping) == space)
		return;
	folio->index = index;
	/* Others find the page by its entry in a page table, which is written later. */
	WRITE_ONCE(folio->mapping, space);
}

/*
 * The page leaves its address space: called when no process has the page mapped. Who holds the page
 * may still use the space, until mal_space_wait_for_holder().
 */
static inline void mal_space_remove_page(struct page *page)
{
	if (READ_ONCE(page->mapping))
		WRITE_ONCE(page->mapping, NULL);
}

/* Called for each page that somebody holds, before the space goes. Sleeps. */
void mal_space_wait_for_holder(struct page *page);

#endif /* MAL_SPACE_H */
