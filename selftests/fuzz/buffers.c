// SPDX-License-Identifier: GPL-2.0-only
/* Calls that make buffers and give them up, and what is told of them. */
#include "fuzz.h"

/* ALLOC */

/* Side by side, these either leave out no page of the region or each. */
static __u32 some_mask(struct worker *w)
{
	const unsigned int reaches = 64 - __builtin_clzll(w->base + w->info.region_length - 1);
	const unsigned int reaches_not = 63 - __builtin_clzll(w->base);

	if (w->alone)
		return 1 + below(w, 66);
	return one_in(w, 3) ? 1 + below(w, reaches_not) : reaches + below(w, 66 - reaches);
}

static void choose_window(struct worker *w, struct memalloc_alloc *alloc)
{
	const __u64 end = w->base + w->info.region_length;
	struct memalloc_block blocks[BLOCKS_MAX];
	unsigned int some;

	switch (below(w, 5)) {
	case 0:
		alloc->window_start = end;
		alloc->window_end = end + below(w, 64) * PAGE;
		break;
	case 1:
		alloc->window_start = 1 + below(w, PAGE);
		alloc->window_end = w->base - 1;
		break;
	case 2:
		alloc->window_start = w->base - below(w, PAGE);
		alloc->window_end = one_in(w, 2) ? ~0ULL : end - 1 + below(w, PAGE);
		break;
	case 3:
		alloc->window_start = w->base + below(w, 64) + 1;
		alloc->window_end = alloc->window_start + below(w, PAGE);
		break;
	default:
		if (!w->alone)
			break;
		some = below(w, expected_layout(w, NULL, blocks));
		alloc->window_start = w->base + blocks[some].offset + below(w, 2 * PAGE);
		alloc->window_end = alloc->window_start + below(w, 128 * PAGE);
	}
}

/* What ALLOC does not take, or only from some. */
void choose_wrong_alloc(struct worker *w, struct memalloc_alloc *alloc)
{
	const __u64 lengths[] = {
		0, ~0ULL, ~0ULL - PAGE, 1ULL << 63, w->info.region_length,
		w->info.region_length + 1, w->info.region_length + below(w, 1 << 30) * PAGE,
	};

	switch (below(w, 8)) {
	case 0:
		alloc->alignment = 3ULL << below(w, 40);
		break;
	case 1:
		alloc->alignment = w->info.max_alignment << (1 + below(w, 20));
		break;
	case 2:
		alloc->boundary = 3ULL << below(w, 40);
		break;
	case 3:
		alloc->boundary = 1ULL << below(w, 16);
		break;
	case 4:
		*(one_in(w, 2) ? &alloc->reserved : &alloc->reserved2) = 1 + below(w, 9);
		break;
	case 5:
		alloc->window_start = w->base + 2 + below(w, 1 << 20);
		alloc->window_end = w->base + below(w, 2);
		break;
	default:
		alloc->length = PICK(w, lengths);
	}
}

static bool choose_alloc(struct worker *w, struct call *c)
{
	struct memalloc_alloc *alloc = &c->arg.alloc;

	c->client = some_client(w);
	if (!find_room_for_buffer(w) || !find_room_for_handle(c->client))
		return false;
	alloc->length = some_length(w);
	alloc->handle = below(w, 100);
	if (one_in(w, 3))
		alloc->alignment = w->alone && one_in(w, 3) ?
			w->info.max_alignment >> below(w, 8) : 1ULL << below(w, 17);
	if (one_in(w, 4))
		alloc->boundary = (SHARED_PAGES * PAGE / 4) << below(w, w->alone ? 30 : 3);
	if (one_in(w, 6))
		alloc->dma_mask_bits = some_mask(w);
	if (one_in(w, w->root ? 6 : 40))
		choose_window(w, alloc);
	/* Side by side, nobody leaves room for these. */
	if (one_in(w, 6) && w->alone)
		alloc->flags = MEMALLOC_ALLOC_HUGE;
	if (one_in(w, 6))
		choose_wrong_alloc(w, alloc);
	c->moves = choose_to_move(w, alloc, 1);
	return true;
}

static void predict_alloc(struct worker *w, struct call *c)
{
	const struct memalloc_alloc *alloc = &c->arg.alloc;

	may_fail(c, EINVAL, alloc->reserved || alloc->reserved2);
	predict_charge(w, c, c->client, pages_of(alloc->length), 1);
	predict_place(w, c, alloc);
}

/* What @client asked for is there: a model of it; the answer has to become as @expected does. */
const char *apply_new_buffer(struct worker *w, struct client *client,
			     struct memalloc_alloc *expected, const struct memalloc_alloc *answer)
{
	struct buffer *buffer;
	const char *wrong;

	if (!is_new_offset(w, answer->mmap_offset, pages_of(expected->length)))
		return "the offset for mmap() is another buffer's, or none at all";
	buffer = add_buffer(w, client, expected->length);
	buffer->asked = *expected;
	buffer->mmap_offset = answer->mmap_offset;
	expected->mmap_offset = answer->mmap_offset;
	expected->handle = answer->handle;
	expected->real_length = buffer->pages * PAGE;
	wrong = add_handle(client, answer->handle, buffer, client->writable);
	if (wrong || !w->alone)
		return wrong;
	return learn_place(w, client, buffer, answer->handle) ?:
	       place_wrong(w, expected, buffer->place);
}

static const char *apply_alloc(struct worker *w, struct call *c)
{
	const char *wrong = apply_new_buffer(w, c->client, &c->expected.alloc, &c->answer.alloc);

	return wrong || !w->alone ? wrong : layout_wrong(w, c->client);
}

const struct call_type call_alloc = {
	CALL(ALLOC, memalloc_alloc, mmap_offset), .share = 26,
	.fields = { "size flags length: alignment: handle reserved real_length: mmap_offset:",
		    "boundary: dma_mask_bits reserved2 window_start: window_end:" },
	.errors = { EINVAL, EPERM, E2BIG, EFAULT, EFBIG, EDQUOT, ENOMEM },
	.flags = MEMALLOC_ALLOC_HUGE,
	.choose = choose_alloc, .predict = predict_alloc, .apply = apply_alloc,
	.undo = undo_alloc,
};

/* FREE */

static bool choose_free(struct worker *w, struct call *c)
{
	struct memalloc_free *arg = &c->arg.free;
	struct handle *handle;

	c->client = some_client(w);
	arg->handle = some_handle(w, c->client);
	handle = find_handle(c->client, arg->handle);
	if (one_in(w, 2) && handle)
		arg->length = handle->buffer->length + (one_in(w, 4) ? below(w, 3) - 1ULL : 0);
	else if (one_in(w, 16))
		arg->length = below(w, 1 << 20);
	arg->reserved = one_in(w, 30);
	return true;
}

static void predict_free(struct worker *w, struct call *c)
{
	const struct memalloc_free *arg = &c->arg.free;
	struct handle *handle = find_handle(c->client, arg->handle);

	may_fail(c, EINVAL, arg->reserved);
	predict_handle(w, c, arg->handle);
	may_fail(c, ERANGE, handle && arg->length && arg->length != handle->buffer->length);
}

static const char *apply_free(struct worker *w, struct call *c)
{
	(void)w;
	remove_handle(c->client, find_handle(c->client, c->arg.free.handle));
	return NULL;
}

const struct call_type call_free = {
	CALL(FREE, memalloc_free, length), .share = 11, .no_answer = true, .frees = true,
	.fields = { "size flags handle reserved length:" },
	.errors = { EINVAL, E2BIG, EFAULT, ENOENT, ERANGE },
	.choose = choose_free, .predict = predict_free, .apply = apply_free,
};

/* QUERY */

static bool choose_query(struct worker *w, struct call *c)
{
	c->client = some_client(w);
	c->arg.query.handle = some_handle(w, c->client);
	if (one_in(w, w->root ? 3 : 8))
		c->arg.query.flags = MEMALLOC_QUERY_PHYSICAL;
	return true;
}

static void predict_query(struct worker *w, struct call *c)
{
	const bool physical = c->arg.query.flags & MEMALLOC_QUERY_PHYSICAL;

	may_fail(c, EPERM, physical && !w->root);
	may_fail(c, EINVAL, physical && c->size < offsetof(struct memalloc_query, name));
	predict_handle(w, c, c->arg.query.handle);
}

static void tell(struct worker *w, struct call *c)
{
	(void)w;
	if (c->arg.query.flags & MEMALLOC_QUERY_PHYSICAL) {
		struct handle *handle = find_handle(c->client, c->arg.query.handle);

		handle->told = true;
		handle->buffer->told = true;
	}
}

static const char *apply_query(struct worker *w, struct call *c)
{
	const struct handle *handle = find_handle(c->client, c->arg.query.handle);
	struct memalloc_query *expected = &c->expected.query;
	struct buffer *buffer = handle->buffer;

	tell(w, c);
	expected->access = access_bits(handle->writable);
	expected->length = buffer->length;
	expected->real_length = buffer->pages * PAGE;
	/* Of what the dma-heap made, nobody has been told an offset before. */
	if (!buffer->mmap_offset)
		buffer->mmap_offset = c->answer.query.mmap_offset;
	expected->mmap_offset = buffer->mmap_offset;
	expected->physical = 0;
	memcpy(expected->name, buffer->name, sizeof(buffer->name));
	if (!(c->arg.query.flags & MEMALLOC_QUERY_PHYSICAL))
		return NULL;

	expected->physical = c->answer.query.physical;
	if (buffer->physical && buffer->physical != expected->physical)
		return "it has moved though its address was told";
	buffer->physical = expected->physical;
	if (buffer->place < 0)
		buffer->place = buffer->physical - w->base;
	if (buffer->physical != w->base + buffer->place || buffer->place < 0 ||
	    buffer->place + buffer->pages * PAGE > w->info.region_length ||
	    buffer->place % PAGE)
		return "the address is none of the buffer";
	return NULL;
}

const struct call_type call_query = {
	CALL(QUERY, memalloc_query, mmap_offset), .share = 8,
	.flags = MEMALLOC_QUERY_PHYSICAL,
	.fields = { "size flags handle access length: real_length: mmap_offset: physical:",
		    "name: name8: name16: name24:" },
	.errors = { EINVAL, EPERM, E2BIG, EFAULT, ENOENT },
	.choose = choose_query, .predict = predict_query, .apply = apply_query,
	.undo = tell,
};
