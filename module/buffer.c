// SPDX-License-Identifier: GPL-2.0-only
/*
 * The buffer: from the block that the arena gives to the moment when the last
 * user and the last pin of a page are gone.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "buffer.h"
#include "region.h"

struct page *mal_buffer_page(const struct mal_buffer *buffer, u32 index)
{
	return mal_region_page(buffer->region, buffer->first + index);
}

static int zero_pages(const struct mal_buffer *buffer)
{
	u32 i;

	for (i = 0; i < buffer->pages; i++) {
		clear_highpage(mal_buffer_page(buffer, i));
		if (IS_ALIGNED(i + 1, MAX_ORDER_NR_PAGES)) {
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
	}
	return 0;
}

struct mal_buffer *mal_buffer_create(struct mal_region *region, u64 length, u32 align)
{
	struct mal_buffer *buffer;
	int err;

	if (length > (u64)region->claim.pages << PAGE_SHIFT)
		return ERR_PTR(-EFBIG);

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	kref_init(&buffer->ref);
	buffer->region = region;
	buffer->length = length;
	buffer->pages = DIV_ROUND_UP_ULL(length, PAGE_SIZE);
	mutex_init(&buffer->attach_lock);
	INIT_LIST_HEAD(&buffer->attachments);
	dma_resv_init(&buffer->resv);

	err = mal_arena_alloc(&region->arena, buffer, align);
	if (err && mal_quarantine_rescan(&region->quarantine))
		err = mal_arena_alloc(&region->arena, buffer, align);
	if (err)
		goto free_buffer;

	err = zero_pages(buffer);
	if (err)
		goto free_block;

	err = mal_offset_add(&region->offsets, buffer);
	if (err)
		goto free_block;
	return buffer;

free_block:
	mal_arena_free(&region->arena, buffer);
free_buffer:
	dma_resv_fini(&buffer->resv);
	kfree(buffer);
	return ERR_PTR(err);
}

bool mal_buffer_idle(struct mal_buffer *buffer)
{
	if (!buffer->exposed)
		return true;
	/* A driver may have dropped its dma-buf before its device has finished. */
	if (!dma_resv_test_signaled(&buffer->resv, DMA_RESV_USAGE_BOOKKEEP))
		return false;

	/* A page that was idle stays so: nobody can reach it any more. */
	for (; buffer->idle < buffer->pages; buffer->idle++) {
		struct page *page = mal_buffer_page(buffer, buffer->idle);

		/* Not a mere read: it orders what the holder did before what we'll do. */
		if (!page_ref_freeze(page, 1))
			return false;
		page_ref_unfreeze(page, 1);
		if (IS_ALIGNED(buffer->idle + 1, MAX_ORDER_NR_PAGES))
			cond_resched();
	}
	return true;
}

void mal_buffer_destroy(struct mal_buffer *buffer)
{
	mal_arena_free(&buffer->region->arena, buffer);
	mutex_destroy(&buffer->attach_lock);
	dma_resv_fini(&buffer->resv);
	kfree(buffer);
}

static void release(struct kref *ref)
{
	struct mal_buffer *buffer = container_of(ref, struct mal_buffer, ref);
	struct mal_region *region = buffer->region;

	mal_offset_remove(&region->offsets, buffer);
	if (mal_buffer_idle(buffer))
		mal_buffer_destroy(buffer);
	else
		mal_quarantine_add(&region->quarantine, buffer);
}

void mal_buffer_put(struct mal_buffer *buffer)
{
	kref_put(&buffer->ref, release);
}
