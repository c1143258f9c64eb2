// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long random runs beside the oracle, compared after each step. The seed is printed;
 * given as argument, it makes the run come again.
 */
#include <time.h>

#include "oracle.h"

static u64 seed;
static u64 state;

static u32 small(void)
{
	return random_upto(&state, 8);
}

/* All magnitudes alike, so that many classes are in use. */
static u32 any_magnitude(void)
{
	return random_upto(&state, 2u << random_u32(&state) % 11);
}

/* Full tries: three classes, of 2, 16 and 32 sizes. */
static u32 crowded_classes(void)
{
	static const u32 base[] = { 128, 1024, 2048 };
	u32 range = random_u32(&state) % 3;

	return base[range] + random_u32(&state) % (base[range] / 64);
}

/* Mostly allocate until little is free, then mostly free until little is used. */
static void run(u32 granules, u32 steps, u32 (*size)(void))
{
	struct mal_heap heap = heap_make(granules);
	struct oracle oracle = oracle_make(granules);
	bool filling = true;
	u32 given = 0, refused = 0;
	u32 step, at, align;

	state = seed;
	for (step = 0; step < steps; step++) {
		if (heap.free < granules / 8)
			filling = false;
		else if (heap.free > granules * 3 / 4)
			filling = true;

		at = oracle_start(&oracle, random_u32(&state) % granules);
		if (random_u32(&state) % 4 < (filling ? 1 : 3)) {
			if (oracle.block[at])
				oracle_release(&oracle, &heap, at);
			else
				EXPECT(mal_heap_free(&heap, at, 0) == -ENOENT);
		} else {
			align = random_u32(&state) % 4 ? 1 : 1u << random_u32(&state) % 8;
			if (oracle_alloc(&oracle, &heap, size(), align,
					 random_upto(&state, 5)))
				given++;
			else
				refused++;
		}
		oracle_compare(&oracle, &heap);
	}
	printf("# %u given, %u refused\n", given, refused);
	EXPECT(given > steps / 10 && refused);
	heap_drop(&heap);
	oracle_drop(&oracle);
}

static void small_sizes(void)
{
	run(500, 60000, small);
}

static void sizes_of_any_magnitude(void)
{
	run(5000, 12000, any_magnitude);
}

static void sizes_that_crowd_tries(void)
{
	run(40000, 4000, crowded_classes);
}

static const struct tap_test tests[] = {
	{ "small sizes", small_sizes },
	{ "sizes of any magnitude", sizes_of_any_magnitude },
	{ "sizes that crowd the tries", sizes_that_crowd_tries },
};

int main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (u64)time(NULL);
	if (!seed)
		seed = 1;		/* xorshift stays at 0 */
	printf("# seed %llu\n", seed);
	return TAP_RUN(tests);
}
