/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a DMA mask comes to for who has no CAP_SYS_RAWIO: one answer for the whole region,
 * which tells no more than whether it lies within 32 bits.
 */
#ifndef MASKS_H
#define MASKS_H

#include "memalloc_test.h"

/* The first address behind all memory of this machine; 0: that can't be read. Takes root. */
static inline __u64 read_memory_end(void)
{
	FILE *file = fopen("/proc/iomem", "r");
	unsigned long long first, last, end = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, "System RAM") &&
		    sscanf(line, " %llx-%llx", &first, &last) == 2 && last >= end)
			end = last + 1;
	if (file)
		fclose(file);
	return end > 1 ? end : 0;
}

/* Whether a buffer of a region that ends at @end can be had with a mask that is wide enough. */
static inline bool mask_reaches(__u32 bits, __u64 end, __u64 memory_end)
{
	const __u64 below = 1ULL << 32;

	/* The memory of a device may lie behind all of the machine's. */
	if (memory_end < end)
		memory_end = end;
	if (!bits || bits >= 64)
		return true;
	return bits >= 32 && (end <= below || memory_end <= 1ULL << bits);
}

#endif /* MASKS_H */
