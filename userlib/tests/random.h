/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same in each run. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/* The next one after @state, any number: a linear congruential generator (Knuth's MMIX). */
static inline uint32_t random_u32(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 32;
}

#endif /* RANDOM_H */
