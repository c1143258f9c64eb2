// SPDX-License-Identifier: GPL-2.0-only
/* The calls that make, or give up, many buffers: all of them, or none. */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/memalloc.h>

#include "alloc.h"
#include "buffer.h"
#include "call.h"
#include "calls.h"
#include "client.h"
#include "bounds.h"
#include "demand.h"

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

/* An ALLOC_BATCH under way. */
struct alloc_entry {
	struct memalloc_alloc alloc;
	struct mal_bounds bounds;
};

struct alloc_batch {
	struct mal_client *client;
	u32 count;
	struct alloc_entry *entries;
	struct mal_buffer **buffers;
};

/* What all entries ask for, and how many bytes these are. */
static int place_entries(const struct alloc_batch *batch, u64 *bytes)
{
	u32 i;

	*bytes = 0;
	for (i = 0; i < batch->count; i++) {
		struct alloc_entry *entry = &batch->entries[i];
		int err = mal_call_place(batch->client, &entry->alloc, &entry->bounds);

		if (err) {
			mal_alloc_failed(batch->client->region, entry->alloc.length, err);
			return err;
		}
		*bytes += (u64)entry->bounds.req.size << PAGE_SHIFT;
	}
	return 0;
}

/* Make all buffers, or none. The payer has been charged for all, and after an error is for none. */
static int make_buffers(const struct alloc_batch *batch, u64 bytes)
{
	struct mal_client *client = batch->client;
	int err = 0;
	u32 n;

	for (n = 0; n < batch->count; n++) {
		const struct alloc_entry *entry = &batch->entries[n];

		cond_resched();
		batch->buffers[n] = fatal_signal_pending(current) ? ERR_PTR(-EINTR) :
				    mal_demand_create(client->region, client->payer,
						      entry->alloc.length, &entry->bounds,
						      mal_buffer_create_charged);
		err = PTR_ERR_OR_ZERO(batch->buffers[n]);
		if (err) {
			mal_alloc_failed(client->region, entry->alloc.length, err);
			mal_uncharge(client->payer, bytes, batch->count - n);
			break;
		}
		batch->buffers[n]->huge = entry->alloc.flags & MEMALLOC_ALLOC_HUGE;
		bytes -= (u64)entry->bounds.req.size << PAGE_SHIFT;
	}
	while (err && n--)
		mal_buffer_unshare(batch->buffers[n]);
	return err;
}

/* The same for a payer who has not been charged. */
static int charge_and_make_buffers(const struct alloc_batch *batch, u64 bytes)
{
	struct mal_client *client = batch->client;
	int err = mal_alloc_charge(client->payer, bytes, batch->count);

	if (!err)
		return make_buffers(batch, bytes);
	mal_alloc_failed(client->region, 0, err);
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

/* The buffers get handles, userspace their numbers. */
static int publish_buffers(const struct mal_call *call, const struct alloc_batch *batch)
{
	struct mal_handles *handles = &batch->client->handles;
	int err;
	u32 i;

	mal_handles_add_first(handles, batch->buffers, batch->count, batch->client->writable);
	for (i = 0; i < batch->count; i++)
		mal_call_fill_alloc(&batch->entries[i].alloc, batch->buffers[i]);
	err = respond_batch(call, batch->entries);
	if (err)
		mal_alloc_failed(batch->client->region, 0, err);
	for (i = 0; i < batch->count; i++) {
		if (err)
			mal_handle_cancel(handles, &batch->buffers[i]->first_handle);
		else
			mal_handle_publish(&batch->buffers[i]->first_handle);
		cond_resched();
	}
	return err;
}

int mal_call_alloc_batch(struct mal_call *call)
{
	struct alloc_batch batch = {
		.client = call->client,
		.count = ((const struct memalloc_batch *)call->arg)->count,
	};
	u64 bytes;
	int err;

	batch.entries = fetch_entries(call, sizeof(*batch.entries));
	if (IS_ERR(batch.entries)) {
		err = PTR_ERR(batch.entries);
		goto failure;
	}
	batch.buffers = kvmalloc_array(batch.count, sizeof(*batch.buffers), GFP_KERNEL_ACCOUNT);
	if (!batch.buffers) {
		kvfree(batch.entries);
		err = -ENOMEM;
		goto failure;
	}
	err = place_entries(&batch, &bytes);
	if (!err)
		err = charge_and_make_buffers(&batch, bytes);
	if (!err)
		err = publish_buffers(call, &batch);
	kvfree(batch.buffers);
	kvfree(batch.entries);
	return err;

failure:
	mal_alloc_failed(call->client->region, 0, err);
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
		err = mal_handles_remove(&call->client->handles, removals, batch->count);
	kvfree(removals);
	return err;
}
