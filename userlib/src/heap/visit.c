// SPDX-License-Identifier: MIT
/* A walk through the blocks of a heap. See visit.h. */
#include "visit.h"

bool heap_next_block(struct memalloc_heap *heap, u32 *cursor, struct memalloc_heap_block *block)
{
	const struct mal_heap *core = &heap->core;
	u32 head;

	while (*cursor < core->granules) {
		head = mal_heap_block_of(core, *cursor);
		*cursor = head + mal_block_size(core, head);
		if (mal_block_used(core, head) && !is_block(heap, head))
			continue;
		*block = (struct memalloc_heap_block) {
			.address = address_of(heap, head),
			.length = bytes_of(heap, mal_block_size(core, head)),
		};
		if (mal_block_used(core, head))
			block->requested = mal_block_owner(core, head);
		return true;
	}
	return false;
}

int memalloc_heap_visit(struct memalloc_heap *heap,
			int (*visit)(const struct memalloc_heap_block *block, void *data),
			void *data)
{
	struct memalloc_heap_block block;
	u32 cursor = 0;
	bool found;
	int ret = 0;

	do {
		pthread_mutex_lock(&heap->lock);
		found = heap_next_block(heap, &cursor, &block);
		pthread_mutex_unlock(&heap->lock);
		if (found)
			ret = visit(&block, data);
	} while (found && !ret);
	return ret;
}
