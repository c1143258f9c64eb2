// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Good fit: the smallest free block that is large enough; of several of that
 * size, one of low address. The cost is bounded by the bits of a size, whatever
 * the number of blocks.
 *
 * Classes. Sizes are split as in two-level segregated fit (M. Masmano, I. Ripoll,
 * A. Crespo, J. Real, "TLSF: a new dynamic memory allocator for real-time
 * systems", ECRTS 2004): each range from 2^b to 2^(b+1) - 1 into 64 classes of
 * equal width. A bitmap of the classes that have a block, with a summary above it,
 * finds the next such class in two words.
 *
 * Tries. Below 128 a class is one size. Above, the low bits of a size are *open*
 * in its class; a bitwise trie over them, the tree bin of D. Lea's dlmalloc 2.8,
 * finds the smallest block that will do, where TLSF would round up or miss it.
 * One block of each size is a node. A node at depth d and all nodes below it have
 * the same d highest open bits; the next bit of a lower node's size says on which side
 * that node hangs. Nodes have no other order: a new node goes to the first empty
 * place on its size's path, and when a node is removed, any leaf below can take its
 * place.
 *
 * Lists. Blocks of one size form a list. A new block goes before the first block of
 * higher address, but no further back than behind the list's first block and LIST_PASSES_MAX
 * more. So a list begins with blocks of low addresses. They keep the heap about as
 * little fragmented as always taking the lowest block would. In a trie, the list's
 * first block is the node, and stays the node whatever its address: the others come
 * and go without a change in the trie.
 *
 * A path has at most as many nodes as its class has open bits, plus one, and each
 * node is another block of at least the class's size. In the largest heap, blocks of
 * 2^25 or more have 19 open bits, and 31 such blocks can be free at once; only 15
 * blocks of 2^26 or more can be free. So no path has more than 20 nodes.
 */
#include "good.h"

#define LIST_PASSES_MAX		3	/* blocks that a new one may pass, behind a list's first */

static void mark_filled(struct good *good, u32 class)
{
	mal_step();
	good->class_bits[class / GOOD_CLASSES] |= 1ull << class % GOOD_CLASSES;
	good->word_bits |= 1u << class / GOOD_CLASSES;
}

static void mark_empty(struct good *good, u32 class)
{
	mal_step();
	good->class_bits[class / GOOD_CLASSES] &= ~(1ull << class % GOOD_CLASSES);
	if (!good->class_bits[class / GOOD_CLASSES])
		good->word_bits &= ~(1u << class / GOOD_CLASSES);
}

/* The first class from @class on that has a block, or MAL_NONE. */
static u32 next_filled(const struct good *good, u32 class)
{
	u32 word = class / GOOD_CLASSES;
	u64 filled = good->class_bits[word] & ~0ull << class % GOOD_CLASSES;
	u32 words;

	mal_step();
	if (!filled) {
		words = good->word_bits & ~1u << word;
		if (!words)
			return MAL_NONE;
		mal_step();
		word = mal_low_bit(words);
		filled = good->class_bits[word];
	}
	return word * GOOD_CLASSES + mal_low_bit64(filled);
}

static size_t good_index_bytes(u32 granules)
{
	return offsetof(struct good, first) + (class_of(granules) + 1) * sizeof(u32);
}

static void good_init(struct mal_heap *heap)
{
	struct good *good = heap->index;

	memset(good->first, 0xff, (class_of(heap->granules) + 1) * sizeof(u32));
}

/* Put a block at the beginning of its list, before @next, the first so far or MAL_NONE. */
static void list_begin(struct mal_tag *tags, u32 next, u32 head, u32 size)
{
	*next_of(tags, head) = next;
	*prev_of(tags, head, size) = MAL_NONE;
	if (next != MAL_NONE)
		*prev_of(tags, next, size) = head;
}

/* Put a block behind @first, and behind up to LIST_PASSES_MAX others of lower address. */
static void list_push(struct mal_tag *tags, u32 first, u32 head, u32 size)
{
	u32 prev = first;
	u32 next = *next_of(tags, first);
	unsigned int passes;

	for (passes = LIST_PASSES_MAX; next < head && passes; passes--) {
		prev = next;
		next = *next_of(tags, prev);
	}
	*next_of(tags, prev) = head;
	*prev_of(tags, head, size) = prev;
	*next_of(tags, head) = next;
	if (next != MAL_NONE)
		*prev_of(tags, next, size) = head;
}

static noinline void trie_insert(struct mal_heap *heap, u32 head, u32 size)
{
	struct good *good = heap->index;
	struct mal_tag *tags = heap->tags;
	unsigned int open = open_bits(size);
	u32 class = class_of(size);
	u32 *place = &good->first[class];
	u32 parent = MAL_NONE;
	u32 *children;

	while (*place != MAL_NONE && tags[*place].word != size) {
		parent = *place;
		place = &children_of(tags, parent)[size >> --open & 1];
	}
	if (*place != MAL_NONE) {
		list_push(tags, *place, head, size);
		return;
	}

	*place = head;
	list_begin(tags, MAL_NONE, head, size);
	*parent_of(tags, head, size) = parent;
	children = children_of(tags, head);
	children[0] = MAL_NONE;
	children[1] = MAL_NONE;
	if (parent == MAL_NONE)
		mark_filled(good, class);
}

static void good_insert(struct mal_heap *heap, u32 head, u32 size)
{
	struct good *good = heap->index;
	u32 first;

	if (size >= GOOD_OPEN_MIN) {
		trie_insert(heap, head, size);
		return;
	}
	first = good->first[size];
	if (first < head) {
		list_push(heap->tags, first, head, size);
		return;
	}
	good->first[size] = head;
	list_begin(heap->tags, first, head, size);
	if (first == MAL_NONE)
		mark_filled(good, size);
}

/* Take a leaf below @node out of the trie; MAL_NONE if @node has no children. */
static u32 take_leaf(struct mal_tag *tags, u32 node)
{
	u32 *children = children_of(tags, node);
	u32 *place = NULL;
	u32 leaf = MAL_NONE;

	while (children[0] != MAL_NONE || children[1] != MAL_NONE) {
		place = &children[children[1] != MAL_NONE];
		leaf = *place;
		children = children_of(tags, leaf);
	}
	if (place)
		*place = MAL_NONE;
	return leaf;
}

/* Put @heir in the place of @node: below @parent, above @node's children. */
static void adopt(struct mal_tag *tags, u32 heir, u32 node, u32 parent)
{
	u32 *from = children_of(tags, node);
	u32 *to = children_of(tags, heir);
	unsigned int side;

	*parent_of(tags, heir, tags[heir].word) = parent;
	for (side = 0; side < 2; side++) {
		to[side] = from[side];
		if (to[side] != MAL_NONE)
			*parent_of(tags, to[side], tags[to[side]].word) = heir;
	}
}

/* Remove @node from its trie. @next, or if that is MAL_NONE a leaf, takes the place. */
static noinline void trie_remove(struct mal_heap *heap, u32 node, u32 size, u32 next)
{
	struct good *good = heap->index;
	struct mal_tag *tags = heap->tags;
	u32 parent = *parent_of(tags, node, size);
	u32 heir = next != MAL_NONE ? next : take_leaf(tags, node);
	u32 *children;

	if (heir != MAL_NONE)
		adopt(tags, heir, node, parent);
	if (parent != MAL_NONE) {
		children = children_of(tags, parent);
		children[children[1] == node] = heir;
		return;
	}
	good->first[class_of(size)] = heir;
	if (heir == MAL_NONE)
		mark_empty(good, class_of(size));
}

static void good_remove(struct mal_heap *heap, u32 head, u32 size)
{
	struct good *good = heap->index;
	struct mal_tag *tags = heap->tags;
	u32 next = *next_of(tags, head);
	u32 prev = *prev_of(tags, head, size);

	if (next != MAL_NONE)
		*prev_of(tags, next, size) = prev;
	if (prev != MAL_NONE) {
		*next_of(tags, prev) = next;
		return;
	}
	if (size >= GOOD_OPEN_MIN) {
		trie_remove(heap, head, size, next);
		return;
	}
	good->first[size] = next;
	if (next == MAL_NONE)
		mark_empty(good, size);
}

/*
 * The smaller one of @best, which may be MAL_NONE, and the smallest node in the subtree at
 * @node. The smallest node is on the path that goes to the side of the zeros if it can.
 */
static u32 trie_least(struct mal_tag *tags, u32 node, u32 best)
{
	u32 least = best != MAL_NONE ? tags[best].word : MAL_NONE;
	const u32 *children;

	while (node != MAL_NONE) {
		children = children_of(tags, node);
		if (tags[node].word < least) {
			least = tags[node].word;
			best = node;
		}
		node = children[children[0] == MAL_NONE];
	}
	return best;
}

/*
 * The smallest node of @size or more in the trie of that size's class, whose root is
 * @node; or MAL_NONE. That is a node on the path of @size, or the smallest node in the
 * larger subtree of the last fork at which the path goes to the smaller side.
 */
static noinline u32 trie_find(struct mal_tag *tags, u32 node, u32 size)
{
	unsigned int open = open_bits(size);
	u32 best = MAL_NONE, least = MAL_NONE;
	u32 larger = MAL_NONE;
	const u32 *children;
	u32 found, side;

	while (node != MAL_NONE) {
		children = children_of(tags, node);
		found = tags[node].word;
		if (found == size)
			return node;
		if (found > size && found < least) {
			least = found;
			best = node;
		}
		side = size >> --open & 1;
		if (!side && children[1] != MAL_NONE)
			larger = children[1];
		node = children[side];
	}
	return trie_least(tags, larger, best);
}

/* The block to take among those of @size or more, if none of them is smaller than GOOD_OPEN_MIN. */
static noinline u32 find_open(const struct mal_heap *heap, u32 size)
{
	const struct good *good = heap->index;
	u32 first = MAL_NONE, class = GOOD_OPEN_MIN;
	u32 second;

	if (size >= GOOD_OPEN_MIN) {
		class = class_of(size);
		first = trie_find(heap->tags, good->first[class], size);
		class++;
	}
	if (first == MAL_NONE) {
		class = next_filled(good, class);
		if (class == MAL_NONE)
			return MAL_NONE;
		first = trie_least(heap->tags, good->first[class], MAL_NONE);
	}
	/* The node need not have the list's lowest address; the others are in order. */
	second = *next_of(heap->tags, first);
	return min(first, second);
}

static u32 good_find(const struct mal_heap *heap, u32 size)
{
	const struct good *good = heap->index;
	u32 class = size < GOOD_OPEN_MIN ? next_filled(good, size) : GOOD_OPEN_MIN;

	return class < GOOD_OPEN_MIN ? good->first[class] : find_open(heap, size);
}

static noinline u32 take_open(struct mal_heap *heap, u32 size)
{
	u32 head = find_open(heap, size);

	if (head != MAL_NONE)
		good_remove(heap, head, mal_block_size(heap, head));
	return head;
}

static u32 good_take(struct mal_heap *heap, u32 size)
{
	struct good *good = heap->index;
	u32 class = size < GOOD_OPEN_MIN ? next_filled(good, size) : GOOD_OPEN_MIN;
	u32 head, next;

	if (class >= GOOD_OPEN_MIN)
		return take_open(heap, size);
	head = good->first[class];
	next = *next_of(heap->tags, head);
	good->first[class] = next;
	if (next != MAL_NONE)
		*prev_of(heap->tags, next, class) = MAL_NONE;
	else
		mark_empty(good, class);
	return head;
}

static u32 good_largest(const struct mal_heap *heap)
{
	const struct good *good = heap->index;
	u32 largest = 0;
	const u32 *children;
	u32 class, node;

	if (!good->word_bits)
		return 0;
	class = mal_high_bit(good->word_bits) * GOOD_CLASSES;
	class += mal_high_bit64(good->class_bits[class / GOOD_CLASSES]);
	if (class < GOOD_OPEN_MIN)
		return class;
	for (node = good->first[class]; node != MAL_NONE;
	     node = children[children[1] != MAL_NONE]) {
		children = children_of(heap->tags, node);
		largest = max(largest, heap->tags[node].word);
	}
	return largest;
}

const struct mal_fit mal_fit_good = {
	.name = "good",
	.index_bytes = good_index_bytes,
	.init = good_init,
	.insert = good_insert,
	.remove = good_remove,
	.find = good_find,
	.take = good_take,
	.largest = good_largest,
	.check_block = mal_good_check_block,
	.check = mal_good_check,
};
