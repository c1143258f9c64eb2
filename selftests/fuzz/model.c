// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: what a worker has, as it follows from the calls that it made. Nothing here asks
 * the device, but for where in the region it put a buffer, which the header leaves open.
 */
#include "fuzz.h"

struct buffer *find_room_for_buffer(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++)
		if (!w->buffers[i].length)
			return &w->buffers[i];
	return NULL;
}

/* Who allocated it is charged more, or less; the client only as long as it is open. */
void charge_buffer(struct buffer *buffer, __u64 bytes, __u64 buffers)
{
	buffer->user->charged.bytes += bytes;
	buffer->user->charged.buffers += buffers;
	if (buffer->payer->life == buffer->payer_life) {
		buffer->payer->charged.bytes += bytes;
		buffer->payer->charged.buffers += buffers;
	}
}

struct buffer *add_buffer(struct worker *w, struct client *payer, __u64 length)
{
	struct buffer *buffer = find_room_for_buffer(w);

	*buffer = (struct buffer){
		.length = length,
		.pages = pages_of(length),
		.payer = payer,
		.payer_life = payer->life,
		.user = payer->user,
		.first_pages = pages_of(length),
		.place = -1,
	};
	charge_buffer(buffer, buffer->pages * PAGE, 1);
	w->allocs[0]++;
	w->allocs[1]++;
	return buffer;
}

/* It is counted as one that came and went. */
void undo_alloc(struct worker *w, struct call *c)
{
	(void)c;
	w->allocs[1]++;
}

/* Its memory is free. */
static void remove_buffer(struct buffer *buffer)
{
	charge_buffer(buffer, -buffer->pages * PAGE, -1);
	buffer->length = 0;
}

void put_buffer(struct buffer *buffer)
{
	if (!--buffer->users && !buffer->retained)
		remove_buffer(buffer);
}

void release_buffer(struct buffer *buffer)
{
	buffer->retained = false;
	remove_buffer(buffer);
}

/* An offset for mmap() that is like none of the other buffers'. */
bool is_new_offset(const struct worker *w, __u64 offset, __u64 pages)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++) {
		const struct buffer *other = &w->buffers[i];

		if (other->length && other->users && other->mmap_offset &&
		    offset < other->mmap_offset + other->pages * PAGE &&
		    other->mmap_offset < offset + pages * PAGE)
			return false;
	}
	return offset && offset % PAGE == 0;
}

struct handle *find_handle(struct client *client, __u32 id)
{
	unsigned int i;

	for (i = 0; id && i < HANDLES; i++)
		if (client->handles[i].id == id)
			return &client->handles[i];
	return NULL;
}

struct handle *find_handle_of(struct client *client, const struct buffer *buffer, bool writable)
{
	unsigned int i;

	for (i = 0; i < HANDLES; i++) {
		struct handle *handle = &client->handles[i];

		if (handle->id && handle->buffer == buffer && handle->writable == writable)
			return handle;
	}
	return NULL;
}

struct handle *find_room_for_handle(struct client *client)
{
	unsigned int i;

	for (i = 0; i < HANDLES; i++)
		if (!client->handles[i].id)
			return &client->handles[i];
	return NULL;
}

const char *add_handle(struct client *client, __u32 id, struct buffer *buffer, bool writable)
{
	unsigned int i;

	if (!id || find_handle(client, id))
		return "the new handle is 0, or one that there is";
	for (i = 0; i < ARRAY_SIZE(client->gone); i++)
		if (client->gone[i] == id)
			return "the new handle is one that there just was";
	*find_room_for_handle(client) = (struct handle){
		.id = id, .writable = writable, .buffer = buffer,
	};
	buffer->users++;
	return NULL;
}

void remove_handle(struct client *client, struct handle *handle)
{
	client->gone[client->freed++ % ARRAY_SIZE(client->gone)] = handle->id;
	handle->id = 0;
	put_buffer(handle->buffer);
}

void open_client(struct client *client, int fd, struct user *user, bool writable)
{
	*client = (struct client){
		.fds = { fd, -1 },
		.life = client->life + 1,
		.writable = writable,
		.user = user,
		.limit = { MEMALLOC_NO_LIMIT, MEMALLOC_NO_LIMIT },
	};
}

/* Its last descriptor was closed: that gives up handles, but is not FREE. */
void close_client(struct client *client)
{
	unsigned int i;

	client->life++;
	for (i = 0; i < HANDLES; i++) {
		struct handle *handle = &client->handles[i];

		if (!handle->id)
			continue;
		handle->id = 0;
		handle->buffer->retained |= handle->told;
		put_buffer(handle->buffer);
	}
}

void predict_charge(struct worker *w, struct call *c, struct client *payer, __u64 pages,
		    __u64 buffers)
{
	const struct amount *user = &payer->user->charged;

	may_fail(c, EDQUOT, !w->root &&
		 (pages > USER_BYTES / PAGE ||
		  payer->charged.bytes + pages * PAGE > least(payer->limit.bytes, CLIENT_BYTES) ||
		  payer->charged.buffers + buffers > least(payer->limit.buffers, CLIENT_BUFFERS) ||
		  user->bytes + pages * PAGE > USER_BYTES ||
		  user->buffers + buffers > USER_BUFFERS));
}

/* What LIMITS says of a client, if not what is charged to it and to its user. */
static bool is_charged_wrong(const struct client *client)
{
	struct memalloc_limits limits;

	return get_limits(fd_of(client), &limits) ||
	       limits.client_bytes != client->charged.bytes ||
	       limits.client_buffers != client->charged.buffers ||
	       limits.user_bytes != client->user->charged.bytes ||
	       limits.user_buffers != client->user->charged.buffers;
}

/* Right after a call that gave something up: LIMITS is read once, there is nothing to wait for. */
const char *charge_wrong(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < CLIENTS; i++)
		if (is_open(&w->clients[i]) && is_charged_wrong(&w->clients[i]))
			return "the charge is not what it has to be when that returns";
	return NULL;
}

/* The whole pages that a DMA mask and a window allow: [*@first, *@end). */
static void get_window(const struct memalloc_alloc *alloc, __u64 *first, __u64 *end)
{
	*first = 0;
	*end = ~0ULL / PAGE + 1;
	if (alloc->dma_mask_bits && alloc->dma_mask_bits < 64)
		*end = (1ULL << alloc->dma_mask_bits) / PAGE;
	if (alloc->window_start || alloc->window_end) {
		*first = pages_of(alloc->window_start);
		if (alloc->window_end != ~0ULL)
			*end = least(*end, (alloc->window_end + 1) / PAGE);
	}
}

const char *place_wrong(const struct worker *w, const struct memalloc_alloc *alloc, __u64 place)
{
	__u64 boundary = least(alloc->boundary, w->info.max_alignment);
	__u64 last = place + pages_of(alloc->length) * PAGE - 1;
	__u64 first, end;

	get_window(alloc, &first, &end);
	/* The region begins at a multiple of the largest alignment. */
	if (alloc->alignment && place % alloc->alignment)
		return "the alignment is not met";
	if (alloc->flags & MEMALLOC_ALLOC_HUGE && place % w->info.huge_mapping)
		return "huge entries can't begin there";
	if (boundary && place / boundary != last / boundary)
		return "a boundary is crossed";
	if ((w->base + place) / PAGE < first || (w->base + last) / PAGE >= end)
		return "the window or the mask is left";
	return NULL;
}

/* Whether a free block has a place for it. */
static bool is_room(struct worker *w, const struct memalloc_alloc *alloc)
{
	struct memalloc_block blocks[BLOCKS_MAX];
	unsigned int n = expected_layout(w, NULL, blocks), i;
	__u64 length = pages_of(alloc->length) * PAGE;
	__u64 place;

	for (i = 0; i < n; i++) {
		__u64 end = blocks[i].offset + blocks[i].length;

		if (blocks[i].state != MEMALLOC_BLOCK_FREE)
			continue;
		for (place = blocks[i].offset; place + length <= end; place += PAGE)
			if (!place_wrong(w, alloc, place))
				return true;
	}
	return false;
}

void predict_place(struct worker *w, struct call *c, const struct memalloc_alloc *alloc)
{
	__u64 region = w->base / PAGE, region_end = region + w->info.region_length / PAGE;
	__u64 pages = pages_of(alloc->length);
	__u64 first, end;
	bool room, can_be_made = c->moves;

	get_window(alloc, &first, &end);
	may_fail(c, EINVAL, !pages || alloc->dma_mask_bits > 64 ||
		 alloc->window_start > alloc->window_end || first >= end || pages > end - first);
	may_fail(c, EINVAL, alloc->alignment && (!is_power_of_2(alloc->alignment) ||
						 alloc->alignment > w->info.max_alignment));
	may_fail(c, EINVAL, alloc->boundary &&
		 (!is_power_of_2(alloc->boundary) ||
		  pages > least(alloc->boundary, w->info.max_alignment) / PAGE));
	may_fail(c, EOPNOTSUPP, alloc->flags & MEMALLOC_ALLOC_HUGE && !w->info.huge_mapping);
	may_fail(c, EPERM, (alloc->window_start || alloc->window_end) && !w->root);
	may_fail(c, EFBIG, pages > w->info.region_length / PAGE);
	if (c->may[EINVAL] || c->may[EFBIG] || c->may[EOPNOTSUPP])
		return;
	/* Side by side, what is asked for is there for sure, or sure not to be. */
	if (w->alone)
		room = is_room(w, alloc);
	else
		room = pages <= SHARED_PAGES && end > region && first < region_end;
	/* Root has CAP_SYS_RAWIO. */
	if (!w->root && !mask_reaches(alloc->dma_mask_bits, w->base + w->info.region_length,
				      w->memory_end)) {
		room = false;
		can_be_made = false;
	}
	c->may[ENOMEM] |= can_be_made;
	may_fail(c, ENOMEM, !room && !can_be_made);
}

static int compare_blocks(const void *a, const void *b)
{
	const struct memalloc_block *left = a, *right = b;

	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* The used blocks, in order. */
static unsigned int used_blocks(struct worker *w, struct client *client,
				struct memalloc_block *blocks)
{
	unsigned int i, n = w->other_blocks;

	memcpy(blocks, w->others, n * sizeof(*blocks));
	for (i = 0; i < BUFFERS; i++) {
		const struct buffer *buffer = &w->buffers[i];
		struct handle *handle = NULL;

		if (!buffer->length || buffer->place < 0)
			continue;
		if (client)
			handle = find_handle_of(client, buffer, true) ?:
				 find_handle_of(client, buffer, false);
		blocks[n++] = (struct memalloc_block){
			.offset = buffer->place,
			.length = buffer->pages * PAGE,
			.state = buffer->users ? MEMALLOC_BLOCK_USED : MEMALLOC_BLOCK_RETAINED,
			.handle = handle ? handle->id : 0,
		};
	}
	qsort(blocks, n, sizeof(*blocks), compare_blocks);
	return n;
}

/* All blocks, as @client (NULL: nobody) sees them: how many. */
unsigned int expected_layout(struct worker *w, struct client *client,
			     struct memalloc_block *blocks)
{
	struct memalloc_block used[BLOCKS_MAX];
	unsigned int i, n = 0, count = used_blocks(w, client, used);
	__u64 at = 0;

	for (i = 0; i <= count; i++) {
		__u64 next = i < count ? used[i].offset : w->info.region_length;

		if (at < next)
			blocks[n++] = (struct memalloc_block){ .offset = at, .length = next - at };
		if (i < count) {
			blocks[n++] = used[i];
			at = used[i].offset + used[i].length;
		}
	}
	return n;
}

void expected_stats(struct worker *w, struct memalloc_stats *stats)
{
	struct memalloc_block blocks[BLOCKS_MAX];
	unsigned int n = expected_layout(w, NULL, blocks), i;

	stats->free = 0;
	stats->free_blocks = 0;
	stats->largest_free = 0;
	for (i = 0; i < n; i++) {
		if (blocks[i].state != MEMALLOC_BLOCK_FREE)
			continue;
		stats->free += blocks[i].length;
		stats->free_blocks++;
		if (blocks[i].length > stats->largest_free)
			stats->largest_free = blocks[i].length;
	}
	stats->region_length = w->info.region_length;
	stats->used = stats->region_length - stats->free;
	stats->fragmentation = stats->free ?
		1000 * (stats->free - stats->largest_free) / stats->free : 0;
	stats->requested = w->before.requested;
	stats->quarantined = w->before.quarantined;
	stats->retained = w->before.retained;
	stats->retired = w->before.retired;
	stats->buffers = w->before.buffers;
	stats->clients = w->before.clients;
	stats->failures = w->before.failures + w->failures;
	for (i = 0; i < CLIENTS; i++)
		stats->clients += is_open(&w->clients[i]);
	for (i = 0; i < BUFFERS; i++) {
		const struct buffer *buffer = &w->buffers[i];

		if (!buffer->length)
			continue;
		stats->buffers++;
		if (buffer->users) {
			stats->requested += buffer->length;
		} else {
			stats->quarantined += buffer->pages * PAGE;
			stats->retained += buffer->pages * PAGE;
		}
	}
}

/* For a worker that is alone. */
const char *layout_wrong(struct worker *w, struct client *client)
{
	struct memalloc_block blocks[BLOCKS_MAX], expected[BLOCKS_MAX];
	int n = read_layout(fd_of(client), blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));

	if (n < 0 || expected_layout(w, client, expected) != (unsigned int)n ||
	    memcmp(blocks, expected, n * sizeof(*blocks)))
		return "the layout is not what it has to be after that";
	return NULL;
}

/*
 * A worker that is alone looks for the block that it does not know, in which @buffer is; there is
 * one, or it is the one of which @handle is told.
 */
const char *learn_place(struct worker *w, struct client *client, struct buffer *buffer,
			__u32 handle)
{
	struct memalloc_block blocks[BLOCKS_MAX], expected[BLOCKS_MAX];
	unsigned int known, i, k = 0;
	int n = read_layout(fd_of(client), blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));

	if (n < 0)
		return "the layout can't be read";
	known = used_blocks(w, client, expected);
	for (i = 0; i < (unsigned int)n; i++) {
		if (blocks[i].state == MEMALLOC_BLOCK_FREE)
			continue;
		if (k < known && blocks[i].offset == expected[k].offset)
			k++;
		else if (!handle || blocks[i].handle == handle)
			break;
	}
	if (i == (unsigned int)n)
		return "the layout has no new block";
	buffer->place = blocks[i].offset;
	if (buffer->physical && buffer->physical != w->base + buffer->place)
		return "it is not at the address that was told";
	return NULL;
}
