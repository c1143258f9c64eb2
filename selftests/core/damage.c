// SPDX-License-Identifier: GPL-2.0-only
/* mal_heap_check() sees damage: of each kind, and of every bit that means something. */
#include "fixture.h"
#include "tree.h"

/* A row of free blocks, used ones of 2 between them and one of 3 at the end. */
static const u32 row[] = {
	1, 1, 1, 5, 5, 5, 127,
	259, 257, 256, 258, 258, 258, 256,	/* one trie: a root, a side of two, lists */
	130, 129,
};

#define ROW	(sizeof(row) / sizeof(*row))

static u32 head[ROW];
static struct mal_heap heap;

static void begin_fit(const struct mal_fit *fit)
{
	u32 granules = 3;
	u32 i;

	for (i = 0; i < ROW; i++)
		granules += row[i] + 2;
	heap = heap_make_fit(granules, fit);
	for (i = 0; i < ROW; i++) {
		head[i] = take(&heap, row[i]);
		EXPECT(take(&heap, 2) == head[i] + row[i]);
	}
	EXPECT(take(&heap, 3) != MAL_NONE && heap.free == 0);
	for (i = 0; i < ROW; i++)
		EXPECT(mal_heap_free(&heap, head[i], row[i]) == 0);
	EXPECT_SOUND(&heap);
}

static void begin(void)
{
	begin_fit(&mal_fit_good);
}

/* The damage was done: this is what the check says of it. */
static void expect_wrong(const char *text)
{
	const char *wrong = mal_heap_check(&heap);

	EXPECT_OR(wrong && !strcmp(wrong, text), "\"%s\" instead of \"%s\"",
		  wrong ? wrong : "(sound)", text);
	heap_drop(&heap);
}

static struct mal_tag *head_tag(u32 i)
{
	return &heap.tags[head[i]];
}

static struct mal_tag *foot_tag(u32 i)
{
	return &heap.tags[head[i] + row[i] - 1];
}

static void set_word(u32 at, u32 size, u32 state)
{
	heap.tags[at].word = size | state;
	heap.tags[at + size - 1].word = size | state;
}

static void block_of_size_0(void)
{
	begin();
	head_tag(4)->word = 0;
	expect_wrong("a block is empty or leaves the heap");
}

static void block_beyond_the_end(void)
{
	begin();
	heap.tags[heap.granules - 3].word = 4 | MAL_TAG_USED;
	expect_wrong("a block is empty or leaves the heap");
}

static void foot_unlike_head(void)
{
	begin();
	foot_tag(4)->word = 4;
	expect_wrong("head and foot of a block differ");
}

static void head_not_in_bitmap(void)
{
	begin();
	heap.map[0][head[3] / 64] &= ~(1ull << head[3] % 64);
	expect_wrong("a block's head is not in the bitmap");
}

static void first_head_not_in_bitmap(void)
{
	heap = heap_make(64);
	heap.map[0][0] = 0;
	expect_wrong("a block's head is not in the bitmap");
}

static void head_where_none_is(void)
{
	begin();
	heap.map[0][(head[8] + 100) / 64] |= 1ull << (head[8] + 100) % 64;
	expect_wrong("the bitmap has a head where no block begins");
}

static void head_beyond_the_end(void)
{
	begin();
	EXPECT(heap.granules % 64 && heap.granules % 64 < 63);
	heap.map[0][heap.granules / 64] |= 1ull << 63;
	expect_wrong("the bitmap has a head where no block begins");
}

static void head_at_the_end(void)
{
	begin();
	heap.map[0][heap.granules / 64] |= 1ull << heap.granules % 64;
	expect_wrong("the bitmap has a head where no block begins");
}

static void free_neighbours(void)
{
	begin();
	set_word(head[3] + 5, 2, 0);
	expect_wrong("two free blocks are neighbours");
}

static void count_of_granules(void)
{
	begin();
	heap.free--;
	expect_wrong("the count of free granules is wrong");
}

static void count_of_free_blocks(void)
{
	begin();
	heap.free_blocks++;
	expect_wrong("the count of blocks is wrong");
}

static void count_of_used_blocks(void)
{
	begin();
	heap.used_blocks--;
	expect_wrong("the count of blocks is wrong");
}

static void summary_bit_missing(void)
{
	begin();
	heap.map[1][0] &= ~1ull;
	expect_wrong("a summary of the bitmap is wrong");
}

static void summary_bit_extra(void)
{
	begin();
	EXPECT(!heap.map[0][head[7] / 64 + 2]);	/* in the middle of 259 granules */
	heap.map[1][0] |= 1ull << (head[7] / 64 + 2);
	expect_wrong("a summary of the bitmap is wrong");
}

static void summary_too_long(void)
{
	begin();
	heap.map[4][0] |= 2;
	expect_wrong("a summary of the bitmap has bits beyond its end");
}

/* A heap of @words words of bitmap, with a block that begins in the last. */
static void begin_words(u32 words)
{
	heap = heap_make(words * 64);
	EXPECT(take(&heap, (words - 1) * 64 + 1) == 0);
	EXPECT_SOUND(&heap);
}

/* Bit @bit of the last word of the first summary. */
static void summary_too_long_by(u32 words, unsigned int bit)
{
	begin_words(words);
	heap.map[1][(words - 1) / 64] |= 1ull << bit;
	expect_wrong("a summary of the bitmap has bits beyond its end");
}

static void summaries_too_long(void)
{
	summary_too_long_by(129, 1);
	summary_too_long_by(127, 63);
}

static void summary_of_a_summary(void)
{
	begin_words(65);
	heap.map[2][0] &= ~2ull;
	expect_wrong("a summary of the bitmap is wrong");
}

static void list_next(void)
{
	begin();
	head_tag(3)->link0 = head[0];
	expect_wrong("good fit: a list is broken after a block");
}

static void list_prev(void)
{
	begin();
	foot_tag(0)->link[1] = head[3];
	expect_wrong("good fit: a list is broken before a block");
}

static void list_prev_of_the_first(void)
{
	begin();
	foot_tag(3)->link[1] = head[5];
	expect_wrong("good fit: a list is broken before a block");
}

/* The second and the third block of 5 have none but each other. */
static void list_ring(void)
{
	begin();
	head_tag(3)->link0 = MAL_NONE;
	head_tag(4)->link0 = foot_tag(4)->link[1] = head[5];
	head_tag(5)->link0 = foot_tag(5)->link[1] = head[4];
	expect_wrong("good fit: a list is a ring");
}

/* Links that are mutual, between a block of 5 and the one of 127; and of 127 and 1. */
static void list_next_of_other_size(void)
{
	begin();
	heap.fit->remove(&heap, head[6], row[6]);
	EXPECT(head_tag(5)->link0 == MAL_NONE);
	head_tag(5)->link0 = head[6];
	head_tag(6)->link0 = MAL_NONE;
	foot_tag(6)->link[1] = head[5];
	head_tag(6)[4].link[1] = head[5];	/* where the foot of a block of 5 is */
	expect_wrong("good fit: a list is broken after a block");
}

static void list_prev_of_other_size(void)
{
	begin();
	heap.fit->remove(&heap, head[1], row[1]);
	head_tag(6)->link0 = head[1];
	head_tag(1)->link0 = MAL_NONE;
	foot_tag(1)->link[1] = head[6];
	expect_wrong("good fit: a list is broken before a block");
}

static void trie_parent(void)
{
	begin();
	foot_tag(8)->link[0] = head[9];
	expect_wrong("good fit: a block has a wrong child");
}

static void trie_child_lost(void)
{
	begin();
	head_tag(7)->link[0] = MAL_NONE;
	expect_wrong("good fit: the path of a size does not lead to its block");
}

static void trie_child_on_wrong_side(void)
{
	begin();
	EXPECT(head_tag(7)->link[1] == head[10]);
	head_tag(7)->link[0] = head_tag(7)->link[1];
	expect_wrong("good fit: a block has a wrong child");
}

static void trie_child_of_other_class(void)
{
	begin();
	head_tag(10)->link[0] = head[15];
	foot_tag(15)->link[0] = head[10];
	expect_wrong("good fit: a block has a wrong child");
}

/* A child below the last open bit: of 258, which is below 256, which is below the root. */
static void trie_too_deep(void)
{
	begin();
	head_tag(7)->link[0] = head[9];
	head_tag(7)->link[1] = MAL_NONE;
	foot_tag(9)->link[0] = head[7];
	head_tag(9)->link[1] = head[10];
	foot_tag(10)->link[0] = head[9];
	head_tag(10)->link[1] = head[8];
	foot_tag(8)->link[0] = head[10];
	expect_wrong("good fit: the path of a size does not lead to its block");
}

static void free_block_not_indexed(void)
{
	begin();
	heap.fit->remove(&heap, head[7], row[7]);
	expect_wrong("good fit: the path of a size does not lead to its block");
}

static void used_block_indexed(void)
{
	begin();
	EXPECT(take_block(&heap, head[15]) == head[15]);
	heap.fit->insert(&heap, head[15], row[15]);
	expect_wrong("good fit: a class begins with a wrong block");
}

static struct mal_tree *tree(void)
{
	return heap.index;
}

/* In trees by address and by size the root is what was freed first. */
static void tree_child_lost(void)
{
	begin_fit(&mal_fit_first);
	head_tag(0)->link[1] = MAL_NONE;
	expect_wrong("tree: the path of a block's key does not lead to the block");
}

static void tree_child_on_wrong_side(void)
{
	begin_fit(&mal_fit_first);
	EXPECT(head_tag(0)->link[1] != MAL_NONE && head_tag(0)->link[0] != MAL_NONE);
	head_tag(0)->link[0] = head_tag(0)->link[1];
	expect_wrong("tree: a block has a wrong child");
}

/* The root, at address 0, could be its own child on the side of the zeros. */
static void tree_ring(void)
{
	begin_fit(&mal_fit_first);
	EXPECT(tree()->root[0] == 0);
	head_tag(0)->link[0] = 0;
	expect_wrong("tree: the path of a block's key does not lead to the block");
}

/* Below the last bit of an address: of 0, which is below 6, which is below 4 and 2. */
static void tree_too_deep(void)
{
	u32 i;

	heap = heap_make_fit(8, &mal_fit_first);
	for (i = 0; i < 8; i++)
		EXPECT(take(&heap, 1) == i);
	for (i = 0; i < 8; i += 2)
		EXPECT(mal_heap_free(&heap, i, 1) == 0);
	EXPECT_SOUND(&heap);
	tree()->root[0] = 2;
	heap.tags[2].link[0] = 4;
	heap.tags[4].link[0] = 6;
	heap.tags[6].link[0] = 0;
	heap.tags[0].link[0] = 2;
	expect_wrong("tree: the path of a block's key does not lead to the block");
}

static void tree_child_of_other_root(void)
{
	begin_fit(&mal_fit_best);
	EXPECT(head_tag(0)->link[0] != MAL_NONE);
	head_tag(0)->link[0] = head[3];
	expect_wrong("tree: a block has a wrong child");
}

static void tree_largest(void)
{
	begin_fit(&mal_fit_worst);
	head_tag(3)->link0++;
	expect_wrong("tree: a node has a wrong size of the largest block");
}

static void tree_root_of_other_range(void)
{
	begin_fit(&mal_fit_best);
	EXPECT(tree()->root[5] == MAL_NONE);
	tree()->root[5] = head[3];
	tree()->filled |= 1u << 5;
	expect_wrong("tree: a root is wrong");
}

static void tree_root_not_in_bitmap(void)
{
	begin_fit(&mal_fit_best);
	tree()->filled &= ~4u;
	expect_wrong("tree: the bitmap of roots is wrong");
}

static void tree_root_beyond_the_last(void)
{
	begin_fit(&mal_fit_best);
	tree()->filled |= 1u << 31;
	expect_wrong("tree: the bitmap of roots is wrong");
}

static void tree_block_not_indexed(void)
{
	begin_fit(&mal_fit_first);
	heap.fit->remove(&heap, head[7], row[7]);
	expect_wrong("tree: the path of a block's key does not lead to the block");
}

static void tree_used_block_indexed(void)
{
	begin_fit(&mal_fit_best);
	EXPECT(take_block(&heap, head[6]) == head[6] && tree()->root[6] == MAL_NONE);
	heap.fit->insert(&heap, head[6], row[6]);
	expect_wrong("tree: a root is wrong");
}

static void next_outside(void)
{
	begin_fit(&mal_fit_next);
	*(u32 *)(tree() + 1) = heap.granules;
	EXPECT_SOUND(&heap);
	++*(u32 *)(tree() + 1);
	expect_wrong("next fit: the rover is outside the heap");
}

/* What is not indexed yet is not looked for, and what is indexed too early is seen. */
static void during_a_switch(void)
{
	begin();
	mal_heap_switch(&heap, &mal_fit_first);
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_switch_more(&heap, 20));
	EXPECT_SOUND(&heap);
	heap.fit->insert(&heap, head[15], row[15]);
	expect_wrong("tree: a block has a wrong child");
}

static void indexed_beyond_the_end(void)
{
	begin();
	heap.indexed++;
	expect_wrong("the indexed part ends beyond the heap");
}

/* Flip each bit of @bytes at @memory; the check tells if and only if it @counts. */
static void flip_each(void *memory, size_t bytes, bool counts, const char *of)
{
	unsigned char *at = memory;
	size_t bit;

	for (bit = 0; bit < bytes * 8; bit++) {
		at[bit / 8] ^= 1 << bit % 8;
		EXPECT_OR(!mal_heap_check(&heap) == !counts,
			  "bit %zu of %s is %s", bit, of,
			  counts ? "not checked" : "taken for damage");
		at[bit / 8] ^= 1 << bit % 8;
	}
}

static void flip_free_block(u32 block, u32 size)
{
	struct mal_tag *first = &heap.tags[block];
	struct mal_tag *last = &heap.tags[block + size - 1];
	bool good = heap.fit == &mal_fit_good;
	bool node = good && size >= 128 && last->link[1] == MAL_NONE;

	flip_each(&first->word, 4, true, "a free head's word");
	flip_each(&first->link0, 4, true, "next, or the size of the largest");
	if (good) {
		flip_each(&last->link[1], 4, true, "prev");
		flip_each(&last->link[0], 4, node, "parent");
	}
	if (!good || first != last)
		flip_each(first->link, 8, node || !good, "children");
	if (first == last)
		return;
	flip_each(&last->word, 4, true, "a free foot's word");
	flip_each(&last->link0, 4, false, "what a free foot has left");
	if (!good)
		flip_each(last->link, 8, false, "a free foot");
	if (size > 2)
		flip_each(first + 1, sizeof(*first), false, "a tag inside a free block");
}

static void flip_used_block(u32 block, u32 size)
{
	struct mal_tag *first = &heap.tags[block];
	struct mal_tag *last = &heap.tags[block + size - 1];

	flip_each(&first->word, 4, true, "a used head's word");
	flip_each(&first->owner, 8, false, "the owner");
	flip_each(&last->word, 4, true, "a used foot's word");
	flip_each(last->link, 8, false, "a used foot");
	if (size > 2)
		flip_each(first + 1, sizeof(*first), false, "a tag inside a used block");
}

static void every_bit(const struct mal_fit *fit)
{
	size_t index_bytes;
	u32 at, size;

	begin_fit(fit);
	index_bytes = fit->index_bytes(heap.granules);
	for (at = 0; at < heap.granules; at += size) {
		size = mal_block_size(&heap, at);
		if (mal_block_used(&heap, at))
			flip_used_block(at, size);
		else
			flip_free_block(at, size);
	}
	flip_each(heap.map[0], (unsigned char *)heap.index - (unsigned char *)heap.map[0], true,
		  "bitmaps");
	/* Where next fit goes on may be anywhere. */
	if (fit == &mal_fit_next)
		index_bytes = sizeof(struct mal_tree);
	flip_each(heap.index, index_bytes, true, "the index");
	flip_each(&heap.free, sizeof(heap.free), true, "the count of free granules");
	flip_each(&heap.free_blocks, sizeof(heap.free_blocks), true, "the count of free blocks");
	flip_each(&heap.used_blocks, sizeof(heap.used_blocks), true, "the count of used blocks");
	heap_drop(&heap);
}

static void every_bit_that_counts(void)
{
	const struct mal_fit *const *fit;

	for (fit = mal_fits; *fit; fit++)
		every_bit(*fit);
}

static const struct tap_test tests[] = {
	{ "block of size 0", block_of_size_0 },
	{ "block beyond the end", block_beyond_the_end },
	{ "foot unlike head", foot_unlike_head },
	{ "head not in the bitmap", head_not_in_bitmap },
	{ "first head not in the bitmap", first_head_not_in_bitmap },
	{ "head where none is", head_where_none_is },
	{ "head beyond the end", head_beyond_the_end },
	{ "head at the end", head_at_the_end },
	{ "free neighbours", free_neighbours },
	{ "count of free granules", count_of_granules },
	{ "count of free blocks", count_of_free_blocks },
	{ "count of used blocks", count_of_used_blocks },
	{ "summary bit missing", summary_bit_missing },
	{ "summary bit too many", summary_bit_extra },
	{ "summary too long", summary_too_long },
	{ "summary too long in large heaps", summaries_too_long },
	{ "summary of a summary", summary_of_a_summary },
	{ "list: next", list_next },
	{ "list: prev", list_prev },
	{ "list: prev of the first", list_prev_of_the_first },
	{ "list: ring", list_ring },
	{ "list: next of another size", list_next_of_other_size },
	{ "list: prev of another size", list_prev_of_other_size },
	{ "trie: parent", trie_parent },
	{ "trie: child lost", trie_child_lost },
	{ "trie: child on the wrong side", trie_child_on_wrong_side },
	{ "trie: child of another class", trie_child_of_other_class },
	{ "trie: too deep", trie_too_deep },
	{ "free block that is not indexed", free_block_not_indexed },
	{ "used block that is indexed", used_block_indexed },
	{ "tree: child lost", tree_child_lost },
	{ "tree: child on the wrong side", tree_child_on_wrong_side },
	{ "tree: ring", tree_ring },
	{ "tree: too deep", tree_too_deep },
	{ "tree: child of another root", tree_child_of_other_root },
	{ "tree: size of the largest", tree_largest },
	{ "tree: root of another range", tree_root_of_other_range },
	{ "tree: root that is not in the bitmap", tree_root_not_in_bitmap },
	{ "tree: root beyond the last", tree_root_beyond_the_last },
	{ "tree: free block that is not indexed", tree_block_not_indexed },
	{ "tree: used block that is indexed", tree_used_block_indexed },
	{ "next fit: outside the heap", next_outside },
	{ "block that is indexed too early", during_a_switch },
	{ "indexed beyond the end", indexed_beyond_the_end },
	{ "every bit that counts", every_bit_that_counts },
};

int main(void)
{
	return TAP_RUN(tests);
}
