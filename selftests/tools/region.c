// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: what masks of 1 to 64 bits are answered to nobody in particular, as a digit each:
 * 0: a buffer, 1: EINVAL, 2: ENOMEM, 3: something else; and, for root, where the region begins
 * and ends. For boots/address.sh.
 */
#include "memalloc_test.h"

static char answer(int fd, __u32 bits)
{
	struct memalloc_alloc alloc = {
		.size = sizeof(alloc), .length = PAGE, .dma_mask_bits = bits,
	};
	int err = call(fd, MEMALLOC_IOC_ALLOC, &alloc);

	if (!err && free_buffer(fd, alloc.handle))
		return '3';
	return !err ? '0' : err == -EINVAL ? '1' : err == -ENOMEM ? '2' : '3';
}

int main(void)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	struct memalloc_info info;
	char answers[65] = "";
	int fd = open_device();
	__u64 base;
	__u32 bits;

	if (get_info(fd, &info) || alloc_buffer(fd, PAGE, &buffer) ||
	    query_physical(fd, buffer.handle, &query))
		return 1;
	base = query.physical - offset_of_handle(fd, buffer.handle);
	if (free_buffer(fd, buffer.handle) || drop_privileges())
		return 1;
	for (bits = 1; bits <= 64; bits++)
		answers[bits - 1] = answer(fd, bits);
	printf("begin=%llu\nend=%llu\nmax_alignment=%llu\nmasks=%s\n", base,
	       base + info.region_length, info.max_alignment, answers);
	return 0;
}
