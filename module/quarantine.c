// SPDX-License-Identifier: GPL-2.0-only
/* Keeps pages of buffers out of use until nothing holds them any more. */
#include <linux/module.h>
#include <linux/memalloc.h>

#include "buffer.h"
#include "quarantine.h"
#include "region.h"
#include "trace.h"

#define MAL_RESCAN_MS	50

static void rescan_later(struct mal_quarantine *quarantine)
{
	schedule_delayed_work(&quarantine->rescan, msecs_to_jiffies(MAL_RESCAN_MS));
}

/* Give back what nobody holds of @buffer, which is in a list; whether that was something. */
static bool look_at(struct mal_buffer *buffer)
{
	const u32 returned = mal_buffer_return_idle(buffer);

	if (!buffer->left) {
		list_del(&buffer->quarantine);
		mal_buffer_destroy(buffer);
		module_put(THIS_MODULE);
	}
	return returned;
}

bool mal_quarantine_rescan(struct mal_quarantine *quarantine)
{
	struct mal_buffer *buffer;
	struct mal_buffer *next;
	bool freed = false;

	mutex_lock(&quarantine->lock);
	list_for_each_entry_safe(buffer, next, &quarantine->buffers, quarantine) {
		cond_resched();
		freed |= look_at(buffer);
	}
	mutex_unlock(&quarantine->lock);
	return freed;
}

static void rescan_work(struct work_struct *work)
{
	struct mal_quarantine *quarantine =
		container_of(to_delayed_work(work), struct mal_quarantine, rescan);

	mal_quarantine_rescan(quarantine);

	mutex_lock(&quarantine->lock);
	if (!list_empty(&quarantine->buffers))
		rescan_later(quarantine);
	mutex_unlock(&quarantine->lock);
}

void mal_quarantine_add(struct mal_quarantine *quarantine, struct mal_buffer *buffer)
{
	/* The caller came through a file of ours, which holds a reference too. */
	__module_get(THIS_MODULE);

	trace_memalloc_quarantine(buffer, buffer->first, buffer->pages);
	mutex_lock(&quarantine->lock);
	mal_arena_quarantine(&buffer->region->arena, buffer);
	if (buffer->unreleased) {
		list_add_tail(&buffer->quarantine, &quarantine->unreleased);
	} else {
		list_add_tail(&buffer->quarantine, &quarantine->buffers);
		rescan_later(quarantine);
		look_at(buffer);
	}
	mutex_unlock(&quarantine->lock);
}

/* Under the lock. */
static void release(struct mal_quarantine *quarantine, struct mal_buffer *buffer)
{
	mal_arena_release(&buffer->region->arena, buffer);
	list_move_tail(&buffer->quarantine, &quarantine->buffers);
	rescan_later(quarantine);
}

int mal_quarantine_release(struct mal_quarantine *quarantine, u64 first, u64 pages)
{
	struct mal_buffer *buffer;
	int err = -ENOENT;

	mutex_lock(&quarantine->lock);
	list_for_each_entry(buffer, &quarantine->unreleased, quarantine) {
		if (buffer->first != first)
			continue;
		err = pages && pages != buffer->pages ? -ERANGE : 0;
		if (!err)
			release(quarantine, buffer);
		break;
	}
	mutex_unlock(&quarantine->lock);
	if (!err)
		mal_quarantine_rescan(quarantine);
	return err;
}

void mal_quarantine_release_all(struct mal_quarantine *quarantine)
{
	struct mal_buffer *buffer;
	struct mal_buffer *next;

	mutex_lock(&quarantine->lock);
	list_for_each_entry_safe(buffer, next, &quarantine->unreleased, quarantine)
		release(quarantine, buffer);
	mutex_unlock(&quarantine->lock);
	mal_quarantine_rescan(quarantine);
}

bool mal_quarantine_is_sound(struct mal_quarantine *quarantine)
{
	struct mal_region *region = container_of(quarantine, struct mal_region, quarantine);
	const struct mal_buffer *buffer;
	struct memalloc_stats stats;
	u64 pages = 0, unreleased = 0;
	bool sound = true;

	/* With the lock, no buffer comes, and no page of one goes. */
	mutex_lock(&quarantine->lock);
	list_for_each_entry(buffer, &quarantine->buffers, quarantine) {
		pages += buffer->left;
		sound &= buffer->left && !buffer->unreleased;
	}
	list_for_each_entry(buffer, &quarantine->unreleased, quarantine) {
		unreleased += buffer->left;
		sound &= buffer->left && buffer->unreleased;
	}
	mal_arena_stats(&region->arena, &stats);
	mutex_unlock(&quarantine->lock);
	return sound && stats.unreleased == unreleased << PAGE_SHIFT &&
	       stats.quarantined == (pages + unreleased) << PAGE_SHIFT;
}

void mal_quarantine_init(struct mal_quarantine *quarantine)
{
	mutex_init(&quarantine->lock);
	INIT_LIST_HEAD(&quarantine->buffers);
	INIT_LIST_HEAD(&quarantine->unreleased);
	INIT_DELAYED_WORK(&quarantine->rescan, rescan_work);
}

void mal_quarantine_destroy(struct mal_quarantine *quarantine)
{
	cancel_delayed_work_sync(&quarantine->rescan);
	WARN_ON(!list_empty(&quarantine->buffers));
	WARN_ON(!list_empty(&quarantine->unreleased));
	mutex_destroy(&quarantine->lock);
}
