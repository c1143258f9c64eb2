/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_GATHER_H
#define MAL_GATHER_H

struct mal_buffer;

/*
 * @buffer is about to be pinned for long. If that is cheap, and nobody moves another one now, move
 * it as far up in the region as there is a free place. The caller has a reference. Sleeps.
 */
void mal_gather(struct mal_buffer *buffer);

#endif /* MAL_GATHER_H */
