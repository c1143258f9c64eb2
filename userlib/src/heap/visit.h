/* SPDX-License-Identifier: MIT */
/* A walk through the blocks of a heap. */
#ifndef HEAP_VISIT_H
#define HEAP_VISIT_H

#include "chunks.h"

/* The block at @cursor or behind it; false if there is none any more. With the lock held. */
bool heap_next_block(struct memalloc_heap *heap, u32 *cursor, struct memalloc_heap_block *block);

#endif /* HEAP_VISIT_H */
