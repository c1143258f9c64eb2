/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* All that differs between the kernel and userspace for module/core. */
#ifndef MAL_PLATFORM_H
#define MAL_PLATFORM_H

#ifdef __KERNEL__

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>

#else

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef unsigned int u32;
typedef unsigned long long u64;

#define noinline	__attribute__((noinline))

static inline u32 min(u32 a, u32 b)
{
	if (a < b)
		return a;
	return b;
}

static inline u32 max(u32 a, u32 b)
{
	if (a > b)
		return a;
	return b;
}

#endif

/* The number of the highest and of the lowest bit that is set in @x, which is not 0. */
static inline unsigned int mal_high_bit(u32 x)
{
	return 31 - __builtin_clz(x);
}

static inline unsigned int mal_low_bit(u32 x)
{
	return __builtin_ctz(x);
}

static inline unsigned int mal_high_bit64(u64 x)
{
	return 63 - __builtin_clzll(x);
}

static inline unsigned int mal_low_bit64(u64 x)
{
	return __builtin_ctzll(x);
}

/*
 * A step is one visit of a tag or of a bitmap's word; heap.h states its bounds in
 * steps. Only tests count steps.
 */
#ifdef MAL_COUNT_STEPS
extern u64 mal_steps;

static inline void mal_step(void)
{
	mal_steps++;
}
#else
static inline void mal_step(void)
{
}
#endif

#endif /* MAL_PLATFORM_H */
