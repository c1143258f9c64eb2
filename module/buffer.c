// SPDX-License-Identifier: GPL-2.0-only
/* The buffer, from its allocation until its last user is gone. */
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "alloc.h"
#include "buffer.h"
#include "look/trace.h"

static_assert(!offsetof(struct mal_buffer, extent));

static noinline struct mal_buffer *new_buffer(struct mal_region *region, struct mal_payer *payer,
					      u64 length, u32 pages, bool reusable)
{
	const bool for_all = reusable && pages <= MAL_READY_MAX;
	struct mal_buffer *buffer;

	buffer = kzalloc(sizeof(*buffer), for_all ? GFP_KERNEL : GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return NULL;
	mal_extent_init(&buffer->extent, region, payer, pages);
	buffer->extent.block.length = length;
	buffer->extent.block.is_buffer = true;
	buffer->reusable = reusable;
	mutex_init(&buffer->attach_lock);
	INIT_LIST_HEAD(&buffer->attachments);
	return buffer;
}

/* It has no block any more, and no slot of mmap offsets but that of its place. */
static void destroy_buffer(struct mal_buffer *buffer)
{
	mutex_destroy(&buffer->attach_lock);
	mal_extent_destroy(&buffer->extent);
}

/* May any ready buffer of that size serve the request? */
static bool takes_what_is_ready(struct mal_region *region, const struct mal_bounds *bounds)
{
	return bounds->req.align == 1 && !(bounds->req.boundary | bounds->end) &&
	       mal_arena_keeps_ready(&region->arena);
}

/* NULL: this CPU has none. */
static struct mal_buffer *take_ready_buffer(struct mal_region *region, struct mal_payer *payer,
					    u64 length, u32 pages)
{
	struct mal_block *block = mal_arenas_take(&region->arena.cpus, pages, length, payer);

	return block ? mal_buffer_of(mal_extent_of(block)) : NULL;
}

/* For a buffer that has just got its block. */
static noinline int add_offset(struct mal_buffer *buffer)
{
	const struct mal_block *block = &buffer->extent.block;
	struct mal_offsets *offsets = &buffer->extent.region->offsets;
	unsigned long pgoff;
	int err;

	err = mal_offset_add(offsets, block->first, block->granules, &pgoff);
	if (err)
		return err;
	/* The block is in the layout already, where this is read. */
	WRITE_ONCE(buffer->pgoff, pgoff);
	if (mal_offset_is_overflow(offsets, pgoff))
		buffer->reusable = false;
	return 0;
}

struct mal_buffer *mal_buffer_create_charged(struct mal_region *region, struct mal_payer *payer,
					     u64 length, const struct mal_bounds *bounds)
{
	const bool reusable = takes_what_is_ready(region, bounds);
	struct mal_buffer *buffer = NULL;
	struct mal_dmem_ref dmem = {};
	u32 ready_place;
	int err;

	err = mal_alloc_charge_group(region, payer, (u64)bounds->req.size << PAGE_SHIFT, &dmem);
	if (err)
		return ERR_PTR(err);
	if (reusable && bounds->req.size <= MAL_READY_MAX)
		buffer = take_ready_buffer(region, payer, length, bounds->req.size);
	if (!buffer)
		buffer = new_buffer(region, payer, length, bounds->req.size, reusable);
	if (!buffer) {
		mal_dmem_put(&dmem);
		return ERR_PTR(-ENOMEM);
	}
	buffer->extent.dmem = dmem;
	ready_place = buffer->extent.block.first;
	err = mal_alloc_charged(&buffer->extent, bounds);
	if (err)
		goto destroy;
	atomic_set(&buffer->shares, 1);
	buffer->bounds = *bounds;
	if (unlikely(buffer->extent.block.first != ready_place)) {
		err = add_offset(buffer);
		if (err)
			goto free;
	}
	/* All that went before: pairs with mal_buffer_claim(). */
	smp_wmb();
	kref_init(&buffer->ref);
	return buffer;

free:
	mal_extent_free_block(&buffer->extent, false);
destroy:
	destroy_buffer(buffer);
	return ERR_PTR(err);
}

/* The client kept @block, which still has its charge, its reference and its share. */
static __always_inline struct mal_buffer *
use_kept_block(struct mal_region *region, struct mal_payer *payer, struct mal_block *block)
{
	mal_magazine_use(&payer->magazine, block);
	trace_memalloc_alloc(region->name, block, block->first, block->granules);
	return mal_buffer_of(mal_extent_of(block));
}

/* The same for its cgroup. False: that may not have it. */
static __always_inline bool charge_kept_block(struct mal_region *region,
					      const struct mal_payer *payer,
					      struct mal_block *block)
{
	struct mal_extent *extent = mal_extent_of(block);

	return !mal_alloc_try_charge_group(region, payer, mal_extent_size(extent), &extent->dmem);
}

/* @kept: a block which the client kept, of another size or length or not to be had; or NULL. */
static noinline struct mal_buffer *create_buffer(struct mal_region *region,
						 struct mal_payer *payer, u64 length,
						 const struct mal_bounds *bounds,
						 struct mal_block *kept)
{
	const u64 bytes = (u64)bounds->req.size << PAGE_SHIFT;
	struct mal_buffer *buffer;
	int err;

	if (kept && kept->granules == bounds->req.size &&
	    charge_kept_block(region, payer, kept) &&
	    mal_arenas_set_length(&region->arena.cpus, kept, length))
		return use_kept_block(region, payer, kept);
	/* Else the heap would place the new one beside it, and less would stay in one piece. */
	if (kept)
		mal_magazine_release(&region->arena.magazines, kept);
	err = mal_alloc_charge(payer, bytes, 1);
	if (err)
		return ERR_PTR(err);
	buffer = mal_buffer_create_charged(region, payer, length, bounds);
	if (IS_ERR(buffer))
		mal_uncharge(payer, bytes, 1);
	return buffer;
}

struct mal_buffer *mal_buffer_create(struct mal_region *region, struct mal_payer *payer,
				     u64 length, const struct mal_bounds *bounds)
{
	struct mal_block *block = NULL;

	if (takes_what_is_ready(region, bounds) && mal_payer_is_within_limits(payer))
		block = mal_magazine_take(&payer->magazine, bounds->req.size);
	if (block && block->granules == bounds->req.size && block->length == length &&
	    charge_kept_block(region, payer, block))
		return use_kept_block(region, payer, block);
	return create_buffer(region, payer, length, bounds, block);
}

/* Nothing of its last user is left in it, but its block, its mmap offset and who pays. */
static void clear_buffer(struct mal_buffer *buffer)
{
	struct mal_extent *extent = &buffer->extent;
	static const u8 no_name[MEMALLOC_NAME_LEN];

	if (extent->block.name[0])
		mal_arena_copy_name(&extent->region->arena, extent->block.name, no_name);
	/* Fences come by a dma-buf that nobody has mapped or attached, too. */
	if (rcu_access_pointer(extent->resv.fences)) {
		dma_resv_fini(&extent->resv);
		dma_resv_init(&extent->resv);
	}
	WRITE_ONCE(buffer->disclosed, false);
}

/* Free the idle buffer so that it is ready for anybody. False: only its block is free. */
static bool make_ready(struct mal_buffer *buffer)
{
	struct mal_extent *extent = &buffer->extent;
	struct mal_payer *payer = extent->block.payer;
	const u64 bytes = mal_extent_size(extent);
	struct mal_dmem_ref dmem = extent->dmem;
	bool is_ready;

	clear_buffer(buffer);
	extent->dmem = (struct mal_dmem_ref){};
	is_ready = mal_extent_free_block(extent, true);
	mal_dmem_put(&dmem);
	mal_uncharge(payer, bytes, true);
	return is_ready;
}

static bool can_be_ready(const struct mal_buffer *buffer)
{
	const struct mal_block *block = &buffer->extent.block;

	return buffer->reusable && block->granules <= MAL_READY_MAX && !block->retained;
}

static void release_mapping_file(struct mal_buffer *buffer, bool is_idle)
{
	struct mal_spare *spare = &buffer->extent.block.payer->spare;

	if (!is_idle || !buffer->owns_file || !mal_spare_put(spare, buffer->mapping_file))
		fput(buffer->mapping_file);
	/* Who moves buffers looks whether there is one. */
	WRITE_ONCE(buffer->mapping_file, NULL);
	buffer->owns_file = false;
}

/* Who moves the buffer has to end that first. */
static void wait_for_claim(struct mal_buffer *buffer)
{
	bool *claimed = &buffer->extent.block.claimed;

	/* Sees what was done by the claim: pairs with mal_buffer_end_claim(). */
	wait_var_event(claimed, !smp_load_acquire(claimed));
}

static void release_buffer(struct kref *ref)
{
	struct mal_buffer *buffer = container_of(ref, struct mal_buffer, ref);
	bool is_idle;

	/* The last reference goes first: pairs with mal_buffer_claim(). */
	smp_mb__after_atomic();
	wait_for_claim(buffer);
	/* Pages leave their address space before it goes with the file. */
	is_idle = mal_extent_detach_pages(&buffer->extent);
	if (buffer->mapping_file)
		release_mapping_file(buffer, is_idle);
	if (is_idle && can_be_ready(buffer)) {
		if (!make_ready(buffer))
			destroy_buffer(buffer);
		return;
	}
	/* Before another can begin at its place. */
	mal_offset_remove(&buffer->extent.region->offsets, buffer->pgoff);
	mutex_destroy(&buffer->attach_lock);
	mal_free(&buffer->extent, is_idle);
}

void mal_buffer_release(struct mal_block *block)
{
	struct mal_buffer *buffer = mal_buffer_of(mal_extent_of(block));
	struct mal_region *region = buffer->extent.region;

	wait_for_claim(buffer);
	/* It was moved on its way into a magazine; see also mal_buffer_end_claim(). */
	if (!buffer->reusable && !block->left)
		mal_offset_remove(&region->offsets, buffer->pgoff);
	mal_clean_queue(&region->clean);
	destroy_buffer(buffer);
}

void mal_buffer_put(struct mal_buffer *buffer)
{
	might_sleep();
	kref_put(&buffer->ref, release_buffer);
}

void mal_buffer_unshare(struct mal_buffer *buffer)
{
	/* Pairs with the acquire in handle.c, which sees all that was done with the share. */
	(void)atomic_fetch_dec_release(&buffer->shares);
	mal_buffer_put(buffer);
}

static bool can_be_kept(struct mal_buffer *buffer)
{
	struct mal_extent *extent = &buffer->extent;
	struct mal_block *block = &extent->block;

	if (!mal_magazine_has_room(&block->payer->magazine, block->granules) ||
	    kref_read(&buffer->ref) > 1)
		return false;
	/* Sees what all did who had a reference: pairs with the release in kref_put(). */
	smp_acquire__after_ctrl_dep();
	/* Who was told the address counts as one who touched it. */
	return buffer->reusable && !extent->touched && !buffer->mapping_file && !block->name[0] &&
	       !rcu_access_pointer(extent->resv.fences);
}

void mal_buffer_unshare_first(struct mal_buffer *buffer)
{
	struct mal_block *block = &buffer->extent.block;
	struct mal_dmem_ref dmem = buffer->extent.dmem;

	if (!can_be_kept(buffer)) {
		mal_buffer_unshare(buffer);
		return;
	}
	trace_memalloc_free(buffer->extent.region->name, block, block->first, block->granules);
	buffer->extent.dmem = (struct mal_dmem_ref){};
	mal_magazine_put(&block->payer->magazine, block);
	mal_dmem_put(&dmem);
}

void mal_buffer_pin(struct mal_buffer *buffer)
{
	struct mal_extent *extent = &buffer->extent;

	down_read(&extent->size_lock);
	atomic_inc(&buffer->pins);
	mal_extent_mark_written(extent);
	up_read(&extent->size_lock);
}

u64 mal_buffer_size(struct mal_buffer *buffer, u64 *length)
{
	struct mal_extent *extent = &buffer->extent;
	u64 size;

	down_read(&extent->size_lock);
	size = mal_extent_size(extent);
	*length = extent->block.length;
	up_read(&extent->size_lock);
	return size;
}
