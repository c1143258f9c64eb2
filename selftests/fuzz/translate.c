// SPDX-License-Identifier: GPL-2.0-only
/* TRANSLATE, of what a handle names and of what is mapped at an address. */
#include "fuzz.h"

static bool choose_translate(struct worker *w, struct call *c)
{
	struct memalloc_translate *translate = &c->arg.translate;
	const struct handle *handle;
	const __u64 far[] = { ~0ULL, ~0ULL - PAGE, 1ULL << 62 };

	c->client = some_client(w);
	c->mapping = one_in(w, 2) ? some_mapping(w) : NULL;
	if (c->mapping) {
		translate->address = (uintptr_t)c->mapping->address +
				     below(w, c->mapping->pages * PAGE);
	} else {
		translate->handle = some_handle(w, c->client);
		handle = find_handle(c->client, translate->handle);
		translate->offset = below(w, handle ? handle->buffer->pages * PAGE : PAGE);
		if (handle && one_in(w, 8))
			translate->offset += handle->buffer->pages * PAGE;
		if (one_in(w, 16))
			translate->offset = PICK(w, far);
	}
	if (one_in(w, 8))
		translate->address = one_in(w, 2) ? (uintptr_t)w : 0;
	if (!translate->handle != one_in(w, 16))
		translate->flags |= MEMALLOC_TRANSLATE_ADDRESS;
	if (one_in(w, w->root ? 8 : 16))
		translate->flags |= MEMALLOC_TRANSLATE_PHYSICAL;
	translate->reserved = one_in(w, 30);
	return true;
}

/* What is mapped at the address, and the byte of the buffer that is there; NULL: none of ours. */
static struct mapping *find_mapping(struct worker *w, __u64 address, __u64 *offset)
{
	unsigned int i;

	for (i = 0; i < MAPPINGS; i++) {
		struct mapping *mapping = &w->mappings[i];
		const __u64 start = (uintptr_t)mapping->address;

		if (!mapping->buffer || address < start ||
		    address - start >= mapping->pages * PAGE)
			continue;
		*offset = mapping->first * PAGE + (address - start);
		return mapping;
	}
	return NULL;
}

/* The buffer that the call is about, and the client's handle for it; NULL: there is none. */
static struct buffer *find_translated(struct worker *w, struct call *c, struct handle **handle,
				      __u64 *offset)
{
	const struct memalloc_translate *translate = &c->arg.translate;
	const struct mapping *mapping;

	*offset = translate->offset;
	if (!(translate->flags & MEMALLOC_TRANSLATE_ADDRESS)) {
		*handle = find_handle(c->client, translate->handle);
		return *handle ? (*handle)->buffer : NULL;
	}
	mapping = find_mapping(w, translate->address, offset);
	*handle = NULL;
	if (!mapping)
		return NULL;
	*handle = find_handle_of(c->client, mapping->buffer, true) ?:
		  find_handle_of(c->client, mapping->buffer, false);
	return mapping->buffer;
}

static void predict_translate(struct worker *w, struct call *c)
{
	const struct memalloc_translate *translate = &c->arg.translate;
	const bool physical = translate->flags & MEMALLOC_TRANSLATE_PHYSICAL;
	const bool by_address = translate->flags & MEMALLOC_TRANSLATE_ADDRESS;
	struct handle *handle;
	struct buffer *buffer;
	__u64 offset;

	buffer = find_translated(w, c, &handle, &offset);
	may_fail(c, EINVAL, translate->reserved);
	may_fail(c, EINVAL, by_address ? translate->handle || translate->offset :
					 translate->address);
	may_fail(c, EPERM, physical && !w->root);
	may_fail(c, ENOENT, (physical || !by_address) && !handle);
	may_fail(c, ENXIO, by_address && !buffer);
	if (buffer)
		may_fail(c, by_address ? ENXIO : EINVAL, offset >= buffer->pages * PAGE);
}

static void tell_translated(struct worker *w, struct call *c)
{
	struct handle *handle;
	__u64 offset;

	if (!(c->arg.translate.flags & MEMALLOC_TRANSLATE_PHYSICAL))
		return;
	find_translated(w, c, &handle, &offset);
	handle->told = true;
	handle->buffer->told = true;
}

static const char *apply_translate(struct worker *w, struct call *c)
{
	struct memalloc_translate *expected = &c->expected.translate;
	const struct memalloc_translate *answer = &c->answer.translate;
	struct handle *handle;
	struct buffer *buffer = find_translated(w, c, &handle, &expected->offset);
	__u64 place = answer->region_offset - expected->offset;

	tell_translated(w, c);
	expected->handle = handle ? handle->id : 0;
	expected->length = buffer->pages * PAGE - expected->offset;
	if (buffer->place >= 0)
		place = buffer->place;
	expected->region_offset = place + expected->offset;
	if (place % PAGE || place + buffer->pages * PAGE > w->info.region_length)
		return "that is no place in the region";
	expected->physical = 0;
	if (!(expected->flags & MEMALLOC_TRANSLATE_PHYSICAL))
		return NULL;
	buffer->place = place;
	if (buffer->physical && buffer->physical != w->base + place)
		return "it has moved though its address was told";
	buffer->physical = w->base + place;
	expected->physical = buffer->physical + expected->offset;
	return NULL;
}

const struct call_type call_translate = {
	CALL(TRANSLATE, memalloc_translate, physical), .share = 6,
	.flags = MEMALLOC_TRANSLATE_PHYSICAL | MEMALLOC_TRANSLATE_ADDRESS,
	.fields = { "size flags handle reserved address: offset: length: region_offset:",
		    "physical:" },
	.errors = { EINVAL, EPERM, E2BIG, EFAULT, ENOENT, ENXIO },
	.choose = choose_translate, .predict = predict_translate, .apply = apply_translate,
	.undo = tell_translated,
};
