/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A script: bytes that stand for a heap and a sequence of calls, which is run on it and
 * on the oracle side by side and compared after each. Any bytes will do, and a
 * script stays one when calls are taken out of it: so it can be fuzzed and shrunk.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "oracle.h"

struct script_head {
	unsigned char fit;
	unsigned char crowd;		/* odd: few sizes, all in three classes of good fit */
	unsigned char granules[2];
};

struct script_call {
	unsigned char what;
	unsigned char scale;		/* small sizes are as likely as large ones */
	unsigned char size[2];
	unsigned char place[2];
	unsigned char align;		/* and boundary */
	unsigned char window[2];	/* in 256ths of the heap; 0: no limit */
	unsigned char slice;
};

struct script_run {
	struct mal_heap heap;
	struct oracle oracle;
	u32 given, refused;
	bool crowd;
};

/* Called before each call if not NULL, to show them. */
typedef void (*script_show)(const struct mal_heap *heap, const char *what, u64 a, u64 b);

static inline u32 script_u16(const unsigned char *bytes)
{
	return bytes[0] | bytes[1] << 8;
}

static inline const struct mal_fit *script_fit(unsigned int number)
{
	unsigned int count = 0;

	while (mal_fits[count])
		count++;
	return mal_fits[number % count];
}

static inline u32 script_size(const struct script_run *run, const struct script_call *call)
{
	static const u32 base[] = { 128, 1024, 2048 };
	u32 size = script_u16(call->size);

	if (run->crowd)
		return base[call->scale % 3] + size % (base[call->scale % 3] / 64);
	size %= run->heap.granules + 2;
	return size ? ((size - 1) >> call->scale % 16) + 1 : 0;
}

static inline struct mal_request script_request(const struct script_run *run,
						const struct script_call *call)
{
	u32 unit = run->heap.granules / 256 + 1;
	struct mal_request req = { .size = script_size(run, call), .align = 1 };

	if (call->what & 16)
		req.align = 1u << call->align % 8;
	if (call->what & 32)
		req.boundary = 1u << call->align / 8 % 16;
	if (call->what & 64) {
		req.lo = call->window[0] * unit;
		req.hi = call->window[1] * unit;
	}
	return req;
}

/* A granule: mostly one where a block begins. */
static inline u32 script_place(const struct script_run *run, const struct script_call *call)
{
	u32 place = script_u16(call->place);

	if (call->scale & 128)
		return place;
	return oracle_start(&run->oracle, place % run->heap.granules);
}

static inline void script_step(struct script_run *run, const struct script_call *call)
{
	const struct mal_request req = script_request(run, call);
	u32 place = script_place(run, call);
	struct oracle *oracle = &run->oracle;
	struct mal_heap *heap = &run->heap;
	u32 slice = 1 + call->slice % 8;

	switch (call->what % 16) {
	default:
		if (oracle_alloc(oracle, heap, &req, slice) != MAL_NONE)
			run->given++;
		else
			run->refused++;
		break;
	case 7:
	case 8:
	case 9:
	case 10:
		oracle_release(oracle, heap, place, call->slice & 128 ? req.size : 0);
		break;
	case 11:
		oracle_release_part(oracle, heap, script_u16(call->place),
				    call->slice & 128 ? slice : req.size);
		break;
	case 12:
		oracle_resize(oracle, heap, place, call->slice & 128 ? slice : 0, req.size);
		break;
	case 13:
		oracle_alloc_at(oracle, heap, script_u16(call->place), req.size);
		break;
	case 14:
		if (call->align % 16 == 0)
			oracle_switch(oracle, heap, script_fit(call->scale));
		break;
	case 15:
		EXPECT(mal_heap_switch_more(heap, slice) == (heap->indexed < heap->granules));
		break;
	}
	oracle_compare(oracle, heap);
}

/* Run @size bytes of script. True: one was run. The first EXPECT that fails ends it. */
static inline bool script_run(struct script_run *run, const void *bytes, size_t size)
{
	const struct script_head *head = bytes;
	const struct script_call *call = (const void *)(head + 1);
	u32 granules;

	if (size < sizeof(*head))
		return false;
	granules = 1 + script_u16(head->granules);
	*run = (struct script_run) {
		.heap = heap_make_fit(granules, script_fit(head->fit)),
		.oracle = oracle_make(granules, script_fit(head->fit)),
		.crowd = head->crowd & 1,
	};
	for (size -= sizeof(*head); size >= sizeof(*call); size -= sizeof(*call))
		script_step(run, call++);
	heap_drop(&run->heap);
	oracle_drop(&run->oracle);
	return true;
}

#endif /* SCRIPT_H */
