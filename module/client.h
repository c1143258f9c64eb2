/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CLIENT_H
#define MAL_CLIENT_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "handle.h"

struct mal_payer;
struct mal_region;
struct seq_file;

/* One open file. */
struct mal_client {
	struct mal_region *region;
	struct mal_payer *payer;	/* for what is allocated here */
	u64 id;				/* never used for another client; not 0 */
	bool writable;			/* opened for writing, so handles may be writable */
	struct list_head node;		/* in region->client_list */

	struct mal_handles handles;

	/*
	 * Keeps two IMPORTs from making two handles for one buffer. Outermost: the lock is
	 * held while userspace is written to, so mmap() and faults must not take it.
	 */
	struct mutex import_lock;
};

/* The file operations of the device node. */
int mal_client_open(struct inode *inode, struct file *file);
int mal_client_release(struct inode *inode, struct file *file);
int mal_client_mmap(struct file *file, struct vm_area_struct *vma);
void mal_client_show_fdinfo(struct seq_file *seq, struct file *file);

/* The client that @file is; or NULL. */
struct mal_client *mal_client_of(const struct file *file);

#endif /* MAL_CLIENT_H */
