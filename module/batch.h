/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_BATCH_H
#define MAL_BATCH_H

struct mal_call;

/* What each does, and its errors, is in uapi/linux/memalloc.h. */
int mal_call_alloc_batch(struct mal_call *call);
int mal_call_free_batch(struct mal_call *call);

#endif /* MAL_BATCH_H */
