// SPDX-License-Identifier: GPL-2.0-only
/* Calls that make, or give up, several buffers, all or none. */
#include "fuzz.h"

/* Pass @n entries of @bytes each: their address. */
static __u64 pass_entries(struct worker *w, struct call *c, __u32 bytes)
{
	const __u32 all = c->n * bytes;
	__u32 cut = 0;

	/* A page of its own, but for READ_ONLY: there the argument may be at the beginning. */
	char *at = w->entries + PAGE - all;

	if (one_in(w, 12)) {
		const enum where places[] = { READ_ONLY, HALF, NOWHERE };

		c->entries_where = PICK(w, places);
	}
	if (c->entries_where == NOWHERE)
		return 0;
	if (c->entries_where == HALF)
		cut = 1 + below(w, all - 1);
	if (c->entries_where == READ_ONLY)
		at = w->writable + PAGE - all;
	memcpy(at + cut, &c->entries, all - cut);
	return (uintptr_t)(c->entries_where == READ_ONLY ? w->read_only + PAGE - all : at + cut);
}

static void choose_batch(struct worker *w, struct call *c, __u32 bytes)
{
	struct memalloc_batch *batch = &c->arg.batch;
	const __u32 counts[] = { 0, MEMALLOC_BATCH_MAX + 1, ~0U };
	const __u32 sizes[] = { 0, 8, 23, PAGE + 1, ~0U };

	batch->entries = pass_entries(w, c, bytes);
	batch->count = one_in(w, 20) ? PICK(w, counts) : c->n;
	batch->entry_size = one_in(w, 20) ? PICK(w, sizes) : bytes;
}

static void predict_batch(struct call *c, __u32 bytes)
{
	const struct memalloc_batch *batch = &c->arg.batch;

	may_fail(c, EINVAL, batch->count != c->n || batch->entry_size < bytes);
	may_fail(c, E2BIG, batch->entry_size > PAGE);
	may_fail(c, EFAULT, c->entries_where == NOWHERE || c->entries_where == HALF);
}

/* ALLOC_BATCH */

static bool choose_alloc_batch(struct worker *w, struct call *c)
{
	unsigned int i, buffers = 0, handles = 0;

	c->client = some_client(w);
	for (i = 0; i < BUFFERS; i++)
		buffers += !w->buffers[i].length;
	for (i = 0; i < HANDLES; i++)
		handles += !c->client->handles[i].id;
	c->n = 1 + below(w, BATCH);
	if (c->n > buffers || c->n > handles)
		return false;
	for (i = 0; i < c->n; i++) {
		struct memalloc_alloc *alloc = &c->entries.allocs[i];

		/* Where one lies decides whether there is room for the next; not for a page. */
		alloc->size = sizeof(*alloc);
		alloc->length = w->alone ? 1 + below(w, PAGE) : some_length(w);
	}
	if (one_in(w, 4)) {
		struct memalloc_alloc *alloc = &c->entries.allocs[below(w, c->n)];

		switch (below(w, 8)) {
		case 0:
			alloc->size -= 1 + below(w, 8);
			break;
		case 1:
			alloc->flags = 2 + below(w, 9);
			break;
		case 2:
		case 3:
			alloc->length = w->info.region_length;
			break;
		default:
			choose_wrong_alloc(w, alloc);
		}
	}
	choose_batch(w, c, sizeof(struct memalloc_alloc));
	c->moves = choose_to_move(w, c->entries.allocs, c->n);
	return true;
}

static void predict_alloc_batch(struct worker *w, struct call *c)
{
	struct memalloc_stats stats = { 0 };
	__u64 pages = 0;
	unsigned int i;

	predict_batch(c, sizeof(struct memalloc_alloc));
	for (i = 0; i < c->n; i++) {
		const struct memalloc_alloc *alloc = &c->entries.allocs[i];

		may_fail(c, EINVAL, alloc->size != sizeof(*alloc) ||
			 alloc->flags & ~MEMALLOC_ALLOC_HUGE || alloc->reserved ||
			 alloc->reserved2);
		predict_place(w, c, alloc);
		/* What is too much for one is too much for all; and must not wrap around. */
		pages += least(pages_of(alloc->length), w->info.region_length);
	}
	predict_charge(w, c, c->client, pages, c->n);
	expected_stats(w, &stats);
	may_fail(c, ENOMEM, w->alone && pages > stats.free / PAGE);
	may_fail(c, EFAULT, c->entries_where == READ_ONLY && !c->fails);
	/* Some may be made, and given back when the next one fails. */
	w->allocs[1] += c->n;
}

static const char *apply_alloc_batch(struct worker *w, struct call *c)
{
	const struct memalloc_batch *batch = &c->arg.batch;
	struct memalloc_alloc answer;
	const char *wrong = NULL;
	unsigned int i;

	w->allocs[1] -= c->n;
	for (i = 0; !wrong && i < c->n; i++) {
		memcpy(&answer, (char *)(uintptr_t)batch->entries + i * sizeof(answer),
		       sizeof(answer));
		wrong = apply_new_buffer(w, c->client, &c->entries.allocs[i], &answer);
		if (!wrong && memcmp(&answer, &c->entries.allocs[i], sizeof(answer)))
			wrong = "the answer in an entry is wrong";
	}
	return wrong || !w->alone ? wrong : layout_wrong(w, c->client);
}

#define BATCH_FIELDS { "size flags entries: count entry_size" }

const struct call_type call_alloc_batch = {
	CALL(ALLOC_BATCH, memalloc_batch, entry_size), .share = 4, .no_answer = true,
	.fields = BATCH_FIELDS,
	.errors = { EINVAL, E2BIG, EFAULT, EFBIG, EDQUOT, ENOMEM },
	.choose = choose_alloc_batch, .predict = predict_alloc_batch, .apply = apply_alloc_batch,
};

/* FREE_BATCH */

static void choose_wrong_free(struct worker *w, struct call *c, struct memalloc_free *arg)
{
	switch (below(w, 6)) {
	case 0:
		arg->size += 8;
		break;
	case 1:
		arg->flags = 1 + below(w, 9);
		break;
	case 2:
		arg->reserved = 1 + below(w, 9);
		break;
	case 3:
		arg->length = find_handle(c->client, arg->handle)->buffer->length + 1;
		break;
	case 4:
		/* Perhaps twice the same. */
		arg->handle = c->entries.frees[below(w, c->n)].handle;
		break;
	default:
		arg->handle = some_handle(w, c->client);
	}
}

static bool choose_free_batch(struct worker *w, struct call *c)
{
	unsigned int wanted = 1 + below(w, BATCH), first = below(w, HANDLES), i;

	c->client = some_client(w);
	for (i = 0; i < HANDLES && c->n < wanted; i++) {
		const struct handle *handle = &c->client->handles[(first + i) % HANDLES];

		if (!handle->id)
			continue;
		c->entries.frees[c->n++] = (struct memalloc_free){
			.size = sizeof(struct memalloc_free), .handle = handle->id,
			.length = one_in(w, 2) ? handle->buffer->length : 0,
		};
	}
	if (!c->n)
		return false;
	if (one_in(w, 2))
		choose_wrong_free(w, c, &c->entries.frees[below(w, c->n)]);
	choose_batch(w, c, sizeof(struct memalloc_free));
	return true;
}

static void predict_free_batch(struct worker *w, struct call *c)
{
	unsigned int i, k;

	(void)w;
	predict_batch(c, sizeof(struct memalloc_free));
	for (i = 0; i < c->n; i++) {
		const struct memalloc_free *arg = &c->entries.frees[i];
		const struct handle *handle = find_handle(c->client, arg->handle);

		may_fail(c, EINVAL, arg->size != sizeof(*arg) || arg->flags || arg->reserved);
		may_fail(c, ENOENT, !handle);
		may_fail(c, ERANGE, handle && arg->length && arg->length != handle->buffer->length);
		for (k = 0; k < i; k++)
			may_fail(c, ENOENT, c->entries.frees[k].handle == arg->handle);
	}
}

static const char *apply_free_batch(struct worker *w, struct call *c)
{
	unsigned int i;

	(void)w;
	for (i = 0; i < c->n; i++)
		remove_handle(c->client, find_handle(c->client, c->entries.frees[i].handle));
	return NULL;
}

const struct call_type call_free_batch = {
	CALL(FREE_BATCH, memalloc_batch, entry_size), .share = 3, .no_answer = true, .frees = true,
	.fields = BATCH_FIELDS,
	.errors = { EINVAL, E2BIG, EFAULT, ENOENT, ERANGE },
	.choose = choose_free_batch, .predict = predict_free_batch, .apply = apply_free_batch,
};
