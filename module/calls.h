/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_CALLS_H
#define MAL_CALLS_H

struct mal_buffer;
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

/* The result of an ALLOC. Nobody can use it before it is published. */
struct mal_new_buffer {
	struct mal_handle *handle;
	struct mal_buffer *buffer;
};

/* Make the buffer that @alloc asks for, and fill in the answer; then publish or undo. Sleep. */
int mal_new_buffer_make(struct mal_client *client, struct memalloc_alloc *alloc,
			struct mal_new_buffer *new);
void mal_new_buffer_publish(struct mal_client *client, const struct mal_new_buffer *new);
void mal_new_buffer_undo(struct mal_client *client, const struct mal_new_buffer *new);

#endif /* MAL_CALLS_H */
