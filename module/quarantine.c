// SPDX-License-Identifier: GPL-2.0-only
/* Keeps buffers out of use until nothing holds a page of them any more. */
#include <linux/module.h>

#include "buffer.h"
#include "quarantine.h"
#include "region.h"

#define MAL_RESCAN_MS	50

static void rescan_later(struct mal_quarantine *quarantine)
{
	schedule_delayed_work(&quarantine->rescan, msecs_to_jiffies(MAL_RESCAN_MS));
}

bool mal_quarantine_rescan(struct mal_quarantine *quarantine)
{
	struct mal_buffer *buffer;
	struct mal_buffer *next;
	bool freed = false;

	mutex_lock(&quarantine->lock);
	list_for_each_entry_safe(buffer, next, &quarantine->buffers, quarantine) {
		cond_resched();
		if (!mal_buffer_idle(buffer))
			continue;
		list_del(&buffer->quarantine);
		mal_buffer_destroy(buffer);
		module_put(THIS_MODULE);
		freed = true;
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
	mal_arena_quarantine(&buffer->region->arena, buffer);

	mutex_lock(&quarantine->lock);
	list_add_tail(&buffer->quarantine, &quarantine->buffers);
	rescan_later(quarantine);
	mutex_unlock(&quarantine->lock);
}

void mal_quarantine_init(struct mal_quarantine *quarantine)
{
	mutex_init(&quarantine->lock);
	INIT_LIST_HEAD(&quarantine->buffers);
	INIT_DELAYED_WORK(&quarantine->rescan, rescan_work);
}

void mal_quarantine_destroy(struct mal_quarantine *quarantine)
{
	cancel_delayed_work_sync(&quarantine->rescan);
	WARN_ON(!list_empty(&quarantine->buffers));
	mutex_destroy(&quarantine->lock);
}
