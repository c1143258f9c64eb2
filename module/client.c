// SPDX-License-Identifier: GPL-2.0-only
/* The client: one open file. Closing it, in whatever way, gives up its handles. */
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "charge.h"
#include "client.h"
#include "region.h"

int mal_client_open(struct inode *inode, struct file *file)
{
	struct mal_region *region =
		container_of(file->private_data, struct mal_region, misc);
	struct mal_client *client;

	if (!mal_region_try_get(region))
		return -ENODEV;
	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		goto put_region;
	client->payer = mal_payer_open(&region->users);
	if (!client->payer)
		goto free_client;
	client->region = region;
	client->id = atomic64_inc_return(&region->client_ids);
	client->writable = file->f_mode & FMODE_WRITE;
	mal_handles_init(&client->handles, &region->offsets, client->payer);
	mutex_init(&client->import_lock);
	atomic_inc(&region->clients);
	mutex_lock(&region->clients_lock);
	list_add_tail(&client->node, &region->client_list);
	mutex_unlock(&region->clients_lock);

	file->private_data = client;
	return nonseekable_open(inode, file);

free_client:
	kfree(client);
put_region:
	mal_region_put(region);
	return -ENOMEM;
}

/* Count what the client still had when it was closed. This is no error, so it is only counted. */
static void count_abandoned(struct mal_client *client)
{
	struct mal_region *region = client->region;
	const struct mal_opener *opener = &client->payer->opener;
	const struct mal_holdings held = mal_handles_holdings(&client->handles);

	if (!held.buffers)
		return;
	atomic64_add(held.buffers, &region->abandoned_buffers);
	atomic64_add(held.bytes, &region->abandoned_bytes);
	pr_debug("client of %s[%d] is gone with %llu buffers of %llu bytes\n", opener->comm,
		 opener->pid, held.buffers, held.bytes);
}

int mal_client_release(struct inode *inode, struct file *file)
{
	struct mal_client *client = file->private_data;
	struct mal_region *region = client->region;

	mutex_lock(&region->clients_lock);
	list_del(&client->node);
	mutex_unlock(&region->clients_lock);
	count_abandoned(client);
	mal_handles_destroy(&client->handles);
	mal_payer_close(client->payer);
	atomic_dec(&region->clients);
	mutex_destroy(&client->import_lock);
	kfree(client);
	mal_region_put(region);
	return 0;
}

int mal_client_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mal_client *client = file->private_data;

	return mal_handle_mmap(&client->handles, vma);
}

/* What the client has handles for: /proc/PID/fdinfo/FD. */
void mal_client_show_fdinfo(struct seq_file *seq, struct file *file)
{
	struct mal_client *client = file->private_data;
	const struct mal_holdings held = mal_handles_holdings(&client->handles);

	seq_printf(seq, "memalloc-region:\t%s\n", client->region->name);
	seq_printf(seq, "memalloc-access:\t%s\n", client->writable ? "read-write" : "read-only");
	seq_printf(seq, "memalloc-handles:\t%llu\n", held.handles);
	seq_printf(seq, "memalloc-buffers:\t%llu\n", held.buffers);
	seq_printf(seq, "memalloc-bytes:\t%llu\n", held.bytes);
}

struct mal_client *mal_client_of(const struct file *file)
{
	return file->f_op->release == mal_client_release ? file->private_data : NULL;
}
