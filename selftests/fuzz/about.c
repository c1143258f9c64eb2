// SPDX-License-Identifier: GPL-2.0-only
/* Calls about the region as a whole and about clients, and such that there are not. */
#include "fuzz.h"

/* INFO */

/* The number of an open file: it stays, and no other one has it. What is wrong, or NULL. */
static const char *learn_number(struct worker *w, struct client *client, __u64 number)
{
	unsigned int i;

	if (client->number)
		return number == client->number ? NULL : "the open file's number has changed";
	for (i = 0; i < CLIENTS; i++)
		if (w->clients[i].number == number)
			return "another open file has that number";
	if (!number)
		return "the open file has no number";
	client->number = number;
	return NULL;
}

static const char *apply_info(struct worker *w, struct call *c)
{
	c->expected.info = w->info;
	c->expected.info.size = c->size;
	c->expected.info.client = c->answer.info.client;
	if (c->size < sizeof(c->answer.info))
		return NULL;
	return learn_number(w, c->client, c->answer.info.client);
}

const struct call_type call_info = {
	CALL(INFO, memalloc_info, fit), .share = 2,
	.fields = { "size flags features: region_length: granule node max_alignment:" },
	.errors = { EINVAL, E2BIG, EFAULT },
	.choose = choose_client_only, .apply = apply_info,
};

/* No such call */

static bool choose_no_call(struct worker *w, struct call *c)
{
	const unsigned int wrong[] = {
		_IO(MEMALLOC_IOC_TYPE, 0x80 + below(w, 0x80)),
		/* Type 0 has calls that every file has. */
		_IO(1 + below(w, MEMALLOC_IOC_TYPE - 1), below(w, 16)),
		_IOWR(MEMALLOC_IOC_TYPE, below(w, 16), struct memalloc_info),
		_IOR(MEMALLOC_IOC_TYPE, below(w, 16), __u32),
	};

	c->client = some_client(w);
	c->request = PICK(w, wrong);
	c->as_is = true;
	return true;
}

static void predict_no_call(struct worker *w, struct call *c)
{
	(void)w;
	may_fail(c, ENOTTY, true);
}

const struct call_type call_nocall = {
	.name = "no such call", .request = MEMALLOC_IOC_INFO, .share = 1,
	.size = sizeof(struct memalloc_info), .fields = { "size flags" },
	.errors = { ENOTTY },
	.choose = choose_no_call, .predict = predict_no_call,
};

/* STATS */

static const char *apply_stats(struct worker *w, struct call *c)
{
	const struct memalloc_stats *answer = &c->answer.stats;
	struct memalloc_stats *expected = &c->expected.stats;
	const char *wrong = stats_wrong(answer);
	__u64 allocs = answer->allocs - w->before.allocs;
	__u64 pages = 0;
	unsigned int i;

	if (*wrong)
		return wrong;
	*expected = *answer;
	expected->size = c->size;
	expected->flags = 0;
	if (w->alone) {
		expected_stats(w, expected);
		return allocs < w->allocs[0] || allocs > w->allocs[1] ? "allocs" : NULL;
	}
	for (i = 0; i < BUFFERS; i++)
		pages += w->buffers[i].length ? w->buffers[i].pages : 0;
	return answer->used < pages * PAGE || answer->region_length != w->info.region_length ||
	       answer->failures < w->failures || answer->allocs < w->allocs[0] ?
	       "less than this worker alone makes of it" : NULL;
}

const struct call_type call_stats = {
	CALL(STATS, memalloc_stats, reserved), .share = 4,
	.fields = { "size flags region_length: free: largest_free: free_blocks: used:",
		    "requested: quarantined: buffers: clients: allocs: frees: failures:",
		    "allocated: freed: fragmentation reserved dirty: retained: retired:" },
	.errors = { EINVAL, E2BIG, EFAULT },
	.choose = choose_client_only, .apply = apply_stats,
};

/* LAYOUT */

static bool choose_layout(struct worker *w, struct call *c)
{
	struct memalloc_layout *layout = &c->arg.layout;
	const __u64 offsets[] = { 0, w->info.region_length - 1, w->info.region_length, ~0ULL };
	const __u32 sizes[] = { 0, 16, 23, PAGE + 1, ~0U };

	c->client = some_client(w);
	layout->offset = (__u64)below(w, w->info.region_length / PAGE) * PAGE + below(w, PAGE);
	if (one_in(w, 4))
		layout->offset = PICK(w, offsets);
	layout->count = 1 + below(w, 80);
	layout->block_size = sizeof(struct memalloc_block) + (one_in(w, 4) ? below(w, 25) : 0);
	/* No room for one, or for not all of it. */
	if (one_in(w, 12)) {
		layout->count = 1;
		c->bad_blocks = true;
	}
	layout->blocks = (uintptr_t)w->entries + PAGE - layout->count * layout->block_size;
	if (c->bad_blocks)
		layout->blocks = one_in(w, 2) ? 0 : layout->blocks + 1 + below(w, 24);
	if (one_in(w, 12))
		layout->count = 0;
	else if (one_in(w, 12))
		layout->block_size = PICK(w, sizes);
	memset(w->entries, 0xff, PAGE);
	return layout->count * layout->block_size <= PAGE || layout->block_size > PAGE;
}

static void predict_layout(struct worker *w, struct call *c)
{
	const struct memalloc_layout *layout = &c->arg.layout;

	may_fail(c, EINVAL, !layout->count || layout->block_size < sizeof(struct memalloc_block) ||
		 layout->block_size > PAGE || layout->offset >= w->info.region_length);
	may_fail(c, EFAULT, c->bad_blocks);
}

/* One that is seen while others allocate and free: it may be any, unless it is ours. */
static bool block_may_be(struct worker *w, struct client *client,
			 const struct memalloc_block *block)
{
	struct handle *handle = find_handle(client, block->handle);
	struct buffer *buffer = handle ? handle->buffer : NULL;

	if (!block->length || block->offset % PAGE || block->length % PAGE ||
	    block->offset >= w->info.region_length ||
	    block->length > w->info.region_length - block->offset)
		return false;
	if (!block->handle)
		return block->state <= MEMALLOC_BLOCK_RETIRED;
	return handle && block->state == MEMALLOC_BLOCK_USED &&
	       block->length == buffer->pages * PAGE &&
	       (buffer->place < 0 || block->offset == (__u64)buffer->place) &&
	       (handle->writable || !find_handle_of(client, buffer, true));
}

static const char *apply_layout(struct worker *w, struct call *c)
{
	struct memalloc_layout *layout = &c->expected.layout;
	struct memalloc_block block, blocks[BLOCKS_MAX];
	unsigned int n = w->alone ? expected_layout(w, c->client, blocks) : 0;
	unsigned int first, i, k;
	const char *entry = w->entries + PAGE - layout->count * layout->block_size;

	if (c->answer.layout.count > layout->count || !c->answer.layout.count)
		return "more blocks than there is room for, or none";
	for (first = 0; first < n && blocks[first].offset + blocks[first].length <= layout->offset;)
		first++;
	if (!w->alone)
		layout->count = c->answer.layout.count;
	else if (n - first < layout->count)
		layout->count = n - first;
	for (i = 0; i < layout->count; i++, entry += layout->block_size) {
		memcpy(&block, entry, sizeof(block));
		if (w->alone ? memcmp(&block, &blocks[first + i], sizeof(block)) :
			       !block_may_be(w, c->client, &block))
			return "a block of the layout is wrong";
		for (k = sizeof(block); k < layout->block_size; k++)
			if (entry[k])
				return "there is something between the blocks of the layout";
	}
	layout->offset = block.offset + block.length;
	return NULL;
}

const struct call_type call_layout = {
	CALL(LAYOUT, memalloc_layout, block_size), .share = 4,
	.fields = { "size flags offset: blocks: count block_size" },
	.errors = { EINVAL, E2BIG, EFAULT },
	.choose = choose_layout, .predict = predict_layout, .apply = apply_layout,
};

/* LIMITS */

static __u64 some_limit(struct worker *w, __u64 usual)
{
	switch (below(w, w->root ? 3 : 8)) {
	case 0:
		return usual / 2 + below(w, usual);
	case 1:
		return below(w, usual + 1);
	case 2:
		return MEMALLOC_NO_LIMIT - below(w, 2);
	default:
		return usual;
	}
}

static bool choose_limits(struct worker *w, struct call *c)
{
	c->client = some_client(w);
	if (one_in(w, 2))
		c->arg.limits.flags = below(w, 4);
	c->arg.limits.client_bytes_max = some_limit(w, CLIENT_BYTES);
	c->arg.limits.client_buffers_max = some_limit(w, CLIENT_BUFFERS);
	return true;
}

static void predict_limits(struct worker *w, struct call *c)
{
	const struct memalloc_limits *limits = &c->arg.limits;
	const struct amount *own = &c->client->limit;

	may_fail(c, EPERM, !w->root &&
		 ((limits->flags & MEMALLOC_LIMITS_SET_BYTES &&
		   limits->client_bytes_max > least(own->bytes, CLIENT_BYTES)) ||
		  (limits->flags & MEMALLOC_LIMITS_SET_BUFFERS &&
		   limits->client_buffers_max > least(own->buffers, CLIENT_BUFFERS))));
}

static const char *apply_limits(struct worker *w, struct call *c)
{
	struct memalloc_limits *limits = &c->expected.limits;
	struct client *client = c->client;

	(void)w;
	if (limits->flags & MEMALLOC_LIMITS_SET_BYTES)
		client->limit.bytes = limits->client_bytes_max;
	if (limits->flags & MEMALLOC_LIMITS_SET_BUFFERS)
		client->limit.buffers = limits->client_buffers_max;
	limits->client_bytes_max = least(client->limit.bytes, CLIENT_BYTES);
	limits->client_buffers_max = least(client->limit.buffers, CLIENT_BUFFERS);
	limits->client_bytes = client->charged.bytes;
	limits->client_buffers = client->charged.buffers;
	limits->user_bytes_max = USER_BYTES;
	limits->user_buffers_max = USER_BUFFERS;
	limits->user_bytes = client->user->charged.bytes;
	limits->user_buffers = client->user->charged.buffers;
	return NULL;
}

const struct call_type call_limits = {
	CALL(LIMITS, memalloc_limits, user_buffers), .share = 6,
	.flags = MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS,
	.fields = { "size flags client_bytes_max: client_buffers_max: client_bytes:",
		    "client_buffers: user_bytes_max: user_buffers_max: user_bytes:",
		    "user_buffers:" },
	.errors = { EINVAL, E2BIG, EFAULT, EPERM },
	.choose = choose_limits, .predict = predict_limits, .apply = apply_limits,
};

/* RELEASE */

/* The buffer that waits for RELEASE at @place; with ~0: any. */
static struct buffer *find_retained(struct worker *w, __u64 place)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		struct buffer *buffer = &w->buffers[i];

		if (buffer->length && !buffer->users && buffer->place >= 0 &&
		    (place == ~0ULL || (__u64)buffer->place == place))
			return buffer;
	}
	return NULL;
}

static bool choose_release(struct worker *w, struct call *c)
{
	struct memalloc_release *release = &c->arg.release;
	const struct buffer *buffer = find_retained(w, ~0ULL);

	c->client = some_client(w);
	if (one_in(w, 12))
		release->flags = MEMALLOC_RELEASE_ALL;
	if (release->flags && !one_in(w, 3))
		return true;
	/* No buffer is far from all others, and large. */
	release->offset = one_in(w, 4) ? ~0ULL - below(w, PAGE) : below(w, PAGE - 1) + 1;
	if (buffer && !one_in(w, 6))
		release->offset = buffer->place;
	if (buffer && one_in(w, 2))
		release->length = buffer->pages * PAGE + (one_in(w, 2) ? below(w, PAGE) : 0);
	return true;
}

static void predict_release(struct worker *w, struct call *c)
{
	const struct memalloc_release *release = &c->arg.release;
	const struct buffer *buffer = find_retained(w, release->offset);

	may_fail(c, EPERM, !w->root);
	if (release->flags & MEMALLOC_RELEASE_ALL) {
		may_fail(c, EINVAL, release->offset || release->length);
		return;
	}
	may_fail(c, ENOENT, !buffer || release->offset == ~0ULL);
	may_fail(c, ERANGE, buffer && release->length &&
		 release->length != buffer->pages * PAGE);
}

static const char *apply_release(struct worker *w, struct call *c)
{
	unsigned int i;

	if (!(c->arg.release.flags & MEMALLOC_RELEASE_ALL)) {
		release_buffer(find_retained(w, c->arg.release.offset));
		return NULL;
	}
	for (i = 0; i < BUFFERS; i++)
		if (w->buffers[i].length && !w->buffers[i].users)
			release_buffer(&w->buffers[i]);
	return NULL;
}

const struct call_type call_release = {
	CALL(RELEASE, memalloc_release, length), .share = 4, .no_answer = true, .frees = true,
	.flags = MEMALLOC_RELEASE_ALL, .fields = { "size flags offset: length:" },
	.errors = { EINVAL, EPERM, E2BIG, EFAULT, ENOENT, ERANGE },
	.choose = choose_release, .predict = predict_release, .apply = apply_release,
};

/* Another fit, while there are buffers */

static bool choose_fit(struct worker *w, struct call *c)
{
	c->arg.other.what = below(w, 5);
	return w->root && w->alone;
}

static int make_fit(struct worker *w, struct call *c, void *arg)
{
	static const char *const fits[] = { "good", "first", "best", "worst", "next" };
	const char *fit = fits[c->arg.other.what];
	int err = switch_to(fit);

	(void)arg;
	memset(w->info.fit, 0, sizeof(w->info.fit));
	strcpy((char *)w->info.fit, fit);
	errno = -err;
	return err ? -1 : 0;
}

const struct call_type call_fit = {
	.name = "fit", .share = 1, .fields = OTHER_FIELDS,
	.choose = choose_fit, .make = make_fit,
};

/* A client that is closed is opened; of one that is open, a descriptor is made or closed */

static int open_for(struct worker *w, struct user *user, int flags)
{
	int fd;

	if (w->root && setresuid(user->uid, -1, -1))
		return -1;
	fd = open(DEVICE, flags | O_CLOEXEC);
	if (w->root && setresuid(0, -1, -1))
		return -1;
	return fd;
}

static bool choose_turn(struct worker *w, struct call *c)
{
	unsigned int i, open = 0;

	for (i = 0; i < CLIENTS; i++)
		open += is_open(&w->clients[i]);
	c->client = &w->clients[below(w, CLIENTS)];
	c->arg.other.what = below(w, 2);
	c->arg.other.flags = one_in(w, 4) ? O_RDONLY : O_RDWR;
	/* One stays. */
	return open > 1 || !is_open(c->client) || c->arg.other.what ||
	       (c->client->fds[0] >= 0 && c->client->fds[1] >= 0);
}

static int make_turn(struct worker *w, struct call *c, void *arg)
{
	struct client *client = c->client;
	int *fd = &client->fds[client->fds[0] < 0];
	struct user *user = &w->users[w->root ? below(w, 2) : 0];
	int ret;

	(void)arg;
	if (!is_open(client)) {
		ret = open_for(w, user, c->arg.other.flags);
		open_client(client, ret, user, c->arg.other.flags != O_RDONLY);
		return ret < 0 ? -1 : 0;
	}
	if (c->arg.other.what && (client->fds[0] < 0 || client->fds[1] < 0)) {
		fd = &client->fds[client->fds[0] >= 0];
		*fd = dup(fd_of(client));
		return *fd < 0 ? -1 : 0;
	}
	ret = close(*fd);
	*fd = -1;
	if (!is_open(client))
		close_client(client);
	return ret;
}

const struct call_type call_turn = {
	.name = "open, dup, close", .share = 3, .fields = OTHER_FIELDS, .frees = true,
	.choose = choose_turn, .make = make_turn,
};

/* What /proc tells of a client */

static int make_fdinfo(struct worker *w, struct call *c, void *arg)
{
	const struct buffer *seen[HANDLES];
	unsigned int i, k, handles = 0, buffers = 0;
	char path[64], text[1024], expected[256];
	__u64 pages = 0;
	ssize_t n;
	int fd;

	(void)w;
	(void)arg;
	for (i = 0; i < HANDLES; i++) {
		const struct buffer *buffer = c->client->handles[i].buffer;

		if (!c->client->handles[i].id)
			continue;
		handles++;
		for (k = 0; k < buffers && seen[k] != buffer; k++)
			;
		if (k < buffers)
			continue;
		seen[buffers++] = buffer;
		pages += buffer->pages;
	}
	snprintf(expected, sizeof(expected), "memalloc-access:\t%s\nmemalloc-handles:\t%u\n"
		 "memalloc-buffers:\t%u\nmemalloc-bytes:\t%llu\n",
		 c->client->writable ? "read-write" : "read-only", handles, buffers, pages * PAGE);

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd_of(c->client));
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	errno = EBADMSG;
	return strstr(text, expected) ? 0 : -1;
}

const struct call_type call_fdinfo = {
	.name = "fdinfo", .share = 1, .fields = OTHER_FIELDS,
	.choose = choose_client_only, .make = make_fdinfo,
};
