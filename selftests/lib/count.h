/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting instructions: under QEMU's -icount the processor's clock counts them, one a nanosecond,
 * which is checked with a loop of known length.
 */
#ifndef COUNT_H
#define COUNT_H

#include "memalloc_test.h"

#ifdef __aarch64__
#define LOOP "1: subs %0, %0, #1; b.ne 1b"

/* Nanoseconds from one tick to the next: several. */
static inline __u64 clock_step(void)
{
	__u64 frequency;

	asm volatile("mrs %0, cntfrq_el0" : "=r" (frequency));
	return 1000000000 / frequency;
}

static inline __u64 clock_now(void)
{
	__u64 ticks;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r" (ticks) : : "memory");
	return ticks * clock_step();
}
#else
#define LOOP "1: dec %0; jnz 1b"

static inline __u64 clock_step(void)
{
	return 1;
}

static inline __u64 clock_now(void)
{
	__u32 low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (__u64)high << 32 | low;
}
#endif

/* Two instructions a round; the least of several times, as an interrupt may come in between. */
static inline bool clock_counts_instructions(void)
{
	const unsigned long rounds = 10000;
	__u64 least = ~0ULL, begin, ticks;
	int i;

	for (i = 0; i < 9; i++) {
		unsigned long left = rounds;

		begin = clock_now();
		asm volatile(LOOP : "+r" (left) : : "cc");
		ticks = clock_now() - begin;
		if (ticks < least)
			least = ticks;
	}
	return least + clock_step() > 2 * rounds && least < 2 * rounds + rounds / 10;
}

static inline int compare_counts(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static inline void sort_counts(__u64 *counts, size_t n)
{
	qsort(counts, n, sizeof(*counts), compare_counts);
}

#endif /* COUNT_H */
