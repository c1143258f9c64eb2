// SPDX-License-Identifier: GPL-2.0-only
/* Calls that change a buffer that there is. */
#include "fuzz.h"

/* RESIZE */

static bool choose_resize(struct worker *w, struct call *c)
{
	struct memalloc_resize *resize = &c->arg.resize;
	const __u64 wrong[] = { 0, ~0ULL, 1ULL << 63, w->info.region_length + 1 };

	c->client = some_client(w);
	resize->handle = some_handle(w, c->client);
	resize->length = one_in(w, 12) ? PICK(w, wrong) : some_length(w);
	resize->reserved = one_in(w, 30);
	return true;
}

/*
 * Whether the buffer has a dma-buf, a mapping of somebody whom it was given to, or more than one
 * handle; or any mapping, if it is not @client who pays for it.
 */
static bool is_shared(struct worker *w, const struct client *client, const struct buffer *buffer)
{
	unsigned int i, k, shares = 0;

	for (i = 0; i < CLIENTS; i++) {
		for (k = 0; k < HANDLES; k++) {
			const struct handle *handle = &w->clients[i].handles[k];

			shares += handle->id && handle->buffer == buffer;
		}
	}
	for (i = 0; i < DMABUFS; i++)
		shares += w->dmabufs[i].buffer == buffer;
	for (i = 0; i < MAPPINGS; i++)
		shares += w->mappings[i].buffer == buffer &&
			  (w->mappings[i].given || !is_payer(client, buffer));
	return shares > 1;
}

static bool is_mapped(struct worker *w, const struct buffer *buffer)
{
	unsigned int i;

	for (i = 0; i < MAPPINGS; i++)
		if (w->mappings[i].buffer == buffer)
			return true;
	return false;
}

static bool is_room_behind(struct worker *w, const struct buffer *buffer, __u64 length)
{
	const __u64 more = (pages_of(length) - buffer->pages) * PAGE;
	struct memalloc_block blocks[BLOCKS_MAX];
	unsigned int n = expected_layout(w, NULL, blocks), i;
	struct memalloc_alloc asked = buffer->asked;

	asked.length = length;
	if (place_wrong(w, &asked, buffer->place))
		return false;
	for (i = 0; i < n; i++)
		if (blocks[i].offset == buffer->place + buffer->pages * PAGE)
			return blocks[i].state == MEMALLOC_BLOCK_FREE && blocks[i].length >= more;
	return false;
}

static void predict_resize(struct worker *w, struct call *c)
{
	const struct memalloc_resize *resize = &c->arg.resize;
	const struct handle *handle = find_handle(c->client, resize->handle);
	const __u64 pages = pages_of(resize->length);
	struct buffer *buffer = handle ? handle->buffer : NULL;

	may_fail(c, EINVAL, resize->reserved || !resize->length);
	may_fail(c, EFBIG, pages > w->info.region_length / PAGE);
	predict_handle(w, c, resize->handle);
	if (!buffer)
		return;
	may_fail(c, EACCES, !handle->writable);
	may_fail(c, EBUSY, buffer->told || is_shared(w, c->client, buffer) ||
		 (buffer->asked.flags & MEMALLOC_ALLOC_HUGE && pages < buffer->pages &&
		  is_mapped(w, buffer)));
	if (pages <= buffer->pages || c->may[EFBIG])
		return;
	may_fail(c, EACCES, !is_payer(c->client, buffer));
	predict_charge(w, c, c->client, pages - buffer->pages, 0);
	/* It is not told exactly when; nor what others have behind it. */
	c->may[ENOSPC] = pages > 2 * buffer->first_pages;
	if (w->alone)
		may_fail(c, ENOMEM, !is_room_behind(w, buffer, resize->length));
	else
		c->may[ENOMEM] = true;
}

static const char *apply_resize(struct worker *w, struct call *c)
{
	const struct memalloc_resize *resize = &c->arg.resize;
	struct buffer *buffer = find_handle(c->client, resize->handle)->buffer;
	const __u64 pages = pages_of(resize->length);

	charge_buffer(buffer, (pages - buffer->pages) * PAGE, 0);
	buffer->length = resize->length;
	buffer->pages = pages;
	memset(buffer->written + pages, 0, (ALONE_PAGES - pages) * sizeof(*buffer->written));
	return w->alone ? layout_wrong(w, c->client) : NULL;
}

const struct call_type call_resize = {
	CALL(RESIZE, memalloc_resize, length), .share = 12, .no_answer = true, .frees = true,
	.fields = { "size flags handle reserved length:" },
	.errors = { EINVAL, E2BIG, EFAULT, ENOENT, EACCES, EFBIG, EBUSY, ENOSPC, EDQUOT, ENOMEM },
	.choose = choose_resize, .predict = predict_resize, .apply = apply_resize,
};

/* NAME */

static bool choose_name(struct worker *w, struct call *c)
{
	static const __u8 wrong[] = { 1, 10, 31, 127, 128, 255 };
	struct memalloc_name *name = &c->arg.name;
	unsigned int length = below(w, MEMALLOC_NAME_LEN + 1), i;

	c->client = some_client(w);
	name->handle = some_handle(w, c->client);
	name->reserved = one_in(w, 30);
	for (i = 0; i < MEMALLOC_NAME_LEN; i++)
		name->name[i] = 32 + below(w, 127 - 32);
	if (length && one_in(w, 12))
		name->name[below(w, length)] = PICK(w, wrong);
	if (length < MEMALLOC_NAME_LEN)
		name->name[length] = 0;
	return true;
}

static void predict_name(struct worker *w, struct call *c)
{
	const struct memalloc_name *name = &c->arg.name;
	const struct handle *handle = find_handle(c->client, name->handle);
	const size_t length = strnlen((const char *)name->name, MEMALLOC_NAME_LEN);
	size_t i;

	may_fail(c, EINVAL, name->reserved || length == MEMALLOC_NAME_LEN);
	for (i = 0; i < length; i++)
		may_fail(c, EINVAL, name->name[i] < 32 || name->name[i] > 126);
	predict_handle(w, c, name->handle);
	may_fail(c, EACCES, handle && !handle->writable);
}

static const char *apply_name(struct worker *w, struct call *c)
{
	struct buffer *buffer = find_handle(c->client, c->arg.name.handle)->buffer;

	(void)w;
	memset(buffer->name, 0, sizeof(buffer->name));
	memcpy(buffer->name, c->arg.name.name, strlen((const char *)c->arg.name.name));
	return NULL;
}

const struct call_type call_name = {
	CALL(NAME, memalloc_name, name), .share = 2, .no_answer = true,
	.fields = { "size flags handle reserved name: name8: name16: name24:" },
	.errors = { EINVAL, E2BIG, EFAULT, ENOENT, EACCES },
	.choose = choose_name, .predict = predict_name, .apply = apply_name,
};
