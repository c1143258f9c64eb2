// SPDX-License-Identifier: GPL-2.0-only
/* COMPACT: buffers move, and nothing else changes. */
#include "fuzz.h"

static bool has_handle(struct worker *w, const struct buffer *buffer)
{
	unsigned int i;

	for (i = 0; i < CLIENTS; i++)
		if (is_open(&w->clients[i]) && (find_handle_of(&w->clients[i], buffer, true) ||
						find_handle_of(&w->clients[i], buffer, false)))
			return true;
	return false;
}

/* Only its length tells where it is. */
static bool is_anonymous(struct worker *w, const struct buffer *buffer)
{
	return buffer->length && buffer->users && !buffer->told && !has_handle(w, buffer);
}

/* Could two buffers be taken for each other, once they have moved? */
static bool is_ambiguous(struct worker *w)
{
	unsigned int i, k;

	for (i = 0; i < BUFFERS; i++)
		for (k = 0; k < i; k++)
			if (is_anonymous(w, &w->buffers[i]) && is_anonymous(w, &w->buffers[k]) &&
			    w->buffers[i].pages == w->buffers[k].pages)
				return true;
	return false;
}

static bool choose_compact(struct worker *w, struct call *c)
{
	struct memalloc_compact *compact = &c->arg.compact;

	c->client = some_client(w);
	if (one_in(w, 2))
		compact->length = (__u64)below(w, ALONE_ROOM / PAGE) * PAGE + below(w, PAGE);
	if (one_in(w, 12))
		compact->length = w->info.region_length + 1 + below(w, PAGE);
	compact->budget = one_in(w, 4) ? ~0ULL : (__u64)below(w, 2 * MIB);
	/* Strangers have buffers that may move, too. */
	return !w->alone || (w->other_blocks == 1 && !is_ambiguous(w));
}

static void predict_compact(struct worker *w, struct call *c)
{
	may_fail(c, EPERM, !w->root);
	may_fail(c, EFBIG, w->root && pages_of(c->arg.compact.length) >
			   w->info.region_length / PAGE);
}

/* The buffers that are told apart by a handle of @client. */
static void learn_from_handles(struct client *client, bool *known, struct memalloc_block *blocks,
			       int n, struct worker *w)
{
	int i;

	for (i = 0; i < n; i++) {
		const struct handle *handle =
			blocks[i].handle ? find_handle(client, blocks[i].handle) : NULL;

		if (!handle)
			continue;
		handle->buffer->place = blocks[i].offset;
		known[handle->buffer - w->buffers] = true;
	}
}

/* The block that leaves two holes slides, too. Nobody else has one of its length. */
static void learn_where_the_other_is(struct worker *w, const struct memalloc_block *blocks, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (w->other_blocks == 1 && blocks[i].state == MEMALLOC_BLOCK_USED &&
		    blocks[i].length == w->others[0].length)
			w->others[0].offset = blocks[i].offset;
}

static bool is_place_of_known(struct worker *w, const bool *known, __u64 offset)
{
	unsigned int i;

	for (i = 0; i < w->other_blocks; i++)
		if (w->others[i].offset == offset)
			return true;
	for (i = 0; i < BUFFERS; i++)
		if (w->buffers[i].length && known[i] && (__u64)w->buffers[i].place == offset)
			return true;
	return false;
}

/* A worker that is alone looks where its buffers are now. */
static const char *learn_places(struct worker *w)
{
	struct memalloc_block blocks[BLOCKS_MAX];
	bool known[BUFFERS];
	unsigned int i;
	int k, n = 0;

	for (i = 0; i < BUFFERS; i++)
		known[i] = !w->buffers[i].users || w->buffers[i].told;
	for (i = 0; i < CLIENTS; i++) {
		if (!is_open(&w->clients[i]))
			continue;
		n = read_layout(fd_of(&w->clients[i]), blocks, BLOCKS_MAX, BLOCKS_MAX);
		if (n < 0)
			return "the layout can't be read";
		learn_from_handles(&w->clients[i], known, blocks, n, w);
	}
	learn_where_the_other_is(w, blocks, n);
	for (i = 0; i < BUFFERS; i++) {
		struct buffer *buffer = &w->buffers[i];

		if (!buffer->length || known[i])
			continue;
		for (k = 0; k < n; k++)
			if (blocks[k].state == MEMALLOC_BLOCK_USED &&
			    blocks[k].length == buffer->pages * PAGE &&
			    !is_place_of_known(w, known, blocks[k].offset))
				break;
		if (k == n)
			return "a buffer is not to be found after it was moved";
		buffer->place = blocks[k].offset;
		known[i] = true;
	}
	for (i = 0; i < BUFFERS; i++) {
		struct memalloc_alloc asked = w->buffers[i].asked;

		asked.length = w->buffers[i].pages * PAGE;
		if (w->buffers[i].length && place_wrong(w, &asked, w->buffers[i].place))
			return "a buffer was moved to where it may not be";
	}
	return NULL;
}

/* Could what the allocation moves be taken for what it makes? */
static bool is_ambiguous_with(struct worker *w, const struct memalloc_alloc *alloc)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++)
		if (is_anonymous(w, &w->buffers[i]) &&
		    w->buffers[i].pages == pages_of(alloc->length))
			return true;
	return false;
}

bool choose_to_move(struct worker *w, const struct memalloc_alloc *allocs, unsigned int n)
{
	bool can = w->alone && w->other_blocks == 1 && !is_ambiguous(w);

	while (can && n--)
		can = !is_ambiguous_with(w, &allocs[n]);
	return can;
}

static int allow_moves(struct worker *w, const char *mode)
{
	return pwrite(w->compact, mode, strlen(mode), 0) < 0;
}

const char *call_that_moves(struct worker *w, struct call *c, char *at, int *ret)
{
	struct memalloc_stats before, now;

	if (get_stats(fd_of(c->client), &before) || allow_moves(w, "demand"))
		return "moves can't be allowed";
	*ret = ioctl(fd_of(c->client), c->request, at) ? errno : 0;
	if (allow_moves(w, "never") || get_stats(fd_of(c->client), &now))
		return "moves can't be forbidden";
	w->moves += now.moves != before.moves;
	return now.moves == before.moves ? NULL : learn_places(w);
}

static void undo_compact(struct worker *w, struct call *c)
{
	(void)c;
	if (w->alone)
		learn_places(w);
}

static const char *apply_compact(struct worker *w, struct call *c)
{
	const struct memalloc_compact *answer = &c->answer.compact;
	struct memalloc_compact *expected = &c->expected.compact;
	struct memalloc_stats stats;
	const char *wrong;
	__u64 told = 0;
	unsigned int i;

	*expected = *answer;
	expected->length = c->arg.compact.length;
	expected->budget = c->arg.compact.budget;
	if (answer->moved > c->arg.compact.budget || !answer->moved != !answer->moves)
		return "more was moved than may be";
	for (i = 0; i < BUFFERS; i++)
		if (w->buffers[i].length && w->buffers[i].users && w->buffers[i].told)
			told += w->buffers[i].pages * PAGE;
	if (answer->disclosed < told)
		return "what must stay is less than it was";
	if (!w->alone)
		return NULL;
	wrong = learn_places(w) ?: layout_wrong(w, c->client);
	expected_stats(w, &stats);
	expected->largest_free = stats.largest_free;
	return wrong;
}

const struct call_type call_compact = {
	CALL(COMPACT, memalloc_compact, huge), .share = 3,
	.fields = { "size flags length: budget: largest_free:",
		    "moves: moved: held: mapped: disclosed: huge:" },
	.errors = { EINVAL, E2BIG, EFAULT, EPERM, EFBIG },
	.choose = choose_compact, .predict = predict_compact, .apply = apply_compact,
	.undo = undo_compact,
};
