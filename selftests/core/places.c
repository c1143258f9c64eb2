// SPDX-License-Identifier: GPL-2.0-only
/* Allocation at a given place, in a window and inside boundaries; and resizing. */
#include "oracle.h"

static u32 alloc(struct mal_heap *heap, struct mal_request req)
{
	return mal_heap_alloc(heap, &req, 0);
}

static void at_a_place(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 10, 5, 77) == 0);
	EXPECT(mal_block_used(&heap, 10) && mal_block_size(&heap, 10) == 5);
	EXPECT(mal_block_owner(&heap, 10) == 77);
	EXPECT(heap.free == 25 && heap.free_blocks == 2);
	EXPECT(mal_heap_alloc_at(&heap, 0, 10, 0) == 0);
	EXPECT(mal_heap_alloc_at(&heap, 15, 15, 0) == 0);
	EXPECT(heap.free == 0 && heap.used_blocks == 3);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void at_a_place_outside(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 0, 0, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, 0, 31, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, 29, 2, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, 30, 1, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, 30, 0, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, MAL_NONE, 1, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, MAL_NONE, 2, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, 5, MAL_NONE - 4, 0) == -EINVAL);
	EXPECT(mal_heap_alloc_at(&heap, 5, MAL_NONE, 0) == -EINVAL);
	EXPECT(heap.free == 30);
	EXPECT(mal_heap_alloc_at(&heap, 29, 1, 0) == 0);
	EXPECT(mal_heap_alloc_at(&heap, 0, 29, 0) == 0);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void at_a_place_in_use(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 10, 5, 0) == 0);
	EXPECT(mal_heap_alloc_at(&heap, 10, 5, 0) == -ENOMEM);
	EXPECT(mal_heap_alloc_at(&heap, 9, 2, 0) == -ENOMEM);
	EXPECT(mal_heap_alloc_at(&heap, 14, 2, 0) == -ENOMEM);
	EXPECT(mal_heap_alloc_at(&heap, 0, 30, 0) == -ENOMEM);
	EXPECT(heap.free == 25 && heap.used_blocks == 1);
	EXPECT(mal_heap_alloc_at(&heap, 9, 1, 0) == 0);
	EXPECT(mal_heap_alloc_at(&heap, 15, 1, 0) == 0);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void boundary(void)
{
	struct mal_heap heap = heap_make(64);

	EXPECT(take(&heap, 5) == 0);
	EXPECT(alloc(&heap, (struct mal_request) { 3, 1, 8, 0, 0 }) == 5);
	EXPECT(alloc(&heap, (struct mal_request) { 5, 1, 8, 0, 0 }) == 8);
	EXPECT(alloc(&heap, (struct mal_request) { 4, 1, 8, 0, 0 }) == 16);
	EXPECT(alloc(&heap, (struct mal_request) { 8, 1, 8, 0, 0 }) == 24);
	EXPECT(alloc(&heap, (struct mal_request) { 9, 1, 8, 0, 0 }) == MAL_NONE);
	EXPECT(alloc(&heap, (struct mal_request) { 6, 4, 8, 0, 0 }) == 32);
	EXPECT(alloc(&heap, (struct mal_request) { 6, 4, 8, 0, 0 }) == 40);
	EXPECT(alloc(&heap, (struct mal_request) { 2, 16, 2, 0, 0 }) == 48);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* The largest ones, beyond any heap, constrain nothing and overflow nowhere. */
static void large_boundaries(void)
{
	struct mal_heap heap = heap_make(100);
	u32 bit;

	for (bit = 7; bit < 32; bit++) {
		EXPECT(alloc(&heap, (struct mal_request) { 99, 1, 1u << bit, 1, 0 }) == 1);
		EXPECT(mal_heap_free(&heap, 1, 99) == 0);
	}
	heap_drop(&heap);
}

static void window(void)
{
	struct mal_heap heap = heap_make(100);

	EXPECT(alloc(&heap, (struct mal_request) { 5, 1, 0, 20, 30 }) == 20);
	EXPECT(alloc(&heap, (struct mal_request) { 6, 1, 0, 20, 30 }) == MAL_NONE);
	EXPECT(alloc(&heap, (struct mal_request) { 5, 1, 0, 20, 30 }) == 25);
	EXPECT(alloc(&heap, (struct mal_request) { 1, 1, 0, 20, 30 }) == MAL_NONE);
	EXPECT(alloc(&heap, (struct mal_request) { 2, 1, 0, 19, 0 }) == 30);
	EXPECT(alloc(&heap, (struct mal_request) { 20, 1, 0, 0, 20 }) == 0);
	EXPECT(alloc(&heap, (struct mal_request) { 1, 1, 0, 99, 100 }) == 99);
	EXPECT(alloc(&heap, (struct mal_request) { 8, 1, 0, 91, 0 }) == 91);
	EXPECT(alloc(&heap, (struct mal_request) { 1, 1, 0, 91, MAL_NONE }) == MAL_NONE);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

/* Windows that are empty, reversed or outside the heap have no place, and are not swept. */
static void impossible_windows(void)
{
	static const u32 windows[][2] = {
		{ 50, 50 }, { 50, 40 }, { 0, 1 }, { 99, 0 }, { 100, 0 }, { 100, 200 },
		{ MAL_NONE, 0 }, { MAL_NONE, MAL_NONE }, { 1u << 31, 0 },
	};
	struct mal_heap heap = heap_make(100);
	u32 i, cursor;

	for (i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		const struct mal_request req = {
			.size = 2,
			.align = 1u << 31 >> i,
			.lo = windows[i][0],
			.hi = windows[i][1],
		};

		EXPECT(mal_heap_alloc(&heap, &req, 0) == MAL_NONE);
		for (cursor = 0; cursor < 100;)
			EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 1) == MAL_NONE);
		EXPECT(cursor == 100);
		EXPECT(mal_heap_undecided(&heap, &req) == (windows[i][0] < 100));
	}
	EXPECT(heap.free == 100);
	heap_drop(&heap);
}

/* A sweep is over where the window is, even if a block ends there. */
static void sweep_of_a_window(void)
{
	const struct mal_request req = { .size = 6, .align = 1, .lo = 10, .hi = 15 };
	struct mal_heap heap = heap_make(20);
	u32 cursor = 0;

	EXPECT(mal_heap_alloc_at(&heap, 15, 1, 0) == 0 && mal_heap_alloc_at(&heap, 9, 1, 0) == 0);
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 1) == MAL_NONE && cursor == 20);
	heap_drop(&heap);
}

/* A window is looked at from its beginning, whatever the fit offers; only so far, though. */
static void probes(void)
{
	struct mal_heap heap = heap_make_fit(100, &mal_fit_best);
	struct mal_request req = { .size = 3, .align = 1, .lo = 10, .hi = 90 };
	u32 cursor = 0;
	u32 at;

	EXPECT(mal_heap_alloc_at(&heap, 3, 97, 0) == 0);
	EXPECT(mal_heap_free(&heap, 3, 0) == 0);
	for (at = 3; at < 100; at += 5)
		EXPECT(mal_heap_alloc_at(&heap, at, 1, 0) == 0);
	/* Blocks of 3 and 4; the fit offers the one at 0, and the window has others. */
	EXPECT(mal_block_size(&heap, 0) == 3 && mal_block_size(&heap, 9) == 4);
	EXPECT(mal_heap_alloc(&heap, &req, 0) == 10);
	for (at = 10; at < 20; at++)
		mal_heap_alloc_at(&heap, at, 1, 0);
	EXPECT(mal_heap_alloc(&heap, &req, 0) == MAL_NONE && mal_heap_undecided(&heap, &req));
	EXPECT(mal_heap_sweep(&heap, &req, 0, &cursor, 100) == 20);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void undecided(void)
{
	struct mal_heap heap = heap_make(20);
	struct mal_request req = { .size = 4, .align = 1 };

	EXPECT(mal_heap_alloc_at(&heap, 0, 15, 0) == 0);
	EXPECT(!mal_heap_undecided(&heap, &req));
	req.align = 2;
	EXPECT(mal_heap_undecided(&heap, &req));
	req = (struct mal_request) { .size = 4, .align = 1, .boundary = 4 };
	EXPECT(mal_heap_undecided(&heap, &req));
	req = (struct mal_request) { .size = 5, .align = 1, .lo = 1 };
	EXPECT(mal_heap_undecided(&heap, &req));
	req = (struct mal_request) { .size = 5, .align = 1, .hi = 20 };
	EXPECT(mal_heap_undecided(&heap, &req));
	req.size = 6;
	EXPECT(!mal_heap_undecided(&heap, &req));
	heap_drop(&heap);
}

static void shrink(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 0, 10, 77) == 0);
	EXPECT(mal_heap_alloc_at(&heap, 10, 10, 0) == 0);
	EXPECT(mal_heap_resize(&heap, 0, 10, 4) == 0);
	EXPECT(mal_block_used(&heap, 0) && mal_block_size(&heap, 0) == 4);
	EXPECT(mal_block_owner(&heap, 0) == 77);
	EXPECT(!mal_block_used(&heap, 4) && mal_block_size(&heap, 4) == 6);
	EXPECT(heap.free == 16 && heap.free_blocks == 2 && heap.used_blocks == 2);
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_resize(&heap, 10, 0, 1) == 0);	/* what is behind is free */
	EXPECT(mal_block_size(&heap, 11) == 19 && heap.free == 25 && heap.free_blocks == 2);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void grow(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 0, 1, 77) == 0);
	EXPECT(mal_heap_alloc_at(&heap, 10, 20, 0) == 0);
	EXPECT(mal_heap_resize(&heap, 0, 1, 9) == 0);
	EXPECT(mal_block_size(&heap, 0) == 9 && mal_block_owner(&heap, 0) == 77);
	EXPECT(!mal_block_used(&heap, 9) && mal_block_size(&heap, 9) == 1);
	EXPECT(mal_heap_resize(&heap, 0, 9, 10) == 0);
	EXPECT(heap.free == 0 && heap.free_blocks == 0 && heap.used_blocks == 2);
	EXPECT(mal_heap_resize(&heap, 0, 10, 10) == 0);
	EXPECT(mal_heap_resize(&heap, 10, 20, 20) == 0);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void resize_errors(void)
{
	struct mal_heap heap = heap_make(30);

	EXPECT(mal_heap_alloc_at(&heap, 5, 5, 0) == 0 && mal_heap_alloc_at(&heap, 20, 5, 0) == 0);
	EXPECT(mal_heap_resize(&heap, 30, 0, 1) == -EINVAL);
	EXPECT(mal_heap_resize(&heap, MAL_NONE, 0, 1) == -EINVAL);
	EXPECT(mal_heap_resize(&heap, 5, 0, 0) == -EINVAL);
	EXPECT(mal_heap_resize(&heap, 0, 0, 1) == -ENOENT);
	EXPECT(mal_heap_resize(&heap, 6, 0, 1) == -ENOENT);
	EXPECT(mal_heap_resize(&heap, 5, 4, 1) == -ERANGE);
	EXPECT(mal_heap_resize(&heap, 5, 5, 16) == -ENOMEM);
	EXPECT(mal_heap_resize(&heap, 5, 5, MAL_NONE) == -ENOMEM);
	EXPECT(mal_heap_resize(&heap, 20, 5, 11) == -ENOMEM);
	EXPECT(heap.free == 20 && heap.free_blocks == 3);
	EXPECT_SOUND(&heap);
	EXPECT(mal_heap_resize(&heap, 20, 5, 10) == 0);
	EXPECT(mal_heap_resize(&heap, 5, 5, 15) == 0);
	EXPECT(mal_heap_resize(&heap, 5, 15, 16) == -ENOMEM);
	EXPECT_SOUND(&heap);
	heap_drop(&heap);
}

static void exchange(void)
{
	static const u32 sizes[][2] = {
		{ 3, 5 }, { 5, 3 }, { 4, 4 }, { 1, 1 }, { 1, 7 }, { 200, 1 },
	};
	u32 i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const u32 left = sizes[i][0], right = sizes[i][1];
		struct mal_heap heap = heap_make(300);

		EXPECT(mal_heap_alloc_at(&heap, 60, left, 77) == 0);
		EXPECT(mal_heap_alloc_at(&heap, 60 + left, right, 88) == 0);
		mal_heap_exchange(&heap, 60);
		EXPECT_SOUND(&heap);
		EXPECT(mal_block_size(&heap, 60) == right);
		EXPECT(mal_block_owner(&heap, 60) == 88);
		EXPECT(mal_block_size(&heap, 60 + right) == left);
		EXPECT(mal_block_owner(&heap, 60 + right) == 77);
		EXPECT(mal_heap_block_of(&heap, 60 + right) == 60 + right);
		EXPECT(heap.free == 300 - left - right && heap.used_blocks == 2);
		EXPECT(mal_heap_free(&heap, 60, right) == 0);
		EXPECT(mal_heap_free(&heap, 60 + right, left) == 0);
		EXPECT_SOUND(&heap);
		heap_drop(&heap);
	}
}

#define SPAN	18		/* granules, of which parts are asked for */

static bool is_place(const struct mal_request *req, u32 place, u32 start, u32 end)
{
	return place % req->align == 0 && place >= start && place >= req->lo &&
	       place + req->size <= end && (!req->hi || place + req->size <= req->hi) &&
	       (!req->boundary ||
		place / req->boundary == (place + req->size - 1) / req->boundary);
}

static void expect_first_and_last(const struct mal_request *req, u32 start, u32 end)
{
	u32 first = MAL_NONE, last = MAL_NONE;
	u32 place;

	for (place = 0; place < SPAN; place++) {
		if (!is_place(req, place, start, end))
			continue;
		first = min(first, place);
		last = place;
	}
	EXPECT(mal_request_place(req, start, end) == first);
	EXPECT(mal_request_last_place(req, start, end) == last);
}

static void expect_in_all_ranges(const struct mal_request *req)
{
	u32 start, end;

	for (start = 0; start < SPAN; start++)
		for (end = start + 1; end <= SPAN; end++)
			expect_first_and_last(req, start, end);
}

/* Every small request in every small range, against a look at each place. */
static void first_and_last_place(void)
{
	struct mal_request req;

	for (req.size = 1; req.size <= 7; req.size++)
		for (req.align = 1; req.align <= 8; req.align *= 2)
			for (req.boundary = 0; req.boundary <= 16;
			     req.boundary = req.boundary * 2 ?: 2)
				for (req.lo = 0; req.lo < SPAN; req.lo += 3)
					for (req.hi = 0; req.hi < SPAN; req.hi += 5)
						expect_in_all_ranges(&req);
}

static const struct tap_test tests[] = {
	{ "first and last place", first_and_last_place },
	{ "exchange", exchange },
	{ "at a place", at_a_place },
	{ "at a place outside: EINVAL", at_a_place_outside },
	{ "at a place in use: ENOMEM", at_a_place_in_use },
	{ "boundary", boundary },
	{ "large boundaries", large_boundaries },
	{ "window", window },
	{ "impossible windows", impossible_windows },
	{ "sweep of a window", sweep_of_a_window },
	{ "probes in a window", probes },
	{ "where a sweep is needed", undecided },
	{ "resize: shrink", shrink },
	{ "resize: grow", grow },
	{ "resize: EINVAL, ENOENT, ERANGE, ENOMEM", resize_errors },
};

int main(void)
{
	return TAP_RUN(tests);
}
