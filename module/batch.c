// SPDX-License-Identifier: GPL-2.0-only
/* The calls that make, or give up, many buffers: all of them, or none. */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/memalloc.h>

#include "alloc.h"
#include "call.h"
#include "calls.h"
#include "client.h"

static u8 __user *entry_of(const struct memalloc_batch *batch, u32 i)
{
	return (u8 __user *)u64_to_user_ptr(batch->entries) + (size_t)i * batch->entry_size;
}

/* Copy in an entry. Its size must be the batch's entry_size. */
static int fetch_entry(const struct mal_call_type *type, const struct memalloc_batch *batch, u32 i,
		       struct mal_call_header *entry)
{
	int err = mal_call_fetch(type, entry_of(batch, i), batch->entry_size, entry);

	if (err)
		return err;
	return entry->size == batch->entry_size ? 0 : -EINVAL;
}

/*
 * Copy in all entries, to a new array, @stride bytes apart. The caller frees the array by
 * kvfree().
 */
static void *fetch_entries(const struct mal_call *call, size_t stride)
{
	const struct memalloc_batch *batch = call->arg;
	u8 *entries;
	int err;
	u32 i;

	if (!batch->count || batch->count > MEMALLOC_BATCH_MAX)
		return ERR_PTR(-EINVAL);
	entries = kvmalloc_array(batch->count, stride, GFP_KERNEL_ACCOUNT);
	if (!entries)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < batch->count; i++) {
		err = fetch_entry(call->type->entries, batch, i, (void *)(entries + i * stride));
		if (err) {
			kvfree(entries);
			return ERR_PTR(err);
		}
	}
	return entries;
}

struct alloc_entry {
	struct memalloc_alloc alloc;
	struct mal_handle *handle;
};

/* Make all @count buffers, or none. */
static int make_batch(struct mal_client *client, struct alloc_entry *entries, u32 count)
{
	int err = 0;
	u32 n;

	for (n = 0; n < count; n++) {
		struct alloc_entry *entry = &entries[n];

		cond_resched();
		entry->handle = fatal_signal_pending(current) ? ERR_PTR(-EINTR) :
				mal_call_alloc_handle(client, &entry->alloc);
		err = PTR_ERR_OR_ZERO(entry->handle);
		if (err) {
			mal_alloc_failed(client->region, entry->alloc.length, err);
			break;
		}
	}
	while (err && n--)
		mal_handle_cancel(&client->handles, entries[n].handle);
	return err;
}

static int respond_batch(const struct mal_call *call, const struct alloc_entry *entries)
{
	const struct memalloc_batch *batch = call->arg;
	u32 i;

	for (i = 0; i < batch->count; i++)
		if (mal_call_answer(call->type->entries, entry_of(batch, i), batch->entry_size,
				    &entries[i].alloc))
			return -EFAULT;
	return 0;
}

int mal_call_alloc_batch(struct mal_call *call)
{
	const struct memalloc_batch *batch = call->arg;
	struct mal_client *client = call->client;
	struct alloc_entry *entries;
	int err;
	u32 i;

	entries = fetch_entries(call, sizeof(*entries));
	if (IS_ERR(entries)) {
		mal_alloc_failed(client->region, 0, PTR_ERR(entries));
		return PTR_ERR(entries);
	}
	err = make_batch(client, entries, batch->count);
	if (err)
		goto out;

	err = respond_batch(call, entries);
	if (err)
		mal_alloc_failed(client->region, 0, err);
	for (i = 0; i < batch->count; i++) {
		if (err)
			mal_handle_cancel(&client->handles, entries[i].handle);
		else
			mal_handle_publish(entries[i].handle);
		cond_resched();
	}
out:
	kvfree(entries);
	return err;
}

int mal_call_free_batch(struct mal_call *call)
{
	const struct memalloc_batch *batch = call->arg;
	struct mal_removal *removals;
	int err = 0;
	u32 i;

	removals = fetch_entries(call, sizeof(*removals));
	if (IS_ERR(removals))
		return PTR_ERR(removals);
	for (i = 0; i < batch->count; i++)
		if (removals[i].free.reserved)
			err = -EINVAL;
	if (!err)
		err = mal_handle_remove(&call->client->handles, removals, batch->count);
	kvfree(removals);
	return err;
}
