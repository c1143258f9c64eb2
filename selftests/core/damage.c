// SPDX-License-Identifier: GPL-2.0-only
/* mal_heap_check() sees damage: of each kind, and of every bit that means something. */
#include "fixture.h"

/* A row of free blocks, used ones of 2 between them and one of 3 at the end. */
static const u32 row[] = {
	1, 1, 1, 5, 5, 5, 127,
	259, 257, 256, 258, 258, 258, 256,	/* one trie: a root, a side of two, lists */
	130, 129,
};

#define ROW	(sizeof(row) / sizeof(*row))

static u32 head[ROW];
static struct mal_heap heap;

static void begin(void)
{
	u32 granules = 3;
	u32 i;

	for (i = 0; i < ROW; i++)
		granules += row[i] + 2;
	heap = heap_make(granules);
	for (i = 0; i < ROW; i++) {
		head[i] = take(&heap, row[i]);
		EXPECT(take(&heap, 2) == head[i] + row[i]);
	}
	EXPECT(take(&heap, 3) != MAL_NONE && heap.free == 0);
	for (i = 0; i < ROW; i++)
		EXPECT(mal_heap_free(&heap, head[i], row[i]) == 0);
	EXPECT_SOUND(&heap);
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
	expect_wrong("a summary of the bitmap is too long");
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

/* The second and the third block of 5 have none but each other. */
static void list_ring(void)
{
	begin();
	head_tag(3)->link0 = MAL_NONE;
	head_tag(4)->link0 = foot_tag(4)->link[1] = head[5];
	head_tag(5)->link0 = foot_tag(5)->link[1] = head[4];
	expect_wrong("good fit: a list is a ring");
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
	bool node = size >= 128 && last->link[1] == MAL_NONE;

	flip_each(&first->word, 4, true, "a free head's word");
	flip_each(&first->link0, 4, true, "next");
	flip_each(&last->link[1], 4, true, "prev");
	flip_each(&last->link[0], 4, node, "parent");
	if (first == last)
		return;
	flip_each(first->link, 8, node, "children");
	flip_each(&last->word, 4, true, "a free foot's word");
	flip_each(&last->link0, 4, false, "what a free foot has left");
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

static void every_bit_that_counts(void)
{
	unsigned char *end;
	u32 at, size;

	begin();
	for (at = 0; at < heap.granules; at += size) {
		size = mal_block_size(&heap, at);
		if (mal_block_used(&heap, at))
			flip_used_block(at, size);
		else
			flip_free_block(at, size);
	}
	end = (unsigned char *)heap.tags + mal_heap_bytes(heap.granules);
	flip_each(heap.map[0], end - (unsigned char *)heap.map[0], true, "bitmaps and index");
	flip_each(&heap.free, sizeof(heap.free), true, "the count of free granules");
	flip_each(&heap.free_blocks, sizeof(heap.free_blocks), true, "the count of free blocks");
	flip_each(&heap.used_blocks, sizeof(heap.used_blocks), true, "the count of used blocks");
	heap_drop(&heap);
}

static const struct tap_test tests[] = {
	{ "block of size 0", block_of_size_0 },
	{ "block beyond the end", block_beyond_the_end },
	{ "foot unlike head", foot_unlike_head },
	{ "head not in the bitmap", head_not_in_bitmap },
	{ "head where none is", head_where_none_is },
	{ "head beyond the end", head_beyond_the_end },
	{ "free neighbours", free_neighbours },
	{ "count of free granules", count_of_granules },
	{ "count of free blocks", count_of_free_blocks },
	{ "count of used blocks", count_of_used_blocks },
	{ "summary bit missing", summary_bit_missing },
	{ "summary bit too many", summary_bit_extra },
	{ "summary too long", summary_too_long },
	{ "list: next", list_next },
	{ "list: prev", list_prev },
	{ "list: ring", list_ring },
	{ "trie: parent", trie_parent },
	{ "trie: child lost", trie_child_lost },
	{ "trie: child on the wrong side", trie_child_on_wrong_side },
	{ "trie: child of another class", trie_child_of_other_class },
	{ "free block that is not indexed", free_block_not_indexed },
	{ "used block that is indexed", used_block_indexed },
	{ "every bit that counts", every_bit_that_counts },
};

int main(void)
{
	return TAP_RUN(tests);
}
