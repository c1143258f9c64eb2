/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CALLS_H
#define MAL_CALLS_H

struct mal_call;
struct mal_client;
struct mal_handle;
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

/* A reserved handle with the buffer that @alloc asks for; fills in the answer. Sleeps. */
struct mal_handle *mal_call_alloc_handle(struct mal_client *client, struct memalloc_alloc *alloc);

#endif /* MAL_CALLS_H */
