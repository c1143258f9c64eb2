// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of /sys/kernel/debug/NAME/, NAME being the region's: for root, who has which
 * memory, and whether the region is consistent. An open file holds a reference to the module.
 * The first line of layout, table and clients names the columns. Names are escaped: that of a
 * process may have any character. A buffer may have no name.
 *
 *   layout   the blocks in order, read in slices: see struct memalloc_layout
 *   table    where the pages of each buffer lie that programs map at its mmap offset; likewise
 *   clients  open files of the device
 *   check    the results of check.c
 */
#include <linux/debugfs.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>
#include <linux/user_namespace.h>
#include <linux/memalloc.h>

#include "buffer.h"
#include "charge.h"
#include "check.h"
#include "client.h"
#include "debugfs.h"
#include "region.h"

/* What a block was like and, if it has an extent, who pays for it. It may be gone by now. */
struct entry {
	u64 offset;
	u64 length;
	u32 state;
	bool has_payer;
	bool touched;
	bool disclosed;
	bool attached;
	bool has_table;		/* it is a buffer in use, */
	unsigned long pgoff;	/* with these virtual pages, */
	phys_addr_t physical;	/* and there */
	unsigned int references;
	u64 requested;
	u8 name[MEMALLOC_NAME_LEN];
	struct mal_opener payer;
};

/* An open file, with the slice that it shows now. A position is a page of the region. */
struct layout {
	struct mal_region *region;
	struct entry entries[MAL_ARENA_SLICE];
	u32 read;
	u32 shown;
};

/* The arena calls this under its lock, so the block, its extent and its payer still exist. */
static void copy_piece(const struct mal_arena_piece *piece, void *data)
{
	const struct mal_extent *extent = mal_extent_of(piece->block);
	const struct mal_payer *payer = piece->block ? READ_ONCE(piece->block->payer) : NULL;
	struct layout *layout = data;
	struct entry *entry = &layout->entries[layout->read++];

	lockdep_assert_held(&layout->region->arena.lock);
	*entry = (struct entry) {
		.offset = (u64)piece->first << PAGE_SHIFT,
		.length = (u64)piece->granules << PAGE_SHIFT,
		.state = piece->state,
		.has_payer = payer,
	};
	if (!payer)
		return;
	entry->touched = READ_ONCE(extent->touched);
	entry->requested = READ_ONCE(extent->block.length);
	memcpy(entry->name, extent->block.name, sizeof(entry->name));
	entry->payer = payer->opener;
	if (extent->block.is_buffer) {
		const struct mal_buffer *buffer = mal_buffer_of(extent);

		entry->disclosed = READ_ONCE(buffer->disclosed);
		entry->attached = !list_empty(&buffer->attachments);
		entry->references = kref_read(&buffer->ref);
		entry->pgoff = READ_ONCE(buffer->pgoff);
		/* One that is being made has no mmap offset yet. */
		entry->has_table = piece->state == MEMALLOC_BLOCK_USED && entry->pgoff;
		if (entry->has_table)
			entry->physical = mal_extent_phys(extent);
	}
}

static void *layout_start(struct seq_file *seq, loff_t *pos)
{
	struct layout *layout = seq->private;
	u32 cursor = *pos;

	if (*pos >= layout->region->ranges.granules)
		return NULL;
	if (!cursor)
		mal_arena_empty_ready(&layout->region->arena);
	layout->read = 0;
	layout->shown = 0;
	mal_arena_visit(&layout->region->arena, &cursor, MAL_ARENA_SLICE, copy_piece, layout);
	return layout->entries;
}

static void *layout_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct layout *layout = seq->private;
	const struct entry *entry = v;

	*pos = (entry->offset + entry->length) >> PAGE_SHIFT;
	if (++layout->shown < layout->read)
		return &layout->entries[layout->shown];
	return layout_start(seq, pos);
}

static void layout_stop(struct seq_file *seq, void *v)
{
}

static void show_opener(struct seq_file *seq, const struct mal_opener *opener)
{
	if (uid_valid(opener->uid))
		seq_printf(seq, " %d %u ", opener->pid,
			   from_kuid_munged(seq_user_ns(seq), opener->uid));
	else
		seq_puts(seq, " - - ");
	/* A process may take any name: a terminal has to show it, not to obey it. */
	seq_escape_str(seq, opener->comm, ESCAPE_OCTAL | ESCAPE_NP | ESCAPE_APPEND, " \\");
}

static int layout_show(struct seq_file *seq, void *v)
{
	static const char *const states[] = {
		[MEMALLOC_BLOCK_FREE] = "free",
		[MEMALLOC_BLOCK_USED] = "used",
		[MEMALLOC_BLOCK_QUARANTINED] = "quarantined",
		[MEMALLOC_BLOCK_RETAINED] = "retained",
		[MEMALLOC_BLOCK_RETIRED] = "retired",
		[MEMALLOC_BLOCK_GAP] = "gap",
	};
	const struct entry *entry = v;

	if (!entry->offset)
		seq_puts(seq, "offset length state requested references flags pid uid comm name\n");
	seq_printf(seq, "%llu %llu %s", entry->offset, entry->length, states[entry->state]);
	if (!entry->has_payer) {
		seq_putc(seq, '\n');
		return 0;
	}
	seq_printf(seq, " %llu %u ", entry->requested, entry->references);
	seq_putc(seq, entry->touched ? 't' : '-');
	seq_putc(seq, entry->disclosed ? 'd' : '-');
	seq_putc(seq, entry->attached ? 'a' : '-');
	show_opener(seq, &entry->payer);
	if (entry->name[0]) {
		seq_putc(seq, ' ');
		seq_escape(seq, entry->name, " \\");
	}
	seq_putc(seq, '\n');
	return 0;
}

static const struct seq_operations layout_ops = {
	.start = layout_start,
	.next = layout_next,
	.stop = layout_stop,
	.show = layout_show,
};

static int open_layout(struct inode *inode, struct file *file, const struct seq_operations *ops)
{
	struct layout *layout = __seq_open_private(file, ops, sizeof(*layout));

	if (!layout)
		return -ENOMEM;
	layout->region = inode->i_private;
	return 0;
}

static int layout_open(struct inode *inode, struct file *file)
{
	return open_layout(inode, file, &layout_ops);
}

static const struct file_operations layout_fops = {
	.owner = THIS_MODULE,
	.open = layout_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/* One line says it for all pages of a buffer, which follow each other here and there. */
static int table_show(struct seq_file *seq, void *v)
{
	const struct entry *entry = v;

	if (!entry->offset)
		seq_puts(seq, "mmap_offset offset physical length\n");
	if (entry->has_table)
		seq_printf(seq, "%llu %llu %llu %llu\n", (u64)entry->pgoff << PAGE_SHIFT,
			   entry->offset, (u64)entry->physical, entry->length);
	return 0;
}

static const struct seq_operations table_ops = {
	.start = layout_start,
	.next = layout_next,
	.stop = layout_stop,
	.show = table_show,
};

static int table_open(struct inode *inode, struct file *file)
{
	return open_layout(inode, file, &table_ops);
}

static const struct file_operations table_fops = {
	.owner = THIS_MODULE,
	.open = table_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static void *clients_start(struct seq_file *seq, loff_t *pos)
{
	struct mal_region *region = seq->private;

	mutex_lock(&region->clients_lock);
	return seq_list_start_head(&region->client_list, *pos);
}

static void *clients_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct mal_region *region = seq->private;

	return seq_list_next(v, &region->client_list, pos);
}

static void clients_stop(struct seq_file *seq, void *v)
{
	struct mal_region *region = seq->private;

	mutex_unlock(&region->clients_lock);
}

static int clients_show(struct seq_file *seq, void *v)
{
	struct mal_region *region = seq->private;
	struct mal_client *client = list_entry(v, struct mal_client, node);
	struct mal_holdings held;

	if (v == &region->client_list) {
		seq_puts(seq, "access handles buffers bytes pid uid comm\n");
		return 0;
	}
	held = mal_handles_holdings(&client->handles);
	seq_printf(seq, "%s %llu %llu %llu", client->writable ? "read-write" : "read-only",
		   held.handles, held.buffers, held.bytes);
	show_opener(seq, &client->payer->opener);
	seq_putc(seq, '\n');
	return 0;
}

static const struct seq_operations clients_sops = {
	.start = clients_start,
	.next = clients_next,
	.stop = clients_stop,
	.show = clients_show,
};
DEFINE_SEQ_ATTRIBUTE(clients);

static int moves_show(struct seq_file *seq, void *v)
{
	static const char *const reasons[MAL_STAYS_REASONS] = {
		[MAL_STAYS_HELD] = "held",
		[MAL_STAYS_MAPPED] = "mapped",
		[MAL_STAYS_DISCLOSED] = "disclosed",
		[MAL_STAYS_HUGE] = "huge",
		[MAL_STAYS_NO_ROOM] = "no-room",
		[MAL_STAYS_NO_MEMORY] = "no-memory",
		[MAL_STAYS_GOING] = "going",
	};
	const struct mal_region *region = seq->private;
	const struct mal_move_figures *figures = &region->moves;
	unsigned int reason;

	seq_printf(seq, "moves %llu\n", READ_ONCE(figures->moves));
	seq_printf(seq, "bytes %llu\n", READ_ONCE(figures->moved) << PAGE_SHIFT);
	for (reason = MAL_MOVES + 1; reason < MAL_STAYS_REASONS; reason++)
		seq_printf(seq, "%s %llu\n", reasons[reason], READ_ONCE(figures->stays[reason]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(moves);

static int check_show(struct seq_file *seq, void *v)
{
	struct mal_region *region = seq->private;

	/* What is ready is in the heap meanwhile. */
	mal_arena_pause_ready(&region->arena);
	seq_printf(seq, "blocks: %s\n", mal_check_blocks(region));
	seq_printf(seq, "sums: %s\n", mal_check_sums(region));
	seq_printf(seq, "quarantine: %s\n", mal_check_quarantine(region));
	seq_printf(seq, "clean: %s\n", mal_check_clean(region));
	mal_arena_resume_ready(&region->arena);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(check);

struct dentry *mal_debugfs_create(struct mal_region *region)
{
	/* If @folder is an error, to create files in it or to remove it does nothing. */
	struct dentry *folder = debugfs_create_dir(region->misc.name, NULL);

	debugfs_create_file("layout", 0400, folder, region, &layout_fops);
	debugfs_create_file("table", 0400, folder, region, &table_fops);
	debugfs_create_file("clients", 0400, folder, region, &clients_fops);
	debugfs_create_file("moves", 0400, folder, region, &moves_fops);
	debugfs_create_file("check", 0400, folder, region, &check_fops);
	return folder;
}
