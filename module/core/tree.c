// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* A tree of free blocks, for the exact fits. See tree.h. */
#include "tree.h"

/* Which tree a block of @size belongs to. */
static unsigned int root_of(const struct mal_heap *heap, u32 size)
{
	const struct mal_tree *tree = heap->index;

	return tree->by_size ? mal_high_bit(size) : 0;
}

/*
 * The bits that differ between the keys of one tree. The highest bit of the size does not
 * count: it is the same in all keys of the tree.
 */
static unsigned int key_bits(const struct mal_heap *heap, u32 size)
{
	return root_of(heap, size) + mal_tree_address_bits(heap);
}

static u64 key_of(const struct mal_heap *heap, u32 head, u32 size)
{
	const struct mal_tree *tree = heap->index;

	return tree->by_size ? (u64)size << mal_tree_address_bits(heap) | head : head;
}

size_t mal_tree_bytes(u32 granules)
{
	(void)granules;
	return sizeof(struct mal_tree);
}

void mal_tree_init(struct mal_heap *heap)
{
	struct mal_tree *tree = heap->index;

	memset(tree->root, 0xff, sizeof(tree->root));
}

void mal_tree_init_by_size(struct mal_heap *heap)
{
	struct mal_tree *tree = heap->index;

	mal_tree_init(heap);
	tree->by_size = 1;
}

void mal_tree_insert(struct mal_heap *heap, u32 head, u32 size)
{
	struct mal_tree *tree = heap->index;
	unsigned int bits = key_bits(heap, size);
	u64 key = key_of(heap, head, size);
	u32 *place = &tree->root[root_of(heap, size)];
	struct mal_tag *node;

	while (*place != MAL_NONE) {
		node = mal_tree_node(heap, *place);
		node->link0 = max(node->link0, size);
		place = &node->link[key >> --bits & 1];
	}
	*place = head;
	node = mal_tree_node(heap, head);
	node->link0 = size;
	node->link[0] = MAL_NONE;
	node->link[1] = MAL_NONE;
	tree->filled |= 1u << root_of(heap, size);
}

/* Recompute the size of the largest block in the subtree at @node; has it changed? */
static bool update_largest(const struct mal_heap *heap, u32 node)
{
	struct mal_tag *tag = mal_tree_node(heap, node);
	u32 largest = tag->word;
	u32 before = tag->link0;
	unsigned int side;

	for (side = 0; side < 2; side++)
		if (mal_tree_has_room(heap, tag->link[side], largest))
			largest = heap->tags[tag->link[side]].link0;
	tag->link0 = largest;
	return largest != before;
}

void mal_tree_remove(struct mal_heap *heap, u32 head, u32 size)
{
	struct mal_tree *tree = heap->index;
	unsigned int bits = key_bits(heap, size);
	u64 key = key_of(heap, head, size);
	u32 *root = &tree->root[root_of(heap, size)];
	u32 *place = root;
	u32 path[MAL_TREE_PATH];
	unsigned int depth = 0;
	u32 *last, *children;
	unsigned int above;
	u32 leaf;

	while (*place != head) {
		path[depth++] = *place;
		place = &mal_tree_node(heap, *place)->link[key >> --bits & 1];
	}
	above = depth;
	last = place;
	children = mal_tree_node(heap, head)->link;
	while (children[0] != MAL_NONE || children[1] != MAL_NONE) {
		path[depth++] = *last;
		last = &children[children[0] == MAL_NONE];
		children = mal_tree_node(heap, *last)->link;
	}

	/* The leaf at the end of the path takes the block's place, unless it is the block. */
	leaf = *last;
	*last = MAL_NONE;
	if (leaf != head) {
		memcpy(children, heap->tags[head].link, sizeof(heap->tags[head].link));
		*place = leaf;
		path[above] = leaf;
	}
	/* Above that place, the first size that stays the same leaves all above it the same. */
	while (depth--)
		if (!update_largest(heap, path[depth]) && depth < above)
			break;
	if (*root == MAL_NONE)
		tree->filled &= ~(1u << root_of(heap, size));
}

u32 mal_tree_first(const struct mal_heap *heap, u32 node, u32 size, u32 other)
{
	u64 first = other == MAL_NONE ? ~0ull : key_of(heap, other, heap->tags[other].word);
	const struct mal_tag *tag;
	u64 key;

	while (mal_tree_has_room(heap, node, size)) {
		tag = &heap->tags[node];
		key = key_of(heap, node, tag->word);
		if (tag->word >= size && key < first) {
			first = key;
			other = node;
		}
		node = tag->link[!mal_tree_has_room(heap, tag->link[0], size)];
	}
	return other;
}

u32 mal_tree_find(const struct mal_heap *heap, u32 size)
{
	const struct mal_tree *tree = heap->index;
	u32 filled = tree->filled >> root_of(heap, size) << root_of(heap, size);

	/* Only the first of these trees may have no block that is large enough. */
	while (filled && !mal_tree_has_room(heap, tree->root[mal_low_bit(filled)], size))
		filled &= filled - 1;
	if (!filled)
		return MAL_NONE;
	return mal_tree_first(heap, tree->root[mal_low_bit(filled)], size, MAL_NONE);
}

u32 mal_tree_take(struct mal_heap *heap, u32 size)
{
	u32 head = heap->fit->find(heap, size);

	if (head != MAL_NONE)
		mal_tree_remove(heap, head, mal_block_size(heap, head));
	return head;
}

u32 mal_tree_largest(const struct mal_heap *heap)
{
	const struct mal_tree *tree = heap->index;

	if (!tree->filled)
		return 0;
	return mal_tree_node(heap, tree->root[mal_high_bit(tree->filled)])->link0;
}

/*
 * Check that the path of its key leads to the free block at @head, and that each child
 * is on the path of its own key. No other link on that path can lead to the child.
 */
const char *mal_tree_check_block(const struct mal_heap *heap, u32 head, u32 size)
{
	const struct mal_tree *tree = heap->index;
	unsigned int bits = key_bits(heap, size);
	u64 key = key_of(heap, head, size);
	u32 at = tree->root[root_of(heap, size)];
	u32 largest = size;
	u32 child, side;

	/* Check that a node is one before its links are read. Below the last bit there is none. */
	while (mal_is_free_head(heap, at) && at != head && bits > 1)
		at = heap->tags[at].link[key >> --bits & 1];
	if (at != head)
		return "tree: the path of a block's key does not lead to the block";

	for (side = 0; side < 2; side++) {
		child = heap->tags[head].link[side];
		if (child == MAL_NONE)
			continue;
		if (!mal_is_free_head(heap, child) ||
		    key_of(heap, child, mal_block_size(heap, child)) >> (bits - 1) !=
		    (key >> bits << 1 | side))
			return "tree: a block has a wrong child";
		largest = max(largest, heap->tags[child].link0);
	}
	if (heap->tags[head].link0 != largest)
		return "tree: a node has a wrong size of the largest block";
	return NULL;
}

const char *mal_tree_check(const struct mal_heap *heap)
{
	const struct mal_tree *tree = heap->index;
	u32 root, i;

	for (i = 0; i < MAL_TREE_ROOTS; i++) {
		root = tree->root[i];
		if (root != MAL_NONE && (!mal_is_free_head(heap, root) ||
					 root_of(heap, mal_block_size(heap, root)) != i))
			return "tree: a root is wrong";
		if (tree->filled >> i & 1 ? root == MAL_NONE : root != MAL_NONE)
			return "tree: the bitmap of roots is wrong";
	}
	if (tree->filled >> MAL_TREE_ROOTS)
		return "tree: the bitmap of roots is wrong";
	if (tree->by_size > 1)
		return "tree: the order of the blocks is neither by address nor by size";
	return NULL;
}
