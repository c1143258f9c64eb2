// SPDX-License-Identifier: GPL-2.0-only
/* The address spaces that the mappings of buffers are in, each of an inode of its own. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>

#include "space.h"

#define MAL_FS_MAGIC	0x6d656d61

static int mal_fs_init(struct fs_context *fc)
{
	return init_pseudo(fc, MAL_FS_MAGIC) ? 0 : -ENOMEM;
}

/*
 * Holds the inodes; no file is ever opened on it. It has no owner: its mount would keep the module
 * from being unloaded. The mount is gone before the module is.
 */
static struct file_system_type mal_fs = {
	.name = KBUILD_MODNAME,
	.init_fs_context = mal_fs_init,
	.kill_sb = kill_anon_super,
};

int mal_spaces_init(struct mal_spaces *spaces, void (*closed)(struct mal_spaces *spaces))
{
	spaces->mnt = kern_mount(&mal_fs);
	if (IS_ERR(spaces->mnt))
		return PTR_ERR(spaces->mnt);
	spaces->mnt->mnt_sb->s_fs_info = spaces;
	spaces->closed = closed;
	return 0;
}

void mal_spaces_destroy(struct mal_spaces *spaces)
{
	kern_unmount(spaces->mnt);
}

void mal_spaces_unmap_all(struct mal_spaces *spaces)
{
	struct super_block *sb = spaces->mnt->mnt_sb;
	struct inode *previous = NULL;
	struct inode *inode;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		/* Otherwise the inode is going, and nothing is mapped. */
		if (!igrab(inode))
			continue;
		spin_unlock(&sb->s_inode_list_lock);
		iput(previous);
		previous = inode;
		unmap_mapping_range(inode->i_mapping, 0, 0, true);
		cond_resched();
		/* It is in the list as long as there is a reference to it. */
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(previous);
}

static int space_release(struct inode *inode, struct file *file)
{
	struct inode *space = file->private_data;
	struct mal_spaces *spaces = space->i_sb->s_fs_info;

	iput(space);
	spaces->closed(spaces);
	return 0;
}

static const struct file_operations space_fops = {
	.owner = THIS_MODULE,
	.release = space_release,
};

/*
 * The file is on the kernel's own anonymous mount. A file on our mount, when it is closed, would
 * drop its reference to the module, and then still use the module's file system.
 */
struct file *mal_space_create_file(struct mal_spaces *spaces, const char *name)
{
	struct inode *inode = alloc_anon_inode(spaces->mnt->mnt_sb);
	struct file *file;

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	/* In the list of mal_spaces_unmap_all(): the kernel leaves such inodes out. */
	inode_sb_list_add(inode);
	file = anon_inode_getfile(name, &space_fops, inode, O_RDWR);
	if (IS_ERR(file))
		iput(inode);
	else
		file->f_mapping = inode->i_mapping;
	return file;
}

void mal_spare_close(struct mal_spare *spare)
{
	struct file *file = xchg(&spare->file, MAL_NO_SPARE);

	if (!IS_ERR_OR_NULL(file))
		fput(file);
}

struct file *mal_spare_take(struct mal_spare *spare)
{
	struct file *file = READ_ONCE(spare->file);

	if (IS_ERR_OR_NULL(file) || cmpxchg(&spare->file, file, NULL) != file)
		return NULL;
	return file;
}

bool mal_spare_put(struct mal_spare *spare, struct file *file)
{
	/*
	 * The kernel's key of a futex has this number. Without a new one, somebody who still waits
	 * at a word of the last buffer would be woken in place of those who wait in the next.
	 */
	atomic64_set(&file->f_mapping->host->i_sequence, 0);
	return !cmpxchg(&spare->file, NULL, file);
}

void mal_space_wait_for_holder(struct page *page)
{
	/* A holder that marks the page dirty uses its address space under the page lock. */
	lock_page(page);
	unlock_page(page);
}
