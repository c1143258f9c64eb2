// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every sequence of calls on a small heap, with each fit.
 *
 * Sequences that lead to the same bytes in all that the heap ever reads need not be told
 * apart afterwards. So this makes every call once in each state that can be reached, and
 * counts how many sequences that covers.
 */
#include "oracle.h"

#define GRANULES	8
#define COUNTED		6		/* sequences are counted up to this length */

/* The words that no call may read hold this. */
#define STALE		0x5a5a5a5au

/* A heap and its oracle without their pointers. */
struct state {
	struct mal_tag tags[GRANULES];
	u64 rest[64];			/* bitmap and index */
	u32 free, free_blocks, used_blocks;
	u32 rover;
	unsigned char block[GRANULES];	/* the oracle's: where its block begins, plus 1; or 0 */
};

static struct state *states;
static u32 count;

/* The states that the calls lead to: of each state, from first_call[] on. */
static u32 *leads_to;
static u32 *first_call;
static u32 calls;

/* The numbers of the states plus 1, in open addressing by a hash of the state. */
#define SLOTS		0x20000
#define STATES		(SLOTS / 2)
#define CALLS		0x1000000
static u32 *slots;

/* Where the calls are made. */
static struct mal_heap heap;
static struct oracle oracle;
static size_t rest_bytes;

static void restore(const struct state *state)
{
	u32 at;

	memcpy(heap.tags, state->tags, sizeof(state->tags));
	memcpy(heap.map[0], state->rest, rest_bytes);
	heap.free = state->free;
	heap.free_blocks = state->free_blocks;
	heap.used_blocks = state->used_blocks;
	oracle.rover = state->rover;
	oracle.last = GRANULES;
	for (at = 0; at < GRANULES; at++)
		oracle.block[at] = state->block[at];
}

/* Only what means something, and the same names for the same blocks. */
static void save(struct state *state)
{
	bool lists = heap.fit == &mal_fit_good;
	u32 at, foot;

	memset(state, 0, sizeof(*state));
	memset(state->tags, STALE & 255, sizeof(state->tags));
	for (at = 0; at < GRANULES; at = foot + 1) {
		foot = at + oracle_run(&oracle, at) - 1;
		memset(&state->block[at], oracle.block[at] ? at + 1 : 0, foot + 1 - at);
		state->tags[at].word = heap.tags[at].word;
		state->tags[foot].word = heap.tags[foot].word;
		if (oracle.block[at]) {
			state->tags[at].owner = at + 1;
			continue;
		}
		state->tags[at].link0 = heap.tags[at].link0;
		if (lists) {
			state->tags[foot].link[1] = heap.tags[foot].link[1];
		} else {
			state->tags[at].link[0] = heap.tags[at].link[0];
			state->tags[at].link[1] = heap.tags[at].link[1];
		}
	}
	memcpy(state->rest, heap.map[0], rest_bytes);
	state->free = heap.free;
	state->free_blocks = heap.free_blocks;
	state->used_blocks = heap.used_blocks;
	state->rover = oracle.rover;
}

static u32 number_of(const struct state *state)
{
	const u64 *word = (const void *)state;
	u64 hash = 0;
	u32 slot;
	size_t i;

	for (i = 0; i < sizeof(*state) / sizeof(*word); i++)
		hash = ((hash ^ word[i]) * 0x9e3779b97f4a7c15ull) >> 7;
	for (slot = hash % SLOTS; slots[slot]; slot = (slot + 1) % SLOTS)
		if (!memcmp(&states[slots[slot] - 1], state, sizeof(*state)))
			return slots[slot] - 1;
	EXPECT(count < STATES - 1);
	states[count] = *state;
	slots[slot] = ++count;
	return count - 1;
}

/* A call was made in @from: compare, and keep where it led to. */
static void done(u32 from)
{
	struct state state;

	oracle_compare(&oracle, &heap);
	save(&state);
	EXPECT(calls < CALLS);
	leads_to[calls++] = number_of(&state);
	restore(&states[from]);
}

static void each_request(u32 from)
{
	static const struct mal_request constraints[] = {
		{ .align = 1 }, { .align = 2 }, { .align = 4 }, { .align = 8 }, { .align = 16 },
		{ .align = 1, .boundary = 1 }, { .align = 1, .boundary = 2 },
		{ .align = 1, .boundary = 4 }, { .align = 2, .boundary = 4 },
		{ .align = 1, .lo = 1 }, { .align = 1, .hi = 5 }, { .align = 1, .lo = 2, .hi = 7 },
		{ .align = 2, .lo = 3, .hi = 5 },
		{ .align = 2, .boundary = 4, .lo = 1, .hi = 7 },
	};
	struct mal_request req;
	unsigned int i;
	u32 size;

	for (i = 0; i < sizeof(constraints) / sizeof(*constraints); i++) {
		for (size = 0; size <= GRANULES + 1; size++) {
			req = constraints[i];
			req.size = size;
			oracle_alloc(&oracle, &heap, &req, 1);
			done(from);
		}
	}
}

/* To each fit, one block at a time, and back. */
static void each_switch(u32 from)
{
	const struct mal_fit *fit = heap.fit;
	const struct mal_fit *const *other;

	for (other = mal_fits; *other; other++) {
		oracle_switch(&oracle, &heap, *other);
		do
			oracle_compare(&oracle, &heap);
		while (mal_heap_switch_more(&heap, 1));
		oracle_compare(&oracle, &heap);
		oracle_switch(&oracle, &heap, fit);
		EXPECT(!mal_heap_switch_more(&heap, GRANULES));
		oracle_compare(&oracle, &heap);
		restore(&states[from]);
	}
}

static void each_call(u32 from)
{
	u32 at, size;

	restore(&states[from]);
	each_switch(from);
	each_request(from);
	for (at = 0; at <= GRANULES; at++) {
		oracle_release(&oracle, &heap, at, 0);
		done(from);
		for (size = 0; size <= GRANULES + 1; size++) {
			oracle_alloc_at(&oracle, &heap, at, size);
			done(from);
			oracle_release_part(&oracle, &heap, at, size);
			done(from);
			if (at < GRANULES && !oracle.block[at])
				continue;
			oracle_resize(&oracle, &heap, at, 0, size);
			done(from);
		}
	}
}

/* How many sequences of up to COUNTED calls there are. */
static u64 count_sequences(void)
{
	u64 *shorter = calloc(count, sizeof(*shorter));
	u64 *longer = calloc(count, sizeof(*longer));
	unsigned int depth;
	u64 sequences;
	u32 i, at;

	EXPECT(shorter && longer);
	for (depth = 0; depth < COUNTED; depth++) {
		memcpy(shorter, longer, count * sizeof(*shorter));
		for (i = 0; i < count; i++) {
			longer[i] = 0;
			for (at = first_call[i]; at < first_call[i + 1]; at++)
				longer[i] += 1 + shorter[leads_to[at]];
		}
	}
	sequences = longer[0];
	free(shorter);
	free(longer);
	return sequences;
}

static void each_sequence(const struct mal_fit *fit)
{
	struct state state;
	u32 i;

	heap = heap_make_fit(GRANULES, fit);
	oracle = oracle_make(GRANULES, fit);
	rest_bytes = mal_heap_bytes(GRANULES) - sizeof(state.tags);
	EXPECT(rest_bytes <= sizeof(state.rest));
	memset(slots, 0, SLOTS * sizeof(*slots));
	count = 0;
	calls = 0;
	save(&state);
	number_of(&state);
	for (i = 0; i < count; i++) {
		first_call[i] = calls;
		each_call(i);
	}
	first_call[i] = calls;
	printf("# %s fit: %llu sequences of up to %u calls, by %u calls in all %u states\n",
	       fit->name, count_sequences(), COUNTED, calls, count);
	heap_drop(&heap);
	oracle_drop(&oracle);
}

static void every_sequence(void)
{
	const struct mal_fit *const *fit;

	states = malloc(STATES * sizeof(*states));
	slots = malloc(SLOTS * sizeof(*slots));
	first_call = malloc(STATES * sizeof(*first_call));
	leads_to = malloc(CALLS * sizeof(*leads_to));
	EXPECT(states && slots && first_call && leads_to);
	for (fit = mal_fits; *fit; fit++)
		each_sequence(*fit);
	free(states);
	free(slots);
	free(first_call);
	free(leads_to);
}

static const struct tap_test tests[] = {
	{ "every sequence on 8 granules", every_sequence },
};

int main(void)
{
	return TAP_RUN(tests);
}
