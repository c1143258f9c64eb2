// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: reads and writes registers of QEMU's device "edu", whose BAR 0 is the region. 0 says
 * what the device is; 4 answers with what was written last, inverted.
 */
#include "memalloc_test.h"

int main(void)
{
	struct memalloc_alloc bar;
	__u32 *map;
	int fd = open_device();

	if (fd < 0 || alloc_buffer(fd, MIB, &bar))
		return 1;
	map = map_buffer(fd, &bar);
	if (map == MAP_FAILED)
		return 1;
	__atomic_store_n(&map[1], 0x12345678, __ATOMIC_RELAXED);
	printf("%x %x\n", __atomic_load_n(&map[0], __ATOMIC_RELAXED),
	       __atomic_load_n(&map[1], __ATOMIC_RELAXED));
	return 0;
}
