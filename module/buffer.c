// SPDX-License-Identifier: GPL-2.0-only
/*
 * The buffer: from the block that the arena gives to the moment when the last
 * user and the last pin of a page are gone.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/slab.h>

#include "buffer.h"
#include "charge.h"
#include "mapping.h"
#include "region.h"
#include "trace.h"

struct page *mal_buffer_page(const struct mal_buffer *buffer, u32 index)
{
	return mal_region_page(buffer->region, buffer->first + index);
}

/* Granules [@first, @first + @pages) of the buffer are about to go back to the heap. */
static void mark_dirty(const struct mal_buffer *buffer, u32 first, u32 pages)
{
	if (buffer->exposed)
		mal_clean_soil(&buffer->region->clean, first, pages, buffer->written);
}

static void give_back_block(struct mal_buffer *buffer)
{
	struct mal_region *region = buffer->region;

	trace_memalloc_free(buffer, buffer->first, buffer->pages);
	mark_dirty(buffer, buffer->first, buffer->pages);
	mal_arena_free(&region->arena, buffer);
	mal_clean_later(&region->clean);
}

/* Of the quarantined buffer, with the charge for it. */
static void give_back_part(struct mal_buffer *buffer, u32 first, u32 pages)
{
	trace_memalloc_free(buffer, first, pages);
	mark_dirty(buffer, first, pages);
	mal_arena_free_part(&buffer->region->arena, buffer, first, pages);
	mal_uncharge(buffer->payer, (u64)pages << PAGE_SHIFT, !buffer->left && !buffer->part);
}

/* Of the quarantined buffer, a page that nobody gets any more, nor pays for. */
static void retire(struct mal_buffer *buffer, u32 page)
{
	mark_dirty(buffer, page, 1);
	mal_clean_retire(&buffer->region->clean, page);
	mal_arena_retire(&buffer->region->arena, buffer, page, 1);
	mal_uncharge(buffer->payer, PAGE_SIZE, !buffer->left && !buffer->part);
}

/* Charge for the block that @buffer is about to take. */
static int charge(struct mal_buffer *buffer)
{
	int err = mal_charge(buffer->payer, mal_buffer_real_length(buffer), !buffer->part);

	if (!err)
		return 0;
	if (mal_quarantine_look(buffer->payer))
		err = mal_charge(buffer->payer, mal_buffer_real_length(buffer), !buffer->part);
	if (err)
		mal_charge_log_refusal(buffer->payer, mal_buffer_real_length(buffer),
				       !buffer->part);
	return err;
}

static void uncharge(struct mal_buffer *buffer)
{
	mal_uncharge(buffer->payer, mal_buffer_real_length(buffer), !buffer->part);
}

/* A buffer, or a part of one, that has no block yet. */
static struct mal_buffer *new_buffer(struct mal_region *region, struct mal_payer *payer, bool part)
{
	struct mal_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	kref_init(&buffer->ref);
	atomic_set(&buffer->shares, 1);
	buffer->region = region;
	buffer->payer = payer;
	buffer->part = part;
	init_rwsem(&buffer->size_lock);
	mutex_init(&buffer->attach_lock);
	INIT_LIST_HEAD(&buffer->attachments);
	dma_resv_init(&buffer->resv);
	return buffer;
}

/* The granule that @req does not let @buffer reach, however long it may become. */
static u32 end_max(const struct mal_buffer *buffer, const struct mal_request *req)
{
	u32 end = req->hi ?: buffer->region->claim.pages;

	if (req->boundary)
		end = min(end, (buffer->first | (req->boundary - 1)) + 1);
	return end;
}

/* A part has no @length. -EHWPOISON: a page of it was poisoned, and is retired now. */
static struct mal_buffer *try_to_create(struct mal_region *region, struct mal_payer *payer,
					u64 length, const struct mal_request *req)
{
	struct mal_buffer *buffer = new_buffer(region, payer, !length);
	int err;

	if (IS_ERR(buffer))
		return buffer;
	buffer->length = length;
	buffer->pages = req->size;

	err = charge(buffer);
	if (err)
		goto free_buffer;

	err = mal_arena_alloc(&region->arena, buffer, req);
	if (err == -ENOMEM && mal_quarantine_look(payer))
		err = mal_arena_alloc(&region->arena, buffer, req);
	if (err)
		goto uncharge;
	trace_memalloc_alloc(buffer, buffer->first, buffer->pages);

	err = mal_clean_take(&region->clean, buffer->first, buffer->pages);
	if (err == -EHWPOISON) {
		/* As if it had been freed, with that page in it. */
		mal_quarantine_add(&region->quarantine, buffer);
		return ERR_PTR(err);
	}
	if (err)
		goto free_block;

	buffer->end_max = end_max(buffer, req);
	err = buffer->part ? 0 : mal_offset_add(&region->offsets, buffer);
	if (err)
		goto free_block;
	return buffer;

free_block:
	give_back_block(buffer);
uncharge:
	uncharge(buffer);
free_buffer:
	mal_buffer_destroy(buffer);
	return ERR_PTR(err);
}

struct mal_buffer *mal_buffer_create(struct mal_region *region, struct mal_payer *payer,
				     u64 length, const struct mal_request *req)
{
	struct mal_buffer *buffer;

	do {
		buffer = try_to_create(region, payer, length, req);
	} while (buffer == ERR_PTR(-EHWPOISON));
	return buffer;
}

/*
 * Whether nobody holds the page, which no process has mapped any more, and it is sound. If
 * nobody does, it stays so: it can't be reached any more. Not a mere read: it orders what the
 * holder did before what we'll do. In any case, the page leaves its address space.
 */
static bool is_idle_page(struct page *page)
{
	if (!page_ref_freeze(page, 1)) {
		mal_space_remove_page(page);
		return false;
	}
	page->mapping = NULL;
	page_ref_unfreeze(page, 1);
	return !PageHWPoison(page);
}

/* A driver may have dropped its dma-buf before its device has finished. */
static bool devices_are_done(struct mal_buffer *buffer)
{
	return dma_resv_test_signaled(&buffer->resv, DMA_RESV_USAGE_BOOKKEEP);
}

/* Pages from @first on that are idle, up to @end. */
static u32 count_idle(const struct mal_buffer *buffer, u32 first, u32 end)
{
	const struct mal_region *region = buffer->region;
	u32 at;

	for (at = first; at < end; at++) {
		if (!is_idle_page(mal_region_page(region, at)))
			break;
		if (IS_ALIGNED(at + 1, MAX_ORDER_NR_PAGES))
			cond_resched();
	}
	return at - first;
}

/* Look at the next pages of the first piece: those that are idle, or one that is not. */
static u32 return_idle_of_piece(struct mal_buffer *buffer, u32 *budget)
{
	struct mal_arena *arena = &buffer->region->arena;
	u32 first, pages, at, idle;

	mal_arena_first_piece(arena, buffer, &first, &pages);
	at = first + buffer->seen;
	idle = count_idle(buffer, at, first + pages);
	buffer->unseen -= idle ?: 1;
	if (idle) {
		buffer->seen = 0;
		give_back_part(buffer, at, idle);
	} else if (PageHWPoison(mal_region_page(buffer->region, at))) {
		buffer->seen = 0;
		idle = 1;
		retire(buffer, at);
	} else {
		--*budget;
		buffer->seen++;
		if (buffer->seen == pages) {
			buffer->seen = 0;
			mal_arena_rotate_pieces(arena, buffer);
		}
	}
	return idle;
}

u32 mal_buffer_return_idle(struct mal_buffer *buffer, u32 *budget)
{
	u32 returned = 0;

	if (!devices_are_done(buffer)) {
		--*budget;
		buffer->unseen = 0;
		return 0;
	}
	if (!buffer->unseen) {
		buffer->unseen = buffer->left;
		buffer->seen = 0;
	}
	while (buffer->unseen && *budget) {
		returned += return_idle_of_piece(buffer, budget);
		cond_resched();
	}
	if (returned)
		mal_clean_later(&buffer->region->clean);
	return returned;
}

void mal_buffer_destroy(struct mal_buffer *buffer)
{
	mutex_destroy(&buffer->attach_lock);
	dma_resv_fini(&buffer->resv);
	kfree(buffer);
}

/*
 * No process maps the buffer any more: its pages leave its address space. Whether nobody holds
 * one of them, and all are sound.
 */
static bool leave_space(struct mal_buffer *buffer)
{
	const u32 end = buffer->first + buffer->pages;
	u32 at = buffer->first;
	u32 idle = 0;

	while (at < end) {
		u32 n = count_idle(buffer, at, end);

		idle += n;
		at += n + 1;
		cond_resched();
	}
	return idle == buffer->pages;
}

static void release(struct kref *ref)
{
	struct mal_buffer *buffer = container_of(ref, struct mal_buffer, ref);
	struct mal_region *region = buffer->region;
	bool is_idle = !buffer->exposed || (leave_space(buffer) && devices_are_done(buffer));

	if (buffer->mapping_file)
		fput(buffer->mapping_file);
	if (!buffer->part)
		mal_offset_remove(&region->offsets, buffer);
	if (is_idle && !buffer->unreleased) {
		give_back_block(buffer);
		uncharge(buffer);
		mal_buffer_destroy(buffer);
	} else {
		mal_quarantine_add(&region->quarantine, buffer);
	}
}

void mal_buffer_put(struct mal_buffer *buffer)
{
	kref_put(&buffer->ref, release);
}

void mal_buffer_unshare(struct mal_buffer *buffer)
{
	/* Pairs with the acquire in client.c: what was done with the share is seen there. */
	(void)atomic_fetch_dec_release(&buffer->shares);
	mal_buffer_put(buffer);
}

u64 mal_buffer_size(struct mal_buffer *buffer, u64 *length)
{
	u64 size;

	down_read(&buffer->size_lock);
	size = mal_buffer_real_length(buffer);
	*length = buffer->length;
	up_read(&buffer->size_lock);
	return size;
}

struct mal_buffer *mal_buffer_create_part(struct mal_buffer *buffer, u32 pages, u32 new_pages)
{
	struct mal_region *region = buffer->region;
	const struct mal_request behind = {
		.size = new_pages - pages,
		.align = 1,
		.lo = buffer->first + pages,
		.hi = buffer->first + new_pages,
	};

	if (new_pages == pages)
		return NULL;
	if (new_pages < pages)
		return new_buffer(region, buffer->payer, true);
	if (new_pages > mal_offset_room(&region->offsets, buffer))
		return ERR_PTR(-ENOSPC);
	if (behind.hi > buffer->end_max)
		return ERR_PTR(-ENOMEM);
	return mal_buffer_create(region, buffer->payer, 0, &behind);
}

int mal_buffer_resize(struct mal_buffer *buffer, struct mal_buffer *part, u32 new_pages,
		      u64 length)
{
	if (!devices_are_done(buffer))
		return -EBUSY;
	/*
	 * Pages are mapped under this lock, after a look at the size. So what is mapped of
	 * those that are cut off is so by now, and can be unmapped in the end.
	 */
	down_write(&buffer->size_lock);
	if (new_pages < buffer->pages) {
		part->exposed = buffer->exposed;
		part->written = buffer->written;
	}
	mal_arena_resize(&buffer->region->arena, buffer, part, new_pages, length);
	up_write(&buffer->size_lock);
	return 0;
}

void mal_buffer_drop_part(struct mal_buffer *buffer, struct mal_buffer *part)
{
	if (!part)
		return;
	if (!part->pages) {
		mal_buffer_destroy(part);
		return;
	}
	mal_unmap(buffer, part->first - buffer->first, part->pages);
	mal_buffer_unshare(part);
}
