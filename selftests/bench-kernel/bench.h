/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A benchmark of allocators of ranges, in the kernel. An allocator is a table of
 * functions; a case (cases.c) drives it through them and measure.c counts what each
 * call takes.
 *
 * A range has @granules granules, which stand for pages; nobody ever touches them. A
 * slot is a place where a case keeps one block. Places and sizes are in granules.
 */
#ifndef MAL_BENCH_H
#define MAL_BENCH_H

#include <linux/types.h>

#define BENCH_NONE	U32_MAX

struct bench;

struct allocator {
	const char *name;
	const void *kind;	/* tells apart allocators that share their functions */

	/*
	 * It rounds sizes up, so a layout of blocks takes it more than their sum, and can't
	 * be had exactly: such an allocator gets twice the range, and what comes of it.
	 */
	bool rounds;

	/* It is quick enough to go through streams of large sizes, too. */
	bool large_sizes;

	/* No layout can be had at all, or not in reasonable time. */
	bool stream_only;

	/* Make @bench->granules one free block; 0 or an errno. */
	int (*init)(struct bench *bench);

	/* Give everything back; blocks may be in use. */
	void (*destroy)(struct bench *bench);

	/* A block of @size; BENCH_NONE if there is no room. */
	u32 (*alloc)(struct bench *bench, u32 slot, u32 size);
	void (*free)(struct bench *bench, u32 slot);

	/*
	 * As alloc(), beside the block that was allocated last; not measured, and only needed
	 * where alloc() would take long to fill a range that is one free block.
	 */
	u32 (*append)(struct bench *bench, u32 slot, u32 size);
};

struct bench {
	const struct allocator *allocator;
	void *state;		/* the allocator's */
	u32 granules;
	u32 slots;
	u32 *start;		/* of each slot: where its block lies, or BENCH_NONE */
	u32 *size;		/* of each slot: what was asked for last */
	u32 *cost;		/* of each slot: what that alloc() took */
};

int bench_init(struct bench *bench, const struct allocator *allocator, u32 granules, u32 slots);
void bench_destroy(struct bench *bench);

/* Without measuring: fill a slot by append(), or empty it. */
bool bench_append(struct bench *bench, u32 slot, u32 size);
void bench_free(struct bench *bench, u32 slot);

/* Empty all slots, the last one first: drm_buddy, which fills ranges downwards, likes that. */
void bench_free_all(struct bench *bench);

/* Find out what measuring itself costs, and that the clock does count; 0 or an errno. */
int bench_calibrate(void);

/* What one call takes: instructions, or steps in the build that counts them. */
u32 bench_timed_alloc(struct bench *bench, u32 slot, u32 size);
u32 bench_timed_free(struct bench *bench, u32 slot);

struct samples {
	u32 *values;
	u32 count;
	u32 room;
};

struct figures {
	u32 median;
	u32 mean;
	u32 max;
};

int samples_init(struct samples *samples, u32 room);
void samples_add(struct samples *samples, u32 value);
struct figures samples_figures(struct samples *samples);	/* zeros if there are none */
void samples_destroy(struct samples *samples);

/* Run all cases on an allocator, and log a line for each; 0 or an errno. */
int bench_cases(const struct allocator *allocator);

/* To be copied for each of mal_fits[], with its name, and the fit as its kind. */
extern const struct allocator heap_allocator;

extern const struct allocator gen_pool_first, gen_pool_best;
extern const struct allocator drm_mm_best, drm_mm_low;
extern const struct allocator drm_buddy_rounded, drm_buddy_trimmed;
extern const struct allocator iova_tree, iova_cached;

#endif /* MAL_BENCH_H */
