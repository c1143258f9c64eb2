// SPDX-License-Identifier: GPL-2.0-only
/* What to choose from when a call is made up; and what is predicted of many calls alike. */
#include "fuzz.h"

struct client *some_client(struct worker *w)
{
	struct client *client;

	do {
		client = &w->clients[below(w, CLIENTS)];
	} while (!is_open(client));
	return client;
}

/* What @client has; NULL if it has nothing. */
struct handle *own_handle(struct worker *w, struct client *client)
{
	unsigned int first = below(w, HANDLES), i;

	for (i = 0; i < HANDLES; i++) {
		struct handle *handle = &client->handles[(first + i) % HANDLES];

		if (handle->id)
			return handle;
	}
	return NULL;
}

/* The number of a handle, which need not be one of the client. */
__u32 some_handle(struct worker *w, struct client *client)
{
	struct handle *handle = own_handle(w, client);

	switch (below(w, 16)) {
	case 0:
		return 0;
	case 1:
		return below(w, 1 << 30);
	case 2:
		handle = own_handle(w, &w->clients[below(w, CLIENTS)]);
		break;
	case 3:
		handle = NULL;
	}
	return handle ? handle->id : PICK(w, client->gone);
}

struct dmabuf *some_dmabuf(struct worker *w)
{
	unsigned int first = below(w, DMABUFS), i;

	for (i = 0; i < DMABUFS; i++)
		if (w->dmabufs[(first + i) % DMABUFS].buffer)
			return &w->dmabufs[(first + i) % DMABUFS];
	return NULL;
}

struct dmabuf *find_room_for_dmabuf(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < DMABUFS; i++)
		if (!w->dmabufs[i].buffer)
			return &w->dmabufs[i];
	return NULL;
}

struct mapping *some_mapping(struct worker *w)
{
	unsigned int first = below(w, MAPPINGS), i;

	for (i = 0; i < MAPPINGS; i++)
		if (w->mappings[(first + i) % MAPPINGS].buffer)
			return &w->mappings[(first + i) % MAPPINGS];
	return NULL;
}

__u32 access_bits(bool writable)
{
	return MEMALLOC_ACCESS_READ | (writable ? MEMALLOC_ACCESS_WRITE : 0);
}

bool choose_client_only(struct worker *w, struct call *c)
{
	c->client = some_client(w);
	return true;
}

void predict_handle(struct worker *w, struct call *c, __u32 handle)
{
	(void)w;
	may_fail(c, ENOENT, !find_handle(c->client, handle));
}

__u64 some_length(struct worker *w)
{
	unsigned int pages = 1 + below(w, w->alone ? ALONE_PAGES : SHARED_PAGES);

	/* Half of them small. */
	if (one_in(w, 2))
		pages = 1 + below(w, 4);
	return one_in(w, 2) ? pages * PAGE : pages * PAGE - below(w, PAGE);
}

void predict_scarce(struct call *c)
{
	may_fail(c, EMFILE, c->scarce == DESCRIPTORS);
	may_fail(c, ENFILE, c->scarce == FILES);
}
