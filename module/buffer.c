// SPDX-License-Identifier: GPL-2.0-only
/* The buffer, from its allocation until its last user is gone. */
#include <linux/file.h>
#include <linux/slab.h>

#include "alloc.h"
#include "buffer.h"

static_assert(!offsetof(struct mal_buffer, extent));

static void destroy_buffer(struct mal_buffer *buffer)
{
	mutex_destroy(&buffer->attach_lock);
	mal_extent_destroy(&buffer->extent);
}

/* Where @buffer has to end at the latest, by the constraints of @req, when it grows. */
static u32 compute_end_max(const struct mal_buffer *buffer, const struct mal_request *req)
{
	const struct mal_extent *extent = &buffer->extent;
	u32 end = req->hi ?: extent->region->range.pages;

	if (req->boundary)
		end = min(end, (extent->block.first | (req->boundary - 1)) + 1);
	return end;
}

struct mal_buffer *mal_buffer_create(struct mal_region *region, struct mal_payer *payer,
				     u64 length, const struct mal_request *req)
{
	struct mal_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	unsigned long pgoff;
	int err;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	mal_extent_init(&buffer->extent, region, payer, req->size);
	buffer->extent.block.length = length;
	buffer->extent.block.is_buffer = true;
	kref_init(&buffer->ref);
	atomic_set(&buffer->shares, 1);
	mutex_init(&buffer->attach_lock);
	INIT_LIST_HEAD(&buffer->attachments);

	err = mal_alloc(&buffer->extent, req);
	if (err)
		goto destroy_buffer;
	buffer->end_max = compute_end_max(buffer, req);

	err = mal_offset_add(&region->offsets, req->size, &pgoff);
	if (err)
		goto undo_alloc;
	/* The block is in the layout already, where this is read. */
	WRITE_ONCE(buffer->pgoff, pgoff);
	return buffer;

undo_alloc:
	mal_alloc_undo(&buffer->extent);
destroy_buffer:
	destroy_buffer(buffer);
	return ERR_PTR(err);
}

static void release_buffer(struct kref *ref)
{
	struct mal_buffer *buffer = container_of(ref, struct mal_buffer, ref);
	/* Pages leave their address space before it goes with the file. */
	bool is_idle = mal_extent_detach_pages(&buffer->extent);

	if (buffer->mapping_file)
		fput(buffer->mapping_file);
	mal_offset_remove(&buffer->extent.region->offsets, buffer->pgoff);
	mutex_destroy(&buffer->attach_lock);
	mal_free(&buffer->extent, is_idle);
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
