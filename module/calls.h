/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CALLS_H
#define MAL_CALLS_H

struct mal_buffer;
struct mal_call;
struct mal_client;
struct mal_bounds;
struct memalloc_alloc;

/* uapi/linux/memalloc.h says what each call does, and its errors. */
int mal_call_info(struct mal_call *call);
int mal_call_alloc(struct mal_call *call);
int mal_call_free(struct mal_call *call);
int mal_call_query(struct mal_call *call);
int mal_call_stats(struct mal_call *call);
int mal_call_layout(struct mal_call *call);
int mal_call_export(struct mal_call *call);
int mal_call_import(struct mal_call *call);
int mal_call_limits(struct mal_call *call);
int mal_call_release(struct mal_call *call);
int mal_call_sync(struct mal_call *call);
int mal_call_alloc_batch(struct mal_call *call);
int mal_call_free_batch(struct mal_call *call);
int mal_call_resize(struct mal_call *call);
int mal_call_name(struct mal_call *call);
int mal_call_compact(struct mal_call *call);
int mal_call_translate(struct mal_call *call);

/* What an ALLOC asks for: *@bounds. */
int mal_call_place(const struct mal_client *client, const struct memalloc_alloc *alloc,
		   struct mal_bounds *bounds);

/* Fill in the answer of an ALLOC, for a new buffer with a handle. */
void mal_call_fill_alloc(struct memalloc_alloc *alloc, const struct mal_buffer *buffer);

#endif /* MAL_CALLS_H */
