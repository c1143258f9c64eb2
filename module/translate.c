// SPDX-License-Identifier: GPL-2.0-only
/* Where a byte of a buffer lies: TRANSLATE. */
#include <linux/capability.h>
#include <linux/memalloc.h>

#include "buffer.h"
#include "call.h"
#include "calls.h"
#include "client.h"
#include "gather.h"
#include "mapping.h"
#include "region.h"

/* The client's handle for @buffer, the writable one if there are two; 0: it has none. */
static u32 handle_for(struct mal_handles *handles, const struct mal_buffer *buffer)
{
	u32 handle;

	mutex_lock(&handles->lock);
	handle = __mal_handle_find_at(handles, buffer->pgoff, buffer);
	mutex_unlock(&handles->lock);
	return handle;
}

/* The buffer that the caller names, or has mapped there, with a reference; or an errno. */
static struct mal_buffer *find_buffer(struct mal_client *client,
				      struct memalloc_translate *translate)
{
	struct mal_buffer *buffer;
	bool writable;

	if (!(translate->flags & MEMALLOC_TRANSLATE_ADDRESS)) {
		buffer = mal_handle_lookup(&client->handles, translate->handle, &writable);
		return buffer ?: ERR_PTR(-ENOENT);
	}
	buffer = mal_mapped_at(client->region, translate->address, &translate->offset);
	if (!IS_ERR(buffer))
		translate->handle = handle_for(&client->handles, buffer);
	return buffer;
}

/* Size and place stay from here on, unless this fails. */
static int disclose(struct mal_client *client, struct mal_buffer *buffer,
		    const struct memalloc_translate *translate)
{
	if (!translate->handle)
		return -ENOENT;
	mal_gather(buffer);
	return mal_handle_disclose(&client->handles, translate->handle, translate->offset);
}

static int fill(struct mal_client *client, struct mal_buffer *buffer,
		struct memalloc_translate *translate)
{
	const bool physical = translate->flags & MEMALLOC_TRANSLATE_PHYSICAL;
	int err = physical ? disclose(client, buffer, translate) : 0;
	u64 asked_for, size;

	if (err && err != -EINVAL)
		return err;
	size = mal_buffer_size(buffer, &asked_for);
	/* RESIZE may have cut off what a mapping still spans. */
	if (err || translate->offset >= size)
		return translate->flags & MEMALLOC_TRANSLATE_ADDRESS ? -ENXIO : -EINVAL;
	translate->length = size - translate->offset;
	translate->region_offset = PFN_PHYS(READ_ONCE(buffer->extent.block.first)) +
				   translate->offset;
	translate->physical = physical ? mal_extent_phys(&buffer->extent) + translate->offset : 0;
	return 0;
}

int mal_call_translate(struct mal_call *call)
{
	struct memalloc_translate *translate = call->arg;
	const bool by_address = translate->flags & MEMALLOC_TRANSLATE_ADDRESS;
	struct mal_buffer *buffer;
	int err;

	if (translate->reserved ||
	    (by_address ? translate->handle || translate->offset : translate->address))
		return -EINVAL;
	if (translate->flags & MEMALLOC_TRANSLATE_PHYSICAL && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	buffer = find_buffer(call->client, translate);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	err = fill(call->client, buffer, translate);
	mal_buffer_put(buffer);
	return err ?: mal_call_respond(call);
}
